"""Rejects file: nothing of a record is lost in it, and corrected it is a valid source."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.endpoints import to_wire
from airflow_provider_arm.client.models import CustomerWrite, Document
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.results.outcome import Reject
from airflow_provider_arm.submission.results.rejects_file import reject_lines
from tests.unit.submission.records import CUSTOMERS, customer, file_source
from tests.unit.submission.strategies import valid_records

values = st.text(max_size=10) | st.integers() | st.decimals(min_value=-(10**15), max_value=10**15, places=4)
plain = st.dictionaries(
    st.sampled_from(["customerNo", "name", "limitAmount", "nyttFelt"]), values | st.lists(values, max_size=3)
)


def make_rejects(records):
    """Build a reject per record."""
    return [Reject(7, "1", ("Name: no", 'More: "no"'), "U", record) for record in records]


def write_file(records, name, model):
    """Return the content of the rejects file."""
    return b"".join(reject_lines(make_rejects(records), name, model))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(plain, max_size=6))
def test_jsonl_file_is_a_source_with_the_same_records(tmp_path, records):
    """Reading it yields the same records, digit by digit, without the remarks."""
    lines = write_file(records, "rejects.jsonl", CustomerWrite)
    source = file_source(tmp_path / "rejects.jsonl", lines)
    assert [row.record for row in source.rows()] == records
    assert lines.count(b"\n") == len(records)


def test_remarks_come_first_in_a_line():
    """Row and reasons are at the start of the line, and amounts keep their digits."""
    reject = Reject(7, "1", ("Name: no",), None, {"customerNo": "1", "limitAmount": Decimal("1.10")})
    (line,) = reject_lines([reject], "rejects.jsonl", CustomerWrite)
    assert line == b'{"_row":7,"_reasons":["Name: no"],"_batch_uuid":null,"customerNo":"1","limitAmount":1.10}\n'


@pytest.mark.parametrize(("model", "resource"), [(CustomerWrite, "customers"), (Document, "documents")])
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_csv_file_has_each_record_in_its_cells_or_as_json(tmp_path, model, resource, data):
    """The cells of any valid record yield the same record on the wire, or are empty beside the record as JSON."""
    records = data.draw(st.lists(valid_records(model), max_size=4))
    text = write_file(records, "rejects.csv", model)
    rows = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
    source = file_source(tmp_path / "rejects.csv", text, resource)
    read = {row.number: row.record for row in source.rows()}
    assert len(rows) == len(records)
    for number, (row, record) in enumerate(zip(rows, records, strict=True), 1):
        assert (row["_row"], row["_reasons"], row["_batch_uuid"]) == ("7", 'Name: no | More: "no"', "U")
        if row["_record"]:
            assert money.decode(row["_record"]) == record
            assert read[number] == {}
        else:
            assert money.encode(to_wire(model, read[number])) == money.encode(to_wire(model, record))


def test_usual_customer_is_written_into_its_columns(tmp_path):
    """Groups with a dot, lists with a bar, exact amounts: editable in a spreadsheet, and valid as a source."""
    record = customer(
        1,
        limitAmount=Decimal("1500.50"),
        postalAddress={
            "addressLine1": "Storgata 1",
            "addressLine2": "",
            "addressLine3": "",
            "postalCode": "0155",
            "cityName": "Oslo",
            "countryText": "",
            "countryCode": "NO",
        },
    )
    text = write_file([record], "rejects.CSV", CustomerWrite)
    (row,) = csv.DictReader(io.StringIO(text.decode(), newline=""))
    assert (row["_record"], row["postalAddress.postalCode"], row["limitAmount"]) == ("", "0155", "1500.50")
    with prepare(file_source(tmp_path / "rejects.csv", text), CUSTOMERS, 5, "customerNo") as prepared:
        ((_, sent),) = prepared.chunks()
    assert money.decode(sent) == [to_wire(CustomerWrite, record)]


@pytest.mark.parametrize("name", ["rejects.jsonl", "rejects.csv"])
@pytest.mark.parametrize("value", [5.5, float("nan"), "half \ud800 pair", {1: [2.5]}], ids=repr)
def test_record_without_exact_encoding_is_written_as_text(name, value):
    """A value that was refused because it is not exact is in the file as text, so that users can see it."""
    lines = write_file([{"customerNo": "1", "limitAmount": value}], name, CustomerWrite).decode()
    assert str(value).encode(errors="replace").decode().strip("{}") in lines or "2.5" in lines


def test_file_without_model_has_the_keys_that_arm_names():
    """With bare batchUuids, the file has rows, reasons and keys."""
    text = write_file([{"customerNo": "1", "documentNo": "2"}], "rejects.csv", None).decode()
    assert text == '_row,_reasons,_batch_uuid,customerNo,documentNo,_record\n7,"Name: no | More: ""no""",U,1,2,\n'
