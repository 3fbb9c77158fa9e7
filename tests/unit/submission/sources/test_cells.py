from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sources.cells import read_local_amount, read_value
from airflow_provider_arm.submission.sources.field_types import FieldKind
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.records import CUSTOMERS, file_source

if TYPE_CHECKING:
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.sources.source import Source

DOCS = Path(__file__).parents[4] / "docs" / "submitting.md"


def sent(source: Source, operation: Operation = CUSTOMERS) -> list[dict[str, Any]]:
    """Return the records as they would be sent."""
    with prepare(source, operation, 100, "customerNo") as prepared:
        return [record for _, chunk in prepared.chunks() for record in json.loads(chunk, parse_float=Decimal)]


# ---- the table of the rules


def rules() -> list[tuple[FieldKind, str, bool]]:
    """Return kind, value and whether it is read, of each example in the table of the documentation."""
    table = DOCS.read_text("utf-8").partition("| kind of field | read | refused |")[2]
    found = []
    for line in table.partition("\n\n")[0].splitlines()[2:]:
        name, *cells = line.strip("| ").split(" | ")
        for cell, is_read in zip(cells, (True, False), strict=True):
            found += [(FieldKind(name), example, is_read) for example in re.findall(r"`([^`]+)`", cell)]
    return found


@pytest.mark.parametrize(("kind", "text", "is_read"), rules())
def test_examples_in_the_documentation_are_read_or_refused(kind, text, is_read):
    """The table in docs/submitting.md is what the code does."""
    read = read_local_amount if kind is FieldKind.AMOUNT else lambda value: read_value(kind, value)
    if is_read:
        read(text)
        return
    with pytest.raises(ValueError, match=r"^\D") as caught:
        read(text)
    assert len(text) < 6 or text not in str(caught.value)  # the sentences have examples such as #N/A


def test_every_kind_of_field_is_in_the_documentation():
    """With examples of what is read and of what is refused."""
    kinds = {(kind, is_read) for kind, _, is_read in rules()}
    assert kinds == {(kind, is_read) for kind in FieldKind for is_read in (True, False)}


# ---- one rule, four ways in

DAMAGE = [
    *[("bankAccountNo", value) for value in ("1.23457E+11", "2,02601E+11", "1e+20", "1E11", "12345.0", "'00123")],
    *[
        ("bankAccountNo", value)
        for value in ('="00123"', "#N/A", "#REF!", "Err:502", "nan", "NULL", "None", "NaT", "n/a")
    ],
    *[
        ("customerNo", value)
        for value in ("<NA>", "1 ", "\u00a01", "1\u200b", "\ufeff1", "1\t", "1\u00ad2", "customerNo", "\uff11\uff12")
    ],
    *[
        ("limitAmount", value)
        for value in ("1.23E+05", "12_50", "\uff11\uff12.50", "1,250.00", "kr 100", "(100)", "100-", "NaN")
    ],
    *[
        ("dateOfBirth", value)
        for value in ("31.12.25", "12/31/2025", "45992", "2025-12-31 10:00:00", "2025-12-31T00:00:00Z")
    ],
    *[("vatLiable", value) for value in ("kanskje", "2", "#N/A")],
    *[("dueDays", value) for value in ("14.5", "1E+01", "1_4", "\uff11\uff14")],
    *[("name", value) for value in ("Ola\x00", "a\x0bb", "\x1b[0m", "#REF!", '="A1"')],
    *[("emailAddressDocument", value) for value in ("a@x.no;b@x.no", "a@x.no, b@x.no", "a@x.no\nb@x.no")],
]


