"""Evaluation of finished batches, and the rejects file, for operator and sensor. Loaded when a task runs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.exceptions import ArmBatchFailedException
from airflow_provider_arm.files import atomic_write
from airflow_provider_arm.runtime.records import open_source
from airflow_provider_arm.submission.planning.resources import find_operation
from airflow_provider_arm.submission.results.outcome import (
    Batches,
    Reject,
    count_outcomes,
    describe_counts,
    find_rejects,
    find_rejects_without_source,
)
from airflow_provider_arm.submission.results.reject_policy import RejectPolicy, TaskOutcome
from airflow_provider_arm.submission.results.rejects_file import reject_lines
from airflow_provider_arm.submission.sending.recovered import RecoveredChunk, read_recovered

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.client.models import ArmModel

log = logging.getLogger(__name__)

#: Value of ``on_invalid`` with which invalid rows are skipped and reported.
REJECT = "reject"
#: Rejects in the log; the rejects file contains all of them.
LOGGED_REJECTS = 10


def evaluate_batches(
    batches: Batches,
    policy: RejectPolicy,
    rejects_path: str | None,
    find: Callable[[], tuple[Iterable[Reject], type[ArmModel] | None]],
    *,
    noun: str = "records",
    submitted: int | None = None,
    invalid: int = 0,
) -> dict[str, Any]:
    """Count the records, log the outcome, and write the rejects file if there are rejects. Return counts and its URI.

    :param find: returns the rejects and the model of their records.
    :param noun: the records in the plural, for the log.
    :param submitted: number of records that were sent, if it is known.
    :param invalid: number of rows that were skipped because they are invalid.
    :raises ArmBatchFailedException: the reject policy does not allow the rejects.
    """
    counts = count_outcomes([status for _, status in batches], submitted)
    total = None if counts.submitted is None else counts.submitted + invalid
    rejected = None if counts.rejected is None else counts.rejected + invalid
    outcome = policy.task_outcome(total, rejected)
    message = describe_counts(noun, counts.submitted, counts.rejected, invalid)
    uri = None
    if outcome is not TaskOutcome.SUCCEED:
        rejects, model = find()
        uri, where = write_rejects(rejects, rejects_path, rejected, model)
        message += f"; {where}"
    if outcome is TaskOutcome.FAIL:
        raise ArmBatchFailedException(message)
    log.log(logging.INFO if outcome is TaskOutcome.SUCCEED else logging.WARNING, message)
    return {"submitted": counts.submitted, "accepted": counts.accepted, "rejected": counts.rejected, "rejects_uri": uri}


def write_rejects(
    rejects: Iterable[Reject], path: str | None, expected: int | None, model: type[ArmModel] | None
) -> tuple[str | None, str]:
    """Log the first rejects and write all of them.

    :param expected: their number; ARM may name fewer than it counts, or not count.
    :param model: of the records; ``None`` if only the fields by which ARM names them are known.
    :return: the file's address, or ``None``, and where to find the rejects as a part of a sentence.
    """
    if not path:
        for number, reject in zip(range(LOGGED_REJECTS), rejects, strict=False):
            _log_reject(number, reject)
        return None, describe_location(None)
    target = ObjectStoragePath(path)
    named = 0

    def count_rejects() -> Iterator[Reject]:
        nonlocal named
        for reject in rejects:
            _log_reject(named, reject)
            named += 1
            yield reject

    with atomic_write(target) as file:
        file.writelines(reject_lines(count_rejects(), path, model))
    if named == expected:
        return str(target), describe_location(target)
    return str(target), f"ARM names {named} of the rejects, which are in {target}"


def describe_location(uri: Any) -> str:
    """Return where to find the rejects, as a part of a sentence.

    :param uri: of the rejects file, if there is one.
    """
    return f"the rejects are in {uri}" if uri else "set rejects_path to get the rejects with their reasons"


def _log_reject(number: int, reject: Reject) -> None:
    if number < LOGGED_REJECTS:
        log.warning("Row %d, %s: %s", reject.row, reject.key, "; ".join(reject.reasons))


def recovered_chunks_of(submitted: Any) -> list[RecoveredChunk]:
    """Return the recovered chunks of a submission.

    :param submitted: the result of ``BatchSubmitOperator``, or batchUuids.
    """
    return read_recovered(submitted.get("recovered")) if isinstance(submitted, Mapping) else []


def invalid_count_of(submitted: Any) -> int:
    """Return the number of rows that a submission skipped; see :func:`recovered_chunks_of`."""
    return int(submitted.get("invalid") or 0) if isinstance(submitted, Mapping) else 0


def find_rejects_of(submitted: Any, batches: Batches) -> tuple[Iterable[Reject], type[ArmModel] | None]:
    """Return the rejects of a submission and the model of their records; see :func:`recovered_chunks_of`."""
    if not (isinstance(submitted, Mapping) and submitted.get("source")):
        return find_rejects_without_source(batches), None
    resource, name = find_operation(str(submitted.get("resource")), submitted.get("action") or "create")
    operation = OPERATIONS[name]
    source = open_source(None, submitted["source"], operation)
    validated_for = operation if submitted.get("on_invalid") == REJECT else None
    size = int(submitted["chunk_size"])
    return find_rejects(source, size, batches, resource.key, validated_for), operation.record
