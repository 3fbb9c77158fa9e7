"""Airflow on PostgreSQL and Redis with two Celery workers."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import time
from typing import TYPE_CHECKING, Any, ClassVar

from tests.system import services
from tests.system.deployment import START_SECONDS, Deployment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: Tasks that a worker runs at once; more would only compete for two processors.
TASKS_PER_WORKER = 2
#: Seconds without a heartbeat after which Airflow retries a task. The default of five minutes would be most of the
#: test; on a busy machine a live task may miss some heartbeats.
HEARTBEAT_TIMEOUT = 40
#: Seconds between heartbeats of a supervisor. Often it detects only then that its task has ended, and frees the slot:
#: with Airflow's five seconds a task of half a second takes six.
HEARTBEAT_SECONDS = 1
#: Seconds after which an unacknowledged task is delivered again; Airflow's default is a day. Longer than any task
#: here runs, or else a running task would be delivered twice.
VISIBILITY_TIMEOUT = 90
#: Seconds that Airflow's api-server needs at most to process the requests that a task sent before it was stopped.
SETTLE_SECONDS = 1.0

WORKERS = ("worker-1", "worker-2")


def missing() -> str:
    """Return what this machine lacks for the deployment, and how to install it; empty if nothing."""
    for module in ("celery", "psycopg2"):
        if importlib.util.find_spec(module) is None:
            return f"the Python package {module} is not installed: make system installs it (the extra system)"
    return services.missing()


def _worker(name: str) -> list[str]:
    # No test reads logs over HTTP, and two workers on one machine would need the same port.
    return ["celery", "worker", "--celery-hostname", name, "--skip-serve-logs"]


class CeleryDeployment(Deployment):
    """Airflow with the CeleryExecutor, PostgreSQL, Redis and two workers."""

    components: ClassVar[Mapping[str, Sequence[str]]] = {
        **Deployment.components,
        **{name: _worker(name) for name in WORKERS},
    }

    #: The waits are long, and each check costs the api-server as much as a task does.
    poll_seconds = 1.0

    def __init__(
        self, home: Path, dags: Sequence[Path], connection: dict[str, Any], variables: Mapping[str, str] | None = None
    ) -> None:
        self._services = contextlib.ExitStack()
        self._postgres = services.Postgres()
        self._redis = services.Redis()
        super().__init__(home, dags, connection, variables)

    def settings(self) -> dict[str, str]:
        """Return database, broker and executor, and the times after which a dead worker's tasks are retried."""
        database = self._postgres.url("psycopg2")
        return {
            "AIRFLOW__CELERY__BROKER_URL": self._redis.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(TASKS_PER_WORKER),
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": str(VISIBILITY_TIMEOUT),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": str(HEARTBEAT_SECONDS),
        }

    def prepare(self) -> None:
        """Start PostgreSQL and Redis."""
        self._services.enter_context(self._postgres)
        self._services.enter_context(self._redis)

    def healthy(self) -> bool:
        """Return whether all components work, including the workers."""
        return super().healthy() and all(self._is_ready(name) for name in WORKERS)

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            self._services.close()

    def worker_of(self, pid: int) -> str:
        """Return the worker that runs the process of a task."""
        return next(name for name in WORKERS if self.processes[name].popen.pid == os.getsid(pid))

    def kill_and_orphan(self, worker: str) -> None:
        """Kill a worker with its pool and supervisors, but not the processes of its tasks."""
        process = self.processes.pop(worker).popen
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def kill_while_running(self, worker: str, dag_id: str, run_id: str, task_id: str) -> list[int]:
        """Kill the worker while it runs instances of a mapped task, and return the map indexes of those instances."""
        process = self.processes[worker]
        dead: list[int] = []

        def runs_instances() -> bool:
            # Stopped first, so that no instance ends between the check and the kill; its last requests are waited for.
            process.signal(signal.SIGSTOP)
            time.sleep(SETTLE_SECONDS)
            running = self.tasks(dag_id, run_id, task_id, "running")
            members = process.members()
            dead.extend(each["map_index"] for each in running if each["pid"] in members)
            if not dead:
                process.signal(signal.SIGCONT)
            return bool(dead)

        self.until(runs_instances, START_SECONDS, f"{worker} runs no {task_id}")
        self.kill(worker)
        return dead

    def _is_ready(self, name: str) -> bool:
        log = (self.home / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        return f"{name} ready" in log
