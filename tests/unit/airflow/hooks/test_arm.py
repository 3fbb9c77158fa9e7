"""``ArmHook``: what a connection must hold, and what it says when it does not."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from airflow_provider_arm.client import ArmConfigurationError
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.hooks.settings import parse_client_no
from airflow_provider_arm.hooks.shared import shared_client

SECRET = "canary-secret-7Q2"
GOOD = {
    "conn_type": "arm",
    "host": "https://arm.example.com/arm/v1",
    "login": "canary-id",
    "password": SECRET,
    "extra": {"auth_url": "https://auth.example.com/token", "client_no": 2218},
}


@pytest.fixture
def connect(monkeypatch):
    """Give a function that sets the connection ``arm_default``, changed in some fields, and gives its hook."""

    def connect(**changes):
        extra = {**GOOD["extra"], **changes.pop("extra", {})}
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({**GOOD, **changes, "extra": extra}))
        return ArmHook()

    return connect


def test_a_whole_connection_is_read(connect):
    """Every field of the connection arrives where it belongs."""
    settings = connect(extra={"user_id": "me", "scope": "arm", "timeout": 5, "client_no": "2218"}).settings
    assert settings.base_url == GOOD["host"]
    assert (settings.client_no, settings.user_id, settings.scope, settings.timeout) == (2218, "me", "arm", 5.0)


def test_unfilled_form_fields_are_absent(connect):
    """The connection form stores unfilled fields as null; they mean nothing."""
    settings = connect(extra=dict.fromkeys(("user_id", "scope", "timeout", "ca_bundle", "access_token"))).settings
    assert (settings.user_id, settings.scope, settings.timeout, settings.ca_bundle) == (None, None, None, None)


def test_amilis_hosts_need_no_auth_url(connect):
    """For Amili's own hosts the token service is known."""
    settings = connect(host="https://api.staging.amili.no/arm/v1", extra={"auth_url": ""}).settings
    assert settings.auth_url == "https://auth.staging.amili.no/token"


def test_the_uri_form_of_a_connection_is_https(monkeypatch):
    """A connection written as a URI, whose host has no scheme, is https with its port and path."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_ARM_DEFAULT", "arm://id:pw@arm.example.com:8443/arm%2Fv1?auth_url=https%3A%2F%2Fa.example.com%2Ft"
    )
    assert ArmHook().settings.base_url == "https://arm.example.com:8443/arm/v1"


@pytest.mark.parametrize(
    ("changes", "words"),
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
        ({"host": "ftp://arm.example.com"}, ["full address"]),
        ({"host": "https://id:pw@arm.example.com"}, ["credentials", "login"]),
        ({"extra": {"auth_url": "http://auth.example.com/token"}}, ["auth_url", "https"]),
    ],
)
def test_a_wrong_connection_is_one_clear_error(connect, changes, words):
    """Each mistake in a connection is told by name with the way out, and shows no secret."""
    with pytest.raises(ArmConfigurationError) as caught:
        _ = connect(**changes).client
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert SECRET not in message
    assert "canary-id" not in message


def test_making_a_hook_reads_nothing():
    """Constructing a hook needs no connection and no network: DAG files may do it."""
    assert ArmHook("there_is_none").arm_conn_id == "there_is_none"


def test_arguments_go_before_the_connection(arm_connection):
    """The hook's client number stands above the connection's."""
    assert ArmHook(arm_connection, client_no="4711").client.client_no == 4711


def test_no_repr_shows_a_secret(connect):
    """Neither settings nor client show credentials when printed."""
    hook = connect(extra={"access_token": SECRET})
    assert SECRET not in f"{hook.settings!r} {hook.client!r} {hook!r} {vars(hook.client)!r}"


@pytest.mark.parametrize("value", [None, "", " ", "None"])
def test_an_absent_client_number_is_none(value):
    """A template that renders to nothing is no client number."""
    assert parse_client_no(value) is None


@pytest.mark.parametrize("value", [0, -1, "0", "1.5", True, "²", object()])
def test_a_wrong_client_number_is_refused(value):
    """Anything but a positive whole number is refused by name."""
    with pytest.raises(ArmConfigurationError, match="client_no"):
        parse_client_no(value)


def test_the_connection_test_says_that_arm_answers(arm_connection):
    """The form's Test button succeeds against ARM and names the client."""
    assert ArmHook(arm_connection).test_connection() == (True, "ARM answers for client 2218.")


def test_the_connection_test_tells_a_wrong_credential(arm_sandbox, monkeypatch):
    """The form's Test button names credentials as the cause, and shows none."""
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({**arm_sandbox.connection(), "password": SECRET}))
    works, message = ArmHook().test_connection()
    assert not works
    assert "client secret" in message
    assert SECRET not in message


def test_the_connection_test_tells_an_unreachable_host(connect):
    """The form's Test button says that the host cannot be reached."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    works, message = connect(host=base, extra={"auth_url": f"{base}/token"}).test_connection()
    assert not works
    assert "could not be reached" in message


def test_the_connection_test_wants_a_client_number(arm_sandbox, monkeypatch):
    """Without a client number nothing can be read, and the test says so."""
    conn = arm_sandbox.connection()
    del conn["extra"]["client_no"]
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(conn))
    works, message = ArmHook().test_connection()
    assert not works
    assert "client_no" in message


def test_triggers_of_one_connection_share_a_client(arm_sandbox, arm_connection):
    """However many triggers run in an event loop, they have one client and get one token; the last closes it."""

    async def use(barrier):
        async with shared_client(arm_connection) as client:
            await client.call("list_customers", params={"pagesize": 5})
            await barrier.wait()
            return client

    async def many():
        barrier = asyncio.Barrier(20)
        return await asyncio.gather(*(use(barrier) for _ in range(20)))

    clients = asyncio.run(many())
    assert len({id(client) for client in clients}) == 1
    tokens = [call for call in arm_sandbox.requests() if call["path"].endswith("/token")]
    assert len(tokens) == 1
    assert clients[0]._http is None
