"""What a ``NewArItemsEventTrigger`` does when it runs. Loaded in the triggerer only, off the loop: it is heavy."""

from __future__ import annotations

import asyncio
import base64
import hashlib
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
from airflow_provider_arm.export.pages.page_stats import amount_text
from airflow_provider_arm.triggers.polling.item_pages import AR_ITEMS, read_items
from airflow_provider_arm.triggers.polling.poll_loop import CLOCK, poll_forever
from airflow_provider_arm.triggers.polling.reported_store import ReportedStore
from airflow_provider_arm.triggers.polling.watermark import Span, WatchedRange

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from airflow_provider_arm.client import AsyncArmClient
    from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger
    from airflow_provider_arm.triggers.polling.item_pages import Item

log = logging.getLogger(__name__)

#: Milliseconds by which a watermark moves without an event before it is written down nevertheless: else a watcher that
#: found nothing for weeks would read those weeks again after a restart.
KEEP_EVERY = 3_600_000
_SECOND = 1000
#: Milliseconds by which ARM's clock may be ahead of ours and what it makes is still read in one bounded part.
_AHEAD = 3_600_000
#: Bytes of an item's digest: among 5,000 no two are alike in ten thousand million years of looks.
_DIGEST_BYTES = 8

#: Where the watchers of each poll stand, by event loop and by the poll's key: it begins where the last of them does.
_standing: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, ...], WeakSet[WatchedRange]]] = (
    WeakKeyDictionary()
)
_turns = itertools.count(1)


@dataclass(slots=True, eq=False)
class Look:
    """One part of a look at the list."""

    span: Span
    items: Sequence[Item]
    _keeping: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def when_stored(self, keep: Callable[[], Awaitable[None]]) -> None:
        """Let *keep* be called when Airflow has stored what was made of this."""
        self._keeping.append(keep)

    async def confirm(self) -> None:
        """Airflow has stored it."""
        for keep in self._keeping:
            await keep()

    def abandon(self) -> None:
        """Some of it is not stored: nothing is kept, and a watcher that begins anew finds it again."""


async def rounds(trigger: NewArItemsEventTrigger) -> AsyncIterator[Look]:
    """Look at the list for ever."""
    async with aclosing(
        poll_forever(trigger, partial(_take, trigger), f"New AR items ({trigger.arm_conn_id})")
    ) as looks:  # type: ignore[type-var]
        async for look in looks:
            yield look


async def _take(trigger: NewArItemsEventTrigger, client: AsyncArmClient) -> AsyncGenerator[Look, None]:
    """Look once at all that was created since the watcher that is furthest behind, in parts that ARM gives whole."""
    began, turn = now(), next(_turns)
    since = min((mark.low for mark in _marks(trigger)), default=None)
    parts: list[tuple[int, int | None]] = [] if since is None else [(since, None)]
    while parts:
        first, last = parts.pop()
        items = await read_items(client, trigger, first, last)
        if items is not None:
            yield Look(Span(turn, began, first, last), items)
            continue
        parts += reversed(_halves(first, last, began))


def _halves(first: int, last: int | None, began: int) -> tuple[tuple[int, int | None], ...]:
    """Split a part in two, the earlier first."""
    if last is None:
        # What ARM's clock, ahead of ours, has made since is a part of its own, and that of a bounded length.
        middle = began if first < began else first + _AHEAD
        return (first, middle), (middle + 1, None)
    middle = first + (last - first) // 2
    return (first, middle), (middle + 1, last)


async def events(trigger: NewArItemsEventTrigger, looks: AsyncIterator[Look]) -> AsyncIterator[dict[str, Any]]:
    """Make one watcher's payloads of the looks."""
    memory = ReportedStore(trigger, trigger.memory_key())
    mark = await _begin(trigger, memory)
    kept = mark.low
    standing = _marks(trigger)
    standing.add(mark)
    try:
        async for look in looks:
            by_digest = {_digest(item.key): item for item in look.items}
            fresh = mark.take(look.span, ((digest, item.created) for digest, item in by_digest.items()))
            if fresh is None:
                continue
            news = [by_digest[digest] for digest in fresh if _counts(by_digest[digest], trigger.where)]
            if news or mark.low - kept >= KEEP_EVERY:
                kept = mark.low
                look.when_stored(partial(memory.keep, mark.as_json()))
            if news:
                log.info("%d new AR items at ARM", len(news))
                yield payload(news)
    finally:
        standing.discard(mark)


async def _begin(trigger: NewArItemsEventTrigger, memory: ReportedStore) -> WatchedRange:
    """Go on where this watcher, before a restart, left off; the first time, begin now."""
    overlap = round(trigger.overlap * _SECOND)
    known = [mark for kept in await memory.recall() if (mark := WatchedRange.from_json(kept, overlap)) is not None]
    if known:
        # Of several assets' memories the one that is behind: rather twice than never.
        return min(known, key=lambda mark: mark.low)
    mark = WatchedRange(now() - round(trigger.look_back * _SECOND), overlap)
    await memory.keep(mark.as_json())
    return mark


def payload(news: Sequence[Item]) -> dict[str, Any]:
    """Say how many items are new, from when to when they were created, and what they add up to. No record, no key."""
    totals: dict[str, dict[str, Decimal]] = {}
    for item in news:
        of_currency = totals.setdefault(item.currency, dict.fromkeys(AR_ITEMS.amounts, Decimal(0)))
        for name, amount in item.amounts.items():
            of_currency[name] = EXACT.add(of_currency[name], amount)
    return {
        "count": len(news),
        "from": min(news, key=lambda item: item.created).created_text,
        "to": max(news, key=lambda item: item.created).created_text,
        "totals": {
            currency: {name: amount_text(total) for name, total in sums.items()}
            for currency, sums in sorted(totals.items())
        },
    }


def now() -> int:
    """Give the time in unix milliseconds."""
    return int(CLOCK.time() * _SECOND)


def _marks(trigger: NewArItemsEventTrigger) -> WeakSet[WatchedRange]:
    of_loop = _standing.setdefault(asyncio.get_running_loop(), {})
    return of_loop.setdefault(trigger.stream_key(), WeakSet())


def _digest(key: str) -> str:
    digest = hashlib.blake2b(fold(key).encode(), digest_size=_DIGEST_BYTES).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _counts(item: Item, where: Mapping[str, Sequence[Any]]) -> bool:
    return all(item.record.get(name) in values for name, values in where.items())
