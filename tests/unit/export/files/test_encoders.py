from __future__ import annotations

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.http.messages import InvalidResponseError, Response
from airflow_provider_arm.client.models import ArItem, wire_names
from airflow_provider_arm.client.money import EXACT
from airflow_provider_arm.export.files import encoders
from airflow_provider_arm.export.files.encoders import (
    ArrowCsvEncoder,
    CsvEncoder,
    JsonLinesEncoder,
    ListSpec,
    ParquetEncoder,
    choose_encoder,
)
from airflow_provider_arm.export.files.file_format import FileFormat
from airflow_provider_arm.export.files.sinks import ChecksumFile
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, CUSTOMERS, GL_ITEMS, RecordType, select_fields
from tests.unit.export.sample_pages import AMOUNTS, answer, pages_of_items, text_answer

ALL = ListSpec(AR_ITEMS, "arItems", select_fields(AR_ITEMS))


def shape(columns: Any = None, mask: Any = (), kind: RecordType = AR_ITEMS, key: str = "arItems") -> ListSpec:
    """Choose fields."""
    return ListSpec(kind, key, select_fields(kind, columns, mask))


def written(format_: Any, *pages: Response) -> bytes:
    """Write pages to a file as an export does."""
    file = io.BytesIO()
    sink = format_.open_sink(ChecksumFile(file))
    for page in pages:
        sink.write(format_.encode(page).content.data)
        sink.commit()
    sink.finish()
    return file.getvalue()


def table_of(content: bytes) -> Any:
    """Read a Parquet file."""
    return pq.read_table(io.BytesIO(content))


def rows_of(content: bytes) -> list[list[str]]:
    """Read a CSV file as a user would."""
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


# ---- JSON lines


def test_jsonl_keeps_arms_own_bytes():
    """Blanks, key order, escapes, digits and unknown fields: a line is what ARM wrote."""
    records = [
        '{"b" : 1.10,"a":1e2, "arItemId":"\\u00e6 \\n","nytt":{"x":[ ]}}',
        '{"æ":"øå","arItemId":"2","big":123456789012345678.9000}',
    ]
    content = written(JsonLinesEncoder(ALL, None, validate_all_fields=False), text_answer(*records))
    assert content == "".join(record + "\n" for record in records).encode()


def test_a_record_over_several_lines_is_one_line():
    """Outside text a line break means nothing in JSON, and inside it is escaped."""
    record = '{\r\n  "arItemId": "a\\nb",\n  "n": 1\r\n}'
    content = written(
        JsonLinesEncoder(ALL, None, validate_all_fields=False), text_answer(record, record.replace('"a\\', '"c\\'))
    )
    assert content.count(b"\n") == 2
    assert json.loads(content.splitlines()[0]) == json.loads(record)


@settings(max_examples=50, deadline=None)
@given(pages_of_items, st.permutations(["kid", "arItemId", "nytt", "currencyAmount"]), st.integers(1, 4))
def test_chosen_fields_of_jsonl_are_arms_own_text_too(page, names, count):
    """In the order that was chosen; what a record does not have is not made up."""
    columns = names[:count]
    lines = written(JsonLinesEncoder(shape(columns), None, validate_all_fields=False), answer(page)).splitlines()
    assert [money.decode(line) for line in lines] == [{n: r[n] for n in columns if n in r} for r in page]
    assert [list(money.decode(line)) for line in lines] == [[n for n in columns if n in r] for r in page]


def test_a_masked_value_is_in_no_format():
    """The field is null, whatever it held; the others are untouched."""
    page = text_answer(
        '{"customerNo":"1","ssn":"01010112345","dateOfBirth":"2001-01-01","name":"Kari"}', key="customers"
    )
    list_ = shape(mask=["ssn", "dateOfBirth"], kind=CUSTOMERS, key="customers")
    lines = written(JsonLinesEncoder(list_, None, validate_all_fields=False), page)
    assert lines == b'{"customerNo":"1","ssn":null,"dateOfBirth":null,"name":"Kari"}\n'
    for kind in (CsvEncoder, ArrowCsvEncoder):
        [row] = csv.DictReader(io.StringIO(written(kind(list_, None), page).decode(), newline=""))
        assert (row["customerNo"], row["ssn"], row["dateOfBirth"], row["name"]) == ("1", "", "", "Kari")
    [record] = table_of(written(ParquetEncoder(list_, None), page)).to_pylist()
    assert (record["customerNo"], record["ssn"], record["dateOfBirth"], record["name"]) == ("1", None, None, "Kari")


@pytest.mark.parametrize("mask", [["SSN"], ["ssn", "nosuch"]])
def test_a_field_to_mask_that_is_none_is_refused(mask):
    """A typo must not show what it should hide."""
    with pytest.raises(ArmConfigurationError, match=r"mask: customers have no field (SSN|nosuch)"):
        select_fields(CUSTOMERS, None, mask)


