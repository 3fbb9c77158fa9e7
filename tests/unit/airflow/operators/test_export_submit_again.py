"""Export customers, edit the file, and submit it again: the recipe of docs/exports.md, against the sandbox."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmFailException
from airflow_provider_arm.export import check_export
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.export import CustomerExportOperator

if TYPE_CHECKING:
    from pathlib import Path

#: A new value of each kind: text, a number, a field of a group, and a list.
EDITS = {
    "phoneNo": "55512345",
    "dueDays": 21,
    "postalAddress.cityName": "Bodø",
    "emailAddressDocument": ["a@b.no", "c@d.no"],
}
ADDRESS = ["addressLine1", "addressLine2", "addressLine3", "postalCode", "cityName", "countryText", "countryCode"]
FILES = ["c.csv", "c.jsonl", "c.parquet"]


def export(path: Path, context: dict[str, Any], **arguments: Any) -> None:
    """Export customers."""
    CustomerExportOperator(task_id="export", path=str(path), page_size=3, **arguments).execute(context)
    check_export(f"{path}.manifest.json")


def read_all(folder: Path, context: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the customers in ARM by their number."""
    export(folder / "all.jsonl", context)
    lines = (folder / "all.jsonl").read_text(encoding="utf-8").splitlines()
    return {record["customerNo"]: record for record in map(json.loads, lines)}


def submit(path: Path, context: dict[str, Any]) -> dict[str, Any]:
    """Submit a file as an update, and wait for the result."""
    return BatchSubmitOperator(
        task_id="submit",
        resource="customers",
        action="update",
        source=str(path),
        wait_for_completion=True,
        deferrable=False,
        poll_interval=0.01,
    ).execute(context)


def edit_csv(path: Path) -> None:
    """Edit the first customer, as a spreadsheet or a script would."""
    [header, first, *rest] = csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
    for name, value in EDITS.items():
        first[header.index(name)] = "|".join(value) if isinstance(value, list) else str(value)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, first, *rest])


def edit_jsonl(path: Path) -> None:
    """Edit the first customer."""
    [first, *rest] = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    for name, value in EDITS.items():
        *groups, field = name.split(".")
        (first[groups[0]] if groups else first)[field] = value
    path.write_text("".join(json.dumps(record) + "\n" for record in (first, *rest)), encoding="utf-8")


def edit_parquet(path: Path) -> None:
    """Edit the first customer; the types of the columns stay."""
    table = pq.read_table(path)
    [first, *rest] = table.to_pylist()
    pq.write_table(pa.Table.from_pylist([first | EDITS, *rest], schema=table.schema), path)


@pytest.fixture
def customers(arm_sandbox, arm_connection, first_try, tmp_path):
    """Return the customers in ARM before the edit, with every kind of value."""
    records = [
        {
            "customerNo": "70001",
            "name": '=Bjørn; Åse, "AS"',
            "phoneNo": "+47 1",
            "dueDays": 14,
            "discountRate": Decimal("2.5"),
            "dateOfBirth": "1980-02-29",
            "vatLiable": True,
            "postalAddress": dict.fromkeys(ADDRESS, "")
            | {"cityName": "Oslo", "postalCode": "0150", "countryCode": "NO"},
            "emailAddressDocument": ["x@y.no"],
            "distribution": {"type": "email", "einvoiceCode": 1},
        },
        {"customerNo": "70002", "name": "Kari", "postalAddress": dict.fromkeys(ADDRESS, "") | {"cityName": "Moss"}},
        {"customerNo": "70003", "name": "Ola"},
    ]
    BatchSubmitOperator(
        task_id="seed",
        resource="customers",
        records=records,
        wait_for_completion=True,
        deferrable=False,
        poll_interval=0.01,
    ).execute(first_try)
    return read_all(tmp_path, first_try)


@pytest.mark.parametrize(("name", "dialect"), [*((name, None) for name in FILES), ("c.csv", "excel")])
def test_export_is_submitted_again_without_a_change(customers, make_context, tmp_path, name, dialect):
    """Every customer is accepted, and is the same as before."""
    export(tmp_path / name, make_context(), columns="submittable", csv_dialect=dialect)
    result = submit(tmp_path / name, make_context())
    assert (result["accepted"], result["rejected"]) == (len(customers), 0)
    assert read_all(tmp_path, make_context()) == customers


@pytest.mark.parametrize(("name", "edit"), [("c.csv", edit_csv), ("c.jsonl", edit_jsonl), ("c.parquet", edit_parquet)])
def test_edited_export_changes_only_what_was_edited(customers, make_context, tmp_path, name, edit):
    """Of the first customer in the file; all others stay as they were."""
    path = tmp_path / name
    export(path, make_context(), columns="submittable", filters={"customerno": "70001"})
    edit(path)
    assert submit(path, make_context())["accepted"] == 1
    changed = read_all(tmp_path, make_context())
    before = customers.pop("70001")
    address = {**before["postalAddress"], "cityName": EDITS["postalAddress.cityName"]}
    edits = {name: value for name, value in EDITS.items() if "." not in name}
    after = changed.pop("70001")
    assert {name: after[name] for name in before} == {**before, **edits, "postalAddress": address}
    assert changed == customers


def test_log_names_the_read_only_fields(customers, make_context, tmp_path, caplog):
    """The file has the fields that can be submitted, and no others."""
    caplog.set_level("INFO")
    export(tmp_path / "c.csv", make_context(), columns="submittable")
    columns = json.loads((tmp_path / "c.csv.manifest.json").read_text())["columns"]
    assert {"customerNo", "postalAddress.cityName", "distribution.type"} <= set(columns)
    assert "columns='submittable': without clientNo, accountNo, " in caplog.text
    assert not {"clientNo", "accountNo", "usingLanguage", "postalAddress"} & set(columns)


@pytest.mark.parametrize("name", FILES)
def test_masked_fields_are_not_in_a_submittable_file(customers, make_context, tmp_path, name):
    """A masked group with all its fields, too; ARM keeps what is null."""
    export(tmp_path / name, make_context(), columns="submittable", mask=["name", "postalAddress", "clientNo"])
    content = (tmp_path / name).read_bytes()
    assert b"Oslo" not in content
    assert b"Kari" not in content
    assert submit(tmp_path / name, make_context())["rejected"] == 0
    assert read_all(tmp_path, make_context()) == customers


def test_other_lists_cannot_be_submitted_again():
    """Documents would be created a second time."""
    with pytest.raises(ArmConfigurationError, match="columns='submittable' is for customers: AR items cannot be"):
        ArItemExportOperator(task_id="export", path="a.csv", columns="submittable")


def test_error_of_a_read_only_field_names_the_recipe(customers, make_context, tmp_path):
    """An export of all fields is refused before anything is sent."""
    export(tmp_path / "c.jsonl", make_context())
    with pytest.raises(ArmFailException, match=r"read-only in ARM: .*columns='submittable'"):
        submit(tmp_path / "c.jsonl", make_context())
