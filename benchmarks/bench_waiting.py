"""How many batches one triggerer can wait for: 5,000 triggers, each looking every five seconds, at 20 ms of latency.

The server is another process: it answers each look after 20 ms, counts connections, and lets each batch end at a moment
that its name says. "no core" is the share of time in which our process was ready and another one had the core: where it
is more than a few hundredths, the lags are the machine's. "stops" are full rounds of Python's collector, which look
through all of Airflow and hold every trigger meanwhile: how many, and the milliseconds of the longest.
The same looks by what a user might pick instead are run beside it: an aiohttp session per trigger, and requests in
threads.

Reads "MISSED" where a figure is beyond its bound. Run it alone on the machine:
scripts/bench benchmarks/bench_waiting.py
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

TRIGGERS = 5000
INTERVAL = 5.0
LATENCY = 0.020
#: Seconds until every trigger is in its rhythm, of measuring, and in which the batches end.
WARM_UP, MEASURE, ENDINGS = 10.0, 30.0, 10.0
#: Seconds of measuring what is only there to compare with.
COMPARE = 10.0
THREADS = 32


class Server(asyncio.Protocol):
    """As little of HTTP as it takes: one request at a time on a kept connection, answered after the latency."""

    open = most = looks = 0

    def connection_made(self, transport: Any) -> None:
        """Count."""
        self.transport, self.buffer = transport, b""
        Server.open += 1
        Server.most = max(Server.most, Server.open)

    def connection_lost(self, _: Exception | None) -> None:
        """Count."""
        Server.open -= 1

    def data_received(self, data: bytes) -> None:
        """Answer a whole request."""
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end or (head.startswith(b"POST") and not body):
            return
        self.buffer = b""
        path = head.split(b" ", 2)[1].decode()
        if path == "/counts":  # itself a connection, which does not count
            answer, Server.most, Server.looks = {"most": Server.most - 1, "looks": Server.looks}, Server.open, 0
            self.transport.write(response(200, answer))
        elif path == "/token":
            self.transport.write(response(200, {"access_token": "bench-token", "expires_in": 3600}))
        else:
            Server.looks += 1
            asyncio.get_running_loop().call_later(LATENCY, self.answer, path)

    def answer(self, path: str) -> None:
        """Say what the batch is; its name ends with the unix second of its end."""
        name = path.rsplit("/", 1)[1]
        done = time.time() >= float(name.partition("-")[2])
        counts = {"totalCount": 500, "processedCount": 500 if done else 120, "failedCount": 0}
        body = {"batchUuid": name, "clientNo": 2218, "status": "PROCESSED" if done else "PROCESSING", **counts}
        self.transport.write(response(200 if done else 202, body))


def percentile(values: list[float], share: float) -> float:
    """Give the value that *share* of all stay under."""
    return sorted(values)[int(share * (len(values) - 1))] if values else float("inf")


def response(status: int, body: Any) -> bytes:
    """Write an answer."""
    text = json.dumps(body).encode()
    return b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(text),
        text,
    )


async def serve() -> None:
    """Serve until killed; the first line of output is the port."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=TRIGGERS)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def server() -> Iterator[str]:
    """Start the server as another process; gives its address."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{(process.stdout or sys.stdin).readline().strip()}"
        finally:
            process.kill()


def counts(url: str) -> dict[str, int]:
    """Ask the server for the most connections and the looks since the last time."""
    import requests

    answer: dict[str, int] = requests.get(f"{url}/counts", timeout=30).json()
    return answer


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def seconds_without_core() -> float:
    """Seconds in which this thread was ready to run and waited for a core."""
    return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


class Lags:
    """How much later each look was done than it was due and ARM needed; milliseconds."""

    def __init__(self) -> None:
        self.due: dict[Any, float] = {}
        self.taken: list[float] = []

    def planned(self, who: Any, seconds: float) -> None:
        """Note that a look is done and the next one due in so many seconds."""
        now = time.monotonic()
        if who in self.due:
            self.taken.append((now - self.due[who] - LATENCY) * 1000)
        self.due[who] = now + seconds


class Collector:
    """The full rounds of Python's garbage collector while the block lasts."""

    def __enter__(self) -> Self:
        """Listen."""
        self.stops: list[float] = []
        gc.callbacks.append(self.heard)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        gc.callbacks.remove(self.heard)

    def heard(self, phase: str, info: dict[str, int]) -> None:
        """Note a full round."""
        if info["generation"] < 2:
            return
        if phase == "start":
            self.began = time.perf_counter()
        else:
            self.stops.append((time.perf_counter() - self.began) * 1000)


