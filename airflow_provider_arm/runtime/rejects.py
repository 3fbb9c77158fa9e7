"""Records in and refused records out, for operator and sensor. Loaded only when a task runs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.files import atomic_write
from airflow_provider_arm.runtime.records import open_source
from airflow_provider_arm.submission.planning.resources import find_operation
from airflow_provider_arm.submission.results.outcome import Batches, Reject, find_rejects, find_rejects_without_source
from airflow_provider_arm.submission.results.rejects_file import check_suffix, reject_lines
from airflow_provider_arm.submission.sending.recovered import RecoveredChunk, read_recovered

if TYPE_CHECKING:
    from airflow_provider_arm.client.models import ArmModel

log = logging.getLogger(__name__)

#: What ``on_invalid`` may be: rows that do not fit stop everything, or are left out and reported.
FAIL, REJECT = "fail", "reject"

#: Refused records that the log lists; the rejects file has them all.
LOGGED_REJECTS = 10


def check_rejects_path(path: str | None) -> None:
    """Refuse what a rejects file cannot be, before anything is sent.

    :raises ArmConfigurationError: it ends neither in ``.jsonl`` nor in ``.csv``.
    """
    if path:
        check_suffix(path)


def write_rejects(
    rejects: Iterable[Reject], path: str | None, expected: int | None, model: type[ArmModel] | None
) -> tuple[str | None, str]:
    """Log the first of the refused records and write all of them.

    :param expected: how many there must be; ARM may name fewer than it counts, or not count.
    :param model: of the records; ``None`` where only ARM's names of them are known.
    :return: the file's address if there is one, and where to find the records, in words.
    """
    if not path:
        for number, reject in zip(range(LOGGED_REJECTS), rejects, strict=False):
            _log(number, reject)
        return None, "set rejects_path to get them with their reasons"
    target = ObjectStoragePath(path)
    named = 0

    def seen() -> Iterator[Reject]:
        nonlocal named
        for reject in rejects:
            _log(named, reject)
            named += 1
            yield reject

    with atomic_write(target) as file:
        file.writelines(reject_lines(seen(), path, model))
    if named == expected:
        return str(target), f"they are in {target}"
    return str(target), f"ARM names {named} of them, which are in {target}"


def _log(number: int, reject: Reject) -> None:
    if number < LOGGED_REJECTS:
        log.warning("Row %d, %s: %s", reject.row, reject.key, "; ".join(reject.reasons))


def found_in(submitted: Any) -> list[RecoveredChunk]:
    """Give the chunks without a batchUuid of what another task submitted.

    :param submitted: what ``BatchSubmitOperator`` returned, or bare batchUuids.
    """
    return read_recovered(submitted.get("recovered")) if isinstance(submitted, Mapping) else []


def invalid_in(submitted: Any) -> int:
    """Give how many rows another task left out of what it submitted."""
    return int(submitted.get("invalid") or 0) if isinstance(submitted, Mapping) else 0


def find_again(submitted: Any, batches: Batches) -> tuple[Iterable[Reject], type[ArmModel] | None]:
    """Give the refused records of batches that another task submitted, and their model where it is known.

    :param submitted: what ``BatchSubmitOperator`` returned, or bare batchUuids.
    """
    if not (isinstance(submitted, Mapping) and submitted.get("source")):
        return find_rejects_without_source(batches), None
    resource, name = find_operation(str(submitted.get("resource")), submitted.get("action") or "create")
    operation = OPERATIONS[name]
    source = open_source(None, submitted["source"], operation, resource.name)
    checked_by = operation if submitted.get("on_invalid") == REJECT else None
    size = int(submitted["chunk_size"])
    return find_rejects(source, size, batches, resource.key, checked_by), operation.record
