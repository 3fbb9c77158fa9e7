"""Benchmark of waiting for batches: 5,000 triggers in one process, each polling every five seconds, at 20 ms latency.

The server is another process. It responds to each poll after 20 ms, counts connections, and finishes each batch at the
time in its batchUuid. For comparison, two alternatives send the same polls: an aiohttp session per trigger, and
requests in threads.

Columns: "no core" is the share of time in which this process was ready to run and had no core. Above a few hundredths,
the machine causes the lags. "gc stops" are full runs of Python's garbage collector, which visit all objects of Airflow
and stop every trigger: their number, and the milliseconds of the longest.

It prints "MISSED" beside a figure beyond its limit. Run it on an otherwise idle machine:
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
#: Seconds before the measurement, of the measurement, and in which the batches finish.
WARM_UP, MEASURE, ENDINGS = 10.0, 30.0, 10.0
#: Seconds of the measurement of an alternative.
COMPARE = 10.0
THREADS = 32


class Server(asyncio.Protocol):
    """Minimal HTTP: one request at a time on a kept-alive connection, with the response after the latency."""

    open_connections = max_connections = polls = 0

    def connection_made(self, transport: Any) -> None:
        """Count the connection."""
        self.transport, self.buffer = transport, b""
        Server.open_connections += 1
        Server.max_connections = max(Server.max_connections, Server.open_connections)

    def connection_lost(self, _: Exception | None) -> None:
        """Count the closed connection."""
        Server.open_connections -= 1

    def data_received(self, data: bytes) -> None:
        """Respond to a complete request."""
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end or (head.startswith(b"POST") and not body):
            return
        self.buffer = b""
        path = head.split(b" ", 2)[1].decode()
        if path == "/counts":  # its own connection is not counted
            counts = {"max_connections": Server.max_connections - 1, "polls": Server.polls}
            Server.max_connections, Server.polls = Server.open_connections, 0
            self.transport.write(build_response(200, counts))
        elif path == "/token":
            self.transport.write(build_response(200, {"access_token": "bench-token", "expires_in": 3600}))
        else:
            Server.polls += 1
            asyncio.get_running_loop().call_later(LATENCY, self.respond, path)

    def respond(self, path: str) -> None:
        """Respond with the state of the batch. The batchUuid ends with the unix second at which it is finished."""
        batch_uuid = path.rsplit("/", 1)[1]
        done = time.time() >= float(batch_uuid.partition("-")[2])
        counts = {"totalCount": 500, "processedCount": 500 if done else 120, "failedCount": 0}
        body = {"batchUuid": batch_uuid, "clientNo": 2218, "status": "PROCESSED" if done else "PROCESSING", **counts}
        self.transport.write(build_response(200 if done else 202, body))


def percentile(values: list[float], share: float) -> float:
    """Return the value below which *share* of the values are; infinity without values."""
    return sorted(values)[int(share * (len(values) - 1))] if values else float("inf")


def build_response(status: int, body: Any) -> bytes:
    """Build an HTTP response."""
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
    """Start the server as another process; yield its URL."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{(process.stdout or sys.stdin).readline().strip()}"
        finally:
            process.kill()


def fetch_counts(url: str) -> dict[str, int]:
    """Return the maximum of open connections, and the number of polls, since the previous call."""
    import requests

    counts: dict[str, int] = requests.get(f"{url}/counts", timeout=30).json()
    return counts


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def seconds_without_core() -> float:
    """Return the seconds in which this thread was ready to run and had no core."""
    return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


class Lags:
    """Lag of each poll in milliseconds: from its due time to its end, without the latency."""

    def __init__(self) -> None:
        self.due: dict[Any, float] = {}
        self.milliseconds: list[float] = []

    def record(self, caller: Any, seconds: float) -> None:
        """Record that a poll of *caller* has ended, and that its next one is due in *seconds*."""
        now = time.monotonic()
        if caller in self.due:
            self.milliseconds.append((now - self.due[caller] - LATENCY) * 1000)
        self.due[caller] = now + seconds


