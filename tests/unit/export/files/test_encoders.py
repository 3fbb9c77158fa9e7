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
from airflow_provider_arm.export.files.encoders import (
    ArrowCsvEncoder,
    CsvEncoder,
    JsonLinesEncoder,
    ListSpec,
    ParquetEncoder,
    choose_encoder,
)
from airflow_provider_arm.export.files.faulty_record import locate_faults
from airflow_provider_arm.export.files.file_format import FileFormat
from airflow_provider_arm.export.files.sinks import ChecksumFile
from airflow_provider_arm.export.pages.field_selection import FieldSelection, select_fields
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, CUSTOMERS, GL_ITEMS, RecordType
from tests.unit.export.sample_pages import AMOUNTS, answer, pages_of_items, text_answer

ALL = ListSpec(AR_ITEMS, "arItems", select_fields(AR_ITEMS))


def list_spec(columns: Any = None, mask: Any = (), kind: RecordType = AR_ITEMS, key: str = "arItems") -> ListSpec:
    """Build a list specification with the selected fields, which may be unknown ones."""
    return ListSpec(kind, key, FieldSelection(None if columns is None else tuple(columns), frozenset(mask)))


def encode_file(encoder: Any, *pages: Response) -> bytes:
    """Encode pages as an export does, and return the file's content."""
    file = io.BytesIO()
    sink = encoder.open_sink(ChecksumFile(file))
    for page in pages:
        sink.write(encoder.encode(page).data)
        sink.commit()
    sink.finish()
    return file.getvalue()


def read_parquet(content: bytes) -> Any:
    """Read a Parquet file."""
    return pq.read_table(io.BytesIO(content))


def read_csv(content: bytes) -> list[list[str]]:
    """Read a CSV file."""
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


# ---- JSON lines


def test_jsonl_lines_are_arms_own_bytes():
    """Spaces, key order, escapes, digits and unknown fields are unchanged."""
    records = [
        '{"b" : 1.10,"a":1e2, "arItemId":"\\u00e6 \\n","nytt":{"x":[ ]}}',
        '{"æ":"øå","arItemId":"2","big":123456789012345678.9000}',
    ]
    content = encode_file(JsonLinesEncoder(ALL, None), text_answer(*records))
    assert content == "".join(record + "\n" for record in records).encode()


def test_jsonl_writes_a_multiline_record_as_one_line():
    """JSON text cannot contain a line break that is not escaped."""
    record = '{\r\n  "arItemId": "a\\nb",\n  "n": 1\r\n}'
    content = encode_file(JsonLinesEncoder(ALL, None), text_answer(record, record.replace('"a\\', '"c\\')))
    assert content.count(b"\n") == 2
    assert json.loads(content.splitlines()[0]) == json.loads(record)


@settings(max_examples=50, deadline=None)
@given(pages_of_items, st.permutations(["kid", "arItemId", "nytt", "currencyAmount"]), st.integers(1, 4))
def test_jsonl_columns_are_arms_own_text_in_their_order(page, names, count):
    """Missing fields are not added."""
    columns = names[:count]
    lines = encode_file(JsonLinesEncoder(list_spec(columns), None), answer(page)).splitlines()
    assert [money.decode(line) for line in lines] == [{n: r[n] for n in columns if n in r} for r in page]
    assert [list(money.decode(line)) for line in lines] == [[n for n in columns if n in r] for r in page]


def test_masked_value_is_null_in_every_format():
    """The other fields are unchanged."""
    page = text_answer(
        '{"customerNo":"1","ssn":"01010112345","dateOfBirth":"2001-01-01","name":"Kari"}', key="customers"
    )
    list_ = list_spec(mask=["ssn", "dateOfBirth"], kind=CUSTOMERS, key="customers")
    lines = encode_file(JsonLinesEncoder(list_, None), page)
    assert lines == b'{"customerNo":"1","ssn":null,"dateOfBirth":null,"name":"Kari"}\n'
    for kind in (CsvEncoder, ArrowCsvEncoder):
        [row] = csv.DictReader(io.StringIO(encode_file(kind(list_, None), page).decode(), newline=""))
        assert (row["customerNo"], row["ssn"], row["dateOfBirth"], row["name"]) == ("1", "", "", "Kari")
    [record] = read_parquet(encode_file(ParquetEncoder(list_, None), page)).to_pylist()
    assert (record["customerNo"], record["ssn"], record["dateOfBirth"], record["name"]) == ("1", None, None, "Kari")


