"""Lists that lie, break off or change: every record that was there throughout is there once, or the export fails."""

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
from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS
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


class Arm:
    """A list of AR items, answered as a test wants it."""

    def __init__(self, **said: Any) -> None:
        #: What the summary says otherwise, or (``...``) not at all.
        self.said = said
        #: Which rows stand on a page, where not the due ones; used up reading by reading.
        self.shown: dict[int, list[list[int]]] = {}
        #: What the summary of a page says otherwise.
        self.said_on: dict[int, dict[str, Any]] = {}
        #: How many pages a query lives.
        self.life = 10**9
        self.given = self.queries = 0
        self.lock = threading.Lock()

    def call(self, due: Any, read: Any) -> Any:
        """Answer one page."""
        page = due.number
        with self.lock:
            if page == 1:
                self.queries, self.given = self.queries + 1, 0
            self.given += 1
            if self.given > self.life:
                raise ArmNotFoundError("expired", status_code=410)
            rows = list(range((page - 1) * SIZE, min(page * SIZE, ROWS)))
            if self.shown.get(page):
                rows = self.shown[page].pop(0)
        summary = {
            "pageNo": page,
            "totalPages": PAGES,
            "totalCount": ROWS,
            "maximumCount": 10_000,
            "queryId": "q",
            "nextPage": f"{BASE.url}/x?pageno={page + 1}" if page < PAGES else None,
        }
        summary |= self.said | self.said_on.get(page, {})
        items = [{"arItemId": f"2218-1-{row}-0", "currency": "NOK", "currencyAmount": row} for row in rows]
        body = {"summary": {name: value for name, value in summary.items() if value is not ...}, "arItems": items}
        return read(Response(200, {}, money.encode(body)))


def run(arm: Arm, path: Any, **more: Any) -> dict[str, Any]:
    """Export."""
    source = PageSource(OPERATIONS["list_ar_items"], BASE, SIZE, DEFAULT_ASSUMPTIONS, arm.call)
    plan = ExportPlan(AR_ITEMS, path, choose_file_format(path.name), workers=4, **more)
    return run_export(plan, source, lambda: NOW)


def found(path: Path) -> list[str]:
    """List the items of a file."""
    if path.suffix == ".parquet":
        return pq.read_table(path)["arItemId"].to_pylist()
    if path.suffix == ".csv":
        return [row["arItemId"] for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))]
    return [json.loads(line)["arItemId"] for line in path.read_bytes().splitlines()]


FILES = ["a.jsonl", "a.csv", "a.parquet"]
BY_ADDRESS = {"queryId": ..., "totalPages": ..., "pageNo": ...}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("said", [{}, BY_ADDRESS, {"queryId": ...}], ids=["by query", "by address", "without a query"])
def test_a_list_that_tells_the_truth_is_whole(tmp_path, name, said):
    """Fetched in parallel, or one after the other by ARM's own addresses: every record, once and in order."""
    manifest = run(Arm(**said), tmp_path / name)
    assert found(tmp_path / name) == ALL
    assert (manifest["rows"], manifest["pages"], manifest["restarts"]) == (ROWS, PAGES, 0)