class GarbageCollections:
    """Durations of the full runs of Python's garbage collector in a ``with`` block, in milliseconds."""

    def __enter__(self) -> Self:
        """Register the callback."""
        self.durations: list[float] = []
        gc.callbacks.append(self.record)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the callback."""
        gc.callbacks.remove(self.record)

    def record(self, phase: str, info: dict[str, int]) -> None:
        """Record a full run."""
        if info["generation"] < 2:
            return
        if phase == "start":
            self.started = time.perf_counter()
        else:
            self.durations.append((time.perf_counter() - self.started) * 1000)


async def measure(url: str, lags: Lags, seconds: float) -> dict[str, float]:
    """Measure this process for *seconds*; return the figures."""
    await asyncio.to_thread(fetch_counts, url)
    lags.milliseconds.clear()
    started, cpu, waited = time.monotonic(), time.process_time(), seconds_without_core()
    with GarbageCollections() as collections:
        await asyncio.sleep(seconds)
    elapsed, used = time.monotonic() - started, time.process_time() - cpu
    waited = (seconds_without_core() - waited) / elapsed
    counts = await asyncio.to_thread(fetch_counts, url)
    return {
        "polls": counts["polls"] / elapsed,
        "core": used / elapsed,
        "p50": percentile(lags.milliseconds, 0.5),
        "p99": percentile(lags.milliseconds, 0.99),
        "waited": waited,
        "stops": len(collections.durations),
        "longest": max(collections.durations, default=0.0),
        "ms": used / max(1, counts["polls"]) * 1000,
        "connections": counts["max_connections"],
    }


async def wait_with_batch_trigger(url: str) -> dict[str, float]:
    """Wait with :class:`BatchTrigger` until every batch is finished."""
    from airflow_provider_arm.triggers import batch
    from airflow_provider_arm.triggers.polling import batch_poller, shared_timer

    lags = Lags()

    class MeasuredTimer(shared_timer.SharedTimer):
        def schedule(self, entry: Any, seconds: float) -> None:
            lags.record(entry, seconds)
            super().schedule(entry, seconds)

    shared_timer.SharedTimer = MeasuredTimer  # type: ignore[misc]
    ends = [time.time() + WARM_UP + MEASURE + 3 + ENDINGS * random.random() for _ in range(TRIGGERS)]
    delays: list[float] = []

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
        delays.append(time.time() - ends[number])

    del batch_poller
    gc.collect()
    before = resident_bytes()
    tasks = [asyncio.create_task(run(number)) for number in range(TRIGGERS)]
    await asyncio.sleep(WARM_UP)
    figures = await measure(url, lags, MEASURE)
    memory = (resident_bytes() - before) / TRIGGERS / 1000
    await asyncio.gather(*tasks)
    return figures | {"memory": memory, "latest": max(delays), "ended": len(delays)}


async def measure_alternative(url: str, poll: Callable[[str], Awaitable[None]]) -> dict[str, float]:
    """Wait with *poll* for batches that do not finish, for a shorter time."""
    lags, end = Lags(), time.time() + 3600

    async def run(number: int) -> None:
        await asyncio.sleep(INTERVAL * random.random())
        while True:
            await poll(f"{url}/clients/2218/batches/{number}-{end:.3f}")
            lags.record(number, INTERVAL)
            await asyncio.sleep(INTERVAL)

    tasks = [asyncio.create_task(run(number)) for number in range(TRIGGERS)]
    await asyncio.sleep(WARM_UP)
    figures = await measure(url, lags, COMPARE)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return figures


async def session_per_trigger(url: str) -> dict[str, float]:
    """Wait with a separate aiohttp session for each trigger."""
    import aiohttp

    sessions: dict[str, aiohttp.ClientSession] = {}

    async def poll(address: str) -> None:
        if address not in sessions:
            sessions[address] = aiohttp.ClientSession()
        async with sessions[address].get(address, headers={"Authorization": "Bearer bench-token"}) as response:
            await response.json()

    figures = await measure_alternative(url, poll)
    for session in sessions.values():
        await session.close()
    return figures


async def requests_in_threads(url: str) -> dict[str, float]:
    """Wait with requests in a pool of threads, with one session per thread."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    import requests

    local, pool = threading.local(), ThreadPoolExecutor(THREADS)

    def get(address: str) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        local.session.get(address, headers={"Authorization": "Bearer bench-token"}, timeout=30).json()

    async def poll(address: str) -> None:
        await asyncio.get_running_loop().run_in_executor(pool, get, address)

    figures = await measure_alternative(url, poll)
    pool.shutdown(wait=False, cancel_futures=True)
    return figures