@pytest.mark.parametrize("argument", ["columns", "mask"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SSN", "did you mean ssn"),
        ("ssnn", "did you mean ssn"),
        ("date_of_birth", "did you mean dateOfBirth"),
        ("nmae", "did you mean name"),
        ("xyz", "its fields are customerNo, name"),
    ],
)
def test_unknown_field_raises_with_a_similar_one(argument, name, hint):
    """With a typo in its name, a column would be empty, and a field to mask would be exported."""
    with pytest.raises(ArmConfigurationError, match=f"{argument}: customers have no field {name}: {hint}"):
        select_fields(CUSTOMERS, **{argument: ["customerNo", name]})


# ---- CSV


@settings(max_examples=150, deadline=None)
@given(st.lists(pages_of_items, max_size=3), st.booleans(), st.integers(1, 30))
def test_csv_is_the_same_with_and_without_arrow(pages, known, count):
    """Both encoders return the same bytes and the same stats."""
    columns = list(wire_names(ArItem))[-count:] if known else ["nytt", "arItemId", *AMOUNTS, "transactionText"][:count]
    answers = [answer(page) for page in pages]
    plain, arrow = CsvEncoder(list_spec(columns), None), ArrowCsvEncoder(list_spec(columns), None)
    assert encode_file(arrow, *answers) == encode_file(plain, *answers)
    for page in answers:
        by_arrow, by_python = arrow.encode(page).stats, plain.encode(page).stats
        assert (by_arrow.rows, list(by_arrow.keys), by_arrow.ranges) == (
            by_python.rows,
            list(by_python.keys),
            by_python.ranges,
        )
        assert (by_arrow.totals, by_arrow.gl_totals) == (by_python.totals, by_python.gl_totals)


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
def test_csv_amount_is_arms_own_text(kind, value, cell):
    """Trailing zeros and exponents are unchanged."""
    page = text_answer(f'{{"arItemId":"1","currencyAmount":{value}}}')
    assert read_csv(encode_file(kind(list_spec(["arItemId", "currencyAmount"]), None), page))[1:] == [["1", cell]]


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
def test_csv_cell_of_an_unknown_field_is_its_text(kind, value, cell):
    """Text has no quotes, and objects and lists are ARM's own JSON."""
    page = text_answer(f'{{"arItemId":"1","nytt":{value}}}')
    assert read_csv(encode_file(kind(list_spec(["nytt", "arItemId"]), None), page)) == [
        ["nytt", "arItemId"],
        [cell, "1"],
    ]


@pytest.mark.parametrize("limit", ["5.10", '"5.10"', '"five, or so"', "1e400", "null"])
def test_csv_number_without_total_may_have_any_type(limit):
    """Both encoders write a limit as it is, because no total depends on it."""
    list_ = list_spec(["customerNo", "limitAmount"], kind=CUSTOMERS, key="customers")
    page = text_answer(f'{{"customerNo":"1","limitAmount":{limit}}}', '{"customerNo":"2"}', key="customers")
    assert encode_file(ArrowCsvEncoder(list_, None), page) == encode_file(CsvEncoder(list_, None), page)


@pytest.mark.parametrize("kind", [CsvEncoder, ArrowCsvEncoder])
def test_csv_lines_end_with_crlf(kind):
    """As RFC 4180 requires; there is no byte order mark, and a file without records has a header."""
    encoder = kind(list_spec(["arItemId", "kid"]), None)
    assert encode_file(encoder, text_answer('{"arItemId":"1"}')) == b"arItemId,kid\r\n1,\r\n"
    assert encode_file(encoder, text_answer()) == encode_file(encoder) == b"arItemId,kid\r\n"


def test_csv_needs_no_pyarrow(monkeypatch):
    """The extra is required for Parquet and zstd only."""
    assert isinstance(choose_encoder(ALL, FileFormat("csv")), ArrowCsvEncoder)
    monkeypatch.setitem(__import__("sys").modules, "airflow_provider_arm.export.pages.arrow", None)
    assert isinstance(choose_encoder(ALL, FileFormat("csv")), CsvEncoder)


