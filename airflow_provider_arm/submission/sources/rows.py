"""One row of a source: as it is read, and as a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import FieldIssue, InvalidRecordError

#: Keys that begin so are remarks beside the record, as in a rejects file; they are never sent.
REMARK_PREFIX = "_"
#: The remark under which a rejects file keeps a row that is no record, so that nothing of it is lost.
RAW_TEXT_REMARK = "_line"

_NOT_JSON = FieldIssue("", "is not valid JSON")
_TOO_DEEP = FieldIssue("", "is nested too deeply")
_NO_OBJECT = FieldIssue("", "must be an object with the record's fields")


@dataclass(frozen=True, slots=True)
class Row:
    """One record as the source has it."""

    #: From 1: the line of a .jsonl file, the place in a list, the record after the header of a .csv or .parquet file.
    number: int
    record: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class InvalidRow:
    """A row that is no record.

    :param text: the row as it stands in the source.
    """

    issue: FieldIssue
    text: str = field(repr=False)


#: What a source has in one row: the record's own JSON text, the record, or why it is none.
RawRow = bytes | Mapping[str, Any] | InvalidRow


def parse_row(content: RawRow) -> dict[str, Any]:
    """Give a row's record, without its remarks.

    :raises InvalidRecordError: the row is none.
    """
    if isinstance(content, InvalidRow):
        raise InvalidRecordError([content.issue])
    if isinstance(content, bytes):
        content = _decode(content)
    if not isinstance(content, Mapping):
        raise InvalidRecordError([_NO_OBJECT])
    return {key: value for key, value in content.items() if not str(key).startswith(REMARK_PREFIX)}


def parse_row_or_keep_text(content: RawRow) -> dict[str, Any]:
    """Give a row's record; of a row that is none, its text under :data:`RAW_TEXT_REMARK`."""
    try:
        return parse_row(content)
    except InvalidRecordError:
        return {RAW_TEXT_REMARK: raw_row_text(content)}


def raw_row_text(content: RawRow) -> str:
    """Give a row that is no record as it stands in the source; bytes that are not UTF-8 are replaced."""
    if isinstance(content, bytes):
        return content.decode(errors="replace").rstrip("\r\n")
    return content.text if isinstance(content, InvalidRow) else ""


def format_location(number: int, issue: FieldIssue) -> str:
    """Say where an issue is."""
    return f"row {number}, column {issue.field}" if issue.field else f"row {number}"


def chunk_rows(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Cut into lists of *size* rows; the last may be shorter."""
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _decode(text: bytes) -> Any:
    try:
        return money.decode(text)
    except ValueError as error:
        # The decoder wraps what its hook for numbers raises.
        cause = error.__cause__
        issue = FieldIssue("", str(cause)) if isinstance(cause, money.InexactNumberError) else _NOT_JSON
        raise InvalidRecordError([issue]) from None
