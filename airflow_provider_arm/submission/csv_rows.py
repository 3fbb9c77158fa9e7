"""CSV files of records: one column per field, named as on the wire, nested fields with a dot.

An empty cell is a missing key (ARM keeps what it has), except inside a group such as the postal address: where any
cell of the group is filled, its empty cells of text are ``""``, because ARM rewrites the group as a whole. Lists are
written with ``|`` between their members.
"""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any, NamedTuple, get_args

from airflow_provider_arm.submission.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.client.models import ArmModel

#: Between the members of a list in one cell: neither of the two common column separators.
LIST_SEPARATOR = "|"
#: A longer cell is a broken quote that swallowed the rest of the file.
LONGEST_CELL = 100_000
_REMARK = "_"


class Column(NamedTuple):
    """Where a column's cells go, and what they hold."""

    place: tuple[str, ...]
    is_list: bool
    is_text: bool


def read_csv(file: IO[bytes], model: type[ArmModel], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the records with their numbers, from 1 after the header.

    :param file: bytes in UTF-8, with or without a byte order mark, separated by commas or semicolons.
    :raises SourceError: naming row and column.
    """
    csv.field_size_limit(LONGEST_CELL)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        header = text.readline()
        separator = ";" if header.count(";") > header.count(",") else ","
        columns = next(csv.reader([header], delimiter=separator), [])
        places = _places(columns, model, name)
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
            yield number, _record(cells, columns, places, f"{name}, row {number}")
    finally:
        text.detach()


def _record(cells: list[str], columns: list[str], places: list[Column | None], where: str) -> dict[str, Any]:
    if len(cells) != len(columns):
        at = f"column {columns[len(cells)]}" if len(cells) < len(columns) else "after the last column"
        msg = f"{where}, {at}: the row has {len(cells)} cells and the header {len(columns)}"
        raise SourceError(msg)
    record: dict[str, Any] = {}
    filled = {column.place[0] for column, cell in zip(places, cells, strict=True) if column and cell}
    for column, cell in zip(places, cells, strict=True):
        if column is None:
            continue
        *groups, last = column.place
        # There is no empty number: in a group too, its empty cell is a missing key.
        if not cell and not (groups and column.is_text and groups[0] in filled):
            continue
        target = record
        for group in groups:
            target = target.setdefault(group, {})
        target[last] = [part for part in cell.split(LIST_SEPARATOR) if part] if column.is_list else cell
    return record


def _places(columns: list[str], model: type[ArmModel], name: str) -> list[Column | None]:
    """Find where each column's cells go; ``None`` for a remark."""
    known = {".".join(column.place): column for column in _columns(model)}
    if columns and known.keys().isdisjoint(columns):
        # Most likely somebody's record: nothing of it is shown.
        msg = f"{name}: the first row names no field: is the header row missing? There are {', '.join(known)}"
        raise SourceError(msg)
    places: list[Column | None] = []
    for column in columns:
        if column.startswith(_REMARK):
            places.append(None)
        elif column in known:
            places.append(known[column])
        else:
            msg = f"{name}, column {column!r}: there is no such field; there are {', '.join(known)}"
            raise SourceError(msg)
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    if doubled or not columns:
        msg = f"{name}: column {doubled[0]} stands twice" if doubled else f"{name}: has no header row"
        raise SourceError(msg)
    return places


def _columns(model: type[ArmModel], groups: tuple[str, ...] = ()) -> Iterator[Column]:
    """List the columns that a model can take."""
    for name, field in model.model_fields.items():
        place = (*groups, field.alias or name)
        kinds = get_args(field.annotation) or (field.annotation,)
        nested = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        lists = [kind for kind in kinds if getattr(kind, "__origin__", None) is list]
        if nested is not None:
            yield from _columns(nested, place)
        elif not lists:
            yield Column(place, is_list=False, is_text=str in kinds)
        elif get_args(lists[0]) == (str,):
            yield Column(place, is_list=True, is_text=False)
