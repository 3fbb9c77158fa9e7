"""Merging of exports by their manifests: one list, the same arguments, and every day exactly once.

A merged export is one manifest for several files. All files are read again, and no key may be in two of them.
"""

from __future__ import annotations

import datetime as dt
import decimal
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_provider_arm import __version__
from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.fetch.date_window import DateRange
from airflow_provider_arm.export.fetch.key_set import KeySet
from airflow_provider_arm.export.manifest.errors import ArmExportMismatchError, ArmMergeError
from airflow_provider_arm.export.manifest.manifest import format_amounts, format_date_ranges, format_totals
from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX, data_path, manifest_path
from airflow_provider_arm.export.manifest.verify import (
    PARTS_KEY,
    raise_on_mismatch,
    read_manifest,
    record_type_of,
    verify_file,
)
from airflow_provider_arm.export.pages.page_stats import PageStats
from airflow_provider_arm.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Keys of the manifest that must be equal in all parts; otherwise their sums mean nothing.
SHARED_KEYS = (
    "api",
    "list",
    "records",
    "format",
    "compression",
    "csv_dialect",
    "columns",
    "masked",
    "filters",
    "key",
    "currency_field",
    "renamed",
)
_DAY = dt.timedelta(days=1)
_LOCAL_SCHEME = "file://"


@dataclass(frozen=True, slots=True)
class ExportPart:
    """One part of a merged export."""

    #: The file's address, as the merged manifest and messages name it.
    address: str
    #: The path of the part's manifest.
    path: Any
    manifest: Mapping[str, Any]
    #: The days that the part covers.
    span: DateRange


def read_part(address: str, path: Any, manifest: Mapping[str, Any]) -> ExportPart:
    """Read the days of a part from its manifest.

    :raises ArmMergeError: the part was exported without a window of days, or its own windows leave a gap or overlap.
    """
    if PARTS_KEY in manifest:
        raise ArmMergeError(f"{address} is a merged export itself: pass its parts instead")
    windows = [(_parse_window(address, window), "split_by" in window) for window in manifest["windows"]]
    windows.sort(key=lambda window: window[0].first)
    if not windows:
        raise ArmMergeError(f"{address} was exported without a window of days")
    for (before, _), (after, is_split_by_value) in pairwise(windows):
        if after.first != before.last + _DAY and not (is_split_by_value and after == before):
            raise ArmMergeError(f"{address} was exported in windows that leave a gap or overlap after {before}")
    first, last = windows[0][0], windows[-1][0]
    return ExportPart(address, path, manifest, DateRange(first.first, last.last, first.by))


def _parse_window(address: str, window: Mapping[str, Any]) -> DateRange:
    """Parse ``voucherdate 2026-01-01 to 2026-01-31``, as :class:`DateRange` is written."""
    try:
        by, first, _, last = str(window["window"]).split(" ")
        return DateRange(dt.date.fromisoformat(first), dt.date.fromisoformat(last), by)
    except ValueError:
        raise ArmMergeError(f"{address} was exported without a window of days") from None


def sort_parts(parts: Sequence[ExportPart], window: DateRange | None = None) -> list[ExportPart]:
    """Return the parts sorted by their days.

    :param window: the days that the parts must cover. Default: from the first day of all parts to the last.
    :raises ArmMergeError: there is no part, or the parts differ, overlap, leave a gap, or do not cover *window*.
    """
    if not parts:
        raise ArmMergeError("there are no parts to merge")
    ordered = sorted(parts, key=lambda part: (part.span.first, part.span.last))
    for part in ordered[1:]:
        _check_compatible(ordered[0], part)
    for before, after in pairwise(ordered):
        _check_adjacent(before, after)
    covered = _covered_days(ordered)
    if window is not None and covered != window:
        msg = f"the parts cover {covered}, but should cover {window}: the first or last part is missing or not wanted"
        raise ArmMergeError(msg)
    return ordered


