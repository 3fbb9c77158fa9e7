"""Fake ARM that processes batches later, refuses some records and supports lookups. It records violations."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.batch_state import BatchState
from airflow_provider_arm.client.errors import ArmError, ArmPermissionError, ArmUnavailableError, Phase
from airflow_provider_arm.submission.journal.entries import ChunkState
from airflow_provider_arm.submission.sending.lookup import LookupResult, look_up
from tests.unit.submission.fake_arm import SUBMIT_OUTCOMES
from tests.unit.submission.records import document

if TYPE_CHECKING:
    from airflow_provider_arm.submission.journal.entries import ChunkEntry

#: Seconds within which ARM has processed every batch in tests that set ``assume_absent_after``, and that value.
PROCESSING_TIME, ASSUME_ABSENT_AFTER = 90.0, 100.0
UNRESOLVED = (ChunkState.SENDING, ChunkState.UNKNOWN)
#: Errors of polls and lookups, by name.
READ_ERRORS: dict[str, ArmError] = {
    "unavailable": ArmUnavailableError("down", phase=Phase.NOT_SENT),
    "denied": ArmPermissionError("403", phase=Phase.ANSWERED, status_code=403),
}


def invoice(number: int) -> dict[str, Any]:
    """Build the document of that number."""
    return document(number, currencyAmounts={"inclVat": 100 + number})


@dataclass(slots=True)
class Batch:
    """Batch that ARM accepted."""

    uuid: str
    keys: tuple[str, ...]
    #: Of the sending that submitted it.
    chunk_id: str | None
    accepted_at: float
    #: ARM has started to process it: the first half of its documents can be found.
    started: bool = False
    finished: bool = False
    #: ARM rejected the whole batch.
    rejected: bool = False


@dataclass(slots=True)
class DelayedArm:
    """Fake ARM and its clock.

    :param refused: documents that ARM refuses in every batch.
    :param foreign: numbers under which ARM already has a document of another customer; refused too.
    :param finishes_in_time: whether ARM processes every batch within :data:`PROCESSING_TIME` seconds.
    :param processes_at_once: whether ARM has processed a batch when it has accepted it.
    """

    refused: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    finishes_in_time: bool = True
    processes_at_once: bool = False
    clock: float = 1_000_000.0
    #: Outcome of the next submit of the chunk that begins with this document: a key of ``SUBMIT_OUTCOMES``.
    outcomes: dict[str, str] = field(default_factory=dict)
    #: Key of :data:`READ_ERRORS` while polls and lookups fail.
    read_error: str | None = None
    batches: dict[str, Batch] = field(default_factory=dict)
    #: What happened and must never happen.
    violations: list[str] = field(default_factory=list)
    #: Returns the current entries of the journal, for the checks.
    read_entries: Any = None

    def submit(self, records: bytes) -> str:
        """Accept a batch, or fail with the chosen outcome."""
        keys = tuple(record["documentNo"] for record in json.loads(records))
        sha256 = hashlib.sha256(records).hexdigest()
        entries = (entry for entry in self.read_entries() if entry.sha256 == sha256 and entry.state in UNRESOLVED)
        entry = next(entries, None)
        if entry is None:
            self.violations.append(f"{keys} sent without a journal entry")
        outcome = self.outcomes.pop(keys[0], None)
        error, accepted, _ = SUBMIT_OUTCOMES[outcome] if outcome else (None, True, None)
        uuid = f"Batch-{'-'.join(keys)}.{sum(batch.keys == keys for batch in self.batches.values())}"
        if accepted:
            self._check_overlap(keys)
            self.batches[uuid] = Batch(
                uuid, keys, entry.chunk_id if entry else None, self.clock, finished=self.processes_at_once
            )
        if error is not None:
            raise error
        return uuid

    def _check_overlap(self, keys: tuple[str, ...]) -> None:
        for earlier in self.batches.values():
            shared = set(keys) & set(earlier.keys)
            if shared and not earlier.finished:
                self.violations.append(f"{shared} sent again while processing")
            elif shared & set(self.effective(earlier)):
                self.violations.append(f"{shared} sent again although ARM has accepted it")

    def effective(self, batch: Batch) -> list[str]:
        """Return the documents of a batch that have taken effect or will."""
        return [] if batch.rejected else [key for key in batch.keys if not self.refuses(key)]

    def refuses(self, key: str) -> bool:
        """Return whether ARM refuses a document in every batch."""
        return key in self.refused or key in self.foreign

    def effects(self) -> dict[str, int]:
        """Count how often each document takes effect."""
        counted: dict[str, int] = {}
        for batch in self.batches.values():
            for key in self.effective(batch):
                counted[key] = counted.get(key, 0) + 1
        return counted

    def poll(self, uuid: str, _records: int | None = None) -> BatchState:
        """Return the state of a batch."""
        self._check_read_error()
        batch = self.batches[uuid]
        if not batch.finished:
            return BatchState.PENDING
        accepted = len(self.effective(batch))
        if not accepted:
            return BatchState.REJECTED
        return BatchState.SUCCEEDED if accepted == len(batch.keys) else BatchState.PARTIAL

    def look_up(self, records: list[dict[str, Any]]) -> LookupResult:
        """Look up documents with the package's own function."""
        self._check_read_error()
        return look_up(records, "documentNo", self.find)

    def find(self, key: str) -> dict[str, Any] | None:
        """Return ARM's document of a number, or ``None``."""
        if key in self.foreign:
            return invoice(int(key)) | {"customerNo": "another customer"}
        exists = any(key in self.visible(batch) for batch in self.batches.values())
        return invoice(int(key)) | {"kid": "1"} if exists else None

    def visible(self, batch: Batch) -> list[str]:
        """Return the documents of a batch that a lookup finds now."""
        processed = batch.keys if batch.finished else batch.keys[: (len(batch.keys) + 1) // 2] if batch.started else ()
        return [key for key in self.effective(batch) if key in processed]

    def _check_read_error(self) -> None:
        if self.read_error is not None:
            raise READ_ERRORS[self.read_error]

    # ---- time

    def advance(self, seconds: float) -> None:
        """Advance the clock; ARM processes what is due."""
        self.clock += seconds
        if self.finishes_in_time:
            self.finish(batch for batch in self.unfinished() if batch.accepted_at + PROCESSING_TIME <= self.clock)

    def unfinished(self) -> list[Batch]:
        """Return the batches that ARM has not processed yet."""
        return [batch for batch in self.batches.values() if not batch.finished]

    def finish(self, batches: Any) -> None:
        """Mark batches as processed."""
        for batch in list(batches):
            batch.finished = True

    # ---- manual resolutions

    def batch_of(self, entry: ChunkEntry) -> Batch | None:
        """Return the batch that ARM accepted from one sending, or ``None``."""
        return next((batch for batch in self.batches.values() if batch.chunk_id == entry.chunk_id), None)
