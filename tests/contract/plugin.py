"""pytest plugin: the tests of ``tests/contract`` against a sandbox or a real ARM, and the readings profile of that ARM.

With ``--observe-readings`` it observes the ARM before the first test, runs the tests with the profile that it observed,
and writes that profile. ``make verify-real`` is this; docs/verify-real.md describes options, variables and exit codes.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_arm.client import ArmError
from airflow_provider_arm.client.readings import COMMENT, Readings, decode_profile
from airflow_provider_arm.sandbox import ArmSandbox
from tests.contract.observer.findings import Findings, Kind, next_steps, table
from tests.contract.observer.run import observe
from tests.contract.observer.target import Numbers, VariablesError, read_target, target_of
from tests.contract.observer.wire import Wire, WireError
from tests.contract.observer.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_arm.client import ArmClient

#: Seconds from a submit to its result in the sandbox.
BATCH_DELAY = 20
#: Seconds that a batch may take.
BATCH_TIMEOUT = 300.0
#: Seconds. In the contract a query expires after ten minutes.
SANDBOX_WAIT_FOR_EXPIRY = 660.0
OBSERVED_FILE = "readings.observed.json"
#: Exit codes: something is not supported; nothing was observed, or not everything.
_UNSUPPORTED, _NOT_COMPLETED = 1, 2


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("arm", "ARM, for tests/contract")
    group.addoption("--arm", choices=("sandbox", "real"), default="sandbox", help="which ARM (default: a sandbox)")
    help_file = f"observe the readings profile, and write it to FILE ({OBSERVED_FILE})"
    group.addoption("--observe-readings", metavar="FILE", nargs="?", const=OBSERVED_FILE, help=help_file)
    group.addoption("--readings", metavar="FILE", help="profile with which the observation starts (JSON or YAML)")
    group.addoption("--play", metavar="FILE", help="profile that the sandbox plays")
    group.addoption("--switches", nargs="+", default=[], metavar="NAME=VALUE", help="switches of the sandbox")
    group.addoption("--wait-for-expiry", type=float, metavar="SECONDS", help="wait for a query to expire (row 11)")
    group.addoption("--batch-timeout", type=float, default=BATCH_TIMEOUT, metavar="SECONDS", help="for a batch")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the session of a run that observes."""
    config.addinivalue_line(
        "markers", "changes_arm(what): writes customers, or also documents; runs on a real ARM only with ARM_REAL_WRITE"
    )
    if config.option.observe_readings is not None:
        config.pluginmanager.register(Observation(config), "arm-observation")


@dataclass
class Backend:
    """A sandbox or a real ARM, and the customers that the test created in it."""

    wire: Wire
    wait: Callable[[float], object]
    batch_timeout: float
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
        waited = 0.0
        while waited <= self.batch_timeout:
            status = self.client.get_batch(batch_uuid)
            if status.state.finished:
                return status
            self.wait(5)
            waited += 5
        pytest.fail(f"the batch was not finished after {waited:g} s")

    def clean(self) -> None:
        """Delete the test's customers, except those that ARM refuses to delete."""
        while self.customers:
            with contextlib.suppress(ArmError):
                self.client.delete_customer(self.customers.pop())


@contextlib.contextmanager
def open_backend(config: pytest.Config) -> Iterator[Backend]:
    """Start the sandbox, or connect to the real ARM.

    :raises VariablesError: variables or options are missing or wrong.
    """
    options = config.option
    base = Readings.parse(_decoded(options.readings), str(options.readings))
    if options.arm == "real":
        if options.switches or options.play:
            raise VariablesError(["--switches and --play need --arm=sandbox"])
        target = read_target(os.environ)
        with Wire(target, readings=base) as wire:
            yield Backend(wire, time.sleep, options.batch_timeout, Numbers(target.prefix))
        return
    switches = {"batch_delay": BATCH_DELAY, **dict(each.split("=", 1) for each in options.switches)}
    played = _decoded(options.play)
    with ArmSandbox(seed=7, ar_items=200, switches=switches, readings=played) as box:
        box.set_time(box.now())  # stops the clock, so that seconds are counted exactly
        target = target_of(box, Readings.parse(played).calls.token_scope)
        with Wire(target, box.advance, base) as wire:
            yield Backend(wire, box.advance, options.batch_timeout, Numbers(target.prefix))


def _decoded(name: str | None) -> Any:
    """Return the profile in a file; without a file an empty one."""
    if name is None:
        return {}
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VariablesError([f"{name}: cannot be read ({type(error).__name__})"]) from None
    return decode_profile(text, name, name)


@pytest.fixture(scope="session")
def _backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    observation = request.config.pluginmanager.get_plugin("arm-observation")
    if observation is not None:
        yield observation.backend
        return
    with open_backend(request.config) as backend:
        yield backend


