"""Poll loop that the event triggers share. Imported in the triggerer only: the import is slow."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

import requests.utils  # noqa: F401 - as in async_client: otherwise the first call imports it on the event loop
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_arm.client import async_client  # noqa: F401
from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.client.http.jitter import JITTER, random_fraction
from airflow_provider_arm.client.http.retry import MAX_COOLDOWN, SystemClock
from airflow_provider_arm.exceptions import format_traceback
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.hooks.shared import lease_client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from airflow_provider_arm.client import AsyncArmClient
    from airflow_provider_arm.hooks.shared import ClientLease
    from airflow_provider_arm.triggers.event_stream import ArmEventTrigger

log = logging.getLogger(__name__)

CLOCK = SystemClock()
#: Minimum seconds until the next poll after a permanent error: a person has to correct a secret, which takes time, and
#: a token service counts rejections.
PERMANENT_ERROR_DELAY = 900.0

T = TypeVar("T")


async def poll_forever(
    trigger: ArmEventTrigger, poll: Callable[[AsyncArmClient], AsyncGenerator[T, None]], name: str
) -> AsyncIterator[T]:
    """Poll every ``poll_interval`` without end, and yield the results.

    The first poll is at a random time within the interval, so that a triggerer that starts with many watchers does not
    send all requests at once. A failure does not end the loop, because Airflow would restart the trigger at once. It
    is logged, and the next poll reads the connection again and continues after the last successful poll.

    :param poll: polls once with a client, and yields results.
    :param name: of the watcher, for the log.
    """
    handle = ClientHandle(trigger.arm_conn_id, trigger.client_no)
    seconds = trigger.poll_interval * random_fraction()
    try:
        while True:
            await CLOCK.asleep(seconds)
            seconds = trigger.poll_interval * (1 - JITTER * random_fraction())
            try:
                async with aclosing(poll(await handle.get())) as results:
                    async for result in results:
                        yield result
            except Exception as error:  # noqa: BLE001 - see above
                await handle.release()
                seconds = max(seconds, _log_failure(error, name, trigger.arm_conn_id))
    finally:
        await handle.release()


def _log_failure(error: Exception, name: str, conn_id: str) -> float:
    """Log why a poll failed, without any value; return the minimum seconds until the next poll."""
    if isinstance(error, ArmError):
        log.log(logging.ERROR if error.permanent else logging.WARNING, "%s: %s; retrying", name, error)
        cooldown = 0.0 if error.retry_after is None else min(error.retry_after, MAX_COOLDOWN)
        return max(cooldown, PERMANENT_ERROR_DELAY) if error.permanent else cooldown
    if isinstance(error, AirflowNotFoundException):
        log.error("%s: connection %r is not defined where the triggerer runs; retrying", name, conn_id)
        return PERMANENT_ERROR_DELAY
    log.error("%s: polling failed (%s); retrying:\n%s", name, type(error).__name__, format_traceback(error))
    return 0.0


class ClientHandle:
    """Client of a connection, held until a failure."""

    def __init__(self, conn_id: str, client_no: int | None) -> None:
        self._conn_id = conn_id
        self._client_no = client_no
        self._lease: ClientLease | None = None
        self._own: AsyncArmClient | None = None

    async def get(self) -> AsyncArmClient:
        """Return the client that all triggers of the connection share.

        :raises ArmConfigurationError: the connection is not usable.
        """
        if self._own is not None:
            return self._own
        if self._lease is None:
            self._lease = await lease_client(self._conn_id)
        if self._client_no is None or self._lease.client.client_no is not None:
            return self._lease.client
        # The connection has no client number: use a separate client that has one.
        await self.release()
        self._own = await ArmHook(self._conn_id, client_no=self._client_no).get_async_client()
        return self._own

    async def release(self) -> None:
        """Release the client; the next one is created from the connection as it is then."""
        lease, own, self._lease, self._own = self._lease, self._own, None, None
        if lease is not None:
            lease.release()
        if own is not None:
            await own.close()
