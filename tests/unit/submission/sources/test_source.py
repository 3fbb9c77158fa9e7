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
from airflow_provider_arm.submission.sources.rows import Row, chunk_rows
from airflow_provider_arm.submission.sources.source import FileSource, ListSource
from tests.unit.submission.records import CANARY, CUSTOMERS, MODELS, file_source


def read(source: Any) -> list[tuple[int, dict]]:
    """Read all rows."""
    return [(row.number, row.record) for row in source.rows()]


# ---- lists


def test_a_list_gives_its_records_numbered_from_one():
    """Rows are numbered as a person counts, and remarks are passed over."""
    records = [{"customerNo": "1", "_row": 7}, MappingProxyType({"customerNo": "2"})]
    assert read(ListSource(records)) == [(1, {"customerNo": "1"}), (2, {"customerNo": "2"})]


def test_a_list_is_not_changed_by_reading(tmp_path):
    """The author's own records keep their remarks, and a second reading gives the same."""
    records = [{"customerNo": "1", "_row": 7}]
    source = ListSource(records)
    assert read(source) == read(source)
    assert records == [{"customerNo": "1", "_row": 7}]


@pytest.mark.parametrize("wrong", [CANARY, None, 7, [CANARY]])
def test_a_member_that_is_no_record_is_named_by_its_row(wrong):
    """The message says which row and shows nothing of it."""
    with pytest.raises(SourceError, match=r"^records, row 2: must be an object") as caught:
        read(ListSource([{"customerNo": "1"}, wrong]))
    assert CANARY not in str(caught.value)


# ---- .jsonl


def test_jsonl_rows_are_numbered_by_their_lines(tmp_path):
    """Blank lines are passed over and still counted, so that the number is the one an editor shows."""
    source = file_source(
        tmp_path / "a.jsonl", '{"customerNo":"1"}\n\n  \n{"customerNo":"2","_row":9}\r\n{"a":{"_b":1}}'
    )
    assert read(source) == [(1, {"customerNo": "1"}), (4, {"customerNo": "2"}), (5, {"a": {"_b": 1}})]


def test_an_empty_jsonl_file_has_no_rows(tmp_path):
    """No row is no error here: what that means is the plan's to say."""
    assert read(file_source(tmp_path / "a.jsonl", "")) == []


# ---- .json


@pytest.mark.parametrize(
    "text", ['[{"customerNo":"1"},{"customerNo":"2"}]', '{"x":[],"customers":[{"customerNo":"1"},{"customerNo":"2"}]}']
)
def test_json_is_a_list_or_an_object_that_holds_it(tmp_path, text):
    """Both shapes give the same rows."""
    assert read(file_source(tmp_path / "a.json", text)) == [(1, {"customerNo": "1"}), (2, {"customerNo": "2"})]


# ---- numbers


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("digits", ["1.10", "1e2", "123456789012345.6789", "0.0000", "-0.10", "9007199254740993"])
def test_numbers_keep_their_digits(tmp_path, name, digits):
    """What stands in the file is what the record holds, digit for digit, and what goes on the wire."""
    text = f'{{"limitAmount":{digits}}}'
    [(_, record)] = read(file_source(tmp_path / name, text if name.endswith("l") else f"[{text}]"))
    assert str(record["limitAmount"]) == str(Decimal(digits))
    assert not isinstance(record["limitAmount"], float)
    assert Decimal(money.encode(record["limitAmount"]).decode()) == Decimal(digits)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**15), max_value=10**15))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_amounts_of_a_ledger_come_through_exactly(tmp_path, amount):
    """Fifteen digits and four places: the same number with the same digits comes out of every format."""
    files = {"a.jsonl": f'{{"limitAmount":{amount:f}}}', "a.csv": f"customerNo,limitAmount\n1,{amount:f}\n"}
    for name, text in files.items():
        [(_, record)] = read(file_source(tmp_path / name, text))
        assert f"{Decimal(record['limitAmount']):f}" == f"{amount:f}"


