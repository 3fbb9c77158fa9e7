from __future__ import annotations

import datetime as dt
import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_arm.client import money
from airflow_provider_arm.export import ArmExportMismatchError, check_export
from airflow_provider_arm.export.files.file_format import choose_shape
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, CUSTOMERS, GL_ITEMS, RecordType, select
from airflow_provider_arm.export.plan import ExportPlan
from airflow_provider_arm.export.run import run_export

NAMES = ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.gz", "a.csv.zst", "a.parquet", "a.gz.parquet"]


@pytest.fixture
def export(client, tmp_path):
    """Give a function that exports; it gives the manifest's path."""

    def run(name: str, operation: str = "list_ar_items", kind: RecordType = AR_ITEMS, **more: Any) -> Any:
        selection = select(kind, more.pop("columns", None), more.pop("mask", ()))
        plan = ExportPlan(kind, tmp_path / name, choose_shape(name), selection, **more)
        run_export(plan, client.page_source(operation, page_size=50), lambda: dt.datetime.now(dt.UTC))
        return tmp_path / f"{name}.manifest.json"

    return run


@pytest.mark.parametrize("name", NAMES)
def test_an_export_agrees_with_itself_in_every_format(export, name):
    """Plain and compressed: file and manifest agree, and each format says the same of the records."""
    said = check_export(export(name))
    plain = check_export(str(export("b.jsonl")))
    for fact in ("rows", "pages", "totals", "gl_totals", "dates", "key"):
        assert said[fact] == plain[fact]
    assert said["rows"] == 120
    assert said["totals"]["NOK"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
@pytest.mark.parametrize(
    ("operation", "kind"), [("list_customers", CUSTOMERS), ("list_gl_items", GL_ITEMS)], ids=["customers", "GL items"]
)
def test_every_list_can_be_checked(export, name, operation, kind):
    """Customers and GL items, too."""
    assert check_export(export(name, operation, kind))["rows"] > 10


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_what_is_not_in_the_file_is_not_asked_of_it(export, name):
    """Chosen columns and masked fields: what is left is checked."""
    assert check_export(export(name, columns=["kid", "currencyAmount"]))["rows"] == 120
    assert check_export(export(name, mask=["arItemId", "currency", "glAmount", "dueDate"]))["rows"] == 120


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.csv.gz"])
def test_an_empty_export_agrees(export, name):
    """No record is a result too."""
    assert check_export(export(name, filters={"customerno": "none"}))["rows"] == 0


def change(path: Any, **facts: Any) -> None:
    """Change what a manifest says."""
    path.write_bytes(money.encode({**money.decode(path.read_bytes()), **facts}))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
@pytest.mark.parametrize(
    ("fact", "value"),
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
def test_a_manifest_that_says_something_else_is_told(export, name, fact, value):
    """Each fact is found anew in the file; the message names the one that differs."""
    path = export(name)
    change(path, **{fact: value})
    with pytest.raises(ArmExportMismatchError, match=f"differ in .*{fact}"):
        check_export(path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["cut", "flip", "longer"])
def test_a_file_that_was_changed_is_told(export, name, damage):
    """A cut, a bit, a byte too many."""
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
def test_a_file_of_another_kind_under_a_true_checksum_is_told(export, name):
    """Whoever writes both anew still has to write records."""
    path = export(name)
    content = b"no records at all"
    path.with_name(name).write_bytes(content)
    change(path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ArmExportMismatchError, match="cannot be read as"):
        check_export(path)


def test_a_record_that_stands_there_twice_is_told(export):
    """Also where every count and checksum was written anew."""
    path = export("a.jsonl")
    lines = path.with_name("a.jsonl").read_bytes().splitlines(keepends=True)
    content = b"".join([*lines[:-1], lines[0]])
    path.with_name("a.jsonl").write_bytes(content)
    change(path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ArmExportMismatchError, match="the same arItemId twice"):
        check_export(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "no", '{"file":"a.jsonl"}'])
def test_what_is_no_manifest_is_told(tmp_path, text):
    """Whatever stands there."""
    (tmp_path / "a.jsonl.manifest.json").write_text(text)
    with pytest.raises(ArmExportMismatchError, match="cannot be read as a manifest"):
        check_export(tmp_path / "a.jsonl.manifest.json")
    with pytest.raises(ArmExportMismatchError, match=r"must end in \.manifest\.json"):
        check_export(tmp_path / "a.jsonl")


def test_a_manifest_is_plain_json(export):
    """Amounts are text, so that every reader has all their digits."""
    said = json.loads(export("a.parquet").read_bytes())
    assert all(isinstance(amount, str) for amounts in said["totals"].values() for amount in amounts.values())
    assert Decimal(said["totals"]["NOK"]["currencyBalance"]).as_tuple().exponent >= -4
