"""What became of a submission: counts, and every refused record with its row and reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_snake

from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS
from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.http.redaction import mask
from airflow_provider_arm.client.keys import fold
from airflow_provider_arm.submission.errors import PlanChangedError
from airflow_provider_arm.submission.planning.validate import validate_rows
from airflow_provider_arm.submission.sources.rows import Row, chunk_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_arm.client.errors import FieldIssue
    from airflow_provider_arm.client.models import WriteResponse
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.sources.source import Source


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """Records over all batches; ``None`` where ARM did not say."""

    submitted: int | None
    rejected: int | None

    @property
    def accepted(self) -> int | None:
        """Records that ARM has taken."""
        if self.submitted is None or self.rejected is None:
            return None
        return self.submitted - self.rejected


def count_outcomes(statuses: Sequence[BatchStatus], submitted: int | None = None) -> OutcomeCounts:
    """Add the batches up.

    :param submitted: how many records were sent, where the caller knows: a batch that was rejected as a whole and
        does not say its size can still be counted if it is the only one that does not. Where ARM counts another
        number of records, what became of the rest is not known.
    """
    unsized = [status for status in statuses if status.total is None]
    counted = sum(status.total or 0 for status in statuses)
    if submitted is None and not unsized:
        submitted = counted
    if submitted is not None and (counted > submitted or (counted < submitted and not unsized)):
        return OutcomeCounts(submitted, None)
    rejected = 0
    for status in statuses:
        failed = status.failed
        if failed is None and status.state is BatchState.REJECTED and submitted is not None and unsized == [status]:
            failed = submitted - counted
        if failed is None:
            return OutcomeCounts(submitted, None)
        rejected += failed
    return OutcomeCounts(submitted, rejected)


@dataclass(frozen=True, slots=True)
class Reject:
    """One record that ARM refused. The reasons hold no personal data; the record is the author's own."""

    #: Row of the source; where that is not at hand, the record's place in its batch.
    row: int
    key: str
    reasons: tuple[str, ...]
    #: ``None`` where the answer that held it is lost.
    batch_uuid: str | None
    record: Mapping[str, Any] = field(repr=False)


#: The batches of a submission in the order of its chunks, each with its uuid; ``None`` where that is lost.
Batches = Sequence[tuple[str | None, BatchStatus]]


def find_rejects(
    source: Source, chunk_size: int, batches: Batches, key: str, checked_by: Operation | None = None
) -> Iterator[Reject]:
    """Give every refused record, in the order of the source, which is read once more.

    A batch that was rejected as a whole gives all its records; one that names no records gives none.

    :param chunk_size: that of the plan.
    :param key: wire name of the natural key.
    :param checked_by: the operation that the rows were checked for, where those that did not fit were left out
        (``on_invalid="reject"``): they are given too, each before the rejects of the chunk that it stood among.
    :raises PlanChangedError: the source no longer has the records that were sent.
    """
    left_out: list[Reject] = []
    rows = source.rows() if checked_by is None else _sound_rows(source, checked_by, key, left_out)
    chunks = chunk_rows(rows, chunk_size)
    for batch_uuid, status in batches:
        chunk = next(chunks, [])
        yield from _taken_from(left_out)
        yield from _rejects_of(chunk, batch_uuid, status, key)
    if checked_by is not None:
        # What stands behind the last sound row. More sound rows than were sent are another source's.
        if next(chunks, None) is not None:
            msg = "the source has more records than were sent"
            raise PlanChangedError(msg)
        yield from _taken_from(left_out)


def find_invalid(source: Source, operation: Operation, key: str) -> Iterator[Reject]:
    """Give the rows that do not fit, each with what is wrong with it."""
    for row, issues in validate_rows(source, operation, key):
        if issues:
            yield _invalid(row, issues, key)


def _invalid(row: Row, issues: Sequence[FieldIssue], key: str) -> Reject:
    return Reject(row.number, _key(row, key), tuple(map(str, issues)), None, row.record)


def _sound_rows(source: Source, operation: Operation, key: str, left_out: list[Reject]) -> Iterator[Row]:
    for row, issues in validate_rows(source, operation, key):
        if issues:
            left_out.append(_invalid(row, issues, key))
        else:
            yield row


def _taken_from(rejects: list[Reject]) -> Iterator[Reject]:
    yield from rejects
    rejects.clear()


def _rejects_of(rows: list[Row], batch_uuid: str | None, status: BatchStatus, key: str) -> Iterator[Reject]:
    if status.state is BatchState.REJECTED and not status.records:
        if not rows or status.total not in (None, len(rows)):
            msg = f"ARM refused a batch of {status.total or 'some'} records, and the source no longer has them there"
            raise PlanChangedError(msg)
        # It may quote any of the records.
        reasons = (mask(f"batch {status.reason}", [row.record for row in rows]),)
        yield from (Reject(row.number, _key(row, key), reasons, batch_uuid, row.record) for row in rows)
        return
    for number, answer in _refused(status):
        row = rows[number - 1] if number <= len(rows) else None
        named = answer.to_wire().get(key)
        if row is None or (named is not None and not _same(named, _key(row, key))):
            msg = f"ARM refused record {number} of a batch ({key} {named}), and the source no longer has it there"
            raise PlanChangedError(msg)
        yield Reject(row.number, _key(row, key), _reasons(answer, row.record), batch_uuid, row.record)


def find_rejects_without_source(batches: Batches) -> Iterator[Reject]:
    """Give every refused record as far as ARM names it: for somebody who has the batches and not the source."""
    for batch_uuid, status in batches:
        for number, answer in _refused(status):
            key = {
                name: value
                for name, value in (("customerNo", answer.customer_no), ("documentNo", answer.document_no))
                if value is not None
            }
            yield Reject(number, " ".join(key.values()), _reasons(answer, {}), batch_uuid, key)


def rejected_positions(status: BatchStatus) -> frozenset[int]:
    """Give the places, from 1, of the records that ARM names as refused."""
    return frozenset(number for number, _ in _refused(status))


def _refused(status: BatchStatus) -> Iterator[tuple[int, WriteResponse]]:
    for place, answer in enumerate(status.records, 1):
        if (answer.status or "").upper() in DEFAULT_ASSUMPTIONS.failure_statuses:
            # Submit order (Q2); recordNo says it outright.
            yield max(1, answer.record_no or place), answer


def _key(row: Row, key: str) -> str:
    # A record may name its fields as on the wire or as in Python.
    return str(row.record.get(key, row.record.get(to_snake(key), "")))


def _same(one: Any, other: str) -> bool:
    return fold(str(one)) == fold(other)


def _reasons(answer: WriteResponse, record: Mapping[str, Any]) -> tuple[str, ...]:
    reasons = tuple(
        f"{error.field}: {mask(error.message or '', record)}" if error.field else mask(error.message or "", record)
        for error in answer.errors or []
    )
    return reasons or (mask(answer.message or "", record) or "ARM gave no reason",)


def describe_counts(what: str, submitted: int | None, rejected: int | None, invalid: int = 0) -> str:
    """Say the outcome in a sentence for a finance person.

    :param invalid: rows that were left out because they do not fit.
    """
    left_out = f"; {invalid} more rows do not fit and were not sent" if invalid else ""
    return _counted(what, submitted, rejected) + left_out


def _counted(what: str, submitted: int | None, rejected: int | None) -> str:
    total = "an unknown number of" if submitted is None else str(submitted)
    if rejected == 0:
        return f"ARM took all {total} {what}"
    return f"ARM refused {'an unknown number' if rejected is None else rejected} of {total} {what}"
