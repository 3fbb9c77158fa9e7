"""Exports of synthetic ledgers, written by ``run_export``."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.client.paging import PageSource
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from airflow_provider_arm.export.files.file_format import choose_file_format
from airflow_provider_arm.export.pages.field_selection import select_fields
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, GL_ITEMS, RecordType
from airflow_provider_arm.export.plan import ExportPlan
from airflow_provider_arm.export.run import run_export

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BASE = BaseUrl.parse("https://arm.example/arm/v1")
NOW = dt.datetime(2026, 11, 1, 5, tzinfo=dt.UTC)
FILE_NAMES = ["a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz", "a.csv.zst", "a.zst.parquet"]

#: Up to 15 digits and 4 decimals, and the whole numbers that ARM writes without a point.
amounts = st.decimals(min_value=-(10**11), max_value=10**11, places=4, allow_nan=False) | st.integers(-(10**11), 10**11)
days = st.dates(min_value=dt.date(2025, 11, 1), max_value=dt.date(2027, 2, 28)).map(str)
#: Records of a ledger without their keys. Each field has few values, so that records share periods and currencies.
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
    """Return an AR item."""
    defaults = {
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
    return defaults | fields


def ar_items(*items: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one AR item per argument, which has the fields that differ from the defaults."""
    return [ar_item(number, **item) for number, item in enumerate(items)]


def gl_items(*items: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one GL item per argument, which has the fields that differ from the defaults."""
    return [{"glItemId": f"GL-{item['arItemId']}", "glAccountNo": "1500"} | item for item in ar_items(*items)]


def write_export(path: Path, items: Sequence[dict[str, Any]], **options: Any) -> Path:
    """Export *items* as GL items if they are some, else as AR items, and return the manifest's path."""
    is_gl = bool(items) and "glItemId" in items[0]
    record_type: RecordType = options.pop("record_type", GL_ITEMS if is_gl else AR_ITEMS)
    operation = OPERATIONS[options.pop("operation", "list_gl_items" if is_gl else "list_ar_items")]
    summary = {"pageNo": 1, "totalPages": 1, "totalCount": len(items), "maximumCount": 10_000}
    response = Response(200, {}, money.encode({"summary": summary, operation.key: list(items)}))
    source = PageSource(operation, BASE, 1000, DEFAULT_READINGS, lambda _request, read: read(response))
    selection = select_fields(record_type, options.pop("columns", None), options.pop("mask", ()))
    run_export(
        ExportPlan(
            record_type,
            path,
            choose_file_format(path.name, None, options.pop("csv_dialect", None)),
            selection,
            **options,
        ),
        source,
        lambda: NOW,
    )
    return path.with_name(f"{path.name}.manifest.json")
