"""The long run: ``make crash``. Two hundred trials of a hundred chunks, every point often enough, and a table."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from itertools import count
from pathlib import Path

import tests.conftest  # noqa: F401 - an Airflow home of its own, before Airflow is imported
from airflow_provider_arm.sandbox import ArmSandbox
from tests.crash.points import DEFERRED_ONLY, POINTS
from tests.crash.trials import RANDOM, Trial, Verdict, Zygote, run_trial

#: How often a process must have died at each point.
HITS = 10
COLUMNS = ("hits", "lost", "doubled", "wrong", "blocked", "repeated")


def make_trial(number: int, hits: Counter[str], chunks: int, size: int) -> Trial:
    """Aim at the point that was hit least; a second and a third process die at random moments or at another point."""
    names = sorted((*POINTS, RANDOM), key=lambda name: hits[name])
    first, second = names[0], names[(number * 7) % len(names)]
    resource = "customers" if number % 2 else "documents"
    deferred = number % 4 >= 2 or first in DEFERRED_ONLY
    return Trial(resource, deferred, [first, second, RANDOM], seed=number, chunks=chunks, size=size)


def add_up(table: dict[str, Counter[str]], trial: Trial, verdict: Verdict) -> None:
    """Count a trial at each point where one of its processes died."""
    for point in set(trial.died_at):
        table[point].update(
            hits=trial.died_at.count(point),
            lost=verdict.lost,
            doubled=verdict.doubled,
            wrong=len(verdict.wrong),
            blocked=verdict.blocked is not None,
            repeated=verdict.repeated,
        )


def say(line: str) -> None:
    """Print at once: a long run is watched."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run, print, and tell whether anything was lost or doubled."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=200)
    arguments.add_argument("--chunks", type=int, default=100)
    arguments.add_argument("--size", type=int, default=50)
    options = arguments.parse_args()
    table = {name: Counter[str]() for name in (*POINTS, RANDOM)}
    ends: Counter[str] = Counter()
    bad, began, made = 0, time.monotonic(), 0
    folder = Path(tempfile.mkdtemp(prefix="arm-crash-"))
    with ArmSandbox(ar_items=1) as box, Zygote() as zygote:
        for made in count(1):
            hits = Counter({name: row["hits"] for name, row in table.items()})
            trial = make_trial(made, hits, options.chunks, options.size)
            verdict = run_trial(trial, zygote, box, folder / str(made))
            add_up(table, trial, verdict)
            failed = bool(verdict.lost or verdict.doubled or verdict.wrong)
            ends["failed" if failed else "blocked" if verdict.blocked else "done"] += 1
            if failed:
                bad += 1
                say(f"trial {made} failed: {trial} {verdict}; kept in {folder / str(made)}")
            else:
                shutil.rmtree(folder / str(made))
            if made >= options.trials and min(row["hits"] for row in table.values()) >= HITS:
                break
    say(f"{'a process was killed':34}" + "".join(f"{name:>10}" for name in COLUMNS))
    for name, row in table.items():
        say(f"{name:34}" + "".join(f"{row[column]:>10}" for column in COLUMNS))
    say(
        f"{made} trials of {options.chunks} chunks of {options.size} in {time.monotonic() - began:.0f} s: "
        f"{ends['done']} done, {ends['blocked']} blocked with their reason, {ends['failed']} failed"
    )
    say("lost, doubled: records; blocked: trials; repeated: batches of customers sent again, which changes nothing")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
