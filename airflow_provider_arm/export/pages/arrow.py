"""Columns and stats of a page by Arrow. A value that does not fit its column raises; nothing is rounded."""

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
from airflow_provider_arm.export.pages.page_stats import PageStats, invalid_records_error
from airflow_provider_arm.export.pages.ranges import format_utc_timestamp
from airflow_provider_arm.export.pages.record_types import FieldType
from airflow_provider_arm.export.pages.submittable import SubmittableFields
from airflow_provider_arm.export.pages.texts import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_arm.client.http.messages import Response
    from airflow_provider_arm.export.pages.field_selection import FieldSelection
    from airflow_provider_arm.export.pages.page_body import PageBody
    from airflow_provider_arm.export.pages.record_types import RecordType

#: Money: 15 digits before the decimal point and 4 after it.
MONEY = pa.decimal128(19, 4)
#: Rates, limits and quantities.
NUMBER = pa.decimal128(38, 9)
#: Amounts that are summed by Arrow if the file has them as text; pages with larger ones are read without Arrow. Ten
#: digits are left for the sum, because Arrow does not detect an overflow.
SUMMABLE = pa.decimal128(28, 9)
DATE = pa.date32()
TIMESTAMP = pa.timestamp("us", tz="UTC")

#: Maximum length of the text of a number: with more digits, Arrow's decimals overflow silently.
_MAX_NUMBER_LENGTH = 38

_COLUMN_TYPES: dict[FieldType, ColumnType] = {
    FieldType.INTEGER: pa.int64(),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.OTHER: RAW_VALUE,
}
#: Characters because of which a CSV cell needs quotes.
_SPECIAL = '[",\r\n]'


def _field_type(record_type: RecordType, name: str) -> FieldType:
    return FieldType.AMOUNT if name in record_type.all_amounts else record_type.field_type(name)


class ColumnReader:
    """Reader of the columns of a page, and of its stats.

    :param columns: the fields that go into the file.
    :param typed: return amounts as decimals, dates as dates and timestamps as timestamps, for Parquet; otherwise the
        text that ARM wrote.
    """

    def __init__(
        self, record_type: RecordType, list_key: str, columns: Sequence[str], selection: FieldSelection, *, typed: bool
    ) -> None:
        masked = selection.masked
        self._record_type = record_type
        self._columns = columns
        self._masked = masked
        self._typed = typed
        self._is_submittable = selection.is_submittable
        self._text_lists = SubmittableFields(record_type).text_lists if selection.is_submittable else frozenset()
        wanted = dict.fromkeys([*record_type.validated_fields, *(name for name in columns if name not in masked)])
        self._page = PageColumns({name: self._cell(name) for name in wanted}, list_key)
        self._parser, self._raw_parser = PageBodyParser(list_key, self._page.record), PageBodyParser(list_key)
        self._dates = {to: [name for name in wanted if self._type(name) == to] for to in (DATE, TIMESTAMP)}

    @property
    def schema(self) -> pa.Schema:
        """The schema of a typed file."""
        return pa.schema([pa.field(name, self._type(name)) for name in self._columns])

    def read(self, response: Response) -> tuple[PageBody, pa.RecordBatch, PageStats]:
        """Return a page's body, columns and stats.

        :raises InvalidDataError: a record has no key, or a value does not fit its column; the message names it.
        :raises ValueError: it is not a page; of untyped columns also that a value is not of the type of its field.
        """
        try:
            body = self._parser.split(response)
            arrays = self._page.read(body.records, body.text) if body.records else {}
        except (pa.ArrowException, msgspec.DecodeError) as error:
            if not self._typed:
                raise ValueError(TYPE_MISMATCH) from error
            body, arrays = self._read_strictly(response)
        rows = len(body.records)
        if not rows:
            return body, pa.RecordBatch.from_pylist([], schema=self.schema), PageStats()
        if self._typed:
            for to, names in self._dates.items():
                columns = {name: arrays[name] for name in names}
                arrays |= _parse_dates(self._record_type, columns, to, _cast_without_zeros)
        stats = self._stats(rows, arrays)
        output = [self._output_column(name, rows, arrays) for name in self._columns]
        return body, pa.RecordBatch.from_arrays(output, names=list(self._columns)), stats

    def _read_strictly(self, response: Response) -> tuple[PageBody, dict[str, pa.Array]]:
        body = self._raw_parser.split(response)
        try:
            return body, self._page.read_strictly(body.records) if body.records else {}
        except ColumnTypeError as error:
            raise invalid_records_error(self._record_type, self._describe_mismatch(error.name)) from None
        except msgspec.DecodeError:
            raise invalid_records_error(self._record_type, "no fields") from None

    def _cell(self, name: str) -> ColumnType:
        field_type = _field_type(self._record_type, name)
        if field_type is FieldType.AMOUNT and not self._typed:
            return RAW_NUMBER if name in self._record_type.all_amounts else RAW_VALUE
        if field_type is FieldType.AMOUNT:
            return self._type(name)
        return _COLUMN_TYPES.get(field_type, TEXT)

    def _type(self, name: str) -> pa.DataType:
        field_type = _field_type(self._record_type, name)
        if field_type is FieldType.AMOUNT:
            # ARM refuses numbers with more decimals than money has.
            return MONEY if self._is_submittable or name in self._record_type.all_amounts else NUMBER
        if name in self._text_lists:
            return pa.list_(pa.string())
        return {
            FieldType.INTEGER: pa.int64(),
            FieldType.BOOLEAN: pa.bool_(),
            FieldType.DATE: DATE,
            FieldType.TIMESTAMP: TIMESTAMP,
        }.get(field_type, pa.string())

    def _describe_mismatch(self, name: str) -> str:
        if _field_type(self._record_type, name) is FieldType.AMOUNT:
            return f"a {name} that does not fit {self._type(name)}"
        return f"a {name} of the wrong type"

    def _stats(self, rows: int, arrays: Mapping[str, pa.Array]) -> PageStats:
        if self._typed:
            return stats_from_columns(self._record_type, rows, arrays)
        names = self._record_type.all_amounts
        converted = apply_batched([arrays[name] for name in names], lambda column: parse_decimals(column, SUMMABLE))
        return stats_from_columns(self._record_type, rows, {**arrays, **dict(zip(names, converted, strict=True))})

    def _output_column(self, name: str, rows: int, arrays: Mapping[str, pa.Array]) -> pa.Array:
        if name in self._masked:
            return pa.nulls(rows, self._type(name) if self._typed else pa.string())
        if self._typed and name in self._text_lists:
            texts = arrays[name].to_pylist()
            return pa.array([None if text is None else msgspec.json.decode(text) for text in texts], self._type(name))
        return arrays[name]


