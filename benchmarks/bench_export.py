"""Benchmark of exports: rates and memory, compared with baselines and with alternatives.

Each figure is the median of interleaved rounds and is printed with its limit. Servers and clients share the machine.
``--items N`` sets the size (default a million), ``--rounds N`` the number of rounds (default three).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PAGE_SIZE = 1000
LATENCY = 0.05
#: Pages read by the alternatives, which are slow. Their rate does not increase with more.
ALTERNATIVE_PAGES = 50
NOT_INSTALLED = 3

OURS = {"JSONL": "ours:light:jsonl", "JSONL, every field": "ours:every:jsonl", "CSV": "ours:light:csv"}
OURS["Parquet"] = "ours:light:parquet"
#: Maximum time without latency, as a multiple of the baseline's.
MAX_RATIO = {"JSONL": 2.0, "JSONL, every field": 3.0, "CSV": 2.5, "Parquet": 2.5}
#: Minimum rate at 50 ms latency, as a share of the rate of eight connections that discard the bodies.
MIN_SHARE = {"JSONL": 0.85, "CSV": 0.75, "Parquet": 0.75}
#: Maximum memory, in MiB above that of the imported program.
MAX_MEMORY = {"JSONL": 32, "CSV": 160, "Parquet": 160}
ALTERNATIVES = {
    "PythonOperator by hand, JSONL": ("hand_jsonl", "JSONL"),
    "PythonOperator by hand, CSV": ("hand_csv", "CSV"),
    "PythonOperator by hand, Parquet": ("hand_parquet", "Parquet"),
    "HttpOperator, JSONL": ("http_operator", "JSONL"),
    "dlt, JSONL": ("dlt_jsonl", "JSONL"),
}

Figures = dict[str, dict[str, float]]


@contextmanager
def server(items: int, *latencies: float) -> Iterator[list[str]]:
    """Start a server with *items* items, and yield one port per latency."""
    command = [sys.executable, str(HERE / "page_server.py"), str(items), *map(str, latencies)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split() if process.stdout else []
        finally:
            process.kill()


def run(case: str, port: str, pages: int, workers: int = 1) -> dict[str, float] | None:
    """Run a case in its own process, and return its figures; ``None`` if a package is not installed."""
    command = [sys.executable, str(HERE / "export_cases.py"), case, port, str(pages), str(workers)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == NOT_INSTALLED:
        return None
    if result.returncode:
        sys.exit(f"{case}: {result.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return figures


def rounds(cases: dict[str, tuple[str, int, int]], port: str, times: int) -> Figures:
    """Run the cases in turn several times, and return the medians of those that are installed."""
    found: dict[str, list[dict[str, float]]] = {}
    missing = set()
    for _ in range(times):
        for name, (case, pages, workers) in cases.items():
            if name in missing:
                continue
            figures = run(case, port, pages, workers)
            if figures is None:
                missing.add(name)
            else:
                found.setdefault(name, []).append(figures)
    for name in missing:
        print(f"  {name:<34} is not installed here")
    return {
        name: {key: statistics.median(one[key] for one in all_) for key in ("rows_per_second", "mib")}
        for name, all_ in found.items()
    }


def line(what: str, figures: dict[str, float], comparison: str, bound: str = "", *, holds: bool = True) -> None:
    """Print one row of a table."""
    rate, mib = figures["rows_per_second"], figures["mib"]
    print(f"  {what:<34} {rate:>11,.0f} /s {mib:>7.0f} MiB   {comparison:<22} {bound:<22} {'' if holds else 'MISSED'}")


def at_no_latency(port: str, pages: int, times: int) -> None:
    """Compare our formats with the baseline and the alternatives, without latency."""
    print(f"{pages * PAGE_SIZE:,} items, no latency (baseline: requests, content discarded)")
    cases = {"baseline": ("baseline", pages, 1)} | {name: (case, pages, 4) for name, case in OURS.items()}
    figures = rounds(cases, port, times)
    alternatives = rounds({name: (case, ALTERNATIVE_PAGES, 1) for name, (case, _) in ALTERNATIVES.items()}, port, 1)
    baseline = figures["baseline"]["rows_per_second"]
    for name, mine in figures.items():
        ratio, limit = baseline / mine["rows_per_second"], MAX_RATIO.get(name)
        bound = f"at most {limit}" if limit else ""
        line(name, mine, f"{ratio:.2f} x baseline", bound, holds=not limit or ratio <= limit)
    for name, theirs in alternatives.items():
        line(name, theirs, f"{baseline / theirs['rows_per_second']:.2f} x baseline")
    for format_ in ("JSONL", "CSV", "Parquet"):
        rates = [
            alternatives[name]["rows_per_second"]
            for name, (_, of) in ALTERNATIVES.items()
            if of == format_ and name in alternatives
        ]
        ratio = figures[format_]["rows_per_second"] / max(rates)
        what, missed = f"{format_}: times the fastest alternative", "" if ratio >= 3.5 else "MISSED"
        print(f"  {what:<34} {ratio:>11.1f}   {'at least 3.5':<46} {missed}")


def at_latency(port: str, pages: int, times: int) -> None:
    """Compare our formats with eight connections, with latency."""
    print(f"{pages * PAGE_SIZE:,} items, {LATENCY * 1000:.0f} ms per response, 8 workers (baseline: eight connections)")
    cases = {"eight connections": ("baseline8", pages, 8)} | {name: (OURS[name], pages, 8) for name in MIN_SHARE}
    figures = rounds(cases, port, times)
    baseline = figures["eight connections"]["rows_per_second"]
    for name, mine in figures.items():
        share, minimum = mine["rows_per_second"] / baseline, MIN_SHARE.get(name)
        bound = f"at least {minimum:.0%}" if minimum else ""
        line(name, mine, f"{share:.0%} of the baseline", bound, holds=not minimum or share >= minimum)


def memory(small: tuple[str, int], large: tuple[str, int]) -> None:
    """Print the peak memory of exports with few and with many items."""
    print(f"memory above the imported program, 8 workers, {small[1] * PAGE_SIZE:,} and {large[1] * PAGE_SIZE:,} items")
    for name, limit in MAX_MEMORY.items():
        few, many = (run(OURS[name], port, pages, 8) for port, pages in (small, large))
        if few is None or many is None:
            print(f"  {name:<34} is not installed here")
            continue
        growth = many["mib"] / few["mib"] - 1
        holds = many["mib"] < limit and growth <= 0.1
        print(
            f"  {name:<34} {few['mib']:>7.0f} MiB {many['mib']:>7.0f} MiB   {growth:+.0%} "
            f"{f'under {limit}, at most +10%':>30} {'' if holds else 'MISSED'}"
        )


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--items", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    pages = options.items // PAGE_SIZE
    with server(options.items, 0, LATENCY) as (fast, slow), server(options.items // 10, LATENCY) as (few,):
        at_no_latency(fast, pages, options.rounds)
        at_latency(slow, pages, options.rounds)
        memory((few, pages // 10), (slow, pages))


if __name__ == "__main__":
    main()
