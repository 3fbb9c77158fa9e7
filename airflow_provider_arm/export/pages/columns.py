"""Columns of a page: converted values by Arrow's JSON reader, and raw ones by :class:`CellReader`.

Arrow reads text, integers, booleans and decimals without the GIL. It also accepts text as a decimal, so msgspec checks
the types of amounts. Numbers as ARM wrote them, objects and lists are raw values.
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

#: Digits of a decimal when it is read: up to this number, none overflows when it is scaled to the column's ten more.
_MAX_DIGITS = 28


class PageColumns:
    """Reader of a page's columns.

    :param columns: column types by field name; see :mod:`~airflow_provider_arm.export.pages.cells`.
    :param list_key: key of the list of records in the page's text.
    """

    def __init__(self, columns: Mapping[str, ColumnType], list_key: str) -> None:
        self._columns = dict(columns)
        raw = {name: to for name, to in columns.items() if to in {RAW_NUMBER, RAW_VALUE}}
        self._raw = CellReader(raw) if raw else None
        self._converted = {name: _read_as(to) for name, to in columns.items() if name not in raw}
        self._schema = pa.schema([(list_key, pa.list_(pa.struct(list(self._converted.items()))))])
        numbers = [name for name, to in self._converted.items() if pa.types.is_decimal(to)]
        number = int | float | None
        fields = [(f"f{n}", number, msgspec.field(name=name, default=None)) for n, name in enumerate(numbers)]
        struct: Any = msgspec.defstruct("Numbers", fields, gc=False)
        #: The type to which records are decoded: the raw fields, or else the numbers, whose types it checks.
        self.record = self._raw.record if self._raw is not None else struct
        body = msgspec.defstruct("Page", [("records", list[struct], msgspec.field(name=list_key))])
        self._numbers: msgspec.json.Decoder[Any] | None = msgspec.json.Decoder(body) if numbers and raw else None

    def read(self, records: Sequence[Any], text: bytes) -> dict[str, pa.Array]:
        """Read the columns of a page that is not empty.

        :param records: the records, decoded to :attr:`record`.
        :param text: the page's text, an object with the list of records.
        :raises ValueError: a value may not fit its column; :meth:`read_strictly` decides.
        """
        found = self._read_converted(text) if self._converted else {}
        if self._raw is not None:
            found |= self._raw.read(records)
        return found

    def read_strictly(self, records: Sequence[msgspec.Raw]) -> dict[str, pa.Array]:
        """Read the columns strictly; see :func:`~airflow_provider_arm.export.pages.cells.read_columns_strictly`."""
        return read_columns_strictly(self._columns, records)

    def _read_converted(self, text: bytes) -> dict[str, pa.Array]:
        if self._numbers is not None:
            self._numbers.decode(text)
        columns = _read_json(text, self._schema)
        # Arrow's reader checks neither the number of digits against the column nor whether text is UTF-8.
        pa.RecordBatch.from_arrays(columns, names=list(self._converted)).validate(full=True)
        found = dict(zip(self._converted, columns, strict=True))
        for name, to in self._converted.items():
            if pa.types.is_decimal(to):
                found[name] = found[name].cast(self._columns[name])
        return found


def _read_as(to: ColumnType) -> pa.DataType:
    if to == TEXT:
        return pa.string()
    return pa.decimal128(min(_MAX_DIGITS, to.precision), to.scale) if pa.types.is_decimal(to) else to


def _read_json(text: bytes, schema: pa.Schema) -> list[pa.Array]:
    """Read columns of the records. For Arrow the page is one row, and therefore one block."""
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
