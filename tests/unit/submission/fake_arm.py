"""Fake ARM that counts effects, and a fake journal that records the order of events. Tests choose where they fail."""

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
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, PlanEntry
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sending.send import Sender
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.records import DOCUMENTS

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState

#: Outcomes of a submit call by name: the error it raises, whether ARM accepted the batch, and the chunk's state in the
#: journal afterwards.
SUBMIT_OUTCOMES: dict[str, tuple[BaseException, bool, ChunkState]] = {
    "response lost": (ArmUnknownOutcomeError("lost", phase=Phase.MAYBE_SENT), True, UNKNOWN),
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
    "unexpected error": (RuntimeError("bug"), True, SENDING),
}


@dataclass(slots=True)
class Batch:
    """Batch that the fake ARM accepted."""

    uuid: str
    keys: frozenset[str]
    clear_count: int
    finished: bool = False
    #: Whether ARM rejected the whole batch: no record took effect.
    rejected: bool = False


@dataclass(slots=True)
class FakeArm:
    """Fake ARM that accepts batches and counts effects by documentNo."""

    #: Outcomes of the next submits in order: a key of :data:`SUBMIT_OUTCOMES`, or ``None`` for success. Submits succeed
    #: when the list is empty.
    outcomes: list[str | None] = field(default_factory=list)
    batches: dict[str, Batch] = field(default_factory=dict)
    events: list[tuple[str, Any]] = field(default_factory=list)
    clear_count: int = 0
    is_down: bool = False

    def submit(self, records: bytes) -> str:
        """Accept a batch, or fail with the next outcome of :attr:`outcomes`."""
        keys = frozenset(record["documentNo"] for record in json.loads(records))
        self.events.append(("submit", keys))
        outcome = self.outcomes.pop(0) if self.outcomes else None
        error, accepted, _ = SUBMIT_OUTCOMES[outcome] if outcome else (None, True, None)
        uuid = f"Batch-{len(self.batches)}"
        if accepted:
            self.batches[uuid] = Batch(uuid, keys, self.clear_count)
        if error is not None:
            raise error
        return uuid

    def poll(self, uuid: str, _records: int | None = None) -> BatchState:
        """Return the state of a batch."""
        self.events.append(("poll", uuid))
        if self.is_down:
            raise ArmUnavailableError("down", phase=Phase.NOT_SENT)
        batch = self.batches[uuid]
        if not batch.finished:
            return BatchState.PENDING
        return BatchState.REJECTED if batch.rejected else BatchState.SUCCEEDED

    def effects(self) -> dict[str, int]:
        """Count how often each document took effect."""
        counts: dict[str, int] = {}
        for batch in self.batches.values():
            for key in () if batch.rejected else batch.keys:
                counts[key] = counts.get(key, 0) + 1
        return counts

    def submits(self) -> list[frozenset[str]]:
        """Return the documentNos of each submit call, in order."""
        return [keys for kind, keys in self.events if kind == "submit"]


@dataclass(slots=True)
class FakeJournal:
    """Journal that stores JSON text in memory and outlives senders.

    :param fail_at: how many writes succeed before one fails; ``None`` for no failure.
    :param failure: how that write fails: one of :data:`JOURNAL_FAILURES`.
    """

    arm: FakeArm
    durable: bool = True
    stored: dict[Any, str] = field(default_factory=dict)
    fail_at: int | None = None
    failure: str = "refuse"
    #: Every batchUuid that was ever written.
    uuids: set[str] = field(default_factory=set)

    def read_plan(self) -> PlanEntry | None:
        """Read the plan."""
        return PlanEntry.from_json(json.loads(self.stored["plan"])) if "plan" in self.stored else None

    def write_plan(self, entry: PlanEntry) -> None:
        """Write the plan."""
        self._write("plan", entry.as_json())

    def read(self, index: int) -> ChunkEntry | None:
        """Read a chunk's entry."""
        return ChunkEntry.from_json(json.loads(self.stored[index])) if index in self.stored else None

    def write(self, entry: ChunkEntry) -> None:
        """Write a chunk's entry."""
        self._write(entry.index, entry.as_json())
        self.arm.events.append(("written", entry))
        if entry.batch_uuid:
            self.uuids.add(entry.batch_uuid)

    def states(self) -> list[ChunkState | None]:
        """Return the states of the chunks, in order."""
        last = max([-1, *(key for key in self.stored if key != "plan")])
        entries = [self.read(index) for index in range(last + 1)]
        return [entry.state if entry else None for entry in entries]

    def _write(self, key: Any, value: dict[str, Any]) -> None:
        fails = self.fail_at == 0
        if self.fail_at is not None:
            self.fail_at -= 1
        if fails and self.failure == "refuse":
            msg = "disk full"
            raise JournalError(msg)
        if fails and self.failure == "killed before":
            raise KeyboardInterrupt
        self.stored[key] = json.dumps(value)
        if not fails:
            return
        if value.get("batch_uuid"):
            self.uuids.add(value["batch_uuid"])
        if self.failure == "killed after":
            raise SystemExit(1)
        msg = "no answer from the store"
        raise JournalError(msg)


#: How a write of :class:`FakeJournal` can fail.
JOURNAL_FAILURES = ["refuse", "killed before", "killed after", "written but reported as failed"]


def run_attempt(
    arm: FakeArm,
    journal: Any,
    records: list[dict[str, Any]],
    *,
    clear_count: int = 0,
    size: int = 1,
    operation: Any = DOCUMENTS,
    resend: bool = False,
) -> list[str]:
    """Run one attempt of the task, and return the batchUuids."""
    arm.clear_count = clear_count
    sender = Sender(operation, journal, clear_count, arm.submit, arm.poll, resend)
    with prepare(ListSource(records), operation, size, "documentNo") as prepared:
        return [each.batch_uuid for each in sender.send_all(prepared.plan, prepared.chunks())]


def attempt_result(*args: Any, **more: Any) -> list[str] | BaseException:
    """Run one attempt; return its batchUuids, or the error that ended it."""
    try:
        return run_attempt(*args, **more)
    except (ArmError, KeyboardInterrupt, SystemExit, RuntimeError) as error:
        return error


def assert_journaled_before_each_submit(arm: FakeArm) -> None:
    """Check that every submit directly follows the journal write that puts its chunk in SENDING."""
    last_written: Any = None
    for kind, value in arm.events:
        if kind == "submit":
            assert isinstance(last_written, ChunkEntry), "submitted without a journal entry"
            assert last_written.state is SENDING
            last_written = None
        elif kind == "written":
            last_written = value
