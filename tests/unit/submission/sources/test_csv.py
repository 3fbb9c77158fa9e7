from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.models import CustomerWrite, Document, wire_names
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.sources.csv import MAX_CELL_LENGTH, read_csv
from airflow_provider_arm.submission.sources.source import FileSource
from tests.unit.submission.records import CANARY, MODELS, file_source

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = [
    f"postalAddress.{name}"
    for name in ("addressLine1", "addressLine2", "addressLine3", "postalCode", "cityName", "countryText", "countryCode")
]


class InMemory:
    """A path whose file is in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def open(self, mode: str = "r") -> io.BytesIO:
        return io.BytesIO(self.data)


def read(content: str | bytes, model: Any = CustomerWrite) -> list[tuple[int, dict[str, Any]]]:
    """Read all records of a file."""
    data = content.encode() if isinstance(content, str) else content
    return [(row.number, row.record) for row in FileSource(InMemory(data), "a.csv", model, "customers").rows()]


def records(content: str | bytes, model: Any = CustomerWrite) -> list[dict[str, Any]]:
    """Read all records without their numbers."""
    return [record for _, record in read(content, model)]


TWO = [(1, {"customerNo": "1", "name": "Ærlig & Østby AS"}), (2, {"customerNo": "2", "name": "B"})]

SAME = [
    ("comma", "customerNo,name\n1,Ærlig & Østby AS\n2,B\n"),
    ("semicolon", "customerNo;name\n1;Ærlig & Østby AS\n2;B\n"),
    ("Windows", "customerNo;name\r\n1;Ærlig & Østby AS\r\n2;B\r\n"),
    ("old Mac", "customerNo;name\r1;Ærlig & Østby AS\r2;B\r"),
    ("byte order mark", "\ufeffcustomerNo;name\r\n1;Ærlig & Østby AS\r\n2;B\r\n"),
    ("all quoted", '"customerNo","name"\n"1","Ærlig & Østby AS"\n"2","B"\n'),
    ("no line break at the end", "customerNo,name\n1,Ærlig & Østby AS\n2,B"),
    ("blank lines", "customerNo,name\n\n1,Ærlig & Østby AS\n\n2,B\n\n"),
    ("a remark", "customerNo,_note,name\n1,x,Ærlig & Østby AS\n2,,B\n"),
    ("a rejects file's row", "_row,customerNo,name,_reasons\n7,1,Ærlig & Østby AS,too old\n8,2,B,\n"),
    ("an empty column", "customerNo,phoneNo,name\n1,,Ærlig & Østby AS\n2,,B\n"),
    ("columns in another order", "name,customerNo\nÆrlig & Østby AS,1\nB,2\n"),
]


@pytest.mark.parametrize("content", [text for _, text in SAME], ids=[name for name, _ in SAME])
def test_the_same_table_gives_the_same_records_however_it_is_written(content):
    """Separator, line ends, quotes, order of columns and remarks are not what a file says."""
    assert read(content) == TWO


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('"a, b; c"', "a, b; c"),
        ('"she said ""no"""', 'she said "no"'),
        ('"two\nlines"', "two\nlines"),
        ('"two\r\nlines"', "two\r\nlines"),
        (" blanks stay ", " blanks stay "),
        ("001", "001"),
        ("æøåÆØÅ é", "æøåÆØÅ é"),
        ("a|b", "a|b"),
        ('"' + "x" * MAX_CELL_LENGTH + '"', "x" * MAX_CELL_LENGTH),
    ],
)
def test_cells_come_as_they_are(cell, value):
    """Text is not trimmed, not turned into numbers and not cut; a quoted line break belongs to its cell."""
    assert read(f"customerNo,name\n{cell},{cell}\n2,B\n") == [
        (1, {"customerNo": value, "name": value}),
        (2, {"customerNo": "2", "name": "B"}),
    ]


def test_a_quoted_line_break_does_not_shift_the_numbers():
    """Rows are counted as records after the header, not as lines."""
    assert [number for number, _ in read('customerNo,name\n1,"a\nb\nc"\n2,B\n')] == [1, 2]


