"""From a source to chunks that are ready to send: records are read and validated once, hashed, and kept until sent."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from airflow_provider_arm.client.errors import ArmConfigurationError, FieldIssue
from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from airflow_provider_arm.submission.errors import EmptySourceError
from airflow_provider_arm.submission.planning.duplicate_keys import DoubledKeyCounter
from airflow_provider_arm.submission.planning.plan import ChunkPlan, SubmissionPlan
from airflow_provider_arm.submission.planning.spool import Spool
from airflow_provider_arm.submission.planning.totals import CurrencyTotal, CurrencyTotalsAccumulator
from airflow_provider_arm.submission.planning.validate import InvalidRowReport, RowValidator, encode_validated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.planning.validate import WireRecord
    from airflow_provider_arm.submission.sources.source import Source


@dataclass(frozen=True, eq=False)
class PreparedSubmission:
    """A submission that is ready to send. It does not read the source again: what is sent is what was planned.

    Use it in a ``with`` block, which discards the records at its end.
    """

    plan: SubmissionPlan
    #: By currency; empty if the records have no amounts, such as customers.
    totals: dict[str, CurrencyTotal]
    #: Invalid rows that were skipped, and the issues of the first of them.
    invalid_count: int
    issues: tuple[FieldIssue, ...]
    #: Rows without any value that were skipped.
    blank_rows: int
    #: How often each natural key comes that comes more than once, if the last record wins (an upsert).
    doubled_keys: dict[str, int]
    _spool: Spool

    def chunks(self) -> Iterator[tuple[ChunkPlan, bytes]]:
        """Yield each chunk with its records, a JSON list as it is sent. Can be called repeatedly."""
        for chunk in self.plan.chunks:
            yield chunk, self._spool[chunk.index]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()


def prepare(
    source: Source,
    operation: Operation,
    chunk_size: int,
    key: str,
    *,
    max_records: int = DEFAULT_READINGS.batch.max_records,
    skip_invalid: bool = False,
) -> PreparedSubmission:
    """Read the source once, validate each record, and divide the valid ones into chunks.

    :param key: wire name of the natural key. A second record with the same key is invalid if ARM would book it twice.
    :param max_records: records of one batch at most, according to the readings profile.
    :param skip_invalid: skip invalid rows; they do not count towards *chunk_size*. ``validate_rows`` yields them.
    :raises SourceError: rows are invalid and *skip_invalid* is false, or all rows are invalid (all are counted, the
        first are listed); there is no row; or the source cannot be read.
    :raises ArmConfigurationError: *chunk_size* is out of range.
    """
    _check_chunk_size(chunk_size, max_records)
    chunks: list[ChunkPlan] = []
    report = InvalidRowReport(source.name)
    totals = CurrencyTotalsAccumulator(operation.record)
    keys = DoubledKeyCounter(key, is_active=operation.replay is Replay.SAFE)
    validator = RowValidator(operation, key)
    spool = Spool(source.name)
    with ExitStack() as on_error:
        on_error.callback(spool.close)
        for numbers, records in _read_chunks(source, validator, report, chunk_size, skip_invalid=skip_invalid):
            totals.add(records)
            keys.add(records)
            data = encode_validated(records)
            spool.append(data)
            digest = hashlib.sha256(data).hexdigest()
            chunks.append(ChunkPlan(len(chunks), numbers[0], numbers[-1], len(records), digest))
        _raise_if_nothing_to_send(source, chunks, report, skip_invalid=skip_invalid)
        doubled = keys.find_doubled(spool[chunk.index] for chunk in chunks)
        on_error.pop_all()
    plan = SubmissionPlan(operation.name, chunk_size, tuple(chunks))
    found = report.count, tuple(report.shown), source.blank_rows, doubled
    return PreparedSubmission(plan, totals.by_currency, *found, spool)


def _raise_if_nothing_to_send(
    source: Source, chunks: list[ChunkPlan], report: InvalidRowReport, *, skip_invalid: bool
) -> None:
    if report.count and not (skip_invalid and chunks):
        raise report.error()
    if not chunks:
        raise EmptySourceError(f"{source.name}: has no records, so there is nothing to submit (see on_empty)")


def _check_chunk_size(chunk_size: int, max_records: int) -> None:
    if not 1 <= chunk_size <= max_records:
        limit = f"{max_records} (batch.max_records in the readings)"
        raise ArmConfigurationError(f"chunk_size must be between 1 and {limit}, not {chunk_size}")


def _read_chunks(
    source: Source, validator: RowValidator, report: InvalidRowReport, size: int, *, skip_invalid: bool
) -> Iterator[tuple[list[int], list[WireRecord]]]:
    """Yield row numbers and records of each chunk; without *skip_invalid* no more once a row is invalid."""
    numbers: list[int] = []
    records: list[WireRecord] = []
    for block in source.row_blocks(size):
        valid = validator.check_all(block, report)
        if report.count and not skip_invalid:
            records.clear()  # nothing will be sent; the other rows are only validated
            continue
        numbers += valid[0]
        records += valid[1]
        if len(records) >= size:
            yield numbers[:size], records[:size]
            del numbers[:size], records[:size]
    if records:
        yield numbers, records
