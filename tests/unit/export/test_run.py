from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import itertools
import json
import logging
import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_arm import __version__
from airflow_provider_arm.client import ArmClient, ClientCredentials, money
from airflow_provider_arm.client.errors import (
    ArmError,
    ArmIncompleteListError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmResultLimitError,
    ArmUnavailableError,
    ArmValidationError,
)
from airflow_provider_arm.client.http.retry import RetryPolicy
from airflow_provider_arm.client.models import ArItem, wire_names
from airflow_provider_arm.export import DateWindow, run
from airflow_provider_arm.export.fetch.partition import parse_split_by
from airflow_provider_arm.export.files.file_format import FileFormat
from airflow_provider_arm.export.manifest.check import check_export
from airflow_provider_arm.export.manifest.paths import manifest_path
from airflow_provider_arm.export.pages.record_types import AR_ITEMS
from airflow_provider_arm.export.plan import ExportPlan
from airflow_provider_arm.export.run import run_export
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sandbox.api import lists

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ITEMS = 137
EVERYTHING = DateWindow("2000-01-01", "2030-12-31").date_range()
OLD = b"existing content"


class Exporter:
    """Exporter from a sandbox with the real client."""

    def __init__(self, box: ArmSandbox) -> None:
        credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
        self.box = box
        self.client = ArmClient(
            box.base_url, credentials, client_no=box.client_no, retry=RetryPolicy(max_attempts=1), clock=None
        )
        self.page_size = 25
        self.workers = 4
        self.split_by: Any = None
        self.verify_pages = False
        self.times = iter(dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC) + dt.timedelta(seconds=n) for n in range(9))
        #: Called with each request for a page before it is sent.
        self.before_page: Any = lambda due: None

    def texts(self, **filters: str) -> list[bytes]:
        """Return the text of all records, read by the client alone."""
        return [text for page in self.client.list_ar_items(filters).pages() for text in page.texts]

    def source(self) -> Any:
        """Return the source of the list, which calls ``before_page``."""
        source = self.client.page_source("list_ar_items", page_size=self.page_size)
        fetch = source.fetch

        def fetch_page(due: Any, parse: Any) -> Any:
            self.before_page(due)
            return fetch(due, parse)

        source.fetch = fetch_page
        return source

    def __call__(self, path: Any, name: str = "jsonl", window: Any = EVERYTHING, **filters: str) -> dict[str, Any]:
        """Change the ledger before the third page of a list."""
        plan = ExportPlan(
            AR_ITEMS,
            path,
            FileFormat(name),
            filters=filters,
            window=window,
            split_by=parse_split_by(self.split_by),
            workers=self.workers,
            verify_pages=self.verify_pages,
        )
        return run_export(plan, self.source(), lambda: next(self.times))


@pytest.fixture(scope="module")
def running() -> Iterator[ArmSandbox]:
    """Start one server for the tests of this module."""
    attach("memory", fs=MemoryFileSystem())
    with ArmSandbox(seed=7, ar_items=ITEMS, batch_delay=0) as box:
        yield box


@pytest.fixture
def box(running: ArmSandbox) -> ArmSandbox:
    """Return the server after a reset."""
    running.reset()
    return running


@pytest.fixture
def export(box: ArmSandbox) -> Iterator[Exporter]:
    """Yield an exporter with its own token."""
    exporter = Exporter(box)
    with exporter.client:
        yield exporter