def test_parquet_and_zstd_raise_without_pyarrow(monkeypatch):
    """The message names the extra."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    for name in (FileFormat("parquet"), FileFormat("jsonl", "zstd")):
        with pytest.raises(ArmConfigurationError, match=r"install airflow-provider-arm\[parquet\]"):
            choose_encoder(ALL, name)


# ---- Parquet


def test_parquet_columns_are_typed():
    """Amounts are decimals, dates are dates and timestamps have a time zone."""
    page = text_answer(
        '{"arItemId":"1","voucherDate":"2025-02-27","dueDate":"","currencyAmount":625,"currencyBalance":124.37,'
        '"glYear":2025,"createdTime":"2025-02-27T17:03:36.176+01:00"}'
    )
    table = read_parquet(encode_file(ParquetEncoder(ALL, None), page))
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
def test_parquet_values_equal_the_records(pages):
    """This holds for text, integers, dates and amounts of 15 digits and 4 places."""
    table = read_parquet(encode_file(ParquetEncoder(ALL, None), *map(answer, pages)))
    records = [record for page in pages for record in page]
    assert table.num_rows == len(records)
    for row, record in zip(table.to_pylist(), records, strict=True):
        for name in (*AMOUNTS, "kid", "voucherType", "transactionText", "currency", "arItemId"):
            assert row[name] == record.get(name)
        assert str(row["voucherDate"] or "") == (record.get("voucherDate") or "")
        timestamp = record.get("createdTime")
        assert row["createdTime"] == (dt.datetime.fromisoformat(timestamp) if timestamp else None)


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
def test_parquet_raises_with_the_column_when_a_value_has_another_type(field, name):
    """Nothing is rounded or truncated, and the message contains no value."""
    page = text_answer('{"arItemId":"1"}', f'{{"arItemId":"2",{field}}}')
    with pytest.raises(InvalidResponseError, match=name) as caught:
        ParquetEncoder(ALL, None).encode(page)
    assert field.split(":", 1)[1].strip('"') not in str(caught.value)


@pytest.mark.parametrize("text", ["2025-04-01", "2025-04-01T00:00:00", "2025-04-01T00:00:00.0000000"])
def test_parquet_keeps_a_date_with_midnight(text):
    """.NET has no type for a date without a time. With any other time it is an error."""
    [row] = read_parquet(
        encode_file(ParquetEncoder(ALL, None), text_answer(f'{{"arItemId":"1","dueDate":"{text}"}}'))
    ).to_pylist()
    assert str(row["dueDate"]) == "2025-04-01"
    with pytest.raises(InvalidResponseError, match="dueDate that does not fit"):
        ParquetEncoder(ALL, None).encode(text_answer('{"arItemId":"1","dueDate":"2025-04-01T00:00:01"}'))


@pytest.mark.parametrize(("text", "written"), [("36.1760000+01:00", "36.176000"), ("36.17643210Z", None)])
def test_parquet_keeps_a_timestamp_if_it_can_exactly(text, written):
    """.NET writes seven digits of a second, the column has six."""
    page = text_answer(f'{{"arItemId":"1","createdTime":"2025-02-27T17:03:{text}"}}')
    if written is None:
        with pytest.raises(InvalidResponseError, match="createdTime that does not fit"):
            ParquetEncoder(ALL, None).encode(page)
    else:
        [row] = read_parquet(encode_file(ParquetEncoder(ALL, None), page)).to_pylist()
        assert str(row["createdTime"]) == f"2025-02-27 16:03:{written}+00:00"


odd_values = st.sampled_from(
    ["5", '"5"', "2025.5", "1E3", "true", "null", "{}", '"0000-00-00"', '"2025-02-27T17:03:36"', '""', '"\\ud800"']
) | st.sampled_from(['"2025-02-27T17:03:36.1764321+01:00"', '"2025-02-27"', '"0001-01-01T00:00:00"', '"æ"', "99E99"])
odd_fields = st.sampled_from(
    ["arItemId", "kid", "glYear", "currency", "currencyAmount", "voucherDate", "createdTime", "nytt"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(odd_fields, odd_values), min_size=1, max_size=3), st.integers(1, 8))
def test_csv_is_the_same_with_and_without_arrow_when_values_are_odd(records, count):
    """Both encoders return the same bytes, or raise the same error."""
    texts = [
        "{" + ",".join(f'"{name}":{value}' for name, value in {"arItemId": f'"{number}"', **record}.items()) + "}"
        for number, record in enumerate(records)
    ]
    spec = list_spec(["nytt", "kid", "glYear", "currency", "currencyAmount", "voucherDate", "createdTime"][:count])
    results = []
    for kind in (CsvEncoder, ArrowCsvEncoder):
        try:
            page = locate_faults(kind(spec, None), spec)(text_answer(*texts))
            results.append((page.data, page.stats))
        except InvalidResponseError as error:
            results.append(str(error))
    assert results[0] == results[1]


@pytest.mark.parametrize("kind", [CsvEncoder, ArrowCsvEncoder, JsonLinesEncoder])
@pytest.mark.parametrize("amount", ["1.12345678901", "99999999999999999999999999999.5", "-1E-12"])
def test_totals_of_amounts_with_many_digits_are_exact(kind, amount):
    """Ten of the largest would overflow Arrow's sum without an error."""
    page = text_answer(
        *(f'{{"arItemId":"{n}","currency":"NOK","currencyAmount":{amount},"glBalance":{amount}}}' for n in range(10))
    )
    stats = kind(ALL, None).encode(page).stats
    assert stats.totals["NOK"]["currencyAmount"] == stats.gl_totals["glBalance"] == EXACT.multiply(Decimal(amount), 10)