def apply_batched(columns: Sequence[pa.Array], work: Callable[[pa.Array], pa.Array]) -> list[pa.Array]:
    """Apply *work* to several columns of the same type at once, because each call of Arrow waits for the GIL."""
    if len(columns) < 2:  # noqa: PLR2004 - saves a copy
        return [work(column) for column in columns]
    rows, converted = len(columns[0]), work(pa.concat_arrays(columns))
    return [converted.slice(number * rows, rows) for number in range(len(columns))]


def parse_decimals(column: pa.Array, to: pa.DataType) -> pa.Array:
    """Parse the texts of numbers as decimals.

    :raises pa.ArrowInvalid: one does not fit, or has more than 38 digits or an exponent, on which Arrow overflows.
    """
    longest = pc.max(pc.binary_length(column)).as_py() or 0
    powers = any(pc.any(pc.match_substring(column, sign)).as_py() for sign in "eE")
    if longest > _MAX_NUMBER_LENGTH or powers:
        raise pa.ArrowInvalid(TYPE_MISMATCH)
    return column.cast(to)


def stats_from_columns(record_type: RecordType, rows: int, arrays: Mapping[str, pa.Array]) -> PageStats:
    """Compute the stats of columns. Amounts are decimals; dates and timestamps may be text.

    :raises InvalidDataError: a record has no key, or a date is invalid.
    """
    stats = PageStats(rows)
    if record_type.key is not None:
        if arrays[record_type.key].null_count:
            raise invalid_records_error(record_type, f"no {record_type.key}")
        stats.keys = arrays[record_type.key].to_pylist()
    stats.gl_totals = {name: pc.sum(arrays[name]).as_py() or Decimal(0) for name in record_type.gl_amounts}
    if record_type.currency is not None and record_type.amounts:
        stats.totals = _totals(record_type, arrays)
    for names, to, write in ((record_type.dates, DATE, str), (record_type.timestamps, TIMESTAMP, format_utc_timestamp)):
        columns = {name: arrays[name] for name in names}
        _add_ranges(stats, record_type, _parse_dates(record_type, columns, to), write)
    return stats