@pytest.mark.parametrize(
    ("cell", "value"), [("a@b.no", ["a@b.no"]), ("a@b.no|c@d.no", ["a@b.no", "c@d.no"]), ("|a@b.no||", ["a@b.no"])]
)
def test_lists_are_written_with_a_bar(cell, value):
    """A cell of a list has its members with | between them; empty members are none."""
    assert records(f"customerNo,emailAddressDocument\n1,{cell}\n") == [
        {"customerNo": "1", "emailAddressDocument": value}
    ]


def test_an_empty_list_cell_is_a_missing_key():
    """ARM keeps the addresses that it has."""
    assert records("customerNo,emailAddressDocument\n1,\n") == [{"customerNo": "1"}]


def test_the_empty_cells_of_an_address_blank_what_arm_has():
    """ARM rewrites an address as a whole, so an empty cell beside a filled one is said outright."""
    header = ",".join(["customerNo", *ADDRESS])
    [whole, none] = records(f"{header}\n1,Storgata 1,,,0150,Oslo,,NO\n2,,,,,,,\n")
    assert whole["postalAddress"] == {
        "addressLine1": "Storgata 1",
        "addressLine2": "",
        "addressLine3": "",
        "postalCode": "0150",
        "cityName": "Oslo",
        "countryText": "",
        "countryCode": "NO",
    }
    assert CustomerWrite.from_wire(whole).to_wire() == whole
    assert none == {"customerNo": "2"}


@pytest.mark.parametrize(
    ("header", "cells", "group"),
    [
        ("currencyAmounts.exclVat,currencyAmounts.vat,currencyAmounts.inclVat", "800.00,,1000.00", "currencyAmounts"),
        ("distribution.type,distribution.einvoiceCode,kid", "EMAIL,,", "distribution"),
    ],
)
def test_an_empty_cell_for_a_number_is_a_missing_key_in_a_group_too(header, cells, group):
    """There is no empty number: a filled neighbour does not make the row wrong."""
    [record] = records(f"customerNo,documentNo,{header}\n1,2,{cells}\n", Document)
    assert "" not in record[group].values()
    assert Document.from_wire(record).to_wire()[group].keys() == record[group].keys()


def test_every_field_that_a_cell_can_hold_has_a_column():
    """No field of the model is missing but those that hold lists of objects."""
    found: dict[str, list[str]] = {}
    for name, model in MODELS.items():
        with pytest.raises(SourceError) as caught:
            read("customerNo,nothing\n", model)
        found[name] = str(caught.value).split("there are ")[1].split(", ")
    assert {name.split(".")[0] for name in found["customers"]} == set(wire_names(CustomerWrite))
    left_out = {"documentLines", "attachmentFiles", "attachmentCodes", "customCodes"}
    assert {name.split(".")[0] for name in found["documents"]} == set(wire_names(Document)) - left_out
    assert {name for name in found["customers"] if name.startswith("postal")} == set(ADDRESS)


MALFORMED = [
    ("empty file", "", "a.csv: has no header row"),
    ("byte order mark alone", "\ufeff", "a.csv: has no header row"),
    ("blank first line", "\ncustomerNo\n1\n", "a.csv: has no header row"),
    (
        "unknown column",
        "customerNo,nmae\n1,{}\n",
        "a.csv, column 'nmae': there is no such field; there are cust",
    ),
    ("column in other case", "customerno,name\n1,{}\n", "a.csv, column 'customerno': there is no such"),
    ("nameless column", "customerNo,\n1,{}\n", "a.csv, column '': there is no such field"),
    ("a group as a column", "customerNo,postalAddress\n1,{}\n", "a.csv, column 'postalAddress': there is no such"),
    ("read-only column", "customerNo,accountNo\n1,{}\n", "a.csv, column 'accountNo': there is no such field"),
    ("another separator", "customerNo\tname\n1\t{}\n", "a.csv: the first row names no field"),
    ("doubled column", "customerNo,name,name\n1,{0},{0}\n", "a.csv: column name stands twice"),
    (
        "too few cells",
        "customerNo,name,phoneNo\n1,a,b\n2,{}\n",
        "a.csv, row 2, column phoneNo: the row has 2 cells",
    ),
    (
        "too many cells",
        "customerNo,name\n1,{},22\n",
        "a.csv, row 1: the row has 3 cells and the header 2",
    ),
    ("unclosed quote", 'customerNo,name\n1,a\n2,"{}\n3,b\n', "a.csv, row 2: the quotes do not close"),
    ("text after a quote", 'customerNo,name\n1,"a" {}\n', "a.csv, row 1: the quotes do not close"),
    (
        "a cell without end",
        "customerNo,name\n1,{}" + "x" * MAX_CELL_LENGTH,
        "a.csv, row 1: the quotes do not close, or a",
    ),
]


