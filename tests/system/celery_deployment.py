"""Airflow as larger sites run it: PostgreSQL, Redis, and tasks on two Celery workers."""

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

#: Tasks that a worker runs at once: more than two processors can work on only wait for each other.
TASKS_PER_WORKER = 2
#: Seconds after which a task whose process has said nothing counts as dead and is tried again. Airflow's five minutes
#: would be most of the test; a busy machine may make a live one miss some of its words.
HEARTBEAT_TIMEOUT = 40
#: Seconds between two words of a supervisor. Often it notices only then, too, that its task has ended, and gives back
#: the worker's place: with Airflow's five seconds a task of half a second takes six.
HEARTBEAT_SECONDS = 1
#: Seconds after which Redis may hand out anew what a worker took and never finished; Airflow's default is a day. Longer
#: than any task here works, else a task that is alive would be handed out a second time.
VISIBILITY_TIMEOUT = 90
#: Seconds that Airflow's api-server needs at most to take in what a task said before it was stopped.
SETTLE_SECONDS = 1.0

WORKERS = ("worker-1", "worker-2")


def missing() -> str:
    """Say what this machine lacks for the deployment, and how to get it; empty where nothing."""
    for module in ("celery", "psycopg2"):
        if importlib.util.find_spec(module) is None:
            return f"there is no Python package {module} here: make system installs it (the extra system)"
    return services.missing()


def _worker(name: str) -> list[str]:
    # Nobody reads logs over HTTP here, and two workers on one machine would want one port.
    return ["celery", "worker", "--celery-hostname", name, "--skip-serve-logs"]


class CeleryDeployment(Deployment):
    """Airflow on PostgreSQL with the CeleryExecutor, Redis between scheduler and two workers."""

    components: ClassVar[Mapping[str, Sequence[str]]] = {
        **Deployment.components,
        **{name: _worker(name) for name in WORKERS},
    }

    #: The waits here are long, and each look costs the api-server as much as a task does.
    poll_seconds = 1.0

    def __init__(
        self, home: Path, dags: Sequence[Path], connection: dict[str, Any], variables: Mapping[str, str] | None = None
    ) -> None:
        self._services = contextlib.ExitStack()
        self._postgres = services.Postgres()
        self._redis = services.Redis()
        super().__init__(home, dags, connection, variables)

    def settings(self) -> dict[str, str]:
        """Give database, broker and executor, and how soon a dead worker's tasks are tried again."""
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
        """Say whether all of it works, the workers too."""
        return super().healthy() and all(self._takes_tasks(name) for name in WORKERS)

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            self._services.close()

    def worker_of(self, pid: int) -> str:
        """Say which worker runs the process of a task."""
        return next(name for name in WORKERS if self.processes[name].pid == os.getsid(pid))

    def kill_and_orphan(self, worker: str) -> None:
        """Kill a worker with its pool and supervisors, and leave the processes of its tasks alive."""
        os.killpg(self.processes[worker].pid, signal.SIGKILL)
        self.processes.pop(worker).wait()

    def kill_at_work(self, worker: str, dag_id: str, run_id: str, task_id: str) -> list[int]:
        """Kill the worker in the midst of such a task; gives the map indexes of those that died with it."""
        dead: list[int] = []

        def are_at_work() -> bool:
            # Stopped first, so that none ends between the look and the kill; what it has just said is waited for.
            self.signal(worker, signal.SIGSTOP)
            time.sleep(SETTLE_SECONDS)
            running = self.tasks(dag_id, run_id, task_id, "running")
            members = self.members(worker)
            dead.extend(each["map_index"] for each in running if each["pid"] in members)
            if not dead:
                self.signal(worker, signal.SIGCONT)
            return bool(dead)

        self.until(are_at_work, START_SECONDS, f"{worker} is never at work")
        self.kill(worker)
        return dead

    def _takes_tasks(self, name: str) -> bool:
        log = (self.home / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        return f"{name} ready" in log
