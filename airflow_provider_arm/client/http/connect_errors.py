"""Why a connection could not be established, and what to check: the same for both HTTP libraries."""

from __future__ import annotations

import errno
import socket
import ssl
import traceback

from airflow_provider_arm.client.errors import Phase
from airflow_provider_arm.client.http.messages import TransportFailure

#: OpenSSL's reasons for a first message that is not TLS.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EACCES})


def proxy_failure() -> TransportFailure:
    """Return the failure of a connection through a proxy."""
    advice = "check HTTPS_PROXY and NO_PROXY in the environment of this process"
    return TransportFailure(Phase.NOT_SENT, "the proxy could not connect", advice)


def connect_failure(error: Exception, default: str = "the connection could not be established") -> TransportFailure:
    """Return the failure for an error before the connection was established: nothing was sent.

    :param default: reason if the error does not show another one.
    """
    for cause in _causes(error):
        if (found := _describe(cause)) is not None:
            return TransportFailure(Phase.NOT_SENT, *found)
    return TransportFailure(Phase.NOT_SENT, default, "check host and port in {field}, firewalls and proxies")


def is_handshake_error(error: Exception) -> bool:
    """Return whether a TLS handshake failed, so that no request was sent; later TLS errors do not prove that."""
    return any(isinstance(cause, OSError) and _is_in_handshake(cause) for cause in _causes(error))


def _causes(error: BaseException) -> list[BaseException]:
    """Return *error* and what the libraries have wrapped in it, outermost first.

    ``__context__`` does not count: it may be an error that the caller of the client is just handling.
    """
    found = [error]
    for each in found:
        wrapped = (*each.args, each.__cause__, *(getattr(each, name, None) for name in ("reason", "os_error")))
        found += [cause for cause in wrapped if isinstance(cause, BaseException) and cause not in found]
    return found


def _is_in_handshake(error: OSError) -> bool:
    if isinstance(error, ssl.SSLCertVerificationError):
        return True
    return any(frame.name == "do_handshake" for frame in traceback.extract_tb(error.__traceback__))


def _describe(cause: BaseException) -> tuple[str, str] | None:
    """Return reason and advice. Texts of OpenSSL contain the host name at most; aiohttp's wrappers have none."""
    if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
        reason = f"its certificate is not trusted ({cause.verify_message})"
        return reason, "check {field}; for an authority of your own set ca_bundle in the extra to its certificates"
    if isinstance(cause, ssl.SSLError) and hasattr(cause, "reason"):
        if cause.reason in _NOT_TLS:
            return (
                "it does not use TLS on this port",
                "check scheme and port in {field}: the port may expect plain http",
            )
        return f"the TLS handshake failed ({cause.reason})", "check {field}, and proxies and firewalls that end TLS"
    if isinstance(cause, socket.gaierror):
        return "its host name cannot be resolved", "check the host name in {field}, and DNS on this machine"
    if isinstance(cause, ConnectionRefusedError):
        return "the connection was refused", "check host and port in {field}, and whether a server runs there"
    if isinstance(cause, OSError) and cause.errno in _UNREACHABLE:
        return "there is no route to it", "check host and port in {field}, and the network of this machine"
    if isinstance(cause, TimeoutError):
        return "connecting timed out", "check host and port in {field}, firewalls and proxies"
    return None
