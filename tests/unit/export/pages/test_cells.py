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
#: Those that are cut out as they stand.
CUT = {"w": RAW_NUMBER, "a": RAW_VALUE}

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
numbers = st.integers(-(2**64), 2**64) | st.decimals(allow_nan=False, allow_infinity=False, places=3)
#: Whatever JSON may hold, whether it fits the column or not.
values = (
    st.none()
    | st.booleans()
    | st.sampled_from(["null", "true", "1", '"', "\\", "a\x1fb", "a\nb", ""])
    | words
    | numbers
    | st.lists(words, max_size=2)
)
#: What fits each column.
fitting = {
    "t": st.none() | words,
    "w": st.none() | numbers,
    "a": values,
    "n": st.none() | st.integers(-(2**63), 2**63 - 1),
    "f": st.none() | st.booleans(),
    "m": st.none() | st.decimals(-(10**14), 10**14, places=4),
}


def split(page: list[str], to: Any = msgspec.Raw) -> list[Any]:
    """Split records as a page is split."""
    return msgspec.json.decode(f"[{','.join(page)}]", type=list[to])


def read(columns: dict[str, Any], page: list[str]) -> dict[str, list[Any]]:
    """Read what is cut out of the records, with care where that is needed."""
    reader = CellReader(columns)
    try:
        found = reader.read(split(page, reader.record))
    except (pa.ArrowException, ValueError):
        found = read_columns_strictly(columns, split(page))
    return as_values(found, columns)


def read_page(columns: dict[str, Any], page: list[str]) -> dict[str, list[Any]]:
    """Read columns from a page's text, with care where that is needed."""
    reader = PageColumns(columns, "x")
    try:
        found = reader.read(split(page, reader.record), f'{{"x":[{",".join(page)}]}}'.encode())
    except (pa.ArrowException, ValueError):
        found = reader.read_strictly(split(page))
    return as_values(found, columns)


def alone(columns: dict[str, Any], page: list[str]) -> dict[str, list[Any]]:
    """Read columns with care only."""
    return as_values(read_columns_strictly(columns, split(page)), columns)


def as_values(found: dict[str, Any], columns: dict[str, Any]) -> dict[str, list[Any]]:
    """Give columns as Python's values."""
    return {name: found[name].to_pylist() for name in columns}


def outcome(way: Any, *arguments: Any) -> Any:
    """Give what comes, or the column that does not fit."""
    try:
        return way(*arguments)
    except ColumnTypeError as error:
        return error.name


def text_of(record: dict[str, Any]) -> str:
    """Write a record."""
    return money.encode(record).decode()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional=fitting), min_size=1, max_size=5), st.booleans())
def test_what_fits_is_read_as_it_was(records, escaped):
    """Text, flags, whole numbers and money come back; a number that is only written keeps its digits."""
    page = [text_of(record) for record in records]
    if escaped:  # as servers write that are shy of anything but ASCII
        page = [text.encode("ascii", "namereplace").decode() if text.isascii() else _ascii(text) for text in page]
    found = read_page(COLUMNS, page)
    for name in ("t", "n", "f", "m"):
        assert found[name] == [record.get(name) for record in records]
    written = [record.get("w") for record in records]
    assert [text and Decimal(text) for text in found["w"]] == [None if one is None else Decimal(one) for one in written]


def _ascii(text: str) -> str:
    """Escape what is not ASCII."""
    import json

    return "".join(json.dumps(one)[1:-1] if ord(one) > 127 else one for one in text)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(COLUMNS, values)), min_size=1, max_size=3))
def test_the_fast_way_and_the_careful_way_agree(records):
    """Whatever stands in the fields: the same columns, or none; and what does not fit is named."""
    page = [text_of(record) for record in records]
    fast, careful = outcome(read, CUT, page), outcome(alone, CUT, page)
    if isinstance(fast, str):
        assert isinstance(careful, str)
        assert isinstance(outcome(alone, {fast: COLUMNS[fast]}, page), str)
    else:
        assert fast == careful


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(COLUMNS, values)), min_size=1, max_size=3),
    st.sets(st.sampled_from(list(COLUMNS)), min_size=1),
)
def test_what_arrow_reads_from_the_text_is_what_care_finds(records, names):
    """Whatever stands in the fields, of any choice of columns: the same columns, or none."""
    page, columns = [text_of(record) for record in records], {name: COLUMNS[name] for name in names}
    fast, careful = outcome(read_page, columns, page), outcome(alone, columns, page)
    assert fast == careful or (isinstance(fast, str) and isinstance(careful, str))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(CUT)), st.lists(values, min_size=1, max_size=3))
def test_one_column_alone_is_read_like_all_of_them(name, column):
    """Also where a record is a single field, so that a line break in it could pass for another record."""
    page, columns = [text_of({name: value}) for value in column], {name: COLUMNS[name]}
    assert outcome(read, columns, page) == outcome(alone, columns, page)


@pytest.mark.parametrize("nested", ['{\n  "x": 1\n}', "[1,\r\n2]", "[\t]", "{}"])
def test_an_object_over_several_lines_is_one_cell(nested):
    """As ARM wrote it, between other columns and alone."""
    page = [f'{{"a":{nested},"w":1.0}}', f'{{"w":2,"a":{nested}}}']
    for way in (read, read_page):
        assert way(CUT, page) == {"w": ["1.0", "2"], "a": [nested, nested]}
        assert way({"a": RAW_VALUE}, page) == {"a": [nested, nested]}


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
def test_what_does_not_fit_is_named(name, value):
    """No number passes for a text, no text for a number, and none is rounded or wrapped around."""
    page = ["{}", f'{{"{name}":{value}}}']
    for columns in (COLUMNS, {name: COLUMNS[name]}):
        for way in (read_page, alone):
            assert outcome(way, columns, page) == name
    if name in CUT:
        assert outcome(read, CUT, page) == name


@pytest.mark.parametrize("name", ["t", "a"])
def test_text_that_is_not_utf8_fits_no_column(name):
    """Bytes that are no text are an error and not a replacement character."""
    record, columns = msgspec.Raw(b'{"%b":"\xff"}' % name.encode()), {name: COLUMNS[name]}
    page = PageColumns(columns, "x")
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec's own, Arrow's or ours
        page.read([msgspec.json.decode(record, type=page.record)], b'{"x":[%b]}' % bytes(record))
    with pytest.raises(ColumnTypeError):
        read_columns_strictly(columns, [record])


def test_a_record_that_is_no_object_has_no_columns():
    """It is an error of the page."""
    with pytest.raises(msgspec.DecodeError):
        alone(COLUMNS, ["{}", "7"])