async def measured(url: str, lags: Lags, seconds: float) -> dict[str, float]:
    """Measure for *seconds* what this process does."""
    await asyncio.to_thread(counts, url)
    lags.taken.clear()
    begun, cpu, waited = time.monotonic(), time.process_time(), seconds_without_core()
    with Collector() as collector:
        await asyncio.sleep(seconds)
    passed, used = time.monotonic() - begun, time.process_time() - cpu
    waited = (seconds_without_core() - waited) / passed
    p99, middle = percentile(lags.taken, 0.99), percentile(lags.taken, 0.5)
    seen = await asyncio.to_thread(counts, url)
    figures = {"looks": seen["looks"] / passed, "core": used / passed, "p50": middle, "p99": p99, "waited": waited}
    figures |= {"stops": len(collector.stops), "longest": max(collector.stops, default=0.0)}
    return figures | {"ms": used / max(1, seen["looks"]) * 1000, "connections": seen["most"]}


async def ours(url: str) -> dict[str, float]:
    """Wait with :class:`BatchTrigger`, until every batch has ended."""
    from airflow_provider_arm.triggers import batch
    from airflow_provider_arm.triggers.polling import batch_poller, shared_timer

    lags = Lags()

    class MeasuredTimer(shared_timer.SharedTimer):
        def schedule(self, entry: Any, seconds: float) -> None:
            lags.planned(entry, seconds)
            super().schedule(entry, seconds)

    shared_timer.SharedTimer = MeasuredTimer  # type: ignore[misc]
    ends = [time.time() + WARM_UP + MEASURE + 3 + ENDINGS * random.random() for _ in range(TRIGGERS)]
    late: list[float] = []

    async def run(number: int) -> None:
        now = time.time()
        trigger = batch.BatchTrigger(
            batch_uuids=[f"{number}-{ends[number]:.3f}"],
            arm_conn_id="arm_default",
            client_no=None,
            poll_interval=INTERVAL,
            max_poll_interval=INTERVAL,
            started=now,
            deadline=now + 3600,
        )
        events = [event.payload async for event in trigger.run()]
        if events != [{"status": "finished"}]:
            sys.exit(f"a trigger sent {events}")
        late.append(time.time() - ends[number])

    del batch_poller
    gc.collect()
    before = resident_bytes()
    tasks = [asyncio.create_task(run(number)) for number in range(TRIGGERS)]
    await asyncio.sleep(WARM_UP)
    figures = await measured(url, lags, MEASURE)
    memory = (resident_bytes() - before) / TRIGGERS / 1000
    await asyncio.gather(*tasks)
    return figures | {"memory": memory, "latest": max(late), "ended": len(late)}


async def beside(url: str, look: Callable[[str], Awaitable[None]]) -> dict[str, float]:
    """Wait with *look* for batches that do not end, for a shorter while."""
    lags, end = Lags(), time.time() + 3600

    async def run(number: int) -> None:
        await asyncio.sleep(INTERVAL * random.random())
        while True:
            await look(f"{url}/clients/2218/batches/{number}-{end:.3f}")
            lags.planned(number, INTERVAL)
            await asyncio.sleep(INTERVAL)

    tasks = [asyncio.create_task(run(number)) for number in range(TRIGGERS)]
    await asyncio.sleep(WARM_UP)
    figures = await measured(url, lags, COMPARE)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return figures


