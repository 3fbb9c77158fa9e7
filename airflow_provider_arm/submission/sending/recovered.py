"""Recovered chunks: ARM has their records, but the response with their batchUuid is lost.

There is no batch to wait for. Whether ARM has a record shows what became of it. A recovered chunk gets a batch status
that is computed here, in place of ARM's, so that counts, reject policy and rejects file handle both alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import WriteResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_arm.submission.results.outcome import Batches

_PROCESSED, _FAILED = "PROCESSED", "FAILED"
_MISSING_REASON = "ARM does not have it; the response with the reason is lost"


@dataclass(frozen=True, slots=True)
class RecoveredChunk:
    """Recovered chunk, as one task passes it to another.

    :param chunk: number of the chunk, from 1.
    :param records: number of records in the chunk.
    :param missing: positions, from 1, of the records that ARM does not have.
    """

    chunk: int
    records: int
    missing: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"chunk": self.chunk, "records": self.records, "missing": list(self.missing)}

    def status(self) -> BatchStatus:
        """Return the status that a batch of these records would have."""
        missing = set(self.missing)
        responses = [
            WriteResponse(status=_FAILED, message=_MISSING_REASON, record_no=position)
            if position in missing
            else WriteResponse(status=_PROCESSED, record_no=position)
            for position in range(1, self.records + 1)
        ]
        state = (
            BatchState.SUCCEEDED
            if not missing
            else BatchState.REJECTED
            if len(missing) == self.records
            else BatchState.PARTIAL
        )
        found = self.records - len(missing)
        reason = f"ARM has {found} of {self.records} records; its batchUuid is lost"
        return BatchStatus(state, reason, total=self.records, failed=len(missing), records=responses)


def read_recovered(value: Any) -> list[RecoveredChunk]:
    """Parse ``recovered`` of a result of ``BatchSubmitOperator``; ``None`` stands for an empty list.

    :raises ArmConfigurationError: it is not such a list.
    """
    try:
        return msgspec.convert(value or [], list[RecoveredChunk])
    except msgspec.ValidationError:
        raise ArmConfigurationError('"recovered" of the submission must be what BatchSubmitOperator returned') from None


def in_chunk_order(batches: Sequence[tuple[str, BatchStatus]], recovered: Iterable[RecoveredChunk]) -> Batches:
    """Merge batches and recovered chunks into the order of the chunks."""
    ordered: list[tuple[str | None, BatchStatus]] = list(batches)
    for chunk in sorted(recovered, key=lambda chunk: chunk.chunk):
        ordered.insert(chunk.chunk - 1, (None, chunk.status()))
    return ordered
