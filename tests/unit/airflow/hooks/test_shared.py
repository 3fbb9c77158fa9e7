"""``hooks.shared``: one client per connection and event loop, kept open between triggers."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_arm.client import ArmConfigurationError
from airflow_provider_arm.hooks import shared
from airflow_provider_arm.hooks.shared import lease_client


def token_calls(sandbox):
    """Return the number of calls to the token service."""
    return sum(call["path"].endswith("/token") for call in sandbox.requests())


async def use(conn_id="arm_default"):
    """Make one call with the client of the connection; return the client."""
    lease = await lease_client(conn_id)
    await lease.client.call("list_customers", params={"pagesize": 5})
    lease.release()
    return lease.client


def test_consecutive_triggers_share_a_client(arm_sandbox, arm_connection):
    """An idle client stays open for a while: twenty consecutive triggers need one client and one token."""

    async def run():
        return [await use() for _ in range(20)]

    clients = asyncio.run(run())
    assert len({id(client) for client in clients}) == 1
    assert token_calls(arm_sandbox) == 1


def test_idle_client_is_closed(arm_sandbox, arm_connection, monkeypatch):
    """Then it is dropped, and the next lease creates a new one."""
    monkeypatch.setattr(shared, "IDLE_SECONDS", 0.0)

    async def run():
        client = await use()
        (shared_entry,) = shared._clients[asyncio.get_running_loop()].values()
        await shared_entry.closing
        assert client._http is None
        assert shared._clients[asyncio.get_running_loop()] == {}
        return client, await use()

    first, second = asyncio.run(run())
    assert first is not second
    assert token_calls(arm_sandbox) == 2


def test_leased_client_is_never_closed(arm_sandbox, arm_connection, monkeypatch):
    """Neither by the release of another lease nor by a new one."""
    monkeypatch.setattr(shared, "IDLE_SECONDS", 0.0)

    async def run():
        lease = await lease_client(arm_connection)
        for _ in range(3):
            await use()
            await asyncio.sleep(0.01)
        await lease.client.call("list_customers", params={"pagesize": 5})
        assert lease.client._http is not None
        lease.release()

    asyncio.run(run())
    assert token_calls(arm_sandbox) == 1


def test_end_of_event_loop_closes_its_clients(arm_sandbox, arm_connection):
    """A triggerer that stops leaves nothing open."""
    client = asyncio.run(use())
    assert client._http is None


def test_changed_connection_gets_another_client(arm_sandbox, arm_connection, monkeypatch):
    """Clients are distinguished by all settings and not by the connection id; the old one ends with its leases."""

    async def run():
        old = await lease_client(arm_connection)
        changed = arm_sandbox.connection()
        extra = changed["extra"] if isinstance(changed["extra"], dict) else json.loads(changed["extra"])
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({**changed, "extra": {**extra, "timeout": 7}}))
        new = await lease_client(arm_connection)
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({**changed, "extra": {**extra, "timeout": 7}}))
        same = await lease_client("other")
        identical = old.client is new.client, new.client is same.client
        for each in (old, new, same):
            each.release()
        return identical

    assert asyncio.run(run()) == (False, True)


def test_invalid_connection_leaves_no_client(arm_connection, monkeypatch):
    """It raises for each lease."""
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({"conn_type": "arm", "host": ""}))

    async def run():
        for _ in range(2):
            with pytest.raises(ArmConfigurationError, match="host"):
                await lease_client("arm_default")
        return dict(shared._clients.get(asyncio.get_running_loop(), {}))

    assert asyncio.run(run()) == {}
