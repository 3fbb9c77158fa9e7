"""What a batch is, decided from the status code and the body: the one function that operator, sensor and trigger ask.

Nothing unknown is ever success. The meaning of 200, 202, 206 and 406 is documented by name only, and the body not at
all (Q2, Q3), so code, status words, records and counts must agree before a batch counts as finished.
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


class BatchState(StrEnum):
    """Where a batch stands."""

    PENDING = "pending"
    #: Finished, every record taken.
    SUCCEEDED = "succeeded"
    #: Finished, some records refused.
    PARTIAL = "partial"
    #: Finished, no record taken.
    REJECTED = "rejected"
    #: The answer cannot be understood, or contradicts itself.
    INVALID_RESPONSE = "invalid response"

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to the batch."""
        return self in (BatchState.SUCCEEDED, BatchState.PARTIAL, BatchState.REJECTED)


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """A batch at one look. Counts are ``None`` where ARM did not say."""

    state: BatchState
    #: Why it is so, in words for a log; no personal data.
    reason: str
    total: int | None = None
    failed: int | None = None
    #: One answer per record in submit order, where ARM gave them.
    records: Sequence[WriteResponse] = field(default=(), repr=False)


def classify_batch(code: int, body: Any, assumptions: Assumptions = DEFAULT_ASSUMPTIONS) -> BatchStatus:
    """Say what a batch is.

    :param code: 200, 202, 206 or 406; any other is unreadable.
    :param body: the decoded JSON, ``None`` where it could not be decoded.
    """
    batch = Batch.read(body)
    word = (batch.status or "").upper() if batch else ""
    if code == HTTPStatus.ACCEPTED:
        return BatchStatus(BatchState.PENDING, f"202 {word}".strip(), total=batch.total_count if batch else None)
    if code == HTTPStatus.NOT_ACCEPTABLE:
        return _rejected(code, word, batch, body, assumptions)
    if code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT) or batch is None:
        return BatchStatus(BatchState.INVALID_RESPONSE, f"{code} without a readable body")
    if word in assumptions.pending_statuses:
        return BatchStatus(BatchState.PENDING, f"{code} {word}", total=batch.total_count)
    if word in assumptions.failure_statuses and batch.records() is None and not _counts_say_otherwise(batch):
        return _rejected(code, word, batch, body, assumptions)
    known = assumptions.success_statuses | assumptions.partial_statuses | assumptions.failure_statuses
    if word and word not in known:
        return BatchStatus(BatchState.INVALID_RESPONSE, f"{code} with a status word that is not known: {mask(word)}")
    records = batch.records()
    status = (
        _by_records(code, word, batch, records, assumptions) if records else _by_counts(code, word, batch, assumptions)
    )
    if status.state.finished and batch.hides_records():
        return BatchStatus(
            BatchState.INVALID_RESPONSE, f"{code} whose records cannot be told among its lists", status.total
        )
    if status.state is BatchState.SUCCEEDED and (doubt := batch.unclear()):
        return BatchStatus(BatchState.INVALID_RESPONSE, f"{code} that says success beside {doubt}", status.total)
    return status


def _counts_say_otherwise(batch: Batch) -> bool:
    """Whether some records of a batch that failed were taken: sending all of them again would double those."""
    if batch.failed_count is None:
        return bool(batch.processed_count)
    return batch.failed_count != batch.total_count


def _rejected(code: int, word: str, batch: Batch | None, body: Any, assumptions: Assumptions) -> BatchStatus:
    if batch is None and body is not None:
        return BatchStatus(BatchState.INVALID_RESPONSE, f"{code} without a readable body")
    if batch is None:
        return BatchStatus(BatchState.REJECTED, "rejected as a whole")
    # A count of none may be of what was taken: how many it refused is then not known.
    records, total = batch.records() or [], batch.total_count
    total = total if total is not None and total > 0 else None
    if (
        batch.hides_records()
        or (word and word not in assumptions.failure_statuses)
        or any((record.status or "").upper() not in assumptions.failure_statuses for record in records)
        or (batch.failed_count is not None and total is not None and batch.failed_count != total)
    ):
        return BatchStatus(
            BatchState.INVALID_RESPONSE, f"{code} {word} that does not say that every record failed", total
        )
    said = "; ".join(
        mask(f"{error.field or ''}: {error.message or ''}".strip(": ")) for error in (batch.errors or [])[:3]
    )
    said = said or mask(batch.message or "")
    reason = "rejected as a whole" + (f": {said}" if said else "")
    answered = records if len(records) == (total or len(records)) else ()
    return BatchStatus(BatchState.REJECTED, reason, total=total, failed=total, records=answered)


