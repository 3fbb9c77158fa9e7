"""A trial: a task of many chunks whose processes are killed and started again as Airflow does, and what came of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.crash.points import PER_CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.sandbox import ArmSandbox

ROOT = Path(__file__).parents[2]
#: What the name of a kill at a random moment is.
RANDOM = "at a random moment"
#: The reason with which a task may end that cannot know: nothing else counts as blocked.
BLOCKED = ("may or may not have reached ARM", "has no trace of it on this machine")
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
    #: The points at which a process did die.
    died_at: list[str] = field(default_factory=list)

    def records(self) -> list[dict[str, Any]]:
        """Make the records; some are such that ARM refuses them."""
        return [self._record(number) for number in range(self.chunks * self.size)]

    def is_bad(self, number: int) -> bool:
        """Tell whether ARM refuses the record: the second of every third chunk."""
        return number % (self.size * REJECT_EVERY) == 1

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
    #: The reason, if the task stopped for a person.
    blocked: str | None = None
    wrong: list[str] = field(default_factory=list)


def run_trial(trial: Trial, zygote: Zygote, box: ArmSandbox, folder: Path) -> Verdict:
    """Start the task again after each kill until it is done or blocked; then ask the ledger."""
    _prepare(trial, box, folder)
    end = _until_it_ends(trial, zygote, box, folder)
    box.advance(3600)
    return _judge(trial, end, box, folder)


def run_past(trial: Trial, zygotes: tuple[Zygote, Zygote], box: ArmSandbox, folder: Path) -> tuple[Verdict, Any]:
    """Let the first try stand still at the trial's first point while the second runs to its end; then both go on.

    A third try follows, as when a person clears what was blocked; gives what the ledger says, and how the first ended.
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
    box.behave(batch_delay=0.02)
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
    part, more = "execute", {}
    while try_number <= MAX_TRIES:
        kill = kills[0] if kills else None
        job = {**_job(trial, box, folder, kill, dice, try_number), "part": part, **more}
        end = zygote.run(job, dice if kill == RANDOM else None)
        if end is None:
            trial.died_at.append(kills.pop(0))
            if part != "trigger":  # a triggerer that is started again runs the trigger again
                part, more, try_number = "execute", {}, try_number + 1
        elif end["end"] == "deferred":
            part, more = "trigger", {"trigger": end["trigger"], "kwargs": end["kwargs"]}
        elif end["end"] == "event":
            part, more = "complete", {"event": end["event"], "kwargs": more["kwargs"]}
        elif end["end"] == "transient":
            part, more, try_number = "execute", {}, try_number + 1
        else:
            return end
    return {"end": "out of tries", "message": str(end)}


def _operator(trial: Trial, folder: Path) -> dict[str, Any]:
    return {
        "resource": trial.resource,
        "source": str(folder / "source.jsonl"),
        "chunk_size": trial.size,
        "wait_for_completion": True,
        "deferrable": trial.deferred,
        "poll_interval": 0.01,
        "timeout": 60,
        "on_rejected": "warn",
        "on_unknown_outcome": trial.on_unknown_outcome,
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
        verdict.doubled = max(0, verdict.repeated - len(trial.died_at))
    if end["end"] == "done":
        _judge_done(trial, end["value"], effects, ledger, folder, verdict)
    elif end["end"] == "failed" and trial.resource == "documents" and any(why in end["message"] for why in BLOCKED):
        verdict.blocked = end["message"]
        _judge_blocked(trial, effects, folder, verdict)
    else:
        verdict.wrong.append(f"ended as {end}")
    return verdict


def _judge_done(
    trial: Trial, value: dict[str, Any], effects: dict[str, int], ledger: Any, folder: Path, verdict: Verdict
) -> None:
    numbers = range(trial.chunks * trial.size)
    bad = {trial.key(number) for number in numbers if trial.is_bad(number)}
    verdict.lost = sum(trial.key(number) not in effects for number in numbers if not trial.is_bad(number))
    known = {uuid for batch in ledger["batches"].values() for uuid in batch["batch_uuids"]}
    if len(set(value["batch_uuids"])) != trial.chunks or not known.issuperset(value["batch_uuids"]):
        verdict.wrong.append("not every chunk has a batchUuid of its own")
    if (value["submitted"], value["rejected"]) != (len(numbers), len(bad)):
        verdict.wrong.append(f"counted {value['submitted']} and {value['rejected']} rejected")
    key = "customerNo" if trial.resource == "customers" else "documentNo"
    rejects = (folder / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    if sorted(json.loads(line)[key] for line in rejects) != sorted(bad):
        verdict.wrong.append("the rejects file does not hold exactly the refused records")


def _judge_blocked(trial: Trial, effects: dict[str, int], folder: Path, verdict: Verdict) -> None:
    """What the journal says of a chunk must be true in ARM, or be a question."""
    for chunk in range(trial.chunks):
        lines = sorted((folder / "journal").rglob(f"lines/chunk-{chunk:06d}.*.json"))
        state = json.loads(lines[-1].read_bytes())["content"]["state"] if lines else "planned"
        numbers = range(chunk * trial.size, (chunk + 1) * trial.size)
        arrived = [trial.key(number) in effects for number in numbers if not trial.is_bad(number)]
        if state == "accepted":
            verdict.lost += arrived.count(False)
        elif state in {"planned", "refused"} and any(arrived):
            verdict.wrong.append(f"chunk {chunk + 1} is with ARM, and the journal calls it {state}")
