"""An ARM that counts effects, and a journal that writes down its order of events; both fail where they are told to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_arm.client.batch_state import BatchState
from airflow_provider_arm.client.errors import (
    ArmAuthenticationError,
    ArmConfigurationError,
    ArmError,
    ArmInvalidResponseError,
    ArmPermissionError,
    ArmRateLimitError,
    ArmUnavailableError,
    ArmUnknownOutcomeError,
    ArmValidationError,
    Phase,
)
from airflow_provider_arm.submission.errors import JournalError
from airflow_provider_arm.submission.journal.entries import ChunkState, Entry, PlanEntry
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sending.send import Sender
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.records import DOCUMENTS

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState

#: What a submit may come to: the error, whether ARM has taken the records, and what is known of the chunk afterwards.
ENDINGS: dict[str, tuple[BaseException, bool, ChunkState]] = {
    "answer lost": (ArmUnknownOutcomeError("lost", phase=Phase.MAYBE_SENT), True, UNKNOWN),
    "request lost": (ArmUnknownOutcomeError("lost", phase=Phase.MAYBE_SENT), False, UNKNOWN),
    "503": (ArmUnknownOutcomeError("503", phase=Phase.ANSWERED, status_code=503), True, UNKNOWN),
    "unreadable": (ArmInvalidResponseError("html", phase=Phase.ANSWERED, status_code=200), True, UNKNOWN),
    "redirect": (ArmInvalidResponseError("302", phase=Phase.ANSWERED, status_code=302), False, UNKNOWN),
    "unavailable, maybe sent": (ArmUnavailableError("lost", phase=Phase.MAYBE_SENT), True, UNKNOWN),
    "unavailable, answered": (ArmUnavailableError("503", phase=Phase.ANSWERED, status_code=503), True, UNKNOWN),
    "refused": (ArmValidationError("422", phase=Phase.ANSWERED, status_code=422), False, REFUSED),
    "no permission": (ArmPermissionError("403", phase=Phase.ANSWERED, status_code=403), False, REFUSED),
    "token refused": (ArmAuthenticationError("401", phase=Phase.ANSWERED, status_code=401), False, REFUSED),
    "no token": (ArmAuthenticationError("no token", phase=Phase.NOT_SENT, status_code=400), False, PLANNED),
    "throttled": (ArmRateLimitError("429", phase=Phase.ANSWERED, status_code=429), False, PLANNED),
    "not sent": (ArmUnavailableError("down", phase=Phase.NOT_SENT), False, PLANNED),
    "not configured": (ArmConfigurationError("client_no is missing"), False, PLANNED),
    "killed before": (KeyboardInterrupt(), False, SENDING),
    "killed after": (SystemExit(1), True, SENDING),
    "a bug of ours": (RuntimeError("bug"), True, SENDING),
}


@dataclass(slots=True)
class Batch:
    """What ARM took."""

    uuid: str
    keys: frozenset[str]
    clear_count: int
    finished: bool = False
    #: ARM took nothing of it: no record had an effect.
    rejected: bool = False


@dataclass(slots=True)
class FakeArm:
    """Takes batches and counts effects by documentNo."""

    #: How the next submits end, in order; a plain success where there is none.
    endings: list[str | None] = field(default_factory=list)
    batches: dict[str, Batch] = field(default_factory=dict)
    events: list[tuple[str, Any]] = field(default_factory=list)
    clear_count: int = 0
    down: bool = False

    def submit(self, records: bytes) -> str:
        """Take a batch, or end as told."""
        keys = frozenset(record["documentNo"] for record in json.loads(records))
        self.events.append(("submit", keys))
        ending = self.endings.pop(0) if self.endings else None
        error, taken, _ = ENDINGS[ending] if ending else (None, True, None)
        uuid = f"Batch-{len(self.batches)}"
        if taken:
            self.batches[uuid] = Batch(uuid, keys, self.clear_count)
        if error is not None:
            raise error
        return uuid

    def look(self, uuid: str) -> BatchState:
        """Look at a batch."""
        self.events.append(("look", uuid))
        if self.down:
            raise ArmUnavailableError("down", phase=Phase.NOT_SENT)
        batch = self.batches[uuid]
        if not batch.finished:
            return BatchState.PENDING
        return BatchState.REJECTED if batch.rejected else BatchState.SUCCEEDED

    def effects(self) -> dict[str, int]:
        """Count how often each document took effect."""
        counted: dict[str, int] = {}
        for batch in self.batches.values():
            for key in () if batch.rejected else batch.keys:
                counted[key] = counted.get(key, 0) + 1
        return counted

    def submits(self) -> list[frozenset[str]]:
        """What was put on the wire, in order."""
        return [what for kind, what in self.events if kind == "submit"]


@dataclass(slots=True)
class DiskJournal:
    """Keeps JSON text, as a store does, and outlives senders. The nth write from now fails as told."""

    arm: FakeArm
    durable: bool = True
    kept: dict[Any, str] = field(default_factory=dict)
    fail_at: int | None = None
    failure: str = "refuse"
    #: Every batchUuid that was ever kept: what nobody has forgotten.
    uuids: set[str] = field(default_factory=set)

    def read_plan(self) -> PlanEntry | None:
        """Read the plan."""
        return PlanEntry.from_json(json.loads(self.kept["plan"])) if "plan" in self.kept else None

    def write_plan(self, entry: PlanEntry) -> None:
        """Keep the plan."""
        self._write("plan", entry.as_json())

    def read(self, index: int) -> Entry | None:
        """Read a chunk's line."""
        return Entry.from_json(json.loads(self.kept[index])) if index in self.kept else None

    def write(self, entry: Entry) -> None:
        """Keep a chunk's line."""
        self._write(entry.index, entry.as_json())
        self.arm.events.append(("kept", entry))
        if entry.batch_uuid:
            self.uuids.add(entry.batch_uuid)

    def states(self) -> list[ChunkState | None]:
        """The states of the chunks, in order."""
        lines = [self.read(index) for index in range(max([-1, *(k for k in self.kept if k != "plan")]) + 1)]
        return [line.state if line else None for line in lines]

    def _write(self, key: Any, value: dict[str, Any]) -> None:
        due = self.fail_at == 0
        if self.fail_at is not None:
            self.fail_at -= 1
        if due and self.failure == "refuse":
            msg = "disk full"
            raise JournalError(msg)
        if due and self.failure == "killed before":
            raise KeyboardInterrupt
        self.kept[key] = json.dumps(value)
        if due and self.failure == "killed after":
            if value.get("batch_uuid"):
                self.uuids.add(value["batch_uuid"])
            raise SystemExit(1)
        if due and self.failure == "kept and refused":
            if value.get("batch_uuid"):
                self.uuids.add(value["batch_uuid"])
            msg = "no answer from the store"
            raise JournalError(msg)


