from __future__ import annotations

import aiohttp
import pytest

from airflow_provider_arm.client.errors import Phase
from airflow_provider_arm.client.http.aiohttp_errors import classify_error


@pytest.mark.parametrize(
    "error", [Exception(), OSError(5, "x"), aiohttp.ServerDisconnectedError("canary"), ValueError("canary")]
)
def test_unknown_error_counts_as_maybe_sent(error) -> None:
    """It never counts as not sent, and its message is not shown."""
    failure = classify_error(error)
    assert failure.phase is Phase.MAYBE_SENT
    assert "canary" not in failure.reason


@pytest.mark.parametrize(
    ("error", "phase", "reason"),
    [
        (aiohttp.ConnectionTimeoutError(), Phase.NOT_SENT, "connecting timed out"),
        (aiohttp.SocketTimeoutError(), Phase.MAYBE_SENT, "no response within the timeout"),
        (TimeoutError(), Phase.MAYBE_SENT, "no response within the timeout"),
        (aiohttp.ClientPayloadError(), Phase.MAYBE_SENT, "the response was incomplete"),
        (aiohttp.ClientOSError(), Phase.MAYBE_SENT, "the connection was lost"),
    ],
)
def test_each_error_has_its_phase_and_reason(error: Exception, phase: Phase, reason: str) -> None:
    """Also errors that no test server can cause."""
    assert (classify_error(error).phase, classify_error(error).reason) == (phase, reason)
