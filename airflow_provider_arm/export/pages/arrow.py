"""From a page's columns to what is known of it and to what goes into the file, by Arrow.

A value that does not fit its column raises; none is rounded.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_arm.export.pages.cells import (
    RAW_NUMBER,
    RAW_VALUE,
    TEXT,
    TYPE_MISMATCH,
    ColumnType,
    ColumnTypeError,
)
from airflow_provider_arm.export.pages.columns import PageColumns
from airflow_provider_arm.export.pages.page_body import PageBodyParser
from airflow_provider_arm.export.pages.page_stats import PageStats, PageStatsReader, invalid_records_error
from airflow_provider_arm.export.pages.ranges import format_utc_timestamp
from airflow_provider_arm.export.pages.record_types import FieldType
from airflow_provider_arm.export.pages.texts import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_arm.client.http.messages import Response
    from airflow_provider_arm.export.pages.page_body import PageBody
    from airflow_provider_arm.export.pages.record_types import RecordType

#: Money: 15 digits before the point and 4 after it.
MONEY = pa.decimal128(19, 4)
#: Rates, limits and quantities.
NUMBER = pa.decimal128(38, 9)
#: What is added up of amounts that a file has as text: ten digits are left for the sum, which Arrow does not watch. An
#: amount beyond it is added up by Python.
SUMMABLE = pa.decimal128(28, 9)
DATE = pa.date32()
TIMESTAMP = pa.timestamp("us", tz="UTC")

#: Characters of a number that Arrow can be trusted with: up to so many digits its decimals do not wrap around.
_LONGEST_NUMBER = 38

_PLAIN: dict[FieldType, ColumnType] = {
    FieldType.INTEGER: pa.int64(),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.OTHER: RAW_VALUE,
}
#: What makes a cell of a CSV need quotes.
_SPECIAL = '[",\r\n]'


def _field_type(record_type: RecordType, name: str) -> FieldType:
    return FieldType.AMOUNT if name in record_type.all_amounts else record_type.fields.get(name, FieldType.OTHER)


class ColumnReader:
    """Reads the columns of a page, and its facts.

    :param columns: the fields that go into the file.
    :param typed: give amounts as decimals, days as dates and moments as timestamps, as Parquet has them; else all of
        these as ARM wrote them.
    """

    def __init__(
        self, record_type: RecordType, list_key: str, columns: Sequence[str], masked: frozenset[str], *, typed: bool
    ) -> None:
        self._record_type = record_type
        self._columns = columns
        self._masked = masked
        self._typed = typed
        wanted = dict.fromkeys([*record_type.validated_fields, *(name for name in columns if name not in masked)])
        self._page = PageColumns({name: self._cell(name) for name in wanted}, list_key)
        self._splitter, self._whole = PageBodyParser(list_key, self._page.record), PageBodyParser(list_key)
        self._dates = {to: [name for name in wanted if self._type(name) == to] for to in (DATE, TIMESTAMP)}
        self._exact = PageStatsReader(record_type, list_key)

    @property
    def schema(self) -> pa.Schema:
        """The schema of a typed file."""
        return pa.schema([pa.field(name, self._type(name)) for name in self._columns])

    def read(self, response: Response) -> tuple[PageBody, pa.RecordBatch, PageStats]:
        """Read a page: its body, the columns and the facts.

        :raises UnusableAnswerError: a record has no key, or a value does not fit its column; the column is named.
        :raises ValueError: it is no page.
        """
        try:
            body = self._splitter.split(response)
            found = self._page.read(body.records, body.text) if body.records else {}
        except (pa.ArrowException, msgspec.DecodeError):
            body, found = self._read_strictly(response)
        rows = len(body.records)
        if not rows:
            return body, pa.RecordBatch.from_pylist([], schema=self.schema), PageStats()
        if self._typed:
            for to, names in self._dates.items():
                found |= _parse_dates(self._record_type, {name: found[name] for name in names}, to)
        stats = self._stats(rows, found, body.text)
        arrays = [self._output_column(name, rows, found) for name in self._columns]
        return body, pa.RecordBatch.from_arrays(arrays, names=list(self._columns)), stats

    def _read_strictly(self, response: Response) -> tuple[PageBody, dict[str, pa.Array]]:
        body = self._whole.split(response)
        try:
            return body, self._page.read_strictly(body.records) if body.records else {}
        except ColumnTypeError as error:
            raise invalid_records_error(self._record_type, self._describe_mismatch(error.name)) from None
        except msgspec.DecodeError:
            raise invalid_records_error(self._record_type, "no fields at all") from None

    def _cell(self, name: str) -> ColumnType:
        field_type = _field_type(self._record_type, name)
        if field_type is FieldType.AMOUNT and not self._typed:
            return RAW_NUMBER if name in self._record_type.all_amounts else RAW_VALUE
        if field_type is FieldType.AMOUNT:
            return self._type(name)
        return _PLAIN.get(field_type, TEXT)

    def _type(self, name: str) -> pa.DataType:
        field_type = _field_type(self._record_type, name)
        if field_type is FieldType.AMOUNT:
            return MONEY if name in self._record_type.all_amounts else NUMBER
        return {
            FieldType.INTEGER: pa.int64(),
            FieldType.BOOLEAN: pa.bool_(),
            FieldType.DATE: DATE,
            FieldType.TIMESTAMP: TIMESTAMP,
        }.get(field_type, pa.string())

    def _describe_mismatch(self, name: str) -> str:
        fits_not = f"does not fit {self._type(name)}" if self._typed else "is no number"
        if _field_type(self._record_type, name) is FieldType.AMOUNT:
            return f"{name} that {fits_not}"
        return f"{name} of another type than it should have"

    def _stats(self, rows: int, found: Mapping[str, pa.Array], text: bytes) -> PageStats:
        if self._typed:
            return stats_from_columns(self._record_type, rows, found)
        try:
            names = self._record_type.all_amounts
            made = apply_batched([found[name] for name in names], lambda column: parse_decimals(column, SUMMABLE))
        except pa.ArrowInvalid:
            return self._exact.read(text)
        return stats_from_columns(self._record_type, rows, {**found, **dict(zip(names, made, strict=True))})

    def _output_column(self, name: str, rows: int, found: Mapping[str, pa.Array]) -> pa.Array:
        if name in self._masked:
            return pa.nulls(rows, self._type(name) if self._typed else pa.string())
        return found[name]


def apply_batched(columns: Sequence[pa.Array], work: Callable[[pa.Array], pa.Array]) -> list[pa.Array]:
    """Do the same work for several columns of a type, as one.

    At the end of each of Arrow's calls the thread waits for Python's lock: ten short calls wait ten times.
    """
    if len(columns) < 2:  # noqa: PLR2004 - spares the copy
        return [work(column) for column in columns]
    rows, made = len(columns[0]), work(pa.concat_arrays(columns))
    return [made.slice(number * rows, rows) for number in range(len(columns))]


def parse_decimals(column: pa.Array, to: pa.DataType) -> pa.Array:
    """Make decimals of numbers as they are written.

    :raises pa.ArrowInvalid: one does not fit, or is written in a way in which Arrow would wrap around what is too
        large: in more than 38 digits, or with an exponent.
    """
    longest = pc.max(pc.binary_length(column)).as_py() or 0
    powers = any(pc.any(pc.match_substring(column, sign)).as_py() for sign in "eE")
    if longest > _LONGEST_NUMBER or powers:
        raise pa.ArrowInvalid(TYPE_MISMATCH)
    return column.cast(to)


def stats_from_columns(record_type: RecordType, rows: int, found: Mapping[str, pa.Array]) -> PageStats:
    """Find the facts of columns: amounts are decimals, days and moments text.

    :raises UnusableAnswerError: a record has no key, or a date is none.
    """
    stats = PageStats(rows)
    if record_type.key is not None:
        if found[record_type.key].null_count:
            raise invalid_records_error(record_type, f"no {record_type.key}")
        stats.keys = found[record_type.key].to_pylist()
    stats.gl_totals = {name: pc.sum(found[name]).as_py() or Decimal(0) for name in record_type.gl_amounts}
    if record_type.currency is not None and record_type.amounts:
        stats.totals = _totals(record_type, found)
    for names, to, write in ((record_type.dates, DATE, str), (record_type.timestamps, TIMESTAMP, format_utc_timestamp)):
        columns = {name: found[name] for name in names}
        _add_ranges(stats, record_type, _parse_dates(record_type, columns, to), write)
    return stats


def _totals(record_type: RecordType, found: Mapping[str, pa.Array]) -> dict[str, dict[str, Decimal]]:
    table = pa.table({"": found[record_type.currency or ""], **{name: found[name] for name in record_type.amounts}})
    grouped = table.group_by("", use_threads=False).aggregate([(name, "sum") for name in record_type.amounts])
    return {
        row[""] or "": {name: row[f"{name}_sum"] or Decimal(0) for name in record_type.amounts}
        for row in grouped.to_pylist()
    }


def _add_ranges(
    stats: PageStats, record_type: RecordType, columns: Mapping[str, pa.Array], write: Callable[[Any], str]
) -> None:
    for name, column in columns.items():
        ends = pc.min_max(column)
        if not ends["min"].is_valid:
            continue
        try:
            stats.ranges[name] = write(ends["min"].as_py()), write(ends["max"].as_py())
        except (ValueError, OverflowError):  # a year that Python does not know
            raise invalid_records_error(record_type, f"{name} that is no date") from None


def _parse_dates(record_type: RecordType, columns: Mapping[str, pa.Array], to: pa.DataType) -> dict[str, pa.Array]:
    """Make days or moments of text, null of "", or say which is none. What is made already stays."""
    if not columns or all(column.type == to for column in columns.values()):
        return dict(columns)
    texts = apply_batched(list(columns.values()), _without_empty)
    try:
        made = apply_batched(texts, lambda column: column.cast(to))
    except pa.ArrowInvalid:
        wrong = next(name for name, text in zip(columns, texts, strict=True) if not _can_cast(text, to))
        raise invalid_records_error(record_type, f"{wrong} that does not fit {to}") from None
    return dict(zip(columns, made, strict=True))


def _can_cast(column: pa.Array, to: pa.DataType) -> bool:
    try:
        column.cast(to)
    except pa.ArrowInvalid:
        return False
    return True


def _without_empty(column: pa.Array) -> pa.Array:
    """Put null where "" stands."""
    alike = pc.equal(column, "")
    return pc.if_else(alike, pa.scalar(None, column.type), column) if pc.any(alike).as_py() else column


def csv_from_batch(batch: pa.RecordBatch) -> bytes:
    """Write a batch's rows as CSV: the same bytes as :func:`~airflow_provider_arm.export.pages.texts.csv_rows`."""
    if not batch.num_rows:
        return b""
    if batch.num_columns == 1:  # an empty cell alone in its row is written with quotes
        return csv_text([value] for value in batch.column(0).cast(pa.string()).to_pylist())
    cells = _csv_cells(batch.columns)
    cells[-1] = pc.binary_join_element_wise(cells[-1], "\r\n", "")
    return _text_bytes(pc.binary_join_element_wise(*cells, ","))


