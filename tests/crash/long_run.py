"""The long run: ``make crash``. Answers are lost, the state machine plays on, and processes are killed everywhere."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path

import tests.conftest  # noqa: F401 - an Airflow home of its own, before Airflow is imported
from airflow_provider_arm.sandbox import ArmSandbox
from tests.crash.losses import lose_answers
from tests.crash.play import play
from tests.crash.points import DEFERRED_ONLY, LOOKING, LOSES, PER_CHUNK, POINTS
from tests.crash.trials import RANDOM, Trial, Verdict, Zygote, run_trial

#: How often a process must have died at each point.
HITS = 10
COLUMNS = ("hits", "lost", "doubled", "wrong", "found", "open", "repeated")


def make_trial(number: int, hits: Counter[str], chunks: int, size: int) -> Trial:
    """Aim at the point that was hit least; a second and a third process die at random moments or at another point."""
    names = sorted((*POINTS, RANDOM), key=lambda name: hits[name])
    first, second = names[0], names[(number * 7) % len(names)]
    if first in LOOKING:  # ARM is done at once, so that there is something to find
        return Trial(
            "documents", number % 4 >= 2, [LOSES, first, RANDOM], number, chunks, size, refusals=False, delay=0
        )
    resource = "customers" if number % 2 else "documents"
    deferred = number % 4 >= 2 or first in DEFERRED_ONLY
    trial = Trial(resource, deferred, [first, second, RANDOM], number, chunks, size)
    trial.max_in_flight = 3 if number % 3 == 0 else 1
    if resource == "documents" and first in PER_CHUNK:
        # ARM is slow: still at work when the next tries look, done between two of them, or within the author's time.
        more = [{"pause": 0.0}, {"pause": 2000.0}, {"pause": 4000.0, "assume_absent_after": 1.0}]
        trial = replace(trial, delay=3600.0, **more[number // 2 % 3])
    return trial


def add_up(table: dict[str, Counter[str]], trial: Trial, verdict: Verdict) -> None:
    """Count a trial at each point where one of its processes died."""
    for point in set(trial.died_at):
        table[point].update(
            hits=trial.died_at.count(point),
            lost=verdict.lost,
            doubled=verdict.doubled,
            wrong=len(verdict.wrong),
            found=verdict.found,
            open=verdict.unsure is not None,
            repeated=verdict.repeated,
        )


def say(line: str) -> None:
    """Print at once: a long run is watched."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def kill(box: ArmSandbox, options: argparse.Namespace) -> int:
    """Run the trials, print their table, and count those in which anything was lost, doubled or wrong."""
    table = {name: Counter[str]() for name in (*POINTS, RANDOM)}
    ends: Counter[str] = Counter()
    began, made = time.monotonic(), 0
    folder = Path(tempfile.mkdtemp(prefix="arm-crash-"))
    with Zygote() as zygote:
        for made in count(1):
            hits = Counter({name: row["hits"] for name, row in table.items()})
            trial = make_trial(made, hits, options.chunks, options.size)
            verdict = run_trial(trial, zygote, box, folder / str(made))
            add_up(table, trial, verdict)
            failed = bool(verdict.lost or verdict.doubled or verdict.wrong)
            ends["failed" if failed else "open" if verdict.unsure else "done"] += 1
            if failed:
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
        f"{ends['done']} done, {ends['open']} open with their reason, {ends['failed']} failed"
    )
    say(
        "lost, doubled: records; found: chunks by their records; open: trials; repeated: batches of customers, harmless"
    )
    return ends["failed"]


def main() -> int:
    """Run all, print, and tell whether anything was lost or doubled."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=200)
    arguments.add_argument("--chunks", type=int, default=100)
    arguments.add_argument("--size", type=int, default=50)
    arguments.add_argument("--losses", type=int, default=1000, help="submissions that lose an answer")
    arguments.add_argument("--examples", type=int, default=5000, help="of the state machine")
    options = arguments.parse_args()
    logging.disable(logging.CRITICAL)  # what fails on purpose, thousands of times, is not to be told here
    with ArmSandbox(ar_items=1) as box:
        bad = lose_answers(box, options.losses, say)
        bad += play(options.examples, say)
        bad += kill(box, options)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
