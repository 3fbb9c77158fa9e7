"""A trial: a task of many chunks whose processes are killed and started again as Airflow does, and what came of it."""

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
from tests.crash.points import PER_CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.sandbox import ArmSandbox
    from airflow_provider_arm.submission.journal.entries import ChunkEntry

ROOT = Path(__file__).parents[2]
#: What the name of a kill at a random moment is.
RANDOM = "at a random moment"
#: The reasons with which a task may end that cannot know: nothing else counts as open.
UNSURE, NO_TRACE = "may or may not have reached ARM", "has no trace of it on this machine"
#: Tries that look for a chunk and do not find it, after which the trial calls it open.
LOOKS = 3
#: Every so many chunks one holds a record that ARM refuses.
REJECT_EVERY = 3
MAX_TRIES = 12


class Zygote:
    """The process that forks the children; see :mod:`tests.crash.zygote`."""

    def __enter__(self) -> Self:
        answers, theirs = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.zygote", str(theirs)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs],
            text=True,
            bufsize=1,
        )
        os.close(theirs)
        self._answers = os.fdopen(answers)
        #: The longest undisturbed life of a child so far, by part: random kills fall within it.
        self._longest: dict[str, float] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._answers.close()

    def run(
        self, job: dict[str, Any], dice: random.Random | None = None, meanwhile: Callable[[], Any] | None = None
    ) -> dict[str, Any] | None:
        """Run a job in a child; ``None`` if it was killed.

        :param dice: kill it at a moment that these choose.
        :param meanwhile: done while the child stands still, if it does; then the child goes on.
        """
        span = self._longest.get(job["part"], 0.3)
        result = Path(job["result"])
        result.unlink(missing_ok=True)
        self._process.stdin.write(json.dumps({**job, "delay": dice.uniform(0, span) if dice else None}) + "\n")
        answer = json.loads(self._answers.readline())
        if "stopped" in answer:
            meanwhile()
            os.kill(answer["stopped"], signal.SIGCONT)
            answer = json.loads(self._answers.readline())
        if answer["signal"] == signal.SIGKILL:
            return None
        if job["point"] is None and dice is None:
            self._longest[job["part"]] = max(self._longest.get(job["part"], 0.0), min(answer["seconds"], 5.0))
        assert result.exists(), Path(job["log"]).read_text(encoding="utf-8")[-3000:]
        return json.loads(result.read_text(encoding="utf-8"))


@dataclass
class Trial:
    """What is submitted, how, and where its processes die.

    :param kills: points by name, or :data:`RANDOM`, in order; each try meets the first that is left.
    """

    resource: str
    deferred: bool
    kills: list[str]
    seed: int
    chunks: int = 10
    size: int = 5
    #: ``"resend"`` is the author's choice to risk a second booking: with it the ledger must show one.
    on_unknown_outcome: str = "fail"
    #: Whether ARM refuses some of the records.
    refusals: bool = True
    #: Seconds of the sandbox's clock that ARM needs for a batch. Where it is long, the task does not wait for it.
    delay: float = 0.02
    #: Seconds of the sandbox's clock from one try to the next.
    pause: float = 0.0
    #: Seconds of real time.
    assume_absent_after: float | None = None
    max_in_flight: int = 1
    #: The points at which a process did die.
    died_at: list[str] = field(default_factory=list)

    def repeats(self) -> int:
        """How many batches of customers may go once more: those that were on their way when a process died."""
        return len(self.died_at) * self.max_in_flight

    def records(self) -> list[dict[str, Any]]:
        """Make the records; some are such that ARM refuses them."""
        return [self._record(number) for number in range(self.chunks * self.size)]

    @property
    def waits(self) -> bool:
        """Whether the task waits until ARM is done."""
        return self.delay < 1

    def is_bad(self, number: int) -> bool:
        """Tell whether ARM refuses the record: the second of every third chunk."""
        return self.refusals and number % (self.size * REJECT_EVERY) == 1

    def key(self, number: int) -> str:
        """Give the natural key."""
        return str(500_000 + number)

    def _record(self, number: int) -> dict[str, Any]:
        if self.resource == "customers":
            bad = {"organizationNo": "312345678"} if self.is_bad(number) else {}
            return {"customerNo": self.key(number), "name": f"Kari {number}", **bad}
        return {
            "documentType": "IN",
            "customerNo": "999999999" if self.is_bad(number) else "543210",
            "documentNo": self.key(number),
            "documentDate": "2026-01-31",
            "dueDate": "2026-02-28",
            "currency": "NOK",
            "currencyAmounts": {"exclVat": 100, "vat": 25, "inclVat": 125},
        }


