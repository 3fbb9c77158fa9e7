"""Reader of .csv files: one column per field, with wire names; the columns of a nested field have dotted names.

An empty cell is a missing key (ARM keeps its value). In a group such as the postal address, where any cell is filled,
an empty text cell is ``""``, because ARM replaces the group as a whole. Items of a list are separated by ``|``. Plain
whole numbers and ``true``/``false`` are converted; the model converts all other cells.
"""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import FieldIssue
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.sources.field_types import Column, as_model, list_fields, list_item_type
from airflow_provider_arm.submission.sources.rows import REMARK_PREFIX, InvalidRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.client.models import ArmModel

#: Separates the items of a list in a cell. Not one of the two usual column separators.
LIST_SEPARATOR = "|"
#: Characters. In a longer cell, an unclosed quote has most likely swallowed the rest of the file.
MAX_CELL_LENGTH = 100_000
#: Longer whole numbers are left to the model.
_MAX_DIGITS = 18


def read_csv(file: IO[bytes], model: type[ArmModel], name: str) -> Iterator[tuple[int, dict[str, Any] | InvalidRow]]:
    """Yield the records with their numbers, from 1 after the header. A row of another length is an invalid row.

    :param file: UTF-8 with or without a byte order mark; the separator is a comma or a semicolon. It stays open.
    :raises SourceError: a column is unknown or appears twice, a quote is not closed, or there is no header row.
    """
    csv.field_size_limit(MAX_CELL_LENGTH)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    number = 0
    try:
        first_line = text.readline()
        separator = ";" if first_line.count(";") > first_line.count(",") else ","
        header = next(csv.reader([first_line], delimiter=separator), [])
        columns = _find_columns(header, model, name)
        groups: dict[str, list[Column]] = {}
        for column in columns:
            groups.setdefault(column.groups[0] if column.groups else "", []).append(column)
        single = [(column.position, column.name, column.convert) for column in groups.pop("", [])]
        for cells in csv.reader(text, delimiter=separator, strict=True):
            if cells:
                number += 1
                is_complete = len(cells) == len(header)
                yield number, _record(cells, single, groups) if is_complete else _invalid_row(cells, header, separator)
    except csv.Error:
        msg = f"{name}, row {number + 1}: a quote is not closed, or a cell is longer than {MAX_CELL_LENGTH} characters"
        raise SourceError(msg) from None
    finally:
        text.detach()


def _record(cells: list[str], single: list[tuple[int, str, Any]], groups: dict[str, list[Column]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for position, name, convert in single:
        if cell := cells[position]:
            record[name] = cell if convert is None else convert(cell)
    for columns in groups.values():
        if any(cells[column.position] for column in columns):
            for column in columns:
                cell = cells[column.position]
                if cell or column.is_text:  # an empty number is a missing key
                    column.set(record, column.convert(cell) if cell and column.convert else cell)
    return record


def _invalid_row(cells: list[str], header: list[str], separator: str) -> InvalidRow:
    first_missing = header[len(cells)] if len(cells) < len(header) else ""
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="").writerow(cells)
    issue = FieldIssue(first_missing, f"the row has {len(cells)} cells, but the header has {len(header)}")
    return InvalidRow(issue, text.getvalue())


def _find_columns(header: list[str], model: type[ArmModel], name: str) -> list[Column]:
    """Return the columns of the header that are fields of the model, without remarks."""
    known = {column.header: column for column in list_columns(model)}
    if not header:
        raise SourceError(f"{name}: has no header row")
    if known.keys().isdisjoint(header):
        # The first row may be a record, so the message shows nothing of it.
        msg = f"{name}: the first row has no known column. Is the header row missing? Columns: {', '.join(known)}"
        raise SourceError(msg)
    for column in header:
        if column not in known and not column.startswith(REMARK_PREFIX):
            raise SourceError(f"{name}, column {column!r}: no such field; columns: {', '.join(known)}")
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise SourceError(f"{name}: column {repeated[0]} appears twice")
    return [known[column]._replace(position=position) for position, column in enumerate(header) if column in known]


def list_columns(model: type[ArmModel], groups: tuple[str, ...] = ()) -> Iterator[Column]:
    """Yield the columns that a file for a model can have; there is none for a list of objects."""
    for _, name, kind in list_fields(model):
        if (group := as_model(kind)) is not None:
            yield from list_columns(group, (*groups, name))
        elif (item := list_item_type(kind)) is None:
            yield Column(groups, name, _CONVERTERS.get(kind), kind is str)
        elif item is str:
            yield Column(groups, name, _split_list)


def _split_list(cell: str) -> list[str]:
    return [item for item in cell.split(LIST_SEPARATOR) if item]


def _parse_whole(cell: str) -> int | str:
    return int(cell) if cell.isdecimal() and cell.isascii() and len(cell) <= _MAX_DIGITS else cell


_CONVERTERS = {int: _parse_whole, bool: lambda cell: {"true": True, "false": False}.get(cell, cell)}
