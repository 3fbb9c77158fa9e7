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


@dataclass(slots=True)
class _Shared:
    client: AsyncArmClient
    users: int = 0


#: By event loop, because sessions and locks belong to one; by the settings' whole content and not by the connection's
#: id, because two teams may name different connections alike.
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ArmSettings, _Shared]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_client(arm_conn_id: str) -> AsyncIterator[AsyncArmClient]:
    """Give the client for a connection; the last user closes it.

    :raises ArmConfigurationError: the connection is not usable.
    """
    hook = ArmHook(arm_conn_id)
    settings = await hook.aread_settings()
    of_loop = _clients.setdefault(asyncio.get_running_loop(), {})
    shared = of_loop.get(settings)
    if shared is None:
        # No await between look-up and entry: two triggers that start together must not make two clients.
        shared = of_loop[settings] = _Shared(hook.make_async_client(settings))
    shared.users += 1
    try:
        yield shared.client
    finally:
        shared.users -= 1
        if shared.users == 0:
            del of_loop[settings]
            await shared.client.close()
