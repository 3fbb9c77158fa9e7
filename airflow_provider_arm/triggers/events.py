"""Event of a ``BatchTrigger``: small JSON, written by the trigger and read by the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException

FINISHED, TIMED_OUT, FAILED = "finished", "timeout", "failed"


def finished() -> dict[str, Any]:
    """Build the event of a wait that ended because every batch is finished."""
    return {"status": FINISHED}


def timed_out(message: str) -> dict[str, Any]:
    """Build the event of a wait that ended at its deadline."""
    return {"status": TIMED_OUT, "message": message}


def failed(message: str, *, permanent: bool) -> dict[str, Any]:
    """Build the event of a wait that failed.

    :param permanent: whether a retry would fail in the same way.
    """
    return {"status": FAILED, "message": message, "permanent": permanent}


def check_event(event: Any, timeout_error: type[Exception] = ArmTransientException) -> None:
    """Return if the batches are finished; otherwise raise what a wait on a worker would raise.

    :param timeout_error: exception for a passed deadline.
    :raises ArmFailException: the wait failed permanently, or the event is unknown.
    """
    if not isinstance(event, Mapping) or event.get("status") not in (FINISHED, TIMED_OUT, FAILED):
        msg = "the trigger sent an unknown event: check that worker and triggerer run the same provider version"
        raise ArmFailException(msg)
    if event["status"] == FINISHED:
        return
    message = str(event.get("message") or "the wait ended for an unknown reason")
    if event["status"] == TIMED_OUT:
        raise timeout_error(message)
    raise (ArmFailException if event.get("permanent", True) else ArmTransientException)(message)
