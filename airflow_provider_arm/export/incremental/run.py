"""Incremental export: write the new records, then their manifest, and then the watermark, in this order."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError, ArmNotFoundError
from airflow_provider_arm.client.paging import split_list, split_page
from airflow_provider_arm.export.fetch.time_range import TimeRange
from airflow_provider_arm.export.incremental.errors import ArmWatermarkError, ArmWatermarkUnavailableError
from airflow_provider_arm.export.incremental.record_filter import IncrementEncoder
from airflow_provider_arm.export.incremental.state import (
    IncrementStart,
    IncrementState,
    TaskRunKey,
    fingerprint_query,
    start_increment,
)
from airflow_provider_arm.export.incremental.stores import translate_store_errors
from airflow_provider_arm.export.incremental.watermark import IncrementTracker, Watermark
from airflow_provider_arm.export.manifest.paths import manifest_path
from airflow_provider_arm.export.pages.timestamps import format_milliseconds, to_milliseconds
from airflow_provider_arm.export.run import run_export

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from airflow_provider_arm.client.paging import PageSource
    from airflow_provider_arm.client.reading_entries import FilterReadings
    from airflow_provider_arm.export.files.encoders import ListSpec, PageEncoder
    from airflow_provider_arm.export.incremental.stores import WatermarkStore
    from airflow_provider_arm.export.plan import ExportPlan
    from airflow_provider_arm.files import WritablePath

log = logging.getLogger(__name__)

#: The last millisecond whose year has four digits. No record is created that late.
_FAR_FUTURE = to_milliseconds("9999-12-31T23:59:59.999+00:00")


@dataclass(frozen=True, slots=True)
class IncrementOptions:
    """Options of an incremental export in addition to its plan.

    :param store: stores the watermark.
    :param run_key: the task and run that export the increment.
    :param overlap: milliseconds after its created time in which a record may still become visible or change.
    :param client_no: the client number whose list is exported.
    """

    store: WatermarkStore
    run_key: TaskRunKey
    overlap: int
    client_no: int | str | None = None


def export_increment(
    plan: ExportPlan, source: PageSource, now: Callable[[], dt.datetime], options: IncrementOptions
) -> dict[str, Any]:
    """Export the records that are new since the latest increment, and return the manifest.

    Raises what ``run_export`` raises, and:

    :raises ArmConfigurationError: the list has no created time, a filter limits it, or the file would overwrite that of
        another run.
    :raises ArmWatermarkError: the watermark is broken, belongs to another task or request, or would be too large.
    :raises ArmWatermarkUnavailableError: it cannot be read or written now, or another run moved it in the meantime.
    """
    check_incremental_plan(plan, source.readings.filters)
    loaded = options.store.load()
    fingerprint = fingerprint_query(
        source.base_url, options.client_no, source.operation.label, plan.filters, dict(plan.split_by)
    )
    state = None if loaded is None else IncrementState.from_json(loaded)
    start = start_increment(state, fingerprint, options.run_key)
    _check_overwrite(plan.path, start)
    started = to_milliseconds(now())
    _check_clock(start.before, started)
    tracker = IncrementTracker(start.before, started, options.overlap, lambda: to_milliseconds(now()))
    if start.before.low is None:
        _check_filter(plan, source, started)
    plan = replace(plan, window=TimeRange(start.before.low, None, started))
    manifest = run_export(plan, source, now, IncrementWrapper(start, tracker, options.store, loaded))
    options.store.save(start.next_state(str(plan.path), tracker.next_watermark()).as_json())
    _log_result(plan, manifest)
    return manifest


def check_incremental_plan(plan: ExportPlan, readings: FilterReadings) -> None:
    """Check that a list can be filtered by created time, and that the plan's other arguments permit it.

    :raises ArmConfigurationError: it cannot, or an argument cannot be combined with it.
    """
    if not plan.record_type.timestamps:
        msg = f"{plan.record_type.name} have no known created time, so incremental=True is not possible: use window"
        raise ArmConfigurationError(msg)
    if plan.window is not None:
        msg = "incremental and window exclude each other: incremental filters by created time, from the watermark on"
        raise ArmConfigurationError(msg)
    for name in sorted(readings.window(readings.created_window).names):
        if name in plan.filters or name in dict(plan.split_by):
            raise ArmConfigurationError(f"filters must not contain {name}: incremental=True sets it")


def _check_overwrite(path: WritablePath, start: IncrementStart) -> None:
    """Check that the file would overwrite no complete export, except for the same increment of the same run.

    :raises ArmConfigurationError: it would, and the rows of that export would be lost.
    """
    with translate_store_errors("the existing manifest at the path cannot be read"):
        try:
            with manifest_path(path).open("rb") as file:
                text = file.read()
        except FileNotFoundError:
            return
    try:
        manifest = money.decode(text)
        is_same = manifest["run"] == start.run_key.run and manifest["increment"]["number"] == start.number
    except (ValueError, TypeError, KeyError):
        is_same = False
    if not is_same:
        raise ArmConfigurationError(
            f"{path.name} is already a complete export, and this run would overwrite it and lose its rows. Give each "
            "run a path of its own, for example with {{ ts_nodash }} in it. A run that is not the latest one cannot be "
            "exported again: export with window=... and without incremental"
        )


def _check_filter(plan: ExportPlan, source: PageSource, started: int) -> None:
    """Request records created in the far future, to check before the first run that the list applies the filter.

    The first run exports everything; without the filter no later run could request what is new.

    :raises ArmConfigurationError: the list ignores the filter.
    :raises ArmError: the list refuses the filter.
    """
    span = TimeRange(_FAR_FUTURE, None, started)
    filters, limit = span.filters(source.readings.filters), source.readings.lists.parameters.maximum_count
    request = source.start_walk({**plan.filters, **filters, limit: 1}).next_request()
    if request is None:
        return
    try:
        rows = source.fetch(request, lambda response: len(split_list(split_page(response, source.operation.key)[1])))
    except ArmNotFoundError:
        return  # some servers answer so if there is no record; if there is no such list, the export itself fails
    if rows:
        raise ArmConfigurationError(
            f"ARM's list of {plan.record_type.name} ignores the filter {next(iter(filters))}: export with window, "
            "without incremental"
        )


def _check_clock(before: Watermark, started: int) -> None:
    if before.low is not None and before.low > started:
        raise ArmWatermarkUnavailableError(
            f"the watermark ({format_milliseconds(before.low)}) is later than the time of this machine's clock: one of "
            "the clocks is wrong"
        )


class IncrementWrapper:
    """What ``run_export`` needs of an incremental export: the encoder around the file's, and the manifest's fields.

    :param loaded: the state as it was stored when the run started.
    """

    def __init__(
        self, start: IncrementStart, tracker: IncrementTracker, store: WatermarkStore, loaded: dict[str, Any] | None
    ) -> None:
        self._start = start
        self._tracker = tracker
        self._store = store
        self._loaded = loaded

    def wrap(self, encoder: PageEncoder, list_spec: ListSpec) -> PageEncoder:
        """Return an encoder that skips the records that are already exported."""
        return IncrementEncoder(encoder, list_spec, self._tracker, self._before_publish)

    def manifest_fields(self) -> dict[str, Any]:
        """Return the additional fields of the manifest, after the last page."""
        increment = {
            "from": _format_time(self._start.before.low),
            "to": _format_time(self._tracker.next_watermark().latest),
            "skipped": self._tracker.skipped,
            "number": self._start.number,
        }
        return {"run": self._start.run_key.run, "increment": increment}

    def _before_publish(self) -> None:
        """Check that the watermark can be stored, before the file gets its final name.

        :raises ArmWatermarkError: it would contain more records than the store can hold.
        :raises ArmWatermarkUnavailableError: another run has moved it.
        """
        limit, count = self._store.max_records, len(self._tracker.next_watermark().seen)
        if count > limit:
            raise ArmWatermarkError(
                f"the watermark would have to contain {count} records, but its store holds at most {limit}: set a "
                "shorter overlap or (a file holds more) a watermark_path"
            )
        if self._store.load() != self._loaded:
            raise ArmWatermarkUnavailableError(
                "another run moved the watermark in the meantime, so nothing was written. Run one at a time: "
                "max_active_runs=1 on the DAG, or max_active_tis_per_dag=1 on the task"
            )


def _format_time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else format_milliseconds(milliseconds)


def _log_result(plan: ExportPlan, manifest: dict[str, Any]) -> None:
    since = manifest["increment"]["from"] or "the beginning"
    log.info("%s new %s since %s", manifest["rows"] or "no", plan.record_type.name, since)
