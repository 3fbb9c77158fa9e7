"""Lists with wrong summaries or pages, and lists that fail or change: an export is complete, or it fails."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import ArmClient, ClientCredentials, money
from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmIncompleteListError,
    ArmNotFoundError,
    ArmResultLimitError,
)
from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.http.retry import RetryPolicy
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.client.paging import PageSource
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from airflow_provider_arm.export import DateWindow, check_export
from airflow_provider_arm.export.fetch.partition import parse_split_by
from airflow_provider_arm.export.files.file_format import choose_file_format
from airflow_provider_arm.export.pages.record_types import AR_ITEMS
from airflow_provider_arm.export.plan import ExportPlan
from airflow_provider_arm.export.run import run_export
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sandbox.api import lists

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
ROWS, SIZE = 23, 5
PAGES = -(-ROWS // SIZE)
BASE = BaseUrl.parse("https://arm.example/arm/v1")
ALL = [f"2218-1-{number}-0" for number in range(ROWS)]


class ListServer:
    """Server with one list of AR items, which a test can falsify."""

    def __init__(self, **summary: Any) -> None:
        #: Values that replace those of the summary; ``...`` removes one.
        self.summary = summary
        #: Rows that replace those of a page, for one request each.
        self.wrong_rows: dict[int, list[list[int]]] = {}
        #: Pages after which a query expires.
        self.expires_after = 10**9
        self.requests = self.queries = 0
        self.lock = threading.Lock()

    def call(self, due: Any, parse: Any) -> Any:
        """Respond with one page."""
        page = due.number
        with self.lock:
            if page == 1:
                self.queries, self.requests = self.queries + 1, 0
            self.requests += 1
            if self.requests > self.expires_after:
                raise ArmNotFoundError("expired", status_code=410)
            rows = list(range((page - 1) * SIZE, min(page * SIZE, ROWS)))
            if self.wrong_rows.get(page):
                rows = self.wrong_rows[page].pop(0)
        summary = {
            "pageNo": page,
            "totalPages": PAGES,
            "totalCount": ROWS,
            "maximumCount": 10_000,
            "queryId": "q",
            "nextPage": f"{BASE.url}/x?pageno={page + 1}" if page < PAGES else None,
        }
        summary |= self.summary
        items = [{"arItemId": f"2218-1-{row}-0", "currency": "NOK", "currencyAmount": row} for row in rows]
        body = {"summary": {name: value for name, value in summary.items() if value is not ...}, "arItems": items}
        return parse(Response(200, {}, money.encode(body)))


def export_list(arm: ListServer, path: Any, **more: Any) -> dict[str, Any]:
    """Export the list of a server."""
    source = PageSource(OPERATIONS["list_ar_items"], BASE, SIZE, DEFAULT_READINGS, arm.call)
    plan = ExportPlan(AR_ITEMS, path, choose_file_format(path.name), workers=4, **more)
    return run_export(plan, source, lambda: NOW)


def exported_ids(path: Path) -> list[str]:
    """Return the keys of the items in a file."""
    if path.suffix == ".parquet":
        return pq.read_table(path)["arItemId"].to_pylist()
    if path.suffix == ".csv":
        return [row["arItemId"] for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))]
    return [json.loads(line)["arItemId"] for line in path.read_bytes().splitlines()]


FILES = ["a.jsonl", "a.csv", "a.parquet"]
BY_NEXT_PAGE = {"queryId": ..., "totalPages": ..., "pageNo": ...}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "summary", [{}, BY_NEXT_PAGE, {"queryId": ...}], ids=["by query", "by next page", "without query id"]
)
def test_consistent_list_is_exported_completely(tmp_path, name, summary):
    """This holds for requests in parallel and for a list that is read by its next page."""
    manifest = export_list(ListServer(**summary), tmp_path / name)
    assert exported_ids(tmp_path / name) == ALL
    assert (manifest["rows"], manifest["pages"], manifest["restarts"]) == (ROWS, PAGES, 0)


#: Wrong rows of page 3 of five.
WRONG_PAGES = {
    "one row too few": [10, 11, 12, 13],
    "one row too many": [10, 11, 12, 13, 14, 99],
    "rows of the page before": [5, 6, 7, 8, 9],
    "one row of the page before": [9, 10, 11, 12, 13],
    "one row of a later page": [10, 11, 12, 13, 15],
    "a duplicate row": [10, 11, 11, 12, 13],
    "no rows": [],
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("rows", WRONG_PAGES.values(), ids=WRONG_PAGES)
@pytest.mark.parametrize("summary", [{}, BY_NEXT_PAGE], ids=["by query", "by next page"])
def test_query_is_restarted_when_a_page_is_wrong_once(tmp_path, name, rows, summary):
    """The file equals that of a consistent list."""
    arm = ListServer(**summary)
    arm.wrong_rows = {3: [rows]}
    manifest = export_list(arm, tmp_path / name)
    assert exported_ids(tmp_path / name) == ALL
    assert (manifest["rows"], manifest["restarts"], manifest["totals"]) == (
        ROWS,
        1,
        {"NOK": {"currencyAmount": str(sum(range(ROWS))), "currencyBalance": "0"}},
    )
    assert check_export(str(tmp_path / f"{name}.manifest.json")) == manifest


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("rows", WRONG_PAGES.values(), ids=WRONG_PAGES)
@pytest.mark.parametrize("summary", [{}, BY_NEXT_PAGE], ids=["by query", "by next page"])
def test_export_fails_when_a_page_stays_wrong(tmp_path, name, rows, summary):
    """No file is left."""
    arm = ListServer(**summary)
    arm.wrong_rows = {3: [rows] * 9}
    with pytest.raises(ArmIncompleteListError):
        export_list(arm, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("pages", [1, 3, PAGES - 1])
def test_export_fails_when_a_query_expires_twice(tmp_path, name, pages):
    """It is restarted once only."""
    arm = ListServer()
    arm.expires_after = pages
    with pytest.raises(ArmIncompleteListError, match="no longer keeps its query"):
        export_list(arm, tmp_path / name)
    assert (arm.queries, list(tmp_path.iterdir())) == (2, [])


@pytest.mark.parametrize(
    "summary",
    [{"totalCount": ROWS + 1}, {"totalCount": ROWS - 1}, {"pageNo": 2}, {"totalPages": PAGES - 1}, {"totalPages": 0}],
    ids=str,
)
def test_export_fails_when_the_summary_is_wrong(tmp_path, summary):
    """Counts and page numbers are compared with the records."""
    with pytest.raises(ArmIncompleteListError):
        export_list(ListServer(**summary), tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("maximum", [10_000, 20_000, 10**9, None, ...])
def test_list_of_10000_records_counts_as_truncated(tmp_path, maximum):
    """The maximumCount in the summary does not matter."""
    with pytest.raises(ArmResultLimitError, match="set window"):
        export_list(ListServer(totalCount=10_000, maximumCount=maximum), tmp_path / "a.jsonl")


@pytest.mark.parametrize("address", ["https://elsewhere.example/arm/v1/x?pageno=2", "http://arm.example/arm/v1/x"])
def test_next_page_on_another_host_is_not_requested(tmp_path, address):
    """It is an error that is not retried."""
    arm = ListServer(nextPage=address, **BY_NEXT_PAGE)
    with pytest.raises(ArmConfigurationError, match="another host"):
        export_list(arm, tmp_path / "a.jsonl")
    assert arm.requests == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("days_after", [0, 1, 4])
def test_export_fails_when_the_server_ignores_the_window(tmp_path, days_after):
    """The dates of the records show that."""
    days = DateWindow("2026-01-05", "2026-01-11").date_range()
    outside = dt.date(2026, 1, 12) + dt.timedelta(days=days_after)
    items = [{"arItemId": str(n), "voucherDate": str(day)} for n, day in enumerate((days.first, outside))]
    summary = {"pageNo": 1, "totalPages": 1, "totalCount": 2, "queryId": "q"}
    response = Response(200, {}, money.encode({"summary": summary, "arItems": items}))
    source = PageSource(OPERATIONS["list_ar_items"], BASE, SIZE, DEFAULT_READINGS, lambda _, parse: parse(response))
    plan = ExportPlan(AR_ITEMS, tmp_path / "a.jsonl", choose_file_format("a.jsonl"), window=days)
    with pytest.raises(ArmConfigurationError, match="ignores the filters of this window"):
        run_export(plan, source, lambda: NOW)


# ---- the sandbox


@pytest.fixture(scope="module")
def box():
    """Yield a sandbox for the tests of this module."""
    with ArmSandbox(ar_items=137) as running:
        yield running


@pytest.fixture
def client(box):
    """Yield a client of the sandbox, which is reset."""
    box.reset()
    credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
    with ArmClient(
        box.base_url, credentials, client_no=box.client_no, retry=RetryPolicy(uniform=lambda: 0.0)
    ) as arm_client:
        yield arm_client


def export(client: ArmClient, path: Path, **more: Any) -> dict[str, Any]:
    """Export from the sandbox."""
    plan = ExportPlan(AR_ITEMS, path, choose_file_format(path.name), **more)
    return run_export(plan, client.page_source("list_ar_items", page_size=10), lambda: NOW)


@pytest.mark.parametrize("fault", ["status", "close", "reset", "half_body", "html", "empty"])
def test_failed_page_is_retried_without_the_others(client, box, tmp_path, fault):
    """The third page fails once, which takes one additional request."""
    box.fault({"match": {"path": "*/aritems"}, "nth": 3, "do": fault})
    manifest = export(client, tmp_path / "a.jsonl")
    assert len(set(exported_ids(tmp_path / "a.jsonl"))) == manifest["rows"] == 137
    assert manifest["restarts"] == 0
    assert len(box.requests(path="/arm/v1/clients/2218/aritems")) == manifest["pages"] + 1


def test_token_is_renewed_once_when_refused_during_an_export(client, box, tmp_path):
    """All requests in progress share the new one."""
    box.fault({"match": {"path": "*/aritems"}, "nth": 3, "do": "token_refused"})
    assert export(client, tmp_path / "a.jsonl")["rows"] == 137
    assert len(box.requests(path="/identity/token")) == 2


def test_day_above_the_cap_is_split_by_several_filters(client, box, tmp_path, monkeypatch):
    """The windows of the manifest contain the filters."""
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", 2)
    items = [money.decode(text) for page in read_all_pages(client) for text in page]
    customers = sorted({item["customerNo"] for item in items})
    by = {"customerno": customers, "documentno": sorted({item["documentNo"] for item in items if item["documentNo"]})}
    day = max((item["voucherDate"] for item in items), key=[item["voucherDate"] for item in items].count)
    expected = [item["arItemId"] for item in items if item["voucherDate"] == day]
    assert len(expected) > 1
    manifest = export(
        client, tmp_path / "a.jsonl", window=DateWindow(day, day).date_range(), split_by=parse_split_by(by), workers=8
    )
    assert sorted(exported_ids(tmp_path / "a.jsonl")) == sorted(expected)
    assert {tuple(window["split_by"]) for window in manifest["windows"]} <= {
        ("customerno",),
        ("customerno", "documentno"),
    }


def test_export_fails_when_a_value_of_split_by_is_missing(client, box, tmp_path, monkeypatch):
    """The parts have fewer records than ARM counted."""
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", 100)
    box.behave(q09_total="true")
    customers = sorted({money.decode(text)["customerNo"] for page in read_all_pages(client) for text in page})
    with pytest.raises(ArmIncompleteListError, match="the parts of the whole list contain"):
        export(client, tmp_path / "a.jsonl", split_by=parse_split_by({"customerno": customers[1:]}))
    assert list(tmp_path.iterdir()) == []


def read_all_pages(client: ArmClient) -> list[list[bytes]]:
    """Return the text of all records, without the reduced cap."""
    pages = []
    cap, lists.MAXIMUM_COUNT = lists.MAXIMUM_COUNT, 10_000
    try:
        pages = [page.texts for page in client.list_ar_items().pages()]
    finally:
        lists.MAXIMUM_COUNT = cap
    return pages


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz", "a.csv.zst"])
@pytest.mark.parametrize(
    "switches",
    [
        {"q08_plural_key": "poster"},
        {"q10_next_page": "extra_page"},
        {"q10_next_page": "same"},
        {"q13_page_host": "elsewhere.example"},
        {"q14_gzip": True},
    ],
    ids=str,
)
def test_file_is_the_same_for_every_reading_of_the_api(client, box, tmp_path, name, switches):
    """The names, ends and compression of pages do not change it."""
    (tmp_path / "1").mkdir()
    plain = export(client, tmp_path / "1" / name)
    box.behave(**switches)
    assert export(client, tmp_path / name)["sha256"] == plain["sha256"]


ledger_amounts = st.decimals(min_value=Decimal("-99999999999.9999"), max_value=Decimal("99999999999.9999"), places=4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ledger_amounts | st.integers(-(10**15) + 1, 10**15 - 1), min_size=1, max_size=40))
def test_amounts_and_totals_are_exact_in_every_format(client, box, tmp_path, amounts):
    """This holds for fifteen digits and four places."""
    with box.core._lock, box.core._store.transaction():
        rows = box.core._store.fetch_all(
            "SELECT id, body FROM ar_item WHERE live = 1 ORDER BY pos LIMIT ?", (len(amounts),)
        )
        for (row_id, body), amount in zip(rows, amounts, strict=True):
            changed = money.encode({**money.decode(body), "currencyAmount": amount})
            box.core._store.execute("UPDATE ar_item SET body = ? WHERE id = ?", (changed, row_id))
        bodies = [money.decode(row[0]) for row in box.core._store.fetch_all("SELECT body FROM ar_item WHERE live = 1")]
    expected = {item["arItemId"]: Decimal(item["currencyAmount"]) for item in bodies}
    totals: dict[str, Decimal] = {}
    for item in bodies:
        totals[item["currency"]] = totals.get(item["currency"], Decimal(0)) + item["currencyAmount"]
    for name in FILES:
        manifest = export(client, tmp_path / name)
        assert amounts_of(tmp_path / name) == expected
        exported = {currency: Decimal(sums["currencyAmount"]) for currency, sums in manifest["totals"].items()}
        assert exported == totals


def amounts_of(path: Path) -> dict[str, Decimal]:
    """Return the amounts of a file by key."""
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    elif path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    else:
        rows = [money.decode(line) for line in path.read_bytes().splitlines()]
    return {row["arItemId"]: Decimal(row["currencyAmount"]) for row in rows}
