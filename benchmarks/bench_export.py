"""Exports beside their floors and what a user might pick instead, in the same run: rates, ratios, memory.

Each figure is the median of interleaved rounds and stands beside the bound that it is held to. Servers, floors, peers
and exports share this machine. ``--items N`` for another size than a million, ``--rounds N`` for other than three.
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
#: Peers are slow: their rate on so many items stands for a million, which only flatters them.
PEER_PAGES = 50
NOT_INSTALLED = 3

OURS = {"JSONL": "ours:light:jsonl", "JSONL, every field": "ours:every:jsonl", "CSV": "ours:light:csv"}
OURS["Parquet"] = "ours:light:parquet"
#: At most so many times the floor's time, at no latency.
MOST = {"JSONL": 2.0, "JSONL, every field": 3.0, "CSV": 2.5, "Parquet": 2.5}
#: At least this share of the rate of eight connections that throw the bodies away, at 50 ms.
SHARE = {"JSONL": 0.85, "CSV": 0.75, "Parquet": 0.75}
#: MiB above the imported program.
MEMORY = {"JSONL": 32, "CSV": 160, "Parquet": 160}
PEERS = {
    "PythonOperator by hand, JSONL": ("hand_jsonl", "JSONL"),
    "PythonOperator by hand, CSV": ("hand_csv", "CSV"),
    "PythonOperator by hand, Parquet": ("hand_parquet", "Parquet"),
    "HttpOperator, JSONL": ("http_operator", "JSONL"),
    "dlt, JSONL": ("dlt_jsonl", "JSONL"),
}

Figures = dict[str, dict[str, float]]


@contextmanager
def server(items: int, *latencies: float) -> Iterator[list[str]]:
    """Serve so many items; gives a port for each latency."""
    command = [sys.executable, str(HERE / "page_server.py"), str(items), *map(str, latencies)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split() if process.stdout else []
        finally:
            process.kill()


def run(case: str, port: str, pages: int, workers: int = 1) -> dict[str, float] | None:
    """Run a case in a process of its own; ``None`` where it needs what is not installed."""
    command = [sys.executable, str(HERE / "export_cases.py"), case, port, str(pages), str(workers)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == NOT_INSTALLED:
        return None
    if result.returncode:
        sys.exit(f"{case}: {result.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return figures


def rounds(cases: dict[str, tuple[str, int, int]], port: str, times: int) -> Figures:
    """Run cases in turn, several times; gives medians, without those that are not installed."""
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
    """Print one row."""
    rate, mib = figures["rows_per_second"], figures["mib"]
    print(f"  {what:<34} {rate:>11,.0f} /s {mib:>7.0f} MiB   {comparison:<22} {bound:<22} {'' if holds else 'MISSED'}")


def at_no_latency(port: str, pages: int, times: int) -> None:
    """Our formats beside the floor and the peers."""
    print(f"{pages * PAGE_SIZE:,} items, no latency (floor: requests, .content thrown away)")
    cases = {"floor": ("floor", pages, 1)} | {name: (case, pages, 4) for name, case in OURS.items()}
    figures = rounds(cases, port, times)
    peers = rounds({name: (case, PEER_PAGES, 1) for name, (case, _) in PEERS.items()}, port, 1)
    floor = figures["floor"]["rows_per_second"]
    for name, mine in figures.items():
        ratio, most = floor / mine["rows_per_second"], MOST.get(name)
        bound = f"at most {most}" if most else ""
        line(name, mine, f"{ratio:.2f} x floor", bound, holds=not most or ratio <= most)
    for name, theirs in peers.items():
        line(name, theirs, f"{floor / theirs['rows_per_second']:.2f} x floor")
    for format_ in ("JSONL", "CSV", "Parquet"):
        rates = [peers[name]["rows_per_second"] for name, (_, of) in PEERS.items() if of == format_ and name in peers]
        ratio = figures[format_]["rows_per_second"] / max(rates)
        what, missed = f"{format_}: times the fastest peer", "" if ratio >= 3.5 else "MISSED"
        print(f"  {what:<34} {ratio:>11.1f}   {'at least 3.5':<46} {missed}")


def at_latency(port: str, pages: int, times: int) -> None:
    """Our formats beside eight connections."""
    print(f"{pages * PAGE_SIZE:,} items, {LATENCY * 1000:.0f} ms per answer, 8 workers (floor: eight connections)")
    cases = {"floor of eight": ("floor8", pages, 8)} | {name: (OURS[name], pages, 8) for name in SHARE}
    figures = rounds(cases, port, times)
    floor = figures["floor of eight"]["rows_per_second"]
    for name, mine in figures.items():
        share, least = mine["rows_per_second"] / floor, SHARE.get(name)
        bound = f"at least {least:.0%}" if least else ""
        line(name, mine, f"{share:.0%} of the floor", bound, holds=not least or share >= least)


def memory(small: tuple[str, int], large: tuple[str, int]) -> None:
    """Peak memory above the imported program, of few items and of many."""
    print(f"memory above the imported program, 8 workers, {small[1] * PAGE_SIZE:,} and {large[1] * PAGE_SIZE:,} items")
    for name, most in MEMORY.items():
        few, many = (run(OURS[name], port, pages, 8) for port, pages in (small, large))
        if few is None or many is None:
            print(f"  {name:<34} is not installed here")
            continue
        growth = many["mib"] / few["mib"] - 1
        holds = many["mib"] < most and growth <= 0.1
        print(
            f"  {name:<34} {few['mib']:>7.0f} MiB {many['mib']:>7.0f} MiB   {growth:+.0%} "
            f"{f'under {most}, at most +10%':>30} {'' if holds else 'MISSED'}"
        )


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--items", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    chosen = arguments.parse_args()
    pages = chosen.items // PAGE_SIZE
    with server(chosen.items, 0, LATENCY) as (fast, slow), server(chosen.items // 10, LATENCY) as (few,):
        at_no_latency(fast, pages, chosen.rounds)
        at_latency(slow, pages, chosen.rounds)
        memory((few, pages // 10), (slow, pages))


if __name__ == "__main__":
    main()
