"""Errors of aiohttp, converted to transport failures."""

from __future__ import annotations

import aiohttp

from airflow_provider_arm.client.errors import Phase
from airflow_provider_arm.client.http.connect_errors import connect_failure, is_handshake_error, proxy_failure
from airflow_provider_arm.client.http.messages import TransportFailure

#: Errors that aiohttp raises only while it connects.
_CONNECT_ERRORS = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ConnectionTimeoutError,
)


def classify_error(error: Exception) -> TransportFailure:
    """Return reason and phase of a request that raised *error*. Unless it is certainly not sent, it may have been."""
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return proxy_failure()
    if isinstance(error, _CONNECT_ERRORS) or is_handshake_error(error):
        return connect_failure(error)
    if isinstance(error, TimeoutError):
        return TransportFailure(Phase.MAYBE_SENT, "no response within the timeout")
    if isinstance(error, aiohttp.ClientPayloadError):
        return TransportFailure(Phase.MAYBE_SENT, "the response was incomplete")
    if isinstance(error, aiohttp.ClientResponseError):
        return TransportFailure(Phase.MAYBE_SENT, "its response is not HTTP", "check scheme and port in {field}")
    return TransportFailure(Phase.MAYBE_SENT, "the connection was lost")