def _by_records(
    code: int, word: str, batch: Batch, records: list[WriteResponse], assumptions: Assumptions
) -> BatchStatus:
    words = [(record.status or "").upper() for record in records]
    failed = sum(status in assumptions.failure_statuses for status in words)
    done = sum(status in assumptions.success_statuses for status in words) + failed
    total = batch.total_count if batch.total_count is not None else len(records)
    unknown = sorted({status for status in words if status} - _known_record_words(assumptions))
    if unknown:
        return BatchStatus(
            BatchState.INVALID_RESPONSE,
            f"{code} with a record's status that is not known: {mask(unknown[0])}",
            total=total,
        )
    if done < max(total, len(records)):
        # 206 may mean "still at it" (Q3); a 200 that answers for fewer records than it counts is not believed yet.
        return BatchStatus(BatchState.PENDING, f"{code}, {done} of {total} records answered", total=total)
    if done > total or (batch.failed_count is not None and batch.failed_count != failed):
        return BatchStatus(
            BatchState.INVALID_RESPONSE, f"{code} whose counts and records contradict each other", total=total
        )
    return _finished(code, word, assumptions, total=total, failed=failed, records=records)


def _known_record_words(assumptions: Assumptions) -> frozenset[str]:
    return assumptions.success_statuses | assumptions.failure_statuses | assumptions.pending_statuses


def _by_counts(code: int, word: str, batch: Batch, assumptions: Assumptions) -> BatchStatus:
    total, failed, processed = batch.total_count, batch.failed_count, batch.processed_count
    if total is not None and processed is not None and processed < total and processed + (failed or 0) < total:
        return BatchStatus(BatchState.PENDING, f"{code}, {processed} of {total} records processed", total=total)
    if failed is None:
        if code == HTTPStatus.OK and word in assumptions.success_statuses:
            return BatchStatus(BatchState.SUCCEEDED, f"200 {word}", total=total, failed=0)
        if word in assumptions.partial_statuses:
            return BatchStatus(BatchState.PARTIAL, f"{code} {word}, number of failed records not given", total=total)
        return BatchStatus(
            BatchState.INVALID_RESPONSE, f"{code} that does not say how many records failed", total=total
        )
    return _finished(code, word, assumptions, total=total, failed=failed)


def _finished(
    code: int,
    word: str,
    assumptions: Assumptions,
    *,
    total: int | None,
    failed: int,
    records: Sequence[WriteResponse] = (),
) -> BatchStatus:
    if failed == 0:
        if code != HTTPStatus.OK or word in assumptions.partial_statuses | assumptions.failure_statuses:
            return BatchStatus(BatchState.INVALID_RESPONSE, f"{code} {word} that names no failed record", total=total)
        if total is None and word not in assumptions.success_statuses:
            return BatchStatus(BatchState.INVALID_RESPONSE, "200 that names neither a status nor a count")
        return BatchStatus(BatchState.SUCCEEDED, "every record processed", total, 0, records)
    if failed < 0 or (total is not None and failed > total):
        return BatchStatus(BatchState.INVALID_RESPONSE, f"{code} with {failed} of {total} records failed", total=total)
    if failed == total:
        return BatchStatus(BatchState.REJECTED, f"all {total} records failed", total, failed, records)
    of = total if total is not None else "an unknown number of"
    return BatchStatus(BatchState.PARTIAL, f"{failed} of {of} records failed", total, failed, records)
