"""Evaluation of finished batches, and the files of rejects and warnings, for operator and sensor.

Loaded when a task runs.
"""

from __future__ import annotations

import logging
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_arm.client.batch_state import BatchState
from airflow_provider_arm.client.errors import ArmInvalidResponseError
from airflow_provider_arm.client.http.redaction import mask
from airflow_provider_arm.exceptions import ArmBatchFailedException
from airflow_provider_arm.files import atomic_write
from airflow_provider_arm.submission.results.outcome import (
    Batches,
    OutcomeCounts,
    Reject,
    count_outcomes,
    describe_counts,
)
from airflow_provider_arm.submission.results.record_warnings import count_warned, warning_lines
from airflow_provider_arm.submission.results.reject_policy import RejectPolicy, TaskOutcome
from airflow_provider_arm.submission.results.rejects_file import reject_lines
from airflow_provider_arm.summary import FAILED, SUCCESS, count_text, summary_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_arm.client.models import ArmModel
    from airflow_provider_arm.runtime.submitted import FinishedSubmission

log = logging.getLogger(__name__)

#: Rejects, and records with warnings, in the log; the files contain all of them.
LOGGED_REJECTS = 10
#: Reasons of batches that were refused as a whole, in the message.
SHOWN_REASONS = 3


def evaluate_batches(
    submissions: Sequence[FinishedSubmission], policy: RejectPolicy, rejects_path: str | None, warnings_path: str | None
) -> dict[str, Any]:
    """Count the records, write the files, log the outcome and apply the reject policy. Return counts and addresses.

    :raises ArmInvalidResponseError: ARM counts other records than were submitted.
    :raises ArmBatchFailedException: the reject policy does not allow the rejects.
    """
    batches = [batch for submission in submissions for batch in submission.batches]
    for uuid, status in batches:
        level = logging.INFO if status.failed == 0 else logging.WARNING
        log.log(level, "Batch %s: %s", uuid or "without its batchUuid", status.reason)
    counts = _count(submissions, batches)
    invalid = sum(submission.submitted.invalid for submission in submissions)
    total = None if counts.submitted is None else counts.submitted + invalid
    rejected = None if counts.rejected is None else counts.rejected + invalid
    outcome, uri, where = policy.task_outcome(total, rejected), None, ""
    if outcome is not TaskOutcome.SUCCEED:
        rejects = chain.from_iterable(submission.find_rejects() for submission in submissions)
        uri, where = write_rejects(rejects, rejects_path, rejected, _common_model(submissions), batches)
    result = {"submitted": counts.submitted, "accepted": counts.accepted, "rejected": counts.rejected}
    warnings = _write_warnings(submissions, batches, warnings_path)
    accepted_anyway = "" if policy.is_within_limit(total, rejected) else f' (on_rejected="{policy.on_rejected}")'
    line = summary_line(
        describe_counts(_common_noun(submissions), counts, policy.limit, invalid),
        FAILED if outcome is TaskOutcome.FAIL else SUCCESS + accepted_anyway,
        where,
        _describe_warnings(**warnings),
    )
    if outcome is TaskOutcome.FAIL:
        raise ArmBatchFailedException(line)
    log.info("%s", line)
    return {**result, "rejects_uri": uri, **warnings, "summary": line}


def _count(submissions: Sequence[FinishedSubmission], batches: Batches) -> OutcomeCounts:
    counts = count_outcomes([status for _, status in batches])
    known = [submission.submitted.records for submission in submissions]
    if counts.submitted is not None and None not in known and counts.submitted != sum(filter(None, known)):
        raise ArmInvalidResponseError(
            f"ARM counts {count_text(counts.submitted, 'record')} in {count_text(len(batches), 'batch')}, and "
            f"{sum(filter(None, known))} were submitted: check the batches in ARM"
        )
    return counts


