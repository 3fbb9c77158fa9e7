"""One export: every page of every part, checked, into one file with a manifest that proves it; or it raises."""

from __future__ import annotations

import decimal
import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import (
    ArmIncompleteListError,
    ArmInvalidResponseError,
    ArmResultLimitError,
)
from airflow_provider_arm.export.fetch.key_set import KeyLog
from airflow_provider_arm.export.fetch.page_fetcher import PageFetcher, PageQuery
from airflow_provider_arm.export.fetch.partition import Partition
from airflow_provider_arm.export.fetch.progress import Progress
from airflow_provider_arm.export.files.formats import ListShape, PageChunk, choose_format, guarded
from airflow_provider_arm.export.files.sinks import CountedFile
from airflow_provider_arm.export.manifest.manifest import ExportStats, Origin, build_manifest
from airflow_provider_arm.export.manifest.paths import manifest_path
from airflow_provider_arm.export.pages.page_stats import PageStats
from airflow_provider_arm.files import atomic_write

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from airflow_provider_arm.client.paging import PageSource
    from airflow_provider_arm.export.files.formats import Format
    from airflow_provider_arm.export.files.sinks import Sink
    from airflow_provider_arm.export.pages.record_types import RecordType
    from airflow_provider_arm.export.plan import ExportPlan

log = logging.getLogger(__name__)

#: Stands for the key of a list of which no name is known: the one list beside the summary is taken.
_ANY_KEY = "records"


class FormatWrapper(Protocol):
    """What :func:`run_export` needs of an incremental export."""

    def around(self, format_: Format, list_: ListShape) -> Format:
        """Return *format_* wrapped so that it skips the records that are known already."""

    def said(self) -> dict[str, Any]:
        """Return the manifest's additional fields. Called when every page has come."""


def run_export(
    plan: ExportPlan, source: PageSource, now: Callable[[], dt.datetime], increment: FormatWrapper | None = None
) -> dict[str, Any]:
    """Export; gives the manifest. Neither file appears unless the export is whole, and the manifest comes last.

    :param increment: leaves out what is known already; see ``export_increment``. Default: everything is taken.
    :raises ArmIncompleteListError: a list did not come whole, and not the second time either.
    :raises ArmResultLimitError: more records match than ARM gives and there is nothing left to split by.
    :raises ArmInvalidResponseError: a record cannot be exported exactly.
    """
    started, progress = now(), Progress(plan.window, time.monotonic, log.info)
    list_ = ListShape(plan.kind, source.operation.key or _ANY_KEY, plan.selection)
    format_ = choose_format(list_, plan.shape, validate_all_fields=plan.validate_all_fields)
    if increment is not None:
        format_ = increment.around(format_, list_)
    flow_of_pages: PageFetcher[PageChunk[Any]] = PageFetcher(
        source,
        plan.filters,
        [Partition(plan.window, left=plan.split_by)],
        guarded(format_),
        lambda part, piece: _inspect(plan.kind, part, piece),
        print_of=lambda piece: hash(tuple(piece.facts.keys)),
        workers=plan.workers,
        verify_pages=plan.verify_pages,
    )
    with ExitStack() as stack:
        # Entered last, left first: the data has its name before the manifest has.
        manifest_file = stack.enter_context(atomic_write(manifest_path(plan.path)))
        file = CountedFile(stack.enter_context(atomic_write(plan.path)))
        flow = stack.enter_context(flow_of_pages)
        sink, keys = format_.sink(file), stack.enter_context(KeyLog())
        stack.callback(sink.let_go)
        account = _Run(plan.kind, flow, sink, keys, progress).take_all()
        sink.finish()
        origin = Origin(source.base_url, source.path, started, now())
        manifest = build_manifest(plan, account, file, origin) | (increment.said() if increment else {})
        manifest_file.write(money.encode(manifest) + b"\n")
    progress.whole(account.pages, account.combined.rows, plan.kind.name)
    return manifest


def _inspect(kind: RecordType, part: Partition, piece: PageChunk[Any]) -> None:
    if part.days is not None:
        part.days.check(kind, piece.facts)


class _Run:
    """Takes the queries one after the other into the sink."""

    def __init__(
        self, kind: RecordType, flow: PageFetcher[PageChunk[Any]], sink: Sink, keys: KeyLog, progress: Progress
    ) -> None:
        self._kind = kind
        self._flow = flow
        self._sink = sink
        self._keys = keys
        self._progress = progress
        self._account = ExportStats()

    def take_all(self) -> ExportStats:
        """Take every query; gives what came."""
        for query in self._flow.queries():
            facts, pages = self._take_or_again(query)
            self._sink.keep()
            self._account.add_window(query.part, facts, pages)
            query.part.finished(query.walk.rows)  # ARM's count: not all of it need go into the file
        if not self._keys.all_new():
            raise self._twice("two of the windows")
        return self._account

    def _take_or_again(self, query: PageQuery[PageChunk[Any]]) -> tuple[PageStats, int]:
        try:
            return self._take(query)
        except ArmResultLimitError:
            raise
        except ArmIncompleteListError as error:
            if not self._sink.take_back():
                raise
            log.warning("%s: %s; begun again, once", query.part, error)
            # A query that expired is begun again as it was; where a list changes under its readers, look closer.
            self._flow.verify_pages |= error.status_code is None
            self._keys.forget_query()
            self._account.restarts += 1
            self._flow.begin_again(query)
            return self._take(query)

    def _take(self, query: PageQuery[PageChunk[Any]]) -> tuple[PageStats, int]:
        facts, pages = PageStats(), 0
        for page in self._flow.pages(query):
            piece = page.content
            self._add(facts, piece.facts, query)
            self._sink.write(piece.content)
            pages += 1
            self._progress.page(
                self._account.pages + pages,
                self._account.combined.rows + facts.rows,
                query.part,
                pages,
                page.summary.total_pages,
            )
        if not self._keys.end_query():
            raise self._twice(str(query.part))
        return facts, pages

    def _add(self, facts: PageStats, more: PageStats, query: PageQuery[PageChunk[Any]]) -> None:
        if not self._keys.add(more.keys):
            raise self._twice(str(query.part))
        try:
            facts.add(more)
        except decimal.Inexact:
            msg = f"a total of the {self._kind.name} has more digits than can be added exactly"
            raise ArmInvalidResponseError(msg) from None

    def _twice(self, where: str) -> ArmIncompleteListError:
        msg = (
            f"{self._kind.name}: the same {self._kind.key} came twice in {where}, because the list changed while "
            "it was read; ask again from the start"
        )
        return ArmIncompleteListError(msg)
