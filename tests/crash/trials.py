"""Trial: a task of many chunks whose processes are killed and restarted as by Airflow, and its result."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_arm.submission.journal.entries import ChunkState
from airflow_provider_arm.submission.journal.file_entries import FileEntries
from airflow_provider_arm.submission.sending.unknown_outcome import MAX_NAMED
from tests.crash.points import PER_CHUNK_POINTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.sandbox import ArmSandbox
    from airflow_provider_arm.submission.journal.entries import ChunkEntry

ROOT = Path(__file__).parents[2]
#: Name of a kill at a random moment.
RANDOM = "at a random moment"
#: Messages with which a task may stop because the outcome is unknown: only these count as unresolved.
UNKNOWN_OUTCOME, NO_TRACE = "may or may not have reached ARM", "has no trace of it on this machine"
#: Tries whose lookup does not decide, after which the trial counts the chunk as unresolved.
MAX_LOOKUPS = 3
#: One in this number of chunks contains a record that ARM refuses.
REJECT_EVERY = 3
MAX_TRIES = 12


class ForkServer:
    """Process that forks the children; see :mod:`tests.crash.fork_server`."""

    def __enter__(self) -> Self:
        replies, write_end = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.fork_server", str(write_end)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[write_end],
            text=True,
            bufsize=1,
        )
        os.close(write_end)
        self._replies = os.fdopen(replies)
        #: Longest undisturbed run of a child so far in seconds, by part: random kills happen within it.
        self._longest: dict[str, float] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._replies.close()

    def run(
        self, job: dict[str, Any], rng: random.Random | None = None, meanwhile: Callable[[], Any] | None = None
    ) -> dict[str, Any] | None:
        """Run a job in a child; return its result, or ``None`` if it was killed.

        :param rng: if set, kill the child at a random moment.
        :param meanwhile: called while the child is suspended, if it is; then the child is resumed.
        """
        longest = self._longest.get(job["part"], 0.3)
        result = Path(job["result"])
        result.unlink(missing_ok=True)
        self._process.stdin.write(json.dumps({**job, "delay": rng.uniform(0, longest) if rng else None}) + "\n")
        reply = json.loads(self._replies.readline())
        if "stopped" in reply:
            meanwhile()
            os.kill(reply["stopped"], signal.SIGCONT)
            reply = json.loads(self._replies.readline())
        if reply["signal"] == signal.SIGKILL:
            return None
        if job["point"] is None and rng is None:
            self._longest[job["part"]] = max(self._longest.get(job["part"], 0.0), min(reply["seconds"], 5.0))
        assert result.exists(), Path(job["log"]).read_text(encoding="utf-8")[-3000:]
        return json.loads(result.read_text(encoding="utf-8"))


@dataclass
class Trial:
    """What is submitted, how, and where its processes are killed.

    :param kills: names of points, or :data:`RANDOM`, in order; each process is killed at the first one that is left.
    """

    resource: str
    deferred: bool
    kills: list[str]
    seed: int
    chunks: int = 10
    size: int = 5
    #: With ``"resend"`` the DAG author risks a second booking, and the effect log must show it.
    on_unknown_outcome: str = "fail"
    #: Whether ARM refuses some of the records.
    refusals: bool = True
    #: Seconds of the sandbox's clock that ARM needs for a batch. If it is 1 or more, the task does not wait for it.
    delay: float = 0.02
    #: Seconds of the sandbox's clock between tries.
    pause: float = 0.0
    #: Seconds of real time.
    assume_absent_after: float | None = None
    max_in_flight: int = 1
    #: Points at which processes were killed.
    died_at: list[str] = field(default_factory=list)

    def max_repeats(self) -> int:
        """Return how many batches of customers may be sent twice: those in flight when a process was killed."""
        return len(self.died_at) * self.max_in_flight

    def records(self) -> list[dict[str, Any]]:
        """Build the records; ARM refuses some of them."""
        return [self._record(number) for number in range(self.chunks * self.size)]

    @property
    def waits(self) -> bool:
        """Whether the task waits until ARM has processed the batches."""
        return self.delay < 1

    def is_refused(self, number: int) -> bool:
        """Return whether ARM refuses the record: the second one of every third chunk."""
        return self.refusals and number % (self.size * REJECT_EVERY) == 1

    def key(self, number: int) -> str:
        """Return the natural key."""
        return str(500_000 + number)

    def _record(self, number: int) -> dict[str, Any]:
        if self.resource == "customers":
            invalid = {"organizationNo": "312345678"} if self.is_refused(number) else {}
            return {"customerNo": self.key(number), "name": f"Kari {number}", **invalid}
        return {
            "documentType": "IN",
            "customerNo": "999999999" if self.is_refused(number) else "543210",
            "documentNo": self.key(number),
            "documentDate": "2026-01-31",
            "dueDate": "2026-02-28",
            "currency": "NOK",
            "currencyAmounts": {"exclVat": 100, "vat": 25, "inclVat": 125},
        }


@dataclass
class TrialResult:
    """Result of a trial, according to the sandbox's effect log."""

    lost: int = 0
    doubled: int = 0
    #: Batches of customers that were sent twice after a kill, which is harmless.
    repeated: int = 0
    #: Message of the task if it stopped with unresolved chunks.
    unresolved: str | None = None
    #: Recovered chunks.
    recovered: int = 0
    #: Contradictions between result, journal, rejects file and effect log.
    wrong: list[str] = field(default_factory=list)


