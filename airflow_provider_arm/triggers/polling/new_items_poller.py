"""Implementation of ``NewArItemsEventTrigger``. Imported in the triggerer only: the import is slow."""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import aclosing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from airflow_provider_arm.client.keys import fold
from airflow_provider_arm.client.money import EXACT
from airflow_provider_arm.export.incremental.watermark import digest
from airflow_provider_arm.export.pages.page_stats import amount_text
from airflow_provider_arm.export.pages.record_types import AR_ITEMS
from airflow_provider_arm.triggers.polling.item_pages import read_items
from airflow_provider_arm.triggers.polling.poll_loop import CLOCK, poll_forever
from airflow_provider_arm.triggers.polling.reported_store import ReportedStore
from airflow_provider_arm.triggers.polling.watermark import PollSpan, WatcherWatermark

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from airflow_provider_arm.client import AsyncArmClient
    from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger
    from airflow_provider_arm.triggers.polling.item_pages import Item

log = logging.getLogger(__name__)

#: Milliseconds after which an advanced watermark is saved even without an event: otherwise a watcher without new items
#: for weeks would read those weeks again after a restart.
SAVE_INTERVAL = 3_600_000
_MS_PER_SECOND = 1000
#: Milliseconds by which ARM's clock may be ahead of ours, read as one bounded part.
_MAX_CLOCK_LEAD = 3_600_000

#: Watermarks of the watchers of each poll, by event loop and key of the poll: the lowest one is its start.
_active_watermarks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, ...], WeakSet[WatcherWatermark]]] = (
    WeakKeyDictionary()
)
_poll_numbers = itertools.count(1)


@dataclass(slots=True, eq=False)
class ItemsPoll:
    """Result of one part of a poll."""

    span: PollSpan
    items: Sequence[Item]
    _callbacks: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def on_stored(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Register a callback for when Airflow has stored the events of this result."""
        self._callbacks.append(callback)

    async def confirm(self) -> None:
        """Call the callbacks, because Airflow has stored the events."""
        for callback in self._callbacks:
            await callback()

    def abandon(self) -> None:
        """Ignore that an event is not stored: without a save, a restarted watcher finds the items again."""


async def poll_results(trigger: NewArItemsEventTrigger) -> AsyncIterator[ItemsPoll]:
    """Poll the list without end."""
    async with aclosing(
        poll_forever(trigger, partial(_poll, trigger), f"New AR items ({trigger.arm_conn_id})")
    ) as results:  # type: ignore[type-var]
        async for result in results:
            yield result


async def _poll(trigger: NewArItemsEventTrigger, client: AsyncArmClient) -> AsyncGenerator[ItemsPoll, None]:
    """Read once all items since the lowest watermark, in parts that ARM returns completely."""
    started, number = now_milliseconds(), next(_poll_numbers)
    since = min((watermark.low for watermark in _watermarks_of(trigger)), default=None)
    parts: list[tuple[int, int | None]] = [] if since is None else [(since, None)]
    while parts:
        first, last = parts.pop()
        items = await read_items(client, trigger, first, last)
        if items is not None:
            yield ItemsPoll(PollSpan(number, started, first, last), items)
            continue
        parts += reversed(_split(first, last, started))


def _split(first: int, last: int | None, started: int) -> tuple[tuple[int, int | None], ...]:
    """Split a part in two; return the earlier one first."""
    if last is None:
        # If ARM's clock is ahead of ours, the items created since then are a separate part of bounded length.
        middle = started if first < started else first + _MAX_CLOCK_LEAD
        return (first, middle), (middle + 1, None)
    middle = first + (last - first) // 2
    return (first, middle), (middle + 1, last)


async def payloads(trigger: NewArItemsEventTrigger, results: AsyncIterator[ItemsPoll]) -> AsyncIterator[dict[str, Any]]:
    """Yield the event payloads of one watcher from the poll results."""
    store = ReportedStore(trigger, trigger.store_key())
    watermark = await _load_watermark(trigger, store)
    saved = watermark.low
    active = _watermarks_of(trigger)
    active.add(watermark)
    try:
        async for result in results:
            by_digest = {digest(fold(item.key).encode()): item for item in result.items}
            new = watermark.add(result.span, ((value, item.created) for value, item in by_digest.items()))
            if new is None:
                continue
            matching = [by_digest[value] for value in new if _matches(by_digest[value], trigger.where)]
            if matching or watermark.low - saved >= SAVE_INTERVAL:
                saved = watermark.low
                result.on_stored(partial(store.save, watermark.as_json()))
            if matching:
                log.info("%d new AR items at ARM", len(matching))
                yield build_payload(matching)
    finally:
        active.discard(watermark)


async def _load_watermark(trigger: NewArItemsEventTrigger, store: ReportedStore) -> WatcherWatermark:
    """Return the stored watermark of this watcher; the first time, store and return a new one."""
    overlap = round(trigger.overlap * _MS_PER_SECOND)
    stored = [WatcherWatermark.from_json(value, overlap) for value in await store.load()]
    known = [watermark for watermark in stored if watermark is not None]
    if known:
        # The lowest one of several assets: an item may be reported twice, but none is lost.
        return min(known, key=lambda watermark: watermark.low)
    watermark = WatcherWatermark(now_milliseconds() - round(trigger.look_back * _MS_PER_SECOND), overlap)
    await store.save(watermark.as_json())
    return watermark


def build_payload(items: Sequence[Item]) -> dict[str, Any]:
    """Return the event payload: count, first and last created time, and totals of new items. No record, no key."""
    totals: dict[str, dict[str, Decimal]] = {}
    for item in items:
        sums = totals.setdefault(item.currency, dict.fromkeys(AR_ITEMS.amounts, Decimal(0)))
        for name, amount in item.amounts.items():
            sums[name] = EXACT.add(sums[name], amount)
    return {
        "count": len(items),
        "from": min(items, key=lambda item: item.created).created_text,
        "to": max(items, key=lambda item: item.created).created_text,
        "totals": {
            currency: {name: amount_text(total) for name, total in sums.items()}
            for currency, sums in sorted(totals.items())
        },
    }


def now_milliseconds() -> int:
    """Return the current time in unix milliseconds."""
    return int(CLOCK.time() * _MS_PER_SECOND)


def _watermarks_of(trigger: NewArItemsEventTrigger) -> WeakSet[WatcherWatermark]:
    by_stream_key = _active_watermarks.setdefault(asyncio.get_running_loop(), {})
    return by_stream_key.setdefault(trigger.stream_key(), WeakSet())


def _matches(item: Item, where: Mapping[str, Sequence[Any]]) -> bool:
    return all(item.record.get(name) in values for name, values in where.items())
