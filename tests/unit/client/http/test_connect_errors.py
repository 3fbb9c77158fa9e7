"""Every transport error names connection, host and port, what failed and the next step, with both clients."""

from __future__ import annotations

import errno
import os
import ssl
import warnings
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests
import trustme
import urllib3

from airflow_provider_arm.client.errors import ArmError, ArmUnavailableError, Phase
from airflow_provider_arm.client.http import aiohttp_errors, requests_errors
from airflow_provider_arm.client.http.auth import ClientCredentials
from airflow_provider_arm.client.http.connect_errors import connect_failure, is_handshake_error
from airflow_provider_arm.client.http.transport import Transport
from tests.unit.client.drivers import SHORT_TIMEOUT, STATIC_TOKEN
from tests.unit.client.scripted_server import (
    HTML,
    PARTIAL_BODY,
    CloseConnection,
    HttpReply,
    NeverReply,
    RawReply,
    unused_port,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CALL = {"name": "get_customer", "path": {"customerno": "canary-543210"}}
SECRET = "canary-secret-Zz9"


def tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """Return a server's TLS context with a certificate for *name*."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


def old_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return a server's TLS context for TLS 1.1 at most."""
    context = tls(authority)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    return context


class Faults:
    """URLs of servers that fail, each in its own way."""

    def __init__(self, start_server: Callable[..., Any], authority: trustme.CA) -> None:
        self.start, self.authority = start_server, authority

    def refused(self) -> str:
        return f"http://127.0.0.1:{unused_port()}"

    def unknown_name(self) -> str:
        return "https://no-such-host.invalid"

    def plain_http_behind_https(self) -> str:
        url: str = self.start([RawReply(b"HTTP/1.1 400 Bad Request\r\n\r\n", reads_request=False)]).url
        return url.replace("http:", "https:")

    def closed_in_handshake(self) -> str:
        url: str = self.start([CloseConnection(reads_request=False)]).url
        return url.replace("http:", "https:")

    def untrusted(self) -> str:
        return str(self.start([HttpReply({})], tls=tls(trustme.CA())).url)

    def other_host(self) -> str:
        return str(self.start([HttpReply({})], tls=tls(self.authority, "example.org")).url)

    def old_tls(self) -> str:
        return str(self.start([HttpReply({})], tls=old_tls(self.authority)).url)

    def silent(self) -> str:
        return str(self.start([NeverReply()]).url)

    def closed(self) -> str:
        return str(self.start([CloseConnection()]).url)

    def half_a_body(self) -> str:
        return str(self.start([PARTIAL_BODY]).url)

    def another_protocol(self) -> str:
        return str(self.start([RawReply(b"SSH-2.0-OpenSSH_9.6\r\n")]).url)

    def html(self) -> str:
        return str(self.start([HTML]).url)

    def wrong_path(self) -> str:
        return str(self.start([HttpReply("<html>Not Found</html>", 404, {"Content-Type": "text/html"})]).url)

    def redirect(self) -> str:
        return str(self.start([HttpReply(b"", 302, {"Location": "https://login.example.com/a?canary"})]).url)

    def unavailable(self) -> str:
        return str(self.start([HttpReply(b"", 503)]).url)


#: What the message has to contain, by fault: what failed, and the next step.
EXPECTED = {
    "refused": ["could not be reached: the connection was refused", "check host and port in {field}"],
    "unknown_name": ["could not be reached: its host name cannot be resolved", "check the host name in {field}"],
    "plain_http_behind_https": [
        "could not be reached: it does not use TLS",
        "check scheme and port in {field}",
        "http",
    ],
    "closed_in_handshake": ["could not be reached", "check"],
    "untrusted": ["could not be reached: its certificate is not trusted (", "check {field}", "ca_bundle"],
    "other_host": ["could not be reached: its certificate is not trusted (", "not valid for", "check {field}"],
    "old_tls": ["could not be reached: the TLS handshake failed (", "PROTOCOL", "check {field}"],
    "silent": ["did not answer: no response within the timeout", "usually temporary"],
    "closed": ["did not answer: the connection was lost", "usually temporary"],
    "half_a_body": ["did not answer: the response was incomplete", "usually temporary"],
    "another_protocol": ["did not answer: its response is not HTTP", "check scheme and port in {field}"],
    "html": ["answered 200 with an HTML page instead of JSON", "check {field}"],
    "wrong_path": ["answered 404 with an HTML page instead of JSON", "{field}"],
    "redirect": ["answered 302, a redirect", "{field}", "https://login.example.com"],
    "unavailable": ["answered 503", "usually temporary"],
}
NOT_SENT = [
    "refused",
    "unknown_name",
    "plain_http_behind_https",
    "closed_in_handshake",
    "untrusted",
    "other_host",
    "old_tls",
]


def check_message(message: str, fault: str, url: str, field: str) -> None:
    """Check that a message has host and port, what failed, and the next step, but nothing of the call's data."""
    place = url.partition("://")[2]
    assert (place if ":" in place else f"{place}:443") in message
    for part in EXPECTED[fault]:
        assert part.format(field=f"{field} of the connection") in message
    assert "canary" not in message
    assert "{field}" not in message
    assert "{auth_url}" not in message


@pytest.mark.parametrize("connection", ["arm_staging", None])
@pytest.mark.parametrize("fault", list(EXPECTED))
def test_message_of_a_failed_call(fault: str, connection, start_server, make_driver, authority) -> None:
    """It is complete with and without a connection id, and what was certainly not sent counts as such."""
    url = getattr(Faults(start_server, authority), fault)()
    driver = make_driver(url, STATIC_TOKEN, connection=connection, transport=SHORT_TIMEOUT)
    with pytest.raises(ArmError) as caught:
        driver.call(**CALL)
    check_message(str(caught.value), fault, url, "host")
    assert str(caught.value).startswith("ARM ")
    assert "GET /clients/{clientno}/customers/{customerno} at" in str(caught.value)
    assert ("connection 'arm_staging'" in str(caught.value)) is (connection is not None)
    assert (caught.value.phase is Phase.NOT_SENT) is (fault in NOT_SENT)


@pytest.mark.parametrize("fault", list(EXPECTED))
def test_message_of_a_failed_token_call(fault: str, start_server, make_driver, authority) -> None:
    """It names the token service and its field, and shows no secret; the call itself was not sent."""
    url = getattr(Faults(start_server, authority), fault)()
    credentials = ClientCredentials(f"{url}/oauth/token", "canary-id", SECRET)
    driver = make_driver("http://127.0.0.1:9", credentials, connection="arm_staging", transport=SHORT_TIMEOUT)
    with pytest.raises(ArmError, match=r"the token service .*/oauth/token at .*connection 'arm_staging'") as caught:
        driver.call(**CALL)
    check_message(str(caught.value), fault, url, "auth_url")
    assert caught.value.phase is Phase.NOT_SENT


@pytest.mark.parametrize("status", [400, 404, 405, 410])
@pytest.mark.parametrize("body", ["<html>", "", "Not Found", '{"detail": "Not Found"}', "[]"])
def test_error_that_is_not_of_arm_refers_to_the_address(status: int, body: str, start_server, make_driver) -> None:
    """A wrong path in the base URL is answered by something else; ARM's own format refers to the number."""
    server = start_server([HttpReply(body, status)])
    with pytest.raises(ArmError, match="check the path in host of the connection, such as https://"):
        make_driver(server.url).call(**CALL)
    server = start_server([HttpReply({"status": "FAILED", "message": "Customer not found"}, status)])
    with pytest.raises(ArmError) as caught:
        make_driver(server.url).call(**CALL)
    assert "path" not in str(caught.value)
    assert ("check the number" in str(caught.value)) is (status == 404)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_token_service_in_its_own_format_refers_to_the_credentials(status: int, start_server, make_driver) -> None:
    """Then the address is right."""
    tokens = start_server([HttpReply({"error": "invalid_client"}, status)])
    with pytest.raises(ArmError, match=r"invalid_client.*check client id, client secret and auth_url") as caught:
        make_driver(tokens.url, ClientCredentials(f"{tokens.url}/token", "id", SECRET)).call(**CALL)
    assert "client number" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "not a certificate\n", "-----BEGIN CERTIFICATE-----\nAA\n"])