@pytest.mark.parametrize(("field", "value"), DAMAGE)
def test_damaged_value_is_refused_by_row_and_column_in_every_format(tmp_path, field, value):
    """In .csv, .jsonl and .parquet files and in records, by the same rule, and without the value."""
    cell = [value] if field == "emailAddressDocument" else value
    rows: list[dict[str, Any]] = [{"customerNo": "1", "name": "Kari"}, {"customerNo": "2", "name": "Ola", field: cell}]
    text = io.StringIO()
    csv.writer(text).writerows(
        [rows[1], [rows[0].get(name, "") for name in rows[1]], (rows[1] | {field: value}).values()]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.Table.from_pylist(rows[1:]).schema), tmp_path / "a.parquet")
    sources = [
        ListSource(rows),
        file_source(tmp_path / "a.csv", text.getvalue()),
        file_source(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
        file_source(tmp_path / "b.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)),
        file_source(tmp_path / "a.parquet", (tmp_path / "a.parquet").read_bytes()),
    ]
    for source in sources:
        with pytest.raises(SourceError) as caught:
            sent(source)
        assert f"1 row is invalid and nothing was sent: row 2, column {field}" in str(caught.value), source.name


@pytest.mark.parametrize("value", ["nan", "NaN", "None", "NULL", "null", "<NA>"])
def test_word_for_a_missing_value_is_text_only_in_json(tmp_path, value):
    """JSON has a null of its own. Null with a capital letter is a name everywhere."""
    assert sent(file_source(tmp_path / "a.jsonl", json.dumps({"customerNo": "1", "name": value})))[0]["name"] == value
    for source in (
        ListSource([{"customerNo": "1", "name": value}]),
        file_source(tmp_path / "a.csv", f"customerNo;name\n1;{value}\n"),
    ):
        with pytest.raises(SourceError, match="row 1, column name: is a word for a missing value"):
            sent(source)
    assert sent(ListSource([{"customerNo": "1", "name": "Null"}]))[0]["name"] == "Null"


@pytest.mark.parametrize("value", [10001, 10001.0, float("nan")])
def test_number_in_an_identifier_is_refused(tmp_path, value):
    """It has no leading zeros, and a float may have lost digits."""
    pq.write_table(pa.table({"customerNo": ["1"], "bankAccountNo": [value]}), tmp_path / "a.parquet")
    for source in (
        ListSource([{"customerNo": "1", "bankAccountNo": value}]),
        file_source(tmp_path / "a.parquet", (tmp_path / "a.parquet").read_bytes()),
    ):
        with pytest.raises(SourceError, match=r"row 1, column bankAccountNo: (must be text|is a word)"):
            sent(source)


def test_date_and_time_at_midnight_is_read_as_a_date():
    """As pandas has it. Another time, or a time zone, is refused."""
    [record] = sent(ListSource([{"customerNo": "1", "dateOfBirth": dt.datetime(1980, 12, 31)}]))  # noqa: DTZ001
    assert record["dateOfBirth"] == "1980-12-31"
    for value in (dt.datetime(1980, 12, 31, 1), dt.datetime(1980, 12, 31, tzinfo=dt.UTC)):  # noqa: DTZ001
        with pytest.raises(SourceError, match="row 1, column dateOfBirth: must be a date"):
            sent(ListSource([{"customerNo": "1", "dateOfBirth": value}]))


def test_numbers_with_exponents_in_json_are_exact(tmp_path):
    """JSON has no other notation for them."""
    source = file_source(tmp_path / "a.jsonl", '{"customerNo":"1","limitAmount":1.5e3}\n')
    assert sent(source) == [{"customerNo": "1", "limitAmount": Decimal("1.5e3")}]


def test_control_characters_are_refused_at_any_depth():
    """In fields that are not in the model, too."""
    record = {"customerNo": "1", "more": [{"deep": "a\x00"}], "postalAddress": {"cityName": "\x01"}}
    with pytest.raises(SourceError) as caught:
        sent(ListSource([record]))
    assert "column more.0.deep: contains a control character" in str(caught.value)
    assert "column postalAddress.cityName: contains a control character" in str(caught.value)
    assert sent(ListSource([{"customerNo": "1", "name": "a\tb\r\nc"}]))[0]["name"] == "a\tb\r\nc"


# ---- spreadsheets, pandas and Spark

identifiers = st.from_regex(r"[0-9]{1,20}", fullmatch=True) | st.from_regex(r"(INV-|K|A1/)[0-9]{1,6}", fullmatch=True)
amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=2)
records = st.fixed_dictionaries(
    {
        "customerNo": identifiers,
        "name": st.sampled_from(["Kari Test", "Bjørn Åsen AS", "1", "Null", "2E5", "TRUE"]),
        "bankAccountNo": identifiers,
        "dateOfBirth": st.dates(dt.date(1900, 3, 1), dt.date(2099, 12, 31)),
        "limitAmount": amounts,
        "vatLiable": st.booleans(),
        "dueDays": st.integers(0, 120),
    }
)


def _general(number: str, comma: str) -> str:
    """Return a number as Excel's general format shows it, in a cell of eleven characters."""
    value = Decimal(number)
    if len(number) <= 11 and abs(value) < 10**11:
        return f"{value.normalize():f}".replace(".", comma)
    text = f"{value:.5E}" if len(number) > 11 else f"{value:f}"
    return text.replace(".", comma)


def _excel(value: Any, draw: Any, comma: str) -> str:
    """Return the cell that Excel may write for a value that it has read as its own."""
    if isinstance(value, bool):
        return draw(st.sampled_from([("TRUE", "FALSE"), ("SANN", "USANN")]))[not value]
    if isinstance(value, Decimal):
        grouped = f"{value:,.2f}".replace(",", draw(st.sampled_from(["\u00a0", " ", "\u202f"]))).replace(".", comma)
        return draw(st.sampled_from([_general(f"{value:f}", comma), f"{value:f}".replace(".", comma), grouped]))
    if isinstance(value, dt.date):
        forms = [value.isoformat(), f"{value:%d.%m.%Y}", f"{value} 00:00:00", str((value - dt.date(1899, 12, 30)).days)]
        return draw(st.sampled_from(forms))
    text = str(value)
    return draw(st.sampled_from([text, _general(text, comma), f'="{text}"', f"'{text}"])) if text.isdigit() else text


def _pandas(value: Any, draw: Any) -> str:
    """Return the text that pandas or Spark may write for a value of a column that it has read as numbers."""
    text = value.isoformat() if isinstance(value, dt.date) else str(value)
    forms = [text, "nan", "None", "NULL", "NaT", "<NA>"]
    if text.isdigit():
        forms += [f"{text}.0", repr(float(text)), f"{float(text):.6g}", f"{float(text):.10E}".replace("E+", "E")]
    if isinstance(value, dt.date):
        forms += [f"{text} 00:00:00", f"{text}T00:00:00.000", f"{text}T00:00:00.000Z"]
    return draw(st.sampled_from(forms))


def _expected(record: dict[str, Any]) -> dict[str, Any]:
    return record | {"dateOfBirth": record["dateOfBirth"].isoformat()}


def _assert_same_or_refused(source: Source, record: dict[str, Any]) -> None:
    message = None
    try:
        [found] = sent(source)
    except SourceError as error:
        message = str(error)
    if message is not None:
        assert re.search(r"row 1, column \w+: ", message), message
        return
    # A number without its leading zeros is another identifier, but nothing shows it: Excel's "00123" is "123".
    for name in ("customerNo", "bankAccountNo"):
        if record[name].isdigit():
            found[name], record = found[name].lstrip("0"), record | {name: record[name].lstrip("0")}
    assert found == _expected(record)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(record=records, data=st.data())
def test_csv_file_of_a_spreadsheet_gives_the_same_record_or_a_refusal(tmp_path, record, data):
    """Norwegian and English Excel: numbers in its general format, dates, flags, groups, text markers."""
    separator, comma = data.draw(st.sampled_from([(";", ","), (",", "."), ("\t", ",")]))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\r\n")
    writer.writerows([record, [_excel(value, data.draw, comma) for value in record.values()]])
    content = data.draw(st.sampled_from(["", "\ufeff", f"sep={separator}\r\n"])) + text.getvalue()
    _assert_same_or_refused(file_source(tmp_path / "a.csv", content), record)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(record=records, data=st.data())
def test_text_of_pandas_and_spark_gives_the_same_record_or_a_refusal(tmp_path, record, data):
    """In .csv, .jsonl and .parquet files and in records: floats, and words for missing values."""
    texts = {name: _pandas(value, data.draw) for name, value in record.items() if name != "name"}
    texts["name"] = record["name"]
    form = data.draw(st.sampled_from(["csv", "jsonl", "parquet", "records"]))
    source: Source = ListSource([texts])
    if form == "csv":
        source = file_source(tmp_path / "a.csv", ",".join(texts) + "\n" + ",".join(texts.values()) + "\n")
    elif form == "jsonl":
        source = file_source(tmp_path / "a.jsonl", json.dumps(texts))
    elif form == "parquet":
        pq.write_table(pa.Table.from_pylist([texts]), tmp_path / "a.parquet")
        source = file_source(tmp_path / "a.parquet", (tmp_path / "a.parquet").read_bytes())
    _assert_same_or_refused(source, record)
