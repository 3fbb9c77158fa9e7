"""Names of manifest files. Loads nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_arm.files import WritablePath

#: Ends the name of every manifest: ``items.csv`` has its manifest in ``items.csv.manifest.json``.
MANIFEST_SUFFIX = ".manifest.json"


def manifest_path(data: WritablePath) -> WritablePath:
    """Return the path of the manifest of the file *data*, in the same folder."""
    return data.with_name(data.name + MANIFEST_SUFFIX)


def data_path(manifest: WritablePath) -> WritablePath:
    """Return the path of the file whose manifest is *manifest*, in the same folder."""
    return manifest.with_name(manifest.name.removesuffix(MANIFEST_SUFFIX))
