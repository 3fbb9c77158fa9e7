"""An ARM that works later, refuses some records and can be looked into; its oracle notes what must never happen."""

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

#: Seconds within which ARM is done with a batch, where the author has set ``assume_absent_after``: so that is a true word.
WORK, SETTLE = 90.0, 100.0
OPEN = (ChunkState.SENDING, ChunkState.UNKNOWN)
#: Why ARM cannot be asked.
DOWN: dict[str, ArmError] = {
    "unavailable": ArmUnavailableError("down", phase=Phase.NOT_SENT),
    "denied": ArmPermissionError("403", phase=Phase.ANSWERED, status_code=403),
}


def invoice(number: int) -> dict[str, Any]:
    """Make the document of that number."""
    return document(number, currencyAmounts={"inclVat": 100 + number})


@dataclass(slots=True)
class Batch:
    """What ARM took."""

    uuid: str
    keys: tuple[str, ...]
    #: Of the sending that brought it.
    chunk_id: str | None
    taken_at: float
    #: ARM has begun: the first half of its documents is there.
    begun: bool = False
    finished: bool = False
    #: ARM took nothing of it.
    rejected: bool = False


@dataclass(slots=True)
class World:
    """ARM, its clock, and the truth about it.

    :param refused: documents that ARM takes into no batch's effect.
    :param foreign: documents that somebody else has posted under the same numbers before; refused too.
    :param settle: whether ARM is done with every batch within :data:`WORK` seconds.
    :param at_once: ARM is done with a batch when it has taken it.
    """

    refused: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    settle: bool = True
    at_once: bool = False
    clock: float = 1_000_000.0
    #: How the submit of the chunk that begins with this document ends; each once.
    endings: dict[str, str] = field(default_factory=dict)
    down: str | None = None
    batches: dict[str, Batch] = field(default_factory=dict)
    #: What must never happen, and did.
    violations: list[str] = field(default_factory=list)
    #: The lines of the journal as they stand, for the oracle.
    lines: Any = None

    def submit(self, records: bytes) -> str:
        """Take a batch, or end as told."""
        keys = tuple(record["documentNo"] for record in json.loads(records))
        sha256 = hashlib.sha256(records).hexdigest()
        line = next((line for line in self.lines() if line.sha256 == sha256 and line.state in OPEN), None)
        if line is None:
            self.violations.append(f"{keys} sent, and the journal does not know")
        ending = self.endings.pop(keys[0], None)
        error, taken, _ = SUBMIT_OUTCOMES[ending] if ending else (None, True, None)
        uuid = f"Batch-{'-'.join(keys)}.{sum(batch.keys == keys for batch in self.batches.values())}"
        if taken:
            self._check_overlap(keys)
            self.batches[uuid] = Batch(uuid, keys, line.chunk_id if line else None, self.clock, finished=self.at_once)
        if error is not None:
            raise error
        return uuid

    def _check_overlap(self, keys: tuple[str, ...]) -> None:
        for earlier in self.batches.values():
            shared = set(keys) & set(earlier.keys)
            if shared and not earlier.finished:
                self.violations.append(f"{shared} sent again while in work")
            elif shared & set(self.booked(earlier)):
                self.violations.append(f"{shared} sent again although ARM has taken it")

    def booked(self, batch: Batch) -> list[str]:
        """The documents of a batch that take effect, now or when it is done."""
        return [] if batch.rejected else [key for key in batch.keys if not self.refuses(key)]

    def refuses(self, key: str) -> bool:
        """Whether ARM refuses a document, whatever batch it is in."""
        return key in self.refused or key in self.foreign

    def effects(self) -> dict[str, int]:
        """Count how often each document takes effect."""
        counted: dict[str, int] = {}
        for batch in self.batches.values():
            for key in self.booked(batch):
                counted[key] = counted.get(key, 0) + 1
        return counted

    def poll(self, uuid: str) -> BatchState:
        """Look at a batch."""
        self._ask()
        batch = self.batches[uuid]
        if not batch.finished:
            return BatchState.PENDING
        taken = len(self.booked(batch))
        if not taken:
            return BatchState.REJECTED
        return BatchState.SUCCEEDED if taken == len(batch.keys) else BatchState.PARTIAL

    def look_up(self, records: list[dict[str, Any]]) -> LookupResult:
        """Look for documents, as the package does."""
        self._ask()
        return look_up(records, "documentNo", self.find)

    def find(self, key: str) -> dict[str, Any] | None:
        """Give ARM's document of a number."""
        if key in self.foreign:
            return invoice(int(key)) | {"customerNo": "somebody else"}
        is_there = any(key in self.shown(batch) for batch in self.batches.values())
        return invoice(int(key)) | {"kid": "1"} if is_there else None

    def shown(self, batch: Batch) -> list[str]:
        """The documents of a batch that can be found now."""
        ready = batch.keys if batch.finished else batch.keys[: (len(batch.keys) + 1) // 2] if batch.begun else ()
        return [key for key in self.booked(batch) if key in ready]

    def _ask(self) -> None:
        if self.down is not None:
            raise DOWN[self.down]

    # ---- time

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.clock += seconds
        if self.settle:
            self.finish(batch for batch in self.unfinished() if batch.taken_at + WORK <= self.clock)

    def unfinished(self) -> list[Batch]:
        """The batches in work."""
        return [batch for batch in self.batches.values() if not batch.finished]

    def finish(self, batches: Any) -> None:
        """ARM is done with these."""
        for batch in list(batches):
            batch.finished = True

    # ---- what a person finds out

    def of_case(self, line: ChunkEntry) -> Batch | None:
        """Give what ARM took of one sending."""
        return next((batch for batch in self.batches.values() if batch.chunk_id == line.chunk_id), None)