def _csv_cells(columns: Sequence[pa.Array]) -> list[pa.Array]:
    """Make text of columns, in quotes where it needs them, "" for null."""
    plain: dict[Any, list[int]] = {}
    cells = list(columns)
    for number, column in enumerate(columns):
        if pa.types.is_string(column.type) and _may_need_quotes(column):
            cells[number] = pc.fill_null(_quoted(column), "")
        elif column.null_count or not pa.types.is_string(column.type):
            plain.setdefault(column.type, []).append(number)
    for numbers in plain.values():
        for number, made in zip(numbers, apply_batched([columns[n] for n in numbers], _unquoted_cells), strict=True):
            cells[number] = made
    return cells


def _unquoted_cells(column: pa.Array) -> pa.Array:
    return pc.fill_null(column.cast(pa.string()), "")


def _quoted(column: pa.Array) -> pa.Array:
    special = pc.match_substring_regex(column, _SPECIAL)
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    return pc.if_else(special, quoted, column)


def _may_need_quotes(column: pa.Array) -> bool:
    text = _text_bytes(column)
    return b'"' in text or b"," in text or b"\r" in text or b"\n" in text


def _text_bytes(column: pa.Array) -> bytes:
    """Give the texts of a column, which lie one after the other in one buffer."""
    _, places, texts = column.buffers()
    if texts is None:
        return b""
    offsets = memoryview(places).cast("i")
    first, last = offsets[column.offset], offsets[column.offset + len(column)]
    return bytes(memoryview(texts)[first:last])