#: Page 3 of five, where it is not what it should be.
BROKEN = {
    "a page short by one": [10, 11, 12, 13],
    "a page too long by one": [10, 11, 12, 13, 14, 99],
    "the page before once more": [5, 6, 7, 8, 9],
    "one of the page before": [9, 10, 11, 12, 13],
    "one of a later page": [10, 11, 12, 13, 15],
    "one twice": [10, 11, 11, 12, 13],
    "an empty page": [],
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("rows", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("said", [{}, BY_ADDRESS], ids=["by query", "by address"])
def test_a_page_that_was_wrong_once_is_read_again_with_its_list(tmp_path, name, rows, said):
    """What was written of the first reading is taken back: the file is that of a list that never broke."""
    arm = Arm(**said)
    arm.shown = {3: [rows]}
    manifest = run(arm, tmp_path / name)
    assert found(tmp_path / name) == ALL
    assert (manifest["rows"], manifest["restarts"], manifest["totals"]) == (
        ROWS,
        1,
        {"NOK": {"currencyAmount": str(sum(range(ROWS))), "currencyBalance": "0"}},
    )
    assert check_export(str(tmp_path / f"{name}.manifest.json")) == manifest


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("rows", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("said", [{}, BY_ADDRESS], ids=["by query", "by address"])
def test_a_page_that_stays_wrong_is_no_export(tmp_path, name, rows, said):
    """The second time it is an error, and nothing that looks like a result is left."""
    arm = Arm(**said)
    arm.shown = {3: [rows] * 9}
    with pytest.raises(ArmIncompleteListError):
        run(arm, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("life", [1, 3, PAGES - 1])
def test_a_query_that_expires_every_time_is_no_export(tmp_path, name, life):
    """It is begun again once, and then it is an error."""
    arm = Arm()
    arm.life = life
    with pytest.raises(ArmIncompleteListError, match="no longer keeps its query"):
        run(arm, tmp_path / name)
    assert (arm.queries, list(tmp_path.iterdir())) == (2, [])


@pytest.mark.parametrize(
    "said",
    [{"totalCount": ROWS + 1}, {"totalCount": ROWS - 1}, {"pageNo": 2}, {"totalPages": PAGES - 1}, {"totalPages": 0}],
    ids=str,
)
def test_a_summary_that_lies_is_no_export(tmp_path, said):
    """Counts and page numbers that do not fit what came."""
    with pytest.raises(ArmIncompleteListError):
        run(Arm(**said), tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("most", [10_000, 20_000, 10**9, None, ...])
def test_a_cap_that_lies_is_still_the_cap(tmp_path, most):
    """Exactly 10,000 records are taken for a list that was cut, whatever the summary says that it could give."""
    with pytest.raises(ArmResultLimitError, match="set window"):
        run(Arm(totalCount=10_000, maximumCount=most), tmp_path / "a.jsonl")


@pytest.mark.parametrize("address", ["https://elsewhere.example/arm/v1/x?pageno=2", "http://arm.example/arm/v1/x"])
def test_a_next_page_elsewhere_is_never_fetched(tmp_path, address):
    """Without a query only ARM's address leads on, and one of another host is an error for good."""
    arm = Arm(nextPage=address, **BY_ADDRESS)
    with pytest.raises(ArmConfigurationError, match="another host"):
        run(arm, tmp_path / "a.jsonl")
    assert arm.given == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 1, 4])
def test_a_server_that_passes_over_the_window_is_told(tmp_path, kept):
    """A filter whose name ARM does not know could give everything for every window: the records' own days decide."""
    days = DateWindow("2026-01-05", "2026-01-11").date_range()
    outside = dt.date(2026, 1, 12) + dt.timedelta(days=kept)
    items = [{"arItemId": str(n), "voucherDate": str(day)} for n, day in enumerate((days.first, outside))]
    summary = {"pageNo": 1, "totalPages": 1, "totalCount": 2, "queryId": "q"}
    answer = Response(200, {}, money.encode({"summary": summary, "arItems": items}))
    source = PageSource(OPERATIONS["list_ar_items"], BASE, SIZE, DEFAULT_ASSUMPTIONS, lambda _, read: read(answer))
    plan = ExportPlan(AR_ITEMS, tmp_path / "a.jsonl", choose_file_format("a.jsonl"), window=days)
    with pytest.raises(ArmConfigurationError, match="ignores the filters fromvoucherdate and tovoucherdate"):
        run_export(plan, source, lambda: NOW)


# ---- the sandbox


@pytest.fixture(scope="module")
def box():
    """Give one sandbox."""
    with ArmSandbox(ar_items=137) as running:
        yield running


@pytest.fixture
def client(box):
    """Give a client of the sandbox, as freshly started."""
    box.reset()
    credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
    with ArmClient(box.base_url, credentials, client_no=box.client_no, retry=RetryPolicy(uniform=lambda: 0.0)) as made:
        yield made


def export(client: ArmClient, path: Path, **more: Any) -> dict[str, Any]:
    """Export from the sandbox."""
    plan = ExportPlan(AR_ITEMS, path, choose_file_format(path.name), **more)
    return run_export(plan, client.page_source("list_ar_items", page_size=10), lambda: NOW)


@pytest.mark.parametrize("kind", ["status", "close", "reset", "half_body", "html", "empty"])
def test_a_page_that_fails_is_asked_for_again_alone(client, box, tmp_path, kind):
    """The third page breaks once: one request more, and not one page twice."""
    box.fault({"match": {"path": "*/aritems"}, "nth": 3, "do": kind})
    manifest = export(client, tmp_path / "a.jsonl")
    assert len(set(found(tmp_path / "a.jsonl"))) == manifest["rows"] == 137
    assert manifest["restarts"] == 0
    assert len(box.requests(path="/arm/v1/clients/2218/aritems")) == manifest["pages"] + 1


def test_a_token_that_is_refused_in_mid_run_is_renewed_once(client, box, tmp_path):
    """Many pages are in work when it is refused; they share the new one."""
    box.fault({"match": {"path": "*/aritems"}, "nth": 3, "do": "token_refused"})
    assert export(client, tmp_path / "a.jsonl")["rows"] == 137
    assert len(box.requests(path="/identity/token")) == 2


def test_a_day_past_the_cap_is_split_by_the_second_filter(client, box, tmp_path, monkeypatch):
    """Where one day holds more than ARM gives, the author's values make parts of it; the manifest has the plan."""
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", 2)
    items = [money.decode(text) for page in every_page(client) for text in page]
    customers = sorted({item["customerNo"] for item in items})
    by = {"customerno": customers, "documentno": sorted({item["documentNo"] for item in items if item["documentNo"]})}
    day = max((item["voucherDate"] for item in items), key=[item["voucherDate"] for item in items].count)
    mine = [item["arItemId"] for item in items if item["voucherDate"] == day]
    assert len(mine) > 1
    manifest = export(
        client, tmp_path / "a.jsonl", window=DateWindow(day, day).date_range(), split_by=parse_split_by(by), workers=8
    )
    assert sorted(found(tmp_path / "a.jsonl")) == sorted(mine)
    assert {tuple(window["split_by"]) for window in manifest["windows"]} <= {
        ("customerno",),
        ("customerno", "documentno"),
    }


def test_values_that_are_not_all_there_are_seen_where_arm_counts(client, box, tmp_path, monkeypatch):
    """A customer that the author forgot is missing in the sum of the parts."""
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", 100)
    box.behave(q09_total="true")
    customers = sorted({money.decode(text)["customerNo"] for page in every_page(client) for text in page})
    with pytest.raises(ArmIncompleteListError, match="the parts of the whole list contain"):
        export(client, tmp_path / "a.jsonl", split_by=parse_split_by({"customerno": customers[1:]}))
    assert list(tmp_path.iterdir()) == []


def every_page(client: ArmClient) -> list[list[bytes]]:
    """List all items, month by month, because the cap is small."""
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
def test_every_reading_of_arm_gives_the_same_file(client, box, tmp_path, name, switches):
    """However ARM names, ends or packs its pages: the same bytes in every format."""
    (tmp_path / "1").mkdir()
    plain = export(client, tmp_path / "1" / name)
    box.behave(**switches)
    assert export(client, tmp_path / name)["sha256"] == plain["sha256"]


ledger_amounts = st.decimals(min_value=Decimal("-99999999999.9999"), max_value=Decimal("99999999999.9999"), places=4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ledger_amounts | st.integers(-(10**15) + 1, 10**15 - 1), min_size=1, max_size=40))
def test_money_is_exact_through_sandbox_and_file_and_back(client, box, tmp_path, amounts):
    """Fifteen digits and four places: what the books hold is what each format gives back, and its total."""
    with box.core._lock, box.core._store.transaction():
        rows = box.core._store.fetch_all(
            "SELECT id, body FROM ar_item WHERE live = 1 ORDER BY pos LIMIT ?", (len(amounts),)
        )
        for (row_id, body), amount in zip(rows, amounts, strict=True):
            changed = money.encode({**money.decode(body), "currencyAmount": amount})
            box.core._store.execute("UPDATE ar_item SET body = ? WHERE id = ?", (changed, row_id))
        bodies = [money.decode(row[0]) for row in box.core._store.fetch_all("SELECT body FROM ar_item WHERE live = 1")]
    wanted = {item["arItemId"]: Decimal(item["currencyAmount"]) for item in bodies}
    totals: dict[str, Decimal] = {}
    for item in bodies:
        totals[item["currency"]] = totals.get(item["currency"], Decimal(0)) + item["currencyAmount"]
    for name in FILES:
        manifest = export(client, tmp_path / name)
        assert amounts_of(tmp_path / name) == wanted
        said = {currency: Decimal(sums["currencyAmount"]) for currency, sums in manifest["totals"].items()}
        assert said == totals


def amounts_of(path: Path) -> dict[str, Decimal]:
    """Read the amounts of a file."""
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    elif path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    else:
        rows = [money.decode(line) for line in path.read_bytes().splitlines()]
    return {row["arItemId"]: Decimal(row["currencyAmount"]) for row in rows}
