"""One row of a source: raw, and as a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import FieldIssue, InvalidRecordError

#: Keys with this prefix are remarks, as in a rejects file; they are never sent.
REMARK_PREFIX = "_"
#: The remark in which a rejects file keeps the text of a row that is not a record.
RAW_TEXT_REMARK = "_line"


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a source."""

    #: From 1: the line of a .jsonl file, the position in a list, the record of a .csv file without its header.
    number: int
    record: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class InvalidRow:
    """A row that is not a record, with its text in the source."""

    issue: FieldIssue
    text: str = field(repr=False)


NOT_AN_OBJECT = InvalidRow(FieldIssue("", "must be an object with the record's fields"), "")

#: The content of a row: JSON text, a record, or a row that is not a record.
RawRow = bytes | Mapping[str, Any] | InvalidRow


def parse_row(content: RawRow) -> dict[str, Any]:
    """Return the record of a row, without remarks.

    :raises InvalidRecordError: the row is not a record.
    """
    if isinstance(content, InvalidRow):
        raise InvalidRecordError([content.issue])
    if isinstance(content, bytes):
        content = _decode(content)
    if not isinstance(content, Mapping):
        raise InvalidRecordError([NOT_AN_OBJECT.issue])
    return {key: value for key, value in content.items() if not str(key).startswith(REMARK_PREFIX)}


def parse_row_or_keep_text(content: RawRow) -> dict[str, Any]:
    """Return the record of a row; if the row is not a record, its text under :data:`RAW_TEXT_REMARK`.

    Bytes that are not UTF-8 are replaced.
    """
    try:
        return parse_row(content)
    except InvalidRecordError:
        if isinstance(content, bytes):
            return {RAW_TEXT_REMARK: content.decode(errors="replace").rstrip("\r\n")}
        return {RAW_TEXT_REMARK: content.text if isinstance(content, InvalidRow) else ""}


def format_location(number: int, issue: FieldIssue) -> str:
    """Return the row, and the column if there is one, as messages show them."""
    return f"row {number}, column {issue.field}" if issue.field else f"row {number}"


def chunk_rows(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Yield lists of *size* rows; the last may be shorter."""
    rows = iter(rows)
    while chunk := list(islice(rows, size)):
        yield chunk


def _decode(text: bytes) -> Any:
    try:
        return money.decode(text)
    except ValueError as error:
        # msgspec wraps the error of the hook for numbers.
        inexact = isinstance(error.__cause__, money.InexactNumberError)
        raise InvalidRecordError([FieldIssue("", str(error.__cause__) if inexact else "is not valid JSON")]) from None
