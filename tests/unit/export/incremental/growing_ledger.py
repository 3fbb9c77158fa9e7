"""Stand-in for a list of AR items that are created, become visible late and change. It filters by created time."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.client.paging import PageSource
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from airflow_provider_arm.export.files.file_format import choose_file_format
from airflow_provider_arm.export.incremental.run import IncrementOptions, export_increment
from airflow_provider_arm.export.incremental.state import TaskRunKey
from airflow_provider_arm.export.pages.record_types import AR_ITEMS
from airflow_provider_arm.export.pages.timestamps import format_milliseconds, to_milliseconds
from airflow_provider_arm.export.plan import ExportPlan

BASE = BaseUrl.parse("https://arm.example/arm/v1")
NOON = to_milliseconds("2026-03-01T12:00:00.000+00:00")
HOUR = 3600 * 1000
PAGE = 3


class ProcessKilled(BaseException):
    """The process was killed."""


@dataclass
class Item:
    """An AR item. Each change increases its version."""

    created: int | None
    visible_from: int
    version: int = 0


class GrowingLedger:
    """Ledger that returns pages of the items that are visible at the time ``now``.

    :param cap: records that one query returns at most.
    """

    def __init__(self, cap: int = 10_000) -> None:
        self.now = NOON
        self.items: dict[str, Item] = {}
        self.cap = cap
        self.zone = dt.timezone(dt.timedelta(hours=1))
        #: Called with the number of each page before it is returned.
        self.before_page: Any = lambda number: None
        #: The created-time filters of each query.
        self.requested: list[dict[str, str]] = []
        self._queries: dict[str, list[bytes]] = {}
        self._lock = threading.Lock()

    def add(self, created: int | None = None, visible_from: int | None = None) -> str:
        """Create an item and return its key. Default: created now, and visible at once."""
        created = self.now if created is None else created
        key = f"2218-1-{len(self.items)}-0"
        self.items[key] = Item(created, self.now if visible_from is None else visible_from)
        return key

    def text(self, key: str) -> bytes:
        """Return the JSON text of an item."""
        item = self.items[key]
        created = None
        if item.created is not None:
            local = dt.datetime.fromisoformat(format_milliseconds(item.created)).astimezone(self.zone)
            created = local.isoformat(timespec="milliseconds")
        amounts = {"currency": "NOK", "currencyAmount": item.version}
        return money.encode({"arItemId": key, "createdTime": created, **amounts})

    def source(self) -> PageSource:
        """Return the list as a page source."""
        return PageSource(OPERATIONS["list_ar_items"], BASE, PAGE, DEFAULT_READINGS, self._fetch)

    def _fetch(self, request: Any, parse: Any) -> Any:
        with self._lock:
            self.before_page(request.number)
            query = (request.params or {}).get("query")
            if query is None:
                query = f"q{len(self._queries)}"
                self._queries[query] = self._select(dict(request.params))
            rows = self._queries[query]
        pages = max(-(-len(rows) // PAGE), 1)
        summary = {
            "pageNo": request.number,
            "totalPages": pages,
            "totalCount": len(rows),
            "maximumCount": self.cap,
            "queryId": query,
        }
        items = b",".join(rows[(request.number - 1) * PAGE : request.number * PAGE])
        return parse(Response(200, {}, b'{"summary":%b,"arItems":[%b]}' % (money.encode(summary), items)))

    def _parse_bound(self, text: str, at: dt.time) -> int:
        """Parse a bound: a timestamp, or a day in the ledger's time zone."""
        if "T" in text:
            return to_milliseconds(text)
        return to_milliseconds(dt.datetime.combine(dt.date.fromisoformat(text), at, self.zone))

    def _select(self, params: dict[str, str]) -> list[bytes]:
        self.requested.append({name: value for name, value in params.items() if name.endswith("createdtime")})
        first, last = (
            self._parse_bound(params[name], at) if name in params else None
            for name, at in (("fromcreatedtime", dt.time.min), ("tocreatedtime", dt.time.max))
        )
        selected = [
            self.text(key)
            for key, item in self.items.items()
            if item.visible_from <= self.now
            and (first is None or (item.created is not None and item.created >= first))
            and (last is None or (item.created is not None and item.created <= last))
        ]
        return selected[: self.cap]


@dataclass
class InMemoryStore:
    """Watermark store in memory, which can be made to fail."""

    state: dict[str, Any] | None = None
    max_records: int = 10**6
    #: Called before each save; raises an error to make it fail.
    before_save: Any = field(default=lambda: None)

    def load(self) -> dict[str, Any] | None:
        return self.state

    def save(self, state: dict[str, Any]) -> None:
        self.before_save()
        self.state = state


def make_plan(path: Any, **options: Any) -> ExportPlan:
    """Return the plan of an export of AR items."""
    return ExportPlan(AR_ITEMS, path, choose_file_format(path.name), workers=2, **options)


def export_new(
    ledger: GrowingLedger, store: Any, path: Any, run: str = "r1", *, overlap: int = HOUR, task: str = "t", **plan: Any
) -> dict[str, Any]:
    """Export what is new and return the manifest."""
    options = IncrementOptions(store, TaskRunKey.of("d", run, task), overlap, 2218)

    def now() -> dt.datetime:
        return dt.datetime.fromisoformat(format_milliseconds(ledger.now))

    return export_increment(make_plan(path, **plan), ledger.source(), now, options)
