"""From a page's columns to what is known of it and to what goes into the file, by Arrow.

A value that does not fit its column raises; none is rounded.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_arm.export.pages.cells import ANYTHING, OTHER_TYPE, TEXT, WRITTEN_NUMBER, Column, MisfitError
from airflow_provider_arm.export.pages.columns import PageColumns
from airflow_provider_arm.export.pages.page_body import BodySplitter
from airflow_provider_arm.export.pages.page_stats import PageStats, PageStatsReader, unusable
from airflow_provider_arm.export.pages.ranges import moment_text
from airflow_provider_arm.export.pages.record_types import FieldType
from airflow_provider_arm.export.pages.texts import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_arm.client.http.messages import Response
    from airflow_provider_arm.export.pages.page_body import Body
    from airflow_provider_arm.export.pages.record_types import RecordType

#: Money: 15 digits before the point and 4 after it.
MONEY = pa.decimal128(19, 4)
#: Rates, limits and quantities.
NUMBER = pa.decimal128(38, 9)
#: What is added up of amounts that a file has as text: ten digits are left for the sum, which Arrow does not watch. An
#: amount beyond it is added up by Python.
SUMMED = pa.decimal128(28, 9)
DAY = pa.date32()
MOMENT = pa.timestamp("us", tz="UTC")

#: Characters of a number that Arrow can be trusted with: up to so many digits its decimals do not wrap around.
_LONGEST_NUMBER = 38

_PLAIN: dict[FieldType, Column] = {FieldType.WHOLE: pa.int64(), FieldType.FLAG: pa.bool_(), FieldType.OTHER: ANYTHING}
#: What makes a cell of a CSV need quotes.
_SPECIAL = '[",\r\n]'


def _holds(kind: RecordType, name: str) -> FieldType:
    return FieldType.AMOUNT if name in kind.all_amounts else kind.fields.get(name, FieldType.OTHER)


class ColumnReader:
    """Reads the columns of a page, and its facts.

    :param columns: the fields that go into the file.
    :param typed: give amounts as decimals, days as dates and moments as timestamps, as Parquet has them; else all of
        these as ARM wrote them.
    """

    def __init__(
        self, kind: RecordType, list_key: str, columns: Sequence[str], masked: frozenset[str], *, typed: bool
    ) -> None:
        self._kind = kind
        self._columns = columns
        self._masked = masked
        self._typed = typed
        wanted = dict.fromkeys([*kind.looked_at, *(name for name in columns if name not in masked)])
        self._page = PageColumns({name: self._cell(name) for name in wanted}, list_key)
        self._splitter, self._whole = BodySplitter(list_key, self._page.record), BodySplitter(list_key)
        self._dates = {to: [name for name in wanted if self._type(name) == to] for to in (DAY, MOMENT)}
        self._exact = PageStatsReader(kind, list_key)

    @property
    def schema(self) -> pa.Schema:
        """The schema of a typed file."""
        return pa.schema([pa.field(name, self._type(name)) for name in self._columns])

    def read(self, answer: Response) -> tuple[Body, pa.RecordBatch, PageStats]:
        """Read a page: its body, the columns and the facts.

        :raises UnusableAnswerError: a record has no key, or a value does not fit its column; the column is named.
        :raises ValueError: it is no page.
        """
        try:
            body = self._splitter.split(answer)
            found = self._page.read(body.records, body.text) if body.records else {}
        except (pa.ArrowException, msgspec.DecodeError):
            body, found = self._with_care(answer)
        rows = len(body.records)
        if not rows:
            return body, pa.RecordBatch.from_pylist([], schema=self.schema), PageStats()
        if self._typed:
            for to, names in self._dates.items():
                found |= _dates_of(self._kind, {name: found[name] for name in names}, to)
        facts = self._facts(rows, found, body.text)
        arrays = [self._file_column(name, rows, found) for name in self._columns]
        return body, pa.RecordBatch.from_arrays(arrays, names=list(self._columns)), facts

    def _with_care(self, answer: Response) -> tuple[Body, dict[str, pa.Array]]:
        body = self._whole.split(answer)
        try:
            return body, self._page.with_care(body.records) if body.records else {}
        except MisfitError as error:
            raise unusable(self._kind, self._misfit(error.name)) from None
        except msgspec.DecodeError:
            raise unusable(self._kind, "no fields at all") from None

    def _cell(self, name: str) -> Column:
        holds = _holds(self._kind, name)
        if holds is FieldType.AMOUNT and not self._typed:
            return WRITTEN_NUMBER if name in self._kind.all_amounts else ANYTHING
        if holds is FieldType.AMOUNT:
            return self._type(name)
        return _PLAIN.get(holds, TEXT)

    def _type(self, name: str) -> pa.DataType:
        holds = _holds(self._kind, name)
        if holds is FieldType.AMOUNT:
            return MONEY if name in self._kind.all_amounts else NUMBER
        return {
            FieldType.WHOLE: pa.int64(),
            FieldType.FLAG: pa.bool_(),
            FieldType.DAY: DAY,
            FieldType.MOMENT: MOMENT,
        }.get(holds, pa.string())

    def _misfit(self, name: str) -> str:
        fits_not = f"does not fit {self._type(name)}" if self._typed else "is no number"
        if _holds(self._kind, name) is FieldType.AMOUNT:
            return f"{name} that {fits_not}"
        return f"{name} of another type than it should have"

    def _facts(self, rows: int, found: Mapping[str, pa.Array], text: bytes) -> PageStats:
        if self._typed:
            return facts_of(self._kind, rows, found)
        try:
            names = self._kind.all_amounts
            made = together([found[name] for name in names], lambda column: decimals(column, SUMMED))
        except pa.ArrowInvalid:
            return self._exact.read(text)
        return facts_of(self._kind, rows, {**found, **dict(zip(names, made, strict=True))})

    def _file_column(self, name: str, rows: int, found: Mapping[str, pa.Array]) -> pa.Array:
        if name in self._masked:
            return pa.nulls(rows, self._type(name) if self._typed else pa.string())
        return found[name]


def together(columns: Sequence[pa.Array], work: Callable[[pa.Array], pa.Array]) -> list[pa.Array]:
    """Do the same work for several columns of a type, as one.

    At the end of each of Arrow's calls the thread waits for Python's lock: ten short calls wait ten times.
    """
    if len(columns) < 2:  # noqa: PLR2004 - spares the copy
        return [work(column) for column in columns]
    rows, made = len(columns[0]), work(pa.concat_arrays(columns))
    return [made.slice(number * rows, rows) for number in range(len(columns))]


def decimals(column: pa.Array, to: pa.DataType) -> pa.Array:
    """Make decimals of numbers as they are written.

    :raises pa.ArrowInvalid: one does not fit, or is written in a way in which Arrow would wrap around what is too
        large: in more than 38 digits, or with an exponent.
    """
    longest = pc.max(pc.binary_length(column)).as_py() or 0
    powers = any(pc.any(pc.match_substring(column, sign)).as_py() for sign in "eE")
    if longest > _LONGEST_NUMBER or powers:
        raise pa.ArrowInvalid(OTHER_TYPE)
    return column.cast(to)


def facts_of(kind: RecordType, rows: int, found: Mapping[str, pa.Array]) -> PageStats:
    """Find the facts of columns: amounts are decimals, days and moments text.

    :raises UnusableAnswerError: a record has no key, or a date is none.
    """
    facts = PageStats(rows)
    if kind.key is not None:
        if found[kind.key].null_count:
            raise unusable(kind, f"no {kind.key}")
        facts.keys = found[kind.key].to_pylist()
    facts.own_totals = {name: pc.sum(found[name]).as_py() or Decimal(0) for name in kind.own_amounts}
    if kind.currency is not None and kind.amounts:
        facts.totals = _totals(kind, found)
    for names, to, write in ((kind.days, DAY, str), (kind.moments, MOMENT, moment_text)):
        columns = {name: found[name] for name in names}
        _take_ranges(facts, kind, _dates_of(kind, columns, to), write)
    return facts


def _totals(kind: RecordType, found: Mapping[str, pa.Array]) -> dict[str, dict[str, Decimal]]:
    table = pa.table({"": found[kind.currency or ""], **{name: found[name] for name in kind.amounts}})
    grouped = table.group_by("", use_threads=False).aggregate([(name, "sum") for name in kind.amounts])
    return {
        row[""] or "": {name: row[f"{name}_sum"] or Decimal(0) for name in kind.amounts} for row in grouped.to_pylist()
    }


def _take_ranges(
    facts: PageStats, kind: RecordType, columns: Mapping[str, pa.Array], write: Callable[[Any], str]
) -> None:
    for name, column in columns.items():
        ends = pc.min_max(column)
        if not ends["min"].is_valid:
            continue
        try:
            facts.ranges[name] = write(ends["min"].as_py()), write(ends["max"].as_py())
        except (ValueError, OverflowError):  # a year that Python does not know
            raise unusable(kind, f"{name} that is no date") from None


def _dates_of(kind: RecordType, columns: Mapping[str, pa.Array], to: pa.DataType) -> dict[str, pa.Array]:
    """Make days or moments of text, null of "", or say which is none. What is made already stays."""
    if not columns or all(column.type == to for column in columns.values()):
        return dict(columns)
    texts = together(list(columns.values()), _without_empty)
    try:
        made = together(texts, lambda column: column.cast(to))
    except pa.ArrowInvalid:
        wrong = next(name for name, text in zip(columns, texts, strict=True) if not _can_be(text, to))
        raise unusable(kind, f"{wrong} that does not fit {to}") from None
    return dict(zip(columns, made, strict=True))


def _can_be(column: pa.Array, to: pa.DataType) -> bool:
    try:
        column.cast(to)
    except pa.ArrowInvalid:
        return False
    return True


def _without_empty(column: pa.Array) -> pa.Array:
    """Put null where "" stands."""
    alike = pc.equal(column, "")
    return pc.if_else(alike, pa.scalar(None, column.type), column) if pc.any(alike).as_py() else column


def csv_of(batch: pa.RecordBatch) -> bytes:
    """Write a batch's rows as CSV: the same bytes as :func:`~airflow_provider_arm.export.pages.texts.csv_rows`."""
    if not batch.num_rows:
        return b""
    if batch.num_columns == 1:  # an empty cell alone in its row is written with quotes
        return csv_text([value] for value in batch.column(0).cast(pa.string()).to_pylist())
    cells = _csv_cells(batch.columns)
    cells[-1] = pc.binary_join_element_wise(cells[-1], "\r\n", "")
    return _text_of(pc.binary_join_element_wise(*cells, ","))


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
        for number, made in zip(numbers, together([columns[n] for n in numbers], _plain_cells), strict=True):
            cells[number] = made
    return cells


def _plain_cells(column: pa.Array) -> pa.Array:
    return pc.fill_null(column.cast(pa.string()), "")


def _quoted(column: pa.Array) -> pa.Array:
    special = pc.match_substring_regex(column, _SPECIAL)
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    return pc.if_else(special, quoted, column)


def _may_need_quotes(column: pa.Array) -> bool:
    text = _text_of(column)
    return b'"' in text or b"," in text or b"\r" in text or b"\n" in text


def _text_of(column: pa.Array) -> bytes:
    """Give the texts of a column, which lie one after the other in one buffer."""
    _, places, texts = column.buffers()
    if texts is None:
        return b""
    offsets = memoryview(places).cast("i")
    first, last = offsets[column.offset], offsets[column.offset + len(column)]
    return bytes(memoryview(texts)[first:last])
