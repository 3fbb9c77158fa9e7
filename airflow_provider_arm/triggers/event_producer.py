"""The one poll that many watchers share, as Airflow 3.3 and later drive it."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.triggers.shared_stream import SharedStreamProducer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from airflow.triggers.shared_stream import AdvanceItem

log = logging.getLogger(__name__)


class Producer(SharedStreamProducer):
    """Gives raw events, and tells each of them when Airflow has stored what the watchers made of it.

    :param open_rounds: begins to poll for one watcher of the group, which all have the same key.
    """

    def __init__(self, open_rounds: Callable[[], Awaitable[AsyncGenerator[Any, None]]]) -> None:
        self._open_rounds = open_rounds

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        """Look for ever."""
        async with aclosing(await self._open_rounds()) as rounds:
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
