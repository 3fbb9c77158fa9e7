"""A whole Airflow in processes of its own, each of which a test can kill: what every deployment has in common."""

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

import psutil

from tests.system.services import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

AIRFLOW = (sys.executable, "-m", "airflow")
START_SECONDS = 120
STOP_SECONDS = 15
#: How long the api-server may take on a busy machine.
ANSWER_SECONDS = 60
#: What Airflow's REST API gives at once.
LARGEST_PAGE = 100
LOCAL_DAG_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"


class Deployment:
    """Airflow's processes, everything on loopback, under one folder.

    A deployment says where its database is and which executor runs the tasks (``settings``), and which processes there
    are beside Airflow's own four (``components``).

    :param home: the folder; each process writes its log into ``<name>.log`` there.
    :param dags: folders of DAG files.
    :param connection: what ``arm_default`` is.
    :param variables: more of the environment that DAG files read.
    """

    components: ClassVar[Mapping[str, Sequence[str]]] = {
        "api-server": ["api-server"],
        "scheduler": ["scheduler"],
        "dag-processor": ["dag-processor"],
        "triggerer": ["triggerer"],
    }

    #: Seconds between two looks at what a test waits for.
    poll_seconds = 0.2

    def __init__(
        self, home: Path, dags: Sequence[Path], connection: dict[str, Any], variables: Mapping[str, str] | None = None
    ) -> None:
        self.home = home
        port, trigger_logs, worker_logs = free_ports(3)
        self.address = f"http://127.0.0.1:{port}"
        bundles = [
            {"name": f"dags-{number}", "classpath": LOCAL_DAG_BUNDLE, "kwargs": {"path": str(path)}}
            for number, path in enumerate(dags)
        ]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_CONN_ARM_DEFAULT": json.dumps(connection),
            "AIRFLOW__API__BASE_URL": self.address,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": "a-secret-of-this-test-only-0123456789",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.address}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            # A killed triggerer's triggers are taken over as soon as its heartbeat is missed.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
            **self.settings(),
            **(variables or {}),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._token = ""

    def settings(self) -> dict[str, str]:
        """Give the part of the environment that tells this deployment from others."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Start what Airflow itself needs."""

    def healthy(self) -> bool:
        """Say whether all of it works."""
        try:
            health = self._open("GET", "/api/v2/monitor/health", None, {})
        except (urllib.error.URLError, OSError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all((health.get(name) or {}).get("status") == "healthy" for name in parts)

    def __enter__(self) -> Self:
        try:
            self.prepare()
            with (self.home / "db-migrate.log").open("wb") as log:
                migrate = [*AIRFLOW, "db", "migrate"]
                subprocess.run(migrate, env=self.environment, check=True, stdout=log, stderr=subprocess.STDOUT)
            for name in self.components:
                self.start(name)
            self.until(self.healthy, START_SECONDS, "Airflow is not healthy")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.processes:
            self.signal(name, signal.SIGTERM)
        for name in list(self.processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.processes[name].wait(timeout=STOP_SECONDS)
            self.kill(name)

    def start(self, name: str) -> None:
        """Start a component in a session of its own."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*AIRFLOW, *self.components[name]],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def members(self, name: str) -> list[int]:
        """Give the numbers of a component's processes, those of the tasks that it runs among them.

        Airflow puts a task into a process group of its own, but leaves it in its worker's session.
        """
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
                if os.getsid(process.pid) == self.processes[name].pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send each of a component's processes a signal."""
        for pid in self.members(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self, name: str) -> None:
        """End a component and all that it started with SIGKILL, which no process can answer."""
        while self.members(name):  # again, because one may have started another in between
            self.signal(name, signal.SIGKILL)
        self.processes.pop(name).wait()

    def kill_task(self, pid_file: Path) -> None:
        """End the process that runs the task, and only that one; it wrote its number into *pid_file*."""
        os.kill(int(pid_file.read_text(encoding="utf-8")), signal.SIGKILL)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call Airflow's REST API."""
        if not self._token:
            self._token = self._open("GET", "/auth/token", None, {})["access_token"]
        return self._open(method, path, body, {"Authorization": f"Bearer {self._token}"})

    def run(self, dag_id: str) -> str:
        """Start a run of the DAG as soon as Airflow knows it; gives its id."""
        self.until(lambda: self._known(dag_id), START_SECONDS, f"{dag_id} does not appear")
        self.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
        run_id: str = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]
        return run_id

    def task(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Give what Airflow says of the task, or of one of its mapped instances."""
        found: dict[str, Any] = self.call("GET", f"{_task(dag_id, run_id, task_id)}/{map_index}")
        return found

    def tasks(self, dag_id: str, run_id: str, task_id: str, state: str) -> list[dict[str, Any]]:
        """Give the instances of a mapped task that are in the state, at most a hundred."""
        query = f"task_id={task_id}&state={state}&limit={LARGEST_PAGE}"
        found: list[dict[str, Any]] = self._instances(dag_id, run_id, query)["task_instances"]
        return found

    def count(self, dag_id: str, run_id: str, task_id: str, state: str) -> int:
        """Count the instances of a mapped task that are in the state."""
        query = f"task_id={task_id}&state={state}&limit=1"
        found: int = self._instances(dag_id, run_id, query)["total_entries"]
        return found

    def let_go(self, dag_id: str, run_id: str, task_id: str) -> bool:
        """Say whether the scheduler knows that the process of a task that waits has ended.

        A task that is to go on before that is failed by Airflow 3.3.2, which takes the first process's word for the
        second's. No person is that fast; a test is.
        """
        log = (self.home / "scheduler.log").read_text(encoding="utf-8", errors="replace")
        key = f"dag_id='{dag_id}', task_id='{task_id}', run_id='{run_id}'"
        return any("Received executor event" in line and key in line for line in log.splitlines())

    def returned(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """Give what the task returned."""
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries/return_value?deserialize=true&map_index={map_index}"
        value = self.call("GET", path)["value"]
        return json.loads(value) if isinstance(value, str) else value

    def ends(self, dag_id: str, run_id: str, seconds: float) -> None:
        """Wait until the run has ended, and hold it to have succeeded."""

        def state() -> str:
            return str(self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

        self.until(lambda: state() in {"success", "failed"}, seconds, f"{dag_id} does not end")
        assert state() == "success", f"{dag_id} has failed; the logs are in {self.home}"

    def until(self, holds: Callable[[], Any], seconds: float, otherwise: str) -> None:
        """Wait until *holds*; fail with *otherwise* when it does not come."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                message = f"{otherwise} within {seconds} s"
                raise AssertionError(message)
            time.sleep(self.poll_seconds)

    def _instances(self, dag_id: str, run_id: str, query: str) -> Any:
        return self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances?{query}")

    def _known(self, dag_id: str) -> bool:
        try:
            return bool(self.call("GET", f"/api/v2/dags/{dag_id}"))
        except urllib.error.HTTPError:
            return False

    def _open(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.address + path, data, headers)  # noqa: S310 - our own address
        request.method = method
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - as above
            return json.load(answer)


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
