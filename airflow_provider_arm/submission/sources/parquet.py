"""Parquet files of records: one column per field, nested fields as a struct or, as in a .csv file, with a dot.

A column is named as on the wire or as in Python. A null is a missing key (ARM keeps what it has). Amounts must be
decimals, whole numbers or text: a column of floats has lost digits before it came here. Where a day is wanted, a
timestamp without a zone at midnight is that day, because pandas has no other type for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import Amount, ArmModel, Day, wire_names
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.sources.field_types import as_model_class, list_item_type, strip_optional
from airflow_provider_arm.submission.sources.rows import REMARK_PREFIX

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows that are Python objects at the same time: enough to hide the cost of a call, few beside a chunk.
ROWS_PER_BLOCK = 1000

#: Gives a value as JSON would have it; ``None`` for none.
_Read = Callable[[Any], Any]


class _ParquetColumn(NamedTuple):
    """Where a column's values go."""

    at: int
    groups: tuple[str, ...]
    name: str
    #: ``None`` where the values are taken as they are.
    read: _Read | None
    #: File and column, for messages.
    where: str


def read_parquet(file: IO[bytes], model: type[ArmModel], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the records with their numbers, from 1.

    :param file: one in which one can seek.
    :raises SourceError: the file is no Parquet file, or has a column that cannot be, which is named.
    :raises ArmConfigurationError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        msg = f"{name}: to read it needs pyarrow: install airflow-provider-arm[parquet]"
        raise ArmConfigurationError(msg) from None
    number = 0
    try:
        parquet = pq.ParquetFile(file)
        columns = _find_columns(parquet.schema_arrow, model, name)
        for batch in parquet.iter_batches(ROWS_PER_BLOCK, use_threads=False):
            for record in _records(batch, columns):
                number += 1
                yield number, record
    except (pa.ArrowException, OSError) as error:
        msg = f"{name}: is no Parquet file, or a damaged one ({type(error).__name__})"
        raise SourceError(msg) from None


def _records(batch: pa.RecordBatch, columns: list[_ParquetColumn]) -> Iterator[dict[str, Any]]:
    single = [(column.name, _values(batch, column)) for column in columns if not column.groups]
    grouped = [(column, _values(batch, column)) for column in columns if column.groups]
    for at in range(batch.num_rows):
        record = {name: value for name, values in single if (value := values[at]) is not None}
        for column, values in grouped:
            if (value := values[at]) is not None:
                target = record
                for group in column.groups:
                    target = target.setdefault(group, {})
                target[column.name] = value
        yield record


def _values(batch: pa.RecordBatch, column: _ParquetColumn) -> list[Any]:
    import pyarrow as pa

    array = batch.column(column.at)
    try:
        if pa.types.is_timestamp(array.type):
            # Python's own kind of time has no nanoseconds; some of them would raise.
            array = array.cast(pa.timestamp("us", array.type.tz))
        values: list[Any] = array.to_pylist()
    except (pa.ArrowException, ValueError) as error:
        msg = f"{column.where}: holds a value that cannot be read ({type(error).__name__})"
        raise SourceError(msg) from None
    read = column.read
    return values if read is None else [None if value is None else read(value) for value in values]


def _find_columns(schema: pa.Schema, model: type[ArmModel], name: str) -> list[_ParquetColumn]:
    columns: list[_ParquetColumn] = []
    places: set[tuple[str, ...]] = set()
    for at, field in enumerate(schema):
        if field.name.startswith(REMARK_PREFIX):
            continue
        where = f"{name}, column {field.name}"
        place, annotation = _find_field(model, field.name, where)
        if place in places:
            msg = f"{where}: the field stands twice"
            raise SourceError(msg)
        places.add(place)
        columns.append(_ParquetColumn(at, place[:-1], place[-1], _reader(field.type, annotation, where), where))
    doubled = next((place for place in places for end in range(1, len(place)) if place[:end] in places), None)
    if doubled:
        msg = f"{name}, column {'.'.join(doubled)}: its group stands there as a column too"
        raise SourceError(msg)
    if not columns:
        msg = f"{name}: has no column that is a field; there are {', '.join(wire_names(model))}"
        raise SourceError(msg)
    return columns


def _find_field(model: type[ArmModel], name: str, where: str) -> tuple[tuple[str, ...], Any]:
    """Find a field by its dotted name; gives its place in wire names, and its annotation without ``None``."""
    first, _, rest = name.partition(".")
    alias, annotation = _find_member(model, first, where)
    if not rest:
        return (alias,), annotation
    group = as_model_class(annotation)
    if group is None:
        raise _no_such_field(model, where)
    place, inner = _find_field(group, rest, where)
    return (alias, *place), inner


def _find_member(model: type[ArmModel], name: str, where: str) -> tuple[str, Any]:
    for field_name, field in model.model_fields.items():
        if name in (field.alias, field_name):
            return field.alias or field_name, strip_optional(field.annotation)
    raise _no_such_field(model, where)


def _no_such_field(model: type[ArmModel], where: str) -> SourceError:
    return SourceError(f"{where}: there is no such field; there are {', '.join(wire_names(model))}")


def _reader(kind: pa.DataType, annotation: Any, where: str) -> _Read | None:
    """Choose how the values of a column, or of a part of it, are read.

    :raises SourceError: floats where the model wants an amount, or a field that there is not.
    """
    from pyarrow import types

    if types.is_floating(kind) and annotation == Amount:
        msg = f"{where}: holds {kind}, which is not exact for an amount: write it as decimal128 (or as text)"
        raise SourceError(msg)
    if types.is_dictionary(kind):
        return _reader(kind.value_type, annotation, where)
    if types.is_timestamp(kind):
        return _day_or_text if annotation == Day and kind.tz is None else _text
    if types.is_date(kind):
        return None if annotation == Day else _text
    if types.is_struct(kind):
        return _struct_reader(kind, as_model_class(annotation), where)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        member = _reader(kind.value_type, list_item_type(annotation), where)
        return None if member is None else _each(member)
    return None


def _struct_reader(kind: pa.StructType, model: type[ArmModel] | None, where: str) -> _Read:
    members: list[tuple[str, str, _Read | None]] = []
    for field in kind:
        inside = f"{where}.{field.name}"
        wire_name, annotation = (field.name, None) if model is None else _find_member(model, field.name, inside)
        members.append((field.name, wire_name, _reader(field.type, annotation, inside)))

    def read(value: dict[str, Any]) -> dict[str, Any]:
        return {
            wire_name: item if read_member is None else read_member(item)
            for name, wire_name, read_member in members
            if (item := value[name]) is not None
        }

    return read


def _each(read: _Read) -> _Read:
    return lambda values: [None if value is None else read(value) for value in values]


def _text(value: dt.date) -> str:
    return value.isoformat()


def _day_or_text(value: dt.datetime) -> dt.date | str:
    return value.date() if value.time() == dt.time() else value.isoformat()
