"""CSV files of records: one column per field, named as on the wire, nested fields with a dot.

An empty cell is a missing key (ARM keeps what it has), except inside a group such as the postal address: where any
cell of the group is filled, its empty cells are ``""``, because ARM rewrites the group as a whole. Lists are written
with ``|`` between their members.
"""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any, get_args

from airflow_provider_arm.submission.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.client.models import ArmModel

#: Between the members of a list in one cell: neither of the two common column separators.
LIST_SEPARATOR = "|"
#: A longer cell is a broken quote that swallowed the rest of the file.
LONGEST_CELL = 100_000
_REMARK = "_"

Place = tuple[str, ...]


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


def _record(
    cells: list[str], columns: list[str], places: list[tuple[Place, bool] | None], where: str
) -> dict[str, Any]:
    if len(cells) != len(columns):
        at = f"column {columns[len(cells)]}" if len(cells) < len(columns) else "after the last column"
        msg = f"{where}, {at}: the row has {len(cells)} cells and the header {len(columns)}"
        raise SourceError(msg)
    record: dict[str, Any] = {}
    filled = {place[0][0] for place, cell in zip(places, cells, strict=True) if place and cell}
    for found, cell in zip(places, cells, strict=True):
        if found is None or (not cell and (len(found[0]) == 1 or found[0][0] not in filled)):
            continue
        (*groups, last), is_list = found
        target = record
        for group in groups:
            target = target.setdefault(group, {})
        target[last] = [part for part in cell.split(LIST_SEPARATOR) if part] if is_list else cell
    return record


def _places(columns: list[str], model: type[ArmModel], name: str) -> list[tuple[Place, bool] | None]:
    """Find where each column's cells go; ``None`` for a remark."""
    known = dict(_columns(model))
    places: list[tuple[Place, bool] | None] = []
    for column in columns:
        if column.startswith(_REMARK):
            places.append(None)
        elif column in known:
            places.append((tuple(column.split(".")), known[column]))
        else:
            msg = f"{name}, column {column!r}: there is no such field; there are {', '.join(known)}"
            raise SourceError(msg)
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    if doubled or not columns:
        msg = f"{name}: column {doubled[0]} stands twice" if doubled else f"{name}: has no header row"
        raise SourceError(msg)
    return places


def _columns(model: type[ArmModel], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """List the columns that a model can take, and whether each holds a list."""
    for name, field in model.model_fields.items():
        wire = f"{prefix}{field.alias or name}"
        kinds = get_args(field.annotation) or (field.annotation,)
        nested = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        lists = [kind for kind in kinds if getattr(kind, "__origin__", None) is list]
        if nested is not None:
            yield from _columns(nested, f"{wire}.")
        elif not lists:
            yield wire, False
        elif get_args(lists[0]) == (str,):
            yield wire, True
