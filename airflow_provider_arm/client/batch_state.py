"""State of a batch, decided from HTTP status and body. Operator, sensor and trigger all use this one function.

An unknown status never counts as success. The reference documents 200, 202, 206 and 406 by name only, and not their
bodies (Q2, Q3). So HTTP status, status words, records and counts must agree before a batch counts as finished.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS, Assumptions
from airflow_provider_arm.client.http.redaction import mask
from airflow_provider_arm.client.models import Batch, WriteResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Errors of a rejected batch that its reason contains at most.
_MAX_SHOWN_ERRORS = 3


class BatchState(StrEnum):
    """State of a batch."""

    PENDING = "pending"
    #: Finished, every record accepted.
    SUCCEEDED = "succeeded"
    #: Finished, some records rejected.
    PARTIAL = "partial"
    #: Finished, no record accepted.
    REJECTED = "rejected"
    #: The response cannot be interpreted, or contradicts itself.
    INVALID_RESPONSE = "invalid response"

    @property
    def finished(self) -> bool:
        """Whether the batch will not change any more."""
        return self in (BatchState.SUCCEEDED, BatchState.PARTIAL, BatchState.REJECTED)


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """Result of one poll of a batch. Counts are ``None`` if the response has none."""

    state: BatchState
    #: Reason for the state, for logs; no personal data.
    reason: str
    total: int | None = None
    failed: int | None = None
    #: One result per record, in the order of submission, if the response has them.
    records: Sequence[WriteResponse] = field(default=(), repr=False)


def classify_batch(code: int, body: Any, assumptions: Assumptions = DEFAULT_ASSUMPTIONS) -> BatchStatus:
    """Return the state of a batch.

    :param code: HTTP status: 200, 202, 206 or 406; any other is an invalid response.
    :param body: decoded JSON; ``None`` if it could not be decoded.
    """
    batch = Batch.read(body)
    status = (batch.status or "").upper() if batch else ""
    if code == HTTPStatus.ACCEPTED:
        return BatchStatus(BatchState.PENDING, f"202 {status}".strip(), total=batch.total_count if batch else None)
    if code == HTTPStatus.NOT_ACCEPTABLE:
        return _classify_rejection(code, status, batch, body, assumptions)
    if code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT) or batch is None:
        return _invalid(f"{code} without a usable body")
    if status in assumptions.pending_statuses:
        return BatchStatus(BatchState.PENDING, f"{code} {status}", total=batch.total_count)
    if status in assumptions.failure_statuses and batch.records() is None and not _has_accepted_records(batch):
        return _classify_rejection(code, status, batch, body, assumptions)
    known = assumptions.success_statuses | assumptions.partial_statuses | assumptions.failure_statuses
    if status and status not in known:
        return _invalid(f"{code} with the unknown status {mask(status)}")
    records = batch.records()
    result = (
        _classify_records(code, status, batch, records, assumptions)
        if records
        else _classify_counts(code, status, batch, assumptions)
    )
    if result.state.finished and batch.has_unidentified_records():
        return _invalid(f"{code} with lists among which the records cannot be identified", result.total)
    if result.state is BatchState.SUCCEEDED and (conflict := batch.success_conflict()):
        return _invalid(f"{code} that reports success together with {conflict}", result.total)
    return result


def _invalid(reason: str, total: int | None = None) -> BatchStatus:
    return BatchStatus(BatchState.INVALID_RESPONSE, reason, total=total)


def _has_accepted_records(batch: Batch) -> bool:
    """Return whether some records of a failed batch were accepted: sending all of them again would duplicate those."""
    if batch.failed_count is None:
        return bool(batch.processed_count)
    return batch.failed_count != batch.total_count


def _classify_rejection(
    code: int, status: str, batch: Batch | None, body: Any, assumptions: Assumptions
) -> BatchStatus:
    if batch is None and body is not None:
        return _invalid(f"{code} without a usable body")
    if batch is None:
        return BatchStatus(BatchState.REJECTED, "rejected as a whole")
    # A totalCount of 0 may count the accepted records: then the number of rejected ones is not known.
    total = batch.total_count if batch.total_count is not None and batch.total_count > 0 else None
    records = batch.records() or []
    if (
        batch.has_unidentified_records()
        or (status and status not in assumptions.failure_statuses)
        or any((record.status or "").upper() not in assumptions.failure_statuses for record in records)
        or (batch.failed_count is not None and total is not None and batch.failed_count != total)
    ):
        return _invalid(f"{code} {status} that does not confirm that every record failed", total)
    errors = (batch.errors or [])[:_MAX_SHOWN_ERRORS]
    detail = "; ".join(mask(f"{error.field or ''}: {error.message or ''}".strip(": ")) for error in errors)
    detail = detail or mask(batch.message or "")
    reason = "rejected as a whole" + (f": {detail}" if detail else "")
    results = records if len(records) == (total or len(records)) else ()
    return BatchStatus(BatchState.REJECTED, reason, total=total, failed=total, records=results)


def _classify_records(
    code: int, status: str, batch: Batch, records: list[WriteResponse], assumptions: Assumptions
) -> BatchStatus:
    statuses = [(record.status or "").upper() for record in records]
    failed = sum(each in assumptions.failure_statuses for each in statuses)
    done = sum(each in assumptions.success_statuses for each in statuses) + failed
    total = batch.total_count if batch.total_count is not None else len(records)
    known = assumptions.success_statuses | assumptions.failure_statuses | assumptions.pending_statuses
    unknown = sorted({each for each in statuses if each} - known)
    if unknown:
        return _invalid(f"{code} with a record of the unknown status {mask(unknown[0])}", total)
    if done < max(total, len(records)):
        # 206 may mean "in progress" (Q3), and a 200 with results for fewer records than it counts may be incomplete.
        return BatchStatus(BatchState.PENDING, f"{code}, {done} of {total} records finished", total=total)
    if done > total or (batch.failed_count is not None and batch.failed_count != failed):
        return _invalid(f"{code} whose counts and records contradict each other", total)
    return _classify_finished(code, status, assumptions, total=total, failed=failed, records=records)


def _classify_counts(code: int, status: str, batch: Batch, assumptions: Assumptions) -> BatchStatus:
    total, failed, processed = batch.total_count, batch.failed_count, batch.processed_count
    if total is not None and processed is not None and processed < total and processed + (failed or 0) < total:
        return BatchStatus(BatchState.PENDING, f"{code}, {processed} of {total} records processed", total=total)
    if failed is None:
        if code == HTTPStatus.OK and status in assumptions.success_statuses:
            return BatchStatus(BatchState.SUCCEEDED, f"200 {status}", total=total, failed=0)
        if status in assumptions.partial_statuses:
            return BatchStatus(BatchState.PARTIAL, f"{code} {status} without the number of failed records", total=total)
        return _invalid(f"{code} without the number of failed records", total)
    return _classify_finished(code, status, assumptions, total=total, failed=failed)


def _classify_finished(
    code: int,
    status: str,
    assumptions: Assumptions,
    *,
    total: int | None,
    failed: int,
    records: Sequence[WriteResponse] = (),
) -> BatchStatus:
    if failed == 0:
        if code != HTTPStatus.OK or status in assumptions.partial_statuses | assumptions.failure_statuses:
            return _invalid(f"{code} {status} without a failed record", total)
        if total is None and status not in assumptions.success_statuses:
            return _invalid("200 without a status and without a count")
        return BatchStatus(BatchState.SUCCEEDED, "every record processed", total, 0, records)
    if failed < 0 or (total is not None and failed > total):
        return _invalid(f"{code} with {failed} of {total} records failed", total)
    if failed == total:
        return BatchStatus(BatchState.REJECTED, f"all {total} records failed", total, failed, records)
    of = total if total is not None else "an unknown number of"
    return BatchStatus(BatchState.PARTIAL, f"{failed} of {of} records failed", total, failed, records)
