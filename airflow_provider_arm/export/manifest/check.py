"""Verification of an export, or of a merged one, against its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.export.fetch.key_set import KeySet
from airflow_provider_arm.export.manifest.merge import verify_merged
from airflow_provider_arm.export.manifest.verify import PARTS_KEY, read_manifest, verify_file

if TYPE_CHECKING:
    from airflow_provider_arm.files import WritablePath


def check_export(path: WritablePath | str) -> dict[str, Any]:
    """Read the file of an export again, compare it with its manifest, and return the manifest.

    Size, checksum, rows, windows, keys, totals and dates are compared, as far as the file has the columns for it. For
    a merged manifest every part is read again, and the sums of the parts are compared.

    :param path: the manifest's path, ``<file>.manifest.json``: a local path, or anything like ``ObjectStoragePath``.
    :raises ArmExportMismatchError: the file does not match; the message names the differing keys of the manifest.
    :raises OSError: a file cannot be read.
    """
    manifest_file: Any = Path(path) if isinstance(path, str) else path
    manifest = read_manifest(manifest_file)
    if PARTS_KEY in manifest:
        verify_merged(manifest_file, manifest)
        return manifest
    with KeySet() as keys:
        verify_file(manifest_file, manifest, keys)
    return manifest
