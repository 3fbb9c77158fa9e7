"""One complete export: every page of every partition, verified, in one file with a manifest; or an error."""

from __future__ import annotations

import decimal
import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmIncompleteListError, ArmInvalidDataError, ArmResultLimitError
from airflow_provider_arm.export.fetch.key_set import KeySet
from airflow_provider_arm.export.fetch.page_fetcher import PageFetcher, PageQuery
from airflow_provider_arm.export.fetch.partition import Partition
from airflow_provider_arm.export.fetch.progress import Progress
from airflow_provider_arm.export.files.encoders import ListSpec, choose_encoder
from airflow_provider_arm.export.files.faulty_record import locate_faults
from airflow_provider_arm.export.files.sinks import ChecksumFile
from airflow_provider_arm.export.manifest.manifest import ExportStats, Origin, build_manifest
from airflow_provider_arm.export.manifest.paths import manifest_path
from airflow_provider_arm.export.pages.page_stats import PageStats
from airflow_provider_arm.files import atomic_write

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from airflow_provider_arm.client.paging import PageSource
    from airflow_provider_arm.export.files.encoders import PageEncoder
    from airflow_provider_arm.export.files.sinks import Sink
    from airflow_provider_arm.export.pages.record_types import RecordType
    from airflow_provider_arm.export.plan import ExportPlan

log = logging.getLogger(__name__)

#: Key of a list whose name is unknown: the only list beside the summary is read.
_ANY_KEY = "records"


class EncoderWrapper(Protocol):
    """Interface of an incremental export to :func:`run_export`."""

    def wrap(self, encoder: PageEncoder, list_spec: ListSpec) -> PageEncoder:
        """Return an encoder around *encoder* that skips the records that are already exported."""

    def manifest_fields(self) -> dict[str, Any]:
        """Return the additional fields of the manifest. Called after the last page."""


def run_export(
    plan: ExportPlan, source: PageSource, now: Callable[[], dt.datetime], increment: EncoderWrapper | None = None
) -> dict[str, Any]:
    """Export a list, and return its manifest. File and manifest appear only if complete, the manifest last.

    :param increment: skips records that are already exported; see ``export_increment``. Default: all are exported.
    :raises ArmIncompleteListError: a list was incomplete, also when it was read a second time.
    :raises ArmResultLimitError: more records match than ARM returns, and the window cannot be split.
    :raises ArmInvalidDataError: a record cannot be exported exactly; the message names its key, page and field.
    :raises ArmEmptyExportError: there is no record, and the plan does not allow that.
    :raises ArmConfigurationError: a filter is set twice, or the readings have no such window.
    """
    plan.check_filters(source.readings.filters)
    started, progress = now(), Progress(plan.window, time.monotonic, log.info)
    list_spec = ListSpec(plan.record_type, source.operation.key or _ANY_KEY, plan.selection, plan.limiting_fields())
    encoder = choose_encoder(list_spec, plan.file_format, validate_all_fields=plan.validate_all_fields)
    encoder = encoder if increment is None else increment.wrap(encoder, list_spec)
    page_fetcher = PageFetcher(
        source,
        plan.filters,
        [Partition(plan.window, remaining_split_by=plan.split_by)],
        locate_faults(encoder, list_spec),
        partial(_check_span, plan.record_type),
        workers=plan.workers,
        verify_pages=plan.verify_pages,
    )
    with ExitStack() as stack:
        # Entered first, left last: the data file gets its final name before the manifest.
        manifest_file = stack.enter_context(atomic_write(manifest_path(plan.path)))
        file = ChecksumFile(stack.enter_context(atomic_write(plan.path)))
        fetcher = stack.enter_context(page_fetcher)
        sink, keys = encoder.open_sink(file), stack.enter_context(KeySet())
        stack.callback(sink.close)
        stats = _Run(plan, fetcher, sink, keys, progress).run()
        sink.finish()
        manifest = build_manifest(plan, stats, file, Origin(source.base_url, source.path, started, now()))
        manifest |= increment.manifest_fields() if increment else {}
        manifest_file.write(money.encode(manifest) + b"\n")
    progress.export_done(stats.pages, stats.combined.rows, plan.record_type.name)
    return manifest


def _check_span(record_type: RecordType, partition: Partition, stats: PageStats) -> None:
    if partition.span is not None:
        partition.span.check(record_type, stats)


@dataclass(eq=False, slots=True)
class _Run:
    """One run: writes the pages of one query after the other to the sink."""

    plan: ExportPlan
    fetcher: PageFetcher
    sink: Sink
    keys: KeySet
    progress: Progress
    stats: ExportStats = field(default_factory=ExportStats)

    def run(self) -> ExportStats:
        """Write every query, and return the statistics of all."""
        for query in self.fetcher.queries():
            stats, pages = self._write_with_restart(query)
            self.sink.commit()
            self.stats.add_window(query.partition, stats, pages)
            query.partition.finished(query.walk.rows)  # ARM's count: an increment may skip some of it
        if not self.keys.all_unique():
            raise self._duplicate_error("two of the windows")
        self.plan.check_rows(self.stats.combined.rows)
        for name in sorted(self.stats.combined.invalid_dates):
            msg = "%s: at least one %s is not a date: the file has it as ARM wrote it, the manifest's dates omit it"
            log.warning(msg, self.plan.record_type.name, name)
        return self.stats

    def _write_with_restart(self, query: PageQuery) -> tuple[PageStats, int]:
        try:
            return self._write_query(query)
        except ArmResultLimitError:
            raise
        except ArmIncompleteListError as error:
            if not self.sink.rollback():
                raise
            log.warning("%s: %s; restarting this query once", query.partition, error)
            # An expired query is restarted unchanged. If the list changed, its pages are verified from now on.
            self.fetcher.verify_pages |= error.status_code is None
            self.keys.rollback_query()
            self.stats.restarts += 1
            self.fetcher.restart(query)
            return self._write_query(query)

    def _write_query(self, query: PageQuery) -> tuple[PageStats, int]:
        stats, pages = PageStats(), 0
        for page in self.fetcher.pages(query):
            self._add_page(stats, page.stats, query)
            self.sink.write(page.data)
            pages += 1
            all_pages, all_rows = self.stats.pages + pages, self.stats.combined.rows + stats.rows
            self.progress.page_done(all_pages, all_rows, query.partition, pages, page.summary.total_pages)
        if not self.keys.commit_query():
            raise self._duplicate_error(str(query.partition))
        return stats, pages

    def _add_page(self, stats: PageStats, more: PageStats, query: PageQuery) -> None:
        if not self.keys.add(more.keys):
            raise self._duplicate_error(str(query.partition))
        try:
            stats.add(more)
        except decimal.Inexact:
            msg = f"a total of the {self.plan.record_type.name} has more digits than can be added exactly"
            raise ArmInvalidDataError(msg) from None

    def _duplicate_error(self, where: str) -> ArmIncompleteListError:
        record_type = self.plan.record_type
        return ArmIncompleteListError(
            f"{record_type.name}: a duplicate {record_type.key} in {where}: the list changed during the export; export "
            "again"
        )
