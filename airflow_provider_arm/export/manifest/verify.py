"""Comparison of an export's file with its manifest. Memory does not grow with the number of records."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.export.manifest.errors import ArmExportMismatchError
from airflow_provider_arm.export.manifest.file_reader import read_batches, translate_format_errors
from airflow_provider_arm.export.manifest.manifest import format_amounts, format_date_ranges, format_totals
from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX, data_path
from airflow_provider_arm.export.pages.page_body import wrap_records
from airflow_provider_arm.export.pages.page_stats import PageStats, PageStatsReader
from airflow_provider_arm.export.pages.record_types import RecordType, find_record_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_arm.export.fetch.key_set import KeySet


_BYTES_PER_READ = 2**20
_LIST_KEY = "records"
#: Key that only merged manifests have: the files of which the export consists.
PARTS_KEY = "parts"
#: Keys that every manifest of a file has, and keys that every merged manifest has.
_FILE_KEYS = {"file", "format", "rows", "sha256", "windows"}
_MERGED_KEYS = {"file", "format", "rows", PARTS_KEY, "windows"}


def read_manifest(path: Any) -> dict[str, Any]:
    """Read a manifest without verifying the export.

    :raises ArmExportMismatchError: the file is not a manifest.
    :raises OSError: it cannot be read.
    """
    if not path.name.endswith(MANIFEST_SUFFIX):
        raise ArmExportMismatchError(f"{path.name} is not a manifest: its name must end in {MANIFEST_SUFFIX}")
    with path.open("rb") as file:
        text = file.read()
    try:
        manifest = money.decode(text)
        if isinstance(manifest, dict) and (set(manifest) >= _FILE_KEYS or set(manifest) >= _MERGED_KEYS):
            return manifest
    except ValueError:
        pass
    raise ArmExportMismatchError(f"{path.name} cannot be read as a manifest")


def verify_file(path: Any, manifest: dict[str, Any], keys: KeySet) -> None:
    """Compare an export's file with its manifest.

    :param path: the manifest's path.
    :param keys: receives the keys of the file's records, as those of one query.
    :raises ArmExportMismatchError: the file does not match; the message names the differing keys of the manifest.
    :raises OSError: the file cannot be read.
    """
    data: Any = data_path(path)
    raise_on_mismatch(data.name, manifest, {"file": data.name, **_size_and_checksum(data)})
    raise_on_mismatch(data.name, manifest, _recompute(data, manifest, keys))


def raise_on_mismatch(name: str, manifest: dict[str, Any], actual: dict[str, Any]) -> None:
    """Compare entries of a manifest with the actual values.

    :param name: the file's name, for the message.
    :raises ArmExportMismatchError: values differ; the message names their keys.
    """
    different = [key for key, value in actual.items() if manifest.get(key) != value]
    if different:
        raise ArmExportMismatchError(f"{name} and its manifest differ in {', '.join(different)}: export again")


def _size_and_checksum(data: Any) -> dict[str, Any]:
    checksum, size = hashlib.sha256(), 0
    with data.open("rb") as file:
        while block := file.read(_BYTES_PER_READ):
            checksum.update(block)
            size += len(block)
    return {"bytes": size, "sha256": checksum.hexdigest()}


def _recompute(data: Any, manifest: dict[str, Any], keys: KeySet) -> dict[str, Any]:
    """Return the entries of the manifest that can be computed from the file's records."""
    record_type = record_type_of(manifest)
    columns = record_type.validated_fields if manifest["columns"] is None else manifest["columns"]
    available = set(columns) - set(manifest["masked"])
    stats, is_unique = _read_file(
        data, manifest, PageStatsReader(record_type, _LIST_KEY, available_fields=available), keys
    )
    if not is_unique:
        raise ArmExportMismatchError(f"{data.name} contains the same {record_type.key} twice: export again")
    actual: dict[str, Any] = {"rows": stats.rows}
    if sum(window["rows"] for window in manifest["windows"]) != manifest["rows"]:
        actual["windows"] = None
    if record_type.currency is not None and available.issuperset((record_type.currency, *record_type.amounts)):
        actual["totals"] = format_totals(stats.totals)
    if available.issuperset(record_type.gl_amounts):
        actual["gl_totals"] = format_amounts(stats.gl_totals)
    if available.issuperset((*record_type.dates, *record_type.timestamps)):
        actual["dates"] = format_date_ranges(stats)
    return actual


def record_type_of(manifest: Mapping[str, Any]) -> RecordType:
    """Return the record type of an export; for an unknown list, one with the fields that its manifest names."""
    known = find_record_type(manifest["records"], manifest.get("renamed"))
    if known is not None:
        return known
    amounts = tuple(dict.fromkeys(name for totals in manifest["totals"].values() for name in totals))
    gl_amounts = tuple(manifest["gl_totals"])
    return RecordType(manifest["records"], None, manifest["key"], manifest["currency_field"], amounts, gl_amounts)


def _read_file(data: Any, manifest: dict[str, Any], reader: PageStatsReader, keys: KeySet) -> tuple[PageStats, bool]:
    """Return the stats of all records, and whether their keys are unique. Stop at the first duplicate key."""
    total = PageStats()
    with translate_format_errors(manifest), data.open("rb") as file:
        for rows, columns in read_batches(
            file,
            manifest,
            reader.field_names,
            decode_json=lambda records: reader.decode(wrap_records(_LIST_KEY, records)),
            decode_cells=reader.parse_csv_column,
        ):
            stats = reader.from_columns(rows, columns)
            total.add(stats)
            if not keys.add(stats.keys):
                return total, False
        return total, keys.commit_query()
