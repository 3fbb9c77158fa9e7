"""ARM's errors as Airflow understands them: worth a retry, or not."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_arm.client.errors import ArmError

if TYPE_CHECKING:
    from collections.abc import Iterator


class ArmTransientException(AirflowException):
    """ARM could not answer now; Airflow's retries may bring it."""


class ArmFailException(AirflowFailException):
    """The task fails for good: a retry would meet the same. The message says what to do."""


class ArmBatchFailedException(ArmFailException):
    """ARM refused more records than the task's policy allows."""


@contextmanager
def translate_arm_errors() -> Iterator[None]:
    """Raise the client's errors as Airflow's: one clear sentence, and no retry where it cannot help."""
    try:
        yield
    except ArmError as error:
        kind = ArmFailException if error.permanent else ArmTransientException
        raise kind(str(error)) from None


def format_traceback(error: BaseException) -> str:
    """Return the places in the code where *error* was raised, without its message.

    An exception of a library may quote a record or a secret in its message; a traceback's lines are code only.
    """
    return "".join(traceback.format_tb(error.__traceback__))
