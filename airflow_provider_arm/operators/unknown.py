"""What an operator does where nobody knows what an earlier try has sent: one rule for all. Loaded when a task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import BlockedError
from airflow_provider_arm.submission.file_journal import FileJournal

if TYPE_CHECKING:
    from airflow_provider_arm.submission.journal import Journal

_FAIL, _RESEND = "fail", "resend"


def may_resend(on_unknown_outcome: str) -> bool:
    """Whether the author lets what may have reached ARM be sent again.

    :raises ArmConfigurationError: the argument is none of its two words.
    """
    if on_unknown_outcome not in (_FAIL, _RESEND):
        msg = f'on_unknown_outcome must be "{_FAIL}" or "{_RESEND}", not {on_unknown_outcome!r}'
        raise ArmConfigurationError(msg)
    return on_unknown_outcome == _RESEND


def refuse_blind_try(ti: Any, journal: Journal, replay: Replay, what: str) -> None:
    """Stop a later try whose journal cannot know what an earlier one sent, where a second send could book twice.

    :param what: names what may have been sent.
    :raises BlockedError: this is such a try.
    """
    missing = _missing_journal(journal)
    if missing and ti.try_number > 1 and replay is not Replay.SAFE:
        msg = (
            f"an earlier try of this task may have sent {what} and {missing}: look in ARM, then run it "
            'again as a new DAG run or with on_unknown_outcome="resend"'
        )
        raise BlockedError(msg)


def _missing_journal(journal: Journal) -> str | None:
    """Say why *journal* cannot know what an earlier try did, if that is so."""
    if not journal.durable:
        return "kept no journal (durable=False, or Airflow before 3.3 without journal_path)"
    if isinstance(journal, FileJournal) and journal.is_local and journal.first_try > 1 and journal.read_plan() is None:
        # An object store is one for all workers. A local disk that knows nothing may be another worker's.
        return (
            "journal_path has no trace of it on this machine (it ended before it began, or ran elsewhere: use a path "
            "that all workers share)"
        )
    return None