# ---- what is wrong with a file

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
    ("a.json", "", "a.json: is not valid JSON"),
    ("a.json", f'{{"name":"{CANARY}"}}', 'a.json: must hold a list of records, or an object with the list under "cus'),
    ("a.json", f'{{"customers":"{CANARY}"}}', "a.json: must hold a list of records"),
    ("a.json", f'"{CANARY}"', "a.json: must hold a list of records"),
    ("a.json", f'[{{"name":"x"}},"{CANARY}"]', "a.json, row 2: must be an object"),
    ("a.json", f'[{{"name":"{CANARY}","limitAmount":1e999}}]', "a.json, row 1: a number is beyond"),
]


@pytest.mark.parametrize(("name", "content", "message"), MALFORMED)
def test_a_malformed_file_is_named_by_its_row_and_not_quoted(tmp_path, name, content, message):
    """One error that says where, and shows nothing of anybody's record."""
    with pytest.raises(SourceError) as caught:
        read(file_source(tmp_path / name, content))
    assert str(caught.value).startswith(message)
    assert CANARY not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    """The message names the file and the argument."""
    source = FileSource(tmp_path / "gone.csv", str(tmp_path / "gone.csv"), MODELS["customers"], "customers")
    with pytest.raises(SourceError, match=r"^gone.csv: there is no such file: check source$"):
        read(source)
    lines = FileSource(tmp_path / "gone.jsonl", "gone.jsonl", MODELS["customers"], "customers")
    with pytest.raises(SourceError, match=r"^gone.jsonl: there is no such file: check source$"):
        next(lines.row_blocks(1))


def test_a_folder_is_no_file(tmp_path):
    """Any other trouble of the disk is one error too."""
    (tmp_path / "a.jsonl").mkdir()
    source = FileSource(tmp_path / "a.jsonl", "a.jsonl", MODELS["customers"], "customers")
    with pytest.raises(SourceError, match=r"^a.jsonl: cannot be read \(IsADirectoryError"):
        read(source)


@pytest.mark.parametrize("name", ["customers.xlsx", "customers", "customers.jsonl.gz", "s3://b/x.orc", ".CSVX"])
def test_an_unknown_ending_is_refused_before_anything_is_read(name):
    """The message lists the endings that there are."""
    with pytest.raises(SourceError, match=r"must end in \.jsonl, \.json, \.csv, \.parquet"):
        FileSource(Path("never-opened"), name, MODELS["customers"], "customers")


def test_the_ending_counts_in_any_case(tmp_path):
    """Windows writes .CSV and .JSONL."""
    assert read(file_source(tmp_path / "A.JSONL", '{"customerNo":"1"}')) == [(1, {"customerNo": "1"})]


# ---- laws

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
def test_what_was_written_is_read_and_read_again(tmp_path, records):
    """Any records come back equal from a list, a .json and a .jsonl file, and a second reading gives the same."""
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
def test_any_bytes_are_records_or_one_source_error(tmp_path, ending, content):
    """Whatever a file holds, it gives rows twice the same, or the same error twice, and no other kind of error."""
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
def test_rows_read_many_at_a_time_are_the_same_rows(tmp_path, ending, lines, end, size):
    """Blank lines among them or not: the same numbers with the same contents, never too many at once, never none."""

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
def test_chunks_put_together_are_the_rows(count, size):
    """Every chunk but the last is full, none is empty, and none is lost or doubled."""
    rows = [Row(number, {}) for number in range(1, count + 1)]
    chunks = list(chunk_rows(rows, size))
    assert [row for chunk in chunks for row in chunk] == rows
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert all(1 <= len(chunk) <= size for chunk in chunks)


def test_a_row_shows_nothing_of_its_record():
    """A row in a traceback or a log line shows its number only."""
    assert repr(Row(3, {"name": CANARY})) == "Row(number=3)"
    assert CUSTOMERS.record is MODELS["customers"]
