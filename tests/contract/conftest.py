"""The backends of the contract tests: a sandbox, and a real ARM if the environment variables are set."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from verify_real_wire import NEEDED, Numbers, Wire, read_target, target_of

from airflow_provider_arm.client import ArmError
from airflow_provider_arm.sandbox import ArmSandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_arm.client import ArmClient

#: Seconds that a batch of two records may take on a real ARM.
BATCH_TIMEOUT = 600
#: Seconds from a submit to its result in the sandbox.
BATCH_DELAY = 20


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "changes_arm(what): writes customers, or also documents; runs on a real ARM only with ARM_REAL_WRITE"
    )


@dataclass
class Backend:
    """A sandbox or a real ARM, and the customers that the test created in it."""

    name: str
    wire: Wire
    wait: Callable[[float], object]
    numbers: Numbers
    customers: list[str] = field(default_factory=list)

    @property
    def client(self) -> ArmClient:
        """The package's client."""
        return self.wire.client

    def new_customer(self, **fields: Any) -> str:
        """Create a customer that is deleted after the test, and return its number."""
        number = self.numbers.new()
        assert self.wire.get("customers", number).status == 404, "an existing number begins with the prefix"
        self.customers.append(number)
        self.client.upsert_customer({"customerNo": number, "name": "Contract Test", **fields})
        return number

    def finished(self, batch_uuid: str) -> Any:
        """Wait until a batch is finished and return its status."""
        for _ in range(BATCH_TIMEOUT // 5):
            status = self.client.get_batch(batch_uuid)
            if status.state.finished:
                return status
            self.wait(5)
        pytest.fail(f"the batch was not finished after {BATCH_TIMEOUT} s")

    def clean(self) -> None:
        """Delete the test's customers, except those that ARM refuses to delete."""
        while self.customers:
            with contextlib.suppress(ArmError):
                self.client.delete_customer(self.customers.pop())


@pytest.fixture(scope="session")
def _sandbox() -> Iterator[Backend]:
    with ArmSandbox(seed=7, ar_items=200, batch_delay=BATCH_DELAY) as box:
        target = target_of(box)
        with Wire(target, box.advance) as wire:
            yield Backend("sandbox", wire, box.advance, Numbers(target.prefix))


@pytest.fixture(scope="session")
def _real() -> Iterator[Backend]:
    target = read_target(os.environ)
    with Wire(target) as wire:
        yield Backend("real", wire, time.sleep, Numbers(target.prefix))  # the clock of a real ARM cannot be advanced


@pytest.fixture(params=["sandbox", "real"])
def arm(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Yield each backend; the real one is skipped if the environment variables do not allow it."""
    if request.param == "real" and (reason := _why_not_real(request.node.get_closest_marker("changes_arm"))):
        pytest.skip(reason)
    backend: Backend = request.getfixturevalue(f"_{request.param}")
    yield backend
    backend.clean()


def _why_not_real(writes: pytest.Mark | None) -> str | None:
    if not all(os.environ.get(name) for name in NEEDED):
        return f"no real ARM: set {', '.join(NEEDED)}"
    allowed = os.environ.get("ARM_REAL_WRITE", "")
    if writes and "documents" in writes.args and allowed != "documents":
        return "posts documents to a real ARM: set ARM_REAL_WRITE=documents and ARM_REAL_TEST_PREFIX"
    if writes and not allowed:
        return "changes a real ARM: set ARM_REAL_WRITE=yes and ARM_REAL_TEST_PREFIX"
    return None