@pytest.mark.parametrize("amount", ["1.00001", "1000000000000000", "9999999999999999.9", "1E-5"])
def test_parquet_raises_when_amount_exceeds_the_column(amount):
    """The column has 15 digits before the decimal point and 4 after it."""
    with pytest.raises(InvalidResponseError, match="currencyAmount that does not fit"):
        ParquetEncoder(ALL, None).encode(text_answer(f'{{"arItemId":"1","currencyAmount":{amount}}}'))


@pytest.mark.parametrize("kind", [JsonLinesEncoder, CsvEncoder, ArrowCsvEncoder, ParquetEncoder])
@pytest.mark.parametrize("absent", ['{"kid":"1"}', '{"arItemId":null}'])
def test_record_without_key_raises(kind, absent):
    """This holds for every format."""
    with pytest.raises(InvalidResponseError, match="arItemId"):
        kind(ALL, None).encode(text_answer(absent))


@pytest.mark.parametrize("kind", [JsonLinesEncoder, CsvEncoder, ArrowCsvEncoder, ParquetEncoder])
@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_timestamp_outside_of_python_years_is_no_date(kind, timestamp):
    """Some programs write year 1 for no date; in UTC it may be before that."""
    page = text_answer(f'{{"arItemId":"1","createdTime":"{timestamp}"}}', '{"arItemId":"2"}')
    if kind is ParquetEncoder:
        with pytest.raises(InvalidResponseError, match="createdTime that is not a date"):
            kind(ALL, None).encode(page)
    else:
        assert kind(ALL, None).encode(page).stats.invalid_dates == {"createdTime"}


# ---- every format


@pytest.mark.parametrize("key", ["arItems", "poster"])
@pytest.mark.parametrize("kind", [JsonLinesEncoder, CsvEncoder, ArrowCsvEncoder, ParquetEncoder])
def test_list_may_have_another_key(kind, key):
    """The only list beside the summary is read, with the same result (Q8)."""
    records = ['{"arItemId":"1","currencyAmount":5}', '{"arItemId":"2"}']
    found = kind(ALL, None).encode(text_answer(*records, key=key))
    assert list(found.stats.keys) == ["1", "2"]
    assert encode_file(kind(ALL, None), text_answer(*records, key=key)) == encode_file(
        kind(ALL, None), text_answer(*records)
    )


@pytest.mark.parametrize("kind", [JsonLinesEncoder, CsvEncoder, ArrowCsvEncoder, ParquetEncoder])
def test_response_204_is_an_empty_page(kind):
    """A response without content has no records."""
    page = kind(ALL, None).encode(Response(204, {}, b""))
    assert (page.rows, page.summary.total_count) == (0, 0)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"summary":{}}', b'{"summary":{},"arItems":7}', b'{"summary":{},"a']
)
@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet"])
def test_invalid_page_raises_value_error(name, body):
    """The client then retries, as for every invalid response."""
    with pytest.raises(ValueError):  # noqa: PT011 - any of them
        locate_faults(choose_encoder(ALL, FileFormat(name)), ALL)(Response(200, {}, body))


def test_list_without_model_has_text_columns():
    """Only the key and the amounts that the author named have types."""
    kind = RecordType("log items", key="id", gl_amounts=("cost",))
    list_ = list_spec(["id", "cost", "what"], kind=kind, key="records")
    page = text_answer('{"id":7,"cost":1.10,"what":{"a":1}}', '{"id":8,"what":"b"}', key="logItems")
    assert read_csv(encode_file(ArrowCsvEncoder(list_, None), page)) == read_csv(
        encode_file(CsvEncoder(list_, None), page)
    )
    assert read_parquet(encode_file(ParquetEncoder(list_, None), page)).to_pylist() == [
        {"id": "7", "cost": Decimal("1.1"), "what": '{"a":1}'},
        {"id": "8", "cost": None, "what": "b"},
    ]
    with pytest.raises(ArmConfigurationError, match="columns are required: the fields of log items"):
        select_fields(kind).columns(kind)


@pytest.mark.parametrize("columns", [[], ["kid", "kid"]])
def test_empty_or_duplicate_columns_raise(columns):
    """The message names the argument."""
    with pytest.raises(ArmConfigurationError, match="columns"):
        select_fields(AR_ITEMS, columns)


def test_record_types_name_fields_of_their_models():
    """This holds for key, currency, amounts and dates."""
    for kind in (AR_ITEMS, CUSTOMERS, GL_ITEMS):
        names = {kind.key, *kind.all_amounts, *kind.dates, *kind.timestamps, *kind.low_cardinality}
        assert names <= set(kind.fields)