def _check_compatible(first: ExportPart, other: ExportPart) -> None:
    different = [key for key in SHARED_KEYS if first.manifest.get(key) != other.manifest.get(key)]
    different += ["the date field of the window"] if first.span.by != other.span.by else []
    if different:
        raise ArmMergeError(
            f"{other.address} differs from {first.address} in {', '.join(different)}: all parts must be of one list, "
            "exported with the same arguments"
        )


def _check_adjacent(before: ExportPart, after: ExportPart) -> None:
    if after.span.first <= before.span.last:
        msg = f"{before.address} and {after.address} overlap: both contain {after.span.by} {after.span.first}"
        raise ArmMergeError(msg)
    if after.span.first > before.span.last + _DAY:
        missing = DateRange(before.span.last + _DAY, after.span.first - _DAY, after.span.by)
        raise ArmMergeError(f"no part contains {missing}, between {before.address} and {after.address}")


def _covered_days(parts: Sequence[ExportPart]) -> DateRange:
    return DateRange(parts[0].span.first, parts[-1].span.last, parts[0].span.by)


def build_merged_manifest(name: str, parts: Sequence[ExportPart]) -> dict[str, Any]:
    """Build the manifest of a merged export from the manifests of its parts.

    :param name: the name that one file with all records would have.
    :param parts: the parts in order.
    :raises ArmMergeError: a part's manifest lacks a value or has an invalid one, or its dates are outside its days.
    """
    stats = PageStats()
    for part in parts:
        _add_part(stats, part)
    manifests = [part.manifest for part in parts]
    return {
        "file": name,
        **{key: manifests[0][key] for key in SHARED_KEYS if key in manifests[0]},
        "rows": stats.rows,
        **{key: sum(manifest[key] for manifest in manifests) for key in ("pages", "restarts", "bytes")},
        "totals": format_totals(stats.totals),
        "gl_totals": format_amounts(stats.gl_totals),
        "dates": format_date_ranges(stats),
        "window": str(_covered_days(parts)),
        "windows": [
            {"window": str(part.span), "pages": part.manifest["pages"], "rows": part.manifest["rows"]} for part in parts
        ],
        PARTS_KEY: [
            {"file": part.address, **{key: part.manifest[key] for key in ("rows", "bytes", "sha256", "windows")}}
            for part in parts
        ],
        "package": f"airflow-provider-arm {__version__}",
        "started": min(manifest["started"] for manifest in manifests),
        "finished": max(manifest["finished"] for manifest in manifests),
    }


def _add_part(stats: PageStats, part: ExportPart) -> None:
    """Add the rows, exact totals and dates of a part's manifest to *stats*."""
    manifest = part.manifest
    try:
        part_stats = PageStats(
            manifest["rows"],
            totals={currency: _parse_amounts(totals) for currency, totals in manifest["totals"].items()},
            gl_totals=_parse_amounts(manifest["gl_totals"]),
            ranges={name: (dates["first"], dates["last"]) for name, dates in manifest["dates"].items()},
        )
        part.span.check(record_type_of(manifest), part_stats)
        stats.add(part_stats)
    except ArmConfigurationError:
        raise ArmMergeError(f"{part.address} contains records outside {part.span}") from None
    except (ValueError, TypeError, AttributeError, KeyError, decimal.DecimalException):
        raise ArmMergeError(f"{part.address} cannot be merged: no export wrote its manifest") from None


def _parse_amounts(amounts: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in amounts.items()}


def merge_exports(manifests: Sequence[Any], path: Any, window: DateRange | None = None) -> dict[str, Any]:
    """Merge exports into one manifest, ``<path>.manifest.json``, and return it. It is written after all checks.

    Each file is compared with its manifest as in :func:`check_export`. Memory does not grow with the number of records.

    :param manifests: the manifests of the parts, in any order: local paths, or anything like ``ObjectStoragePath``.
    :param path: the path that one file with all records would have. No file of that name is written.
    :param window: the days that the parts must cover. Default: the days that they cover without a gap.
    :raises ArmMergeError: the parts cannot be merged; the message names the part and the reason.
    :raises OSError: a file cannot be read or written.
    """
    target = manifest_path(path)
    if str(target) in {str(manifest) for manifest in manifests}:
        raise ArmMergeError(f"{path.name} is one of the parts: choose another path for the merged export")
    unsorted = [_read_part_file(_relative_address(manifest, target), manifest) for manifest in manifests]
    parts = sort_parts(unsorted, window)
    merged = build_merged_manifest(path.name, parts)
    _verify_files(parts)
    with atomic_write(target) as file:
        file.write(money.encode(merged) + b"\n")
    return merged