@pytest.fixture(params=["pathlib", "file", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return a path of each supported kind."""
    paths = {
        "pathlib": lambda: tmp_path / "out" / "items.data",
        "file": lambda: ObjectStoragePath(f"file://{tmp_path}/out/items.data"),
        "memory": lambda: ObjectStoragePath(f"memory://{uuid4().hex}/items.data"),
    }
    return paths[request.param]()


def file_names(folder: Any) -> list[str]:
    """Return the sorted names in a folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def records_of(content: bytes, name: str) -> list[dict[str, Any]]:
    """Read an export, with exact amounts."""
    if name == "parquet":
        return pq.read_table(io.BytesIO(content)).to_pylist()
    if name == "jsonl":
        return [money.decode(line) for line in content.splitlines()]
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


# ---- complete exports


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet"])
def test_export_is_complete_and_matches_its_manifest(export, target, name):
    """All entries are computed again from the file, on disk and in an object store."""
    manifest = export(target, name)
    content = target.read_bytes()
    records = records_of(content, name)
    assert file_names(target.parent) == ["items.data", "items.data.manifest.json"]
    assert json.loads(manifest_path(target).read_bytes()) == manifest  # type: ignore[attr-defined]
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["bytes"] == len(content)
    assert manifest["rows"] == len(records) == ITEMS
    assert manifest["pages"] == -(-ITEMS // 25)
    totals: dict[str, dict[str, Decimal]] = {}
    for record in records:
        sums = totals.setdefault(record["currency"], dict.fromkeys(("currencyAmount", "currencyBalance"), Decimal(0)))
        for amount in sums:
            sums[amount] += Decimal(record[amount])
    assert {c: {n: Decimal(a) for n, a in s.items()} for c, s in manifest["totals"].items()} == totals
    fields = {key: manifest[key] for key in ("file", "format", "filters", "api", "package", "columns", "windows")}
    assert manifest["dates"]["voucherDate"] == {
        "first": min(str(record["voucherDate"]) for record in records),
        "last": max(str(record["voucherDate"]) for record in records),
    }
    assert check_export(manifest_path(target)) == manifest
    assert fields == {
        "file": "items.data",
        "format": name,
        "filters": {},
        "api": export.box.base_url,
        "package": f"airflow-provider-arm {__version__}",
        "columns": None if name == "jsonl" else list(wire_names(ArItem)),
        "windows": [{"window": str(EVERYTHING), "pages": manifest["pages"], "rows": ITEMS}],
    }
    assert (manifest["started"], manifest["finished"]) == (
        "2026-03-01T12:00:00.000+00:00",
        "2026-03-01T12:00:01.000+00:00",
    )


def test_totals_equal_those_of_the_ledger(export, tmp_path):
    """The sandbox sums its own ledger."""
    totals = export(tmp_path / "a")["totals"]
    ledger = export.box.totals()["currencies"]
    assert {c: [Decimal(s["currencyAmount"]), Decimal(s["currencyBalance"])] for c, s in totals.items()} == {
        c: [s["currencyAmount"], s["currencyBalance"]] for c, s in ledger.items()
    }


def test_jsonl_equals_the_text_of_the_list(export, tmp_path):
    """The records have the order of the list."""
    export(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"".join(text + b"\n" for text in export.texts())


@pytest.mark.parametrize("page_size", [5, ITEMS - 1, ITEMS, ITEMS + 1, 1000])
def test_page_size_changes_only_the_number_of_pages(export, tmp_path, page_size):
    """The last page may be full or have one record."""
    whole = export(tmp_path / "a")
    export.page_size = page_size
    other = export(tmp_path / "b")
    assert other["pages"] == -(-ITEMS // page_size)
    assert {key: other[key] for key in ("sha256", "rows", "totals")} == {
        key: whole[key] for key in ("sha256", "rows", "totals")
    }


def test_filters_are_sent_and_written_to_the_manifest(export, tmp_path):
    """Without a window there is one query."""
    manifest = export(tmp_path / "a", window=None, customerno="543210")
    assert manifest["filters"] == {"customerno": "543210"}
    assert manifest["windows"] == [{"window": None, "pages": manifest["pages"], "rows": manifest["rows"]}]
    assert 0 < manifest["rows"] < ITEMS
    assert {record["customerNo"] for record in records_of((tmp_path / "a").read_bytes(), "jsonl")} == {"543210"}


@pytest.mark.parametrize(
    ("name", "content"), [("jsonl", b""), ("csv", ",".join(wire_names(ArItem)).encode() + b"\r\n")]
)
def test_empty_list_is_exported_to_an_empty_file(export, target, name, content):
    """It has a manifest too."""
    manifest = export(target, name, DateWindow("1990-01-01", "1990-01-31").date_range())
    assert target.read_bytes() == content
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert (manifest["rows"], manifest["bytes"], manifest["totals"]) == (0, len(content), {})
    assert manifest["windows"][0]["rows"] == 0


def test_files_are_hidden_until_the_export_is_complete(export, tmp_path):
    """Until then both have temporary names."""
    seen: list[list[str]] = []
    export.before_page = lambda _: seen.append(file_names(tmp_path))
    export(tmp_path / "a")
    assert seen
    assert all(name.startswith(".") and name.endswith(".part") for found in seen for name in found)


def test_second_export_replaces_both_files(export, tmp_path):
    """It may have fewer rows."""
    export(tmp_path / "a")
    manifest = export(tmp_path / "a", window=None, customerno="543210")
    assert manifest["bytes"] == (tmp_path / "a").stat().st_size
    assert json.loads((tmp_path / "a.manifest.json").read_bytes()) == manifest


def test_long_export_logs_its_progress(export, tmp_path, caplog, monkeypatch):
    """The lines contain no value of a record."""
    caplog.set_level(logging.INFO, "airflow_provider_arm.export")
    ticks = itertools.count(step=7)
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    export(tmp_path / "a", window=None)
    assert [record.getMessage() for record in caplog.records if "export" in record.name] == [
        "2 pages, 50 rows, 4 rows/s, about 28 s left",
        "137 AR items on 6 pages, complete, in 49.0 s, 3 rows/s",
    ]


def test_short_export_logs_one_line(export, tmp_path, caplog):
    """It is the line with the totals."""
    caplog.set_level(logging.INFO, "airflow_provider_arm.export")
    export(tmp_path / "a")
    (line,) = [record.getMessage() for record in caplog.records if "export" in record.name]
    assert line.startswith("137 AR items on 6 pages, complete, in ")


# ---- more records than one query returns


@pytest.mark.parametrize("cap", [ITEMS, 60, 20, 7])
@pytest.mark.parametrize("total", ["capped", "true"])
def test_split_export_has_the_same_records(export, tmp_path, monkeypatch, cap, total):
    """The windows adjoin and the totals are equal, for any cap and both readings of the total count."""
    whole = export(tmp_path / "whole")
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", cap)
    export.box.behave(q09_total=total)
    split = export(tmp_path / "split")
    lines = {name: (tmp_path / name).read_bytes().splitlines() for name in ("whole", "split")}
    assert sorted(lines["split"]) == sorted(lines["whole"])
    assert split["totals"] == whole["totals"]
    windows = split["windows"]
    assert len(windows) > 1
    assert sum(window["rows"] for window in windows) == split["rows"] == ITEMS
    assert sum(window["pages"] for window in windows) == split["pages"]
    assert all(window["rows"] < cap for window in windows)
    bounds = [[dt.date.fromisoformat(day) for day in window["window"].split()[1::2]] for window in windows]
    assert (bounds[0][0], bounds[-1][1]) == (EVERYTHING.first, EVERYTHING.last)
    assert all(after[0] - before[1] == dt.timedelta(days=1) for before, after in itertools.pairwise(bounds))


def test_export_above_the_real_cap_is_complete(tmp_path):
    """The list has more than 10,000 records."""
    with ArmSandbox(ar_items=10_240, customers=10) as box:
        exporter = Exporter(box)
        exporter.page_size = 1000
        manifest = exporter(tmp_path / "a", window=DateWindow("2024-01-01", "2025-12-31").date_range())
        exporter.client.close()
        assert manifest["rows"] == box.totals()["arItems"] == 10_240
    assert (tmp_path / "a").read_bytes().count(b"\n") == 10_240


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (None, "set window=DateWindow"),
        (
            DateWindow("2025-02-27", "2025-02-27").date_range(),
            "voucherdate 2025-02-27 to 2025-02-27 cannot be split further",
        ),
        (EVERYTHING, "cannot be split further: add a filter, or split_by="),
    ],
)
def test_export_that_cannot_be_split_fails_without_a_file(export, tmp_path, monkeypatch, window, message):
    """The message names what to set."""
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", 1)
    with pytest.raises(ArmResultLimitError, match=message):
        export(tmp_path / "a", window=window)
    assert file_names(tmp_path) == []


# ---- failures and changes during an export

ITEMS_CALL = {"method": "GET", "path": "*/aritems"}
FAILURES: list[tuple[str, dict[str, Any] | None, dict[str, Any], type[ArmError]]] = [
    ("refused", {"do": "status", "status": 400}, {}, ArmValidationError),
    ("unavailable", {"do": "status", "status": 503}, {}, ArmUnavailableError),
    ("closed", {"do": "close", "when": "after_accept"}, {}, ArmUnavailableError),
    ("half a body", {"do": "half_body"}, {}, ArmUnavailableError),
    ("HTML", {"do": "html"}, {}, ArmInvalidResponseError),
    ("empty", {"do": "empty"}, {}, ArmInvalidResponseError),
    ("query expired", None, {"q11_expire_after_pages": 2}, ArmIncompleteListError),
    ("query forgotten", None, {"q11_expire_after_pages": 2, "q11_expired_status": 404}, ArmIncompleteListError),
    ("empty list as 404", None, {"q12_empty_list": 404}, ArmNotFoundError),
]


@pytest.mark.parametrize(("fault", "switches", "error"), [case[1:] for case in FAILURES], ids=[c[0] for c in FAILURES])
@pytest.mark.parametrize("name", ["jsonl", "csv"])
@pytest.mark.parametrize("existed", [True, False], ids=["existing files", "new"])
def test_failed_export_leaves_existing_files_untouched(export, target, fault, switches, error, name, existed):
    """The third page fails; no temporary file is left."""
    if existed:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(OLD)
        manifest_path(target).write_bytes(OLD)  # type: ignore[attr-defined]
    if fault:
        export.box.fault({"match": ITEMS_CALL, "nth": 3, **fault})
    export.box.behave(**switches)
    window = DateWindow("1990-01-01", "1990-01-31").date_range() if "q12_empty_list" in switches else EVERYTHING
    with pytest.raises(error):
        export(target, name, window)
    assert file_names(target.parent) == (["items.data", "items.data.manifest.json"] if existed else [])
    assert not existed or target.read_bytes() == manifest_path(target).read_bytes() == OLD  # type: ignore[attr-defined]


class LedgerChanger:
    """Changes the sandbox's ledger between two pages, once or before every page."""

    def __init__(self, export: Exporter, change: Any, *, times: int = 1) -> None:
        self.change, self.left, self.pages, self.lock = change, times, 0, threading.Lock()
        export.before_page = self
        export.workers = 1

    def __call__(self, due: Any) -> None:
        """Change the ledger before the third page of a list."""
        with self.lock:
            self.pages += 1
            if due.number > 2 and self.left:
                self.left -= 1
                self.change(self.left)


def exported_keys(path: Path) -> list[str]:
    """Return the keys of the items in an export."""
    return [record["arItemId"] for record in records_of(path.read_bytes(), "jsonl")]


def live_keys(box: ArmSandbox) -> set[str]:
    """Return the keys of the items in the ledger."""
    with box.core._lock:
        return {row[0] for row in box.core._store.fetch_all("SELECT ar_item_id FROM ar_item WHERE live = 1")}


def set_live(box: ArmSandbox, position: int, *, live: bool) -> None:
    """Delete or restore an item of the ledger: position 0 is the newest, -1 the oldest."""
    order, offset = ("DESC", position) if position >= 0 else ("ASC", -position - 1)
    sql = f"SELECT id FROM ar_item ORDER BY pos {order} LIMIT 1 OFFSET {offset}"  # noqa: S608 - our own numbers
    with box.core._lock, box.core._store.transaction():
        box.core._store.execute(f"UPDATE ar_item SET live = ? WHERE id = ({sql})", (live,))  # noqa: S608


@pytest.mark.parametrize("change", ["insert", "delete", "both"])
def test_stored_query_does_not_change_with_the_ledger(export, tmp_path, change):
    """As documented, ARM keeps the result of a query."""
    set_live(export.box, -1, live=False)
    before = live_keys(export.box)
    LedgerChanger(export, ledger_change(export, change))
    manifest = export(tmp_path / "a", window=None)
    found = exported_keys(tmp_path / "a")
    assert before != live_keys(export.box)
    assert set(found) == before
    assert len(found) == manifest["rows"] == len(before)


@pytest.mark.parametrize("verify_pages", [False, True])
@pytest.mark.parametrize("change", ["insert", "delete"])
def test_query_is_restarted_when_its_count_changes(export, tmp_path, change, verify_pages):
    """In a live list, every record that exists throughout is exported once."""
    export.box.behave(q11_live_query=True)
    before = live_keys(export.box)
    LedgerChanger(export, ledger_change(export, change))
    manifest = export(tmp_path / "a", window=None)
    found = exported_keys(tmp_path / "a")
    assert manifest["restarts"] == 1
    assert len(found) == len(set(found)) == manifest["rows"]
    assert set(found) == live_keys(export.box)
    assert set(found) >= before & live_keys(export.box)


def test_export_fails_when_the_list_changes_again_after_a_restart(export, tmp_path):
    """No file is left."""
    export.box.behave(q11_live_query=True)
    LedgerChanger(export, ledger_change(export, "insert"), times=100)
    with pytest.raises(ArmIncompleteListError):
        export(tmp_path / "a", window=None)
    assert file_names(tmp_path) == []


def test_verify_pages_detects_a_lost_record_with_unchanged_count(export, tmp_path):
    """One item is deleted and one is added between two pages, so a third one is skipped."""
    export.box.behave(q11_live_query=True)
    set_live(export.box, -1, live=False)
    before = live_keys(export.box)
    export.verify_pages = True
    LedgerChanger(export, ledger_change(export, "both"))
    manifest = export(tmp_path / "a", window=None)
    assert manifest["restarts"] == 1
    assert len(before) == manifest["rows"]
    assert set(exported_keys(tmp_path / "a")) == live_keys(export.box) != before


def ledger_change(export: Exporter, name: str) -> Any:
    """Return the change of the ledger between two pages."""
    return {
        "insert": lambda n: post_document(export, n),
        "delete": lambda n: set_live(export.box, 10 + n, live=False),
        "both": lambda n: (set_live(export.box, 10, live=False), set_live(export.box, -1, live=True)),
    }[name]


def post_document(export: Exporter, number: int = 0) -> None:
    """Create one more item, which is the first of the sandbox's live list."""
    document = {
        "documentType": "IN",
        "customerNo": "543210",
        "documentNo": str(99_000_001 + number),
        "documentDate": "2025-11-03",
        "dueDate": "2025-11-17",
        "currency": "NOK",
        "currencyAmounts": {"exclVat": 800, "vat": 200, "inclVat": 1000},
    }
    receipt = export.client.submit_batch("create_document_batch", [document])
    assert export.client.get_batch(receipt.batch_uuid).state.finished


@pytest.mark.parametrize("name", ["jsonl", "csv"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_killed_export_leaves_no_file(export, tmp_path, monkeypatch, name, error):
    """It is killed between two windows, after rows were written."""
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", 60)
    parts: list[list[str]] = []

    def kill(due: Any) -> None:
        if due.number == 1:
            parts.append(file_names(tmp_path))
            if len(parts) == 4:
                raise error

    export.before_page = kill
    with pytest.raises(error):
        export(tmp_path / "a", name)
    assert len(parts[3]) == 2
    assert file_names(tmp_path) == []


def test_next_page_on_another_host_is_ignored_with_a_query_id(export, tmp_path):
    """Pages are requested by number, so the token is not sent elsewhere."""
    export.box.behave(q13_page_host="elsewhere.example")
    assert export(tmp_path / "a")["rows"] == ITEMS


@pytest.mark.parametrize(
    "switches",
    [
        {"q08_plural_key": "poster"},
        {"q10_next_page": "absent"},
        {"q10_next_page": "empty"},
        {"q10_next_page": "same"},
        {"q10_next_page": "extra_page"},
        {"q14_gzip": True},
    ],
    ids=str,
)
def test_file_is_the_same_for_variants_of_the_list(export, tmp_path, switches):
    """The end and compression of pages do not change it."""
    plain = export(tmp_path / "a")["sha256"]
    export.box.behave(**switches)
    assert export(tmp_path / "b")["sha256"] == plain
