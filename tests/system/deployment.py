"""A whole Airflow in processes of its own: api-server, scheduler, dag-processor, triggerer; each can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

AIRFLOW = (sys.executable, "-m", "airflow")
START_SECONDS = 120
POLL_SECONDS = 0.2
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


def free_ports(count: int) -> list[int]:
    """Give ports of 127.0.0.1 that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Deployment:
    """Airflow on SQLite with the LocalExecutor, everything on loopback, under one folder."""

    def __init__(self, home: Path, dags: Path, connection: dict[str, Any]) -> None:
        self.home = home
        port, trigger_logs, worker_logs = free_ports(3)
        self.address = f"http://127.0.0.1:{port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_CONN_ARM_DEFAULT": json.dumps(connection),
            "AIRFLOW__API__BASE_URL": self.address,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": "a-secret-of-this-test-only-0123456789",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.address}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            # A killed triggerer's triggers are taken over as soon as its heartbeat is missed.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._token = ""

    def __enter__(self) -> Self:
        subprocess.run([*AIRFLOW, "db", "migrate"], env=self.environment, check=True, capture_output=True)
        for name in COMPONENTS:
            self.start(name)
        self.until(self._healthy, START_SECONDS, "Airflow is not healthy")
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.processes):
            self._signal_group(name, signal.SIGTERM)
        for name, process in self.processes.items():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
            self._signal_group(name, signal.SIGKILL)
            process.wait()

    def start(self, name: str) -> None:
        """Start a component in a process group of its own."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*AIRFLOW, name],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """End a component and all that it started with SIGKILL, which no process can answer."""
        self._signal_group(name, signal.SIGKILL)
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

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Give what Airflow says of the task."""
        found: dict[str, Any] = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")
        return found

    def until(self, holds: Any, seconds: float, otherwise: str) -> None:
        """Wait until *holds*; fail with *otherwise* when it does not come."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                message = f"{otherwise} within {seconds} s"
                raise AssertionError(message)
            time.sleep(POLL_SECONDS)

    def _known(self, dag_id: str) -> bool:
        try:
            return bool(self.call("GET", f"/api/v2/dags/{dag_id}"))
        except urllib.error.HTTPError:
            return False

    def _healthy(self) -> bool:
        try:
            health = self._open("GET", "/api/v2/monitor/health", None, {})
        except (urllib.error.URLError, OSError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all((health.get(name) or {}).get("status") == "healthy" for name in parts)

    def _open(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.address + path, data, headers)  # noqa: S310 - our own address
        request.method = method
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - as above
            return json.load(answer)

    def _signal_group(self, name: str, number: signal.Signals) -> None:
        try:
            os.killpg(self.processes[name].pid, number)
        except ProcessLookupError:
            return