def verify_merged(path: Any, manifest: Mapping[str, Any]) -> None:
    """Read all parts of a merged export again and compare their sums with its manifest.

    :param path: the path of the merged manifest.
    :raises ArmExportMismatchError: they do not match; the message names the part, or the differing keys.
    :raises OSError: a file cannot be read.
    """
    _verify_files(_read_parts(path, manifest))


def list_part_manifests(path: Any) -> list[Any]:
    """Return the paths of the manifests of a merged export's parts; for any other export its own path.

    The manifests of the parts must match the merged one. Their files are not read: the caller verifies them.

    :raises ArmExportMismatchError: *path* is not a manifest, or its parts do not match it.
    :raises OSError: a manifest cannot be read.
    """
    manifest = read_manifest(path)
    return [part.path for part in _read_parts(path, manifest)] if PARTS_KEY in manifest else [path]


def _read_parts(path: Any, manifest: Mapping[str, Any]) -> list[ExportPart]:
    """Read the parts of a merged manifest, and compare the sums of their manifests with it."""
    name = data_path(path).name
    try:
        paths = {part["file"]: _resolve_address(path, part["file"] + MANIFEST_SUFFIX) for part in manifest[PARTS_KEY]}
    except (TypeError, KeyError):
        raise ArmMergeError(f"{path.name} cannot be read as a manifest") from None
    parts = sort_parts([_read_part_file(address, part_path) for address, part_path in paths.items()])
    actual = build_merged_manifest(name, parts)
    del actual["package"]  # another version may have merged them
    raise_on_mismatch(name, dict(manifest), actual)
    return parts


def _read_part_file(address: str, path: Any) -> ExportPart:
    try:
        return read_part(address, path, read_manifest(path))
    except FileNotFoundError:
        raise ArmMergeError(f"{address} has no manifest: the part is missing or not complete") from None


def _verify_files(parts: Sequence[ExportPart]) -> None:
    """Compare each file with its manifest, and check that no key is in two files."""
    with KeySet() as keys:
        for part in parts:
            try:
                verify_file(part.path, dict(part.manifest), keys)
            except FileNotFoundError:
                raise ArmMergeError(f"{part.address} is missing, although its manifest exists") from None
            except ArmExportMismatchError as error:
                raise ArmMergeError(f"{part.address}: {error}") from None
        if keys.all_unique():
            return
        shared = " and ".join(parts[number].address for number in keys.find_shared_key() or ())
    raise ArmMergeError(
        f"{shared} contain the same {parts[0].manifest['key']}: the list changed between their exports, or one file "
        "contains the other's records; export both again"
    )


def _folder(path: Any) -> str:
    before, slash, _ = str(path).rpartition("/")
    return before + slash


def _relative_address(path: Any, merged: Any) -> str:
    """Return the address of a part's file: relative to the merged manifest if it is in or below the same folder.

    The folder can then be moved as a whole.
    """
    return str(path).removeprefix(_folder(merged)).removesuffix(MANIFEST_SUFFIX)


def _resolve_address(merged: Any, address: str) -> Any:
    """Return the path of an address in a merged manifest, opened in the same way as that manifest.

    An address with a scheme or a leading slash is absolute, any other relative to the manifest's folder.

    :raises ArmMergeError: the manifest is a local path, and the address is not.
    """
    if "://" not in address:
        return type(merged)(address if address.startswith("/") else _folder(merged) + address)
    if hasattr(merged, "protocol"):  # opens any address; in older versions it is a subclass of pathlib.Path, too
        return type(merged)(address)
    if address.startswith(_LOCAL_SCHEME):
        return type(merged)(address.removeprefix(_LOCAL_SCHEME))
    raise ArmMergeError(f"{address} is not a local path: pass the manifest as an ObjectStoragePath")
