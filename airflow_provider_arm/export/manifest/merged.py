"""A merged export: one manifest over the files of many. Every file is read again, and no key may be in two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.export.fetch.key_set import KeyLog
from airflow_provider_arm.export.manifest.manifest import MANIFEST_SUFFIX, manifest_path
from airflow_provider_arm.export.manifest.merge import ArmMergeError, PartFile, merged_manifest, put_in_order, read_part
from airflow_provider_arm.export.manifest.verify import (
    PARTS,
    ArmExportMismatchError,
    check_file,
    compare,
    read_manifest,
)
from airflow_provider_arm.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.export.fetch.date_window import Days

#: Begins an address that is read as it stands; any other lies beside the merged manifest or below.
_LOCAL = "file://"


def merge_exports(manifests: Sequence[Any], path: Any, window: Days | None = None) -> dict[str, Any]:
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
    parts = put_in_order([_read(_address(manifest, target), manifest) for manifest in manifests], window)
    merged = merged_manifest(path.name, parts)
    _check_files(parts)
    with whole_file(target) as file:
        file.write(money.encode(merged) + b"\n")
    return merged


def check_merged(path: Any, said: Mapping[str, Any]) -> None:
    """Read all parts of a merged manifest again; what they add up to is what it says, or it raises.

    :raises ArmExportMismatchError: naming the part, or the facts that do not agree.
    :raises OSError: a file cannot be read.
    """
    _check_files(_agreed(path, said))


def parts_of(path: Any) -> list[Any]:
    """Give the manifests that a manifest stands for: of a merged one its parts', which must add up to it.

    The files are not read; whoever reads them holds them against their manifests.

    :raises ArmExportMismatchError: it is no manifest, or its parts do not add up to what it says.
    :raises OSError: a manifest cannot be read.
    """
    said = read_manifest(path)
    return [part.path for part in _agreed(path, said)] if PARTS in said else [path]


def _agreed(path: Any, said: Mapping[str, Any]) -> list[PartFile]:
    """Read the parts that a merged manifest names; by their manifests they add up to it."""
    name = path.name.removesuffix(MANIFEST_SUFFIX)
    try:
        places = {part["file"]: _place(path, part["file"] + MANIFEST_SUFFIX) for part in said[PARTS]}
    except (TypeError, KeyError):
        msg = f"{path.name} cannot be read as a manifest"
        raise ArmMergeError(msg) from None
    parts = put_in_order([_read(address, place) for address, place in places.items()])
    found = merged_manifest(name, parts)
    del found["package"]  # of whoever merged them
    compare(name, dict(said), found)
    return parts


def _read(address: str, manifest: Any) -> PartFile:
    try:
        return read_part(address, manifest, read_manifest(manifest))
    except FileNotFoundError:
        msg = f"{address} has no manifest: the part is missing, or it is not whole"
        raise ArmMergeError(msg) from None


def _check_files(parts: Sequence[PartFile]) -> None:
    """Hold each file against its manifest, and look for a key that two of them have."""
    with KeyLog() as keys:
        for part in parts:
            try:
                check_file(part.path, dict(part.said), keys)
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


def _address(path: Any, beside: Any) -> str:
    """Name a manifest's file for another manifest: from that one's folder where it lies in it, so both can be moved."""
    return str(path).removeprefix(_folder(beside)).removesuffix(MANIFEST_SUFFIX)


def _place(beside: Any, address: str) -> Any:
    """Give the path of such an address, opened in the same way as the manifest.

    :raises ArmMergeError: the manifest is a local path, and the address is not.
    """
    if "://" not in address:
        return type(beside)(address if address.startswith("/") else _folder(beside) + address)
    if hasattr(beside, "protocol"):  # it opens addresses of any kind; older ones are a kind of pathlib's, too
        return type(beside)(address)
    if address.startswith(_LOCAL):
        return type(beside)(address.removeprefix(_LOCAL))
    msg = f"{address} is not local: give the manifest as an ObjectStoragePath"
    raise ArmMergeError(msg)
