from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.export.pages.cells import (
    RAW_NUMBER,
    RAW_VALUE,
    TEXT,
    CellReader,
    ColumnTypeError,
    read_columns_strictly,
)
from airflow_provider_arm.export.pages.columns import PageColumns

MONEY = pa.decimal128(19, 4)
COLUMNS = {"t": TEXT, "w": RAW_NUMBER, "a": RAW_VALUE, "n": pa.int64(), "f": pa.bool_(), "m": MONEY}
#: Columns with raw values.
RAW = {"w": RAW_NUMBER, "a": RAW_VALUE}

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
numbers = st.integers(-(2**64), 2**64) | st.decimals(allow_nan=False, allow_infinity=False, places=3)
#: Any JSON values, whether they fit the column or not.
values = (
    st.none()
    | st.booleans()
    | st.sampled_from(["null", "true", "1", '"', "\\", "a\x1fb", "a\nb", ""])
    | words
    | numbers
    | st.lists(words, max_size=2)
)
#: Valid values of each column.
valid = {
    "t": st.none() | words,
    "w": st.none() | numbers,
    "a": values,
    "n": st.none() | st.integers(-(2**63), 2**63 - 1),
    "f": st.none() | st.booleans(),
    "m": st.none() | st.decimals(-(10**14), 10**14, places=4),
}


def split(page: list[str], to: Any = msgspec.Raw) -> list[Any]:
    """Decode records as a page is decoded."""
    return msgspec.json.decode(f"[{','.join(page)}]", type=list[to])


def read_raw(columns: dict[str, Any], page: list[str]) -> dict[str, list[Any]]:
    """Read raw columns by the fast reader, or else by the strict one."""
    reader = CellReader(columns)
    try:
        found = reader.read(split(page, reader.record))
    except (pa.ArrowException, ValueError):
        found = read_columns_strictly(columns, split(page))
    return as_values(found, columns)


def read_page(columns: dict[str, Any], page: list[str]) -> dict[str, list[Any]]:
    """Read columns from a page's text by the fast reader, or else by the strict one."""
    reader = PageColumns(columns, "x")
    try:
        found = reader.read(split(page, reader.record), f'{{"x":[{",".join(page)}]}}'.encode())
    except (pa.ArrowException, ValueError):
        found = reader.read_strictly(split(page))
    return as_values(found, columns)


def read_strictly(columns: dict[str, Any], page: list[str]) -> dict[str, list[Any]]:
    """Read columns by the strict reader."""
    return as_values(read_columns_strictly(columns, split(page)), columns)


def as_values(found: dict[str, Any], columns: dict[str, Any]) -> dict[str, list[Any]]:
    """Return columns as Python values."""
    return {name: found[name].to_pylist() for name in columns}


def outcome(reader: Any, *arguments: Any) -> Any:
    """Return the columns, or the name of the one that does not fit."""
    try:
        return reader(*arguments)
    except ColumnTypeError as error:
        return error.name


def text_of(record: dict[str, Any]) -> str:
    """Return the JSON text of a record."""
    return money.encode(record).decode()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional=valid), min_size=1, max_size=5), st.booleans())
def test_valid_values_are_read_unchanged(records, escaped):
    """Text, booleans, integers and money are equal; an raw number keeps its digits."""
    page = [text_of(record) for record in records]
    if escaped:  # as a server that only writes ASCII
        page = [
            text.encode("ascii", "namereplace").decode() if text.isascii() else _escape_non_ascii(text) for text in page
        ]
    found = read_page(COLUMNS, page)
    for name in ("t", "n", "f", "m"):
        assert found[name] == [record.get(name) for record in records]
    written = [record.get("w") for record in records]
    assert [text and Decimal(text) for text in found["w"]] == [None if one is None else Decimal(one) for one in written]


def _escape_non_ascii(text: str) -> str:
    """Escape characters outside of ASCII."""
    import json

    return "".join(json.dumps(one)[1:-1] if ord(one) > 127 else one for one in text)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(COLUMNS, values)), min_size=1, max_size=3))
def test_fast_and_strict_reader_agree_on_raw_columns(records):
    """For any JSON values, both return the same columns, or name one that does not fit."""
    page = [text_of(record) for record in records]
    fast, strict = outcome(read_raw, RAW, page), outcome(read_strictly, RAW, page)
    if isinstance(fast, str):
        assert isinstance(strict, str)
        assert isinstance(outcome(read_strictly, {fast: COLUMNS[fast]}, page), str)
    else:
        assert fast == strict


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(COLUMNS, values)), min_size=1, max_size=3),
    st.sets(st.sampled_from(list(COLUMNS)), min_size=1),
)
def test_fast_and_strict_reader_agree_on_pages(records, names):
    """For any JSON values and any columns, both return the same columns, or fail."""
    page, columns = [text_of(record) for record in records], {name: COLUMNS[name] for name in names}
    fast, strict = outcome(read_page, columns, page), outcome(read_strictly, columns, page)
    assert fast == strict or (isinstance(fast, str) and isinstance(strict, str))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(RAW)), st.lists(values, min_size=1, max_size=3))
def test_single_column_is_read_like_several(name, column):
    """A line break in the only field of a record could look like another record."""
    page, columns = [text_of({name: value}) for value in column], {name: COLUMNS[name]}
    assert outcome(read_raw, columns, page) == outcome(read_strictly, columns, page)


@pytest.mark.parametrize("nested", ['{\n  "x": 1\n}', "[1,\r\n2]", "[\t]", "{}"])
def test_multiline_object_is_one_cell(nested):
    """It is one cell between other columns, and if it is the only column."""
    page = [f'{{"a":{nested},"w":1.0}}', f'{{"w":2,"a":{nested}}}']
    for reader in (read_raw, read_page):
        assert reader(RAW, page) == {"w": ["1.0", "2"], "a": [nested, nested]}
        assert reader({"a": RAW_VALUE}, page) == {"a": [nested, nested]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("t", "5"),
        ("t", "true"),
        ("t", "[]"),
        ("w", '"5"'),
        ("n", '"5"'),
        ("n", "5.0"),
        ("n", "5e0"),
        ("n", str(2**63)),
        ("f", "1"),
        ("f", '"true"'),
        ("m", '"5"'),
        ("m", "1.00001"),
        ("m", str(10**15)),
        ("m", "1E15"),
        ("m", "1E35"),
        ("m", "1E128"),
        ("m", "340282366920938463463374607431768211457"),
    ],
)
def test_error_names_the_column_that_does_not_fit(name, value):
    """Text and numbers are distinguished, and no number is rounded or overflows."""
    page = ["{}", f'{{"{name}":{value}}}']
    for columns in (COLUMNS, {name: COLUMNS[name]}):
        for reader in (read_page, read_strictly):
            assert outcome(reader, columns, page) == name
    if name in RAW:
        assert outcome(read_raw, RAW, page) == name


@pytest.mark.parametrize("name", ["t", "a"])
def test_invalid_utf8_raises_for_every_column(name):
    """It is not replaced by another character."""
    record, columns = msgspec.Raw(b'{"%b":"\xff"}' % name.encode()), {name: COLUMNS[name]}
    page = PageColumns(columns, "x")
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec's own, Arrow's or ours
        page.read([msgspec.json.decode(record, type=page.record)], b'{"x":[%b]}' % bytes(record))
    with pytest.raises(ColumnTypeError):
        read_columns_strictly(columns, [record])


def test_record_that_is_not_an_object_raises():
    """The error concerns the page, not a column."""
    with pytest.raises(msgspec.DecodeError):
        read_strictly(COLUMNS, ["{}", "7"])
