from __future__ import annotations

import pytest
import requests
import urllib3

from airflow_provider_arm.client.errors import Phase
from airflow_provider_arm.client.http.requests_errors import classify_error


@pytest.mark.parametrize(
    "error", [Exception(), OSError(5, "x"), ValueError("canary"), ConnectionError(Exception("canary"))]
)
def test_unknown_error_counts_as_maybe_sent(error) -> None:
    """It never counts as not sent, and its message is not shown."""
    failure = classify_error(error)
    assert failure.phase is Phase.MAYBE_SENT
    assert "canary" not in failure.reason


@pytest.mark.parametrize(
    ("error", "phase", "reason"),
    [
        (requests.ConnectTimeout(), Phase.NOT_SENT, "connecting timed out"),
        (requests.ReadTimeout(), Phase.MAYBE_SENT, "no response within the timeout"),
        (requests.exceptions.InvalidSchema(), Phase.NOT_SENT, "the proxy could not connect"),
        (requests.exceptions.SSLError(), Phase.MAYBE_SENT, "the connection was lost"),
        (requests.exceptions.ChunkedEncodingError(), Phase.MAYBE_SENT, "the response was incomplete"),
        (requests.exceptions.ContentDecodingError(), Phase.MAYBE_SENT, "the response was incomplete"),
        (urllib3.exceptions.ProtocolError("x", OSError()), Phase.MAYBE_SENT, "the connection was lost"),
    ],
)
def test_each_error_has_its_phase_and_reason(error: Exception, phase: Phase, reason: str) -> None:
    """Also errors that no test server can cause."""
    assert (classify_error(error).phase, classify_error(error).reason) == (phase, reason)
