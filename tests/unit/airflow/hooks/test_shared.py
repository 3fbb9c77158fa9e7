"""``hooks.shared``: one client per connection and event loop, kept open between triggers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import ArmConfigurationError, AsyncArmClient
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


class LeaseUser:
    """User of the shared client in one event loop. It checks after each step that no client in use is closed."""

    def __init__(self, closed):
        self.closed = closed
        self.leases = []
        self.clients = set()

    async def run(self, steps):
        """Run the steps and release all leases, directly before the event loop ends."""
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: errors.append(fault))
        for step in steps:
            await getattr(self, step)()
            in_use = {lease.client for lease in self.leases}
            assert len(in_use) <= 1
            assert not in_use & set(self.closed)
        while self.leases:
            await self.release()
        assert errors == []

    async def lease(self):
        """Acquire one more lease."""
        self.leases.append(await lease_client("arm_default"))
        self.clients.add(self.leases[-1].client)

    async def release(self):
        """Release the oldest lease, if there is one."""
        if self.leases:
            self.leases.pop(0).release()

    async def turn(self):
        """Let the event loop run once."""
        await asyncio.sleep(0)

    async def idle(self):
        """Wait until an idle client is closed."""
        await asyncio.sleep(2 * shared.IDLE_SECONDS)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["lease", "release", "release", "turn", "idle"]), max_size=14))
@example(steps=["lease", "release", "turn", "lease", "release", "turn", "lease", "idle", "lease"])
def test_leases_share_one_open_client_in_any_order(arm_connection, monkeypatch, steps):
    """Whenever a client is leased, released and leased again: one client is open, and each is closed exactly once."""
    closed = Counter()
    close = AsyncArmClient.close

    async def count(client):
        closed[client] += 1
        await close(client)

    user = LeaseUser(closed)
    with monkeypatch.context() as patch:
        patch.setattr(AsyncArmClient, "close", count)
        patch.setattr(shared, "IDLE_SECONDS", 0.002)
        asyncio.run(user.run(steps))
    assert closed == Counter(user.clients)


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