@dataclass
class Verdict:
    """What became of a trial, by the sandbox's ledger."""

    lost: int = 0
    doubled: int = 0
    #: Batches of customers that were sent once more after a kill, which changes nothing.
    repeated: int = 0
    #: The reason, if the task stopped with chunks of which nobody knows.
    unsure: str | None = None
    #: Chunks that were found by their records.
    found: int = 0
    wrong: list[str] = field(default_factory=list)


def run_trial(trial: Trial, zygote: Zygote, box: ArmSandbox, folder: Path) -> Verdict:
    """Start the task again after each kill until it is done or looks no more; then ask the ledger."""
    _prepare(trial, box, folder)
    end = _until_it_ends(trial, zygote, box, folder)
    box.advance(3600)
    return _judge(trial, end, box, folder)


def run_past(trial: Trial, zygotes: tuple[Zygote, Zygote], box: ArmSandbox, folder: Path) -> tuple[Verdict, Any]:
    """Let the first try stand still at the trial's first point while the second runs to its end; then both go on.

    A third try follows, as after the retry's delay; gives what the ledger says, and how the first ended.
    """
    _prepare(trial, box, folder)
    (point,) = trial.kills
    trial.kills, trial.died_at = [], [point]
    job = _job(trial, box, folder, point, random.Random(trial.seed), try_number=1)
    first = zygotes[0].run(
        {**job, "signal": "SIGSTOP", "result": str(folder / "first.json")},
        meanwhile=lambda: _until_it_ends(trial, zygotes[1], box, folder, try_number=2),
    )
    end = _until_it_ends(trial, zygotes[1], box, folder, try_number=3)
    box.advance(3600)
    return _judge(trial, end, box, folder), first


def _prepare(trial: Trial, box: ArmSandbox, folder: Path) -> None:
    box.reset()
    # A document that is posted twice must show.
    box.behave(batch_delay=trial.delay, q15_duplicate_document="accept")
    folder.mkdir()
    lines = "".join(json.dumps(record) + "\n" for record in trial.records())
    (folder / "source.jsonl").write_text(lines, encoding="utf-8")


