"""Some columns of an exported file, a thousand records at a time, with every digit of its numbers."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.export.files.compression import need_pyarrow, open_compressed
from airflow_provider_arm.reconcile.errors import ArmReconcileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Records looked at together: enough that the work per record counts, few enough that memory stays small.
BATCH = 1000

#: The columns asked for, in their order, all as long as each other.
Columns = list[Sequence[Any]]


def check_columns(said: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse an export that has not what is asked of it.

    :param said: its manifest.
    :raises ArmReconcileError: a column is not in the file, or its values are masked.
    """
    for name in names:
        if said["columns"] is not None and name not in said["columns"]:
            msg = f"{said['file']} has no column {name}: export it too (columns; names are case-sensitive)"
            raise ArmReconcileError(msg)
        if name in said["masked"]:
            msg = f"{said['file']} has no values of {name}, which is masked: export it without that mask"
            raise ArmReconcileError(msg)


def read_columns(data: Any, said: Mapping[str, Any], names: Sequence[str]) -> Iterator[Columns]:
    """Read columns of an export, batch by batch. Null, an empty cell and a missing key are all ``None``.

    :param data: the file's path.
    :param said: its manifest.
    :raises ArmReconcileError: the file cannot be read as what the manifest says.
    """
    read = {"jsonl": _lines, "csv": _rows, "parquet": _batches}[str(said["format"])]
    with _readable(said), data.open("rb") as file:
        yield from read(file, said, names)


@contextmanager
def _readable(said: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except ArmReconcileError:
        raise
    except (ValueError, EOFError, zlib.error, OSError) as error:
        # gzip and Arrow call it an OSError when a file is not theirs, without the number that a lost disk has.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        msg = f"{said['file']} cannot be read as {said['format']}: export again"
        raise ArmReconcileError(msg) from None


def _lines(file: IO[bytes], said: Mapping[str, Any], names: Sequence[str]) -> Iterator[Columns]:
    fields = [(f"f{at}", Any, msgspec.field(name=name, default=None)) for at, name in enumerate(names)]
    record = msgspec.defstruct("Record", fields, gc=False)
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[record], float_hook=money.exact)  # type: ignore[valid-type]
    lines = iter(open_compressed(file, said["compression"]))
    while some := list(islice(lines, BATCH)):
        records = decoder.decode(b"[%b]" % b",".join(some))
        yield [[getattr(record, f"f{at}") for record in records] for at in range(len(names))]


def _rows(file: IO[bytes], said: Mapping[str, Any], names: Sequence[str]) -> Iterator[Columns]:
    rows = csv.reader(line.decode() for line in open_compressed(file, said["compression"]))
    header = next(rows, [])
    places = [header.index(name) for name in names]
    while some := list(islice(rows, BATCH)):
        columns = list(zip(*some, strict=True))
        if len(columns) != len(header):
            raise ValueError
        yield [[cell or None for cell in columns[place]] for place in places]


def _batches(file: IO[bytes], _: Mapping[str, Any], names: Sequence[str]) -> Iterator[Columns]:
    need_pyarrow("Parquet")
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(BATCH, columns=list(names)):
        yield [batch[name].to_pylist() for name in names]
