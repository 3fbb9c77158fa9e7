"""Exports of made-up ledgers, written by the export itself."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS
from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.client.paging import PageSource
from airflow_provider_arm.export.files.file_format import choose_shape
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, GL_ITEMS, RecordType, select
from airflow_provider_arm.export.plan import ExportPlan
from airflow_provider_arm.export.run import run_export

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BASE = BaseUrl.parse("https://arm.example/arm/v1")
NOW = dt.datetime(2026, 11, 1, 5, tzinfo=dt.UTC)
FORMATS = ["a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz", "a.csv.zst", "a.zst.parquet"]

#: Up to 15 digits and 4 places, and the whole numbers that ARM writes without a point.
amounts = st.decimals(min_value=-(10**11), max_value=10**11, places=4, allow_nan=False) | st.integers(-(10**11), 10**11)
days = st.dates(min_value=dt.date(2025, 11, 1), max_value=dt.date(2027, 2, 28)).map(str)
#: Records of a ledger without their keys; a few values each, so that they meet.
records = st.lists(
    st.fixed_dictionaries(
        {
            "voucherDate": days | st.none(),
            "currency": st.sampled_from(["NOK", "nok", "EUR", None]),
            "currencyAmount": amounts | st.none(),
            "glAmount": amounts,
            "glYear": st.integers(2025, 2026),
            "glPeriod": st.integers(1, 13),
            "voucherType": st.sampled_from([1, 3, 4]),
        }
    ),
    max_size=30,
)


def ar_item(number: int = 0, **fields: Any) -> dict[str, Any]:
    """Make an AR item."""
    known = {
        "arItemId": f"2218-1-{number}-0",
        "customerNo": "543210",
        "voucherDate": "2026-10-15",
        "currency": "NOK",
        "currencyAmount": 100,
        "glAmount": 100,
        "glYear": 2026,
        "glPeriod": 10,
        "voucherType": 3,
    }
    return known | fields


def ar_items(*items: dict[str, Any]) -> list[dict[str, Any]]:
    """Make AR items of what they differ in."""
    return [ar_item(number, **item) for number, item in enumerate(items)]


def gl_items(*items: dict[str, Any]) -> list[dict[str, Any]]:
    """Make GL items of what they differ in."""
    made = ar_items(*items)
    return [{"glItemId": f"GL-{item['arItemId']}", "glAccountNo": "1500"} | item for item in made]


def write(path: Path, items: Sequence[dict[str, Any]], **more: Any) -> Path:
    """Export items, GL items where they are some; gives the manifest."""
    gl = bool(items) and "glItemId" in items[0]
    kind: RecordType = more.pop("kind", GL_ITEMS if gl else AR_ITEMS)
    operation = OPERATIONS[more.pop("operation", "list_gl_items" if gl else "list_ar_items")]
    summary = {"pageNo": 1, "totalPages": 1, "totalCount": len(items), "maximumCount": 10_000}
    answer = Response(200, {}, money.encode({"summary": summary, operation.key: list(items)}))
    source = PageSource(operation, BASE, 1000, DEFAULT_ASSUMPTIONS, lambda _due, read: read(answer))
    selection = select(kind, more.pop("columns", None), more.pop("mask", ()))
    run_export(ExportPlan(kind, path, choose_shape(path.name), selection, **more), source, lambda: NOW)
    return path.with_name(f"{path.name}.manifest.json")
