"""Whether several exports add up to one, by their manifests: one list, asked for in one way, every day once.

A merged export is one manifest over the files of many. Every file is read again, and no key may be in two of them.
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
from airflow_provider_arm.export.fetch.key_set import KeyLog
from airflow_provider_arm.export.manifest.manifest import (
    format_amounts,
    format_date_ranges,
    format_totals,
)
from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX, data_path, manifest_path
from airflow_provider_arm.export.manifest.verify import (
    PARTS_KEY,
    ArmExportMismatchError,
    raise_on_mismatch,
    read_manifest,
    record_type_of,
    verify_file,
)
from airflow_provider_arm.export.pages.page_stats import PageStats
from airflow_provider_arm.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What all parts must have in common, by the manifest's names: else their sum means nothing.
SHARED_KEYS = (
    "api",
    "list",
    "records",
    "format",
    "compression",
    "columns",
    "masked",
    "filters",
    "key",
    "currency_field",
)
_DAY = dt.timedelta(days=1)
#: Begins an address that is read as it stands; any other lies beside the merged manifest or below.
_LOCAL_SCHEME = "file://"


class ArmMergeError(ArmExportMismatchError):
    """The parts of an export do not add up to one: a part is missing, doubled, changed, or of another kind."""


@dataclass(frozen=True, slots=True)
class ExportPart:
    """One part: what its manifest says."""

    #: The file's address, as the merged manifest has it and a message calls it.
    address: str
    #: The manifest's path.
    path: Any
    said: Mapping[str, Any]
    days: DateRange


def read_part(address: str, path: Any, said: Mapping[str, Any]) -> ExportPart:
    """Read a part's days off its manifest.

    :raises ArmMergeError: it was not made by a window of days, or its own windows leave a gap.
    """
    if PARTS_KEY in said:
        msg = f"{address} is merged itself: give its parts"
        raise ArmMergeError(msg)
    asked = sorted(
        ((_parse_window(address, window), "split_by" in window) for window in said["windows"]), key=_first_day
    )
    if not asked:
        msg = f"{address} was not made by a window of days"
        raise ArmMergeError(msg)
    for (before, _), (after, by_value) in pairwise(asked):
        if after.first != before.last + _DAY and not (by_value and after == before):
            msg = f"{address} was asked for in windows that do not meet, after {before}"
            raise ArmMergeError(msg)
    first, last = asked[0][0], asked[-1][0]
    return ExportPart(address, path, said, DateRange(first.first, last.last, first.by))


def _first_day(asked: tuple[DateRange, bool]) -> dt.date:
    return asked[0].first


def _parse_window(address: str, window: Mapping[str, Any]) -> DateRange:
    """Read ``voucherdate 2026-01-01 to 2026-01-31``, as :class:`DateRange` writes it."""
    try:
        by, first, _, last = str(window["window"]).split(" ")
        return DateRange(dt.date.fromisoformat(first), dt.date.fromisoformat(last), by)
    except ValueError:
        msg = f"{address} was not made by a window of days"
        raise ArmMergeError(msg) from None


def sort_parts(parts: Sequence[ExportPart], window: DateRange | None = None) -> list[ExportPart]:
    """Sort the parts by their days.

    :param window: what they must cover; default from the first day of any part to the last of any.
    :raises ArmMergeError: there is no part, or they differ, overlap, leave a gap, or do not cover *window*.
    """
    if not parts:
        msg = "there is no part to merge"
        raise ArmMergeError(msg)
    found = sorted(parts, key=lambda part: (part.days.first, part.days.last))
    for part in found[1:]:
        _check_compatible(found[0], part)
    for before, after in pairwise(found):
        _check_adjacent(before, after)
    whole = _covered_range(found)
    if window is not None and whole != window:
        msg = f"the parts cover {whole} and should cover {window}: one at an end is missing or too much"
        raise ArmMergeError(msg)
    return found


def _check_compatible(one: ExportPart, other: ExportPart) -> None:
    wrong = [name for name in SHARED_KEYS if one.said.get(name) != other.said.get(name)]
    wrong += ["the date that its window goes by"] if one.days.by != other.days.by else []
    if wrong:
        msg = f"{other.address} differs from {one.address} in {', '.join(wrong)}: parts must be of one export"
        raise ArmMergeError(msg)


def _check_adjacent(before: ExportPart, after: ExportPart) -> None:
    if after.days.first <= before.days.last:
        msg = f"{before.address} and {after.address} overlap: both hold {after.days.by} {after.days.first}"
        raise ArmMergeError(msg)
    if after.days.first > before.days.last + _DAY:
        missing = DateRange(before.days.last + _DAY, after.days.first - _DAY, after.days.by)
        msg = f"no part holds {missing}, between {before.address} and {after.address}"
        raise ArmMergeError(msg)


def _covered_range(parts: Sequence[ExportPart]) -> DateRange:
    return DateRange(parts[0].days.first, parts[-1].days.last, parts[0].days.by)


def build_merged_manifest(name: str, parts: Sequence[ExportPart]) -> dict[str, Any]:
    """Add the parts up.

    :param name: of the whole, as a file that held it all would be called.
    :param parts: in order.
    :raises ArmMergeError: a part's manifest lacks something, or says of its days what cannot be.
    """
    facts = PageStats()
    for part in parts:
        _add_part(facts, part)
    said = [part.said for part in parts]
    return {
        "file": name,
        **{same: said[0].get(same) for same in SHARED_KEYS},
        "rows": facts.rows,
        **{count: sum(one[count] for one in said) for count in ("pages", "restarts", "bytes")},
        "totals": format_totals(facts.totals),
        "gl_totals": format_amounts(facts.own_totals),
        "dates": format_date_ranges(facts),
        "window": str(_covered_range(parts)),
        "windows": [
            {"window": str(part.days), "pages": part.said["pages"], "rows": part.said["rows"]} for part in parts
        ],
        PARTS_KEY: [
            {"file": part.address, **{fact: part.said[fact] for fact in ("rows", "bytes", "sha256", "windows")}}
            for part in parts
        ],
        "package": f"airflow-provider-arm {__version__}",
        "started": min(one["started"] for one in said),
        "finished": max(one["finished"] for one in said),
    }


def _add_part(facts: PageStats, part: ExportPart) -> None:
    """Add a part's facts, by its manifest; amounts are exact."""
    said = part.said
    try:
        more = PageStats(
            said["rows"],
            totals={currency: _parse_amounts(totals) for currency, totals in said["totals"].items()},
            own_totals=_parse_amounts(said["gl_totals"]),
            ranges={name: (day["first"], day["last"]) for name, day in said["dates"].items()},
        )
        part.days.check(record_type_of(said), more)
        facts.add(more)
    except ArmConfigurationError:
        msg = f"{part.address} holds records from outside of {part.days}"
        raise ArmMergeError(msg) from None
    except (ValueError, TypeError, AttributeError, KeyError, decimal.DecimalException):
        msg = f"{part.address} cannot be added up: its manifest is not what an export writes"
        raise ArmMergeError(msg) from None