# ---- CSV


@settings(max_examples=150, deadline=None)
@given(st.lists(pages_of_items, max_size=3), st.booleans(), st.integers(1, 30))
def test_arrow_and_python_write_the_same_csv(pages, known, count):
    """Whether pyarrow is installed changes not a byte and not a fact, whatever stands in the fields."""
    columns = list(wire_names(ArItem))[-count:] if known else ["nytt", "arItemId", *AMOUNTS, "transactionText"][:count]
    answers = [answer(page) for page in pages]
    plain, arrow = CsvEncoder(shape(columns), None), ArrowCsvEncoder(shape(columns), None)
    assert written(arrow, *answers) == written(plain, *answers)
    for page in answers:
        mine, other = arrow.encode(page).content.stats, plain.encode(page).content.stats
        assert (mine.rows, list(mine.keys), mine.ranges) == (other.rows, list(other.keys), other.ranges)
        assert (mine.totals, mine.gl_totals) == (other.totals, other.gl_totals)


@pytest.mark.parametrize("kind", [CsvEncoder, ArrowCsvEncoder])
@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("624.50", "624.50"),
        ("625", "625"),
        ("0.0000", "0.0000"),
        ("-0.10", "-0.10"),
        ("1.5E+3", "1.5E+3"),
        ("123456789012345.6789", "123456789012345.6789"),
        ("null", ""),
    ],
)
def test_an_amount_is_written_as_arm_wrote_it(kind, value, cell):
    """With every zero, in a CSV of either making."""
    page = text_answer(f'{{"arItemId":"1","currencyAmount":{value}}}')
    assert rows_of(written(kind(shape(["arItemId", "currencyAmount"]), None), page))[1:] == [["1", cell]]


@pytest.mark.parametrize("kind", [CsvEncoder, ArrowCsvEncoder])
@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ('"æøå"', "æøå"),
        ('"a\\r\\nb"', "a\r\nb"),
        ('"say \\"no\\""', 'say "no"'),
        ('"a,b;c"', "a,b;c"),
        ('"007"', "007"),
        ("true", "true"),
        ('{"x":1.10}', '{"x":1.10}'),
        ('["a",1.10,null]', '["a",1.10,null]'),
        ("9007199254740993", "9007199254740993"),
        ("null", ""),
    ],
)
def test_a_field_that_nobody_knows_is_written_as_it_is(kind, value, cell):
    """Text without its quotes, objects and lists as ARM's own JSON."""
    page = text_answer(f'{{"arItemId":"1","nytt":{value}}}')
    assert rows_of(written(kind(shape(["nytt", "arItemId"]), None), page)) == [["nytt", "arItemId"], [cell, "1"]]


@pytest.mark.parametrize("limit", ["5.10", '"5.10"', '"five, or so"', "1e400", "null"])
def test_a_number_that_is_not_added_up_is_written_as_it_is(limit):
    """Of either making, whatever ARM puts there: nothing depends on it."""
    list_ = shape(["customerNo", "limitAmount"], kind=CUSTOMERS, key="customers")
    page = text_answer(f'{{"customerNo":"1","limitAmount":{limit}}}', '{"customerNo":"2"}', key="customers")
    assert written(ArrowCsvEncoder(list_, None), page) == written(CsvEncoder(list_, None), page)


@pytest.mark.parametrize("kind", [CsvEncoder, ArrowCsvEncoder])
def test_csv_ends_its_lines_as_the_standard_says(kind):
    """RFC 4180: CRLF, and no byte order mark; without a record there is the header."""
    format_ = kind(shape(["arItemId", "kid"]), None)
    assert written(format_, text_answer('{"arItemId":"1"}')) == b"arItemId,kid\r\n1,\r\n"
    assert written(format_, text_answer()) == written(format_) == b"arItemId,kid\r\n"


def test_without_pyarrow_csv_is_written_by_python(monkeypatch):
    """The extra is for speed and Parquet, not for CSV."""
    assert isinstance(choose_encoder(ALL, FileFormat("csv")), ArrowCsvEncoder)
    monkeypatch.setitem(__import__("sys").modules, "airflow_provider_arm.export.pages.arrow", None)
    assert isinstance(choose_encoder(ALL, FileFormat("csv")), CsvEncoder)


