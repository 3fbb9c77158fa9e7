"""Fields of a page as columns, by way of their own JSON text: as a file has them, or as carefully as it takes.

msgspec cuts the fields out of the page. Joined by a character that JSON text cannot hold, they are a table that Arrow's
CSV reader takes apart, outside of Python's lock and without an object for each cell. Texts still have their quotes
then, so that neither a number passes for a text nor a text for a number.
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

#: Stands between the fields of a record: inside JSON text it is escaped, and between JSON values it is not allowed.
_BETWEEN = b"\x1f"
_NULL = msgspec.Raw(b"null")
_ESCAPE = b"\\"
_NOTHING = type(None)
#: How a JSON value begins that is a number.
_NUMBER_BEGINS = "^[-0-9]"
#: Said to nobody: whatever does not fit is looked at again with care.
TYPE_MISMATCH = "of another type"

#: What a column may hold besides an Arrow type: text; a number as it is written; anything (text without its quotes,
#: everything else as it is written).
TEXT, RAW_NUMBER, RAW_VALUE = "text", "written number", "anything"
ColumnType = Any  # pyarrow ships no types

_texts: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[str | None])
_flags: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[bool | None])
_numbers: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[Any], float_hook=Decimal)


class ColumnTypeError(ValueError):
    """A field of some record is not what its column holds."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def raw_fields_struct(names: Sequence[str]) -> Any:
    """Make the type to which a record is split: these fields' own texts, as ``f0``, ``f1``, ..."""
    fields = [(f"f{n}", msgspec.Raw, msgspec.field(name=name, default=_NULL)) for n, name in enumerate(names)]
    return msgspec.defstruct("Cells", fields, gc=False)


class CellReader:
    """Reads columns that a file has as they are written.

    :param columns: by field name, :data:`RAW_NUMBER` or :data:`RAW_VALUE`.
    """

    def __init__(self, columns: Mapping[str, ColumnType]) -> None:
        self._columns = dict(columns)
        #: The type to which a record is split.
        self.record = raw_fields_struct(list(columns))
        # Once: building the options takes as long as reading a hundred records.
        self._names = [str(number) for number in range(len(self._columns))]
        self._parse = pyarrow.csv.ParseOptions(
            delimiter=_BETWEEN.decode(), quote_char=False, double_quote=False, escape_char=False
        )
        self._convert = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(self._names, pa.string()), null_values=["null"], strings_can_be_null=True
        )

    def read(self, records: Sequence[Any]) -> dict[str, pa.Array]:
        """Read the columns of a page that has records.

        :param records: the page, split to :attr:`record`.
        :raises ValueError: a value does not fit its column, or may not: :func:`read_columns_strictly` tells.
        """
        data = b"\n".join(map(_BETWEEN.join, map(msgspec.structs.astuple, records)))
        table = self._table(data)
        if table.num_rows != len(records):  # a line break in an object, where there is one column
            raise pa.ArrowInvalid(TYPE_MISMATCH)
        columns = [column.chunk(0) for column in table.columns]
        escaped = _ESCAPE in data
        return {
            name: self._plain(number, column, records, escaped=escaped)
            for number, (name, column) in enumerate(zip(self._columns, columns, strict=True))
        }

    def _table(self, data: bytes) -> pa.Table:
        options = pyarrow.csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=self._names)
        return pyarrow.csv.read_csv(
            pa.BufferReader(data), read_options=options, parse_options=self._parse, convert_options=self._convert
        )

    def _plain(self, number: int, column: pa.Array, records: Sequence[Any], *, escaped: bool) -> pa.Array:
        """Take the quotes off texts; see that numbers are some."""
        if list(self._columns.values())[number] == RAW_NUMBER:
            if pc.all(pc.match_substring_regex(column, _NUMBER_BEGINS)).as_py() is False:
                raise pa.ArrowInvalid(TYPE_MISMATCH)
            return column
        if escaped and pc.any(pc.match_substring(column, "\\")).as_py():
            return _column(RAW_VALUE, list(map(operator.attrgetter(f"f{number}"), records)))
        unquoted = pc.ascii_trim(column, characters='"')  # where nothing is escaped, there is no quote inside
        return pc.if_else(pc.starts_with(column, pattern='"'), unquoted, column)


def read_columns_strictly(columns: Mapping[str, ColumnType], records: Sequence[msgspec.Raw]) -> dict[str, pa.Array]:
    """Read columns of any kind, one by one: slow, and this decides what fits.

    :param records: each record's own text.
    :raises MisfitError: a value does not fit its column, which is named.
    :raises msgspec.DecodeError: a record is no object.
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
    """Make a column of its cells' texts. Raises whatever it is that does not fit."""
    text = b"[%b]" % b",".join(raws)
    if field_type == TEXT:
        return pa.array(_texts.decode(text), pa.string())
    if field_type == RAW_VALUE:
        return pa.array(list(map(cell, raws)), pa.string())
    if field_type == pa.bool_():
        return pa.array(_flags.decode(text), pa.bool_())
    numbers = _numbers.decode(text)
    if not set(map(type, numbers)) <= {int, Decimal, _NOTHING}:
        raise ValueError(TYPE_MISMATCH)
    if isinstance(field_type, pa.DataType) and pa.types.is_decimal(field_type):
        return pa.array([None if one is None else Decimal(one) for one in numbers], field_type)
    pairs = zip(numbers, raws, strict=True)
    written = pa.array([None if one is None else bytes(raw).decode() for one, raw in pairs], pa.string())
    return written if isinstance(field_type, str) else written.cast(field_type)
