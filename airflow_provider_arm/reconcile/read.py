"""Columns of an exported file, in batches, with all digits of its numbers."""

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

#: Records per batch: enough that the work per record dominates, few enough that memory stays small.
BATCH_SIZE = 1000

#: Values of the requested columns, in their order, one list per column.
Columns = list[Sequence[Any]]


def check_columns(manifest: Mapping[str, Any], names: Sequence[str]) -> None:
    """Check that an export has all columns *names*.

    :raises ArmReconcileError: a column is not in the file, or its values are masked.
    """
    for name in names:
        if manifest["columns"] is not None and name not in manifest["columns"]:
            msg = f"{manifest['file']} has no column {name}: export it too (columns; names are case-sensitive)"
            raise ArmReconcileError(msg)
        if name in manifest["masked"]:
            msg = f"{manifest['file']} has no values in {name}, because it is masked: export it without that mask"
            raise ArmReconcileError(msg)


def read_columns(data: Any, manifest: Mapping[str, Any], names: Sequence[str]) -> Iterator[Columns]:
    """Yield the columns *names* of an export, batch by batch. Null, an empty cell and a missing key are all ``None``.

    :param data: the file's path.
    :raises ArmReconcileError: the file cannot be read in the format that the manifest names.
    """
    read = {"jsonl": _read_jsonl, "csv": _read_csv, "parquet": _read_parquet}[str(manifest["format"])]
    with _translate_format_errors(manifest), data.open("rb") as file:
        yield from read(file, manifest, names)


@contextmanager
def _translate_format_errors(manifest: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except ArmReconcileError:
        raise
    except (ValueError, EOFError, zlib.error, OSError) as error:
        # gzip and Arrow raise OSError for a file in another format, but without the errno that a lost disk has.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        msg = f"{manifest['file']} cannot be read as {manifest['format']}: export again"
        raise ArmReconcileError(msg) from None


def _read_jsonl(file: IO[bytes], manifest: Mapping[str, Any], names: Sequence[str]) -> Iterator[Columns]:
    fields = [(f"f{at}", Any, msgspec.field(name=name, default=None)) for at, name in enumerate(names)]
    record = msgspec.defstruct("Record", fields, gc=False)
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[record], float_hook=money.exact)  # type: ignore[valid-type]
    lines = iter(open_compressed(file, manifest["compression"]))
    while batch := list(islice(lines, BATCH_SIZE)):
        records = decoder.decode(b"[%b]" % b",".join(batch))
        yield [[getattr(record, f"f{at}") for record in records] for at in range(len(names))]


def _read_csv(file: IO[bytes], manifest: Mapping[str, Any], names: Sequence[str]) -> Iterator[Columns]:
    rows = csv.reader(line.decode() for line in open_compressed(file, manifest["compression"]))
    header = next(rows, [])
    places = [header.index(name) for name in names]
    while batch := list(islice(rows, BATCH_SIZE)):
        columns = list(zip(*batch, strict=True))
        if len(columns) != len(header):
            raise ValueError
        yield [[cell or None for cell in columns[place]] for place in places]


def _read_parquet(file: IO[bytes], _: Mapping[str, Any], names: Sequence[str]) -> Iterator[Columns]:
    need_pyarrow("Parquet")
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(BATCH_SIZE, columns=list(names)):
        yield [batch[name].to_pylist() for name in names]
