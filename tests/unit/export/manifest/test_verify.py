"""Verification of exports: a file that does not match its manifest raises an error that names the difference."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sys
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export import ArmExportMismatchError, check_export
from airflow_provider_arm.export.files.file_format import choose_file_format
from airflow_provider_arm.export.pages.field_selection import select_fields
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, CUSTOMERS, GL_ITEMS, RecordType
from airflow_provider_arm.export.plan import ExportPlan
from airflow_provider_arm.export.run import run_export
from tests.unit.reconcile.sample_exports import ar_items, write_export

FILE_NAMES = ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.gz", "a.csv.zst", "a.parquet", "a.gz.parquet"]


@pytest.fixture
def export(client, tmp_path):
    """Return a function that exports a list and returns the manifest's path."""

    def run(name: str, operation: str = "list_ar_items", record_type: RecordType = AR_ITEMS, **options: Any) -> Any:
        selection = select_fields(record_type, options.pop("columns", None), options.pop("mask", ()))
        file_format = choose_file_format(name, None, options.pop("csv_dialect", None))
        plan = ExportPlan(record_type, tmp_path / name, file_format, selection, **options)
        run_export(plan, client.page_source(operation, page_size=50), lambda: dt.datetime.now(dt.UTC))
        return tmp_path / f"{name}.manifest.json"

    return run


@pytest.mark.parametrize("name", FILE_NAMES)
def test_export_matches_its_manifest_in_every_format(export, name):
    """Compressed or not, and the manifests of all formats are equal."""
    manifest = check_export(export(name))
    other = check_export(str(export("b.jsonl")))
    for key in ("rows", "pages", "totals", "gl_totals", "dates", "key"):
        assert manifest[key] == other[key]
    assert manifest["rows"] == 120
    assert manifest["totals"]["NOK"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
@pytest.mark.parametrize(
    ("operation", "record_type"),
    [("list_customers", CUSTOMERS), ("list_gl_items", GL_ITEMS)],
    ids=["customers", "GL items"],
)
def test_check_export_verifies_other_lists(export, name, operation, record_type):
    """Customers and GL items."""
    assert check_export(export(name, operation, record_type))["rows"] > 10


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_check_export_verifies_files_with_few_columns(export, name):
    """Only the values of the columns in the file are compared; the others were not chosen, or are masked."""
    assert check_export(export(name, columns=["kid", "currencyAmount"]))["rows"] == 120
    assert check_export(export(name, mask=["arItemId", "currency", "glAmount", "dueDate"]))["rows"] == 120


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.csv.gz"])
def test_empty_export_matches_its_manifest(export, name):
    """An export without records is valid."""
    assert check_export(export(name, filters={"customerno": "none"}))["rows"] == 0


def change_manifest(path: Any, **entries: Any) -> None:
    """Change entries of a manifest."""
    path.write_bytes(money.encode({**money.decode(path.read_bytes()), **entries}))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rows", 119),
        ("bytes", 7),
        ("sha256", "0" * 64),
        ("totals", {}),
        ("gl_totals", {"glAmount": "1", "glBalance": "1"}),
        ("dates", {}),
        ("windows", [{"window": None, "pages": 3, "rows": 100}]),
        ("file", "b.jsonl"),
    ],
)
def test_changed_manifest_raises(export, name, key, value):
    """Each entry is computed again from the file, and the message names the differing one."""
    path = export(name)
    change_manifest(path, **{key: value})
    with pytest.raises(ArmExportMismatchError, match=f"differ in .*{key}"):
        check_export(path)


@pytest.mark.parametrize("name", FILE_NAMES)
@pytest.mark.parametrize("damage", ["cut", "flip", "longer"])
def test_changed_file_raises(export, name, damage):
    """A missing byte, a flipped bit, or an additional byte."""
    path = export(name)
    data = path.with_name(name)
    content = data.read_bytes()
    middle = len(content) // 2
    data.write_bytes(
        {
            "cut": content[:-1],
            "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "longer": content + b"\n",
        }[damage]
    )
    with pytest.raises(ArmExportMismatchError, match="sha256"):
        check_export(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.csv.zst", "a.jsonl.gz"])
def test_file_without_records_raises_although_its_checksum_matches(export, name):
    """The manifest was changed to match size and checksum."""
    path = export(name)
    content = b"no records at all"
    path.with_name(name).write_bytes(content)
    change_manifest(path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ArmExportMismatchError, match="cannot be read as"):
        check_export(path)


def test_duplicate_record_raises_although_checksum_and_counts_match(export):
    """The manifest was changed to match size and checksum."""
    path = export("a.jsonl")
    lines = path.with_name("a.jsonl").read_bytes().splitlines(keepends=True)
    content = b"".join([*lines[:-1], lines[0]])
    path.with_name("a.jsonl").write_bytes(content)
    change_manifest(path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ArmExportMismatchError, match="the same arItemId twice"):
        check_export(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "no", '{"file":"a.jsonl"}'])
