"""Benchmark of submitting 100,000 customers from a file, compared with a baseline that only posts prepared bodies.

The baseline posts prepared bodies with 1,000 customers, one after another, with one `requests.Session`. The provider
reads the file, validates each record against its model, plans, writes two lines per batch to a journal on disk, and
posts. The server is another process that counts bytes and responds 202. Runs are interleaved; figures are medians.

A second part measures how much memory a million customers take beyond the imported program.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from itertools import count, islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_arm.submission.sources.source import ReadablePath

CUSTOMERS, LARGE = 100_000, 1_000_000
CHUNK = 1000
IN_FLIGHT = 8
#: Values of ``max_in_flight`` without latency.
IN_FLIGHT_VALUES = (1, 4, IN_FLIGHT)
#: In seconds.
LATENCY = 0.050
#: Runs of each contender without and with latency.
RUNS, SLOW_RUNS = 5, 3
MAX_MIB = 150
#: Multiples of the baseline's time: for the fastest setting without latency, and for :data:`IN_FLIGHT` with it.
MAX_RATIO, MAX_RATIO_WITH_LATENCY = 5, 0.25


class Sink(asyncio.Protocol):
    """Minimal ARM: counts the bytes of a request and responds 202 with a batchUuid."""

    latency: ClassVar[float] = 0.0
    numbers: ClassVar[Iterator[int]] = count(1)

    def connection_made(self, transport: Any) -> None:
        """Start with an empty request."""
        self.transport, self.head, self.missing = transport, b"", 0

    def data_received(self, data: bytes) -> None:
        """Count bytes; respond to a complete request."""
        if self.missing:
            self.missing -= len(data)
        else:
            self.head += data
            head, end, body = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            self.missing, self.head = length - len(body), b""
        if not self.missing:
            body = b'{"status":"ACCEPTED","batchUuid":"batch-%d"}' % next(self.numbers)
            head = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, head % len(body) + body)


async def serve(latency: float) -> None:
    """Serve until killed; print the port."""
    Sink.latency = latency
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def sink(latency: float) -> Iterator[str]:
    """Start the server and yield its address."""
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(latency)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


# ---- files


def customer(number: int) -> dict[str, Any]:
    """Return a customer of typical size: 480 bytes of JSON."""
    return {
        "customerNo": str(1_000_000 + number),
        "name": f"Kunde Østby {number} AS",
        "customerCategory": "Company",
        "phoneNo": "22334455",
        "language": "NO",
        "currency": "NOK",
        "dueDays": 14,
        "vatLiable": True,
        "discountRate": Decimal("2.50"),
        "limitAmount": Decimal("10000.50"),
        "postalAddress": {
            "addressLine1": f"Storgata {number}",
            "addressLine2": "",
            "addressLine3": "",
            "postalCode": "0150",
            "cityName": "Oslo",
            "countryText": "Norge",
            "countryCode": "NO",
        },
        "emailAddressDocument": [f"kunde{number}@example.no"],
        "distribution": {"type": "EMAIL"},
    }


def write_jsonl(path: Path, size: int) -> None:
    """Write customers to a .jsonl file."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(size):
            # Amounts become JSON numbers with the same digits.
            text = json.dumps(customer(number), ensure_ascii=False, default=lambda amount: f"<{amount}>")
            file.write(text.replace('"<', "").replace('>"', "") + "\n")


def write_csv(path: Path, size: int) -> None:
    """Write customers to a .csv file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for number in range(size):
            cells: dict[str, Any] = {}
            for name, value in customer(number).items():
                if isinstance(value, dict):
                    cells.update({f"{name}.{inner}": item for inner, item in value.items()})
                elif isinstance(value, list):
                    cells[name] = "|".join(value)
                else:
                    cells[name] = str(value).lower() if isinstance(value, bool) else value
            if not number:
                writer = csv.DictWriter(file, cells)
                writer.writeheader()
            writer.writerow(cells)


def write_parquet(path: Path, size: int) -> None:
    """Write customers to a .parquet file in row groups of 100,000."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    amounts = pa.decimal128(18, 2)
    fields = {field.name: field.type for field in pa.Table.from_pylist([customer(0)]).schema}
    schema = pa.schema(fields | {"discountRate": amounts, "limitAmount": amounts})
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, size, CUSTOMERS):
            rows = [customer(number) for number in range(first, min(size, first + CUSTOMERS))]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


