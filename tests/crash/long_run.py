"""Long run, ``make crash``: lost responses, the state machine, and processes killed at every point."""

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
from tests.crash.lost_responses import lose_responses
from tests.crash.points import DEFERRED_POINTS, LOOKUP_POINTS, LOSES_RESPONSE, PER_CHUNK_POINTS, POINTS
from tests.crash.state_machine_run import run_state_machine
from tests.crash.trials import RANDOM, ForkServer, Trial, TrialResult, run_trial

#: How often a process must have been killed at each point.
HITS = 10
COLUMNS = ("hits", "lost", "doubled", "wrong", "recovered", "unresolved", "repeated")


def make_trial(number: int, hits: Counter[str], chunks: int, size: int) -> Trial:
    """Build a trial that is killed at the least hit point, then at another point, then at a random moment."""
    names = sorted((*POINTS, RANDOM), key=lambda name: hits[name])
    first, second = names[0], names[(number * 7) % len(names)]
    if first in LOOKUP_POINTS:  # ARM processes at once, so that the lookup finds the records
        return Trial(
            "documents", number % 4 >= 2, [LOSES_RESPONSE, first, RANDOM], number, chunks, size, refusals=False, delay=0
        )
    resource = "customers" if number % 2 else "documents"
    deferred = number % 4 >= 2 or first in DEFERRED_POINTS
    trial = Trial(resource, deferred, [first, second, RANDOM], number, chunks, size)
    trial.max_in_flight = 3 if number % 3 == 0 else 1
    if resource == "documents" and first in PER_CHUNK_POINTS:
        # ARM is slow: it is still processing during the lookups, or done between two, or before assume_absent_after.
        more = [{"pause": 0.0}, {"pause": 2000.0}, {"pause": 4000.0, "assume_absent_after": 1.0}]
        trial = replace(trial, delay=3600.0, **more[number // 2 % 3])
    return trial


def add_up(table: dict[str, Counter[str]], trial: Trial, result: TrialResult) -> None:
    """Add a trial to the row of each point at which one of its processes was killed."""
    for point in set(trial.died_at):
        table[point].update(
            hits=trial.died_at.count(point),
            lost=result.lost,
            doubled=result.doubled,
            wrong=len(result.wrong),
            recovered=result.recovered,
            unresolved=result.unresolved is not None,
            repeated=result.repeated,
        )


def report(line: str) -> None:
    """Print a line without buffering: users watch a long run."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run_trials(box: ArmSandbox, options: argparse.Namespace) -> int:
    """Run the trials, print their table, and count those in which anything was lost, doubled or wrong."""
    table = {name: Counter[str]() for name in (*POINTS, RANDOM)}
    outcomes: Counter[str] = Counter()
    started, number = time.monotonic(), 0
    folder = Path(tempfile.mkdtemp(prefix="arm-crash-"))
    with ForkServer() as fork_server:
        for number in count(1):
            hits = Counter({name: row["hits"] for name, row in table.items()})
            trial = make_trial(number, hits, options.chunks, options.size)
            result = run_trial(trial, fork_server, box, folder / str(number))
            add_up(table, trial, result)
            failed = bool(result.lost or result.doubled or result.wrong)
            outcomes["failed" if failed else "unresolved" if result.unresolved else "done"] += 1
            if failed:
                report(f"trial {number} failed: {trial} {result}; kept in {folder / str(number)}")
            else:
                shutil.rmtree(folder / str(number))
            if number >= options.trials and min(row["hits"] for row in table.values()) >= HITS:
                break
    report(f"{'a process was killed':38}" + "".join(f"{name:>11}" for name in COLUMNS))
    for name, row in table.items():
        report(f"{name:38}" + "".join(f"{row[column]:>11}" for column in COLUMNS))
    report(
        f"{number} trials of {options.chunks} chunks of {options.size} in {time.monotonic() - started:.0f} s: "
        f"{outcomes['done']} done, {outcomes['unresolved']} unresolved with their reason, {outcomes['failed']} failed"
    )
    report("lost, doubled: records; recovered: chunks; unresolved: trials; repeated: batches of customers, harmless")
    return outcomes["failed"]


def main() -> int:
    """Run all parts; return the exit code: 1 if anything was lost, doubled or wrong."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=200)
    arguments.add_argument("--chunks", type=int, default=100)
    arguments.add_argument("--size", type=int, default=50)
    arguments.add_argument("--losses", type=int, default=1000, help="submissions that lose a response")
    arguments.add_argument("--examples", type=int, default=5000, help="of the state machine")
    options = arguments.parse_args()
    logging.disable(logging.CRITICAL)  # thousands of deliberate failures would fill the log
    with ArmSandbox(ar_items=1) as box:
        bad = lose_responses(box, options.losses, report)
        bad += run_state_machine(options.examples, report)
        bad += run_trials(box, options)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
