"""``ArmHook``: the fields of a connection, and the errors for invalid ones."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from airflow_provider_arm.client import ArmConfigurationError
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.hooks.settings import parse_client_no
from airflow_provider_arm.hooks.shared import lease_client

SECRET = "canary-secret-7Q2"
GOOD: dict[str, Any] = {
    "conn_type": "arm",
    "host": "https://arm.example.com/arm/v1",
    "login": "canary-id",
    "password": SECRET,
    "extra": {"auth_url": "https://auth.example.com/token", "client_no": 2218},
}


@pytest.fixture
def make_hook(monkeypatch):
    """Return a function that sets the connection ``arm_default``, with some fields changed, and returns its hook."""

    def make_hook(**changes):
        extra = {**GOOD["extra"], **changes.pop("extra", {})}
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({**GOOD, **changes, "extra": extra}))
        return ArmHook()

    return make_hook


def test_all_fields_of_a_connection_are_read(make_hook):
    """Each becomes a setting."""
    settings = make_hook(extra={"user_id": "me", "scope": "arm", "timeout": 5, "client_no": "2218"}).settings
    assert settings.base_url == GOOD["host"]
    assert (settings.client_no, settings.user_id, settings.scope, settings.timeout) == (2218, "me", "arm", 5.0)


def test_empty_form_fields_are_absent(make_hook):
    """The connection form stores them as null."""
    settings = make_hook(extra=dict.fromkeys(("user_id", "scope", "timeout", "ca_bundle", "access_token"))).settings
    assert (settings.user_id, settings.scope, settings.timeout, settings.ca_bundle) == (None, None, None, None)


def test_hosts_of_amili_need_no_auth_url(make_hook):
    """Their token service is known."""
    settings = make_hook(host="https://api.staging.amili.no/arm/v1", extra={"auth_url": ""}).settings
    assert settings.auth_url == "https://auth.staging.amili.no/token"


def test_uri_form_of_a_connection_is_https(monkeypatch):
    """Its host has no scheme, so it is https, with port and path."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_ARM_DEFAULT", "arm://id:pw@arm.example.com:8443/arm%2Fv1?auth_url=https%3A%2F%2Fa.example.com%2Ft"
    )
    assert ArmHook().settings.base_url == "https://arm.example.com:8443/arm/v1"


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "arm.example.com"}, "https://arm.example.com"),
        ({"host": "arm.example.com/arm/v1/", "port": 8443}, "https://arm.example.com:8443/arm/v1"),
        ({"host": "arm.example.com", "schema": "/arm/v1/"}, "https://arm.example.com/arm/v1"),
        ({"host": "arm.example.com/arm/v1", "schema": "https"}, "https://arm.example.com/arm/v1"),
        ({"host": "https://arm.example.com:8443/arm", "port": 8443}, "https://arm.example.com:8443/arm"),
        ({"host": "https://arm.example.com", "port": 443}, "https://arm.example.com"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8081}, "http://127.0.0.1:8081"),
    ],
)
def test_base_url_is_put_together_from_host_port_and_schema(make_hook, fields, url):
    """As other connections of Airflow have them."""
    assert make_hook(**fields).settings.base_url == url


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"host": ""}, ["arm_default", "host", "https://api.staging.amili.no/arm/v1"]),
        ({"password": ""}, ["arm_default", "login", "password", "access_token"]),
        ({"login": None}, ["arm_default", "login"]),
        ({"extra": {"auth_url": None}}, ["arm_default", "auth_url"]),
        ({"extra": {"client_no": "twelve"}}, ["client_no", "arm_default", "2218"]),
        ({"extra": {"timeout": "soon"}}, ["timeout", "arm_default"]),
        ({"extra": {"timeout": -1}}, ["timeout"]),
        ({"extra": {"ca_bundle": "/no/such.pem"}}, ["ca_bundle"]),
        ({"host": "http://arm.example.com"}, ["https", "loopback"]),
        ({"host": "ftp://arm.example.com"}, ["full URL"]),
        ({"port": 8443}, ["port 8443", "port 443", "host"]),
        ({"host": "https://id:pw@arm.example.com"}, ["credentials", "login"]),
        ({"extra": {"auth_url": "http://auth.example.com/token"}}, ["auth_url", "https"]),
    ],
)
def test_invalid_connection_raises_with_field_and_next_step(make_hook, changes, parts):
    """The error shows no secret."""
    with pytest.raises(ArmConfigurationError) as caught:
        _ = make_hook(**changes).client
    message = str(caught.value)
    assert all(part in message for part in [*parts, "connection 'arm_default'"]), message
    assert SECRET not in message
    assert "canary-id" not in message


