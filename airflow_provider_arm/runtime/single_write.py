"""Between an operator that books one thing at once and its journalled write. Loaded when a task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.runtime.resolutions import (
    apply_resolutions,
    fail_if_retry_without_journal,
    may_resend,
    push_unresolved_chunks,
    read_resolutions,
)
from airflow_provider_arm.submission.sending.single_write import SingleWrite, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_arm.submission.journal.entries import Journal
    from airflow_provider_arm.submission.sending.lookup import LookupResult


def run_single(
    context: Context,
    journal: Journal,
    *,
    operation: str,
    path: Mapping[str, Any],
    record: Any,
    what: str,
    send: Callable[[], dict[str, Any]],
    on_unknown_outcome: str,
    resolutions: Any,
    look_up: Callable[[], LookupResult] | None,
    assume_absent_after: float | None,
) -> dict[str, Any]:
    """Bring *record* to ARM, or find that it is there; gives ARM's answer, empty where the journal has not kept it.

    :param journal: of this task instance, open for this try.
    :raises ArmError: see :meth:`SingleWrite.run`; also where this try cannot know what an earlier one sent.
    """
    ti, row = context["ti"], OPERATIONS[operation]
    resend = may_resend(on_unknown_outcome)
    apply_resolutions(journal, read_resolutions(resolutions))
    if not resend:
        fail_if_retry_without_journal(ti, journal, row.replay, what)
    write = SingleWrite(
        operation=row,
        journal=journal,
        # A retry keeps max_tries, a clear raises it: so a clear is told from a retry.
        clear_count=ti.max_tries or 0,
        name=what,
        sha256=fingerprint(row, path, record),
        send=send,
        resend_unknown=resend,
        look_up=look_up,
        assume_absent_after=assume_absent_after,
    )
    with push_unresolved_chunks(ti):
        return write.run() or {}
