from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sources.rows import Row, chunk_rows
from airflow_provider_arm.submission.sources.source import FileSource, ListSource
from tests.unit.submission.records import CANARY, CUSTOMERS, MODELS, file_source


def read(source: Any) -> list[tuple[int, dict]]:
    """Return all records with their numbers."""
    return [(row.number, row.record) for row in source.rows()]


# ---- lists


def test_list_records_are_numbered_from_one():
    """Remarks are dropped."""
    records = [{"customerNo": "1", "_row": 7}, MappingProxyType({"customerNo": "2"})]
    assert read(ListSource(records)) == [(1, {"customerNo": "1"}), (2, {"customerNo": "2"})]


def test_reading_does_not_change_the_list():
    """The records of the DAG author keep their remarks, and a second reading yields the same."""
    records = [{"customerNo": "1", "_row": 7}]
    source = ListSource(records)
    assert read(source) == read(source)
    assert records == [{"customerNo": "1", "_row": 7}]


@pytest.mark.parametrize("wrong", [CANARY, None, 7, [CANARY]])
def test_list_item_that_is_not_a_record_raises_with_its_row(wrong):
    """The message shows nothing of the item."""
    with pytest.raises(SourceError, match=r"^records, row 2: must be an object") as caught:
        read(ListSource([{"customerNo": "1"}, wrong]))
    assert CANARY not in str(caught.value)


# ---- .jsonl


def test_jsonl_row_number_is_the_line_number(tmp_path):
    """Blank lines are ignored but counted, so the number is the one that an editor shows."""
    source = file_source(
        tmp_path / "a.jsonl", '{"customerNo":"1"}\n\n  \n{"customerNo":"2","_row":9}\r\n{"a":{"_b":1}}'
    )
    assert read(source) == [(1, {"customerNo": "1"}), (4, {"customerNo": "2"}), (5, {"a": {"_b": 1}})]


def test_empty_jsonl_file_yields_no_rows(tmp_path):
    """``prepare`` raises if there is nothing to submit."""
    assert read(file_source(tmp_path / "a.jsonl", "")) == []


# ---- .json


@pytest.mark.parametrize(
    "text", ['[{"customerNo":"1"},{"customerNo":"2"}]', '{"x":[],"customers":[{"customerNo":"1"},{"customerNo":"2"}]}']
)
def test_json_file_may_be_a_list_or_an_object_with_the_list(tmp_path, text):
    """Both yield the same rows."""
    assert read(file_source(tmp_path / "a.json", text)) == [(1, {"customerNo": "1"}), (2, {"customerNo": "2"})]


# ---- numbers


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("digits", ["1.10", "1e2", "123456789012345.6789", "0.0000", "-0.10", "9007199254740993"])
def test_numbers_keep_their_digits(tmp_path, name, digits):
    """Record and request contain the digits of the file."""
    text = f'{{"limitAmount":{digits}}}'
    [(_, record)] = read(file_source(tmp_path / name, text if name.endswith("l") else f"[{text}]"))
    assert str(record["limitAmount"]) == str(Decimal(digits))
    assert not isinstance(record["limitAmount"], float)
    assert Decimal(money.encode(record["limitAmount"]).decode()) == Decimal(digits)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**15), max_value=10**15))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_amounts_keep_their_digits_in_text_formats(tmp_path, amount):
    """With up to fifteen digits and four decimals."""
    files = {"a.jsonl": f'{{"limitAmount":{amount:f}}}', "a.csv": f"customerNo,limitAmount\n1,{amount:f}\n"}
    for name, text in files.items():
        [(_, record)] = read(file_source(tmp_path / name, text))
        assert f"{Decimal(record['limitAmount']):f}" == f"{amount:f}"


# ---- malformed files

