"""Columns of a page: converted values by Arrow's JSON reader, and unconverted ones by :class:`CellReader`.

Arrow reads text, integers, booleans and decimals without the GIL. It also accepts text as a decimal, so msgspec checks
the types of amounts. Numbers as ARM wrote them, objects and lists are not converted.
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
        unconverted = {
            name: field_type for name, field_type in columns.items() if field_type in {RAW_NUMBER, RAW_VALUE}
        }
        self._unconverted = CellReader(unconverted) if unconverted else None
        self._converted = {
            name: _read_as(field_type) for name, field_type in columns.items() if name not in unconverted
        }
        self._schema = pa.schema([(list_key, pa.list_(pa.struct(list(self._converted.items()))))])
        numbers = [name for name, to in self._converted.items() if pa.types.is_decimal(to)]
        fields = [
            (f"f{n}", int | float | None, msgspec.field(name=name, default=None)) for n, name in enumerate(numbers)
        ]
        struct: Any = msgspec.defstruct("Numbers", fields, gc=False)
        #: The type to which records are decoded: the unconverted fields, or else the numbers, whose types it checks.
        self.record = self._unconverted.record if self._unconverted is not None else struct
        body = msgspec.defstruct("Page", [("records", list[struct], msgspec.field(name=list_key))])
        self._numbers: msgspec.json.Decoder[Any] | None = (
            msgspec.json.Decoder(body) if numbers and unconverted else None
        )

    def read(self, records: Sequence[Any], text: bytes) -> dict[str, pa.Array]:
        """Read the columns of a page that is not empty.

        :param records: the records, decoded to :attr:`record`.
        :param text: the page's text, an object with the list of records.
        :raises ValueError: a value may not fit its column; :meth:`read_strictly` decides.
        """
        found = self._read_converted(text) if self._converted else {}
        if self._unconverted is not None:
            found |= self._unconverted.read(records)
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


def _read_as(field_type: ColumnType) -> pa.DataType:
    if field_type == TEXT:
        return pa.string()
    if pa.types.is_decimal(field_type):
        return pa.decimal128(min(_MAX_DIGITS, field_type.precision), field_type.scale)
    return field_type


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
