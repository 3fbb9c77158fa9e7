"""From a source to chunks that are ready to send: read once, checked once, hashed, and kept until they are sent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Self

from airflow_provider_arm.client.errors import ArmConfigurationError, FieldIssue
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.limits import MAX_CHUNK_SIZE
from airflow_provider_arm.submission.planning.plan import ChunkPlan, SubmissionPlan
from airflow_provider_arm.submission.planning.spool import Spool
from airflow_provider_arm.submission.planning.totals import CurrencyTotal, CurrencyTotalsAccumulator
from airflow_provider_arm.submission.planning.validate import (
    InvalidRowReport,
    RowValidator,
    WireRecord,
    encode_validated,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.sources.source import Source


class PreparedSubmission:
    """A submission that is ready to send. The source is not needed any more: what is sent is what was planned.

    Close it, or use it with ``with``: until then the records stay in memory or in a nameless temporary file.
    """

    def __init__(
        self, plan: SubmissionPlan, spool: Spool, totals: dict[str, CurrencyTotal], wrong: InvalidRowReport
    ) -> None:
        self.plan = plan
        #: By currency; empty where the records hold no amounts, as customers.
        self.totals = totals
        #: Rows that were left out because they do not fit.
        self.invalid_count = wrong.count
        #: What is wrong with the first of them.
        self.issues: tuple[FieldIssue, ...] = tuple(wrong.shown)
        self._spool = spool

    def chunks(self) -> Iterator[tuple[ChunkPlan, bytes]]:
        """Give each chunk with its records as they go on the wire, a JSON list; as often as asked."""
        for chunk in self.plan.chunks:
            yield chunk, self._spool[chunk.index]

    def close(self) -> None:
        """Forget the records."""
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def prepare(
    source: Source, operation: Operation, chunk_size: int, key: str, *, skip_invalid: bool = False
) -> PreparedSubmission:
    """Read the source once, check every record against its model, and cut the sound ones into chunks.

    :param key: wire name of the natural key. Where a second record of one key would book twice, it is refused.
    :param skip_invalid: leave rows out that do not fit; they do not count for the size of a chunk. ``judged_rows``
        gives them again.
    :raises SourceError: rows are wrong, without *skip_invalid* or all of them: they are counted and the first are
        named. Or there is no row, or the source cannot be read on.
    :raises ArmConfigurationError: *chunk_size* is out of range.
    """
    if not 1 <= chunk_size <= MAX_CHUNK_SIZE:
        msg = f"chunk_size must be between 1 and {MAX_CHUNK_SIZE}, not {chunk_size}"
        raise ArmConfigurationError(msg)
    spool = Spool(source.name)
    try:
        reading = _Reading(operation, chunk_size, key, source, spool)
        reading.read(skip_invalid=skip_invalid)
        plan = SubmissionPlan(operation.name, chunk_size, tuple(reading.chunks))
        return PreparedSubmission(plan, spool, reading.totals.by_currency, reading.wrong)
    except BaseException:
        spool.close()
        raise


class _Reading:
    """One reading of a source into chunks."""

    def __init__(self, operation: Operation, chunk_size: int, key: str, source: Source, spool: Spool) -> None:
        self.chunks: list[ChunkPlan] = []
        self.totals = CurrencyTotalsAccumulator(operation.record)
        self.wrong = InvalidRowReport(source.name)
        self._check = RowValidator(operation, key)
        self._chunk_size = chunk_size
        self._source = source
        self._spool = spool

    def read(self, *, skip_invalid: bool) -> None:
        size = self._chunk_size
        numbers: list[int] = []
        wires: list[WireRecord] = []
        for rows in self._source.row_blocks(size):
            sound = self._check.check_all(rows, self.wrong)
            if self.wrong.count and not skip_invalid:
                continue  # nothing will be sent: only what else is wrong is looked for
            numbers += sound[0]
            wires += sound[1]
            if len(wires) >= size:
                self._keep(numbers[:size], wires[:size])
                del numbers[:size], wires[:size]
        if self.wrong.count and not skip_invalid:
            raise self.wrong.error()
        if wires:
            self._keep(numbers, wires)
        if not self.chunks:
            if self.wrong.count:
                raise self.wrong.error()
            msg = f"{self._source.name}: has no records, so there is nothing to submit"
            raise SourceError(msg)

    def _keep(self, numbers: list[int], wires: list[WireRecord]) -> None:
        self.totals.add(wires)
        records = encode_validated(wires)
        self._spool.append(records)
        digest = hashlib.sha256(records).hexdigest()
        self.chunks.append(ChunkPlan(len(self.chunks), numbers[0], numbers[-1], len(wires), digest))
