from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.unit.client.drivers import LONG_TIMEOUT, STATIC_TOKEN, AsyncDriver, ManualClock, SyncDriver, no_delay
from tests.unit.client.scripted_server import Script, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EXAMPLES = Path(__file__).parents[2] / "data" / "arm_examples"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that is trusted only if a test configures it."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a PEM file with the authority's certificate."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(autouse=True)
def _isolated_environment(monkeypatch: pytest.MonkeyPatch, ca_file: str) -> None:
    """No proxy is used, and only one certificate is trusted, because loading certifi's takes long."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that advances only when a test or a wait advances it."""
    return ManualClock()


@pytest.fixture
def exit_stack() -> Iterator[contextlib.ExitStack]:
    """A stack of contexts that are closed after the test."""
    with contextlib.ExitStack() as contexts:
        yield contexts


@pytest.fixture
def start_server(exit_stack: contextlib.ExitStack) -> Callable[..., ScriptedServer]:
    """Start scripted servers that stop with the test."""

    def start(script: Script, **settings: Any) -> ScriptedServer:
        return exit_stack.enter_context(ScriptedServer(script, **settings))

    return start


@pytest.fixture(params=[SyncDriver, AsyncDriver], ids=["sync", "async"])
def make_driver(
    request: pytest.FixtureRequest, exit_stack: contextlib.ExitStack, clock: ManualClock
) -> Callable[..., SyncDriver | AsyncDriver]:
    """Create a driver of the synchronous or the asynchronous client, with a static token and without delays."""

    def make(base_url: str, credentials: Any = STATIC_TOKEN, **settings: Any) -> SyncDriver | AsyncDriver:
        defaults = {"client_no": 2218, "transport": LONG_TIMEOUT, "clock": clock, "retry": no_delay()}
        driver = request.param(base_url, credentials, **(defaults | settings))
        exit_stack.callback(driver.close)
        return driver

    return make


@pytest.fixture
def make_client(exit_stack: contextlib.ExitStack, clock: ManualClock) -> Callable[..., Any]:
    """Create a synchronous client with a static token and without delays."""

    def make(base_url: str, credentials: Any = STATIC_TOKEN, **settings: Any) -> Any:
        defaults = {"client_no": 2218, "transport": LONG_TIMEOUT, "clock": clock, "retry": no_delay()}
        return exit_stack.enter_context(SyncDriver.kind(base_url, credentials, **(defaults | settings)))

    return make


@pytest.fixture
def example() -> Callable[[str], dict[str, Any]]:
    """Read a documented example."""
    return lambda name: json.loads((_EXAMPLES / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def example_text() -> Callable[[str], str]:
    """Read the text of a documented example."""
    return lambda name: (_EXAMPLES / f"{name}.json").read_text("utf-8")
