"""The plan of a submission: the rows of each chunk, fixed before the first chunk is sent."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

from airflow_provider_arm.client import money


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """Position and hash of one chunk."""

    index: int
    #: Number of the first and the last row.
    first_row: int
    last_row: int
    records: int
    #: Of the records as they are sent.
    sha256: str


@dataclass(frozen=True, slots=True)
class SubmissionPlan:
    """All chunks of a submission."""

    operation: str
    chunk_size: int
    chunks: tuple[ChunkPlan, ...]

    @property
    def records(self) -> int:
        """Number of records in all chunks."""
        return sum(chunk.records for chunk in self.chunks)

    @property
    def sha256(self) -> str:
        """Hash of the plan: equal for equal input."""
        return hashlib.sha256(money.encode(asdict(self))).hexdigest()
