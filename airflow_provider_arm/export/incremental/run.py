"""One incremental export: what is new since the mark, and then the mark moves. In this order: file, manifest, mark."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError, ArmNotFoundError
from airflow_provider_arm.client.paging import split_list, split_page
from airflow_provider_arm.export.fetch.time_range import TimeRange
from airflow_provider_arm.export.incremental.errors import ArmWatermarkError, ArmWatermarkUnavailableError
from airflow_provider_arm.export.incremental.record_filter import IncrementFormat
from airflow_provider_arm.export.incremental.state import (
    IncrementStart,
    IncrementState,
    TaskRunKey,
    query_fingerprint,
    start_increment,
)
from airflow_provider_arm.export.incremental.stores import translate_store_errors
from airflow_provider_arm.export.incremental.watermark import IncrementTracker, Watermark
from airflow_provider_arm.export.manifest.paths import manifest_path
from airflow_provider_arm.export.pages.timestamps import instant_text, milliseconds_of
from airflow_provider_arm.export.run import run_export

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from airflow_provider_arm.client.paging import PageSource
    from airflow_provider_arm.export.files.formats import Format, ListShape
    from airflow_provider_arm.export.incremental.stores import WatermarkStore
    from airflow_provider_arm.export.plan import ExportPlan
    from airflow_provider_arm.files import WritablePath

log = logging.getLogger(__name__)

#: The last moment that has a year of four digits: nothing is created then.
_FAR_FUTURE = milliseconds_of("9999-12-31T23:59:59.999+00:00")


@dataclass(frozen=True, slots=True)
class IncrementOptions:
    """What an increment needs beside the export's plan.

    :param overlap: milliseconds after its created time in which a record may still become visible or change.
    :param client_no: whose list it is.
    """

    store: WatermarkStore
    name: TaskRunKey
    overlap: int
    client_no: int | str | None = None


def export_increment(
    plan: ExportPlan, source: PageSource, now: Callable[[], dt.datetime], since: IncrementOptions
) -> dict[str, Any]:
    """Export what is new since the latest increment; gives the manifest.

    Raises as ``run_export``, and:

    :raises ArmConfigurationError: the list has no created time, or a filter bounds it, or the file would be written
        over that of another run.
    :raises ArmWatermarkError: the watermark is broken, another's, or would be too large.
    :raises ArmWatermarkUnavailableError: it cannot be read or written now, or another run moved it meanwhile.
    """
    check_incremental_plan(plan)
    kept = since.store.load()
    asks = query_fingerprint(
        source.base_url, since.client_no, source.operation.label, plan.filters, [name for name, _ in plan.split_by]
    )
    start = start_increment(None if kept is None else IncrementState.from_json(kept), asks, since.name)
    _check_overwrite(plan.path, start)
    began = milliseconds_of(now())
    _check_clock(start.before, began)
    gathering = IncrementTracker(start.before, began, since.overlap, lambda: milliseconds_of(now()))
    increment = Increment(start, gathering, since.store, kept)
    if start.before.low is None:
        _probe_filter(plan, source, began)
    plan = replace(plan, window=TimeRange(start.before.low, None, began))
    manifest = run_export(plan, source, now, increment)
    since.store.save(start.left_behind(str(plan.path), gathering.after()).as_json())
    _log_result(plan, manifest)
    return manifest


def check_incremental_plan(plan: ExportPlan) -> None:
    """Check that a list can be asked for by when its records were created.

    :raises ArmConfigurationError: it cannot, or not together with what else is asked for.
    """
    if not plan.kind.moments:
        msg = f"{plan.kind.name} have no known created time, so incremental=True is not possible: use window"
        raise ArmConfigurationError(msg)
    if plan.window is not None:
        msg = "incremental and window exclude each other: incremental filters by created time, from the watermark on"
        raise ArmConfigurationError(msg)
    for name in TimeRange(None, None, 0).names:
        if name in plan.filters or name in dict(plan.split_by):
            msg = f"filters must not hold {name}: incremental=True sets it"
            raise ArmConfigurationError(msg)


def _check_overwrite(path: WritablePath, start: IncrementStart) -> None:
    """Refuse to write over a whole export whose rows would be gone: all but this very increment's own."""
    with translate_store_errors("the manifest that stands at the path cannot be read"):
        try:
            with manifest_path(path).open("rb") as file:
                text = file.read()
        except FileNotFoundError:
            return
    try:
        said = money.decode(text)
        mine = said["run"] == start.name.run and said["increment"]["number"] == start.number
    except (ValueError, TypeError, KeyError):
        mine = False
    if not mine:
        msg = (
            f"at {path.name} there is a whole export already that this run would write over, and its rows would be "
            "lost. Give each run a path of its own, such as one with {{ ts_nodash }} in it. A run that others have "
            "followed cannot be made again: export with window=... and without incremental"
        )
        raise ArmConfigurationError(msg)