async def session_per_trigger(url: str) -> dict[str, float]:
    """An aiohttp session of its own for every trigger."""
    import aiohttp

    sessions: dict[str, aiohttp.ClientSession] = {}

    async def look(address: str) -> None:
        if address not in sessions:
            sessions[address] = aiohttp.ClientSession()
        async with sessions[address].get(address, headers={"Authorization": "Bearer bench-token"}) as answer:
            await answer.json()

    figures = await beside(url, look)
    for session in sessions.values():
        await session.close()
    return figures


async def requests_in_threads(url: str) -> dict[str, float]:
    """One requests session per thread, in a pool of threads."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    import requests

    local, pool = threading.local(), ThreadPoolExecutor(THREADS)

    def get(address: str) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        local.session.get(address, headers={"Authorization": "Bearer bench-token"}, timeout=30).json()

    async def look(address: str) -> None:
        await asyncio.get_running_loop().run_in_executor(pool, get, address)

    figures = await beside(url, look)
    pool.shutdown(wait=False, cancel_futures=True)
    return figures


def prepare(url: str) -> None:
    """Let the connection lead to the server, and be quiet."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        os.environ.pop(name, None)
    extra = {"auth_url": f"{url}/token", "client_no": 2218}
    connection = {"conn_type": "arm", "host": url, "login": "id", "password": "secret", "extra": extra}
    os.environ["AIRFLOW_CONN_ARM_DEFAULT"] = json.dumps(connection)
    import airflow.sdk  # noqa: F401 - sets up Airflow's logging, which the next line silences

    logging.disable(logging.WARNING)


def allow_connections() -> None:
    """Raise the limit of open files: a session per trigger needs a connection for each."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Print the tables."""
    allow_connections()
    names = {
        "BatchTrigger": ours,
        "session per trigger": session_per_trigger,
        "requests in threads": requests_in_threads,
    }
    chosen = sys.argv[1:] or list(names)
    found: dict[str, dict[str, float]] = {}
    for name in chosen:
        with server() as url:
            prepare(url)
            found[name] = asyncio.run(names[name](url))
    print(
        f"  {'':<22} {'looks/s':>8} {'ms CPU':>7} {'a core':>7} {'lag p50':>9} {'lag p99':>9} {'connections':>12}"
        f" {'no core':>8} {'stops':>12}"
    )
    for name, one in found.items():
        print(
            f"  {name:<22} {one['looks']:>8.0f} {one['ms']:>7.2f} {one['core']:>7.2f} {one['p50']:>6.1f} ms"
            f" {one['p99']:>6.1f} ms {one['connections']:>12.0f} {one['waited']:>8.2f}"
            f" {one['stops']:>3.0f} x {one['longest']:>3.0f} ms"
        )
    if own := found.get("BatchTrigger"):
        judge(own)


def judge(own: dict[str, float]) -> None:
    """Print our figures beside their bounds."""
    rows = [
        ("lag of a look, 99th percentile", f"{own['p99']:.1f} ms", "under 50 ms", own["p99"] < 50),
        ("share of a core", f"{own['core']:.2f}", "under 0.50", own["core"] < 0.5),
        ("connections", f"{own['connections']:.0f}", "at most 64", own["connections"] <= 64),
        ("memory of a trigger", f"{own['memory']:.0f} kB", "under 60 kB", own["memory"] < 60),
        ("ends noticed", f"{own['ended']:.0f}", f"all of {TRIGGERS}", own["ended"] == TRIGGERS),
        (
            "  the latest after",
            f"{own['latest']:.2f} s",
            "an interval, a look",
            own["latest"] < INTERVAL + LATENCY + 0.05,
        ),
    ]
    print()
    for what, figure, bound, holds in rows:
        print(f"  {what:<46} {figure:>12}   {bound:<20} {'' if holds else 'MISSED'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", action="store_true")
    if parser.parse_known_args()[0].serve:
        asyncio.run(serve())
    else:
        main()
