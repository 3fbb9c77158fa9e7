"""Errors of aiohttp, converted to transport failures."""

from __future__ import annotations

import aiohttp

from airflow_provider_arm.client.errors import Phase
from airflow_provider_arm.client.http.messages import TransportFailure


def classify_error(error: Exception) -> TransportFailure:
    """Return reason and phase of a request that raised *error*. Unless it is certainly not sent, it may have been."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TransportFailure(Phase.NOT_SENT, "its certificate is not trusted (check ca_bundle of the connection)")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return TransportFailure(Phase.NOT_SENT, "its host name cannot be resolved (check host of the connection)")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransportFailure(Phase.NOT_SENT, "connecting timed out")
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return TransportFailure(Phase.NOT_SENT, "the proxy could not connect")
    if isinstance(error, aiohttp.ClientConnectorError):
        return TransportFailure(Phase.NOT_SENT, "the connection was refused")
    if isinstance(error, TimeoutError):
        return TransportFailure(Phase.MAYBE_SENT, "no response within the timeout")
    if isinstance(error, aiohttp.ClientPayloadError):
        return TransportFailure(Phase.MAYBE_SENT, "the response was incomplete")
    return TransportFailure(Phase.MAYBE_SENT, "the connection was lost")