def _job(
    trial: Trial, box: ArmSandbox, folder: Path, kill: str | None, dice: random.Random, try_number: int
) -> dict[str, Any]:
    return {
        "part": "execute",
        "point": None if kill == RANDOM else kill,
        "nth": dice.choice([1, (trial.chunks + 1) // 2, trial.chunks]) if kill in PER_CHUNK else 1,
        "signal": "SIGKILL",
        "connection": box.connection(),
        "ledger_url": f"{box.url}/__sandbox__/ledger",
        "operator": _operator(trial, folder),
        "ti": _task_instance(try_number),
        "log": str(folder / "log.txt"),
        "result": str(folder / "result.json"),
    }


def _until_it_ends(trial: Trial, zygote: Zygote, box: ArmSandbox, folder: Path, try_number: int = 1) -> dict[str, Any]:
    dice = random.Random(trial.seed)
    kills = list(trial.kills)
    part, more, looks = "execute", {}, 0
    while try_number <= MAX_TRIES:
        kill = kills[0] if kills else None
        job = {**_job(trial, box, folder, kill, dice, try_number), "part": part, **more}
        end = zygote.run(job, dice if kill == RANDOM else None)
        if end is None:
            trial.died_at.append(kills.pop(0))
            if part != "trigger":  # a triggerer that is started again runs the trigger again
                part, more, try_number = "execute", {}, try_number + 1
                box.advance(trial.pause)
        elif end["end"] == "deferred":
            part, more = "trigger", {"trigger": end["trigger"], "kwargs": end["kwargs"]}
        elif end["end"] == "event":
            part, more = "complete", {"event": end["event"], "kwargs": more["kwargs"]}
        elif end["end"] == "transient" and looks < LOOKS:
            part, more, try_number = "execute", {}, try_number + 1
            looks += UNSURE in end["message"]
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


# ---- what the ledger says


def _judge(trial: Trial, end: dict[str, Any], box: ArmSandbox, folder: Path) -> Verdict:
    verdict = Verdict()
    ledger = box.ledger()
    effects = {key: entry["effects"] for key, entry in ledger[trial.resource].items()}
    submits = [batch["submits"] for batch in ledger["batches"].values()]
    verdict.repeated = sum(submits) - len(submits)
    if trial.resource == "documents":
        verdict.doubled = max(verdict.repeated, sum(count > 1 for count in effects.values()))
        verdict.repeated = 0
    else:  # a repeat is right after a kill, and only then
        verdict.doubled = max(0, verdict.repeated - trial.repeats())
    if end["end"] == "done":
        _judge_done(trial, end["value"], effects, ledger, folder, verdict)
    elif trial.resource == "documents" and any(why in end["message"] for why in (UNSURE, NO_TRACE)):
        verdict.unsure = end["message"]
    else:
        verdict.wrong.append(f"ended as {end}")
    _judge_journal(trial, effects, folder, verdict)
    return verdict


def _judge_done(
    trial: Trial, value: dict[str, Any], effects: dict[str, int], ledger: Any, folder: Path, verdict: Verdict
) -> None:
    """A task that ends green has every record with ARM, counted, and the refused ones in its file."""
    numbers = range(trial.chunks * trial.size)
    bad = {trial.key(number) for number in numbers if trial.is_bad(number)}
    verdict.lost = sum(trial.key(number) not in effects for number in numbers if not trial.is_bad(number))
    known = {uuid for batch in ledger["batches"].values() for uuid in batch["batch_uuids"]}
    found = {each["chunk"] for each in value["recovered"]}
    if len(set(value["batch_uuids"])) + len(found) != trial.chunks or not known.issuperset(value["batch_uuids"]):
        verdict.wrong.append("not every chunk has a batchUuid of its own, or was found")
    if value["submitted"] != len(numbers):
        verdict.wrong.append(f"counted {value['submitted']}")
    if not trial.waits:
        return
    if value["rejected"] != len(bad):
        verdict.wrong.append(f"counted {value['rejected']} rejected")
    rejects = folder / "rejects.jsonl"
    lines = rejects.read_text(encoding="utf-8").splitlines() if rejects.exists() else []
    key = "customerNo" if trial.resource == "customers" else "documentNo"
    if sorted(json.loads(line)[key] for line in lines) != sorted(bad):
        verdict.wrong.append("the rejects file does not hold exactly the refused records")


def _judge_journal(trial: Trial, effects: dict[str, int], folder: Path, verdict: Verdict) -> None:
    """What the journal says of each chunk must be true in ARM, or be a question that the task has asked."""
    for lines in (folder / "journal").rglob("entries"):
        journal = FileEntries(lines.parent)
        journal.refresh()
        for index in range(trial.chunks):
            line = journal.read(index)
            numbers = range(index * trial.size, (index + 1) * trial.size)
            arrived = {trial.key(number) for number in numbers} & effects.keys()
            if wrong := _judge_line(trial, line, arrived, list(numbers), verdict):
                verdict.wrong.append(f"chunk {index + 1}: {wrong}")


def _judge_line(trial: Trial, line: ChunkEntry | None, arrived: set[str], numbers: list[int], verdict: Verdict) -> str:
    """Say what is wrong with the journal's last word on a chunk."""
    good = {trial.key(number) for number in numbers if not trial.is_bad(number)}
    state = line.state if line is not None else ChunkState.PLANNED
    if state is ChunkState.ACCEPTED:
        verdict.lost += len(good - arrived) if verdict.unsure else 0
        return "" if line.batch_uuid else "it has no batchUuid"
    if state is ChunkState.RECOVERED:
        verdict.found += 1
        missing = {trial.key(numbers[place - 1]) for place in line.missing or ()}
        return "" if arrived == good == {trial.key(number) for number in numbers} - missing else "wrongly found"
    if verdict.unsure is None:
        return f"the task is done, and its state is {state}"
    if state is ChunkState.UNKNOWN:
        # The message names the first few.
        is_asked = line.chunk_id in verdict.unsure or verdict.unsure.count(UNSURE) >= MAX_NAMED
        return "" if line.reason and is_asked else "nobody is asked about it"
    if NO_TRACE in verdict.unsure:
        return ""  # it has sent nothing, and leaves the rest to a person
    return f"it is {state} although nothing stood in its way" if not arrived else f"ARM has it, and it is {state}"
