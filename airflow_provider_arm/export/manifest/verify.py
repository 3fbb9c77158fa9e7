"""Read an export and its manifest again: they agree, or it raises. Memory does not grow with the number of records."""

from __future__ import annotations

import csv
import hashlib
import zlib
from decimal import InvalidOperation
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.export.files.compression import need_pyarrow, open_compressed
from airflow_provider_arm.export.manifest.manifest import (
    format_amounts,
    format_date_ranges,
    format_totals,
)
from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX, data_path
from airflow_provider_arm.export.pages.page_body import wrap
from airflow_provider_arm.export.pages.page_stats import PageStats, PageStatsReader
from airflow_provider_arm.export.pages.record_types import RecordType, find_record_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_arm.export.fetch.key_set import KeyLog


#: Bytes read at once, and records looked at together.
_BYTES_PER_READ = 2**20
_RECORDS_PER_BATCH = 1000
_LIST_KEY = "records"
#: What a merged manifest has and no other: the files that it is made of.
PARTS_KEY = "parts"
#: What every manifest of a file says, and every merged one.
_FILE_KEYS = {"file", "format", "rows", "sha256", "windows"}
_MERGED_KEYS = {"file", "format", "rows", PARTS_KEY, "windows"}


class ArmExportMismatchError(ArmError):
    """An export's file and its manifest do not agree: one of them was changed, cut or replaced."""


def read_manifest(path: Any) -> dict[str, Any]:
    """Read what a manifest says, and believe it.

    :raises ArmExportMismatchError: it is none.
    :raises OSError: it cannot be read.
    """
    if not path.name.endswith(MANIFEST_SUFFIX):
        msg = f"{path.name} is no manifest: its name must end in {MANIFEST_SUFFIX}"
        raise ArmExportMismatchError(msg)
    with path.open("rb") as file:
        text = file.read()
    try:
        said = money.decode(text)
        if isinstance(said, dict) and (set(said) >= _FILE_KEYS or set(said) >= _MERGED_KEYS):
            return said
    except ValueError:
        pass
    msg = f"{path.name} cannot be read as a manifest"
    raise ArmExportMismatchError(msg)


def verify_file(path: Any, said: dict[str, Any], keys: KeyLog) -> None:
    """Hold an export's file against its manifest.

    :param path: the manifest's.
    :param said: what it says.
    :param keys: takes the file's keys as one query.
    :raises ArmExportMismatchError: naming what does not agree.
    :raises OSError: the file cannot be read.
    """
    data: Any = data_path(path)
    raise_on_mismatch(data.name, said, {"file": data.name, **_size_and_checksum(data)})
    raise_on_mismatch(data.name, said, _recompute(data, said, keys))


def raise_on_mismatch(name: str, said: dict[str, Any], found: dict[str, Any]) -> None:
    """Compare what a manifest says with what was found.

    :raises ArmExportMismatchError: naming the facts that differ.
    """
    wrong = [fact for fact, value in found.items() if said.get(fact) != value]
    if wrong:
        msg = f"{name} and its manifest differ in {', '.join(wrong)}: export again"
        raise ArmExportMismatchError(msg)


def _size_and_checksum(data: Any) -> dict[str, Any]:
    checksum, size = hashlib.sha256(), 0
    with data.open("rb") as file:
        while block := file.read(_BYTES_PER_READ):
            checksum.update(block)
            size += len(block)
    return {"bytes": size, "sha256": checksum.hexdigest()}


def _recompute(data: Any, said: dict[str, Any], keys: KeyLog) -> dict[str, Any]:
    """Find the facts of a file."""
    kind = record_type_of(said)
    there = set(kind.looked_at if said["columns"] is None else said["columns"]) - set(said["masked"])
    total, distinct = _read_file(data, said, PageStatsReader(kind, _LIST_KEY, only=there), keys)
    if not distinct:
        msg = f"{data.name} holds the same {kind.key} twice: export again"
        raise ArmExportMismatchError(msg)
    windows = said["windows"]
    found: dict[str, Any] = {"rows": total.rows}
    if sum(window["rows"] for window in windows) != said["rows"]:
        found["windows"] = None
    if kind.currency is not None and there.issuperset((kind.currency, *kind.amounts)):
        found["totals"] = format_totals(total.totals)
    if there.issuperset(kind.own_amounts):
        found["gl_totals"] = format_amounts(total.own_totals)
    if there.issuperset((*kind.days, *kind.moments)):
        found["dates"] = format_date_ranges(total)
    return found


def record_type_of(said: Mapping[str, Any]) -> RecordType:
    """Say what the records of a manifest are, as far as it is known."""
    known = find_record_type(said["records"])
    if known is not None:
        return known
    amounts = tuple(dict.fromkeys(name for totals in said["totals"].values() for name in totals))
    own = tuple(said["gl_totals"])
    return RecordType(said["records"], None, said["key"], said["currency_field"], amounts, own)


def _read_file(data: Any, said: dict[str, Any], reader: PageStatsReader, keys: KeyLog) -> tuple[PageStats, bool]:
    read = {"jsonl": _lines, "csv": _rows, "parquet": _batches}[str(said["format"])]
    total = PageStats()
    try:
        with data.open("rb") as file:
            for facts in read(file, said, reader):
                total.add(facts)
                if not keys.add(facts.keys):
                    return total, False
            return total, keys.end_query()
    except (ValueError, InvalidOperation, EOFError, KeyError, zlib.error, OSError) as error:
        # gzip and Arrow call it an OSError when a file is not theirs, without the number that a lost disk has.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        msg = f"{data.name} cannot be read as {said['format']}: export again"
        raise ArmExportMismatchError(msg) from None


def _lines(file: IO[bytes], said: dict[str, Any], reader: PageStatsReader) -> Iterator[PageStats]:
    lines = iter(open_compressed(file, said["compression"]))
    while some := list(islice(lines, _RECORDS_PER_BATCH)):
        yield reader.read(wrap(_LIST_KEY, b"[%b]" % b",".join(some)))


def _rows(file: IO[bytes], said: dict[str, Any], reader: PageStatsReader) -> Iterator[PageStats]:
    rows = csv.reader(line.decode() for line in open_compressed(file, said["compression"]))
    header = next(rows, [])
    if header != said["columns"]:
        raise ValueError
    while some := list(islice(rows, _RECORDS_PER_BATCH)):
        columns = dict(zip(header, zip(*some, strict=True), strict=True))
        yield reader.of_columns(len(some), {name: reader.of_text(name, columns[name]) for name in reader.names})


def _batches(file: IO[bytes], _: dict[str, Any], reader: PageStatsReader) -> Iterator[PageStats]:
    need_pyarrow("Parquet")
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(_RECORDS_PER_BATCH, columns=reader.names):
        yield reader.of_columns(batch.num_rows, {name: batch[name].to_pylist() for name in reader.names})