MALFORMED = [
    ("a.jsonl", f'{{"name":"ok"}}\n{{"name":"{CANARY}"\n', "a.jsonl, row 2: is not valid JSON"),
    ("a.jsonl", f'{{"name":"{CANARY}"}} trailing', "a.jsonl, row 1: is not valid JSON"),
    ("a.jsonl", f'"{CANARY}"', "a.jsonl, row 1: must be an object"),
    ("a.jsonl", f'\n["{CANARY}"]', "a.jsonl, row 2: must be an object"),
    ("a.jsonl", f'{{"name":"{CANARY}","limitAmount":1e999}}', "a.jsonl, row 1: a number is beyond"),
    ("a.jsonl", '{"name":' + "[" * 100_000, "a.jsonl, row 1: is not valid JSON"),
    ("a.jsonl", f'{{"name":"\\ud800{CANARY}"}}', "a.jsonl, row 1: is not valid JSON"),
    ("a.jsonl", b'{"name":"' + CANARY.encode() + b'\xe6"}', "a.jsonl, row 1: is not valid JSON"),
    ("a.jsonl", f'{{"name":"{CANARY}"}}'.encode("utf-16"), "a.jsonl, row 1: is not valid JSON"),
    ("a.jsonl", f'{{"limitAmount":NaN,"name":"{CANARY}"}}', "a.jsonl, row 1: is not valid JSON"),
    ("a.json", f'[{{"name":"{CANARY}"}}', "a.json: is not valid JSON"),
    (
        "a.json",
        f'{{"name":"{CANARY}"}}',
        'a.json: must contain a list of records, or an object with the list under "cus',
    ),
    ("a.json", f'{{"customers":"{CANARY}"}}', "a.json: must contain a list of records"),
    ("a.json", f'"{CANARY}"', "a.json: must contain a list of records"),
    ("a.json", f'[{{"name":"x"}},"{CANARY}"]', "a.json, row 2: must be an object"),
    ("a.json", f'[{{"name":"{CANARY}","limitAmount":1e999}}]', "a.json, row 1: a number is beyond"),
]


@pytest.mark.parametrize(("name", "content", "message"), MALFORMED)
def test_malformed_file_raises_with_row_but_no_content(tmp_path, name, content, message):
    """The message shows neither the record nor the folder."""
    with pytest.raises(SourceError) as caught:
        read(file_source(tmp_path / name, content))
    assert str(caught.value).startswith(message)
    assert CANARY not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.__cause__ is None


def test_missing_file_raises_with_file_name_and_argument(tmp_path):
    """Whether the file is read by row or by block."""
    source = FileSource(tmp_path / "gone.csv", str(tmp_path / "gone.csv"), MODELS["customers"], "customers")
    with pytest.raises(SourceError, match=r"^gone.csv: file not found: check source$"):
        read(source)
    lines = FileSource(tmp_path / "gone.jsonl", "gone.jsonl", MODELS["customers"], "customers")
    with pytest.raises(SourceError, match=r"^gone.jsonl: file not found: check source$"):
        next(lines.row_blocks(1))


def test_folder_instead_of_a_file_raises_source_error(tmp_path):
    """As any other ``OSError`` does."""
    (tmp_path / "a.jsonl").mkdir()
    source = FileSource(tmp_path / "a.jsonl", "a.jsonl", MODELS["customers"], "customers")
    with pytest.raises(SourceError, match=r"^a.jsonl: cannot be read \(IsADirectoryError"):
        read(source)


@pytest.mark.parametrize("name", ["customers.xlsx", "customers", "customers.jsonl.gz", "s3://b/x.orc", ".CSVX"])
def test_unknown_suffix_raises_before_the_file_is_opened(name):
    """The message lists the known suffixes."""
    with pytest.raises(SourceError, match=r"must end in \.jsonl, \.json, \.csv, \.parquet"):
        FileSource(Path("never-opened"), name, MODELS["customers"], "customers")


def test_suffix_is_case_insensitive(tmp_path):
    """Files from Windows may end in .CSV or .JSONL."""
    assert read(file_source(tmp_path / "A.JSONL", '{"customerNo":"1"}')) == [(1, {"customerNo": "1"})]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b'\xef\xbb\xbf{"customerNo":"1"}\r\n{"customerNo":"2"}\r\n'),
        ("a.jsonl", b'{"customerNo":"1"}\n\xef\xbb\xbf{"customerNo":"2"}\n'),
        ("a.jsonl", b'\xef\xbb\xbf\n{"customerNo":"1"}\n{"customerNo":"2"}'),
        ("a.json", b'\xef\xbb\xbf[{"customerNo":"1"},{"customerNo":"2"}]'),
    ],
)
def test_byte_order_mark_is_not_part_of_a_record(tmp_path, name, content):
    """Windows programs write it, also in the middle if files were put together."""
    source = file_source(tmp_path / name, content)
    assert [record for _, record in read(source)] == [{"customerNo": "1"}, {"customerNo": "2"}]
    with prepare(source, CUSTOMERS, 10, "customerNo") as prepared:
        assert prepared.plan.records == 2


