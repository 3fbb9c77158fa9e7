"""Columns straight from a page's text, by Arrow: no Python object per record, and most of it outside Python's lock.

Arrow reads text, whole numbers and flags from the JSON itself. Amounts, objects and lists are cut out of it as they
stand, because Arrow would read an amount from text, too, and has no lossless reading of a shape that nobody publishes.
A value that does not fit its column raises; none is rounded.
"""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from airflow_provider_arm.export.facts import Facts, unusable
from airflow_provider_arm.export.ranges import moment_text
from airflow_provider_arm.export.records import Holds
from airflow_provider_arm.export.texts import cell, csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_arm.export.records import RecordKind

#: Money: 15 digits before the point and 4 after it.
MONEY = pa.decimal128(19, 4)
#: Rates, limits and quantities, and any amount of which only the sum is wanted.
NUMBER = pa.decimal128(38, 9)
DAY = pa.date32()
MOMENT = pa.timestamp("us", tz="UTC")

_PLAIN = {Holds.WHOLE: pa.int64(), Holds.FLAG: pa.bool_()}
_NULL = msgspec.Raw(b"null")
#: What makes a cell of a CSV need quotes.
_SPECIAL = '[",\r\n]'


class ColumnReader:
    """Reads the columns of a page, and its facts.

    :param columns: the fields that go into the file.
    :param typed: give amounts as decimals, days as dates and moments as timestamps, as Parquet has them; else all of
        these as ARM wrote them.
    """

    def __init__(
        self, kind: RecordKind, list_key: str, columns: Sequence[str], masked: frozenset[str], *, typed: bool
    ) -> None:
        self._kind = kind
        self._columns = columns
        self._masked = masked
        self._typed = typed
        facts = (kind.key, kind.currency, *kind.all_amounts, *kind.days, *kind.moments)
        wanted = dict.fromkeys([*(name for name in facts if name), *(name for name in columns if name not in masked)])
        self._cut = [name for name in wanted if self._holds(name) in {Holds.AMOUNT, Holds.OTHER}]
        self._read = [name for name in wanted if name not in self._cut]
        self._list_key = list_key
        self._fields = [pa.field(name, _PLAIN.get(self._holds(name), pa.string())) for name in self._read]
        fields = [(f"f{n}", msgspec.Raw, msgspec.field(name=name, default=_NULL)) for n, name in enumerate(self._cut)]
        #: The type to which the page is split: the fields that are cut out.
        self.record = msgspec.defstruct("Cut", fields, gc=False)

    @property
    def schema(self) -> pa.Schema:
        """The schema of a typed file."""
        return pa.schema([pa.field(name, self._type(name)) for name in self._columns])

    def read(self, records: Sequence[Any], text: bytes) -> tuple[pa.RecordBatch, Facts]:
        """Read the columns and the facts.

        :param records: the page, split to :attr:`record`.
        :param text: the page's text, an object that holds the list of records.
        :raises UnusableAnswerError: a record has no key, or a value does not fit its column; the column is named.
        """
        rows = len(records)
        if not rows:
            return pa.RecordBatch.from_pylist([], schema=self.schema), Facts()
        found = {**self._cut_out(records), **self._read_plain(text)}
        facts, sums = Facts(rows), self._cast(found, self._kind.all_amounts, MONEY if self._typed else NUMBER)
        self._take_facts(facts, found, sums)
        arrays = [self._file_column(name, rows, found, sums) for name in self._columns]
        batch = pa.RecordBatch.from_arrays(arrays, names=list(self._columns))
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid:
            raise unusable(self._kind, "text that is not UTF-8, or a number that its column does not hold") from None
        return batch, facts

    def _holds(self, name: str) -> Holds:
        if name in self._kind.all_amounts:
            return Holds.AMOUNT
        return self._kind.fields.get(name, Holds.OTHER)

    def _type(self, name: str) -> pa.DataType:
        holds = self._holds(name)
        if holds is Holds.AMOUNT:
            return MONEY if name in self._kind.all_amounts else NUMBER
        return {**_PLAIN, Holds.DAY: DAY, Holds.MOMENT: MOMENT}.get(holds, pa.string())

    # ---- from JSON to columns

    def _cut_out(self, records: Sequence[Any]) -> dict[str, pa.Array]:
        """Make columns of amounts, objects and lists, as they stand in the text."""
        found = {}
        for number, name in enumerate(self._cut):
            raws = map(operator.attrgetter(f"f{number}"), records)
            try:
                if self._holds(name) is Holds.OTHER:
                    found[name] = pa.array(list(map(cell, raws)), type=pa.string())
                else:
                    found[name] = _without(_numbers(raws, len(records)), "null")
            except ValueError:
                raise unusable(self._kind, f"{name} that cannot be read") from None
        return found

    def _read_plain(self, text: bytes) -> dict[str, pa.Array]:
        if not self._read:
            return {}
        try:
            columns = _read_json(text, self._list_key, self._fields)
        except pa.ArrowException:
            # Arrow's own words quote values.
            raise unusable(self._kind, self._misfit(text)) from None
        return dict(zip(self._read, columns, strict=True))

    def _misfit(self, text: bytes) -> str:
        """Find out which column does not fit."""
        for field in (pa.field("", pa.string()), *self._fields):
            try:
                _read_json(text, self._list_key, [field])
            except pa.ArrowException:
                return (
                    f"{field.name} of another type than it should have" if field.name else "a number beyond all sense"
                )
        return "fields of other types than they should have"  # pragma: no cover - one of them it must be

    def _cast(self, found: dict[str, pa.Array], names: Iterable[str], to: pa.DataType) -> dict[str, pa.Array]:
        """Cast columns, or say which does not fit."""
        made = {}
        for name in names:
            try:
                made[name] = found[name].cast(to)
            except pa.ArrowInvalid:
                raise unusable(self._kind, f"{name} that does not fit {to}") from None
        return made

    def _file_column(self, name: str, rows: int, found: dict[str, pa.Array], sums: dict[str, pa.Array]) -> pa.Array:
        if name in self._masked:
            return pa.nulls(rows, self._type(name) if self._typed else pa.string())
        if not self._typed:
            return found[name]
        if name in sums:
            return sums[name]
        to = self._type(name)
        column = found[name]
        if column.type == to:
            return column
        return self._cast({name: _without(column, "")}, [name], to)[name]

    # ---- from columns to facts

    def _take_facts(self, facts: Facts, found: dict[str, pa.Array], sums: dict[str, pa.Array]) -> None:
        kind = self._kind
        if kind.key is not None:
            if found[kind.key].null_count:
                raise unusable(kind, f"no {kind.key}")
            facts.keys = found[kind.key].to_pylist()
        facts.own_totals = {name: pc.sum(sums[name]).as_py() or Decimal(0) for name in kind.own_amounts}
        if kind.currency is not None and kind.amounts and facts.rows:
            facts.totals = self._totals(found[kind.currency], sums)
        for names, to, write in ((kind.days, DAY, str), (kind.moments, MOMENT, moment_text)):
            self._take_ranges(facts, {name: _without(found[name], "") for name in names}, to, write)

    def _totals(self, currency: pa.Array, sums: dict[str, pa.Array]) -> dict[str, dict[str, Decimal]]:
        table = pa.table({"": currency, **{name: sums[name] for name in self._kind.amounts}})
        grouped = table.group_by("", use_threads=False).aggregate([(name, "sum") for name in self._kind.amounts])
        return {
            row[""] or "": {name: row[f"{name}_sum"] or Decimal(0) for name in self._kind.amounts}
            for row in grouped.to_pylist()
        }

    def _take_ranges(
        self, facts: Facts, columns: dict[str, pa.Array], to: pa.DataType, write: Callable[[Any], str]
    ) -> None:
        for name, column in self._cast(columns, columns, to).items():
            ends = pc.min_max(column)
            if not ends["min"].is_valid:
                continue
            try:
                facts.ranges[name] = write(ends["min"].as_py()), write(ends["max"].as_py())
            except (ValueError, OverflowError):  # a year that Python does not know
                raise unusable(self._kind, f"{name} that is no date") from None


