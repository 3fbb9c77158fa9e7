"""Child processes of ``make demo``, ``make up`` and the system tests: the sandbox, Airflow, databases."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parent.parent
SANDBOX_START_SECONDS = 30
STOP_SECONDS = 30
POLL_SECONDS = 0.25
LOG_LINES = 25


class ProcessError(Exception):
    """A process failed or was not ready in time. The message contains the end of its log."""


class Process:
    """A program in a session of its own, so that Ctrl-C reaches only the caller and all its children can be found.

    :param log: file to which the output is appended.
    :param options: further arguments of :class:`subprocess.Popen`.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, **options: Any) -> None:
        self.name = name
        self.log = log
        options = {"stdin": subprocess.DEVNULL, **options}
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **options
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise ProcessError if the program has ended."""
        if (code := self.popen.poll()) is not None:
            raise ProcessError(f"{self.name} ended with exit code {code}. {end_of_log(self.log)}")

    def wait_until(self, condition: Callable[[], object], seconds: float) -> None:
        """Wait until the condition is true; raise ProcessError if the program ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} was not ready after {seconds:g} s. {end_of_log(self.log)}")
            time.sleep(POLL_SECONDS)

    def complete(self, seconds: float) -> None:
        """Wait until the program has ended; raise ProcessError if it takes longer or its exit code is not 0."""
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProcessError(f"{self.name} took more than {seconds:g} s. {end_of_log(self.log)}") from None
        if code:
            self.check()

    def members(self) -> list[int]:
        """Return the process ids of the program and all its children.

        Airflow puts each task into a process group of its own, but leaves it in the session of its worker.
        """
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
                if os.getsid(process.pid) == self.popen.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and all its children."""
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """Send SIGINT to the program, then SIGKILL to what is left of it and its children after STOP_SECONDS.

        SIGINT is the only signal on which ``airflow standalone`` stops its children.
        """
        self.popen.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Send SIGKILL to the program and all its children, and wait for the program."""
        while self.members():  # again, because one of them may have started another
            self.signal(signal.SIGKILL)
        self.popen.wait()


class Sandbox(Process):
    """arm-sandbox on a free port of 127.0.0.1."""

    def __init__(self, home: Path, **options: int | str) -> None:
        self._ready_file = home / "sandbox.json"
        command = ["arm-sandbox", "--port=0", f"--ready-file={self._ready_file}"]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        super().__init__("The sandbox", command, home / "sandbox.log")

    def is_ready(self) -> bool:
        """Return whether it accepts calls."""
        return self._ready_file.exists()

    def ready(self) -> dict[str, Any]:
        """Return its addresses and credentials."""
        ready: dict[str, Any] = json.loads(self._ready_file.read_text(encoding="utf-8"))
        return ready


def airflow_settings(home: Path, connection: dict[str, Any]) -> dict[str, str]:
    """Return the environment variables of an Airflow on free ports of 127.0.0.1, without login.

    :param connection: the connection ``arm_default``.
    """
    port, trigger_log_port, worker_log_port = free_ports(3)
    address = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_ARM_DEFAULT": json.dumps(connection),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_log_port),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_log_port),
    }


def airflow_is_healthy(address: str) -> bool:
    """Return whether the api-server responds and reports database, scheduler, DAG processor and triggerer healthy."""
    try:
        with urllib.request.urlopen(f"{address}/api/v2/monitor/health", timeout=15) as response:  # noqa: S310 - loopback
            health = json.load(response)
    except (OSError, ValueError):
        return False
    components = ("metadatabase", "scheduler", "dag_processor", "triggerer")
    return all((health.get(name) or {}).get("status") == "healthy" for name in components)


def free_ports(count: int) -> list[int]:
    """Return unused ports of 127.0.0.1."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def end_of_log(log: Path) -> str:
    """Return the last lines of a log, with its path."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    return f"The end of {relative(log)}:\n" + "\n".join(lines)


def relative(path: Path) -> Path:
    """Return the path relative to the repository, if it is in it."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
