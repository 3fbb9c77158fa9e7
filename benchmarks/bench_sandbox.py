"""The sandbox must not be what a benchmark measures: start, one page, batch status, many callers, a million items.

Each figure stands beside the bound that it is held to. Caller and server share this machine; with `taskset` present
they share one core where the bound is one core's.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = 200
LOOKS = 3000
CALLERS, EACH = 64, 20
LARGE = 1_000_000
START_SECONDS = 180


class Caller:
    """A bare HTTP client with a token: as little in front of the server as there can be."""

    def __init__(self, box: dict[str, Any]) -> None:
        self.address = urlsplit(box["url"]).netloc
        self.prefix = f"{urlsplit(box['base_url']).path}/clients/{box['client_no']}"
        self.connection = http.client.HTTPConnection(self.address)
        form = {
            "grant_type": "client_credentials",
            "client_id": box["client_id"],
            "client_secret": box["client_secret"],
        }
        token = self._send(
            "POST", urlsplit(box["auth_url"]).path, urlencode(form), "application/x-www-form-urlencoded", ""
        )
        self.token = json.loads(token)["access_token"]

    def get(self, path: str) -> bytes:
        """GET a path under the client."""
        return self._send("GET", self.prefix + path, None, "application/json", self.token)

    def post(self, path: str, body: Any) -> Any:
        """POST JSON to a path under the client."""
        return json.loads(self._send("POST", self.prefix + path, json.dumps(body), "application/json", self.token))

    def _send(self, method: str, path: str, body: str | None, kind: str, token: str) -> bytes:
        headers = {"Content-Type": kind, "Authorization": f"Bearer {token}"}
        self.connection.request(method, path, body, headers)
        return self.connection.getresponse().read()


@contextmanager
def sandbox(*options: str, one_core: bool = False) -> Iterator[tuple[dict[str, Any], float, subprocess.Popen[bytes]]]:
    """Start arm-sandbox; gives what it says of itself, the seconds until it listened, and the process."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        command = ["arm-sandbox", "--port", "0", "--ready-file", str(ready), *options]
        if one_core and shutil.which("taskset"):
            command = ["taskset", "-c", "0", *command]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not ready.exists():
            if process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                sys.exit("the sandbox did not start")
            time.sleep(0.002)
        seconds = time.perf_counter() - started
        try:
            yield json.loads(ready.read_text(encoding="utf-8")), seconds, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def start_seconds() -> float:
    """Median of five starts, from the command to a listening socket."""
    seconds = []
    for _ in range(5):
        with sandbox() as (_, took, _):
            seconds.append(took)
    return statistics.median(seconds)


def page_and_status() -> tuple[float, float]:
    """Milliseconds of a page of 1,000 items (median), and looks at a batch per second, all on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    with sandbox("--ar-items", "10000", one_core=True) as (box, _, _):
        caller = Caller(box)
        query = json.loads(caller.get("/aritems?pagesize=1000&maximumcount=9000"))["summary"]["queryId"]
        times = []
        for number in range(PAGES):
            begun = time.perf_counter()
            caller.get(f"/aritems?query={query}&pageno={number % 9 + 1}")
            times.append(time.perf_counter() - begun)
        uuid = caller.post("/customers/batches", {"customers": [{"customerNo": "1", "name": "A"}]})["batchUuid"]
        begun = time.perf_counter()
        for _ in range(LOOKS):
            caller.get(f"/batches/{uuid}")
        rate = LOOKS / (time.perf_counter() - begun)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    return statistics.median(times) * 1000, rate


def many_callers() -> int:
    """How many of the upserts of 64 callers at once the ledger has other than once."""
    with sandbox() as (box, _, _):

        def work(first: int) -> None:
            caller = Caller(box)
            for number in range(EACH):
                caller.post("/customers", {"customer": {"customerNo": f"8{first:03}{number:03}", "name": "A"}})

        threads = [threading.Thread(target=work, args=(first,)) for first in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connection = http.client.HTTPConnection(urlsplit(box["url"]).netloc)
        connection.request("GET", "/__sandbox__/ledger")
        customers = json.loads(connection.getresponse().read())["customers"]
    wanted = [f"8{first:03}{number:03}" for first in range(CALLERS) for number in range(EACH)]
    return sum(customers.get(key, {}).get("effects") != 1 for key in wanted)


def large() -> tuple[float, float]:
    """Seconds to make a million items in a folder, and GiB that they take."""
    with tempfile.TemporaryDirectory() as folder:
        with sandbox("--pack", "large", "--ar-items", str(LARGE), "--state", folder) as (_, seconds, _):
            size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        return seconds, size / 2**30


def main() -> None:
    """Print the table."""
    start = start_seconds()
    page, status = page_and_status()
    wrong = many_callers()
    seconds, size = large()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    rows = [
        ("start, command to listening", f"{start:.2f} s", "under 1 s", start < 1),
        ("a page of 1,000 items, median, one core", f"{page:.1f} ms", "under 10 ms", page < 10),
        ("batch status, one core with its caller", f"{status:.0f} /s", "at least 300 /s", status >= 300),
        (f"{CALLERS} callers at once, keys lost or doubled", str(wrong), "0", wrong == 0),
        ("pack large, 1,000,000 items", f"{seconds:.0f} s", "under 60 s", seconds < 60),
        ("  on disk", f"{size:.2f} GiB", "under 1 GiB", size < 1),
        ("  peak memory of a sandbox", f"{peak:.0f} MiB", "", True),
    ]
    for what, figure, bound, holds in rows:
        print(f"  {what:<46} {figure:>12}   {bound:<18} {'' if holds else 'MISSED'}")


if __name__ == "__main__":
    main()
