"""What a trigger tells its task: small JSON, one event. Both sides read it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException

FINISHED, TIMED_OUT, FAILED = "finished", "timeout", "failed"


def finished() -> dict[str, Any]:
    """Every batch is finished."""
    return {"status": FINISHED}


def timed_out(message: str) -> dict[str, Any]:
    """The deadline came first."""
    return {"status": TIMED_OUT, "message": message}


def failed(message: str, *, permanent: bool) -> dict[str, Any]:
    """The wait cannot go on; ``permanent`` says that a retry would meet the same."""
    return {"status": FAILED, "message": message, "permanent": permanent}


def check_event(event: Any, timeout_error: type[Exception] = ArmTransientException) -> None:
    """Return if the batches are finished, else raise what the waiting worker would have raised.

    :param timeout_error: what a passed deadline means to the caller.
    :raises ArmFailException: the wait failed for good, or the event is none of ours.
    """
    if not isinstance(event, Mapping) or event.get("status") not in (FINISHED, TIMED_OUT, FAILED):
        msg = "the trigger sent an event that is not known: do worker and triggerer run the same provider version?"
        raise ArmFailException(msg)
    if event["status"] == FINISHED:
        return
    message = str(event.get("message") or "the wait ended without a reason")
    if event["status"] == TIMED_OUT:
        raise timeout_error(message)
    raise (ArmFailException if event.get("permanent", True) else ArmTransientException)(message)