def _parse_amounts(texts: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(text) for name, text in texts.items()}


def merge_exports(manifests: Sequence[Any], path: Any, window: DateRange | None = None) -> dict[str, Any]:
    """Merge exports into one manifest, ``<path>.manifest.json``; gives it. It appears only when all has been checked.

    Every file is held against its manifest as :func:`check_export` does. Memory does not grow with the records.

    :param manifests: the parts' manifests, in any order: local paths, or anything like ``ObjectStoragePath``.
    :param path: what the whole is called; no file of that name is written.
    :param window: the days that the parts must cover; default whatever they cover without a gap.
    :raises ArmMergeError: the parts do not add up; names the part and what is wrong.
    :raises OSError: a file cannot be read or written.
    """
    target = manifest_path(path)
    if str(target) in {str(manifest) for manifest in manifests}:
        msg = f"{path.name} is one of the parts: give the whole another path"
        raise ArmMergeError(msg)
    parts = sort_parts(
        [_read_part_manifest(_relative_address(manifest, target), manifest) for manifest in manifests], window
    )
    merged = build_merged_manifest(path.name, parts)
    _verify_files(parts)
    with atomic_write(target) as file:
        file.write(money.encode(merged) + b"\n")
    return merged


def verify_merged(path: Any, said: Mapping[str, Any]) -> None:
    """Read all parts of a merged manifest again; what they add up to is what it says, or it raises.

    :raises ArmExportMismatchError: naming the part, or the facts that do not agree.
    :raises OSError: a file cannot be read.
    """
    _verify_files(_read_parts(path, said))


