"""The check of one row: by the fast check where that takes it, else by the model, which words what is wrong."""

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
from airflow_provider_arm.submission.sources.rows import Row, format_location, parse_row, parse_row_or_keep_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_arm.submission.sources.rows import RawRow
    from airflow_provider_arm.submission.sources.source import RowBlock, Source

#: Wrong rows that a message lists; it says how many more there are.
MAX_LISTED_ROWS = 20

#: A record as it goes on the wire; :func:`money.encode` writes the same bytes of either.
WireRecord = msgspec.Struct | dict[str, Any]

#: :func:`money.encode` without its walk through all values: each of these was looked at when its row was checked.
encode_validated = msgspec.json.Encoder(decimal_format="number").encode


class RowValidator:
    """Checks the rows of one source in their order.

    :param key: wire name of the natural key. Where a second record of one key would book twice, it is refused.
    """

    def __init__(self, operation: Operation, key: str) -> None:
        self._operation = operation
        self._key = key
        self._quick = quick_check(operation.record)
        self._seen = None if operation.replay is Replay.SAFE else DuplicateKeyIndex()

    def check_all(self, rows: RowBlock, wrong: InvalidRowReport) -> tuple[Sequence[int], Sequence[WireRecord]]:
        """Give the numbers of those that are sound, and those; the others are added to *wrong*."""
        numbers, contents = rows
        known = None if self._quick is None else self._quick.lines(contents)
        if known is not None and self._seen is None:
            return numbers, known
        sound: tuple[list[int], list[WireRecord]] = [], []
        for number, content, record in zip(numbers, contents, known or repeat(None, len(contents)), strict=True):
            try:
                wire = self.check(number, content, record)
            except InvalidRecordError as error:
                wrong.add(number, error.errors)
            else:
                sound[0].append(number)
                sound[1].append(wire)
        return sound

    def check(self, number: int, content: RawRow, record: WireRecord | None = None) -> WireRecord:
        """Give the record as it goes on the wire.

        :param record: the content, where the fast check has taken it already.
        :raises InvalidRecordError: with all that is wrong with it.
        """
        if record is None and self._quick is not None:
            record = self._quick(content)
        if record is None:
            record = validate_with_model(self._operation, content)
        if self._seen is not None:
            key = record[self._key] if isinstance(record, dict) else getattr(record, self._key)
            first = self._seen.first_row(str(key), number)
            if first != number:
                raise InvalidRecordError(
                    [FieldIssue(self._key, f"is the same as in row {first}, which would book it twice")]
                )
        return record


def validate_with_model(operation: Operation, content: RawRow) -> dict[str, Any]:
    """Give a row's record as it goes on the wire.

    :raises InvalidRecordError: with all that is wrong with it.
    """
    try:
        wire = to_wire(operation.record, parse_row(content))
        money.raise_for_inexact(wire)
    except money.InexactNumberError as error:
        raise InvalidRecordError([FieldIssue("", str(error))]) from None
    except RecursionError:
        raise InvalidRecordError([FieldIssue("", "is nested too deeply")]) from None
    return wire


def validate_rows(source: Source, operation: Operation, key: str) -> Iterator[tuple[Row, tuple[FieldIssue, ...]]]:
    """Give every row with what is wrong with it, the empty tuple where it is sound; each time the same.

    The sound ones, in chunks, are what :func:`prepare` leaves in with *skip_invalid*. A row that is no record at all
    has its text under the remark ``_line``.

    :raises SourceError: the source cannot be read on.
    """
    check = RowValidator(operation, key)
    for number, content in source.raw_rows():
        issues: tuple[FieldIssue, ...] = ()
        try:
            check.check(number, content)
        except InvalidRecordError as error:
            issues = error.errors
        yield Row(number, parse_row_or_keep_text(content)), issues


class InvalidRowReport:
    """Collects what is wrong with rows, so that a person mends the file once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.count = 0
        #: Of the first :data:`MAX_LISTED_ROWS` rows.
        self.shown: list[FieldIssue] = []

    def add(self, number: int, issues: Sequence[FieldIssue]) -> None:
        """Note one row."""
        self.count += 1
        if self.count <= MAX_LISTED_ROWS:
            self.shown += [FieldIssue(format_location(number, issue), issue.message) for issue in issues]

    def error(self) -> SourceError:
        """Say in one error how many there are, and what is wrong with the first."""
        more = f"; and {self.count - MAX_LISTED_ROWS} more rows" if self.count > MAX_LISTED_ROWS else ""
        listed = "; ".join(map(str, self.shown))
        msg = f"{self._name}: {self.count} rows do not fit and nothing was sent: {listed}{more}"
        return SourceError(msg, errors=self.shown)