def test_without_pyarrow_parquet_and_zstd_say_what_to_install(monkeypatch):
    """One sentence with the extra's name, before anything is asked of ARM."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    for wanted in (FileFormat("parquet"), FileFormat("jsonl", "zstd")):
        with pytest.raises(ArmConfigurationError, match=r"install airflow-provider-arm\[parquet\]"):
            choose_encoder(ALL, wanted)


# ---- Parquet


def test_parquet_has_types():
    """Amounts are decimals, days dates, moments timestamps with a zone; nested values are JSON text."""
    page = text_answer(
        '{"arItemId":"1","voucherDate":"2025-02-27","dueDate":"","currencyAmount":625,"currencyBalance":124.37,'
        '"glYear":2025,"createdTime":"2025-02-27T17:03:36.176+01:00"}'
    )
    table = table_of(written(ParquetEncoder(ALL, None), page))
    assert table.schema.names == list(wire_names(ArItem))
    [row] = table.to_pylist()
    assert row["currencyAmount"] == Decimal(625)
    assert row["currencyBalance"] == Decimal("124.37")
    assert (row["voucherDate"], row["dueDate"], row["glYear"]) == (dt.date(2025, 2, 27), None, 2025)
    assert row["createdTime"] == dt.datetime(2025, 2, 27, 16, 3, 36, 176000, tzinfo=dt.UTC)
    assert table.schema.field("createdTime").type == pa.timestamp("us", "UTC")
    assert table.schema.field("currencyAmount").type == pa.decimal128(19, 4)


@settings(max_examples=60, deadline=None)
@given(st.lists(pages_of_items, min_size=1, max_size=3))
def test_parquet_is_read_back_as_it_was(pages):
    """Text, whole numbers, dates and amounts of 15 digits and 4 places: the same values."""
    table = table_of(written(ParquetEncoder(ALL, None), *map(answer, pages)))
    records = [record for page in pages for record in page]
    assert table.num_rows == len(records)
    for row, record in zip(table.to_pylist(), records, strict=True):
        for name in (*AMOUNTS, "kid", "voucherType", "transactionText", "currency", "arItemId"):
            assert row[name] == record.get(name)
        assert str(row["voucherDate"] or "") == (record.get("voucherDate") or "")
        moment = record.get("createdTime")
        assert row["createdTime"] == (dt.datetime.fromisoformat(moment) if moment else None)


@pytest.mark.parametrize("kind", [ArrowCsvEncoder, ParquetEncoder])
@pytest.mark.parametrize(
    ("field", "name"),
    [
        ('"currencyAmount":"1.5"', "currencyAmount"),
        ('"currencyAmount":"1.12345678901"', "currencyAmount"),
        ('"glBalance":true', "glBalance"),
        ('"glBalance":1e400', "glBalance"),
        ('"glBalance":"null"', "glBalance"),
        ('"glYear":2025.5', "glYear"),
        ('"glYear":99999999999999999999', "glYear"),
        ('"kid":5', "kid"),
        ('"voucherDate":"27.02.2025"', "voucherDate"),
        ('"createdTime":"2025-02-27T17:03:36"', "createdTime"),
    ],
)
def test_a_value_that_does_not_fit_its_column_raises(kind, field, name):
    """Nothing is rounded, cut or left out; the message names the column and shows no value."""
    page = text_answer('{"arItemId":"1"}', f'{{"arItemId":"2",{field}}}')
    with pytest.raises(InvalidResponseError, match=name) as caught:
        kind(ALL, None).encode(page)
    assert field.split(":", 1)[1].strip('"') not in str(caught.value)


@pytest.mark.parametrize("field", ["kid", "nytt"])
@pytest.mark.parametrize("kind", [CsvEncoder, ArrowCsvEncoder, ParquetEncoder])
def test_bytes_that_are_no_text_are_in_no_table(kind, field):
    """A reader of the file would fail on them, or show what ARM never wrote."""
    body = b'{"summary":{},"arItems":[{"arItemId":"1","%b":"\xff"}]}' % field.encode()
    with pytest.raises(ValueError):  # noqa: PT011 - our own or msgspec's: no page either way
        kind(shape(["arItemId", field]), None).encode(Response(200, {}, body))


@pytest.mark.parametrize("kind", [CsvEncoder, ArrowCsvEncoder, JsonLinesEncoder])
@pytest.mark.parametrize("amount", ["1.12345678901", "99999999999999999999999999999.5", "-1E-12"])
def test_an_amount_of_more_digits_than_arrow_adds_up_is_added_up_by_python(kind, amount):
    """Ten of the largest would overflow Arrow's sum without a word."""
    more = {"validate_all_fields": False} if kind is JsonLinesEncoder else {}
    page = text_answer(
        *(f'{{"arItemId":"{n}","currency":"NOK","currencyAmount":{amount},"glBalance":{amount}}}' for n in range(10))
    )
    facts = kind(ALL, None, **more).encode(page).content.stats
    assert facts.totals["NOK"]["currencyAmount"] == facts.gl_totals["glBalance"] == EXACT.multiply(Decimal(amount), 10)


