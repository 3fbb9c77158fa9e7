"""Reader of the files that exports write, in batches. Memory does not grow with the number of records."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from decimal import InvalidOperation
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.files.compression import need_pyarrow, open_compressed
from airflow_provider_arm.export.manifest.errors import ArmExportMismatchError
from airflow_provider_arm.export.pages.csv_dialect import CSV_DIALECTS
from airflow_provider_arm.export.pages.page_body import check_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Records per batch: enough that the work per record dominates, few enough that memory stays small.
BATCH_SIZE = 1000

#: Number of records, and their values by column, one list per column.
Batch = tuple[int, dict[str, Sequence[Any]]]


@contextmanager
def translate_format_errors(manifest: Mapping[str, Any]) -> Iterator[None]:
    """Translate what reading and parsing a file raises if it is not in the format that its manifest names.

    :raises ArmExportMismatchError: in place of such an error.
    """
    try:
        yield
    except ArmConfigurationError:  # pyarrow is missing
        raise
    except (ValueError, InvalidOperation, EOFError, KeyError, zlib.error, OSError) as error:
        # gzip and Arrow raise OSError for a file in another format, but without the errno that a lost disk has.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        msg = f"{manifest['file']} cannot be read as {manifest['format']}: export again"
        raise ArmExportMismatchError(msg) from None


def read_batches(
    file: IO[bytes],
    manifest: Mapping[str, Any],
    names: Sequence[str],
    *,
    decode_json: Callable[[bytes], Batch],
    decode_cells: Callable[[str, Sequence[str]], Sequence[Any]],
) -> Iterator[Batch]:
    """Yield the columns *names* of an export's file, batch by batch.

    :param decode_json: decodes a JSON array of records; of JSON lines only.
    :param decode_cells: decodes the cells of a column, by its name; of CSV only.
    """
    if manifest["format"] == "parquet":
        need_pyarrow("Parquet")
        import pyarrow.parquet

        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(BATCH_SIZE, columns=list(names)):
            yield batch.num_rows, {name: batch[name].to_pylist() for name in names}
        return
    lines = iter(open_compressed(file, manifest["compression"]))
    if manifest["format"] == "jsonl":
        while records := list(islice(lines, BATCH_SIZE)):
            text = b"[%b]" % b",".join(records)
            check_utf8(text)
            yield decode_json(text)
        return
    dialect = CSV_DIALECTS[manifest.get("csv_dialect")]
    mark = next(lines, b"")
    if not mark.startswith(dialect.mark):
        raise ValueError
    lines = chain([mark.removeprefix(dialect.mark)], lines)
    rows = csv.reader((line.decode() for line in lines), delimiter=dialect.separator)
    header = next(rows, [])
    if header != manifest["columns"]:
        raise ValueError
    while cells := list(islice(rows, BATCH_SIZE)):
        columns = dict(zip(header, zip(*cells, strict=True), strict=True))
        yield len(cells), {name: decode_cells(name, list(map(dialect.restore, columns[name]))) for name in names}
