"""The header of a table: its separator, and the fields of its columns."""

from __future__ import annotations

import re
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.keys import fold
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.sources import cells
from airflow_provider_arm.submission.sources.field_types import (
    Column,
    FieldKind,
    as_model,
    field_kind,
    list_fields,
    list_item_type,
)
from airflow_provider_arm.submission.sources.rows import REMARK_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_arm.client.models import ArmModel

#: Separates the items of a list in a cell. Not one of the usual column separators.
LIST_SEPARATOR = "|"
#: Characters that separate columns; of two that are equally frequent in the header, the first.
SEPARATORS = ",;\t"
#: A first line for Excel that names the separator.
_SEPARATOR_LINE = re.compile(r"\"?sep=([,;\t])\"?\s*", re.IGNORECASE)


def read_separator_line(line: str) -> str | None:
    """Return the separator that a line ``sep=;`` names; ``None`` for any other line."""
    found = _SEPARATOR_LINE.fullmatch(line)
    return found[1] if found else None


def normalize_name(name: str) -> str:
    """Return a column's name as it is compared: in any case, with or without blanks and underscores."""
    return re.sub(r"[\s_]", "", fold(name))


def suggest(name: str, known: Sequence[str]) -> str:
    """Return the question whether a similar name is meant, or nothing."""
    similar = get_close_matches(normalize_name(name), map(normalize_name, known), 1)
    meant = next((each for each in known if similar and normalize_name(each) == similar[0]), None)
    return f" (did you mean {meant}?)" if meant else ""


def find_columns(header: list[str], model: type[ArmModel], name: str, *, decimal_comma: bool) -> list[Column]:
    """Return the columns of a header that are fields of the model, without remarks and nameless columns.

    :param name: of the file, for messages.
    :param decimal_comma: amounts may have a decimal comma.
    :raises SourceError: a column is unknown or appears twice, or there is no header row.
    """
    columns = list(list_columns(model, decimal_comma=decimal_comma))
    known = {normalize_name(column.header): column for column in columns}
    names = [column.header for column in columns]
    if not any(map(str.strip, header)):
        raise SourceError(f"{name}: has no header row")
    if known.keys().isdisjoint(map(normalize_name, header)):
        # The first row may be a record, so the message shows nothing of it.
        raise SourceError(
            f"{name}: the first row has no known column. Is the header row missing, is there a title above it, or are "
            f"the columns separated by something else than a comma, semicolon or tab? Columns: {', '.join(names)}"
        )
    found: dict[str, Column] = {}
    for position, column in enumerate(header):
        normalized = normalize_name(column)
        if not normalized or is_remark(column):
            continue
        if normalized not in known:
            msg = f"{name}, column {column.strip()!r}: no such field{suggest(column, names)}; columns: "
            raise SourceError(msg + ", ".join(names))
        if normalized in found:
            raise SourceError(f"{name}: column {known[normalized].header} appears twice")
        found[normalized] = known[normalized]._replace(position=position)
    return list(found.values())


def is_remark(column: str) -> bool:
    """Return whether a column is a remark, which is never sent."""
    return column.strip().startswith(REMARK_PREFIX)


def list_columns(
    model: type[ArmModel], groups: tuple[str, ...] = (), *, decimal_comma: bool = False
) -> Iterator[Column]:
    """Yield the columns that a file for a model can have; there is none for a list of objects."""
    for name, wire_name, annotation in list_fields(model):
        if (group := as_model(annotation)) is not None:
            yield from list_columns(group, (*groups, wire_name), decimal_comma=decimal_comma)
        elif (item := list_item_type(annotation)) is None:
            convert = _LOCAL_CONVERTERS if decimal_comma else _CONVERTERS
            kind = field_kind(name, annotation)
            yield Column(groups, wire_name, convert.get(kind), annotation is str)
        elif item is str:
            yield Column(groups, wire_name, _split_list)


def _split_list(cell: str) -> list[str]:
    return [item for item in map(str.strip, cell.split(LIST_SEPARATOR)) if item]


_CONVERTERS: dict[FieldKind | None, Callable[[str], Any]] = {
    FieldKind.AMOUNT: lambda cell: Decimal(cells.read_amount(cell)),
    FieldKind.WHOLE: cells.read_whole,
    FieldKind.DATE: cells.read_date,
    FieldKind.FLAG: cells.read_flag,
}
_LOCAL_CONVERTERS = _CONVERTERS | {FieldKind.AMOUNT: lambda cell: Decimal(cells.read_local_amount(cell))}
