"""An ARM whose items are created, show late and change; as a list of AR items that takes moments as bounds."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS
from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.client.paging import PageSource
from airflow_provider_arm.export.files.file_format import choose_shape
from airflow_provider_arm.export.incremental.run import IncrementOptions, export_increment
from airflow_provider_arm.export.incremental.state import TaskRunKey
from airflow_provider_arm.export.pages.record_types import AR_ITEMS
from airflow_provider_arm.export.pages.timestamps import instant_text, milliseconds_of
from airflow_provider_arm.export.plan import ExportPlan

BASE = BaseUrl.parse("https://arm.example/arm/v1")
NOON = milliseconds_of("2026-03-01T12:00:00.000+00:00")
HOUR = 3600 * 1000
PAGE = 3


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Item:
    """An item: when it was created, from when on the list shows it, and how often it changed."""

    created: int | None
    visible: int
    version: int = 0


class Ledger:
    """Answers pages at the time ``now``, by our clock. With *cap*, as much as it gives for one query."""

    def __init__(self, cap: int = 10_000) -> None:
        self.now = NOON
        self.items: dict[str, Item] = {}
        self.cap = cap
        self.zone = dt.timezone(dt.timedelta(hours=1))
        #: Called with the number of each page before it is given.
        self.before_page: Any = lambda number: None
        #: The filters of each query.
        self.asked: list[dict[str, str]] = []
        self._queries: dict[str, list[bytes]] = {}
        self._lock = threading.Lock()

    def add(self, created: int | None = None, visible: int | None = None) -> str:
        """Create an item; by default now, and visible at once."""
        created = self.now if created is None else created
        key = f"2218-1-{len(self.items)}-0"
        self.items[key] = Item(created, self.now if visible is None else visible)
        return key

    def text(self, key: str) -> bytes:
        """Write an item as it stands."""
        item = self.items[key]
        created = None
        if item.created is not None:
            moment = dt.datetime.fromisoformat(instant_text(item.created)).astimezone(self.zone)
            created = moment.isoformat(timespec="milliseconds")
        amounts = {"currency": "NOK", "currencyAmount": item.version}
        return money.encode({"arItemId": key, "createdTime": created, **amounts})

    def source(self) -> PageSource:
        """Give the list."""
        return PageSource(OPERATIONS["list_ar_items"], BASE, PAGE, DEFAULT_ASSUMPTIONS, self._call)

    def _call(self, due: Any, read: Any) -> Any:
        with self._lock:
            self.before_page(due.number)
            query = (due.params or {}).get("query")
            if query is None:
                query = f"q{len(self._queries)}"
                self._queries[query] = self._found(dict(due.params))
            rows = self._queries[query]
        pages = max(-(-len(rows) // PAGE), 1)
        summary = {
            "pageNo": due.number,
            "totalPages": pages,
            "totalCount": len(rows),
            "maximumCount": self.cap,
            "queryId": query,
        }
        items = b",".join(rows[(due.number - 1) * PAGE : due.number * PAGE])
        return read(Response(200, {}, b'{"summary":%b,"arItems":[%b]}' % (money.encode(summary), items)))

    def _bound(self, text: str, at: dt.time) -> int:
        """Read a bound: a moment, or a day of the ledger's own zone."""
        if "T" in text:
            return milliseconds_of(text)
        return milliseconds_of(dt.datetime.combine(dt.date.fromisoformat(text), at, self.zone))

    def _found(self, params: dict[str, str]) -> list[bytes]:
        self.asked.append({name: value for name, value in params.items() if name.endswith("createdtime")})
        first, last = (
            self._bound(params[name], at) if name in params else None
            for name, at in (("fromcreatedtime", dt.time.min), ("tocreatedtime", dt.time.max))
        )
        found = [
            self.text(key)
            for key, item in self.items.items()
            if item.visible <= self.now
            and (first is None or (item.created is not None and item.created >= first))
            and (last is None or (item.created is not None and item.created <= last))
        ]
        return found[: self.cap]


@dataclass
class Memory:
    """A store in memory, which can fail."""

    state: dict[str, Any] | None = None
    max_records: int = 10**6
    #: Called before each save; raises where it fails.
    before_save: Any = field(default=lambda: None)

    def load(self) -> dict[str, Any] | None:
        return self.state

    def save(self, state: dict[str, Any]) -> None:
        self.before_save()
        self.state = state


def plan_for(path: Any, **more: Any) -> ExportPlan:
    """Plan an export of AR items."""
    return ExportPlan(AR_ITEMS, path, choose_shape(path.name), workers=2, **more)


def increment(
    ledger: Ledger, store: Any, path: Any, run: str = "r1", *, overlap: int = HOUR, task: str = "t", **more: Any
) -> dict[str, Any]:
    """Export what is new; gives the manifest."""
    since = IncrementOptions(store, TaskRunKey.of("d", run, task), overlap, 2218)

    def now() -> dt.datetime:
        return dt.datetime.fromisoformat(instant_text(ledger.now))

    return export_increment(plan_for(path, **more), ledger.source(), now, since)