def test_ca_bundle_without_certificates_is_named_before_anything_is_sent(
    content: str, start_server, make_driver, authority, tmp_path
) -> None:
    """The libraries would raise errors of their own, which look like a lost connection."""
    server, path = start_server([HttpReply({})], tls=tls(authority)), tmp_path / "ca.pem"
    path.write_text(content)
    with pytest.raises(ArmError, match="ca_bundle of the connection is not a PEM file") as caught:
        make_driver(server.url, transport=Transport(ca_bundle=str(path))).call(**CALL)
    assert (caught.value.permanent, caught.value.phase, server.attempts) == (True, Phase.NOT_SENT, 0)


def test_folder_of_certificates_is_used(start_server, make_driver, authority, tmp_path, monkeypatch) -> None:
    """REQUESTS_CA_BUNDLE may be a folder, as for requests."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    server = start_server([HttpReply({})], tls=tls(authority))
    with pytest.raises(ArmUnavailableError, match="not trusted"):
        make_driver(server.url).call(**CALL)


@pytest.mark.parametrize("host", ["a" * 64 + ".no", "arm..example.no"])
def test_impossible_host_name_is_named(host: str, make_driver) -> None:
    """The libraries would raise a UnicodeError."""
    with pytest.raises(ArmError, match="not a valid URL"):
        make_driver(f"https://{host}/arm/v1")


def test_new_connection_error_is_classified_before_the_time_out() -> None:
    """It is a subclass of ConnectTimeoutError, but the port has refused the connection."""
    cause = urllib3.exceptions.NewConnectionError(None, "canary")
    assert isinstance(cause, urllib3.exceptions.ConnectTimeoutError)
    cause.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "canary")
    wrapped = urllib3.exceptions.MaxRetryError(None, "/canary", cause)
    failure = requests_errors.classify_error(requests.ConnectionError(wrapped))
    assert (failure.phase, failure.reason) == (Phase.NOT_SENT, "the connection was refused")


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_unreachable_network_counts_as_not_sent_only_while_connecting(number: int) -> None:
    """An established connection may end with the same error after the request was sent."""
    error = OSError(number, os.strerror(number))
    assert connect_failure(error).reason == "there is no route to it"
    for module in (requests_errors, aiohttp_errors):
        assert module.classify_error(error).phase is Phase.MAYBE_SENT


def test_error_that_the_caller_handles_proves_nothing() -> None:
    """A lost connection is no refused one, only because another connection was refused before."""
    for module in (requests_errors, aiohttp_errors):
        for error in (requests.ConnectionError("canary"), aiohttp.ClientOSError(104, "canary")):
            error.__context__ = ssl.SSLCertVerificationError()
            failure = module.classify_error(error)
            assert (failure.phase, failure.reason) == (Phase.MAYBE_SENT, "the connection was lost")


def test_tls_error_after_the_handshake_counts_as_maybe_sent() -> None:
    """Only the handshake comes before the request."""
    error = ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]")
    assert not is_handshake_error(error)
    for module in (requests_errors, aiohttp_errors):
        assert module.classify_error(error).phase is Phase.MAYBE_SENT
