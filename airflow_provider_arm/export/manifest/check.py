"""Check an export, or a merged one, against its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.export.fetch.key_set import KeyLog
from airflow_provider_arm.export.manifest.merge import verify_merged
from airflow_provider_arm.export.manifest.verify import PARTS_KEY, read_manifest, verify_file

if TYPE_CHECKING:
    from airflow_provider_arm.files import WritablePath


def check_export(manifest: WritablePath | str) -> dict[str, Any]:
    """Read the file of an export again and compare it with its manifest; gives the manifest.

    Of a merged manifest every part is read again, and what they add up to is compared.

    Size, checksum, rows, windows, keys, totals and dates are compared; of columns that are not in the file, what can
    be.

    :param manifest: the manifest, ``<file>.manifest.json``: a local path, or anything like ``ObjectStoragePath``.
    :raises ArmExportMismatchError: naming what does not agree.
    :raises OSError: a file cannot be read.
    """
    path: Any = Path(manifest) if isinstance(manifest, str) else manifest
    said = read_manifest(path)
    if PARTS_KEY in said:
        verify_merged(path, said)
        return said
    with KeyLog() as keys:
        verify_file(path, said, keys)
    return said
