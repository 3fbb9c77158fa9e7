"""The manifest: what an export says of itself, beside its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm import __version__
from airflow_provider_arm.export.pages.page_stats import PageStats, amount_text

if TYPE_CHECKING:
    import datetime as dt
    from decimal import Decimal

    from airflow_provider_arm.export.fetch.partition import Partition
    from airflow_provider_arm.export.files.sinks import CountedFile
    from airflow_provider_arm.export.plan import ExportPlan


@dataclass(slots=True)
class ExportStats:
    """What has come so far."""

    combined: PageStats = field(default_factory=PageStats)
    pages: int = 0
    #: Of each query, in order: what it asked for, and how much came.
    windows: list[dict[str, Any]] = field(default_factory=list)
    #: Queries that were begun again because their list broke off or changed.
    restarts: int = 0

    def add_window(self, part: Partition, facts: PageStats, pages: int) -> None:
        """Take over what came for a part, now that it is whole."""
        self.combined.add(facts)
        self.pages += pages
        window = {"window": str(part.days) if part.days else None, "pages": pages, "rows": facts.rows}
        self.windows.append(window | ({"split_by": dict(part.chosen)} if part.chosen else {}))


def format_totals(totals: dict[str, dict[str, Decimal]]) -> dict[str, dict[str, str]]:
    """Give totals as text, which JSON and XCom carry exactly."""
    return {currency: format_amounts(amounts) for currency, amounts in sorted(totals.items())}


def format_amounts(amounts: dict[str, Decimal]) -> dict[str, str]:
    """Give totals by field as text."""
    return {name: amount_text(amount) for name, amount in amounts.items()}


def format_date_ranges(facts: PageStats) -> dict[str, dict[str, str]]:
    """Give first and last of each date."""
    return {name: {"first": first, "last": last} for name, (first, last) in sorted(facts.ranges.items())}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where and when an export was made."""

    api: str
    #: The list's path, which has the client's number.
    list: str
    started: dt.datetime
    finished: dt.datetime


def build_manifest(plan: ExportPlan, account: ExportStats, file: CountedFile, origin: Origin) -> dict[str, Any]:
    """Put the manifest together."""
    shape, kind, selection = plan.shape, plan.kind, plan.selection
    return {
        "file": plan.path.name,
        "records": kind.name,
        "format": shape.format,
        "compression": shape.compression,
        "rows": account.combined.rows,
        "pages": account.pages,
        # A record that came twice fails the export, because another one may be missing for it.
        "totals": format_totals(account.combined.totals),
        "gl_totals": format_amounts(account.combined.own_totals),
        "dates": format_date_ranges(account.combined),
        "sha256": file.sha256,
        "bytes": file.size,
        "key": kind.key,
        "currency_field": kind.currency,
        "columns": None if shape.format == "jsonl" and selection.chosen is None else list(selection.columns(kind)),
        "masked": sorted(selection.masked),
        "filters": dict(plan.filters),
        "windows": account.windows,
        "restarts": account.restarts,
        "api": origin.api,
        "list": origin.list,
        "package": f"airflow-provider-arm {__version__}",
        "started": origin.started.isoformat(timespec="milliseconds"),
        "finished": origin.finished.isoformat(timespec="milliseconds"),
    }