def run_trial(trial: Trial, fork_server: ForkServer, box: ArmSandbox, folder: Path) -> TrialResult:
    """Restart the task after each kill until it ends; then check the effect log."""
    _prepare(trial, box, folder)
    end = _run_until_end(trial, fork_server, box, folder)
    box.advance(3600)
    return _check(trial, end, box, folder)


def run_overtaken(
    trial: Trial, servers: tuple[ForkServer, ForkServer], box: ArmSandbox, folder: Path
) -> tuple[TrialResult, Any]:
    """Suspend the first try at the trial's first point, run the second try to its end, resume the first, run a third.

    Return the result according to the effect log, and how the first try ended.
    """
    _prepare(trial, box, folder)
    (point,) = trial.kills
    trial.kills, trial.died_at = [], [point]
    job = _job(trial, box, folder, point, random.Random(trial.seed), try_number=1)
    first = servers[0].run(
        {**job, "signal": "SIGSTOP", "result": str(folder / "first.json")},
        meanwhile=lambda: _run_until_end(trial, servers[1], box, folder, try_number=2),
    )
    end = _run_until_end(trial, servers[1], box, folder, try_number=3)
    box.advance(3600)
    return _check(trial, end, box, folder), first


def _prepare(trial: Trial, box: ArmSandbox, folder: Path) -> None:
    box.reset()
    # A document that is posted twice must be visible.
    box.behave(batch_delay=trial.delay, q15_duplicate_document="accept")
    folder.mkdir()
    lines = "".join(json.dumps(record) + "\n" for record in trial.records())
    (folder / "source.jsonl").write_text(lines, encoding="utf-8")


