"""Implementation of ``BatchTrigger``. Imported in the triggerer only, off the event loop: the import is slow."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import requests.utils  # noqa: F401 - as in async_client: otherwise the first call imports it on the event loop
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

#: Batches of one wait that are polled concurrently: a submission of a thousand batches must not delay the other waits
#: of the connection.
MAX_CONCURRENT_POLLS = 8

CLOCK = SystemClock()


async def wait_for_batches(trigger: BatchTrigger) -> dict[str, Any]:
    """Wait for the batches of *trigger*, and return the payload of its one event. Raises only if cancelled."""
    event = await _wait(trigger)
    record_batch_wait(CLOCK.time() - trigger.started, event["status"])
    return event


async def _wait(trigger: BatchTrigger) -> dict[str, Any]:
    try:
        await _BatchWaiter(trigger).wait_until_finished()
    except WaitTimeoutError as error:
        return events.timed_out(str(error))
    except ArmError as error:
        return events.failed(str(error), permanent=error.permanent)
    except Exception as error:  # noqa: BLE001 - without an event the task would be deferred until Airflow's own timeout
        log.error("The wait failed with %s:\n%s", type(error).__name__, format_traceback(error))  # noqa: TRY400
        return events.failed(
            f"the wait failed with {type(error).__name__}, a defect of the provider: the batches continue at ARM, a "
            "retry waits for them again; report the traceback in the trigger's log",
            permanent=False,
        )
    return events.finished()


class _BatchWaiter:
    """Wait of one trigger. Thousands of them exist at once, so they are small."""

    __slots__ = ("_client_no", "_conn_id", "_wait")

    def __init__(self, trigger: BatchTrigger) -> None:
        self._conn_id = trigger.arm_conn_id
        self._client_no = trigger.client_no
        times = WaitTimes(trigger.started, trigger.deadline, trigger.poll_interval, trigger.max_poll_interval)
        self._wait = times.wait(trigger.batch_uuids, trigger.batch_records)
        until = datetime.fromtimestamp(trigger.deadline, UTC)
        log.info("Waiting for %d batches at ARM until %s UTC", len(self._wait.pending), f"{until:%F %R}")

    async def wait_until_finished(self) -> None:
        """Poll until every batch is finished.

        :raises WaitTimeoutError: the deadline has passed.
        :raises ArmError: the wait has failed.
        """
        client: AsyncArmClient | None = None
        rejection: ArmAuthenticationError | None = None
        while self._wait.pending:
            lease = await self._connect()
            try:
                if rejection is not None and lease.client is client:
                    raise rejection
                client = lease.client
                self._wait.not_found_grace = client.readings.batch.not_found_grace
                await repeat(partial(self._poll, client), self._wait.first_delay(CLOCK.time()), CLOCK)
            except ArmAuthenticationError as error:
                if error is rejection:
                    raise
                # A secret may expire during a wait: read the connection again, and continue if it has changed.
                rejection = error
            finally:
                lease.release()

    async def _connect(self) -> ClientLease:
        """Return a lease of the connection's client. Retry while Airflow cannot read the connection."""
        while True:
            try:
                return await lease_client(self._conn_id)
            except ArmError:
                raise
            except AirflowNotFoundException:
                msg = (
                    f"connection {self._conn_id!r} is not defined where the triggerer runs: define it in Airflow's "
                    "database or a secrets backend, or in the environment of the triggerer, too"
                )
                raise ArmConfigurationError(msg) from None
            except Exception as error:  # noqa: BLE001 - whatever a secrets backend or Airflow's own API raises
                unread = ArmUnavailableError(f"connection {self._conn_id!r} could not be read ({type(error).__name__})")
            log.warning("%s", unread)
            for batch_uuid in self._wait.pending:
                self._wait.record_poll(batch_uuid, unread, CLOCK.time())
            await CLOCK.asleep(self._wait.next_delay(CLOCK.time()))

    async def _poll(self, client: AsyncArmClient) -> float | None:
        """Poll every pending batch once; return the seconds until the next poll, ``None`` if none is pending."""
        wait, before = self._wait, len(self._wait.pending)
        if before == 1:  # the usual case, without a task and lists
            wait.record_poll(wait.pending[0], await self._poll_batch(client, wait.pending[0]), CLOCK.time())
        else:
            await self._poll_all(client, list(wait.pending))
        if len(wait.pending) < before:
            log.info("%d of %d batches are finished", len(wait.finished), len(wait.finished) + len(wait.pending))
        return wait.next_delay(CLOCK.time()) if wait.pending else None

    async def _poll_all(self, client: AsyncArmClient, pending: list[str]) -> None:
        for first in range(0, len(pending), MAX_CONCURRENT_POLLS):
            group = pending[first : first + MAX_CONCURRENT_POLLS]
            results = await asyncio.gather(*(self._poll_batch(client, batch_uuid) for batch_uuid in group))
            for batch_uuid, result in zip(group, results, strict=True):
                self._wait.record_poll(batch_uuid, result, CLOCK.time())

    async def _poll_batch(self, client: AsyncArmClient, batch_uuid: str) -> BatchStatus | ArmError:
        try:
            submitted = self._wait.batch_records.get(batch_uuid)
            status = await client.get_batch(batch_uuid, client_no=self._client_no, submitted=submitted)
        except ArmError as error:
            log.warning("Batch %s: %s", batch_uuid, error)
            return error
        # The task reads the records when it resumes; a thousand waits must not hold them in memory until then.
        return replace(status, records=()) if status.records else status