def test_invalid_manifest_raises(tmp_path, text):
    """Invalid JSON, JSON without the required keys, and a file with another name."""
    (tmp_path / "a.jsonl.manifest.json").write_text(text)
    with pytest.raises(ArmExportMismatchError, match="cannot be read as a manifest"):
        check_export(tmp_path / "a.jsonl.manifest.json")
    with pytest.raises(ArmExportMismatchError, match=r"must end in \.manifest\.json"):
        check_export(tmp_path / "a.jsonl")


def test_manifest_has_amounts_as_text(export):
    """Any JSON reader then keeps all digits."""
    manifest = json.loads(export("a.parquet").read_bytes())
    assert all(isinstance(amount, str) for amounts in manifest["totals"].values() for amount in amounts.values())
    assert Decimal(manifest["totals"]["NOK"]["currencyBalance"]).as_tuple().exponent >= -4  # type: ignore[operator]  # a finite number has an int


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_file_that_is_not_utf8_raises_although_its_checksum_matches(export, name):
    """In a field that is not compared, too; earlier versions wrote such files."""
    path = export(name)
    data, manifest = path.with_name(name), json.loads(path.read_text())
    content = data.read_bytes().replace(b"Invoice", b"Inv\xf8ice", 1)
    assert b"\xf8" in content
    data.write_bytes(content)
    path.write_text(json.dumps(manifest | {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}))
    with pytest.raises(ArmExportMismatchError, match=f"{name} cannot be read as"):
        check_export(path)


def test_check_export_names_the_extra_when_pyarrow_is_missing(export, monkeypatch):
    """The file itself is not wrong."""
    path = export("a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ArmConfigurationError, match=r"Parquet needs pyarrow: install airflow-provider-arm\[parquet\]"):
        check_export(path)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize(("operation", "kind"), [("list_ar_items", AR_ITEMS), ("list_customers", CUSTOMERS)])
def test_export_for_excel_matches_its_manifest(export, name, operation, kind):
    """Totals, dates and counts are those of an export in any other format."""
    manifest = check_export(export(name, operation, kind, csv_dialect="excel"))
    other = check_export(export("b.jsonl", operation, kind))
    for key in ("rows", "totals", "gl_totals", "dates"):
        assert manifest[key] == other[key]


def test_file_without_the_mark_of_its_dialect_raises(export):
    """A program that removes the byte order mark has changed the file."""
    path = export("a.csv", csv_dialect="excel")
    data, manifest = path.with_name("a.csv"), json.loads(path.read_text())
    content = data.read_bytes().removeprefix(b"\xef\xbb\xbf")
    data.write_bytes(content)
    path.write_text(json.dumps(manifest | {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}))
    with pytest.raises(ArmExportMismatchError, match="cannot be read as csv"):
        check_export(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
@pytest.mark.parametrize("invalid", ["0000-00-00", "2026-10-15T00:00:00", "soon"])
def test_export_with_a_date_that_is_none_matches_its_manifest(tmp_path, caplog, name, invalid):
    """The manifest names the field, and its dates are those that are valid."""
    items = ar_items({"dueDate": "2026-11-01"}, {"dueDate": invalid}, {"dueDate": "2026-11-30"})
    manifest = check_export(write_export(tmp_path / name, items))
    assert manifest["invalid_dates"] == ["dueDate"]
    assert manifest["dates"]["dueDate"] == {"first": "2026-11-01", "last": "2026-11-30"}
    assert "AR items: at least one dueDate is not a date" in caplog.text
    assert invalid in (tmp_path / name).read_text()