def _job(
    trial: Trial, box: ArmSandbox, folder: Path, kill: str | None, rng: random.Random, try_number: int
) -> dict[str, Any]:
    return {
        "part": "execute",
        "point": None if kill == RANDOM else kill,
        "nth": rng.choice([1, (trial.chunks + 1) // 2, trial.chunks]) if kill in PER_CHUNK_POINTS else 1,
        "signal": "SIGKILL",
        "connection": box.connection(),
        "effect_log_url": f"{box.url}/__sandbox__/ledger",
        "operator": _operator(trial, folder),
        "ti": _task_instance(try_number),
        "log": str(folder / "log.txt"),
        "result": str(folder / "result.json"),
    }


def _run_until_end(
    trial: Trial, fork_server: ForkServer, box: ArmSandbox, folder: Path, try_number: int = 1
) -> dict[str, Any]:
    rng = random.Random(trial.seed)
    kills = list(trial.kills)
    part, more, lookups = "execute", {}, 0
    while try_number <= MAX_TRIES:
        kill = kills[0] if kills else None
        job = {**_job(trial, box, folder, kill, rng, try_number), "part": part, **more}
        end = fork_server.run(job, rng if kill == RANDOM else None)
        if end is None:
            trial.died_at.append(kills.pop(0))
            if part != "trigger":  # a restarted triggerer runs the trigger again
                part, more, try_number = "execute", {}, try_number + 1
                box.advance(trial.pause)
        elif end["end"] == "deferred":
            part, more = "trigger", {"trigger": end["trigger"], "kwargs": end["kwargs"]}
        elif end["end"] == "event":
            part, more = "complete", {"event": end["event"], "kwargs": more["kwargs"]}
        elif end["end"] == "transient" and lookups < MAX_LOOKUPS:
            part, more, try_number = "execute", {}, try_number + 1
            lookups += UNKNOWN_OUTCOME in end["message"]
            box.advance(trial.pause)
            time.sleep(trial.assume_absent_after or 0)
        else:
            return end
    return {"end": "out of tries", "message": str(end)}


def _operator(trial: Trial, folder: Path) -> dict[str, Any]:
    return {
        "resource": trial.resource,
        "source": str(folder / "source.jsonl"),
        "chunk_size": trial.size,
        "wait_for_completion": trial.waits,
        "deferrable": trial.deferred,
        "poll_interval": 0.01,
        "timeout": 60,
        "on_rejected": "warn",
        "on_unknown_outcome": trial.on_unknown_outcome,
        "assume_absent_after": trial.assume_absent_after,
        "max_in_flight": trial.max_in_flight,
        "rejects_path": str(folder / "rejects.jsonl"),
        "journal_path": str(folder / "journal"),
    }


def _task_instance(try_number: int) -> dict[str, Any]:
    names = {"dag_id": "crash", "run_id": "run", "task_id": "submit", "map_index": -1}
    return {**names, "try_number": try_number, "max_tries": MAX_TRIES}


# ---- checks


def _check(trial: Trial, end: dict[str, Any], box: ArmSandbox, folder: Path) -> TrialResult:
    result = TrialResult()
    effect_log = box.ledger()
    effects = {key: entry["effects"] for key, entry in effect_log[trial.resource].items()}
    submits = [batch["submits"] for batch in effect_log["batches"].values()]
    result.repeated = sum(submits) - len(submits)
    if trial.resource == "documents":
        result.doubled = max(result.repeated, sum(count > 1 for count in effects.values()))
        result.repeated = 0
    else:  # repeats are allowed after kills, and only then
        result.doubled = max(0, result.repeated - trial.max_repeats())
    if end["end"] == "done":
        _check_done(trial, end["value"], effects, effect_log, folder, result)
    elif trial.resource == "documents" and any(text in end["message"] for text in (UNKNOWN_OUTCOME, NO_TRACE)):
        result.unresolved = end["message"]
    else:
        result.wrong.append(f"ended as {end}")
    _check_journal(trial, effects, folder, result)
    return result


def _check_done(
    trial: Trial, value: dict[str, Any], effects: dict[str, int], effect_log: Any, folder: Path, result: TrialResult
) -> None:
    """Check that ARM has every record of a successful task, and that counts and rejects file are right."""
    numbers = range(trial.chunks * trial.size)
    refused = {trial.key(number) for number in numbers if trial.is_refused(number)}
    result.lost = sum(trial.key(number) not in effects for number in numbers if not trial.is_refused(number))
    known = {uuid for batch in effect_log["batches"].values() for uuid in batch["batch_uuids"]}
    recovered = {each["chunk"] for each in value["recovered"]}
    if len(set(value["batch_uuids"])) + len(recovered) != trial.chunks or not known.issuperset(value["batch_uuids"]):
        result.wrong.append("not every chunk has a batchUuid of its own or is recovered")
    if value["submitted"] != len(numbers):
        result.wrong.append(f"counted {value['submitted']}")
    if not trial.waits:
        return
    if value["rejected"] != len(refused):
        result.wrong.append(f"counted {value['rejected']} rejected")
    rejects = folder / "rejects.jsonl"
    lines = rejects.read_text(encoding="utf-8").splitlines() if rejects.exists() else []
    key = "customerNo" if trial.resource == "customers" else "documentNo"
    if sorted(json.loads(line)[key] for line in lines) != sorted(refused):
        result.wrong.append("the rejects file does not contain exactly the refused records")


def _check_journal(trial: Trial, effects: dict[str, int], folder: Path, result: TrialResult) -> None:
    """Check each chunk's entry against the effect log. An unknown outcome must be named in the task's message."""
    for entries_folder in (folder / "journal").rglob("entries"):
        entries = FileEntries(entries_folder.parent)
        entries.refresh()
        for index in range(trial.chunks):
            entry = entries.read(index)
            numbers = range(index * trial.size, (index + 1) * trial.size)
            arrived = {trial.key(number) for number in numbers} & effects.keys()
            if wrong := _find_contradiction(trial, entry, arrived, list(numbers), result):
                result.wrong.append(f"chunk {index + 1}: {wrong}")


def _find_contradiction(
    trial: Trial, entry: ChunkEntry | None, arrived: set[str], numbers: list[int], result: TrialResult
) -> str:
    """Return how a chunk's journal entry contradicts the effect log; an empty text if it does not."""
    valid = {trial.key(number) for number in numbers if not trial.is_refused(number)}
    state = entry.state if entry is not None else ChunkState.PLANNED
    if state is ChunkState.ACCEPTED:
        result.lost += len(valid - arrived) if result.unresolved else 0
        return "" if entry.batch_uuid else "it has no batchUuid"
    if state is ChunkState.RECOVERED:
        result.recovered += 1
        missing = {trial.key(numbers[position - 1]) for position in entry.missing or ()}
        return "" if arrived == valid == {trial.key(number) for number in numbers} - missing else "wrongly recovered"
    if result.unresolved is None:
        return f"the task is done, and its state is {state}"
    if state is ChunkState.UNKNOWN:
        # The message names only the first chunks.
        is_named = entry.chunk_id in result.unresolved or result.unresolved.count(UNKNOWN_OUTCOME) >= MAX_NAMED
        return "" if entry.reason and is_named else "the message does not name it"
    if NO_TRACE in result.unresolved:
        return ""  # it has sent nothing, and requires a manual check of the rest
    return f"it is {state} without a reason" if not arrived else f"ARM has it, and it is {state}"
