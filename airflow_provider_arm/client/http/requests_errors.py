"""Errors of requests and urllib3, converted to transport failures."""

from __future__ import annotations

import contextlib
import http.client

import requests
import urllib3

from airflow_provider_arm.client.errors import Phase
from airflow_provider_arm.client.http.messages import TransportFailure

#: Errors that the libraries raise for a response whose body is incomplete or broken.
_BODY_ERRORS = (
    http.client.IncompleteRead,
    urllib3.exceptions.DecodeError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


def classify_error(error: Exception) -> TransportFailure:
    """Return reason and phase of a request that raised *error*. Unless it is certainly not sent, it may have been."""
    cause = error
    with contextlib.suppress(AttributeError, IndexError):
        # requests wraps urllib3's MaxRetryError, whose reason is the cause.
        cause = getattr(error.args[0], "reason", None) or error
    if isinstance(cause, urllib3.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return TransportFailure(Phase.NOT_SENT, "its certificate is not trusted (check ca_bundle of the connection)")
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return TransportFailure(Phase.NOT_SENT, "its host name cannot be resolved (check host of the connection)")
    if isinstance(error, requests.ConnectTimeout) or isinstance(cause, urllib3.exceptions.ConnectTimeoutError):
        return TransportFailure(Phase.NOT_SENT, "connecting timed out")
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return TransportFailure(Phase.NOT_SENT, "the connection was refused")
    if isinstance(cause, urllib3.exceptions.ProxyError):
        return TransportFailure(Phase.NOT_SENT, "the proxy could not connect")
    if isinstance(error, requests.Timeout):
        return TransportFailure(Phase.MAYBE_SENT, "no response within the timeout")
    if isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return TransportFailure(Phase.MAYBE_SENT, "no response within the timeout")
    # urllib3 passes the original error as the last argument of its own.
    if any(isinstance(each, _BODY_ERRORS) for each in (error, *error.args[-1:])):
        return TransportFailure(Phase.MAYBE_SENT, "the response was incomplete")
    return TransportFailure(Phase.MAYBE_SENT, "the connection was lost")
