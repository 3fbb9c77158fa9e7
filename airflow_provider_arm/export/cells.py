"""A page's fields as columns, by way of their own JSON text: no Python object for a cell, and mostly outside its lock.

msgspec cuts the fields out of the page. Joined by a character that JSON text cannot hold, they are a table that Arrow's
CSV reader takes apart. Texts still have their quotes then, so that neither a number passes for a text nor a text for a
number. What the reader does not take is looked at again, field by field: that decides, and says which field it is.
"""

from __future__ import annotations

import operator
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from airflow_provider_arm.export.texts import cell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Stands between the fields of a record: inside JSON text it is escaped, and between JSON values it is not allowed.
_BETWEEN = b"\x1f"
_NULL = msgspec.Raw(b"null")
_ESCAPE = b"\\"
_NOTHING = type(None)

#: What a column may hold besides an Arrow type: text; a number as it is written; anything (text without its quotes,
#: everything else as it is written).
TEXT, WRITTEN_NUMBER, ANYTHING = "text", "written number", "anything"
Column = Any  # pyarrow ships no types

#: How a JSON value begins that is a number.
_NUMBER_BEGINS = "^[-0-9]"
#: Characters of a number that Arrow can be trusted with: up to so many digits its decimals do not wrap around.
_LONGEST_NUMBER = 38

#: Said to nobody: whatever does not fit is looked at again with care.
_OTHER_TYPE = "of another type"

_texts: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[str | None])
_flags: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[bool | None])
_numbers: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[Any], float_hook=Decimal)


class MisfitError(ValueError):
    """A field of some record is not what its column holds."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class CellReader:
    """Reads columns.

    :param columns: by field name, what the column holds.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = dict(columns)
        fields = [
            (f"f{n}", msgspec.Raw, msgspec.field(name=name, default=_NULL)) for n, name in enumerate(self._columns)
        ]
        #: The type to which a record is split: its fields' own texts.
        self.record = msgspec.defstruct("Cells", fields, gc=False)
        self._split: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self.record)
        #: Columns that hold alike.
        self._alike: dict[Column, list[str]] = {}
        for name, holds in self._columns.items():
            self._alike.setdefault(holds, []).append(name)
        # Looked up once: building the options takes as long as reading a hundred records.
        types = {str(n): _read_as(of) for n, of in enumerate(self._columns.values())}
        self._names = list(types)
        self._parse = pyarrow.csv.ParseOptions(
            delimiter=_BETWEEN.decode(), quote_char=False, double_quote=False, escape_char=False
        )
        self._convert = pyarrow.csv.ConvertOptions(
            column_types=types,
            null_values=["null"],
            strings_can_be_null=True,
            true_values=["true"],
            false_values=["false"],
        )

    def read(self, records: Sequence[Any]) -> dict[str, pa.Array]:
        """Read the columns of a page that has records.

        :param records: the page, split to :attr:`record`.
        :raises ValueError: a value does not fit its column, or may not: :meth:`with_care` tells.
        """
        data = b"\n".join(map(_BETWEEN.join, map(msgspec.structs.astuple, records)))
        table = self._table(data)
        if table.num_rows != len(records):  # a line break in an object, where there is one column
            raise pa.ArrowInvalid(_OTHER_TYPE)
        return self._plain(table, records, escaped=_ESCAPE in data)

    def with_care(self, records: Sequence[msgspec.Raw]) -> dict[str, pa.Array]:
        """Read the columns one by one: slower, and this decides.

        :param records: each record's own text.
        :raises MisfitError: a value does not fit its column, which is named.
        :raises msgspec.DecodeError: a record is no object.
        """
        split = list(map(self._split.decode, records))
        return {name: self._alone(name, split) for name in self._columns}

    def _table(self, data: bytes) -> pa.Table:
        options = pyarrow.csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=self._names)
        return pyarrow.csv.read_csv(
            pa.BufferReader(data), read_options=options, parse_options=self._parse, convert_options=self._convert
        )

    def _plain(self, table: pa.Table, records: Sequence[Any], *, escaped: bool) -> dict[str, pa.Array]:
        """Take the quotes off texts, and make numbers of what is written."""
        found = {name: chunks.chunk(0) for name, chunks in zip(self._columns, table.columns, strict=True)}
        for holds, names in self._alike.items():
            if holds not in _PLAIN:
                continue
            if escaped and holds != WRITTEN_NUMBER:
                careful = [name for name in names if pc.any(pc.match_substring(found[name], "\\")).as_py()]
                found |= {name: self._alone(name, records) for name in careful}
                names = [name for name in names if name not in careful]  # noqa: PLW2901 - the others go on together
            if names:
                found |= _together(found, names, _PLAIN[holds])
        for holds, names in self._alike.items():
            if not isinstance(holds, str) and pa.types.is_decimal(holds):
                found |= _together(found, names, partial(decimals, to=holds))
        return found

    def _alone(self, name: str, records: Sequence[Any]) -> pa.Array:
        """Read one column with as much care as it takes."""
        number, holds = list(self._columns).index(name), self._columns[name]
        raws = list(map(operator.attrgetter(f"f{number}"), records))
        try:
            if holds == TEXT:
                return pa.array(_texts.decode(_list_of(raws)), pa.string())
            if holds == ANYTHING:
                return pa.array(list(map(cell, raws)), pa.string())
            if holds == pa.bool_():
                return pa.array(_flags.decode(_list_of(raws)), pa.bool_())
            numbers = _numbers.decode(_list_of(raws))
            if not set(map(type, numbers)) <= {int, Decimal, _NOTHING}:
                raise MisfitError(name)
            if isinstance(holds, pa.DataType) and pa.types.is_decimal(holds):
                return pa.array([None if one is None else Decimal(one) for one in numbers], holds)
            written = pa.array(
                [None if one is None else bytes(raw).decode() for one, raw in zip(numbers, raws, strict=True)],
                pa.string(),
            )
            return written if isinstance(holds, str) else written.cast(holds)
        except (ValueError, ArithmeticError, pa.ArrowException):
            raise MisfitError(name) from None


