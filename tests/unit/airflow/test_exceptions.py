"""``exceptions``: which of the client's errors Airflow retries, and what a traceback shows."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmUnavailableError
from airflow_provider_arm.exceptions import (
    ArmFailException,
    ArmTransientException,
    format_traceback,
    translate_arm_errors,
)


def test_permanent_error_fails_the_task_without_retry():
    """Airflow does not retry an AirflowFailException."""
    with pytest.raises(ArmFailException, match=r"^no host$") as caught, translate_arm_errors():
        raise ArmConfigurationError("no host")
    assert isinstance(caught.value, AirflowFailException)
    assert caught.value.__suppress_context__


def test_temporary_error_leaves_the_retry_to_airflow():
    """Any other AirflowException is retried."""
    with pytest.raises(ArmTransientException, match=r"^down$") as caught, translate_arm_errors():
        raise ArmUnavailableError("down")
    assert not isinstance(caught.value, AirflowFailException)


def test_other_error_is_not_translated():
    """An error that is not the client's passes unchanged."""
    with pytest.raises(KeyError), translate_arm_errors():
        raise KeyError("x")


def test_formatted_traceback_has_places_and_no_message():
    """The message of a library's exception may quote a secret."""
    secret = "canary-secret"
    with pytest.raises(ValueError, match=secret) as caught:
        raise ValueError(secret)
    text = format_traceback(caught.value)
    assert "test_formatted_traceback_has_places_and_no_message" in text
    assert secret not in text
