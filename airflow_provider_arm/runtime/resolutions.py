"""Manual resolutions, and retries whose journal does not show what an earlier try has sent. Loaded when a task runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_arm.argument_readers import NOT_JSON
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import (
    EmptySourceError,
    PlanChangedError,
    ResolutionRequiredError,
    UnresolvedChunksError,
)
from airflow_provider_arm.submission.journal.entries import Resolution
from airflow_provider_arm.submission.journal.file_journal import FileJournal
from airflow_provider_arm.submission.journal.resolution import apply_resolution
from airflow_provider_arm.summary import SKIPPED, summary_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.submission.journal.entries import Journal

log = logging.getLogger(__name__)

_FAIL, _RESEND = "fail", "resend"


def may_resend(on_unknown_outcome: str) -> bool:
    """Return whether a request with an unknown outcome may be sent again.

    :raises ArmConfigurationError: *on_unknown_outcome* is neither ``"fail"`` nor ``"resend"``.
    """
    if on_unknown_outcome not in (_FAIL, _RESEND):
        raise ArmConfigurationError(f'on_unknown_outcome must be "{_FAIL}" or "{_RESEND}", not {on_unknown_outcome!r}')
    return on_unknown_outcome == _RESEND


def prepare_journal(
    ti: Any, journal: Journal, replay: Replay, name: str, *, on_unknown_outcome: str, resolutions: Any
) -> bool:
    """Apply manual resolutions to the journal of this try, and return whether unknown outcomes may be sent again.

    :param name: of what is to be sent, for messages.
    :param resolutions: the operator's argument. Those of other tasks' chunks are ignored: a list may serve many tasks.
    :raises ArmConfigurationError: an argument is invalid, or a resolution contradicts itself or the journal.
    :raises ResolutionRequiredError: an earlier try may have sent it, the journal would not show that, and a second
        request could book twice.
    """
    resend = may_resend(on_unknown_outcome)
    for resolution in read_resolutions(resolutions):
        entry = apply_resolution(journal, resolution)
        if entry is None:
            log.info("Ignored the resolution of chunk_id %s: this task has no such chunk", resolution.chunk_id)
        else:
            log.warning(
                "Chunk %d (chunk_id %s) was resolved as %s by %s (%s); its state is %s",
                entry.index + 1,
                resolution.chunk_id,
                resolution.verdict,
                resolution.by,
                resolution.why,
                entry.state,
            )
    missing = None if resend else _missing_journal(journal)
    if missing and ti.try_number > 1 and replay is not Replay.SAFE:
        raise ResolutionRequiredError(
            f"an earlier try of this task may have sent {name} and {missing}: check in ARM, then start a new DAG run "
            'or set on_unknown_outcome="resend"'
        )
    return resend


def read_resolutions(value: Any) -> list[Resolution]:
    """Read the argument ``resolutions``: a list of mappings, one mapping, JSON text of either, or ``None``.

    :raises ArmConfigurationError: it is none of these, or a member lacks a key.
    """
    if isinstance(value, str):
        value = value.strip()
        try:
            value = msgspec.json.decode(value) if value and value != "None" else None
        except msgspec.DecodeError:
            raise ArmConfigurationError(f"resolutions {NOT_JSON}") from None
    members = [value] if isinstance(value, Mapping) else [] if value is None else value
    if not isinstance(members, list | tuple):
        raise ArmConfigurationError("resolutions must be a list of mappings")
    try:
        return [replace(msgspec.convert(member, Resolution), at=time.time()) for member in members]
    except msgspec.ValidationError as error:
        raise ArmConfigurationError(
            'each of resolutions must have "chunk_id", "verdict" ("accepted" or "absent"), "by", "why" and may have '
            f'"batch_uuid", all text ({error})'
        ) from None


def resolve_chunk(journal: Journal, resolution: Resolution) -> dict[str, Any]:
    """Apply a resolution to this journal, and return the state of its chunk as plain JSON values.

    :raises ArmConfigurationError: the journal has no such chunk, or the resolution contradicts itself or the journal.
    """
    entry = apply_resolution(journal, resolution)
    if entry is None:
        raise ArmConfigurationError(
            f"no chunk of that journal has the chunk_id {resolution.chunk_id}: see the task's XCom unresolved_chunks"
        )
    return {
        "chunk_id": resolution.chunk_id,
        "chunk": entry.index + 1,
        "verdict": str(resolution.verdict),
        "state": str(entry.state),
    }


def allow_empty_source(on_empty: str, journal: Journal | None, error: EmptySourceError, name: str) -> None:
    """Return if the task succeeds although the source has no records, as *on_empty* requires.

    :param journal: of this task instance; if it shows that an earlier try had records, the source has changed.
    :param error: the error of the source, raised if *on_empty* is ``"fail"``.
    :param name: what is not sent, in the plural.
    :raises PlanChangedError: an earlier try had records.
    :raises AirflowSkipException: *on_empty* is ``"skip"``.
    """
    if journal is not None and journal.read_plan() is not None:
        raise PlanChangedError(
            "the source has no records, but an earlier try of this task has planned or sent some: nothing more is "
            "sent. Restore the source, or trigger a new run"
        )
    if on_empty == "skip":
        raise AirflowSkipException(summary_line(f"no {name} to send", SKIPPED, f"on_empty: {on_empty}"))
    if on_empty != "succeed":
        raise error


@contextmanager
def push_unresolved_chunks(ti: Any) -> Iterator[None]:
    """Push the unresolved chunks of a failure as XCom ``unresolved_chunks``, which a failed task keeps."""
    try:
        yield
    except UnresolvedChunksError as error:
        ti.xcom_push(key="unresolved_chunks", value=error.unresolved_chunks)
        raise


def _missing_journal(journal: Journal) -> str | None:
    """Return why *journal* does not show what an earlier try did, or ``None`` if it does."""
    if not journal.durable:
        return "kept no journal (durable=False, or Airflow before 3.3 without journal_path)"
    if (
        isinstance(journal, FileJournal)
        and journal.is_local
        and journal.first_try_number > 1
        and journal.read_plan() is None
    ):
        # All workers share an object store. A local disk without a trace may be that of another worker.
        return (
            "journal_path has no trace of it on this machine (it ended before it wrote one, or ran elsewhere: use a "
            "path that all workers share)"
        )
    return None
