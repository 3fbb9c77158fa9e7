"""Content of a manifest, the file beside an export that proves what the export contains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm import __version__
from airflow_provider_arm.export.pages.page_stats import PageStats, amount_text

if TYPE_CHECKING:
    import datetime as dt
    from decimal import Decimal

    from airflow_provider_arm.export.fetch.partition import Partition
    from airflow_provider_arm.export.files.sinks import ChecksumFile
    from airflow_provider_arm.export.plan import ExportPlan


@dataclass(slots=True)
class ExportStats:
    """Running totals of one export."""

    #: Stats of the records of all completed queries.
    combined: PageStats = field(default_factory=PageStats)
    pages: int = 0
    #: The manifest's ``windows``: one entry per completed query, in order.
    windows: list[dict[str, Any]] = field(default_factory=list)
    #: Queries that were restarted because their list broke off or changed.
    restarts: int = 0

    def add_window(self, partition: Partition, stats: PageStats, pages: int) -> None:
        """Add the stats of a partition whose query is complete."""
        self.combined.add(stats)
        self.pages += pages
        window = {"window": str(partition.span) if partition.span else None, "pages": pages, "rows": stats.rows}
        self.windows.append(window | ({"split_by": dict(partition.split_values)} if partition.split_values else {}))


def format_totals(totals: dict[str, dict[str, Decimal]]) -> dict[str, dict[str, str]]:
    """Return totals by currency and field as text, which JSON and XCom carry exactly."""
    return {currency: format_amounts(amounts) for currency, amounts in sorted(totals.items())}


def format_amounts(amounts: dict[str, Decimal]) -> dict[str, str]:
    """Return amounts by field as text."""
    return {name: amount_text(amount) for name, amount in amounts.items()}


def format_date_ranges(stats: PageStats) -> dict[str, dict[str, str]]:
    """Return the first and last value of each date field, by field."""
    return {name: {"first": first, "last": last} for name, (first, last) in sorted(stats.ranges.items())}


@dataclass(frozen=True, slots=True)
class Origin:
    """Source and time of an export."""

    #: Base URL.
    api: str
    #: The list's path, which contains the client number.
    list: str
    started: dt.datetime
    finished: dt.datetime


def build_manifest(plan: ExportPlan, stats: ExportStats, file: ChecksumFile, origin: Origin) -> dict[str, Any]:
    """Build the manifest of a complete export."""
    file_format, record_type, selection = plan.file_format, plan.record_type, plan.selection
    has_all_fields = file_format.format == "jsonl" and selection.chosen is None
    return {
        "file": plan.path.name,
        "records": record_type.name,
        "format": file_format.format,
        "compression": file_format.compression,
        **({"csv_dialect": file_format.csv_dialect} if file_format.csv_dialect else {}),
        "rows": stats.combined.rows,
        "pages": stats.pages,
        # There is no count of duplicates: a duplicate fails the export, because another record may be missing instead.
        "totals": format_totals(stats.combined.totals),
        "gl_totals": format_amounts(stats.combined.gl_totals),
        "dates": format_date_ranges(stats.combined),
        **({"invalid_dates": sorted(stats.combined.invalid_dates)} if stats.combined.invalid_dates else {}),
        "sha256": file.sha256,
        "bytes": file.size,
        "key": record_type.key,
        "currency_field": record_type.currency,
        **({"renamed": dict(record_type.renamed)} if record_type.renamed else {}),
        "columns": None if has_all_fields else list(selection.columns(record_type)),
        "masked": sorted(selection.masked),
        "filters": dict(plan.filters),
        "windows": stats.windows,
        "restarts": stats.restarts,
        "api": origin.api,
        "list": origin.list,
        "package": f"airflow-provider-arm {__version__}",
        "started": origin.started.isoformat(timespec="milliseconds"),
        "finished": origin.finished.isoformat(timespec="milliseconds"),
    }
