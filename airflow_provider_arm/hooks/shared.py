"""One asynchronous client per connection and event loop, shared by all triggers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_arm.hooks.arm import ArmHook

if TYPE_CHECKING:
    from airflow_provider_arm.client import AsyncArmClient
    from airflow_provider_arm.hooks.settings import ArmSettings

#: Seconds that a client stays open after its last lease was released: triggers start and end one by one all day, and
#: otherwise each would fetch a token and open a connection.
IDLE_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class _SharedClient:
    client: AsyncArmClient
    settings: ArmSettings
    leases: int = 0
    #: Closes the idle client. Not a timer but a task: an event loop that ends cancels it, and it closes the client.
    closing: asyncio.Task[None] | None = None


#: Clients by event loop, because sessions and locks belong to one, and by all settings instead of the connection id,
#: because two teams may use the same id for different connections.
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ArmSettings, _SharedClient]] = WeakKeyDictionary()


class ClientLease:
    """A lease of a shared client, which stays open until all leases are released."""

    # Thousands of these exist at once, so they must be small.
    __slots__ = ("_shared",)

    def __init__(self, shared: _SharedClient) -> None:
        self._shared = shared
        shared.leases += 1
        if shared.closing is not None:
            shared.closing.cancel()
            shared.closing = None

    @property
    def client(self) -> AsyncArmClient:
        """The shared client. Its user must not close it."""
        return self._shared.client

    def release(self) -> None:
        """Release the lease, once. The client is closed when it has had no lease for :data:`IDLE_SECONDS`."""
        self._shared.leases -= 1
        if self._shared.leases == 0:
            self._shared.closing = asyncio.create_task(_close_if_idle(self._shared))


async def lease_client(arm_conn_id: str) -> ClientLease:
    """Acquire a lease of the client of a connection, and create it for the first lease.

    :raises ArmConfigurationError: the connection is invalid.
    """
    hook = ArmHook(arm_conn_id)
    settings = await hook.aread_settings()
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    shared = clients.get(settings)
    if shared is None:
        # No await between get and set: two triggers that start at the same time must not create two clients.
        shared = clients[settings] = _SharedClient(hook.make_async_client(settings), settings)
    return ClientLease(shared)


async def _close_if_idle(shared: _SharedClient) -> None:
    try:
        await asyncio.sleep(IDLE_SECONDS)
    finally:
        # Cancelled either by a new lease, which may have been released since, or by the end of the event loop.
        if shared.closing is asyncio.current_task():
            del _clients[asyncio.get_running_loop()][shared.settings]
            await shared.client.close()
