"""Taking a turn at ARM for ever: what the event triggers' polls share. Loaded in the triggerer only: it is heavy."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

import requests.utils  # noqa: F401 - as async_client: the first call would else load it on the event loop
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
#: Seconds until the next turn after a failure that a person has to mend, at least: nobody mends a secret in a minute,
#: and a token service counts refusals.
PERMANENT_PAUSE = 900.0

T = TypeVar("T")


async def poll_forever(
    trigger: ArmEventTrigger, take: Callable[[AsyncArmClient], AsyncGenerator[T, None]], what: str
) -> AsyncIterator[T]:
    """Take a turn each ``poll_interval``, for ever, and give what the turns give.

    The first comes anywhere within the interval, so that a triggerer that starts with many watchers is no storm. No
    failure ends it: Airflow would start the trigger again at once, and again. It is logged, and the next turn, which
    reads the connection anew, begins where the last good one ended.

    :param take: makes one turn with a client.
    :param what: names the watcher in the log.
    """
    line = ClientHandle(trigger.arm_conn_id, trigger.client_no)
    seconds = trigger.poll_interval * random_fraction()
    try:
        while True:
            await CLOCK.asleep(seconds)
            seconds = trigger.poll_interval * (1 - JITTER * random_fraction())
            try:
                async with aclosing(take(await line.client())) as taken:
                    async for each in taken:
                        yield each
            except Exception as error:  # noqa: BLE001 - see above
                await line.drop()
                seconds = max(seconds, _tell(error, what, trigger.arm_conn_id))
    finally:
        await line.drop()


def _tell(error: Exception, what: str, conn_id: str) -> float:
    """Log why a turn failed, without any value; gives the seconds until the next, at least."""
    if isinstance(error, ArmError):
        log.log(logging.ERROR if error.permanent else logging.WARNING, "%s: %s; it is tried again", what, error)
        rest = 0.0 if error.retry_after is None else min(error.retry_after, MAX_COOLDOWN)
        return max(rest, PERMANENT_PAUSE) if error.permanent else rest
    if isinstance(error, AirflowNotFoundException):
        log.error("%s: connection %r is not defined where the triggerer runs; it is tried again", what, conn_id)
        return PERMANENT_PAUSE
    log.error(
        "%s: the look broke off with %s; it is tried again:\n%s", what, type(error).__name__, format_traceback(error)
    )
    return 0.0


class ClientHandle:
    """The client of a connection, kept until something fails."""

    def __init__(self, conn_id: str, client_no: int | None) -> None:
        self._conn_id = conn_id
        self._client_no = client_no
        self._lease: ClientLease | None = None
        self._own: AsyncArmClient | None = None

    async def client(self) -> AsyncArmClient:
        """Give the client that all triggers of the connection share.

        :raises ArmConfigurationError: the connection is not usable.
        """
        if self._own is not None:
            return self._own
        if self._lease is None:
            self._lease = await lease_client(self._conn_id)
        if self._client_no is None or self._lease.client.client_no is not None:
            return self._lease.client
        # The connection names no ARM client: one of our own that does.
        await self.drop()
        self._own = await ArmHook(self._conn_id, client_no=self._client_no).get_async_client()
        return self._own

    async def drop(self) -> None:
        """Let go of the client; the next is made of the connection as it is then."""
        lease, own, self._lease, self._own = self._lease, self._own, None, None
        if lease is not None:
            lease.release()
        if own is not None:
            await own.close()