def _probe_filter(plan: ExportPlan, source: PageSource, began: int) -> None:
    """Ask for what is created at the end of time, before the first run, which asks for everything, is taken for good.

    :raises ArmConfigurationError: the list passes over the filter, so that no later run could ask for what is new.
    :raises ArmError: the list refuses it.
    """
    span = TimeRange(_FAR_FUTURE, None, began)
    walk = source.start_walk({**plan.filters, **span.filters, "maximumcount": 1})
    due = walk.next_request()
    try:
        rows = (
            0
            if due is None
            else source.fetch(due, lambda answer: len(split_list(split_page(answer, source.operation.key)[1])))
        )
    except ArmNotFoundError:
        return  # so some servers answer where there is none; where the list is not there, the export itself says so
    if rows:
        msg = f"ARM's list of {plan.kind.name} passes over the filter {span.names[0]}: export with window, without incremental"
        raise ArmConfigurationError(msg)


def _check_clock(before: Watermark, began: int) -> None:
    if before.low is not None and before.low > began:
        msg = (
            f"the watermark stands at {instant_text(before.low)} and the clock of this machine before that: one of the "
            "clocks is wrong"
        )
        raise ArmWatermarkUnavailableError(msg)


class Increment:
    """What ``run_export`` needs of an increment: the format around the file's, and what the manifest says of it."""

    def __init__(
        self, start: IncrementStart, gathering: IncrementTracker, store: WatermarkStore, kept: dict[str, Any] | None
    ) -> None:
        self.gathering = gathering
        self._start = start
        self._store = store
        self._kept = kept

    def around(self, format_: Format, list_: ListShape) -> Format:
        """Give the format that leaves out what is known."""
        return IncrementFormat(format_, list_, self.gathering, self._last_check)

    def said(self) -> dict[str, Any]:
        """Give what the manifest says, once all has come."""
        after = self.gathering.after()
        increment = {
            "from": _time_text(self._start.before.low),
            "to": _time_text(after.latest),
            "skipped": self.gathering.skipped,
            "number": self._start.number,
        }
        return {"run": self._start.name.run, "increment": increment}

    def _last_check(self) -> None:
        max_records, count = self._store.max_records, len(self.gathering.after().seen)
        if count > max_records:
            msg = (
                f"{count} records would have to be remembered until the next run, and at most {max_records} can be here: give "
                "a shorter overlap, or (a file remembers more) a watermark_path"
            )
            raise ArmWatermarkError(msg)
        if self._store.load() != self._kept:
            msg = (
                "another run moved the watermark while this one worked, so nothing was written. Let one run at a time "
                "work: max_active_runs=1 on the DAG, or max_active_tis_per_dag=1 on the task"
            )
            raise ArmWatermarkUnavailableError(msg)


def _time_text(moment: int | None) -> str | None:
    return None if moment is None else instant_text(moment)


def _log_result(plan: ExportPlan, manifest: dict[str, Any]) -> None:
    said = manifest["increment"]
    since = said["from"] or "the beginning"
    if manifest["rows"]:
        log.info("%d %s are new since %s", manifest["rows"], plan.kind.name, since)
    else:
        log.info("nothing is new among the %s since %s", plan.kind.name, since)
