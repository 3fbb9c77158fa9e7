"""Chunks that were found in ARM by their records, after the answer that held their batchUuid was lost.

There is no batch to wait for: what became of each record is told by whether ARM has it. Where a batch has a status of
ARM's, such a chunk has one made here, so that counting, policy and rejects file treat both alike.
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

_TAKEN, _MISSING = "PROCESSED", "FAILED"
_WHY = "ARM does not have it; the answer that would have said why is lost"


@dataclass(frozen=True, slots=True)
class RecoveredChunk:
    """One such chunk, as a task hands it to another.

    :param chunk: from 1.
    :param missing: the places, from 1, of the records that ARM does not have.
    """

    chunk: int
    records: int
    missing: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"chunk": self.chunk, "records": self.records, "missing": list(self.missing)}

    def status(self) -> BatchStatus:
        """Give what a batch of these records would have said."""
        missing = set(self.missing)
        answers = [
            WriteResponse(status=_MISSING, message=_WHY, record_no=place) if place in missing else _taken(place)
            for place in range(1, self.records + 1)
        ]
        state = (
            BatchState.SUCCEEDED
            if not missing
            else BatchState.REJECTED
            if len(missing) == self.records
            else BatchState.PARTIAL
        )
        reason = f"found by its records, {self.records - len(missing)} of {self.records}; its batchUuid is lost"
        return BatchStatus(state, reason, total=self.records, failed=len(missing), records=answers)


def _taken(place: int) -> WriteResponse:
    return WriteResponse(status=_TAKEN, record_no=place)


def read_recovered(value: Any) -> list[RecoveredChunk]:
    """Read what :meth:`RecoveredChunk.as_json` gave, from what ``BatchSubmitOperator`` returned; ``None`` is none.

    :raises ArmConfigurationError: it is nothing such.
    """
    try:
        return msgspec.convert(value or [], list[RecoveredChunk])
    except msgspec.ValidationError:
        msg = '"recovered" of the submission must be what BatchSubmitOperator returned'
        raise ArmConfigurationError(msg) from None


def in_chunk_order(batches: Sequence[tuple[str, BatchStatus]], recovered: Iterable[RecoveredChunk]) -> Batches:
    """Put batches and found chunks in the order of the chunks."""
    ordered: list[tuple[str | None, BatchStatus]] = list(batches)
    for each in sorted(recovered, key=lambda one: one.chunk):
        ordered.insert(each.chunk - 1, (None, each.status()))
    return ordered