def together(columns: Sequence[pa.Array], work: Callable[[pa.Array], pa.Array]) -> list[pa.Array]:
    """Do the same work for several columns of a type, as one.

    At the end of each of Arrow's calls the thread waits for Python's lock: ten short calls wait ten times.
    """
    if len(columns) < 2:  # noqa: PLR2004 - spares the copy
        return [work(column) for column in columns]
    rows, made = len(columns[0]), work(pa.concat_arrays(columns))
    return [made.slice(number * rows, rows) for number in range(len(columns))]


def _together(
    found: Mapping[str, pa.Array], names: Sequence[str], work: Callable[[pa.Array], pa.Array]
) -> dict[str, pa.Array]:
    return dict(zip(names, together([found[name] for name in names], work), strict=True))


def _texts_of(column: pa.Array) -> pa.Array:
    if pc.all(pc.starts_with(column, pattern='"')).as_py() is False:
        raise pa.ArrowInvalid(_OTHER_TYPE)
    return _unquoted(column)


def _anything_of(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.starts_with(column, pattern='"'), _unquoted(column), column)


def _unquoted(column: pa.Array) -> pa.Array:
    return pc.ascii_trim(column, characters='"')  # where nothing is escaped, there is no quote inside


def _numbers_of(column: pa.Array) -> pa.Array:
    if pc.all(pc.match_substring_regex(column, _NUMBER_BEGINS)).as_py() is False:
        raise pa.ArrowInvalid(_OTHER_TYPE)
    return column


_PLAIN = {TEXT: _texts_of, ANYTHING: _anything_of, WRITTEN_NUMBER: _numbers_of}


def decimals(column: pa.Array, to: pa.DataType) -> pa.Array:
    """Make decimals of numbers as they are written.

    :raises pa.ArrowInvalid: one does not fit, or is written in a way in which Arrow would wrap around what is too
        large: in more than 38 digits, or with an exponent.
    """
    longest = pc.max(pc.binary_length(column)).as_py() or 0
    powers = any(pc.any(pc.match_substring(column, sign)).as_py() for sign in "eE")
    if longest > _LONGEST_NUMBER or powers:
        raise pa.ArrowInvalid(_OTHER_TYPE)
    return column.cast(to)


def _read_as(holds: Column) -> pa.DataType:
    """Say what the reader makes of a column: not a decimal, of which it does not look at the number of digits."""
    return pa.string() if isinstance(holds, str) or pa.types.is_decimal(holds) else holds


def _list_of(raws: Sequence[msgspec.Raw]) -> bytes:
    return b"[%b]" % b",".join(raws)
