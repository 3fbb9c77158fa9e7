"""Base class of the Airflow deployments whose processes the system tests kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, ClassVar, Self

from processes import Process, airflow_is_healthy, airflow_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

AIRFLOW = (sys.executable, "-m", "airflow")
START_SECONDS = 120
STOP_SECONDS = 15
MIGRATE_SECONDS = 300
#: How long the api-server may take to respond on a busy machine.
RESPONSE_SECONDS = 60
#: The page size limit of Airflow's REST API.
LARGEST_PAGE = 100
LOCAL_DAG_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"


class Deployment:
    """Airflow's processes on loopback.

    A subclass sets database and executor (``settings``) and the processes beside Airflow's own four (``components``).

    :param home: AIRFLOW_HOME; each process writes its log to ``<name>.log`` there.
    :param dags: folders of DAG files.
    :param connection: the connection ``arm_default``.
    :param variables: additional environment variables, which DAG files read.
    """

    components: ClassVar[Mapping[str, Sequence[str]]] = {
        "api-server": ["api-server"],
        "scheduler": ["scheduler"],
        "dag-processor": ["dag-processor"],
        "triggerer": ["triggerer"],
    }

    #: Seconds between checks of a condition that a test waits for.
    poll_seconds = 0.2

    def __init__(
        self, home: Path, dags: Sequence[Path], connection: dict[str, Any], variables: Mapping[str, str] | None = None
    ) -> None:
        self.home = home
        bundles = [
            {"name": f"dags-{number}", "classpath": LOCAL_DAG_BUNDLE, "kwargs": {"path": str(path)}}
            for number, path in enumerate(dags)
        ]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            **airflow_settings(home, connection),
            "AIRFLOW__API_AUTH__JWT_SECRET": "a-secret-of-this-test-only-0123456789",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            # The triggers of a killed triggerer are reassigned as soon as its heartbeat is missing.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
            **self.settings(),
            **(variables or {}),
        }
        self.address = self.environment["AIRFLOW__API__BASE_URL"]
        self.processes: dict[str, Process] = {}
        self._token = ""

    def settings(self) -> dict[str, str]:
        """Return the environment variables in which this deployment differs from others."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Start the services that Airflow needs."""

    def healthy(self) -> bool:
        """Return whether all components work."""
        return airflow_is_healthy(self.address)

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self._process("db-migrate", ["db", "migrate"]).complete(MIGRATE_SECONDS)
            for name in self.components:
                self.start(name)
            self.until(self.healthy, START_SECONDS, "Airflow is not healthy")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.signal(signal.SIGTERM)
        for name, process in list(self.processes.items()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(timeout=STOP_SECONDS)
            self.kill(name)

    def start(self, name: str) -> None:
        """Start a component."""
        self.processes[name] = self._process(name, self.components[name])

    def kill(self, name: str) -> None:
        """Send SIGKILL to a component and all its children."""
        self.processes.pop(name).kill()

    def kill_task(self, pid_file: Path) -> None:
        """Send SIGKILL only to the process of the task, which has written its process id to *pid_file*."""
        os.kill(int(pid_file.read_text(encoding="utf-8")), signal.SIGKILL)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the response of Airflow's REST API."""
        if not self._token:
            self._token = self._open("GET", "/auth/token", None, {})["access_token"]
        return self._open(method, path, body, {"Authorization": f"Bearer {self._token}"})

    def run(self, dag_id: str) -> str:
        """Start a run of the DAG as soon as Airflow has parsed it, and return its id."""
        self.until(lambda: self._is_parsed(dag_id), START_SECONDS, f"{dag_id} was not parsed")
        self.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
        run_id: str = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]
        return run_id

    def task(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return the task instance."""
        found: dict[str, Any] = self.call("GET", f"{_task(dag_id, run_id, task_id)}/{map_index}")
        return found

    def tasks(self, dag_id: str, run_id: str, task_id: str, state: str) -> list[dict[str, Any]]:
        """Return up to a hundred instances of a mapped task that are in the state."""
        query = f"task_id={task_id}&state={state}&limit={LARGEST_PAGE}"
        found: list[dict[str, Any]] = self._instances(dag_id, run_id, query)["task_instances"]
        return found

    def count(self, dag_id: str, run_id: str, task_id: str, state: str) -> int:
        """Count the instances of a mapped task that are in the state."""
        query = f"task_id={task_id}&state={state}&limit=1"
        found: int = self._instances(dag_id, run_id, query)["total_entries"]
        return found

    def executor_finished(self, dag_id: str, run_id: str, task_id: str) -> bool:
        """Return whether the scheduler has processed the executor event of a task that waits.

        Airflow 3.3.2 fails a task that resumes before that, because it attributes the event to the second process. A
        test can be fast enough for that, unlike a user.
        """
        log = (self.home / "scheduler.log").read_text(encoding="utf-8", errors="replace")
        key = f"dag_id='{dag_id}', task_id='{task_id}', run_id='{run_id}'"
        return any("Received executor event" in line and key in line for line in log.splitlines())

    def returned(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """Return the task's return value."""
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries/return_value?deserialize=true&map_index={map_index}"
        value = self.call("GET", path)["value"]
        return json.loads(value) if isinstance(value, str) else value

    def wait_for_success(self, dag_id: str, run_id: str, seconds: float) -> None:
        """Wait until the run has ended, and fail if it has not succeeded."""

        def state() -> str:
            return str(self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

        self.until(lambda: state() in {"success", "failed"}, seconds, f"{dag_id} has not ended")
        assert state() == "success", f"{dag_id} failed; see the logs in {self.home}"

    def until(self, condition: Callable[[], Any], seconds: float, failure: str) -> None:
        """Wait until the condition is true; raise AssertionError with the message *failure* when the time is over."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                message = f"{failure} after {seconds} s"
                raise AssertionError(message)
            time.sleep(self.poll_seconds)

    def _instances(self, dag_id: str, run_id: str, query: str) -> Any:
        return self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances?{query}")

    def _process(self, name: str, arguments: Sequence[str]) -> Process:
        return Process(name, [*AIRFLOW, *arguments], self.home / f"{name}.log", env=self.environment)

    def _is_parsed(self, dag_id: str) -> bool:
        try:
            return bool(self.call("GET", f"/api/v2/dags/{dag_id}"))
        except urllib.error.HTTPError:
            return False

    def _open(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.address + path, data, headers)  # noqa: S310 - loopback
        request.method = method
        with urllib.request.urlopen(request, timeout=RESPONSE_SECONDS) as response:  # noqa: S310 - as above
            return json.load(response)


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