@pytest.mark.parametrize("amount", ["1.00001", "1000000000000000", "9999999999999999.9", "1E-5"])
def test_parquet_takes_money_of_its_own_size_only(amount):
    """15 digits before the point and 4 after it."""
    with pytest.raises(InvalidResponseError, match="currencyAmount that does not fit"):
        ParquetEncoder(ALL, None).encode(text_answer(f'{{"arItemId":"1","currencyAmount":{amount}}}'))


@pytest.mark.parametrize("kind", [JsonLinesEncoder, CsvEncoder, ArrowCsvEncoder, ParquetEncoder])
@pytest.mark.parametrize("absent", ['{"kid":"1"}', '{"arItemId":null}'])
def test_a_record_without_its_key_is_in_no_file(kind, absent):
    """Every format refuses it."""
    more = {"validate_all_fields": False} if kind is JsonLinesEncoder else {}
    with pytest.raises(InvalidResponseError, match="arItemId"):
        kind(ALL, None, **more).encode(text_answer(absent))


@pytest.mark.parametrize("kind", [JsonLinesEncoder, CsvEncoder, ArrowCsvEncoder, ParquetEncoder])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_moment_beyond_all_years_is_no_date(kind, moment):
    """Some programs write the first of all days for none; in UTC it lies before the year 1."""
    more = {"validate_all_fields": False} if kind is JsonLinesEncoder else {}
    page = text_answer(f'{{"arItemId":"1","createdTime":"{moment}"}}', '{"arItemId":"2"}')
    with pytest.raises(InvalidResponseError, match="createdTime that is no date"):
        kind(ALL, None, **more).encode(page)


# ---- the same for every list, body and compression


@pytest.mark.parametrize("key", ["arItems", "poster"])
@pytest.mark.parametrize("kind", [JsonLinesEncoder, CsvEncoder, ArrowCsvEncoder, ParquetEncoder])
def test_the_list_is_found_under_any_name(kind, key):
    """The one list beside the summary is taken, with the same result (Q8)."""
    more = {"validate_all_fields": False} if kind is JsonLinesEncoder else {}
    records = ['{"arItemId":"1","currencyAmount":5}', '{"arItemId":"2"}']
    found = kind(ALL, None, **more).encode(text_answer(*records, key=key)).content
    assert list(found.stats.keys) == ["1", "2"]
    assert written(kind(ALL, None, **more), text_answer(*records, key=key)) == written(
        kind(ALL, None, **more), text_answer(*records)
    )


@pytest.mark.parametrize("kind", [JsonLinesEncoder, CsvEncoder, ArrowCsvEncoder, ParquetEncoder])
def test_204_is_an_empty_page(kind):
    """An answer without content has no records."""
    more = {"validate_all_fields": False} if kind is JsonLinesEncoder else {}
    page = kind(ALL, None, **more).encode(Response(204, {}, b""))
    assert (page.rows, page.summary.total_count) == (0, 0)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"summary":{}}', b'{"summary":{},"arItems":7}', b'{"summary":{},"a']
)
@pytest.mark.parametrize("wanted", ["jsonl", "csv", "parquet"])
def test_what_is_no_page_is_a_value_error(wanted, body):
    """The client asks again, and then gives up, as for every unreadable answer."""
    with pytest.raises(ValueError):  # noqa: PT011 - any of them
        encoders.reject_deep_nesting(choose_encoder(ALL, FileFormat(wanted)))(Response(200, {}, body))


def test_a_list_without_a_model_has_text_columns():
    """What nobody knows is text in every table, and key and amounts are what the author said."""
    kind = RecordType("log items", key="id", gl_amounts=("cost",))
    list_ = shape(["id", "cost", "what"], kind=kind, key="records")
    page = text_answer('{"id":7,"cost":1.10,"what":{"a":1}}', '{"id":8,"what":"b"}', key="logItems")
    assert rows_of(written(ArrowCsvEncoder(list_, None), page)) == rows_of(written(CsvEncoder(list_, None), page))
    assert table_of(written(ParquetEncoder(list_, None), page)).to_pylist() == [
        {"id": "7", "cost": Decimal("1.1"), "what": '{"a":1}'},
        {"id": "8", "cost": None, "what": "b"},
    ]
    with pytest.raises(ArmConfigurationError, match="columns must be given: which fields log items have"):
        select_fields(kind).columns(kind)


@pytest.mark.parametrize("columns", [[], ["kid", "kid"]])
def test_columns_are_named_once(columns):
    """No column is an accident, and two of a name are one too many."""
    with pytest.raises(ArmConfigurationError, match="columns"):
        select_fields(AR_ITEMS, columns)


def test_every_list_knows_its_fields():
    """Key, currency, amounts and dates of each list are fields of its model."""
    for kind in (AR_ITEMS, CUSTOMERS, GL_ITEMS):
        names = {kind.key, *kind.all_amounts, *kind.dates, *kind.timestamps, *kind.low_cardinality}
        assert names <= set(kind.fields)
