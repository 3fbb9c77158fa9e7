"""Wait for batches in the triggerer: no worker slot, one shared client per connection and event loop."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_arm.triggers import events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_arm.client import AsyncArmClient
    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.client.errors import ArmError
    from airflow_provider_arm.client.retry import Clock
    from airflow_provider_arm.submission.waiting import BatchWait

#: By how much a task's own defer timeout is longer than the trigger's deadline, so that the trigger's clear message
#: arrives first and Airflow's backstop is only met when the triggerer is down.
DEFER_MARGIN = timedelta(minutes=10)


class BatchTrigger(BaseTrigger):
    """Sends one event when every batch is finished, the deadline has come, or the wait cannot go on.

    It only reads (``GET /clients/{clientno}/batches/{batchuuid}``), so it may run again, or twice. Its arguments hold
    no secret: the connection is looked up by its id where it runs.

    :param batch_uuids: the batches.
    :param client_no: the ARM client; ``None`` for the connection's.
    :param poll_interval: seconds between two looks at a batch.
    :param started: unix seconds of the submission.
    :param deadline: unix seconds after which the wait is over: wall-clock, so that it survives a triggerer's restart.
    """

    def __init__(
        self,
        *,
        batch_uuids: list[str],
        arm_conn_id: str,
        client_no: int | None,
        poll_interval: float,
        started: float,
        deadline: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch_uuids = batch_uuids
        self.arm_conn_id = arm_conn_id
        self.client_no = client_no
        self.poll_interval = poll_interval
        self.started = started
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give class path and arguments, plain JSON."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "batch_uuids": self.batch_uuids,
                "arm_conn_id": self.arm_conn_id,
                "client_no": self.client_no,
                "poll_interval": self.poll_interval,
                "started": self.started,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait; then send exactly one event."""
        yield TriggerEvent(await self._wait())

    async def _wait(self) -> dict[str, Any]:
        from airflow_provider_arm.client.errors import ArmError
        from airflow_provider_arm.client.retry import SystemClock
        from airflow_provider_arm.hooks.shared import shared_client
        from airflow_provider_arm.submission.waiting import BatchWait, WaitTimeoutError

        try:
            async with shared_client(self.arm_conn_id) as client:
                wait = BatchWait(
                    self.batch_uuids,
                    self.started,
                    self.deadline,
                    self.poll_interval,
                    client.assumptions.batch_unknown_grace,
                )
                await self._until_finished(client, wait, SystemClock())
        except WaitTimeoutError as error:
            return events.timed_out(str(error))
        except ArmError as error:
            return events.failed(str(error), permanent=error.permanent)
        return events.finished()

    async def _until_finished(self, client: AsyncArmClient, wait: BatchWait, clock: Clock) -> None:
        while True:
            pending = list(wait.pending)
            seen = await asyncio.gather(*(self._look(client, uuid) for uuid in pending))
            for batch_uuid, status in zip(pending, seen, strict=True):
                wait.saw(batch_uuid, status, clock.time())
            if not wait.pending:
                return
            await clock.asleep(wait.pause(clock.time()))

    async def _look(self, client: AsyncArmClient, batch_uuid: str) -> BatchStatus | ArmError:
        from airflow_provider_arm.client.errors import ArmError

        try:
            return await client.get_batch(batch_uuid, client_no=self.client_no)
        except ArmError as error:
            self.log.warning("Batch %s: %s", batch_uuid, error)
            return error
