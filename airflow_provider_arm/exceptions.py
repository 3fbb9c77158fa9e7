"""Airflow exceptions for the client's errors: those that Airflow retries, and those that fail the task at once."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_arm.client.errors import ArmError

if TYPE_CHECKING:
    from collections.abc import Iterator


class ArmTransientException(AirflowException):
    """ARM is temporarily unavailable. Airflow retries the task."""


class ArmFailException(AirflowFailException):
    """The task fails without a retry, because a retry would fail, too. The message contains the next step."""


class ArmBatchFailedException(ArmFailException):
    """ARM rejected more records than the task's reject policy allows."""


class ArmWaitError(Exception):
    """The wait of a sensor with ``soft_fail=True`` broke: neither time-out nor rejects.

    Not an Airflow exception, because Airflow would skip the task and hide a wrong connection or argument.
    """


@contextmanager
def translate_arm_errors() -> Iterator[None]:
    """Raise an error of the client as an Airflow exception with its message, without a retry if that cannot help."""
    try:
        yield
    except ArmError as error:
        exception = ArmFailException if error.permanent else ArmTransientException
        raise exception(str(error)) from None


def format_traceback(error: BaseException) -> str:
    """Return the lines of code that raised *error*, without its message.

    The message of a library's exception may quote a record or a secret; the lines of a traceback are only code.
    """
    return "".join(traceback.format_tb(error.__traceback__))