WRITERS = {"jsonl": write_jsonl, "csv": write_csv, "parquet": write_parquet}


# ---- contenders


def submit_file(address: str, path: Path, in_flight: int = 1) -> None:
    """Submit a file as the provider does: validate, plan, journal, send."""
    from airflow_provider_arm.client import ArmClient, StaticToken
    from airflow_provider_arm.client.batch_state import BatchState
    from airflow_provider_arm.client.operations import OPERATIONS
    from airflow_provider_arm.submission.journal.file_journal import FileJournal, JournalWriter
    from airflow_provider_arm.submission.planning.prepare import prepare
    from airflow_provider_arm.submission.sending.send import Sender
    from airflow_provider_arm.submission.sources.source import FileSource

    operation = OPERATIONS["create_customer_batch"]
    # As for a task, the journal is not deleted here, but with all files of the benchmark.
    folder = tempfile.mkdtemp(dir=path.parent)
    with ArmClient(address, StaticToken("token"), client_no=1) as client:
        sender = Sender(
            operation=operation,
            journal=FileJournal(Path(folder) / "journal", JournalWriter("bench", 1)),
            clear_count=0,
            submit=lambda records: str(client.submit_encoded(operation.name, records).batch_uuid),
            poll=lambda *_: BatchState.PENDING,
            max_in_flight=in_flight,
        )
        assert operation.record is not None  # noqa: S101 - an operation of batches has a model
        source = FileSource(cast("ReadablePath", path), str(path), operation.record, "customers")
        with prepare(source, operation, CHUNK, "customerNo") as prepared:
            sender.send_all(prepared.plan, prepared.chunks())


def post_prepared(address: str, bodies: list[bytes]) -> None:
    """Post prepared bodies."""
    import requests

    with requests.Session() as session:
        for body in bodies:
            response = session.post(
                f"{address}/clients/1/customers/batches", data=body, headers={"Content-Type": "application/json"}
            )
            response.raise_for_status()


def post_by_hand(address: str, path: Path) -> None:
    """Post like a handwritten task: no validation, no journal, amounts as floats."""
    import requests

    with requests.Session() as session, path.open(encoding="utf-8") as file:
        while records := [json.loads(line) for line in islice(file, CHUNK)]:
            response = session.post(f"{address}/clients/1/customers/batches", json={"customers": records})
            response.raise_for_status()


def prepare_bodies(path: Path) -> list[bytes]:
    """Return the bodies for the lines of a file."""
    lines = path.read_bytes().splitlines()
    return [
        b'{"customers":[' + b",".join(lines[first : first + CHUNK]) + b"]}" for first in range(0, len(lines), CHUNK)
    ]


class Timing(NamedTuple):
    """Median seconds of a contender: wall-clock time, and CPU time in user mode."""

    wall: float
    user: float


def race(contenders: dict[str, Callable[[], None]], runs: int) -> dict[str, Timing]:
    """Return the timing of each contender; the first run of each is not counted."""
    timings: dict[str, list[Timing]] = {name: [] for name in contenders}
    for _, (name, run) in product(range(runs + 1), contenders.items()):
        start, user = time.perf_counter(), os.times().user
        run()
        timings[name].append(Timing(time.perf_counter() - start, os.times().user - user))
    return {name: Timing(*map(statistics.median, zip(*each[1:], strict=True))) for name, each in timings.items()}