@pytest.fixture
def arm(request: pytest.FixtureRequest, _backend: Backend) -> Iterator[Backend]:
    """Yield the ARM of this run. Tests whose writes the variables do not allow are skipped."""
    writes = request.node.get_closest_marker("changes_arm")
    allowed = _backend.wire.target.write
    if writes and "documents" in writes.args and allowed != "documents":
        pytest.skip("posts documents to a real ARM: set ARM_REAL_WRITE=documents and ARM_REAL_TEST_PREFIX")
    if writes and not allowed:
        pytest.skip("changes a real ARM: set ARM_REAL_WRITE=yes and ARM_REAL_TEST_PREFIX")
    yield _backend
    _backend.clean()


class Observation:
    """The observation before the first test of a session, and its summary after the last."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._stack = contextlib.ExitStack()
        self._findings = Findings()
        self._writes: Writes | None = None
        self._failure = ""

    @property
    def backend(self) -> Backend:
        """The ARM, with the profile that was observed."""
        return self._backend

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Observe the ARM before any test runs."""
        if session.config.option.collectonly:
            return
        try:
            self._backend = self._stack.enter_context(open_backend(self._config))
            self._observe()
        except (VariablesError, WireError, ArmError, ValueError) as error:
            lines = [f"verify-real: {line}" for line in str(error).splitlines()]
            self._print("\n".join(lines))
            pytest.exit("the ARM was not observed", returncode=_NOT_COMPLETED)

    def _observe(self) -> None:
        wire, options = self._backend.wire, self._config.option
        target = wire.target
        self._print(f"ARM at {target.base_url}, client {target.client_no}")
        self._findings = findings = Findings(wire.readings)
        if target.write:
            numbers = self._backend.numbers
            self._writes = Writes(wire, findings, numbers, options.batch_timeout)
            plan = "".join(f"\n  - {line}" for line in self._writes.plan())
            self._print(f"ARM_REAL_WRITE={target.write}. This will be written:{plan}")
        else:
            self._print("Reads only: nothing will be written.")
        wait = options.wait_for_expiry
        if wait is None:
            wait = SANDBOX_WAIT_FOR_EXPIRY if options.arm == "sandbox" else 0
        try:
            observe(wire, findings, self._writes, wait)
        except (WireError, KeyboardInterrupt) as error:
            self._failure = str(error) or "interrupted"
            self._report()
            pytest.exit("the observation was not completed", returncode=_NOT_COMPLETED)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Set the exit code, and close the ARM."""
        self._stack.close()
        if session.exitstatus == pytest.ExitCode.OK and not all(each.supported for each in self._findings):
            session.exitstatus = _UNSUPPORTED

    def pytest_terminal_summary(self) -> None:
        """Print the findings, and write the profile."""
        if not self._failure and hasattr(self, "_backend"):
            self._report()

    def _report(self) -> None:
        findings = self._findings
        self._print(table(findings))
        counts = {kind: sum(each.kind is kind for each in findings) for kind in Kind}
        self._print("\n" + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
        path = Path(self._config.option.observe_readings)
        comment = {"not_observed": [each.name for each in findings.not_observed()]}
        profile = {COMMENT: comment} | findings.profile()
        path.write_text(json.dumps(profile, indent=2) + "\n", encoding="utf-8")
        changes = Readings.parse(profile).changes()
        lines = [f"  {name}: {json.dumps(value)}" for name, value in changes.items()]
        self._print(f"\nThe profile is in {path}. Difference to the default:" + ("" if lines else " none"))
        self._print("\n".join(lines))
        if todo := next_steps(findings):
            self._print(f"To do:\n{todo}")
        if self._writes is not None and self._writes.not_deleted:
            self._print(f"Not deleted: {', '.join(self._writes.not_deleted)}")
        if self._failure:
            self._print(f"verify-real: not completed: {self._failure}")

    def _print(self, text: str) -> None:
        if not text:
            return
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        assert isinstance(reporter, pytest.TerminalReporter)
        reporter.ensure_newline()
        reporter.write_line(text)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Reduce the report of a failure on a real ARM to its line: values in it may be personal data."""
    report: pytest.TestReport = yield
    if item.config.option.arm == "real" and call.excinfo is not None and report.failed:
        error, place = call.excinfo.value, call.excinfo.traceback[-1]
        for entry in call.excinfo.traceback:
            place = entry if str(entry.path) == str(item.path) else place
        line = str(place.statement).strip()
        report.longrepr = f"{item.nodeid}: {type(error).__name__} in line {place.lineno + 1}: {line}"
        report.sections.clear()
    return report
