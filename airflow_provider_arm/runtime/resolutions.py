"""What an operator does where nobody knows what an earlier try has sent: one rule for all. Loaded when a task runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.runtime.base_operator import NOT_JSON
from airflow_provider_arm.submission.errors import ResolutionRequiredError, UnresolvedChunksError
from airflow_provider_arm.submission.journal.entries import Resolution
from airflow_provider_arm.submission.journal.file_journal import FileJournal
from airflow_provider_arm.submission.journal.resolution import apply_resolution

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_arm.submission.journal.entries import Journal

log = logging.getLogger(__name__)

_FAIL, _RESEND = "fail", "resend"


def may_resend(on_unknown_outcome: str) -> bool:
    """Whether the author lets what may have reached ARM be sent again.

    :raises ArmConfigurationError: the argument is none of its two words.
    """
    if on_unknown_outcome not in (_FAIL, _RESEND):
        msg = f'on_unknown_outcome must be "{_FAIL}" or "{_RESEND}", not {on_unknown_outcome!r}'
        raise ArmConfigurationError(msg)
    return on_unknown_outcome == _RESEND


def read_resolutions(value: Any) -> list[Resolution]:
    """Read the argument ``resolutions``: a list of mappings, one of them, or JSON text of either; nothing is none.

    :raises ArmConfigurationError: it is nothing such; the message says what a member must have.
    """
    if isinstance(value, str):
        value = value.strip()
        try:
            value = msgspec.json.decode(value) if value and value != "None" else None
        except msgspec.DecodeError:
            msg = f"resolutions {NOT_JSON}"
            raise ArmConfigurationError(msg) from None
    members = [value] if isinstance(value, Mapping) else list(value or ())
    try:
        return [replace(msgspec.convert(member, Resolution), at=time.time()) for member in members]
    except msgspec.ValidationError as error:
        msg = (
            'each of resolutions must have "chunk_id", "verdict" ("accepted" or "absent"), "by", "why" and may have '
            f'"batch_uuid", all text ({error})'
        )
        raise ArmConfigurationError(msg) from None


def apply_resolutions(journal: Journal, resolutions: Iterable[Resolution]) -> None:
    """Note what people have found out. A case of another journal is passed over: one list may serve many tasks.

    :raises ArmConfigurationError: a word contradicts itself or the journal.
    """
    for resolution in resolutions:
        line = apply_resolution(journal, resolution)
        if line is None:
            log.info("Case %s is not one of this task's", resolution.chunk_id)
        else:
            log.warning(
                "Case %s, chunk %d: %s says it is %s (%s); its state is %s",
                resolution.chunk_id,
                line.index + 1,
                resolution.by,
                resolution.verdict,
                resolution.why,
                line.state,
            )


def resolve_chunk(journal: Journal, resolution: Resolution) -> dict[str, Any]:
    """Note what somebody has found out about a case of this very journal; gives what became of its chunk.

    :raises ArmConfigurationError: the journal knows no such case, or the word contradicts itself.
    """
    line = apply_resolution(journal, resolution)
    if line is None:
        msg = f"no chunk of that journal has the chunk_id {resolution.chunk_id}: see the task's XCom unresolved_chunks"
        raise ArmConfigurationError(msg)
    return {
        "chunk_id": resolution.chunk_id,
        "chunk": line.index + 1,
        "verdict": str(resolution.verdict),
        "state": str(line.state),
    }


@contextmanager
def push_unresolved_chunks(ti: Any) -> Iterator[None]:
    """Push what a person is asked about as XCom ``unresolved_chunks``: a failing task's XComs stay."""
    try:
        yield
    except UnresolvedChunksError as error:
        ti.xcom_push(key="unresolved_chunks", value=error.unresolved_chunks)
        raise


def fail_if_retry_without_journal(ti: Any, journal: Journal, replay: Replay, what: str) -> None:
    """Stop a later try whose journal cannot know what an earlier one sent, where a second send could book twice.

    :param what: names what may have been sent.
    :raises ResolutionRequiredError: this is such a try.
    """
    missing = _missing_journal(journal)
    if missing and ti.try_number > 1 and replay is not Replay.SAFE:
        msg = (
            f"an earlier try of this task may have sent {what} and {missing}: look in ARM, then run it "
            'again as a new DAG run or with on_unknown_outcome="resend"'
        )
        raise ResolutionRequiredError(msg)


def _missing_journal(journal: Journal) -> str | None:
    """Say why *journal* cannot know what an earlier try did, if that is so."""
    if not journal.durable:
        return "kept no journal (durable=False, or Airflow before 3.3 without journal_path)"
    if (
        isinstance(journal, FileJournal)
        and journal.is_local
        and journal.first_try_number > 1
        and journal.read_plan() is None
    ):
        # An object store is one for all workers. A local disk that knows nothing may be another worker's.
        return (
            "journal_path has no trace of it on this machine (it ended before it began, or ran elsewhere: use a path "
            "that all workers share)"
        )
    return None
