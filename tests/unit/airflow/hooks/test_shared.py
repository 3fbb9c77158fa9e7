"""``hooks.shared``: one client per connection and event loop, kept while triggers come and go."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_arm.client import ArmConfigurationError
from airflow_provider_arm.hooks import shared
from airflow_provider_arm.hooks.shared import lease_client, shared_client


def tokens(box):
    """Count the calls to the token service."""
    return sum(call["path"].endswith("/token") for call in box.requests())


async def use(conn_id="arm_default"):
    """Make one call with the connection's client; gives the client."""
    async with shared_client(conn_id) as client:
        await client.call("list_customers", params={"pagesize": 5})
        return client


def test_triggers_that_come_and_go_one_by_one_share_a_client(arm_sandbox, arm_connection):
    """A client without users is kept for a while: twenty triggers after one another need one client and one token."""

    async def run():
        return [await use() for _ in range(20)]

    clients = asyncio.run(run())
    assert len({id(client) for client in clients}) == 1
    assert tokens(arm_sandbox) == 1


def test_a_client_that_nobody_uses_is_closed(arm_sandbox, arm_connection, monkeypatch):
    """After the while it is closed and forgotten, and the next user gets a new one."""
    monkeypatch.setattr(shared, "LINGER_SECONDS", 0.0)

    async def run():
        client = await use()
        (kept,) = shared._clients[asyncio.get_running_loop()].values()
        await kept.closing
        assert client._http is None
        assert shared._clients[asyncio.get_running_loop()] == {}
        return client, await use()

    first, second = asyncio.run(run())
    assert first is not second
    assert tokens(arm_sandbox) == 2


def test_a_client_in_use_is_never_closed(arm_sandbox, arm_connection, monkeypatch):
    """One user leaving, or coming back in time, closes nothing that another one uses."""
    monkeypatch.setattr(shared, "LINGER_SECONDS", 0.0)

    async def run():
        staying = await lease_client(arm_connection)
        for _ in range(3):
            await use()
            await asyncio.sleep(0.01)
        await staying.client.call("list_customers", params={"pagesize": 5})
        assert staying.client._http is not None
        staying.release()

    asyncio.run(run())
    assert tokens(arm_sandbox) == 1


def test_a_loop_that_ends_closes_its_clients(arm_sandbox, arm_connection):
    """Nothing is left open behind a triggerer that stops, whoever has used it last."""
    client = asyncio.run(use())
    assert client._http is None


def test_a_connection_that_changes_gives_another_client(arm_sandbox, arm_connection, monkeypatch):
    """Clients are told apart by all that the connection says and not by its name; the old one ends with its users."""

    async def run():
        old = await lease_client(arm_connection)
        changed = arm_sandbox.connection()
        extra = changed["extra"] if isinstance(changed["extra"], dict) else json.loads(changed["extra"])
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({**changed, "extra": {**extra, "timeout": 7}}))
        new = await lease_client(arm_connection)
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({**changed, "extra": {**extra, "timeout": 7}}))
        same = await lease_client("other")
        found = old.client is new.client, new.client is same.client
        for lease in (old, new, same):
            lease.release()
        return found

    assert asyncio.run(run()) == (False, True)


def test_a_connection_that_cannot_work_leaves_nothing_behind(arm_connection, monkeypatch):
    """A wrong connection raises for each who asks, and no half-made client is kept."""
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({"conn_type": "arm", "host": ""}))

    async def run():
        for _ in range(2):
            with pytest.raises(ArmConfigurationError, match="host"):
                await lease_client("arm_default")
        return dict(shared._clients.get(asyncio.get_running_loop(), {}))

    assert asyncio.run(run()) == {}