def list_part_manifests(path: Any) -> list[Any]:
    """Give the manifests that a manifest stands for: of a merged one its parts', which must add up to it.

    The files are not read; whoever reads them holds them against their manifests.

    :raises ArmExportMismatchError: it is no manifest, or its parts do not add up to what it says.
    :raises OSError: a manifest cannot be read.
    """
    said = read_manifest(path)
    return [part.path for part in _read_parts(path, said)] if PARTS_KEY in said else [path]


def _read_parts(path: Any, said: Mapping[str, Any]) -> list[ExportPart]:
    """Read the parts that a merged manifest names; by their manifests they add up to it."""
    name = data_path(path).name
    try:
        places = {part["file"]: _resolve_address(path, part["file"] + MANIFEST_SUFFIX) for part in said[PARTS_KEY]}
    except (TypeError, KeyError):
        msg = f"{path.name} cannot be read as a manifest"
        raise ArmMergeError(msg) from None
    parts = sort_parts([_read_part_manifest(address, place) for address, place in places.items()])
    found = build_merged_manifest(name, parts)
    del found["package"]  # of whoever merged them
    raise_on_mismatch(name, dict(said), found)
    return parts


def _read_part_manifest(address: str, manifest: Any) -> ExportPart:
    try:
        return read_part(address, manifest, read_manifest(manifest))
    except FileNotFoundError:
        msg = f"{address} has no manifest: the part is missing, or it is not whole"
        raise ArmMergeError(msg) from None


def _verify_files(parts: Sequence[ExportPart]) -> None:
    """Hold each file against its manifest, and look for a key that two of them have."""
    with KeyLog() as keys:
        for part in parts:
            try:
                verify_file(part.path, dict(part.said), keys)
            except FileNotFoundError:
                msg = f"{part.address} is not there, and its manifest is"
                raise ArmMergeError(msg) from None
            except ArmExportMismatchError as error:
                msg = f"{part.address}: {error}"
                raise ArmMergeError(msg) from None
        if keys.all_new():
            return
        shared = " and ".join(parts[number].address for number in keys.shared() or ())
    msg = (
        f"{shared} hold the same {parts[0].said['key']}: the list changed between their exports, or one holds the "
        "other's records; export both again"
    )
    raise ArmMergeError(msg)


def _folder(path: Any) -> str:
    before, slash, _ = str(path).rpartition("/")
    return before + slash


def _relative_address(path: Any, beside: Any) -> str:
    """Name a manifest's file for another manifest: from that one's folder where it lies in it, so both can be moved."""
    return str(path).removeprefix(_folder(beside)).removesuffix(MANIFEST_SUFFIX)


def _resolve_address(beside: Any, address: str) -> Any:
    """Give the path of such an address, opened in the same way as the manifest.

    :raises ArmMergeError: the manifest is a local path, and the address is not.
    """
    if "://" not in address:
        return type(beside)(address if address.startswith("/") else _folder(beside) + address)
    if hasattr(beside, "protocol"):  # it opens addresses of any kind; older ones are a kind of pathlib's, too
        return type(beside)(address)
    if address.startswith(_LOCAL_SCHEME):
        return type(beside)(address.removeprefix(_LOCAL_SCHEME))
    msg = f"{address} is not local: give the manifest as an ObjectStoragePath"
    raise ArmMergeError(msg)
