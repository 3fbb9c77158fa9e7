"""Start the sandbox and Airflow to try things by hand; Ctrl-C stops both (make up).

All files are in .demo/up, which is emptied at each start. Both listen on free ports of 127.0.0.1.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from processes import (
    ROOT,
    SANDBOX_START_SECONDS,
    Process,
    ProcessError,
    Sandbox,
    airflow_is_healthy,
    airflow_settings,
    relative,
)

if TYPE_CHECKING:
    from types import FrameType

HOME = ROOT / ".demo" / "up"
AIRFLOW_START_SECONDS = 180
#: Client numbers of the connections arm_default and arm_subsidiaries, as in the DAG arm_legal_entities.
CLIENTS, SUBSIDIARIES = (2218, 2219), (3301, 3302)
#: Long enough to see a batch and its wait on both pages.
BATCH_DELAY = 5

processes: list[Process] = []
stop = threading.Event()


def start_sandbox() -> Sandbox:
    """Start the sandbox and wait until it accepts calls or a signal is received."""
    clients = ",".join(map(str, (*CLIENTS, *SUBSIDIARIES)))
    sandbox = Sandbox(HOME, ar_items=2000, batch_delay=BATCH_DELAY, clients=clients)
    processes.append(sandbox)
    sandbox.wait_until(lambda: stop.is_set() or sandbox.is_ready(), SANDBOX_START_SECONDS)
    return sandbox


def start_airflow(sandbox: Sandbox) -> str:
    """Start Airflow, wait until it is healthy or a signal is received, and return its address."""
    connection = sandbox.ready()["connection"]
    subsidiaries = {**connection, "extra": {**connection["extra"], "client_no": SUBSIDIARIES[0]}}
    settings = {
        **airflow_settings(HOME / "airflow", connection),
        "AIRFLOW_CONN_ARM_SUBSIDIARIES": json.dumps(subsidiaries),
        "ARM_OUTPUT": str(HOME / "output"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    }
    address = settings["AIRFLOW__API__BASE_URL"]
    command = ["airflow", "standalone"]
    airflow = Process("Airflow", command, HOME / "airflow.log", cwd=HOME, env={**os.environ, **settings})
    processes.append(airflow)
    airflow.wait_until(lambda: stop.is_set() or airflow_is_healthy(address), AIRFLOW_START_SECONDS)
    return address


def on_signal(_number: int, _frame: FrameType | None) -> None:
    """Stop in order at the first signal; kill everything at the second."""
    if stop.is_set():
        for process in processes:
            process.signal(signal.SIGKILL)
    stop.set()


def run() -> None:
    """Start both, and raise ProcessError if one of them ends before a signal is received."""
    print("Starting the sandbox of ARM ...", flush=True)
    sandbox = start_sandbox()
    if not stop.is_set():
        print("Starting Airflow (about 20 seconds) ...", flush=True)
        address = start_airflow(sandbox)
    if not stop.is_set():
        text = f"""
  Airflow   {address}
            No password: the page logs you in as an administrator.
            Try the DAG arm_quickstart; the connections arm_default and arm_subsidiaries lead to the sandbox.
  Sandbox   {sandbox.ready()["url"]}
            It processes a batch {BATCH_DELAY} seconds after its submission.
  Logs      {", ".join(str(relative(process.log)) for process in reversed(processes))}

Ctrl-C stops both."""
        print(text, flush=True)
    while not stop.wait(1):
        for process in processes:
            process.check()


def lock_home() -> None:
    """Lock this directory until the process ends; exit if another ``make up`` has locked it."""
    HOME.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(HOME.parent / "up.lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("error: make up is already running in this directory; stop it first.")


def main() -> NoReturn:
    """Start both, wait for a signal, stop both; exit with 1 if one of them failed."""
    lock_home()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)  # also so that the processes do not inherit an ignored SIGINT
    failure = ""
    try:
        run()
    except ProcessError as error:
        failure = f"error: {error}"
    finally:
        print("\nStopping ...", flush=True)
        for process in reversed(processes):
            process.stop()
    sys.exit(failure or 0)


if __name__ == "__main__":
    main()
