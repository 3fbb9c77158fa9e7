"""Wait for batches in the triggerer: no worker slot, one shared client per connection and event loop."""

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

#: By how much a task's own defer timeout is longer than the trigger's deadline, so that the trigger's clear message
#: arrives first and Airflow's backstop is only met when the triggerer is down.
DEFER_MARGIN = timedelta(minutes=10)


class BatchTrigger(BaseTrigger):
    """Sends one event when every batch is finished, the deadline has come, or the wait cannot go on.

    It only reads (``GET /clients/{clientno}/batches/{batchuuid}``), so it may run again, or twice. Its arguments hold
    no secret: the connection is looked up by its id where it runs.

    :param batch_uuids: the batches.
    :param arm_conn_id: connection of type ``arm``.
    :param client_no: the ARM client; ``None`` for the connection's.
    :param poll_interval: seconds between two looks at a young batch.
    :param started: unix seconds of the submission.
    :param deadline: unix seconds after which the wait is over: wall-clock, so that it survives a triggerer's restart.
    :param max_poll_interval: seconds between two looks at an old batch; default five minutes, or *poll_interval* where
        that is longer. A batch's end is noticed at most a twentieth of its age later than it came.
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
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch_uuids = batch_uuids
        self.arm_conn_id = arm_conn_id
        self.client_no = client_no
        self.poll_interval = poll_interval
        self.started = started
        self.deadline = deadline
        self.max_poll_interval = max_poll_interval

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
                "max_poll_interval": self.max_poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait; then send exactly one event. A wait that is cancelled sends none."""
        # In a thread: HTTP library and models take a quarter of a second to load, and every trigger of the process
        # would stand still for it.
        waiting = await asyncio.to_thread(import_module, "airflow_provider_arm.triggers.polling.batch_poller")
        yield TriggerEvent(await waiting.wait_for_end(self))

    async def on_kill(self) -> None:
        """Say that the batches go on: ARM has no call that stops one. The journal of the submission stays as it is.

        Airflow 3.3 and later call this when somebody clears the waiting task or sets its state.
        """
        log.warning(
            "The wait was ended by hand. ARM cannot cancel a batch: these go on there, and nothing was undone: %s",
            ", ".join(self.batch_uuids),
        )