def _read_json(text: bytes, list_key: str, fields: Sequence[pa.Field]) -> list[pa.Array]:
    """Read columns of the records under *list_key*: for Arrow the whole page is one row, and so one block."""
    table = pyarrow.json.read_json(
        pa.BufferReader(text),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=pa.schema([(list_key, pa.list_(pa.struct(fields)))]),
            unexpected_field_behavior="ignore",
            newlines_in_values=b"\n" in text or b"\r" in text,
        ),
    )
    columns: list[pa.Array] = table.column(0).chunk(0).flatten().flatten()
    return columns


def _numbers(raws: Iterable[msgspec.Raw], rows: int) -> pa.Array:
    """Make one text of numbers, and let Arrow cut it: no object for each.

    :raises ValueError: one of them is an object or a list, over several lines.
    """
    texts = pc.split_pattern(pa.array([b"\n".join(raws)], pa.string()), "\n").values
    if len(texts) != rows:
        raise ValueError
    return texts


def _without(column: pa.Array, value: str) -> pa.Array:
    """Put null where *value* stands."""
    alike = pc.equal(column, value)
    return pc.if_else(alike, pa.scalar(None, column.type), column) if pc.any(alike).as_py() else column


def csv_of(batch: pa.RecordBatch) -> bytes:
    """Write a batch's rows as CSV: the same bytes as :func:`~airflow_provider_arm.export.texts.csv_rows`."""
    if not batch.num_rows:
        return b""
    if batch.num_columns == 1:  # an empty cell alone in its row is written with quotes
        return csv_text([value] for value in batch.column(0).cast(pa.string()).to_pylist())
    cells = [_csv_cells(column) for column in batch.columns]
    cells[-1] = pc.binary_join_element_wise(cells[-1], "\r\n", "")
    rows = pc.binary_join_element_wise(*cells, ",")
    # The rows' texts lie one after the other in one buffer.
    offsets = memoryview(rows.buffers()[1]).cast("i")
    first, last = offsets[rows.offset], offsets[rows.offset + len(rows)]
    return bytes(memoryview(rows.buffers()[2])[first:last])


def _csv_cells(column: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    elif _may_need_quotes(column):
        special = pc.match_substring_regex(column, _SPECIAL)
        quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
        column = pc.if_else(special, quoted, column)
    return pc.fill_null(column, "") if column.null_count else column


def _may_need_quotes(column: pa.Array) -> bool:
    buffer = column.buffers()[2]
    text = b"" if buffer is None else bytes(buffer)
    return b'"' in text or b"," in text or b"\r" in text or b"\n" in text