@pytest.mark.parametrize(("content", "message"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_a_malformed_file_is_named_by_row_and_column_and_not_quoted(content, message):
    """One error that says where, and shows no cell."""
    with pytest.raises(SourceError) as caught:
        read(content.replace("{}", CANARY).replace("{0}", CANARY))
    assert str(caught.value).startswith(message)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("header", [f"{CANARY},0150", f"1001,{CANARY} Hansen", f'"{CANARY}, Kari";12345678901'])
def test_a_file_without_a_header_shows_nothing_of_its_first_record(header):
    """Where no column is known, the first row is somebody's record and is not quoted."""
    with pytest.raises(SourceError, match=r"^a.csv: the first row names no field") as caught:
        read(f"{header}\n{header}\n")
    assert CANARY not in str(caught.value)
    assert "1001" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp865"])
def test_a_file_in_another_encoding_is_refused(tmp_path: Path, encoding):
    """Nothing is guessed: æøå read wrongly would be somebody's name on an invoice."""
    source = file_source(tmp_path / "a.csv", f"customerNo,name\n1,{CANARY} ÆØÅ\n".encode(encoding))
    with pytest.raises(SourceError, match=r"^a.csv: cannot be read \(UnicodeDecodeError; text files must be UTF-8\)$"):
        list(source.rows())


def test_a_wrong_byte_far_down_is_found_too(tmp_path: Path):
    """The encoding is checked to the last row, not only in the first block."""
    rows = "".join(f"{number},{'x' * 100}\n" for number in range(500))
    source = file_source(tmp_path / "a.csv", f"customerNo,name\n{rows}".encode() + b"501,\xe6\n")
    with pytest.raises(SourceError, match="text files must be UTF-8"):
        list(source.rows())


def test_a_header_alone_has_no_rows():
    """That there is nothing to submit is the plan's to say."""
    assert read("customerNo,name\n") == []


def test_the_file_stays_the_callers_to_close():
    """Reading, also half of it, closes nothing that the caller still holds."""
    for take in (0, 1, 99):
        file = io.BytesIO(b"customerNo\n1\n2\n")
        rows: Any = read_csv(file, CustomerWrite, "a.csv")
        for _ in zip(range(take), rows, strict=False):
            pass
        rows.close()
        assert not file.closed


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(max_examples=100, deadline=None)
@given(
    table=st.lists(st.tuples(cells.filter(bool), cells, cells), min_size=1, max_size=5),
    separator=st.sampled_from(",;"),
    mark=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_python_writes_is_read_back(table, separator, mark, line_end):
    """Any text in any cell comes back, through quotes, separators and line breaks; an empty cell is a missing key."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([("customerNo", "name", "customerMessage"), *table])
    content = text.getvalue().encode("utf-8-sig" if mark else "utf-8")
    expected = [
        {key: value for key, value in zip(("customerNo", "name", "customerMessage"), row, strict=True) if value}
        for row in table
    ]
    assert read(content) == list(enumerate(expected, 1))
    assert read(content) == read(content)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    good=st.integers(0, 3),
    bad=st.sampled_from([[CANARY], [CANARY, CANARY, CANARY], [f'"{CANARY}'], [f'"{CANARY}"{CANARY}']]),
    filler=st.sampled_from(["a", "æ", '"q,;"', '"two\nlines"']),
)
def test_the_row_that_is_wrong_is_the_row_that_is_named(good, bad, filler):
    """Good rows before do not shift the number, and no cell shows."""
    assume(bad)
    content = "customerNo,name\n" + f"{filler},{filler}\n" * good + ",".join(bad) + "\n"
    seen = []
    with pytest.raises(SourceError, match=rf"^a.csv, row {good + 1}\b") as caught:
        seen.extend(read(content))
    assert CANARY not in str(caught.value)