def test_line_in_another_encoding_is_an_invalid_row_that_names_it(tmp_path):
    """With the command that converts the file."""
    source = file_source(tmp_path / "a.jsonl", '{"customerNo":"1","name":"Bjørn"}'.encode("cp1252"))
    with pytest.raises(
        SourceError, match=r"^a.jsonl, row 1: is not valid JSON: it is not UTF-8, but most likely WINDOWS-1252"
    ):
        read(source)


# ---- properties

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.decimals(min_value=-(10**15), max_value=10**15, places=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(records=st.lists(st.dictionaries(st.text(max_size=6).filter(lambda k: not k.startswith("_")), json_values)))
def test_written_records_are_read_back_repeatedly(tmp_path, records):
    """From a list, a .json and a .jsonl file, and a second reading yields the same."""
    expected = list(enumerate(records, 1))
    for name, content in (
        ("a.jsonl", b"".join(money.encode(record) + b"\n" for record in records)),
        ("a.json", money.encode(records)),
        ("b.json", money.encode({"customers": records})),
    ):
        source = file_source(tmp_path / name, content)
        assert read(source) == read(source) == expected
    assert read(ListSource(records)) == expected


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    ending=st.sampled_from(["jsonl", "json", "csv"]),
    content=st.binary(max_size=60) | st.text(alphabet='{}[]",:;|\n\r\\1ea_.\ufeffæ', max_size=60).map(str.encode),
)
@example("csv", b"\xff")
@example("csv", b"customerNo\r\n" + b"x" * 100_001)
@example("csv", b"customerNo\n\x00\n")
@example("csv", b"x" * 100_001)
def test_any_bytes_yield_records_or_source_error(tmp_path, ending, content):
    """Two readings yield the same rows or raise the same ``SourceError``; no other error is raised."""
    source = file_source(tmp_path / f"a.{ending}", content)

    def outcome() -> Any:
        try:
            return read(source)
        except SourceError as error:
            return str(error)

    assert outcome() == outcome()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    ending=st.sampled_from(["jsonl", "json", "csv"]),
    lines=st.lists(
        st.sampled_from(['{"customerNo":"1"}', "{", "", " ", "\t\r", "customerNo;name", "1;2"]), max_size=20
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    size=st.integers(1, 7),
)
def test_row_blocks_contain_the_same_rows_as_raw_rows(tmp_path, ending, lines, end, size):
    """Numbers and contents are the same, and each block has one to *size* rows, even with blank lines."""

    def outcome(rows: Any) -> Any:
        try:
            return list(rows)
        except SourceError as error:
            return str(error)

    source = file_source(tmp_path / f"a.{ending}", end.join(lines))
    one_by_one = outcome(source.raw_rows())
    row_blocks = outcome(source.row_blocks(size))
    if isinstance(one_by_one, str):
        assert row_blocks == one_by_one
        return
    assert [row for numbers, contents in row_blocks for row in zip(numbers, contents, strict=True)] == one_by_one
    assert all(1 <= len(contents) <= size for _, contents in row_blocks)


@given(count=st.integers(0, 40), size=st.integers(1, 12))
def test_chunks_contain_all_rows_in_order(count, size):
    """All chunks but the last are full, and none is empty."""
    rows = [Row(number, {}) for number in range(1, count + 1)]
    chunks = list(chunk_rows(rows, size))
    assert [row for chunk in chunks for row in chunk] == rows
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert all(1 <= len(chunk) <= size for chunk in chunks)


def test_repr_of_a_row_shows_only_its_number():
    """Rows may appear in tracebacks and logs."""
    assert repr(Row(3, {"name": CANARY})) == "Row(number=3)"
    assert CUSTOMERS.record is MODELS["customers"]
