"""Outcome of a submission: counts, and every rejected record with its row and reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_snake

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.http.redaction import mask
from airflow_provider_arm.client.keys import fold
from airflow_provider_arm.submission.errors import PlanChangedError
from airflow_provider_arm.submission.planning.validate import validate_rows
from airflow_provider_arm.submission.sources.rows import Row, chunk_rows
from airflow_provider_arm.summary import count_text, number_text, percent_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_arm.client.errors import FieldIssue
    from airflow_provider_arm.client.models import WriteResponse
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.sources.source import Source


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """Numbers of records in all batches; ``None`` where ARM's responses do not contain them."""

    submitted: int | None
    rejected: int | None

    @property
    def accepted(self) -> int | None:
        """Number of records that ARM has accepted."""
        if self.submitted is None or self.rejected is None:
            return None
        return self.submitted - self.rejected


def count_outcomes(statuses: Sequence[BatchStatus]) -> OutcomeCounts:
    """Sum the counts of the batches; the sum is unknown if one of them is."""
    return OutcomeCounts(
        _sum_known([status.total for status in statuses]), _sum_known([status.failed for status in statuses])
    )


def _sum_known(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


@dataclass(frozen=True, slots=True)
class Reject:
    """Record that ARM refused, or invalid row. The reasons contain no personal data; the record may."""

    #: Row of the source; without the source, position of the record in its batch.
    row: int
    key: str
    reasons: tuple[str, ...]
    #: ``None`` for an invalid row, and where the response with the batchUuid is lost.
    batch_uuid: str | None
    record: Mapping[str, Any] = field(repr=False)


#: Batches of a submission in the order of its chunks, each with its uuid; ``None`` where the uuid is lost.
Batches = Sequence[tuple[str | None, BatchStatus]]


def find_rejects(
    source: Source, chunk_size: int, batches: Batches, key: str, validated_for: Operation | None = None
) -> Iterator[Reject]:
    """Yield every rejected record, in the order of the source, which is read once more.

    A batch that was rejected as a whole, without naming records, yields all its records. Any other batch yields the
    records that its response names as rejected.

    :param chunk_size: that of the plan.
    :param key: wire name of the natural key.
    :param validated_for: if invalid rows were skipped (``on_invalid="reject"``), the operation that the rows were
        validated for. Invalid rows are then yielded too, before the rejects of the chunk that they were read with.
    :raises PlanChangedError: the source no longer has the records that were sent.
    """
    invalid: list[Reject] = []
    rows = source.rows() if validated_for is None else valid_rows(source, validated_for, key, invalid)
    chunks = chunk_rows(rows, chunk_size)
    for batch_uuid, status in batches:
        chunk = next(chunks, [])
        yield from _drain(invalid)
        yield from _rejects_of_chunk(chunk, batch_uuid, status, key)
    if validated_for is not None:
        # Invalid rows after the last valid one. More valid rows than were sent mean another source.
        if next(chunks, None) is not None:
            raise PlanChangedError("the source has more records than were sent")
        yield from _drain(invalid)


def find_invalid(source: Source, operation: Operation, key: str) -> Iterator[Reject]:
    """Yield each invalid row, with the reasons why it is invalid."""
    for row, issues in validate_rows(source, operation, key):
        if issues:
            yield _invalid_row(row, issues, key)


def find_rejects_without_source(batches: Batches) -> Iterator[Reject]:
    """Yield every record that ARM names as rejected: for a caller that has the batches and not the source."""
    for batch_uuid, status in batches:
        for number, response in _rejected_responses(status):
            keys = {
                name: value
                for name, value in (("customerNo", response.customer_no), ("documentNo", response.document_no))
                if value is not None
            }
            yield Reject(number, " ".join(keys.values()), _reasons(response, {}), batch_uuid, keys)


def rejected_positions(status: BatchStatus) -> frozenset[int]:
    """Return the positions, from 1, of the records that ARM names as rejected."""
    return frozenset(number for number, _ in _rejected_responses(status))


def describe_counts(noun: str, counts: OutcomeCounts, limit: str, invalid: int = 0) -> str:
    """Return the counts of a submission, such as "1193 of 1200 customers accepted, 7 rejected (0.6 %, limit 1 %)".

    :param noun: a record, in the singular.
    :param limit: rejects that the policy allows, as text.
    :param invalid: number of rows that were skipped because they are invalid. They count as rejects.
    """
    if counts.accepted is not None:
        text = f"{number_text(counts.accepted)} of {count_text(counts.submitted, noun)} accepted"
    else:
        text = f"{count_text(counts.submitted, noun)} {'accepted' if counts.rejected == 0 else 'submitted'}"
    text += f", {number_text(counts.rejected)} rejected"
    if invalid:
        text += f", {count_text(invalid, 'invalid row')} not sent"
    bad, total = (counts.rejected or 0) + invalid, (counts.submitted or 0) + invalid
    if counts.rejected is None or counts.submitted is None:
        return f"{text} (limit {limit})"
    return f"{text} ({percent_text(bad, total)}, limit {limit})" if bad else text


def _invalid_row(row: Row, issues: Sequence[FieldIssue], key: str) -> Reject:
    return Reject(row.number, key_value(row, key), tuple(map(str, issues)), None, row.record)


def valid_rows(source: Source, operation: Operation, key: str, invalid: list[Reject]) -> Iterator[Row]:
    """Yield the valid rows, and append the others to *invalid*."""
    for row, issues in validate_rows(source, operation, key):
        if issues:
            invalid.append(_invalid_row(row, issues, key))
        else:
            yield row


def _drain(rejects: list[Reject]) -> Iterator[Reject]:
    yield from rejects
    rejects.clear()


def _rejects_of_chunk(rows: list[Row], batch_uuid: str | None, status: BatchStatus, key: str) -> Iterator[Reject]:
    if status.state is BatchState.REJECTED and not status.records:
        if not rows or status.total not in (None, len(rows)):
            msg = f"ARM refused a batch of {status.total or 'some'} records, and the source no longer has them there"
            raise PlanChangedError(msg)
        # The reason may quote any of the records.
        reasons = (mask(f"batch {status.reason}", [row.record for row in rows]),)
        yield from (Reject(row.number, key_value(row, key), reasons, batch_uuid, row.record) for row in rows)
        return
    for number, response in _rejected_responses(status):
        row = rows[number - 1] if number <= len(rows) else None
        arm_key = response.to_wire().get(key)
        if row is None or (arm_key is not None and not is_same_key(arm_key, key_value(row, key))):
            msg = f"ARM refused record {number} of a batch ({key} {arm_key}), and the source no longer has it there"
            raise PlanChangedError(msg)
        yield Reject(row.number, key_value(row, key), _reasons(response, row.record), batch_uuid, row.record)


def _rejected_responses(status: BatchStatus) -> Iterator[tuple[int, WriteResponse]]:
    """Yield the position, from 1, of each rejected record in its batch, and ARM's response to it."""
    for position, response in enumerate(status.records, 1):
        if status.is_rejected(response):
            # In submit order (assumed, Q2); recordNo is explicit.
            yield max(1, response.record_no or position), response


def key_value(row: Row, key: str) -> str:
    """Return the natural key of a record."""
    # A record may have the field names of the wire or those of Python.
    return str(row.record.get(key, row.record.get(to_snake(key), "")))


def is_same_key(arm_key: Any, own_key: str) -> bool:
    """Return whether a key in a response of ARM is that of a record."""
    return fold(str(arm_key)) == fold(own_key)


def _reasons(response: WriteResponse, record: Mapping[str, Any]) -> tuple[str, ...]:
    reasons = tuple(
        f"{error.field}: {mask(error.message or '', record)}" if error.field else mask(error.message or "", record)
        for error in response.errors or []
    )
    return reasons or (mask(response.message or "", record) or "ARM gave no reason",)
