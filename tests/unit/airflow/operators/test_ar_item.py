"""``ArItemExportOperator`` against the sandbox."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from decimal import Decimal

import pytest

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.sandbox import ArmSandbox


def export(path, **arguments):
    """Return the operator."""
    return ArItemExportOperator(task_id="export", path=str(path), **arguments)


def read_exact(path):
    """Read a JSON lines file with exact amounts."""
    return [json.loads(line, parse_float=Decimal) for line in path.read_bytes().splitlines()]


def test_export_contains_every_item_once(arm_sandbox, arm_connection, first_try, tmp_path):
    """Rows, pages, checksum and totals of the result and of the manifest describe the file."""
    path = tmp_path / "aritems.jsonl"
    result = export(path, page_size=30).execute(first_try)
    rows = read_exact(path)
    assert len({row["arItemId"] for row in rows}) == len(rows) == result["rows"] == 200
    assert result["pages"] == 7
    assert result["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    for currency, totals in result["totals"].items():
        own = [row for row in rows if row["currency"] == currency]
        assert Decimal(totals["currencyBalance"]) == sum(row["currencyBalance"] for row in own)
        assert Decimal(totals["currencyAmount"]) == sum(row["currencyAmount"] for row in own)
    manifest = json.loads((tmp_path / "aritems.jsonl.manifest.json").read_text(encoding="utf-8"))
    assert {key: manifest[key] for key in ("rows", "pages", "sha256", "totals")} == {
        key: result[key] for key in ("rows", "pages", "sha256", "totals")
    }


def test_csv_export_has_the_same_items_and_amounts(arm_sandbox, arm_connection, first_try, tmp_path):
    """The amounts are equal digit by digit."""
    export(tmp_path / "a.jsonl").execute(first_try)
    export(tmp_path / "a.csv", columns=["arItemId", "currencyBalance"]).execute(first_try)
    table = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text(encoding="utf-8"))))
    assert [(row["arItemId"], row["currencyBalance"]) for row in table] == [
        (row["arItemId"], str(row["currencyBalance"])) for row in read_exact(tmp_path / "a.jsonl")
    ]


def test_filters_are_passed_to_arm(arm_sandbox, arm_connection, first_try, tmp_path):
    """ARM selects the items."""
    result = export(tmp_path / "a.jsonl", filters={"documentno": "88776655"}).execute(first_try)
    assert result["rows"] == 1
    assert read_exact(tmp_path / "a.jsonl")[0]["currencyBalance"] == Decimal("124.37")


@pytest.fixture(scope="module")
def big_box():
    """Yield a sandbox with more items than ARM returns for one query."""
    with ArmSandbox(ar_items=10_050) as box:
        yield box


@pytest.fixture
def big(big_box, monkeypatch):
    """Set the connection ``arm_default`` to the big sandbox."""
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(big_box.connection()))
    return big_box


def test_window_above_the_cap_is_split(big, first_try, tmp_path):
    """The export is complete, and the manifest lists the windows."""
    window = DateWindow(start="2020-01-01", end="2030-12-31")
    result = export(tmp_path / "a.jsonl", window=window).execute(first_try)
    assert result["rows"] == 10_050
    assert len({row["arItemId"] for row in read_exact(tmp_path / "a.jsonl")}) == 10_050
    manifest = json.loads((tmp_path / "a.jsonl.manifest.json").read_text(encoding="utf-8"))
    assert len(manifest["windows"]) > 1


def test_list_above_the_cap_without_window_fails(big, first_try, tmp_path):
    """The message names DateWindow, and no file appears."""
    with pytest.raises(ArmFailException, match="DateWindow"):
        export(tmp_path / "a.jsonl").execute(first_try)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["status", "half_body", "html", "close", "reset"])
def test_failed_export_leaves_existing_files_untouched(
    arm_sandbox, arm_connection, first_try, tmp_path, monkeypatch, kind
):
    """No temporary file is left."""
    from airflow_provider_arm.client.http import retry

    monkeypatch.setattr(retry.SystemClock, "sleep", lambda *_: None)
    path = tmp_path / "a.jsonl"
    export(path, page_size=50).execute(first_try)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    arm_sandbox.fault({"match": {"path": "*/aritems"}, "do": kind, "nth": 3, "times": 0})
    with pytest.raises(ArmTransientException):
        export(path, page_size=50).execute(first_try)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_expired_query_fails_without_a_file(arm_sandbox, arm_connection, first_try, tmp_path):
    """A retry starts from the beginning."""
    arm_sandbox.behave(q11_expire_after_pages=2)
    with pytest.raises(ArmTransientException, match="no longer keeps its query"):
        export(tmp_path / "a.jsonl", page_size=50).execute(first_try)
    assert list(tmp_path.iterdir()) == []


def test_empty_list_is_exported_to_an_empty_file(arm_sandbox, arm_connection, first_try, tmp_path):
    """The task succeeds with 0 rows."""
    result = export(tmp_path / "a.jsonl", filters={"customerno": "none"}).execute(first_try)
    assert (result["rows"], result["totals"], (tmp_path / "a.jsonl").read_bytes()) == (0, {}, b"")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "a.xlsx"}, ["format", "jsonl, csv"]),
        ({"path": "a.csv", "format": "jsonl"}, ["path", "format"]),
        ({"page_size": 0}, ["page_size"]),
        ({"page_size": 1001}, ["page_size", "1000"]),
        ({"filters": {"pageno": 2}}, ["pageno"]),
        ({"filters": {"fromvoucherdate": 1.5}}, ["filters", "float"]),
        ({"filters": {"nosuchfilter": "1"}}, ["400"]),
        ({"window": {"start": "2026-02-01", "end": "2026-01-01"}}, ["window", "2026-02-01"]),
        ({"window": {"start": "soon", "end": "2026-01-01"}}, ["window", "start", "YYYY-MM-DD"]),
        ({"window": {"start": "2026-01-01", "end": "2026-01-31", "by": "mood"}}, ["window", "voucherdate"]),
    ],
)
def test_invalid_argument_fails_without_a_file(arm_sandbox, arm_connection, first_try, tmp_path, arguments, words):
    """The message names the argument and what it may be."""
    arguments = {"path": "a.jsonl", **arguments}
    path = tmp_path / arguments.pop("path")
    with pytest.raises((ArmFailException, ArmConfigurationError)) as caught:
        export(path, **arguments).execute(first_try)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert list(tmp_path.iterdir()) == []
