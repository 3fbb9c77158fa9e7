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
from tests.unit.client.scripted_server import Close, Raw, Say, ScriptedServer

CALL = {"name": "get_customer", "path": {"customerno": "1"}}


def tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Make a server's context with a certificate for *names*."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def refusal(server: ScriptedServer, connect, clock, **settings) -> ArmUnavailableError:
    """Make a call that must not get as far as a request."""
    with pytest.raises(ArmUnavailableError) as caught:
        connect(server.url, **settings).call(**CALL)
    assert server.requests == []
    assert len(clock.waits) == 4
    return caught.value


def test_a_certificate_of_the_connections_authority_is_trusted(serve, connect, authority, ca_file, monkeypatch) -> None:
    """The ca_bundle of the connection, or else of the machine, is what counts."""
    server = serve([Say({"ok": 1})], tls=tls(authority, "127.0.0.1"))
    assert connect(server.url).call(**CALL) == {"ok": 1}
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert connect(server.url, transport=Transport(ca_bundle=ca_file)).call(**CALL) == {"ok": 1}


def test_a_certificate_of_another_authority_is_refused_as_not_sent(serve, connect, clock) -> None:
    """Nothing of the request leaves before the server has proved who it is."""
    server = serve([Say({})], tls=tls(trustme.CA(), "127.0.0.1"))
    error = refusal(server, connect, clock)
    assert error.phase is Phase.NOT_SENT
    assert "its certificate is not trusted (ca_bundle of the connection?)" in str(error)


def test_a_certificate_for_another_host_is_refused_as_not_sent(serve, connect, clock, authority) -> None:
    """A good certificate of somebody else proves nothing."""
    server = serve([Say({})], tls=tls(authority, "api.amili.no", "127.0.0.2"))
    error = refusal(server, connect, clock)
    assert error.phase is Phase.NOT_SENT
    assert "its certificate is not trusted" in str(error)


def test_without_a_bundle_the_worlds_authorities_count(serve, connect, clock, authority, monkeypatch) -> None:
    """A private authority is none of them."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    server = serve([Say({})], tls=tls(authority, "127.0.0.1"))
    assert refusal(server, connect, clock).phase is Phase.NOT_SENT


@pytest.mark.parametrize("reply", [Close(reads=False), Raw(b"HTTP/1.1 200 OK\r\n\r\n{}", reads=False)])
def test_a_server_that_speaks_no_tls_gets_no_request(serve, connect, reply) -> None:
    """Https to a port of plain http, or one that hangs up, is an outage, and the token stays here."""
    server = serve([reply])
    with pytest.raises(ArmUnavailableError):
        connect(server.url.replace("http:", "https:")).call(**CALL)
    assert not [seen for seen in server.requests if b"authorization" in seen.raw.lower()]


def test_a_name_that_does_not_exist_is_told_as_such(connect, clock, monkeypatch) -> None:
    """Nothing was sent, and the error points to the host of the connection."""

    def resolve(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # The machine's resolver, because another one may take its time to say no.
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ArmUnavailableError, match=r"its name is not known \(host of the connection\?\)") as caught:
        connect("https://arm.invalid").call(**CALL)
    assert caught.value.phase is Phase.NOT_SENT
    assert len(clock.waits) == 4


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_must_be_one(timeout: float) -> None:
    """No call may wait for ever or not at all."""
    with pytest.raises(ArmConfigurationError, match="timeout must be more than 0 seconds"):
        Transport(timeout=timeout)


def test_a_bundle_must_be_there(tmp_path) -> None:
    """A path that is right on one machine only is told as such, without showing it."""
    with pytest.raises(ArmConfigurationError, match="ca_bundle names a file that is not there") as caught:
        Transport(ca_bundle=str(tmp_path / "canary.pem"))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("timeout", "connecting"), [(30.0, CONNECT_TIMEOUT), (2.0, 2.0)])
def test_a_connection_must_stand_soon(timeout: float, connecting: float) -> None:
    """A host that is there answers in milliseconds."""
    assert Transport(timeout=timeout).connect_timeout == connecting


def test_the_certificates_come_from_the_connection_then_the_machine_then_certifi(ca_file, monkeypatch) -> None:
    """In this order, and never from nowhere."""
    monkeypatch.setenv("CURL_CA_BUNDLE", "curls")
    assert Transport(ca_bundle=ca_file).ca_file() == ca_file
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "requests'")
    assert Transport().ca_file() == "requests'"
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert Transport().ca_file() == "curls"
    monkeypatch.delenv("CURL_CA_BUNDLE")
    assert Transport().ca_file().endswith("cacert.pem")


def test_no_setting_turns_the_checks_off() -> None:
    """There is a bundle and a timeout, and nothing else."""
    assert list(Transport.__dataclass_fields__) == ["timeout", "ca_bundle"]


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Airflow imports it in every parse: the clients come when they are asked for."""
    heavy = "requests urllib3 aiohttp pydantic msgspec asyncio airflow"
    program = (
        f"import sys, airflow_provider_arm.client as c; print(*(m for m in '{heavy}'.split() if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", client.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """What the package promises can be imported from it."""
    assert getattr(client, name).__name__ == name


def test_another_name_is_not_there() -> None:
    """A typo is an AttributeError as everywhere."""
    with pytest.raises(AttributeError, match="has no attribute 'ArmKlient'"):
        _ = client.ArmKlient
