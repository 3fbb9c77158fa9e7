"""Readers of columns from the JSON text of fields: a fast one for raw values, and a strict one for all types.

For the fast one, msgspec extracts the text of each field. Joined by a character that is not allowed in JSON text, the
fields are a table for Arrow's CSV reader, which works without the GIL and without an object for each cell. Text still
has its quotes there, which distinguish it from numbers.
"""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from airflow_provider_arm.export.pages.texts import cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Separator of the fields of a record: inside JSON text it is escaped, and between JSON values it is not allowed.
_SEPARATOR = b"\x1f"
_NULL = msgspec.Raw(b"null")
_ESCAPE = b"\\"
_NONE = type(None)
#: Start of a JSON number.
_NUMBER_START = "^[-0-9]"
#: Message of errors that are never shown: the page is then read by the strict reader.
TYPE_MISMATCH = "of another type"

#: Column types besides those of Arrow: text; the text of a number; the text of any JSON value (without quotes if it is
#: text).
TEXT, RAW_NUMBER, RAW_VALUE = "text", "raw number", "raw value"
ColumnType = Any  # pyarrow ships no types

_texts: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[str | None])
_flags: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[bool | None])
_numbers: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[Any], float_hook=Decimal)


class ColumnTypeError(ValueError):
    """A field has another type than its column."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def raw_fields_struct(names: Sequence[str]) -> Any:
    """Build the type of a record with the JSON text of these fields, as ``f0``, ``f1``, ..."""
    fields = [(f"f{n}", msgspec.Raw, msgspec.field(name=name, default=_NULL)) for n, name in enumerate(names)]
    return msgspec.defstruct("Cells", fields, gc=False)


class CellReader:
    """Fast reader of columns with raw values.

    :param columns: :data:`RAW_NUMBER` or :data:`RAW_VALUE` by field name.
    """

    def __init__(self, columns: Mapping[str, ColumnType]) -> None:
        self._columns = dict(columns)
        #: The type to which records are decoded.
        self.record = raw_fields_struct(list(columns))
        # Built once, because that takes as long as reading a hundred records.
        self._names = [str(number) for number in range(len(self._columns))]
        self._parse = pyarrow.csv.ParseOptions(
            delimiter=_SEPARATOR.decode(), quote_char=False, double_quote=False, escape_char=False
        )
        self._convert = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(self._names, pa.string()), null_values=["null"], strings_can_be_null=True
        )

    def read(self, records: Sequence[Any]) -> dict[str, pa.Array]:
        """Read the columns of a page that is not empty.

        :param records: the records, decoded to :attr:`record`.
        :raises ValueError: a value may not fit its column; :func:`read_columns_strictly` decides.
        """
        data = b"\n".join(map(_SEPARATOR.join, map(msgspec.structs.astuple, records)))
        table = self._table(data)
        if table.num_rows != len(records):  # a line break in an object, if there is only one column
            raise pa.ArrowInvalid(TYPE_MISMATCH)
        columns = [column.chunk(0) for column in table.columns]
        escaped = _ESCAPE in data
        return {
            name: self._convert_column(number, column, records, escaped=escaped)
            for number, (name, column) in enumerate(zip(self._columns, columns, strict=True))
        }

    def _table(self, data: bytes) -> pa.Table:
        options = pyarrow.csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=self._names)
        return pyarrow.csv.read_csv(
            pa.BufferReader(data), read_options=options, parse_options=self._parse, convert_options=self._convert
        )

    def _convert_column(self, number: int, column: pa.Array, records: Sequence[Any], *, escaped: bool) -> pa.Array:
        """Check numbers, and strip the quotes of text."""
        if list(self._columns.values())[number] == RAW_NUMBER:
            if pc.all(pc.match_substring_regex(column, _NUMBER_START)).as_py() is False:
                raise pa.ArrowInvalid(TYPE_MISMATCH)
            return column
        if escaped and pc.any(pc.match_substring(column, "\\")).as_py():
            return _column(RAW_VALUE, list(map(operator.attrgetter(f"f{number}"), records)))
        unquoted = pc.ascii_trim(column, characters='"')  # without escapes, there are no quotes inside
        return pc.if_else(pc.starts_with(column, pattern='"'), unquoted, column)


def read_columns_strictly(columns: Mapping[str, ColumnType], records: Sequence[msgspec.Raw]) -> dict[str, pa.Array]:
    """Read columns of any type one by one, slowly. The result is authoritative.

    :param records: the text of each record.
    :raises ColumnTypeError: a value does not fit its column; the error names it.
    :raises msgspec.DecodeError: a record is not an object.
    """
    split = list(map(msgspec.json.Decoder(raw_fields_struct(list(columns))).decode, records))
    found = {}
    for number, (name, field_type) in enumerate(columns.items()):
        try:
            found[name] = _column(field_type, list(map(operator.attrgetter(f"f{number}"), split)))
        except (ValueError, ArithmeticError, pa.ArrowException):
            raise ColumnTypeError(name) from None
    return found


def _column(field_type: ColumnType, raws: Sequence[msgspec.Raw]) -> pa.Array:
    """Build a column from the JSON text of its cells. Any exception means that one does not fit."""
    text = b"[%b]" % b",".join(raws)
    if field_type == TEXT:
        return pa.array(_texts.decode(text), pa.string())
    if field_type == RAW_VALUE:
        return pa.array(list(map(cell, raws)), pa.string())
    if field_type == pa.bool_():
        return pa.array(_flags.decode(text), pa.bool_())
    numbers = _numbers.decode(text)
    if not set(map(type, numbers)) <= {int, Decimal, _NONE}:
        raise ValueError(TYPE_MISMATCH)
    if isinstance(field_type, pa.DataType) and pa.types.is_decimal(field_type):
        return pa.array([None if one is None else Decimal(one) for one in numbers], field_type)
    pairs = zip(numbers, raws, strict=True)
    written = pa.array([None if one is None else bytes(raw).decode() for one, raw in pairs], pa.string())
    return written if isinstance(field_type, str) else written.cast(field_type)
