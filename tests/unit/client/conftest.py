from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.unit.client.driving import PATIENT, STATIC, Awaiting, Blocking, ManualClock, quick
from tests.unit.client.scripted_server import Script, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EXAMPLES = Path(__file__).parents[2] / "data" / "arm_examples"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody trusts unless told to."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The authority's own certificate as a PEM file."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch, ca_file: str) -> None:
    """No proxy of the machine takes part, and one certificate is trusted: reading the world's takes its time."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)


@pytest.fixture
def clock() -> ManualClock:
    """Time that moves only when somebody waits."""
    return ManualClock()


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    """What is opened on it is closed after the test."""
    with contextlib.ExitStack() as opened:
        yield opened


@pytest.fixture
def serve(stack: contextlib.ExitStack) -> Callable[..., ScriptedServer]:
    """Start scripted servers that live as long as the test."""

    def start(script: Script, **settings: Any) -> ScriptedServer:
        return stack.enter_context(ScriptedServer(script, **settings))

    return start


@pytest.fixture(params=[Blocking, Awaiting], ids=["sync", "async"])
def connect(
    request: pytest.FixtureRequest, stack: contextlib.ExitStack, clock: ManualClock
) -> Callable[..., Blocking | Awaiting]:
    """Make a client, the synchronous and the asynchronous one in turn, with a static token and no pauses of its own."""

    def make(base_url: str, credentials: Any = STATIC, **settings: Any) -> Blocking | Awaiting:
        usual = {"client_no": 2218, "transport": PATIENT, "clock": clock, "retry": quick()}
        driver = request.param(base_url, credentials, **(usual | settings))
        stack.callback(driver.close)
        return driver

    return make


@pytest.fixture
def arm(stack: contextlib.ExitStack, clock: ManualClock) -> Callable[..., Any]:
    """Make a synchronous client with a static token and no pauses of its own."""

    def make(base_url: str, credentials: Any = STATIC, **settings: Any) -> Any:
        usual = {"client_no": 2218, "transport": PATIENT, "clock": clock, "retry": quick()}
        return stack.enter_context(Blocking.kind(base_url, credentials, **(usual | settings)))

    return make


@pytest.fixture
def example() -> Callable[[str], dict[str, Any]]:
    """Read a documented example."""
    return lambda name: json.loads((_EXAMPLES / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def example_text() -> Callable[[str], str]:
    """Read a documented example's text."""
    return lambda name: (_EXAMPLES / f"{name}.json").read_text("utf-8")