def format_row(
    what: str, timing: Timing, baseline: Timing, limit: float | None = None
) -> tuple[str, str, str, str, bool]:
    """Return a row of the table of speeds.

    :param limit: largest accepted multiple of the baseline's time.
    """
    ratio = timing.wall / baseline.wall
    figure = f"{CUSTOMERS / timing.wall:,.0f} /s"
    bound = f"at most {limit:g} x" if limit is not None else ""
    return f"{what}, {timing.user:.2f} s user", figure, f"{ratio:.2f} x", bound, limit is None or ratio <= limit


def speed(folder: Path) -> Iterator[tuple[str, str, str, str, bool]]:
    """Yield the rows of the table of speeds."""
    files = {suffix: folder / f"customers.{suffix}" for suffix in WRITERS}
    for suffix, path in files.items():
        WRITERS[suffix](path, CUSTOMERS)
    bodies = prepare_bodies(files["jsonl"])
    baseline = "baseline: prepared bodies, one after another"
    names = {size: f"provider, .jsonl, {size} in flight" for size in IN_FLIGHT_VALUES}
    with sink(0) as address:
        timings = race(
            {
                baseline: lambda: post_prepared(address, bodies),
                **{name: partial(submit_file, address, files["jsonl"], size) for size, name in names.items()},
                "provider, .csv": lambda: submit_file(address, files["csv"]),
                "provider, .parquet": lambda: submit_file(address, files["parquet"]),
                "handwritten: json.loads, json=, no validation": lambda: post_by_hand(address, files["jsonl"]),
            },
            RUNS,
        )
    best = min(names.values(), key=lambda name: timings[name].wall)
    for name, timing in timings.items():
        yield format_row(f"0 ms, {name}", timing, timings[baseline], MAX_RATIO if name == best else None)
    with sink(LATENCY) as address:
        timings = race(
            {
                baseline: lambda: post_prepared(address, bodies),
                names[1]: lambda: submit_file(address, files["jsonl"]),
                names[IN_FLIGHT]: lambda: submit_file(address, files["jsonl"], IN_FLIGHT),
            },
            SLOW_RUNS,
        )
    for name, timing in timings.items():
        limit = MAX_RATIO_WITH_LATENCY if name == names[IN_FLIGHT] else None
        yield format_row(f"{LATENCY * 1000:.0f} ms, {name}", timing, timings[baseline], limit)


# ---- memory


def peak_mib() -> float:
    """Return the peak memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # the value of getrusage includes the parent before the exec
        return int(status.read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_growth(address: str, path: Path) -> None:
    """Submit a file and print the memory that this took beyond the imported program."""
    small = path.with_name(f"small{path.suffix}")
    WRITERS[path.suffix[1:]](small, 1)
    submit_file(address, small)  # imports everything
    before = peak_mib()
    submit_file(address, path)
    print(peak_mib() - before)


def memory(folder: Path) -> Iterator[tuple[str, str, str, str, bool]]:
    """Yield the rows of the table of memory."""
    with sink(0) as address:
        for suffix, write in WRITERS.items():
            path = folder / f"large.{suffix}"
            write(path, LARGE)
            start = time.perf_counter()
            command = [sys.executable, __file__, "--growth", address, str(path)]
            growth = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            seconds = time.perf_counter() - start
            path.unlink()
            name = f"{LARGE:,} customers, .{suffix}, growth"
            yield name, f"{growth:.0f} MiB", f"{seconds:.0f} s", f"under {MAX_MIB} MiB", growth < MAX_MIB


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--growth", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        asyncio.run(serve(options.serve))
    elif options.growth:
        print_growth(options.growth[0], Path(options.growth[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            for part in (speed, memory):
                for what, figure, ratio, bound, holds in part(Path(folder)):
                    print(f"  {what:<66} {figure:>12} {ratio:>8}   {bound:<15} {'' if holds else 'MISSED'}", flush=True)


if __name__ == "__main__":
    main()
