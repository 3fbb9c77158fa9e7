"""What OpenLineage hears of an export: ARM's list in, a file out, how much of it. Names of fields, never a value."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX
from airflow_provider_arm.runtime.export.asset_events import asset_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow.providers.openlineage.extractors import OperatorLineage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LineageDataset:
    """Something that is read or written, by OpenLineage's names for it."""

    namespace: str
    name: str
    rows: int | None = None
    bytes: int | None = None
    #: Columns and what they hold, where that is known.
    fields: tuple[tuple[str, str], ...] = ()


#: What goes in and what comes out.
LineagePair = tuple["Iterable[LineageDataset]", "Iterable[LineageDataset]"]


def build_lineage(find: Callable[[], LineagePair]) -> OperatorLineage[Any, Any] | None:
    """Give what *find* finds as OpenLineage's objects; ``None``, and a line in the debug log, where anything fails.

    The work is done when lineage is asked for, so no lineage must not make a task fail. It is asked for in a process
    that OpenLineage has forked, in which a call of Airflow's API waits for ever: *find* must make none.
    """
    try:
        inputs, outputs = find()
        return _facets(inputs, outputs)
    except Exception as error:  # noqa: BLE001 - see above
        log.debug("no lineage: %s", type(error).__name__)
        return None


def _facets(inputs: Iterable[LineageDataset], outputs: Iterable[LineageDataset]) -> OperatorLineage[Any, Any]:
    from airflow.providers.common.compat.openlineage import facet
    from airflow.providers.openlineage.extractors import OperatorLineage

    def schema(data: LineageDataset) -> dict[str, Any]:
        fields = [facet.SchemaDatasetFacetFields(name=name, type=holds) for name, holds in data.fields]
        return {"schema": facet.SchemaDatasetFacet(fields=fields)} if fields else {}

    def statistics(data: LineageDataset) -> dict[str, Any]:
        if data.rows is None and data.bytes is None:
            return {}
        return {"outputStatistics": facet.OutputStatisticsOutputDatasetFacet(rowCount=data.rows, size=data.bytes)}

    return OperatorLineage(
        inputs=[facet.InputDataset(data.namespace, data.name, facets=schema(data)) for data in inputs],
        outputs=[
            facet.OutputDataset(data.namespace, data.name, facets=schema(data), outputFacets=statistics(data))
            for data in outputs
        ],
    )


def list_dataset(manifest: Mapping[str, Any]) -> LineageDataset:
    """Name the list that an export was made of: ``arm://api.amili.no``, ``clients/2218/aritems``."""
    return LineageDataset(f"arm://{urlsplit(manifest['api']).netloc}", manifest["list"])


def file_dataset(address: str, manifest: Mapping[str, Any] | None = None) -> LineageDataset:
    """Name a file as OpenLineage does: ``s3://bucket`` and its key, ``file`` and its whole path.

    :param manifest: says how much is in it; a merged one stands for all of its parts.
    """
    url = urlsplit(asset_uri(address), allow_fragments=False)
    local = url.scheme == "file"
    namespace, name = ("file", url.path) if local else (f"{url.scheme}://{url.netloc}", url.path.lstrip("/"))
    if manifest is None:
        return LineageDataset(namespace, name)
    return LineageDataset(namespace, name, manifest["rows"], manifest["bytes"], _columns(manifest))


def _columns(manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Name the columns; JSON lines have whatever ARM gave, which nobody listed."""
    from airflow_provider_arm.export.manifest.verify import record_type_of

    known = record_type_of(manifest).fields
    return tuple((name, str(known.get(name, "text"))) for name in manifest["columns"] or ())


def file_datasets(addresses: Iterable[str]) -> list[LineageDataset]:
    """Name the files that these addresses stand for: a manifest's for the file beside it, any other for itself."""
    return [file_dataset(address.removesuffix(MANIFEST_SUFFIX)) for address in addresses]
