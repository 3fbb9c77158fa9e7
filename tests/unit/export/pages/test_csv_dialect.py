"""CSV for Excel: what a cell looks like, and that it can be read back exactly."""

from __future__ import annotations

import csv
import io
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.export.files.encoders import CsvEncoder, ListSpec, choose_encoder
from airflow_provider_arm.export.files.file_format import FileFormat
from airflow_provider_arm.export.pages.csv_dialect import CSV_DIALECTS
from airflow_provider_arm.export.pages.field_selection import FieldSelection
from airflow_provider_arm.export.pages.record_types import AR_ITEMS
from airflow_provider_arm.export.pages.texts import cell

EXCEL = CSV_DIALECTS["excel"]


@pytest.mark.parametrize(
    ("json_text", "written"),
    [
        ("124.37", "124,37"),
        ("-0.5", "-0,5"),
        ("-17", "-17"),
        ("1.5E-3", "1,5E-3"),
        ("123456789012345678.9000", "123456789012345678,9000"),
        ("true", "true"),
        ("null", None),
        ('""', ""),
        ('"Bj\\u00f8rn"', "Bjørn"),
        ('"00123"', "00123"),
        ('"2026-01-05"', "2026-01-05"),
        ('"1.5"', "1.5"),
        ('"=1+1"', "'=1+1"),
        ('"+47 99887766"', "'+47 99887766"),
        ('"-1"', "'-1"),
        ('"@SUM(A1)"', "'@SUM(A1)"),
        ('"\\t=1"', "'\t=1"),
        ('"\\r=1"', "'\r=1"),
        ('"1,5"', "'1,5"),
        ('"\'=1"', "''=1"),
        ('"\'s-Hertogenbosch"', "'s-Hertogenbosch"),
        ('{"a":1.5}', '{"a":1.5}'),
        ("[1.5]", "[1.5]"),
    ],
)
def test_cell_is_shown_by_excel_as_it_is(json_text, written):
    """Numbers stay numbers, and text is never a formula or a number."""
    assert EXCEL.cell(msgspec.Raw(json_text.encode())) == written


def test_missing_field_is_an_empty_cell():
    """As in every CSV file."""
    assert EXCEL.cell(None) is None


texts = st.text() | st.text(st.sampled_from("'=+-@\t\r\n0123456789,.eEa"), max_size=8)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()


@given(texts | numbers)
def test_cell_can_be_read_back_exactly(value):
    """The restored cell is the one of a file without a dialect."""
    raw = msgspec.Raw(msgspec.json.encode(value))
    written = EXCEL.cell(raw)
    assert EXCEL.restore(written or "") == (cell(raw) or "")
    if isinstance(value, str):
        assert written is not None
        assert not written.startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.lists(st.tuples(texts, texts, st.decimals(-(10**9), 10**9, places=4)), max_size=4))
def test_file_has_mark_semicolons_and_crlf(rows):
    """A reader of such files returns every cell, whatever text contains."""
    records = [
        {"arItemId": str(number), "kid": kid, "transactionText": text, "currencyAmount": float(amount)}
        for number, (kid, text, amount) in enumerate(rows)
    ]
    columns = ("arItemId", "kid", "transactionText", "currencyAmount")
    encoder = choose_encoder(ListSpec(AR_ITEMS, "arItems", FieldSelection(columns)), FileFormat("csv", None, "excel"))
    assert type(encoder) is CsvEncoder
    body = json.dumps({"summary": {}, "arItems": records}, ensure_ascii=False).encode(errors="surrogatepass")
    content = encoder._header + encoder.encode(Response(200, {}, body)).data
    assert content.startswith(b"\xef\xbb\xbfarItemId;kid;transactionText;currencyAmount\r\n")
    assert content.endswith(b"\r\n")
    [_, *read] = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";")
    assert [[EXCEL.restore(text) for text in row[:3]] for row in read] == [
        [record["arItemId"], record["kid"], record["transactionText"]] for record in records
    ]
