"""OpenLineage datasets of an export: ARM's list and the file, with row count and column names, no value of a record."""

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
    """A dataset that a task reads or writes, by OpenLineage's naming."""

    namespace: str
    name: str
    rows: int | None = None
    bytes: int | None = None
    #: Columns and their types, if known.
    fields: tuple[tuple[str, str], ...] = ()


#: Inputs and outputs of a task.
InputsAndOutputs = tuple["Iterable[LineageDataset]", "Iterable[LineageDataset]"]


def build_lineage(find_datasets: Callable[[], InputsAndOutputs]) -> OperatorLineage[Any, Any] | None:
    """Return the datasets as OpenLineage's objects; ``None``, with a line in the debug log, if anything fails.

    The task's work is done when Airflow asks for the lineage, so an error here must not fail the task. OpenLineage
    asks in a forked process, in which a call to Airflow's API never returns.

    :param find_datasets: returns the datasets without a call to Airflow's API.
    """
    try:
        inputs, outputs = find_datasets()
        return _build_facets(inputs, outputs)
    except Exception as error:  # noqa: BLE001 - see above
        log.debug("no lineage: %s", type(error).__name__)
        return None


def _build_facets(inputs: Iterable[LineageDataset], outputs: Iterable[LineageDataset]) -> OperatorLineage[Any, Any]:
    from airflow.providers.common.compat.openlineage import facet
    from airflow.providers.openlineage.extractors import OperatorLineage

    def schema(dataset: LineageDataset) -> dict[str, Any]:
        fields = [facet.SchemaDatasetFacetFields(name=name, type=its_type) for name, its_type in dataset.fields]
        return {"schema": facet.SchemaDatasetFacet(fields=fields)} if fields else {}

    def statistics(dataset: LineageDataset) -> dict[str, Any]:
        if dataset.rows is None and dataset.bytes is None:
            return {}
        return {"outputStatistics": facet.OutputStatisticsOutputDatasetFacet(rowCount=dataset.rows, size=dataset.bytes)}

    return OperatorLineage(
        inputs=[facet.InputDataset(dataset.namespace, dataset.name, facets=schema(dataset)) for dataset in inputs],
        outputs=[
            facet.OutputDataset(
                dataset.namespace, dataset.name, facets=schema(dataset), outputFacets=statistics(dataset)
            )
            for dataset in outputs
        ],
    )


def list_dataset(manifest: Mapping[str, Any]) -> LineageDataset:
    """Return the list that was exported: ``arm://api.amili.no``, ``clients/2218/aritems``."""
    return LineageDataset(f"arm://{urlsplit(manifest['api']).netloc}", manifest["list"])


def file_dataset(address: str, manifest: Mapping[str, Any] | None = None) -> LineageDataset:
    """Return a file by OpenLineage's naming: ``s3://bucket`` and the key, or ``file`` and the whole path.

    :param manifest: the file's manifest, or a merged one; adds its row count, bytes and columns. Default: none.
    """
    url = urlsplit(asset_uri(address), allow_fragments=False)
    is_local = url.scheme == "file"
    namespace, name = ("file", url.path) if is_local else (f"{url.scheme}://{url.netloc}", url.path.lstrip("/"))
    if manifest is None:
        return LineageDataset(namespace, name)
    return LineageDataset(namespace, name, manifest["rows"], manifest["bytes"], _columns(manifest))


def _columns(manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the columns with their types; none for JSON lines, which contain whatever fields ARM returned."""
    from airflow_provider_arm.export.manifest.verify import record_type_of

    types = record_type_of(manifest).fields
    return tuple((name, str(types.get(name, "text"))) for name in manifest["columns"] or ())


def file_datasets(addresses: Iterable[str]) -> list[LineageDataset]:
    """Return the file of each address: the file beside it for a manifest, else the file at the address."""
    return [file_dataset(address.removesuffix(MANIFEST_SUFFIX)) for address in addresses]
