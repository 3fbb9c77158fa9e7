"""Validation of rows: by the quick check if it accepts the row, else by the model, which describes what is invalid."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.client.endpoints import to_wire
from airflow_provider_arm.client.errors import FieldIssue, InvalidRecordError
from airflow_provider_arm.client.operations import Operation, Replay
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.planning.duplicate_keys import DuplicateKeyIndex
from airflow_provider_arm.submission.planning.quick_check import quick_check
from airflow_provider_arm.submission.sources.cells import value_reader
from airflow_provider_arm.submission.sources.rows import (
    InvalidRow,
    Row,
    format_location,
    parse_row,
    parse_row_or_keep_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_arm.submission.sources.rows import RawRow
    from airflow_provider_arm.submission.sources.source import RowBlock, Source

#: Invalid rows that a message lists; the others are only counted.
MAX_LISTED_ROWS = 20

#: A record as it is sent; :func:`money.encode` writes the same bytes for both.
WireRecord = msgspec.Struct | dict[str, Any]

#: :func:`money.encode` without its check of all values, which validation has done already.
encode_validated = msgspec.json.Encoder(decimal_format="number").encode


class RowValidator:
    """Validator of the rows of one source, in their order.

    :param key: wire name of the natural key. A second record with the same key is invalid if ARM would book it twice.
    """

    def __init__(self, operation: Operation, key: str) -> None:
        self._operation = operation
        self._key = key
        self._quick = quick_check(operation.record)
        self._keys = None if operation.replay is Replay.SAFE else DuplicateKeyIndex()

    def check_all(self, rows: RowBlock, report: InvalidRowReport) -> tuple[Sequence[int], Sequence[WireRecord]]:
        """Return the numbers and records of the valid rows; add the invalid rows to *report*."""
        numbers, contents = rows
        checked = None if self._quick is None else self._quick.check_all(contents)
        if checked is not None and self._keys is None:
            return numbers, checked
        valid: tuple[list[int], list[WireRecord]] = [], []
        for number, content, record in zip(numbers, contents, checked or repeat(None, len(contents)), strict=True):
            try:
                wire = self.check(number, content, record)
            except InvalidRecordError as error:
                report.add(number, error.errors)
            else:
                valid[0].append(number)
                valid[1].append(wire)
        return valid

    def check(self, number: int, content: RawRow, record: WireRecord | None = None) -> WireRecord:
        """Return the record as it is sent.

        :param record: the result of the quick check, if the row has passed it already.
        :raises InvalidRecordError: the row is invalid; with all its issues.
        """
        if record is None and self._quick is not None:
            record = self._quick(content)
        if record is None:
            record = validate_with_model(self._operation, content)
        if self._keys is not None:
            key = record[self._key] if isinstance(record, dict) else getattr(record, self._key)
            first = self._keys.first_row(str(key), number)
            if first != number:
                issue = FieldIssue(self._key, f"is the same as in row {first}: ARM would book the record twice")
                raise InvalidRecordError([issue])
        return record


def validate_with_model(operation: Operation, content: RawRow) -> dict[str, Any]:
    """Return the record of a row as it is sent.

    :raises InvalidRecordError: the row is invalid; with all its issues.
    """
    issues: list[FieldIssue] = []
    wire: dict[str, Any] = {}
    try:
        reader = value_reader(operation.record, is_json=isinstance(content, bytes))
        if isinstance(content, InvalidRow) and content.record is not None:
            issues += content.issues
            record = reader.read(content.record, "", issues)
        else:
            record = reader.read(parse_row(content), "", issues)
        # Of two messages about a field, the first: the rules of the cells describe the same fault better.
        refused = {issue.field: issue for issue in reversed(issues)}
        try:
            wire = to_wire(operation.record, record)
        except InvalidRecordError as error:
            refused = {issue.field: issue for issue in error.errors} | refused
        if refused:
            raise InvalidRecordError([*refused.values()])
        money.raise_for_inexact(wire)
    except money.InexactNumberError as error:
        raise InvalidRecordError([FieldIssue("", str(error))]) from None
    except RecursionError:
        raise InvalidRecordError([FieldIssue("", "is nested too deeply")]) from None
    return wire


def validate_rows(source: Source, operation: Operation, key: str) -> Iterator[tuple[Row, tuple[FieldIssue, ...]]]:
    """Yield each row with its issues, none for a valid row; with the same result each time.

    :func:`prepare` with *skip_invalid* sends the valid rows. A row that is not a record has its text in the remark
    ``_line``.

    :raises SourceError: the source cannot be read.
    """
    validator = RowValidator(operation, key)
    for number, content in source.raw_rows():
        issues: tuple[FieldIssue, ...] = ()
        try:
            validator.check(number, content)
        except InvalidRecordError as error:
            issues = error.errors
        yield Row(number, parse_row_or_keep_text(content)), issues


class InvalidRowReport:
    """Report of all invalid rows of a source, so that they can be corrected at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.count = 0
        #: Issues of the first :data:`MAX_LISTED_ROWS` invalid rows.
        self.shown: list[FieldIssue] = []

    def add(self, number: int, issues: Sequence[FieldIssue]) -> None:
        """Add an invalid row."""
        self.count += 1
        if self.count <= MAX_LISTED_ROWS:
            self.shown += [FieldIssue(format_location(number, issue), issue.message) for issue in issues]

    def error(self) -> SourceError:
        """Return an error with the number of invalid rows and the issues of the first."""
        more = f"; and {self.count - MAX_LISTED_ROWS} more rows" if self.count > MAX_LISTED_ROWS else ""
        rows = "1 row is" if self.count == 1 else f"{self.count} rows are"
        msg = f"{self._name}: {rows} invalid and nothing was sent: {'; '.join(map(str, self.shown))}{more}"
        return SourceError(msg, errors=self.shown)
