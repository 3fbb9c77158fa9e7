"""Errors of requests and urllib3, converted to transport failures."""

from __future__ import annotations

import contextlib
import http.client

import requests
import urllib3

from airflow_provider_arm.client.errors import Phase
from airflow_provider_arm.client.http.connect_errors import connect_failure, is_handshake_error, proxy_failure
from airflow_provider_arm.client.http.messages import TransportFailure

#: Errors that the libraries raise for a response whose body is incomplete or broken.
_BODY_ERRORS = (
    http.client.IncompleteRead,
    urllib3.exceptions.DecodeError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
#: Errors for a response whose first lines are not those of HTTP. RemoteDisconnected is one: there was no response.
_NOT_HTTP = (http.client.BadStatusLine, http.client.UnknownProtocol, http.client.LineTooLong)


def classify_error(error: Exception) -> TransportFailure:
    """Return reason and phase of a request that raised *error*. Unless it is certainly not sent, it may have been."""
    cause = error
    with contextlib.suppress(AttributeError, IndexError):
        # requests wraps urllib3's MaxRetryError, whose reason is the cause.
        cause = getattr(error.args[0], "reason", None) or error
    if isinstance(cause, urllib3.exceptions.ProxyError) or isinstance(error, requests.exceptions.InvalidSchema):
        return proxy_failure()
    # Before the time-out: in urllib3 NewConnectionError is a subclass of ConnectTimeoutError.
    if isinstance(cause, urllib3.exceptions.NewConnectionError) or is_handshake_error(error):
        return connect_failure(error)
    if isinstance(error, requests.ConnectTimeout) or isinstance(cause, urllib3.exceptions.ConnectTimeoutError):
        return connect_failure(error, "connecting timed out")
    if isinstance(error, requests.Timeout) or isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return TransportFailure(Phase.MAYBE_SENT, "no response within the timeout")
    # urllib3 passes the original error as the last argument of its own, and requests that one as its only argument.
    inner = [each for each in (error, *error.args[-1:]) if isinstance(each, Exception)]
    inner += [each for wrapper in inner for each in wrapper.args[-1:] if isinstance(each, Exception)]
    if any(isinstance(each, _BODY_ERRORS) for each in inner):
        return TransportFailure(Phase.MAYBE_SENT, "the response was incomplete")
    if any(isinstance(each, _NOT_HTTP) and not isinstance(each, ConnectionError) for each in inner):
        return TransportFailure(Phase.MAYBE_SENT, "its response is not HTTP", "check scheme and port in {field}")
    return TransportFailure(Phase.MAYBE_SENT, "the connection was lost")
