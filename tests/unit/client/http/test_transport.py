from __future__ import annotations

import socket
import ssl
import subprocess
import sys

import pytest
import trustme

from airflow_provider_arm import client
from airflow_provider_arm.client.errors import ArmConfigurationError, ArmUnavailableError, Phase
from airflow_provider_arm.client.http.transport import CONNECT_TIMEOUT, Transport
from tests.unit.client.scripted_server import CloseConnection, HttpReply, RawReply, ScriptedServer, unused_port

CALL = {"name": "get_customer", "path": {"customerno": "1"}}


def tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return a server's TLS context with a certificate for *names*."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def call_unsent(server: ScriptedServer, make_driver, clock, **settings) -> ArmUnavailableError:
    """Make a call that fails before the request is sent, and return its error."""
    with pytest.raises(ArmUnavailableError) as caught:
        make_driver(server.url, **settings).call(**CALL)
    assert server.requests == []
    assert len(clock.waits) == 4
    return caught.value


def test_certificate_of_configured_authority_is_trusted(
    start_server, make_driver, authority, ca_file, monkeypatch
) -> None:
    """The ca_bundle of the connection is used, or else that of the environment."""
    server = start_server([HttpReply({"ok": 1})], tls=tls(authority, "127.0.0.1"))
    assert make_driver(server.url).call(**CALL) == {"ok": 1}
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert make_driver(server.url, transport=Transport(ca_bundle=ca_file)).call(**CALL) == {"ok": 1}


def test_certificate_of_unknown_authority_raises_not_sent(start_server, make_driver, clock) -> None:
    """The request is not sent before the server has proved its identity."""
    server = start_server([HttpReply({})], tls=tls(trustme.CA(), "127.0.0.1"))
    error = call_unsent(server, make_driver, clock)
    assert error.phase is Phase.NOT_SENT
    assert "its certificate is not trusted (unable to get local issuer certificate)" in str(error)
    assert "ca_bundle" in str(error)


def test_certificate_for_another_host_raises_not_sent(start_server, make_driver, clock, authority) -> None:
    """A valid certificate of another host proves nothing."""
    server = start_server([HttpReply({})], tls=tls(authority, "api.amili.no", "127.0.0.2"))
    error = call_unsent(server, make_driver, clock)
    assert error.phase is Phase.NOT_SENT
    assert "its certificate is not trusted" in str(error)


def test_certifi_is_used_without_a_bundle(start_server, make_driver, clock, authority, monkeypatch) -> None:
    """It does not contain a private authority."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    server = start_server([HttpReply({})], tls=tls(authority, "127.0.0.1"))
    assert call_unsent(server, make_driver, clock).phase is Phase.NOT_SENT


@pytest.mark.parametrize(
    "reply", [CloseConnection(reads_request=False), RawReply(b"HTTP/1.1 200 OK\r\n\r\n{}", reads_request=False)]
)
def test_server_without_tls_gets_no_request(start_server, make_driver, reply) -> None:
    """Https to a port of plain http, or to one that disconnects, is an outage, and the token is not sent."""
    server = start_server([reply])
    with pytest.raises(ArmUnavailableError):
        make_driver(server.url.replace("http:", "https:")).call(**CALL)
    assert not [request for request in server.requests if b"authorization" in request.raw.lower()]


@pytest.mark.parametrize("mark", ["\ufeff", "\ufeff "])
def test_byte_order_mark_before_json_is_ignored(start_server, make_driver, mark) -> None:
    """Some servers on Windows write one; it is not a failure that retries could cure."""
    server = start_server([HttpReply(mark + '{"customerNo": "1"}')])
    assert make_driver(server.url).call(**CALL) == {"customerNo": "1"}
    assert len(server.requests) == 1


def test_unknown_host_name_raises_not_sent(make_driver, clock, monkeypatch) -> None:
    """The error refers to the host of the connection."""

    def resolve(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # Patched, because a real resolver may take long to fail.
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(
        ArmUnavailableError, match=r"its host name cannot be resolved.*host of the connection"
    ) as caught:
        make_driver("https://arm.invalid").call(**CALL)
    assert caught.value.phase is Phase.NOT_SENT
    assert len(clock.waits) == 4


@pytest.mark.parametrize("proxy", ["http://", "nonsense://canary", "http://127.0.0.1:canary", "http://a:b:c"])
def test_proxy_that_is_no_url_is_named_before_anything_is_sent(proxy: str, make_driver, monkeypatch) -> None:
    """Its value is not shown, because it may have a password."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ArmConfigurationError, match="HTTPS_PROXY in the environment") as caught:
        make_driver("https://arm.example.com").call(**CALL)
    assert caught.value.phase is Phase.NOT_SENT
    assert "canary" not in str(caught.value)


def test_proxy_without_a_scheme_is_http(make_driver, monkeypatch) -> None:
    """As for curl and requests."""
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{unused_port()}")
    with pytest.raises(ArmUnavailableError, match=r"the proxy could not connect.*HTTPS_PROXY"):
        make_driver("https://arm.example.com").call(**CALL)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_timeout_that_is_not_positive_raises(timeout: float) -> None:
    """No call may wait for ever or not at all."""
    with pytest.raises(ArmConfigurationError, match="timeout must be greater than 0 seconds"):
        Transport(timeout=timeout)


def test_missing_ca_bundle_raises_without_showing_its_path(tmp_path) -> None:
    """The path may exist on some machines only."""
    with pytest.raises(ArmConfigurationError, match="ca_bundle is not the path of a file") as caught:
        Transport(ca_bundle=str(tmp_path / "canary.pem"))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("timeout", "expected"), [(30.0, CONNECT_TIMEOUT), (2.0, 2.0)])
def test_connect_timeout_is_at_most_ten_seconds(timeout: float, expected: float) -> None:
    """A reachable host accepts a connection within milliseconds."""
    assert Transport(timeout=timeout).connect_timeout == expected


def test_ca_file_prefers_connection_then_environment_then_certifi(ca_file, monkeypatch) -> None:
    """In this order, and never none."""
    monkeypatch.setenv("CURL_CA_BUNDLE", "curls")
    assert Transport(ca_bundle=ca_file).ca_file() == ca_file
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "requests'")
    assert Transport().ca_file() == "requests'"
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert Transport().ca_file() == "curls"
    monkeypatch.delenv("CURL_CA_BUNDLE")
    assert Transport().ca_file().endswith("cacert.pem")


def test_no_setting_turns_certificate_checks_off() -> None:
    """The only settings are timeout and ca_bundle."""
    assert list(Transport.__dataclass_fields__) == ["timeout", "ca_bundle"]


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Airflow imports it whenever it parses DAGs; the clients are loaded on first use."""
    heavy = "requests urllib3 aiohttp pydantic msgspec asyncio airflow"
    program = (
        f"import sys, airflow_provider_arm.client as c; print(*(m for m in '{heavy}'.split() if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", client.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    """Each name of __all__ is an attribute of the package."""
    assert getattr(client, name).__name__ == name


def test_unknown_name_raises_attribute_error() -> None:
    """As in any other module."""
    with pytest.raises(AttributeError, match="has no attribute 'ArmKlient'"):
        _ = client.ArmKlient
