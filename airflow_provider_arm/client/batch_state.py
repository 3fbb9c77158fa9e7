"""State of a batch, decided from HTTP status and body. Operator, sensor and trigger all use this one function.

An unknown status never counts as success. The reference documents 200, 202, 206 and 406 by name only, and not their
bodies (Q2, Q3). So HTTP status, status words, records and counts must agree before a batch counts as finished. Which
words and codes mean what are entries of the readings profile; the reason of an invalid response names the entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.http.redaction import mask
from airflow_provider_arm.client.models import Batch, WriteResponse
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from airflow_provider_arm.summary import count_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_arm.client.reading_entries import BatchReadings
    from airflow_provider_arm.client.readings import Readings

#: Errors of a rejected batch that its reason contains at most.
_MAX_SHOWN_ERRORS = 3
#: Profiles whose words are kept: a process has one per connection.
_CACHED_PROFILES = 16
#: Entries of the profile that give a status its meaning.
_WORD_ENTRIES = "batch.pending_words, success_words, partial_words, failure_words"


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
    #: Of a pending batch: why the response may mean something else, and the entry of the profile that would decide.
    doubt: str = ""
    #: Statuses of a rejected record.
    failure_words: frozenset[str] = field(default=frozenset(DEFAULT_READINGS.batch.failure_words), repr=False)

    def is_rejected(self, record: WriteResponse) -> bool:
        """Return whether ARM has rejected one of *records*."""
        return (record.status or "").upper() in self.failure_words


@dataclass(frozen=True, slots=True)
class _Words:
    """Status words of a batch and of a record in it, which may also have one of a write."""

    pending: frozenset[str]
    success: frozenset[str]
    partial: frozenset[str]
    failure: frozenset[str]
    record_success: frozenset[str]
    record_failure: frozenset[str]

    @property
    def done(self) -> frozenset[str]:
        """Statuses of a finished batch."""
        return self.success | self.partial | self.failure

    @classmethod
    @lru_cache(_CACHED_PROFILES)
    def of(cls, readings: Readings) -> _Words:
        """Return the words of a profile."""
        batch, write = readings.batch, readings.write
        success, failure = frozenset(batch.success_words), frozenset(batch.failure_words)
        return cls(
            frozenset(batch.pending_words),
            success,
            frozenset(batch.partial_words),
            failure,
            success.union(write.success_words),
            failure.union(write.failure_words),
        )


def classify_batch(
    code: int, body: Any, readings: Readings = DEFAULT_READINGS, submitted: int | None = None
) -> BatchStatus:
    """Return the state of a batch.

    :param code: HTTP status; one that the profile does not name is an invalid response.
    :param body: decoded JSON; ``None`` if it could not be decoded.
    :param submitted: number of records that were sent in the batch, if the caller has it. A finished batch that counts
        or lists another number is an invalid response, and one without counts gets this number.
    """
    words = _Words.of(readings)
    batch = read_batch(body, readings)
    status = _classify(code, batch, body, readings, words)
    if submitted is not None and status.state.finished:
        status = _compare_with_submitted(code, status, batch, submitted)
    return replace(status, failure_words=words.record_failure) if status.records else status


def _compare_with_submitted(code: int, status: BatchStatus, batch: Batch | None, submitted: int) -> BatchStatus:
    counted = len(status.records) if status.total is None and status.records else status.total
    if counted not in (None, submitted):
        hint = "batch.total_key in the readings"
        return _invalid(f"{code} with {count_text(counted, 'record')} in a batch of {submitted} ({hint})", counted)
    is_rejected = status.state is BatchState.REJECTED
    for number, key in ((batch.processed_count, "processed"), (batch.failed_count, "failed")) if batch else ():
        # Of a batch that is rejected as a whole, every record failed; a count of 0 may be that of another kind.
        if number and (number > submitted or (is_rejected and key == "failed" and number != submitted)):
            hint = f"batch.{key}_key in the readings"
            return _invalid(f"{code} with {count_text(number, 'record')} {key} in a batch of {submitted} ({hint})")
    return replace(status, total=submitted, failed=submitted if is_rejected else status.failed)


def _classify(code: int, batch: Batch | None, body: Any, readings: Readings, words: _Words) -> BatchStatus:
    status = (batch.status or "").upper() if batch else ""
    if code in readings.batch.pending_codes:
        return _pending_by_code(code, status, batch, body, words)
    if code in readings.batch.rejected_codes:
        return _classify_rejection(code, status, batch, body, words)
    if code not in readings.batch.finished_codes:
        return _invalid(f"{code}, which is in none of batch.pending_codes, finished_codes and rejected_codes")
    if batch is None:
        return _invalid(f"{code} without a usable body")
    if status in words.pending:
        return BatchStatus(BatchState.PENDING, f"{code} {status}", total=batch.total_count)
    if status in words.failure and batch.records() is None and not _has_accepted_records(batch):
        return _classify_rejection(code, status, batch, body, words)
    if status and status not in words.done:
        return _invalid(f"{code} with the unknown status {mask(status)} (add it to one of {_WORD_ENTRIES})")
    result = _classify_body(code, status, batch, readings, words)
    if result.state.finished and batch.has_unidentified_records():
        hint = "name their key in batch.records_key"
        return _invalid(f"{code} with lists among which the records cannot be identified ({hint})", result.total)
    if result.state is BatchState.SUCCEEDED and (conflict := batch.success_conflict()):
        return _invalid(f"{code} that reports success together with {conflict}", result.total)
    return result


def _pending_by_code(code: int, status: str, batch: Batch | None, body: Any, words: _Words) -> BatchStatus:
    doubt, place = "", f"{code} (batch.pending_codes)"
    if status and status not in words.pending:
        doubt = f"{place} with the status {mask(status)}, which batch.pending_words does not have"
    elif body and not status:
        doubt = f"{place} with a body without a status (batch.status_key)"
    elif batch and batch.total_count and (batch.processed_count or 0) + (batch.failed_count or 0) == batch.total_count:
        doubt = f"{place} with counts of a finished batch"
    total = batch.total_count if batch else None
    return BatchStatus(BatchState.PENDING, f"{code} {status}".strip(), total=total, doubt=doubt)


def read_batch(body: Any, readings: Readings) -> Batch | None:
    """Read the body of a batch under the names of the profile; return ``None`` if it is not an object."""
    names, write = readings.batch, readings.write
    return Batch.read(
        body,
        {
            names.uuid_key: "batchUuid",
            names.status_key: "status",
            names.total_key: "totalCount",
            names.processed_key: "processedCount",
            names.failed_key: "failedCount",
            names.errors_key: "errors",
        },
        records_key=names.records_key,
        record_names={write.status_key: "status", names.record_number_key: "recordNo"},
    )


def _classify_body(code: int, status: str, batch: Batch, readings: Readings, words: _Words) -> BatchStatus:
    if records := batch.records():
        return _classify_records(code, status, batch, records, readings)
    return _classify_counts(code, status, batch, readings.batch, words)


def _invalid(reason: str, total: int | None = None) -> BatchStatus:
    return BatchStatus(BatchState.INVALID_RESPONSE, reason, total=total)


def _has_accepted_records(batch: Batch) -> bool:
    """Return whether some records of a failed batch were accepted: sending all of them again would duplicate those."""
    if batch.failed_count is None:
        return bool(batch.processed_count)
    return batch.failed_count != batch.total_count


def _classify_rejection(code: int, status: str, batch: Batch | None, body: Any, words: _Words) -> BatchStatus:
    if batch is None and body is not None:
        return _invalid(f"{code} without a usable body")
    if batch is None:
        return BatchStatus(BatchState.REJECTED, "rejected as a whole")
    # A totalCount of 0 may count the accepted records: then the number of rejected ones is not known.
    total = batch.total_count if batch.total_count is not None and batch.total_count > 0 else None
    records = batch.records() or []
    if (
        batch.has_unidentified_records()
        or (status and status not in words.failure)
        or any((record.status or "").upper() not in words.record_failure for record in records)
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
    code: int, status: str, batch: Batch, records: list[WriteResponse], readings: Readings
) -> BatchStatus:
    names, words = readings.batch, _Words.of(readings)
    statuses = [(record.status or "").upper() for record in records]
    failed = sum(each in words.record_failure for each in statuses)
    done = sum(each in words.record_success for each in statuses) + failed
    total = batch.total_count if batch.total_count is not None else len(records)
    unknown = sorted({each for each in statuses if each} - words.record_success - words.record_failure - words.pending)
    if unknown:
        hint = f"add it to one of {_WORD_ENTRIES}"
        return _invalid(f"{code} with a record of the unknown status {mask(unknown[0])} ({hint})", total)
    if status in words.success and not any(statuses):
        return _invalid(
            f"{code} {status} with records that have no {readings.write.status_key} (write.status_key)", total
        )
    if done < max(total, len(records)):
        # 206 may mean "in progress" (Q3), and a 200 with results for fewer records than it counts may be incomplete.
        reason = f"{code}, {done} of {total} records finished"
        doubt = (
            f"{reason}, with the status {status} (batch.total_key, write.status_key)" if status in words.done else ""
        )
        return BatchStatus(BatchState.PENDING, reason, total=total, doubt=doubt)
    if done > total or (batch.failed_count is not None and batch.failed_count != failed):
        return _invalid(f"{code} whose counts and records contradict each other", total)
    return _classify_finished(code, status, names, total=total, failed=failed, records=records)


def _classify_counts(code: int, status: str, batch: Batch, names: BatchReadings, words: _Words) -> BatchStatus:
    total, failed, processed = batch.total_count, batch.failed_count, batch.processed_count
    if total is not None and processed is not None and processed < total and processed + (failed or 0) < total:
        reason = f"{code}, {processed} of {total} records processed"
        doubt = f"{reason}, with the status {status} (batch.failed_key, records_key)" if status in words.done else ""
        return BatchStatus(BatchState.PENDING, reason, total=total, doubt=doubt)
    if failed is None:
        if code in names.success_codes and status in words.success:
            return BatchStatus(BatchState.SUCCEEDED, f"{code} {status}", total=total, failed=0)
        if status in words.partial:
            return BatchStatus(BatchState.PARTIAL, f"{code} {status} without the number of failed records", total=total)
        keys = [] if status else [f"{names.status_key} (batch.status_key)"]
        missing = " nor ".join([*keys, f"{names.failed_key} (batch.failed_key)", "results of records"])
        return _invalid(f"{code} without {missing}", total)
    return _classify_finished(code, status, names, total=total, failed=failed)


def _classify_finished(
    code: int,
    status: str,
    names: BatchReadings,
    *,
    total: int | None,
    failed: int,
    records: Sequence[WriteResponse] = (),
) -> BatchStatus:
    if failed == 0:
        if code not in names.success_codes or status in (*names.partial_words, *names.failure_words):
            hint = "batch.success_codes or success_words lack it"
            return _invalid(f"{code} {status or 'without a status'}, without a failed record ({hint})", total)
        if total is None and status not in names.success_words:
            return _invalid(f"{code} without a status ({names.status_key}) and without a count ({names.total_key})")
        return BatchStatus(BatchState.SUCCEEDED, "every record processed", total, 0, records)
    if failed < 0 or (total is not None and failed > total):
        return _invalid(f"{code} with {failed} of {total} records failed", total)
    if failed == total:
        return BatchStatus(BatchState.REJECTED, f"all {total} records failed", total, failed, records)
    of = total if total is not None else "an unknown number of"
    return BatchStatus(BatchState.PARTIAL, f"{failed} of {of} records failed", total, failed, records)
