"""Shared poll of many watchers, for Airflow 3.3 and later."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.triggers.shared_stream import SharedStreamProducer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from airflow.triggers.shared_stream import AdvanceItem

log = logging.getLogger(__name__)


class EventProducer(SharedStreamProducer):
    """Producer of poll results that confirms each result when Airflow has stored the events made from it.

    :param open_poll: starts to poll for one watcher of the group; all of them have the same key.
    """

    def __init__(self, open_poll: Callable[[], Awaitable[AsyncGenerator[Any, None]]]) -> None:
        self._open_poll = open_poll

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        """Poll without end."""
        async with aclosing(await self._open_poll()) as poll_results:
            async for result in poll_results:
                yield result, result

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Confirm the results that every watcher has processed; report a failed one again."""
        for item in batch:
            if item.outcome.failed:
                log.warning("Airflow did not store every event of a poll; the poll is reported again")
                item.broker_payload.abandon()
            else:
                await item.broker_payload.confirm()
