"""What a ``BatchTrigger`` does when it runs. Loaded in the triggerer only, off the event loop: it is heavy."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import requests.utils  # noqa: F401 - as async_client: the first call would else load it on the event loop
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_arm.client import async_client  # noqa: F401
from airflow_provider_arm.client.errors import (
    ArmAuthenticationError,
    ArmConfigurationError,
    ArmError,
    ArmUnavailableError,
)
from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.exceptions import format_traceback
from airflow_provider_arm.hooks.metrics import record_batch_wait
from airflow_provider_arm.hooks.shared import ClientLease, lease_client
from airflow_provider_arm.submission.results.batch_wait import WaitTimeoutError, WaitTimes
from airflow_provider_arm.triggers import events
from airflow_provider_arm.triggers.polling.shared_timer import repeat

if TYPE_CHECKING:
    from airflow_provider_arm.client.async_client import AsyncArmClient
    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.triggers.batch import BatchTrigger

log = logging.getLogger(__name__)

#: Batches of one wait that are looked at in the same moment: one submission of a thousand batches must not crowd out
#: the other waits of the connection.
LOOKS_AT_ONCE = 8

CLOCK = SystemClock()


async def wait_for_end(trigger: BatchTrigger) -> dict[str, Any]:
    """Wait as *trigger* says; gives the payload of its one event, whatever happens but a cancellation."""
    event = await _wait(trigger)
    record_batch_wait(CLOCK.time() - trigger.started, event["status"])
    return event


async def _wait(trigger: BatchTrigger) -> dict[str, Any]:
    try:
        await _Waiter(trigger).until_finished()
    except WaitTimeoutError as error:
        return events.timed_out(str(error))
    except ArmError as error:
        return events.failed(str(error), permanent=error.permanent)
    except Exception as error:  # noqa: BLE001 - without an event the task would be deferred until Airflow's own timeout
        log.error("The wait broke off with %s:\n%s", type(error).__name__, format_traceback(error))  # noqa: TRY400
        return events.failed(
            f"the wait broke off with {type(error).__name__}, a fault of the provider: the batches go on in ARM, a "
            "retry waits for them again, and the trigger's log shows the place to report",
            permanent=False,
        )
    return events.finished()


class _Waiter:
    """One wait by one trigger. Thousands of these live at once, so they are as small as can be."""

    __slots__ = ("_client_no", "_conn_id", "_wait")

    def __init__(self, trigger: BatchTrigger) -> None:
        self._conn_id = trigger.arm_conn_id
        self._client_no = trigger.client_no
        times = WaitTimes(trigger.started, trigger.deadline, trigger.poll_interval, trigger.max_poll_interval)
        self._wait = times.wait(trigger.batch_uuids)
        until = datetime.fromtimestamp(trigger.deadline, UTC)
        log.info("Waiting for %d batches at ARM until %s UTC", len(self._wait.pending), f"{until:%F %R}")

    async def until_finished(self) -> None:
        """Return when every batch is finished.

        :raises WaitTimeoutError: the deadline came first.
        :raises ArmError: the wait cannot go on.
        """
        client: AsyncArmClient | None = None
        refusal: ArmAuthenticationError | None = None
        while self._wait.pending:
            lease = await self._connect()
            try:
                if refusal is not None and lease.client is client:
                    raise refusal
                client = lease.client
                self._wait.not_found_grace = client.assumptions.batch_not_found_grace
                await repeat(partial(self._look, client), self._wait.first_delay(CLOCK.time()), CLOCK)
            except ArmAuthenticationError as error:
                if error is refusal:
                    raise
                # A wait may outlive a secret: the connection is read again, and the wait goes on if it has changed.
                refusal = error
            finally:
                lease.release()

    async def _connect(self) -> ClientLease:
        """Take the connection's client; that Airflow cannot tell the connection for a while ends no wait."""
        while True:
            try:
                return await lease_client(self._conn_id)
            except ArmError:
                raise
            except AirflowNotFoundException:
                msg = f"connection {self._conn_id!r} is not defined where the triggerer runs"
                raise ArmConfigurationError(msg) from None
            except Exception as error:  # noqa: BLE001 - whatever a secrets backend or Airflow's own API raises
                unread = ArmUnavailableError(f"connection {self._conn_id!r} could not be read ({type(error).__name__})")
            log.warning("%s", unread)
            for batch_uuid in self._wait.pending:
                self._wait.record_poll(batch_uuid, unread, CLOCK.time())
            await CLOCK.asleep(self._wait.next_delay(CLOCK.time()))

    async def _look(self, client: AsyncArmClient) -> float | None:
        """Look at every pending batch once; gives the seconds until the next look, ``None`` when none is to come."""
        wait, before = self._wait, len(self._wait.pending)
        if before == 1:  # nearly always: spares a task and lists
            wait.record_poll(wait.pending[0], await self._see(client, wait.pending[0]), CLOCK.time())
        else:
            await self._see_all(client, list(wait.pending))
        if len(wait.pending) < before:
            log.info("%d of %d batches are finished", len(wait.finished), len(wait.finished) + len(wait.pending))
        return wait.next_delay(CLOCK.time()) if wait.pending else None

    async def _see_all(self, client: AsyncArmClient, pending: list[str]) -> None:
        for first in range(0, len(pending), LOOKS_AT_ONCE):
            some = pending[first : first + LOOKS_AT_ONCE]
            looks = await asyncio.gather(*(self._see(client, batch_uuid) for batch_uuid in some))
            for batch_uuid, seen in zip(some, looks, strict=True):
                self._wait.record_poll(batch_uuid, seen, CLOCK.time())

    async def _see(self, client: AsyncArmClient, batch_uuid: str) -> BatchStatus | ArmError:
        try:
            status = await client.get_batch(batch_uuid, client_no=self._client_no)
        except ArmError as error:
            log.warning("Batch %s: %s", batch_uuid, error)
            return error
        # The task reads the records when it goes on; a thousand waits must not keep them here until then.
        return replace(status, records=()) if status.records else status
