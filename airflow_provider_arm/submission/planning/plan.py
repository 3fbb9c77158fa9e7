"""The plan of a submission: which rows go into which chunk, fixed before the first is sent."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

from airflow_provider_arm.client import money


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """One batch to be."""

    index: int
    #: Number of the first and the last row.
    first_row: int
    last_row: int
    records: int
    #: Of the records as they go on the wire.
    sha256: str


@dataclass(frozen=True, slots=True)
class SubmissionPlan:
    """All batches to be."""

    operation: str
    chunk_size: int
    chunks: tuple[ChunkPlan, ...]

    @property
    def records(self) -> int:
        """How many records there are in all."""
        return sum(chunk.records for chunk in self.chunks)

    @property
    def sha256(self) -> str:
        """One name for the whole plan: the same input gives the same."""
        return hashlib.sha256(money.encode(asdict(self))).hexdigest()