JOURNAL_FAILURES = ["refuse", "killed before", "killed after", "kept and refused"]


def send(
    arm: FakeArm,
    journal: Any,
    records: list[dict[str, Any]],
    *,
    clear_count: int = 0,
    size: int = 1,
    operation: Any = DOCUMENTS,
    resend: bool = False,
) -> list[str]:
    """Run one attempt of the task."""
    arm.clear_count = clear_count
    sender = Sender(operation, journal, clear_count, arm.submit, arm.look, resend)
    with prepare(ListSource(records), operation, size, "documentNo") as prepared:
        return [each.batch_uuid for each in sender.send_all(prepared.plan, prepared.chunks())]


def attempt(*args: Any, **more: Any) -> list[str] | BaseException:
    """Run one attempt; gives its error, as a process that ends."""
    try:
        return send(*args, **more)
    except (ArmError, KeyboardInterrupt, SystemExit, RuntimeError) as error:
        return error


def check_order(arm: FakeArm) -> None:
    """Fail where a submit was not preceded at once by its chunk's line in SENDING, kept."""
    before: Any = None
    for kind, what in arm.events:
        if kind == "submit":
            assert isinstance(before, Entry), "submitted without a line"
            assert before.state is SENDING
            before = None
        elif kind == "kept":
            before = what
