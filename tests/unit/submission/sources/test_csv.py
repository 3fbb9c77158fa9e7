from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
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
    """Path of a file in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def open(self, mode: str = "r") -> io.BytesIO:
        return io.BytesIO(self.data)


def read(content: str | bytes, model: Any = CustomerWrite) -> list[tuple[int, dict[str, Any]]]:
    """Return all records of a file with their numbers."""
    data = content.encode() if isinstance(content, str) else content
    return [(row.number, row.record) for row in FileSource(InMemory(data), "a.csv", model, "customers").rows()]


def records(content: str | bytes, model: Any = CustomerWrite) -> list[dict[str, Any]]:
    """Return all records of a file."""
    return [record for _, record in read(content, model)]


TWO_RECORDS = [(1, {"customerNo": "1", "name": "Ærlig & Østby AS"}), (2, {"customerNo": "2", "name": "B"})]

EQUIVALENT_FILES = [
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
    ("tabs", "customerNo\tname\n1\tÆrlig & Østby AS\n2\tB\n"),
    ("a line for Excel that names the separator", "sep=;\r\ncustomerNo;name\r\n1;Ærlig & Østby AS\r\n2;B\r\n"),
    ("blanks around names", " customerNo ;name\u00a0\n1;Ærlig & Østby AS\n2;B\n"),
    ("other capitals, blanks and underscores in names", "Customer_no;NAME\n1;Ærlig & Østby AS\n2;B\n"),
    ("columns without a name", "customerNo;name;;\n1;Ærlig & Østby AS;;\n2;B; ;\n"),
    ("rows of separators at the end", "customerNo;name\n1;Ærlig & Østby AS\n2;B\n;\n ;\u00a0\n;;;\n"),
    ("columns in another order", "name,customerNo\nÆrlig & Østby AS,1\nB,2\n"),
]


@pytest.mark.parametrize("content", [text for _, text in EQUIVALENT_FILES], ids=[name for name, _ in EQUIVALENT_FILES])
def test_records_do_not_depend_on_how_the_table_is_written(content):
    """Separator, line ends, quotes, order of columns and remarks make no difference."""
    assert read(content) == TWO_RECORDS


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
def test_text_cells_are_kept_unchanged(cell, value):
    """Text is not trimmed, converted to a number or cut; a quoted line break belongs to its cell."""
    assert read(f"customerNo,name\n{cell},{cell}\n2,B\n") == [
        (1, {"customerNo": value, "name": value}),
        (2, {"customerNo": "2", "name": "B"}),
    ]


def test_row_number_counts_records_when_a_cell_contains_line_breaks():
    """A row number is the number of the record after the header, not of the line."""
    assert [number for number, _ in read('customerNo,name\n1,"a\nb\nc"\n2,B\n')] == [1, 2]


@pytest.mark.parametrize(
    ("cell", "value"), [("a@b.no", ["a@b.no"]), ("a@b.no|c@d.no", ["a@b.no", "c@d.no"]), ("|a@b.no||", ["a@b.no"])]
)
def test_list_cell_is_split_at_vertical_bars(cell, value):
    """Empty items are dropped."""
    assert records(f"customerNo,emailAddressDocument\n1,{cell}\n") == [
        {"customerNo": "1", "emailAddressDocument": value}
    ]


def test_empty_list_cell_is_a_missing_key():
    """ARM keeps the addresses that it has."""
    assert records("customerNo,emailAddressDocument\n1,\n") == [{"customerNo": "1"}]


def test_empty_cell_of_an_address_is_empty_text_when_another_cell_is_filled():
    """ARM replaces an address as a whole, so its empty cells are sent, too."""
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
def test_empty_number_cell_in_a_group_is_a_missing_key(header, cells, group):
    """An empty number would make the row invalid."""
    [record] = records(f"customerNo,documentNo,{header}\n1,2,{cells}\n", Document)
    assert "" not in record[group].values()
    assert Document.from_wire(record).to_wire()[group].keys() == record[group].keys()


def test_every_field_without_a_list_of_objects_has_a_column():
    """The columns that the error message lists are all fields of both models."""
    found: dict[str, list[str]] = {}
    for name, model in MODELS.items():
        with pytest.raises(SourceError) as caught:
            read("customerNo,nothing\n", model)
        found[name] = str(caught.value).split("columns: ")[1].split(", ")
    assert {name.split(".")[0] for name in found["customers"]} == set(wire_names(CustomerWrite))
    object_lists = {"documentLines", "attachmentFiles", "attachmentCodes", "customCodes"}
    assert {name.split(".")[0] for name in found["documents"]} == set(wire_names(Document)) - object_lists
    assert {name for name in found["customers"] if name.startswith("postal")} == set(ADDRESS)


MALFORMED = [
    ("byte order mark alone", "\ufeff", "a.csv: has no header row"),
    ("blank first line", "\ncustomerNo\n1\n", "a.csv: has no header row"),
    (
        "unknown column",
        "customerNo,nmae\n1,{}\n",
        "a.csv, column 'nmae': no such field (did you mean name?); columns: customerNo, ",
    ),
    ("nameless column", "customerNo,\n1,{}\n", "a.csv, row 1: cell 2 has a value, but the header has no name for its"),
    ("a group as a column", "customerNo,postalAddress\n1,{}\n", "a.csv, column 'postalAddress': no such field"),
    ("read-only column", "customerNo,accountNo\n1,{}\n", "a.csv, column 'accountNo': no such field"),
    (
        "another separator",
        "customerNo/name\n1/{}\n",
        "a.csv: the first row has no known column. Is the header row missing, is there a title above it, or are the co",
    ),
    ("repeated header", "customerNo,name\n1,a\n\ufeffCustomerNo ,name\n2,{}\n", "a.csv, row 2: repeats the header"),
    (
        "title line",
        "Kunder {}\ncustomerNo,name\n",
        "a.csv: the first row has no known column. Is the header row missing, is",
    ),
    ("repeated column", "customerNo,name,name\n1,{0},{0}\n", "a.csv: column name appears twice"),
    ("too few cells", "customerNo,name,phoneNo\n1,a,b\n2,{}\n", "a.csv, row 2, column phoneNo: the row has 2 cells"),
    ("too many cells", "customerNo,name\n1,{},22\n", "a.csv, row 1: the row has 3 cells, but the header has 2"),
    ("unclosed quote", 'customerNo,name\n1,a\n2,"{}\n3,b\n', "a.csv, row 2: a quote is not closed"),
    ("text after a quote", 'customerNo,name\n1,"a" {}\n', "a.csv, row 1: a quote is not closed"),
    (
        "cell that is too long",
        "customerNo,name\n1,{}" + "x" * MAX_CELL_LENGTH,
        "a.csv, row 1: a quote is not closed, or a cell is longer than 100000 characters",
    ),
    ("header that is too long", "{}" + "x" * MAX_CELL_LENGTH, "a.csv, row 1: a quote is not closed, or a cell is"),
]


@pytest.mark.parametrize(("content", "message"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_file_raises_with_row_and_column_but_no_cell(content, message):
    """The message shows no content of the file."""
    with pytest.raises(SourceError) as caught:
        read(content.replace("{}", CANARY).replace("{0}", CANARY))
    assert str(caught.value).startswith(message)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("header", [f"{CANARY},0150", f"1001,{CANARY} Hansen", f'"{CANARY}, Kari";12345678901'])
def test_message_shows_no_data_of_the_first_row_when_the_header_is_missing(header):
    """If no column is known, the first row is probably a record."""
    with pytest.raises(SourceError, match=r"^a.csv: the first row has no known column") as caught:
        read(f"{header}\n{header}\n")
    assert CANARY not in str(caught.value)
    assert "1001" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "cp1252", "cp865"])
def test_file_in_another_encoding_raises(tmp_path: Path, encoding):
    """The encoding is not guessed: misread letters would be sent to ARM."""
    source = file_source(tmp_path / "a.csv", f"customerNo,name\n1,{CANARY} ÆØÅ\n".encode(encoding))
    likely = "but UTF-16" if encoding.startswith("utf-16") else "but most likely WINDOWS-1252"
    with pytest.raises(
        SourceError, match=rf"^a.csv: cannot be read: it is not UTF-8, {likely}; save it as UTF-8 .*iconv"
    ):
        list(source.rows())


def test_invalid_byte_in_the_last_row_raises(tmp_path: Path):
    """The encoding of the whole file is checked, not only of the first block."""
    rows = "".join(f"{number},{'x' * 100}\n" for number in range(500))
    source = file_source(tmp_path / "a.csv", f"customerNo,name\n{rows}".encode() + b"501,\xe6\n")
    with pytest.raises(SourceError, match="it is not UTF-8"):
        list(source.rows())


def test_rows_without_a_value_are_counted_and_keep_the_numbers_of_the_others():
    """A spreadsheet shows them as rows."""
    source = FileSource(InMemory(b"customerNo;name\n1;a\n;\n\n2;b\n;;\n"), "a.csv", CustomerWrite, "customers")
    for _ in range(2):
        assert [row.number for row in source.rows()] == [1, 3]
        assert source.blank_rows == 3


def test_header_alone_yields_no_rows():
    """``prepare`` raises if there is nothing to submit."""
    assert read("customerNo,name\n") == []


def test_file_stays_open_after_reading_all_or_some_rows():
    """The caller closes the file."""
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
def test_cells_written_by_python_are_read_back(table, separator, mark, line_end):
    """Any text is read back, with quotes, separators and line breaks; an empty cell is a missing key."""
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


@settings(max_examples=150, deadline=None)
@given(
    good=st.integers(0, 3),
    bad=st.sampled_from([[CANARY], [CANARY, CANARY, CANARY], [f'"{CANARY}'], [f'"{CANARY}"{CANARY}']]),
    filler=st.sampled_from(["a", "æ", '"q,;"', '"two\nlines"']),
)
def test_error_names_the_invalid_row(good, bad, filler):
    """Valid rows before it do not change its number, and no cell is shown."""
    content = "customerNo,name\n" + f"{filler},{filler}\n" * good + ",".join(bad) + "\n"
    with pytest.raises(SourceError, match=rf"^a.csv, row {good + 1}\b") as caught:
        read(content)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "field", "value"),
    [
        ("customerNo;limitAmount\n1;1 250,00\n", "limitAmount", "1250.00"),
        ("customerNo;limitAmount\n1;1\u00a0250\n", "limitAmount", "1250"),
        ("customerNo;limitAmount\n1;1.250,5\n", "limitAmount", "1250.5"),
        ("customerNo;limitAmount\n1;\u221212,50\n", "limitAmount", "-12.50"),
        ("customerNo\tlimitAmount\n1\t12,50\n", "limitAmount", "12.50"),
        ("customerNo,limitAmount\n1,1.250\n", "limitAmount", "1.250"),
        ("customerNo;phoneNo\n1;'+47 99887766\n", "phoneNo", "+47 99887766"),
        ("customerNo;name\n1;'=SUM(A1)\n", "name", "=SUM(A1)"),
        ("customerNo;name\n1;''=SUM(A1)\n", "name", "'=SUM(A1)"),
        ("customerNo;name\n1;'s-Gravenhage BV\n", "name", "'s-Gravenhage BV"),
    ],
)
def test_cell_of_a_norwegian_spreadsheet_is_read_exactly(content, field, value):
    """Also what csv_dialect="excel" of an export has written."""
    [record] = records(content)
    assert str(record[field]) == value


@pytest.mark.parametrize("cell", ["1.250", "1,250", "12 50", "1 2500,00", "1.25,00", "1250,"])
def test_amount_with_an_ambiguous_mark_is_refused(cell):
    """Where semicolons separate the cells, a mark before three digits may mean thousands or decimals."""
    with pytest.raises(SourceError, match=r"^a.csv, row 1, column limitAmount: m"):
        records(f"customerNo;limitAmount\n1;{cell}\n")


def test_rows_within_quotes_are_refused():
    """An opening quote in one row and a closing one in a later row would swallow the rows between them."""
    content = 'customerNo;name;phoneNo\n1;"Hansen;1\n2;Olsen;2\n3;Berg";3\n4;Lie;4\n'
    with pytest.raises(SourceError, match="row 1: a cell contains whole rows, so a quote is most likely not closed"):
        records(content)
