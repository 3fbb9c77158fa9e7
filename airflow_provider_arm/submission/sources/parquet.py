"""Reader of .parquet files: one column per field; nested fields as a struct or, as in .csv files, with dotted names.

Columns have wire names or Python names. A null is a missing key (ARM keeps its value). Amounts are decimals, whole
numbers or text: a column of floats has already lost digits. In a date field, a timestamp at midnight without a time
zone is read as a date, because pandas has no date type.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from operator import methodcaller
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import Amount, ArmModel, Day, wire_names
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.sources.field_types import Column, as_model, list_fields, list_item_type
from airflow_provider_arm.submission.sources.header import normalize_name, suggest
from airflow_provider_arm.submission.sources.rows import BLANK_ROW, REMARK_PREFIX, RawRow

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows that are Python objects at the same time: enough to make the cost of a call negligible, few beside a chunk.
ROWS_PER_BLOCK = 1000

_Convert = Callable[[Any], Any]
_as_text = methodcaller("isoformat")


def read_parquet(file: IO[bytes], model: type[ArmModel], name: str) -> Iterator[tuple[int, RawRow]]:
    """Yield the records with their numbers, from 1.

    :param file: a seekable file.
    :raises SourceError: not a Parquet file, or one of its columns is unknown, appears twice or cannot be read.
    :raises ArmConfigurationError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        msg = f"{name}: .parquet files need pyarrow: install airflow-provider-arm[parquet]"
        raise ArmConfigurationError(msg) from None
    number = 0
    try:
        parquet = pq.ParquetFile(file)
        columns = _find_columns(parquet.schema_arrow, model, name)
        for batch in parquet.iter_batches(ROWS_PER_BLOCK, use_threads=False):
            for record in _records(batch, columns, name):
                number += 1
                yield number, record or BLANK_ROW
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{name}: not a Parquet file, or damaged ({type(error).__name__})") from None


def _records(batch: pa.RecordBatch, columns: list[Column], name: str) -> Iterator[dict[str, Any]]:
    single = [(column.name, _values(batch, column, name)) for column in columns if not column.groups]
    grouped = [(column, _values(batch, column, name)) for column in columns if column.groups]
    for row in range(batch.num_rows):
        record = {field: value for field, values in single if (value := values[row]) is not None}
        for column, values in grouped:
            if (value := values[row]) is not None:
                column.set(record, value)
        yield record


def _values(batch: pa.RecordBatch, column: Column, name: str) -> list[Any]:
    import pyarrow as pa

    array = batch.column(column.position)
    try:
        if pa.types.is_timestamp(array.type):
            # Python's datetime has no nanoseconds; to_pylist raises for some of them.
            array = array.cast(pa.timestamp("us", array.type.tz))
        values: list[Any] = array.to_pylist()
    except (pa.ArrowException, ValueError) as error:
        header = batch.schema.names[column.position]
        msg = f"{name}, column {header}: contains a value that cannot be read ({type(error).__name__})"
        raise SourceError(msg) from None
    return values if column.convert is None else _convert_items(column.convert)(values)


def _find_columns(schema: pa.Schema, model: type[ArmModel], name: str) -> list[Column]:
    columns: dict[tuple[str, ...], Column] = {}
    for position, field in enumerate(schema):
        if field.name.startswith(REMARK_PREFIX):
            continue
        where = f"{name}, column {field.name}"
        path, annotation = _find_field(model, field.name.split("."), where)
        if path in columns:
            raise SourceError(f"{where}: the field appears twice")
        converter = _converter(field.type, annotation, where)
        columns[path] = Column(path[:-1], path[-1], converter, position=position)
    inside = next((path for path in columns for end in range(1, len(path)) if path[:end] in columns), None)
    if inside:
        raise SourceError(f"{name}, column {'.'.join(inside)}: the group that contains it is a column, too")
    if not columns:
        raise SourceError(f"{name}: no column is a field; fields: {', '.join(wire_names(model))}")
    return list(columns.values())


def _find_field(model: type[ArmModel], names: list[str], where: str) -> tuple[tuple[str, ...], Any]:
    """Return the path in wire names, and the type, of a field.

    :param names: names of the models around the field, outermost first, and of the field.
    """
    path: list[str] = []
    annotation: Any = model
    for name in names:
        group = as_model(annotation)
        fields = list_fields(group) if group is not None else iter(())
        wanted = normalize_name(name)
        field = next((field for field in fields if wanted in map(normalize_name, field[:2])), None)
        if field is None:
            known = wire_names(group or model)
            raise SourceError(f"{where}: no such field{suggest(name, known)}; fields: {', '.join(known)}")
        _, wire_name, annotation = field
        path.append(wire_name)
    return tuple(path), annotation


def _converter(kind: pa.DataType, annotation: Any, where: str) -> _Convert | None:
    """Return what converts the values of a column, or of a part of it.

    :raises SourceError: floats in an amount, or an unknown field.
    """
    from pyarrow import types

    if types.is_floating(kind) and annotation == Amount:
        raise SourceError(f"{where}: the type {kind} is not exact enough for an amount: write decimal128 or text")
    if types.is_dictionary(kind):
        return _converter(kind.value_type, annotation, where)
    if types.is_timestamp(kind):
        return _midnight_as_date if annotation == Day and kind.tz is None else _as_text
    if types.is_date(kind):
        return None if annotation == Day else _as_text
    if types.is_struct(kind):
        return _struct_converter(kind, as_model(annotation), where)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        convert = _converter(kind.value_type, list_item_type(annotation), where)
        return None if convert is None else _convert_items(convert)
    return None


def _struct_converter(kind: pa.StructType, model: type[ArmModel] | None, where: str) -> _Convert:
    members: list[tuple[str, str, _Convert | None]] = []
    for part in kind:
        inside = f"{where}.{part.name}"
        (wire_name,), annotation = ((part.name,), None) if model is None else _find_field(model, [part.name], inside)
        members.append((part.name, wire_name, _converter(part.type, annotation, inside)))

    def convert(value: dict[str, Any]) -> dict[str, Any]:
        return {
            wire_name: item if convert_member is None else convert_member(item)
            for name, wire_name, convert_member in members
            if (item := value[name]) is not None
        }

    return convert


def _convert_items(convert: _Convert) -> Callable[[list[Any]], list[Any]]:
    return lambda values: [None if value is None else convert(value) for value in values]


def _midnight_as_date(value: dt.datetime) -> dt.date | str:
    return value.date() if value.time() == dt.time() else value.isoformat()