def test_creating_a_hook_reads_nothing():
    """It needs no connection and no network, so DAG files may do it."""
    assert ArmHook("there_is_none").arm_conn_id == "there_is_none"


def test_arguments_override_the_connection(arm_connection):
    """The hook's client number overrides the connection's."""
    assert ArmHook(arm_connection, client_no="4711").client.client_no == 4711


def test_no_repr_shows_a_secret(make_hook):
    """Neither that of the settings nor that of the client."""
    hook = make_hook(extra={"access_token": SECRET})
    assert SECRET not in f"{hook.settings!r} {hook.client!r} {hook!r} {vars(hook.client)!r}"


@pytest.mark.parametrize("value", [None, "", " ", "None"])
def test_absent_client_number_is_none(value):
    """A template that renders to nothing is no client number."""
    assert parse_client_no(value) is None


@pytest.mark.parametrize("value", [0, -1, "0", "1.5", True, "²", object()])
def test_invalid_client_number_raises(value):
    """Only a positive whole number is valid."""
    with pytest.raises(ArmConfigurationError, match="client_no"):
        parse_client_no(value)


def test_connection_test_succeeds(arm_connection):
    """The Test button of the form shows the client number."""
    assert ArmHook(arm_connection).test_connection() == (True, "Connected to ARM for client 2218.")


def test_connection_test_reports_wrong_credentials(arm_sandbox, monkeypatch):
    """The Test button of the form does not show them."""
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({**arm_sandbox.connection(), "password": SECRET}))
    succeeded, message = ArmHook().test_connection()
    assert not succeeded
    assert "client secret" in message
    assert SECRET not in message


def test_connection_test_reports_an_unreachable_host(make_hook):
    """The Test button of the form shows the reason."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    succeeded, message = make_hook(host=base, extra={"auth_url": f"{base}/token"}).test_connection()
    assert not succeeded
    assert "could not be reached: the connection was refused" in message
    assert "connection 'arm_default'" in message
    assert base.removeprefix("http://") in message


def test_connection_test_reports_a_missing_client_number(arm_sandbox, monkeypatch):
    """Without it nothing can be read."""
    conn = arm_sandbox.connection()
    del conn["extra"]["client_no"]
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(conn))
    succeeded, message = ArmHook().test_connection()
    assert not succeeded
    assert "client_no" in message


def test_concurrent_triggers_of_a_connection_share_a_client(arm_sandbox, arm_connection):
    """However many run in an event loop, they have one client and get one token; the loop closes it."""

    async def use(barrier):
        lease = await lease_client(arm_connection)
        await lease.client.call("list_customers", params={"pagesize": 5})
        await barrier.wait()
        lease.release()
        return lease.client

    async def use_concurrently():
        barrier = asyncio.Barrier(20)
        return await asyncio.gather(*(use(barrier) for _ in range(20)))

    clients = asyncio.run(use_concurrently())
    assert len({id(client) for client in clients}) == 1
    tokens = [call for call in arm_sandbox.requests() if call["path"].endswith("/token")]
    assert len(tokens) == 1
    assert clients[0]._http is None