def _totals(record_type: RecordType, arrays: Mapping[str, pa.Array]) -> dict[str, dict[str, Decimal]]:
    table = pa.table({"": arrays[record_type.currency or ""], **{name: arrays[name] for name in record_type.amounts}})
    grouped = table.group_by("", use_threads=False).aggregate([(name, "sum") for name in record_type.amounts])
    return {
        row[""] or "": {name: row[f"{name}_sum"] or Decimal(0) for name in record_type.amounts}
        for row in grouped.to_pylist()
    }


def _add_ranges(
    stats: PageStats, record_type: RecordType, columns: Mapping[str, pa.Array], write: Callable[[Any], str]
) -> None:
    for name, column in columns.items():
        bounds = pc.min_max(column)
        if not bounds["min"].is_valid:
            continue
        try:
            stats.ranges[name] = write(bounds["min"].as_py()), write(bounds["max"].as_py())
        except (ValueError, OverflowError):  # a year that Python does not support
            raise invalid_records_error(record_type, f"a {name} that is not a date") from None


def _parse_dates(
    record_type: RecordType,
    columns: Mapping[str, pa.Array],
    to: pa.DataType,
    cast: Callable[[pa.Array, pa.DataType], pa.Array] = pa.Array.cast,
) -> dict[str, pa.Array]:
    """Parse dates or timestamps, "" as null. Columns that are already parsed are returned as they are."""
    if not columns or all(column.type == to for column in columns.values()):
        return dict(columns)
    texts = apply_batched(list(columns.values()), _without_empty)
    try:
        converted = apply_batched(texts, lambda column: cast(column, to))
    except pa.ArrowInvalid:
        wrong = next(name for name, text in zip(columns, texts, strict=True) if not _can_cast(text, to, cast))
        raise invalid_records_error(record_type, f"a {wrong} that does not fit {to}") from None
    return dict(zip(columns, converted, strict=True))


def _cast_without_zeros(column: pa.Array, to: pa.DataType) -> pa.Array:
    try:
        return column.cast(to)
    except pa.ArrowInvalid:  # what .NET writes, without zeros that can be omitted
        zeros = (r"T00:00:00(\.0*)?$", "") if to == DATE else (r"(\.\d{6})0+(\D|$)", r"\1\2")
        return pc.replace_substring_regex(column, *zeros).cast(to)


def _can_cast(column: pa.Array, to: pa.DataType, cast: Callable[[pa.Array, pa.DataType], pa.Array]) -> bool:
    try:
        cast(column, to)
    except pa.ArrowInvalid:
        return False
    return True


def _without_empty(column: pa.Array) -> pa.Array:
    """Replace "" by null."""
    is_empty = pc.equal(column, "")
    return pc.if_else(is_empty, pa.scalar(None, column.type), column) if pc.any(is_empty).as_py() else column


def csv_from_batch(batch: pa.RecordBatch) -> bytes:
    """Return a batch as CSV: the same bytes as :class:`~airflow_provider_arm.export.files.encoders.CsvEncoder`."""
    if not batch.num_rows:
        return b""
    if batch.num_columns == 1:  # an empty cell that is alone in its row has quotes
        return csv_text([value] for value in batch.column(0).cast(pa.string()).to_pylist())
    cells = _csv_cells(batch.columns)
    cells[-1] = pc.binary_join_element_wise(cells[-1], "\r\n", "")
    return _text_bytes(pc.binary_join_element_wise(*cells, ","))


def _csv_cells(columns: Sequence[pa.Array]) -> list[pa.Array]:
    """Convert columns to text, quoted if necessary, with "" for null."""
    plain: dict[Any, list[int]] = {}
    cells = list(columns)
    for number, column in enumerate(columns):
        if pa.types.is_string(column.type) and _may_need_quotes(column):
            cells[number] = pc.fill_null(_quoted(column), "")
        elif column.null_count or not pa.types.is_string(column.type):
            plain.setdefault(column.type, []).append(number)
    for numbers in plain.values():
        for number, converted in zip(
            numbers, apply_batched([columns[n] for n in numbers], _unquoted_cells), strict=True
        ):
            cells[number] = converted
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
    """Return the texts of a column, which are concatenated in its buffer."""
    _, offset_buffer, texts = column.buffers()
    if texts is None:
        return b""
    offsets = memoryview(offset_buffer).cast("i")
    first, last = offsets[column.offset], offsets[column.offset + len(column)]
    return bytes(memoryview(texts)[first:last])
