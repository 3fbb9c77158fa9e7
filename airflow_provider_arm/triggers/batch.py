"""Trigger that waits for batches: no worker slot, one shared client per connection and event loop."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

#: Difference between a task's defer timeout and the trigger's deadline: the trigger's clear message arrives first, and
#: Airflow's own timeout only takes effect if the triggerer is down.
DEFER_MARGIN = timedelta(minutes=10)


class BatchTrigger(BaseTrigger):
    """Trigger that sends one event when every batch is finished, at the deadline, or if the wait fails.

    It only reads (``GET /clients/{clientno}/batches/{batchuuid}``), so it may run again, or twice. Its arguments
    contain no secret: the triggerer looks the connection up by its id.

    :param batch_uuids: the batches.
    :param arm_conn_id: connection of type ``arm``.
    :param client_no: the ARM client; ``None`` for the connection's.
    :param poll_interval: seconds between status checks of a young batch.
    :param started: unix seconds of the submission.
    :param deadline: unix seconds at which the wait ends: wall-clock time, which survives a restart of the triggerer.
    :param max_poll_interval: seconds between status checks of an old batch, at most; default five minutes. 0 turns the
        back-off off. The end of a batch is detected at most a twentieth of its age late.
    :param batch_records: number of records that were sent in each batch, by its batchUuid, as far as it is known. A
        batch for which ARM counts another number is not finished.
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
        max_poll_interval: float | None = None,
        batch_records: dict[str, int] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch_uuids = batch_uuids
        self.arm_conn_id = arm_conn_id
        self.client_no = client_no
        self.poll_interval = poll_interval
        self.started = started
        self.deadline = deadline
        self.max_poll_interval = max_poll_interval
        self.batch_records = batch_records or {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments as plain JSON."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "batch_uuids": self.batch_uuids,
                "arm_conn_id": self.arm_conn_id,
                "client_no": self.client_no,
                "poll_interval": self.poll_interval,
                "started": self.started,
                "deadline": self.deadline,
                "max_poll_interval": self.max_poll_interval,
                "batch_records": self.batch_records,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then send exactly one event; none if the wait is cancelled."""
        # In a thread: importing the HTTP library and the models takes a quarter of a second and would block every
        # trigger of the process.
        batch_poller = await asyncio.to_thread(import_module, "airflow_provider_arm.triggers.polling.batch_poller")
        yield TriggerEvent(await batch_poller.wait_for_batches(self))

    async def on_kill(self) -> None:
        """Log that the batches continue: ARM cannot cancel a batch. The journal of the submission is left untouched.

        Airflow 3.3 and later call this when the deferred task is cleared or its state is set.
        """
        log.warning(
            "The wait was ended manually. ARM cannot cancel a batch, so these batches continue at ARM: %s",
            ", ".join(self.batch_uuids),
        )
