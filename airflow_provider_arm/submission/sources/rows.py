"""One row of a source: raw, and as a record."""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
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
    """A row that cannot be read, with its text in the source.

    :param record: the record with its values as they are in the source, if the row has the form of one.
    """

    issues: tuple[FieldIssue, ...]
    text: str = field(repr=False)
    record: dict[str, Any] | None = field(default=None, repr=False)


NOT_AN_OBJECT = InvalidRow((FieldIssue("", "must be an object with the record's fields"),), "")
#: A row without any value, as spreadsheets write deleted rows. Sources skip and count it.
BLANK_ROW = InvalidRow((), "")

#: The content of a row: JSON text, a record, or a row that is not a record.
RawRow = bytes | Mapping[str, Any] | InvalidRow


def parse_row(content: RawRow) -> dict[str, Any]:
    """Return the record of a row, without remarks.

    :raises InvalidRecordError: the row is not a record.
    """
    if isinstance(content, InvalidRow):
        raise InvalidRecordError(content.issues)
    if isinstance(content, bytes):
        content = _decode(content)
    if not isinstance(content, Mapping):
        raise InvalidRecordError(NOT_AN_OBJECT.issues)
    return {key: value for key, value in content.items() if not str(key).startswith(REMARK_PREFIX)}


def parse_row_or_keep_text(content: RawRow) -> dict[str, Any]:
    """Return the record of a row; if the row is not a record, its text under :data:`RAW_TEXT_REMARK`.

    Bytes that are not UTF-8 are replaced.
    """
    if isinstance(content, InvalidRow) and content.record is not None:
        return content.record
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
    text = text.removeprefix(BOM_UTF8)  # also in the middle, where files were put together
    try:
        return money.decode(text)
    except ValueError as error:
        # msgspec wraps the error of the hook for numbers.
        if isinstance(error.__cause__, money.InexactNumberError):
            reason = str(error.__cause__)
        else:
            reason = f"is not valid JSON{describe_encoding(text)}"
        raise InvalidRecordError([FieldIssue("", reason)]) from None


def describe_encoding(text: bytes) -> str:
    """Return what to do about text that is not UTF-8, to continue a sentence; nothing for UTF-8."""
    if text.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or b"\0" in text:
        encoding = "UTF-16"
    else:
        try:
            text.decode()
        except UnicodeDecodeError:
            encoding = "WINDOWS-1252"
        else:
            return ""
    # Which of the Western encodings it is cannot be known.
    likely = "" if encoding == "UTF-16" else "most likely "
    return (
        f": it is not UTF-8, but {likely}{encoding}; save it as UTF-8 (in Excel: CSV UTF-8), or convert it: "
        f"iconv -f {encoding} -t UTF-8"
    )