def prepare(url: str) -> None:
    """Set the connection to the server, and disable logging."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        os.environ.pop(name, None)
    extra = {"auth_url": f"{url}/token", "client_no": 2218}
    connection = {"conn_type": "arm", "host": url, "login": "id", "password": "secret", "extra": extra}
    os.environ["AIRFLOW_CONN_ARM_DEFAULT"] = json.dumps(connection)
    import airflow.sdk  # noqa: F401 - sets up Airflow's logging, which the next line silences

    logging.disable(logging.WARNING)


def allow_connections() -> None:
    """Increase the limit of open files: a session per trigger needs a connection for each."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Run the benchmark, and print the tables."""
    allow_connections()
    variants = {
        "BatchTrigger": wait_with_batch_trigger,
        "session per trigger": session_per_trigger,
        "requests in threads": requests_in_threads,
    }
    chosen = sys.argv[1:] or list(variants)
    results: dict[str, dict[str, float]] = {}
    for name in chosen:
        with server() as url:
            prepare(url)
            results[name] = asyncio.run(variants[name](url))
    print(
        f"  {'':<22} {'polls/s':>8} {'ms CPU':>7} {'a core':>7} {'lag p50':>9} {'lag p99':>9} {'connections':>12}"
        f" {'no core':>8} {'gc stops':>12}"
    )
    for name, figures in results.items():
        lags = f"{figures['p50']:>6.1f} ms {figures['p99']:>6.1f} ms"
        stops = f"{figures['stops']:>3.0f} x {figures['longest']:>3.0f} ms"
        print(
            f"  {name:<22} {figures['polls']:>8.0f} {figures['ms']:>7.2f} {figures['core']:>7.2f} {lags}"
            f" {figures['connections']:>12.0f} {figures['waited']:>8.2f} {stops}"
        )
    if own := results.get("BatchTrigger"):
        print_limits(own)


def print_limits(own: dict[str, float]) -> None:
    """Print the figures of ``BatchTrigger`` beside their limits."""
    rows = [
        ("lag of a poll, 99th percentile", f"{own['p99']:.1f} ms", "under 50 ms", own["p99"] < 50),
        ("share of a core", f"{own['core']:.2f}", "under 0.50", own["core"] < 0.5),
        ("connections", f"{own['connections']:.0f}", "at most 64", own["connections"] <= 64),
        ("memory of a trigger", f"{own['memory']:.0f} kB", "under 60 kB", own["memory"] < 60),
        ("finished batches detected", f"{own['ended']:.0f}", f"all of {TRIGGERS}", own["ended"] == TRIGGERS),
        ("  longest delay", f"{own['latest']:.2f} s", "an interval, a poll", own["latest"] < INTERVAL + LATENCY + 0.05),
    ]
    print()
    for name, figure, limit, is_met in rows:
        print(f"  {name:<46} {figure:>12}   {limit:<20} {'' if is_met else 'MISSED'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", action="store_true")
    if parser.parse_known_args()[0].serve:
        asyncio.run(serve())
    else:
        main()
