"""One asynchronous client per connection and event loop, however many triggers use it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_arm.hooks.arm import ArmHook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_arm.client import AsyncArmClient
    from airflow_provider_arm.hooks.settings import ArmSettings

#: Seconds that a client is kept after its last user has left: triggers come and go one by one all day, and each would
#: else fetch a token and open a connection of its own.
LINGER_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class _Shared:
    client: AsyncArmClient
    settings: ArmSettings
    users: int = 0
    #: Closes the client when nobody comes. A task and no timer: a loop that ends cancels it, and so it still closes.
    closing: asyncio.Task[None] | None = None


#: By event loop, because sessions and locks belong to one; by the settings' whole content and not by the connection's
#: id, because two teams may name different connections alike.
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ArmSettings, _Shared]] = WeakKeyDictionary()


class ClientLease:
    """A place among the users of a client."""

    # Thousands of these live at once, so they are as small as can be.
    __slots__ = ("_shared",)

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        shared.users += 1
        if shared.closing is not None:
            shared.closing.cancel()
            shared.closing = None

    @property
    def client(self) -> AsyncArmClient:
        """The client. Nobody but the lease closes it."""
        return self._shared.client

    def release(self) -> None:
        """Give the place up, once; when nobody has come for :data:`LINGER_SECONDS`, the client is closed."""
        self._shared.users -= 1
        if self._shared.users == 0:
            self._shared.closing = asyncio.create_task(_close_unused(self._shared))


async def lease_client(arm_conn_id: str) -> ClientLease:
    """Take a place among the users of the connection's client, which is made for the first of them.

    :raises ArmConfigurationError: the connection is not usable.
    """
    hook = ArmHook(arm_conn_id)
    settings = await hook.aread_settings()
    of_loop = _clients.setdefault(asyncio.get_running_loop(), {})
    shared = of_loop.get(settings)
    if shared is None:
        # No await between look-up and entry: two triggers that start together must not make two clients.
        shared = of_loop[settings] = _Shared(hook.make_async_client(settings), settings)
    return ClientLease(shared)


@asynccontextmanager
async def shared_client(arm_conn_id: str) -> AsyncIterator[AsyncArmClient]:
    """Give the client for a connection while the block lasts. Raises as :func:`lease_client`."""
    lease = await lease_client(arm_conn_id)
    try:
        yield lease.client
    finally:
        lease.release()


async def _close_unused(shared: _Shared) -> None:
    try:
        await asyncio.sleep(LINGER_SECONDS)
    finally:
        # Cancelled because somebody came, or because the loop ends.
        if shared.users == 0:
            del _clients[asyncio.get_running_loop()][shared.settings]
            await shared.client.close()
