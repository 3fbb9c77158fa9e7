from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.writers import WRITERS, choose_format

COLUMNS = ("arItemId", "name", "amount", "flag", "nested")


def written(name: str, pages: list[list[bytes]], columns: tuple[str, ...] = COLUMNS) -> bytes:
    """Write pages, and give the file's bytes."""
    file = io.BytesIO()
    writer = WRITERS[name](file, columns)
    for page in pages:
        writer.write(page)
    writer.finish()
    assert not file.closed
    return file.getvalue()


def rows(content: bytes) -> list[list[str]]:
    """Read a CSV file as a user would."""
    return list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))


# ---- .jsonl


def test_jsonl_keeps_arms_own_bytes():
    """Blanks, key order, escapes, digits and unknown fields: a line is what ARM wrote."""
    texts = [
        b'{"b" : 1.10,"a":1e2, "\\u00e6":"\\u00e6 \\n","nytt":{"x":[ ]}}',
        '{"æ":"øå","big":123456789012345678.9000}'.encode(),
    ]
    assert written("jsonl", [texts]) == texts[0] + b"\n" + texts[1] + b"\n"


def test_a_record_over_several_lines_is_one_line():
    """Outside text a line break means nothing in JSON, and inside it is escaped."""
    record = b'{\r\n  "name": "a\\nb",\n  "n": 1\r\n}'
    content = written("jsonl", [[record]])
    assert content.count(b"\n") == 1
    assert json.loads(content) == json.loads(record)


@pytest.mark.parametrize("name", WRITERS)
def test_no_page_is_an_empty_table(name):
    """No record: an empty file, in CSV with its header."""
    assert (
        written(name, [])
        == written(name, [[], []])
        == {"jsonl": b"", "csv": b",".join(map(str.encode, COLUMNS)) + b"\r\n"}[name]
    )


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.decimals(min_value=-(10**15), max_value=10**15, places=4)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
records = st.lists(st.dictionaries(st.sampled_from([*COLUMNS, "nytt"]), json_values), max_size=6)


@settings(max_examples=100, deadline=None)
@given(records=records, cut=st.integers(0, 6))
def test_jsonl_is_read_back_as_it_was(records, cut):
    """Any records on any pages: the same records, exactly."""
    texts = [money.encode(record) for record in records]
    content = written("jsonl", [texts[:cut], texts[cut:]])
    assert [money.decode(line) for line in content.splitlines()] == records if texts else content == b""


# ---- .csv


@settings(max_examples=100, deadline=None)
@given(records=records, cut=st.integers(0, 6))
def test_csv_is_read_back_by_pythons_own_reader(records, cut):
    """Any text, quote and line break comes back; null and absent are empty, the rest is JSON or ARM's own digits."""
    texts = [money.encode(record) for record in records]
    header, *found = rows(written("csv", [texts[:cut], texts[cut:]]))
    assert tuple(header) == COLUMNS
    assert len(found) == len(records)
    for record, row in zip(records, found, strict=True):
        for column, cell in zip(COLUMNS, row, strict=True):
            value = record.get(column)
            if value is None:
                assert cell == ""
            elif isinstance(value, str):
                assert cell == value
            elif isinstance(value, Decimal):
                assert cell == str(value)
            else:
                assert money.decode(cell) == value


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("624.50", "624.50"),
        ("625", "625"),
        ("0.0000", "0.0000"),
        ("-0.10", "-0.10"),
        ("123456789012345.6789", "123456789012345.6789"),
        ("9007199254740993", "9007199254740993"),
        ("true", "true"),
        ("false", "false"),
        ("null", ""),
        ('""', ""),
        ('"æøå"', "æøå"),
        ('"a\\r\\nb"', "a\r\nb"),
        ('"say \\"no\\""', 'say "no"'),
        ('"a,b;c"', "a,b;c"),
        ('"007"', "007"),
        ('{"x":1.10}', '{"x":1.10}'),
        ('["a",1.10,null]', '["a",1.10,null]'),
        ("[]", "[]"),
    ],
)
def test_a_cell_is_what_arm_wrote(value, cell):
    """Amounts keep their digits, words their letters; objects and lists are JSON."""
    [_, row] = rows(written("csv", [[f'{{"name":{value}}}'.encode()]]))
    assert row == ["", cell, "", "", ""]


def test_csv_ends_its_lines_as_the_standard_says():
    """RFC 4180: CRLF, and no byte order mark."""
    content = written("csv", [[b'{"arItemId":"1"}']], ("arItemId", "name"))
    assert content == b"arItemId,name\r\n1,\r\n"


def test_each_page_is_passed_on_at_once():
    """Memory does not grow with the rows: nothing waits for the end."""
    for name in WRITERS:
        file = io.BytesIO()
        writer = WRITERS[name](file, COLUMNS)
        sizes = [len(file.getvalue())]
        for _ in range(3):
            writer.write([b'{"arItemId":"1"}'])
            sizes.append(len(file.getvalue()))
        assert sizes == sorted(set(sizes))


# ---- the choice


@pytest.mark.parametrize(
    ("path", "name", "chosen"),
    [
        ("s3://b/a.jsonl", None, "jsonl"),
        ("/x/a.CSV", None, "csv"),
        ("/x/a.csv", "csv", "csv"),
        ("/x/a.txt", "csv", "csv"),
        ("/x.csv/a", "jsonl", "jsonl"),
    ],
)
def test_the_format_is_said_or_told_by_the_ending(path, name, chosen):
    """By name, else by the last part's ending."""
    assert choose_format(path, name) == chosen


@pytest.mark.parametrize(
    ("path", "name", "says"),
    [
        ("/x/a.xlsx", None, "format must be one of"),
        ("/x.csv/a", None, "format must be one of"),
        ("/x/a.csv", "xml", "format must be one of"),
        ("/x/a.csv", "jsonl", "path ends in .csv but format is jsonl"),
    ],
)
def test_a_format_that_cannot_be_is_refused(path, name, says):
    """Before anything is asked of ARM."""
    with pytest.raises(ArmConfigurationError, match=says):
        choose_format(path, name)
