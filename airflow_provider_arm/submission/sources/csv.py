"""Reader of .csv files: one column per field, with wire names; the columns of a nested field have dotted names.

An empty cell is a missing key (ARM keeps its value). In a group such as the postal address, where any cell is filled,
an empty text cell is ``""``, because ARM replaces the group as a whole. Items of a list are separated by ``|``. How the
other cells are read is in ``cells``. Rows without any value are skipped and counted.
"""

from __future__ import annotations

import csv
import io
import re
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import FieldIssue
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.sources.cells import REPEATED_HEADER
from airflow_provider_arm.submission.sources.header import (
    SEPARATORS,
    find_columns,
    is_remark,
    normalize_name,
    read_separator_line,
)
from airflow_provider_arm.submission.sources.rows import BLANK_ROW, InvalidRow, describe_encoding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.client.models import ArmModel
    from airflow_provider_arm.submission.sources.field_types import Column
    from airflow_provider_arm.submission.sources.rows import RawRow

#: Characters. In a longer cell, an unclosed quote has most likely swallowed the rest of the file.
MAX_CELL_LENGTH = 100_000
#: Text before which ``csv_dialect="excel"`` writes an apostrophe, so that Excel does not run or change it.
_PROTECTED_TEXT = re.compile(r"'+(?:[=+\-@\t\r\n]|\d+,\d)")


def read_csv(file: IO[bytes], model: type[ArmModel], name: str) -> Iterator[tuple[int, RawRow]]:
    """Yield the rows with their numbers, from 1 after the header. A row of another length is an invalid row.

    :param file: UTF-8 with or without a byte order mark; the separator is a comma, a semicolon or a tab. It stays open.
    :raises SourceError: a column is unknown or appears twice, a quote is not closed, or there is no header row.
    """
    csv.field_size_limit(MAX_CELL_LENGTH)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    number = 0
    try:
        first_line = text.readline()
        if "\0" in first_line:  # UTF-16 of plain letters is valid UTF-8
            raise SourceError(f"{name}: cannot be read{describe_encoding(first_line.encode())}")
        separator = read_separator_line(first_line)
        if separator is not None:
            first_line = text.readline()
        else:
            separator = max(SEPARATORS, key=first_line.count)
        header = next(csv.reader([first_line], delimiter=separator), [])
        reader = _RowReader(header, find_columns(header, model, name, decimal_comma=separator != ","), separator)
        for cells in csv.reader(text, delimiter=separator, strict=True):
            if cells:
                number += 1
                yield number, reader.read(cells)
            else:
                yield number, BLANK_ROW
    except csv.Error:
        msg = f"{name}, row {number + 1}: a quote is not closed, or a cell is longer than {MAX_CELL_LENGTH} characters"
        raise SourceError(msg) from None
    finally:
        text.detach()


class _RowReader:
    """Reader of the rows of one table."""

    def __init__(self, header: list[str], columns: list[Column], separator: str) -> None:
        self._header = header
        self._separator = separator
        self._names = [normalize_name(name) for name in header]
        self._nameless = [at for at, name in enumerate(header) if not self._names[at] and not is_remark(name)]
        self._single = [(column.position, column.name, column.convert) for column in columns if not column.groups]
        self._groups: dict[tuple[str, ...], list[tuple[int, str, Any, bool]]] = {}
        for column in columns:
            if column.groups:
                cell = (column.position, column.name, column.convert, column.is_text)
                self._groups.setdefault(column.groups, []).append(cell)
        self._columns = columns
        self._first = columns[0].position

    def read(self, cells: list[str]) -> RawRow:
        """Return the record of a row, or what it is instead."""
        if len(cells) != len(self._header) or not cells[self._first] or cells[self._first].isspace():
            if not any(map(str.strip, cells)):
                return BLANK_ROW
            if len(cells) != len(self._header):
                return self._wrong_length(cells)
        joined = "".join(cells)
        if "\n" in joined and self._contains_rows(cells):
            issue = FieldIssue(
                "", "a cell contains whole rows, so a quote is most likely not closed: correct the quotes"
            )
            return self._invalid_row(cells, [issue])
        if self._separator == ";" and "'" in joined:
            cells = [cell[1:] if _PROTECTED_TEXT.match(cell) else cell for cell in cells]
        if not cells[self._first].isdigit() and self._repeats_header(cells):
            return self._invalid_row(cells, [FieldIssue("", REPEATED_HEADER)])
        for position in self._nameless:
            if cells[position].strip():
                issue = FieldIssue("", f"cell {position + 1} has a value, but the header has no name for its column")
                return self._invalid_row(cells, [issue])
        try:
            return self._record(cells)
        except ValueError:
            return self._invalid_row(cells, self._find_issues(cells), self._record(cells, converts=False))

    def _record(self, cells: list[str], *, converts: bool = True) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for position, name, convert in self._single:
            if cell := cells[position]:
                record[name] = convert(cell) if convert is not None and converts else cell
        for path, columns in self._groups.items():
            if any(cells[position] for position, *_ in columns):
                group = record
                for name in path:
                    group = group.setdefault(name, {})
                for position, name, convert, is_text in columns:
                    if cell := cells[position]:
                        group[name] = convert(cell) if convert is not None and converts else cell
                    elif is_text:  # an empty number is a missing key
                        group[name] = ""
        return record

    def _contains_rows(self, cells: list[str]) -> bool:
        """Return whether a line inside of a cell has as many separators as the header, if that is more than one."""
        count = len(self._header) - 1
        return count > 1 and any(
            line.count(self._separator) == count for cell in cells for line in cell.splitlines()[1:-1]
        )

    def _repeats_header(self, cells: list[str]) -> bool:
        if normalize_name(cells[self._first]) != self._names[self._first]:
            return False
        names = map(normalize_name, cells)
        return all(not cell or cell == name for cell, name in zip(names, self._names, strict=True))

    def _wrong_length(self, cells: list[str]) -> InvalidRow:
        first_missing = self._header[len(cells)] if len(cells) < len(self._header) else ""
        message = f"the row has {len(cells)} cells, but the header has {len(self._header)}"
        return self._invalid_row(cells, [FieldIssue(first_missing, message)])

    def _find_issues(self, cells: list[str]) -> list[FieldIssue]:
        issues = []
        for column in self._columns:
            convert, cell = column.convert, cells[column.position]
            try:
                if convert is not None and cell:
                    convert(cell)
            except ValueError as error:
                issues.append(FieldIssue(column.header, str(error)))
        return issues

    def _invalid_row(
        self, cells: list[str], issues: list[FieldIssue], record: dict[str, Any] | None = None
    ) -> InvalidRow:
        text = io.StringIO()
        csv.writer(text, delimiter=self._separator, lineterminator="").writerow(cells)
        return InvalidRow(tuple(issues), text.getvalue(), record)
