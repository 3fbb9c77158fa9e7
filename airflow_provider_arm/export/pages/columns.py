"""A page's columns: what Arrow's JSON reader takes from the text, and what is cut out of it as it stands.

Arrow reads text, whole numbers, flags and decimals outside of Python's lock. It would read an amount from text, too, so
msgspec looks at the types of amounts; numbers that a file has as ARM wrote them, objects and lists are cut out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.json

from airflow_provider_arm.export.pages.cells import (
    RAW_NUMBER,
    RAW_VALUE,
    TEXT,
    CellReader,
    ColumnType,
    read_columns_strictly,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Digits of a decimal as it is read: with ten more in the column, no number of so many wraps around when it is scaled.
_MOST_DIGITS = 28


class PageColumns:
    """Reads columns.

    :param columns: by field name, what the column holds; see :mod:`~airflow_provider_arm.export.pages.cells`.
    :param list_key: the name of the list of records in the page's text.
    """

    def __init__(self, columns: Mapping[str, ColumnType], list_key: str) -> None:
        self._columns = dict(columns)
        cut = {name: field_type for name, field_type in columns.items() if field_type in {RAW_NUMBER, RAW_VALUE}}
        self._cut = CellReader(cut) if cut else None
        self._read = {name: _read_as(field_type) for name, field_type in columns.items() if name not in cut}
        self._schema = pa.schema([(list_key, pa.list_(pa.struct(list(self._read.items()))))])
        numbers = [name for name, to in self._read.items() if pa.types.is_decimal(to)]
        fields = [
            (f"f{n}", int | float | None, msgspec.field(name=name, default=None)) for n, name in enumerate(numbers)
        ]
        struct: Any = msgspec.defstruct("Numbers", fields, gc=False)
        #: The type to which a page is split: what is cut out, or else the numbers, whose types are looked at so.
        self.record = self._cut.record if self._cut is not None else struct
        body = msgspec.defstruct("Page", [("records", list[struct], msgspec.field(name=list_key))])
        self._numbers: msgspec.json.Decoder[Any] | None = msgspec.json.Decoder(body) if numbers and cut else None

    def read(self, records: Sequence[Any], text: bytes) -> dict[str, pa.Array]:
        """Read the columns of a page that has records.

        :param records: the page, split to :attr:`record`.
        :param text: the page's text, an object that holds the list of records.
        :raises ValueError: a value does not fit its column, or may not: :meth:`read_strictly` tells.
        """
        found = self._plain(text) if self._read else {}
        if self._cut is not None:
            found |= self._cut.read(records)
        return found

    def read_strictly(self, records: Sequence[msgspec.Raw]) -> dict[str, pa.Array]:
        """Read the columns strictly; see :func:`~airflow_provider_arm.export.pages.cells.read_columns_strictly`."""
        return read_columns_strictly(self._columns, records)

    def _plain(self, text: bytes) -> dict[str, pa.Array]:
        if self._numbers is not None:
            self._numbers.decode(text)
        columns = _read_json(text, self._schema)
        # Arrow looks at the digits that are written, not at those of the column, and not at whether text is UTF-8.
        pa.RecordBatch.from_arrays(columns, names=list(self._read)).validate(full=True)
        found = dict(zip(self._read, columns, strict=True))
        for name, to in self._read.items():
            if pa.types.is_decimal(to):
                found[name] = found[name].cast(self._columns[name])
        return found


def _read_as(field_type: ColumnType) -> pa.DataType:
    if field_type == TEXT:
        return pa.string()
    if pa.types.is_decimal(field_type):
        return pa.decimal128(min(_MOST_DIGITS, field_type.precision), field_type.scale)
    return field_type


def _read_json(text: bytes, schema: pa.Schema) -> list[pa.Array]:
    """Read columns of the records: for Arrow the whole page is one row, and so one block."""
    table = pyarrow.json.read_json(
        pa.BufferReader(text),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=schema,
            unexpected_field_behavior="ignore",
            newlines_in_values=b"\n" in text or b"\r" in text,
        ),
    )
    columns: list[pa.Array] = table.column(0).chunk(0).flatten().flatten()
    return columns
