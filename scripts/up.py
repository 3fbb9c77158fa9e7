"""Start the sandbox and a whole Airflow beside each other to click around in; Ctrl-C ends both (make up).

Everything lives in .demo/up, which is emptied at every start, and listens on free ports of 127.0.0.1.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo" / "up"
SANDBOX_LOG = HOME / "sandbox.log"
AIRFLOW_LOG = HOME / "airflow.log"

SANDBOX_START_SECONDS = 30
AIRFLOW_START_SECONDS = 180
END_SECONDS = 30
POLL_SECONDS = 0.25

HEALTH_PATH = "/api/v2/monitor/health"
COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")

stop = threading.Event()
hurry = threading.Event()


class StartError(Exception):
    """A part did not start, or ended by itself; the message is for the person at the terminal."""


class Part:
    """A program that this script started, and ends."""

    def __init__(self, name: str, command: list[str], log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=HOME,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C comes to this script only, which then ends the parts in order
            )

    def check(self) -> None:
        """Raise StartError if the program has ended."""
        if (code := self.process.poll()) is not None:
            tail = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
            msg = f"{self.name} ended with exit code {code}. The end of {shown(self.log)}:\n{tail}"
            raise StartError(msg)

    def wait_for(self, what: Callable[[], bool], seconds: float) -> None:
        """Wait until `what` is true; raise StartError if the program ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not stop.is_set() and not what():
            self.check()
            if time.monotonic() > deadline:
                msg = f"{self.name} was not ready after {seconds:.0f} s; see {shown(self.log)}."
                raise StartError(msg)
            stop.wait(POLL_SECONDS)

    def end(self) -> None:
        """Ask with SIGINT, the only signal on which `airflow standalone` ends its children; then insist."""
        self._send(signal.SIGINT)
        deadline = time.monotonic() + END_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline and not hurry.is_set():
            time.sleep(POLL_SECONDS)
        # Whoever is left of the group that was made for this program: usually nobody.
        for last in (signal.SIGTERM, signal.SIGKILL):
            self._send_group(last)
            self.process.poll()
            time.sleep(POLL_SECONDS)
        self.process.wait()

    def _send(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def _send_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return


def shown(path: Path) -> Path:
    """Return the path as seen from the repository."""
    return path.relative_to(ROOT)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start_sandbox(parts: list[Part]) -> dict[str, object]:
    """Start the sandbox and return what its ready file says."""
    ready_file = HOME / "sandbox.json"
    options = {"--port": "0", "--ready-file": str(ready_file), "--ar-items": "2000", "--batch-delay": "5"}
    command = ["arm-sandbox", *(word for option in options.items() for word in option)]
    parts.append(Part("The sandbox", command, SANDBOX_LOG, os.environ))
    answer: dict[str, object] = {}

    def ready() -> bool:
        try:
            answer.update(json.loads(ready_file.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):  # not yet there, or half written
            return False
        return True

    parts[-1].wait_for(ready, SANDBOX_START_SECONDS)
    return answer


def airflow_settings(port: int, log_ports: list[int], connection: str) -> dict[str, str]:
    """Return the environment of an Airflow that needs no login and shares nothing with another one."""
    address = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW_HOME": str(HOME / "airflow"),
        "AIRFLOW_CONN_ARM_DEFAULT": connection,
        "ARM_OUTPUT": str(HOME / "output"),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(log_ports[0]),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_ports[1]),
    }


def start_airflow(parts: list[Part], connection: object) -> str:
    """Start all of Airflow and return its address."""
    port, *log_ports = free_ports(3)
    text = connection if isinstance(connection, str) else json.dumps(connection)
    settings = airflow_settings(port, log_ports, text)
    parts.append(Part("Airflow", ["airflow", "standalone"], AIRFLOW_LOG, {**os.environ, **settings}))
    address = settings["AIRFLOW__API__BASE_URL"]

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(address + HEALTH_PATH, timeout=5) as answer:  # noqa: S310 - our own address
                health = json.load(answer)
        except (urllib.error.URLError, OSError, ValueError):
            return False
        return all((health.get(name) or {}).get("status") == "healthy" for name in COMPONENTS)

    parts[-1].wait_for(healthy, AIRFLOW_START_SECONDS)
    return address


def on_signal(_number: int, _frame: FrameType | None) -> None:
    """End in order at the first signal, at once at the second."""
    if stop.is_set():
        hurry.set()
    stop.set()


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def run(parts: list[Part]) -> None:
    """Start both and watch them until a signal comes."""
    say("Starting the sandbox of ARM ...")
    sandbox = start_sandbox(parts)
    if not stop.is_set():
        say("Starting Airflow (about 20 seconds) ...")
        airflow = start_airflow(parts, sandbox["connection"])
    if not stop.is_set():
        say(f"""
  Airflow   {airflow}
            No password: the page logs you in as an administrator.
            Try the DAG arm_quickstart; the connection arm_default leads to the sandbox.
  Sandbox   {sandbox["url"]}
  Logs      {shown(AIRFLOW_LOG)}, {shown(SANDBOX_LOG)}

Ctrl-C ends both.""")
    while not stop.wait(1):
        for part in parts:
            part.check()


def only_one() -> int:
    """Take the lock that a second `make up` in this directory does not get; it is free again when this process ends."""
    HOME.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(HOME.parent / "up.lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("error: make up is already running in this directory; end it first.")
    return lock


def main() -> NoReturn:
    """Start, wait for a signal, end; exit code 1 if a part failed."""
    only_one()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)  # also so that the parts do not inherit an ignored SIGINT
    parts: list[Part] = []
    failure = ""
    try:
        run(parts)
    except StartError as error:
        failure = f"error: {error}"
    finally:
        say("\nEnding ...")
        for part in reversed(parts):
            part.end()
    sys.exit(failure or 0)


if __name__ == "__main__":
    main()
