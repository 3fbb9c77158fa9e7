"""CSV files of records: one column per field, named as on the wire, nested fields with a dot.

An empty cell is a missing key (ARM keeps what it has), except inside a group such as the postal address: where any
cell of the group is filled, its empty cells of text are ``""``, because ARM rewrites the group as a whole. Lists are
written with ``|`` between their members. A whole number and true or false are read as such where they are written
plainly; every other cell is the model's to read.
"""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any, NamedTuple, get_args

from airflow_provider_arm.client.errors import FieldIssue
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.sources.rows import REMARK_PREFIX, InvalidRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_arm.client.models import ArmModel

#: Between the members of a list in one cell: neither of the two common column separators.
LIST_SEPARATOR = "|"
#: A longer cell is a broken quote that swallowed the rest of the file.
MAX_CELL_LENGTH = 100_000
#: A longer whole number is left to the model.
_MOST_DIGITS = 18


class CsvColumn(NamedTuple):
    """Where a column's cells go, and what they hold."""

    groups: tuple[str, ...]
    name: str
    is_text: bool
    #: Reads a filled cell; ``None`` where it is taken as it is.
    read: Callable[[str], Any] | None
    at: int = -1

    @property
    def header(self) -> str:
        """The column's name in the header."""
        return ".".join((*self.groups, self.name))


class _RowBuilder:
    """Turns the cells of a row into a record."""

    def __init__(self, columns: list[CsvColumn]) -> None:
        self._single = [(column.at, column.name, column.read) for column in columns if not column.groups]
        self._groups: dict[str, list[CsvColumn]] = {}
        for column in columns:
            if column.groups:
                self._groups.setdefault(column.groups[0], []).append(column)

    def record(self, cells: list[str]) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for at, name, read in self._single:
            if cell := cells[at]:
                record[name] = cell if read is None else read(cell)
        for columns in self._groups.values():
            if any(cells[column.at] for column in columns):
                self._fill(record, columns, cells)
        return record

    @staticmethod
    def _fill(record: dict[str, Any], columns: list[CsvColumn], cells: list[str]) -> None:
        """Fill a group of which a cell is filled: there is no empty number, so its empty cell is a missing key."""
        for column in columns:
            cell = cells[column.at]
            if cell or column.is_text:
                target = record
                for group in column.groups:
                    target = target.setdefault(group, {})
                target[column.name] = column.read(cell) if cell and column.read else cell


def read_csv(file: IO[bytes], model: type[ArmModel], name: str) -> Iterator[tuple[int, dict[str, Any] | InvalidRow]]:
    """Read the records with their numbers, from 1 after the header; a row of another length is none.

    :param file: bytes in UTF-8, with or without a byte order mark, separated by commas or semicolons.
    :raises SourceError: the header names a column that cannot be, or the quotes do not close.
    """
    csv.field_size_limit(MAX_CELL_LENGTH)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        header = text.readline()
        separator = ";" if header.count(";") > header.count(",") else ","
        columns = next(csv.reader([header], delimiter=separator), [])
        table = _RowBuilder(_find_columns(columns, model, name))
        reader = csv.reader(text, delimiter=separator, strict=True)
        number = 0
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                msg = f"{name}, row {number + 1}: the quotes do not close, or a cell is too long"
                raise SourceError(msg) from None
            if not cells:
                continue
            number += 1
            if len(cells) == len(columns):
                yield number, table.record(cells)
            else:
                yield number, _misread(cells, columns, separator)
    finally:
        text.detach()


def _misread(cells: list[str], columns: list[str], separator: str) -> InvalidRow:
    first_missing = columns[len(cells)] if len(cells) < len(columns) else ""
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="").writerow(cells)
    issue = FieldIssue(first_missing, f"the row has {len(cells)} cells and the header {len(columns)}")
    return InvalidRow(issue, text.getvalue())


def _find_columns(columns: list[str], model: type[ArmModel], name: str) -> list[CsvColumn]:
    """Find where each column's cells go; remarks go nowhere."""
    known = {column.header: column for column in list_columns(model)}
    if columns and known.keys().isdisjoint(columns):
        # Most likely somebody's record: nothing of it is shown.
        msg = f"{name}: the first row names no field: is the header row missing? There are {', '.join(known)}"
        raise SourceError(msg)
    found: list[CsvColumn] = []
    for at, column in enumerate(columns):
        if column.startswith(REMARK_PREFIX):
            continue
        if column not in known:
            msg = f"{name}, column {column!r}: there is no such field; there are {', '.join(known)}"
            raise SourceError(msg)
        found.append(known[column]._replace(at=at))
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    if doubled or not columns:
        msg = f"{name}: column {doubled[0]} stands twice" if doubled else f"{name}: has no header row"
        raise SourceError(msg)
    return found


def list_columns(model: type[ArmModel], groups: tuple[str, ...] = ()) -> Iterator[CsvColumn]:
    """List the columns that a model can take."""
    for name, field in model.model_fields.items():
        alias = field.alias or name
        kinds = get_args(field.annotation) or (field.annotation,)
        nested = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        lists = [kind for kind in kinds if getattr(kind, "__origin__", None) is list]
        if nested is not None:
            yield from list_columns(nested, (*groups, alias))
        elif not lists:
            read = _read_whole if int in kinds else _read_truth if bool in kinds else None
            yield CsvColumn(groups, alias, str in kinds, read)
        elif get_args(lists[0]) == (str,):
            yield CsvColumn(groups, alias, is_text=False, read=_read_list)


def _read_list(cell: str) -> list[str]:
    return [part for part in cell.split(LIST_SEPARATOR) if part]


def _read_whole(cell: str) -> int | str:
    return int(cell) if cell.isdecimal() and cell.isascii() and len(cell) <= _MOST_DIGITS else cell


def _read_truth(cell: str) -> bool | str:
    return {"true": True, "false": False}.get(cell, cell)