def write_rejects(
    rejects: Iterable[Reject],
    path: str | None,
    expected: int | None,
    model: type[ArmModel] | None,
    batches: Batches = (),
) -> tuple[str | None, str]:
    """Log the first rejects, and write all of them if there is a path and at least one.

    :param expected: their number; ARM may name fewer than it counts, or not count.
    :param model: of the records; ``None`` if only the fields by which ARM names them are known.
    :param batches: for the reasons of those that ARM refused as a whole.
    :return: the file's address, or ``None``, and ARM's reasons and where the rejects are, as a part of a sentence.
    """
    named, reasons = 0, _WholeRefusals(batches)

    def count_rejects() -> Iterator[Reject]:
        nonlocal named
        for reject in rejects:
            if named < LOGGED_REJECTS:
                log.warning("Row %d, %s: %s", reject.row, reject.key, "; ".join(reject.reasons))
            reasons.add(reject)
            named += 1
            yield reject

    uri, counted = None, count_rejects()
    first = list(islice(counted, 1))
    if path and first:
        target = ObjectStoragePath(path)
        with atomic_write(target) as file:
            file.writelines(reject_lines(chain(first, counted), path, model))
        uri = str(target)
    for _ in counted:  # without a file: count them, and log the first
        pass
    return uri, "; ".join(filter(None, [reasons.describe(), describe_location(uri, path, named, expected)]))


def describe_location(uri: str | None, path: str | None, named: int, expected: int | None) -> str:
    """Return where the rejects are, as a part of a sentence; empty if that needs no words.

    :param named: number of rejects that ARM names.
    :param expected: number of rejects that it counts.
    """
    if uri:
        return f"rejects: {uri}" + ("" if named == expected else f" (ARM names {named} of them)")
    if path:
        return "ARM names no rejected record, so there is no rejects file"
    return "set rejects_path to get the rejects with their reasons" if named else ""


class _WholeRefusals:
    """ARM's reasons for batches that it refused as a whole."""

    def __init__(self, batches: Batches) -> None:
        whole = [(uuid, status) for uuid, status in batches if status.state is BatchState.REJECTED]
        self._reasons = {uuid: status.reason for uuid, status in whole if not status.records}

    def add(self, reject: Reject) -> None:
        """Replace the reason of a batch by that of its reject, which has been masked with the records."""
        if reject.batch_uuid in self._reasons:
            self._reasons[reject.batch_uuid] = reject.reasons[0]

    def describe(self) -> str:
        """Return the first different reasons; empty if no batch was refused as a whole."""
        reasons = list(dict.fromkeys(mask(reason.removeprefix("batch ")) for reason in self._reasons.values()))
        return f"ARM: {'; '.join(reasons[:SHOWN_REASONS])}" if reasons else ""


def _write_warnings(submissions: Sequence[FinishedSubmission], batches: Batches, path: str | None) -> dict[str, Any]:
    """Log row, key and field of the first warnings, and write all of them to *path*. Return count and address."""
    warned = count_warned(batches)
    if not warned:
        return {"warnings": 0, "warnings_uri": None}
    warnings = chain.from_iterable(submission.find_warnings() for submission in submissions)
    first = list(islice(warnings, LOGGED_REJECTS))
    for warning in first:
        log.warning("Row %d, %s: warning about %s", warning.row, warning.key, warning.field or "the record")
    if not path:
        return {"warnings": warned, "warnings_uri": None}
    target = ObjectStoragePath(path)
    with atomic_write(target) as file:
        file.writelines(warning_lines(chain(first, warnings), path))
    return {"warnings": warned, "warnings_uri": str(target)}


def _describe_warnings(warnings: int, warnings_uri: str | None) -> str:
    if not warnings:
        return ""
    where = warnings_uri or "set warnings_path to get their texts"
    return f"{count_text(warnings, 'record')} with warnings ({where})"


def _common_model(submissions: Sequence[FinishedSubmission]) -> type[ArmModel] | None:
    models = {submission.model for submission in submissions}
    return models.pop() if len(models) == 1 else None


def _common_noun(submissions: Sequence[FinishedSubmission]) -> str:
    nouns = {
        submission.resource.name.removesuffix("s") if submission.resource else "record" for submission in submissions
    }
    return nouns.pop() if len(nouns) == 1 else "record"
