"""The one poll that many watchers share, as Airflow 3.3 and later drive it."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.triggers.shared_stream import SharedStreamProducer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from airflow.triggers.shared_stream import AdvanceItem

    from airflow_provider_arm.triggers.event_stream import ArmEventTrigger

log = logging.getLogger(__name__)


class Producer(SharedStreamProducer):
    """Gives raw events, and tells each of them when Airflow has stored what the watchers made of it.

    :param trigger: one of the group; what its key does not name is not looked at.
    """

    def __init__(self, trigger: ArmEventTrigger) -> None:
        self._trigger = trigger

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        """Look for ever."""
        working = await self._trigger.load()
        async with aclosing(working.rounds(self._trigger)) as rounds:
            async for each in rounds:
                yield each, each

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Confirm what every watcher has done with; what one of them failed at is not, and comes again."""
        for item in batch:
            if item.outcome.failed:
                log.warning("Airflow did not store every event of a look, so it is reported again")
                item.broker_payload.abandon()
            else:
                await item.broker_payload.confirm()
