"""Windows of days, and their split into halves. Imports nothing heavy, and nothing of Airflow."""

from __future__ import annotations

import datetime as dt
import logging
import re
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.fetch.run_time import RunTime, localize_context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.client.reading_entries import FilterReadings, WindowFilter
    from airflow_provider_arm.export.pages.page_stats import PageStats
    from airflow_provider_arm.export.pages.record_types import RecordType

log = logging.getLogger(__name__)

#: Length of ``2025-02-27``, the date part of a timestamp.
_DATE_LENGTH = 10
#: Names of windows in the readings profile; a task checks that its profile has the name.
_WINDOW_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: What an author writes instead of a bound that does not fit.
_ADVICE = "write YYYY-MM-DD, or window=DateWindow.before_run(days=1)"
#: Longest rendered bound that a message quotes: a timestamp has 32 characters.
_QUOTED_LENGTH = 40
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DateRange:
    """Days from first to last, both included."""

    first: dt.date
    last: dt.date
    by: str

    def window_filter(self, readings: FilterReadings) -> WindowFilter:
        """Return the names of ARM's filters for it.

        :raises ArmConfigurationError: the profile has no window of this name.
        """
        return readings.window(self.by)

    def filters(self, readings: FilterReadings) -> dict[str, str]:
        """Return ARM's filters for it. Raises as :meth:`window_filter`."""
        window = self.window_filter(readings)
        last = self.last if window.last_included else self.last + dt.timedelta(days=1)
        return {window.first: self.first.isoformat(), window.last: last.isoformat()}

    def halves(self) -> tuple[DateRange, DateRange] | None:
        """Return two adjoining ranges that together are this one; ``None`` for a single day."""
        if self.first == self.last:
            return None
        middle = self.first + (self.last - self.first) // 2
        return DateRange(self.first, middle, self.by), DateRange(middle + dt.timedelta(days=1), self.last, self.by)

    def fields(self, record_type: RecordType) -> list[str]:
        """Return the fields of a record by which the days limit the list."""
        names = (*record_type.dates, *record_type.timestamps)
        return [name for name in names if record_type.default_name(name).lower() == self.by]

    def check(self, record_type: RecordType, stats: PageStats) -> None:
        """Check that all records are in the range, because a server may ignore a filter that it does not support.

        Timestamps may be a day outside, because the server's days begin in its own time zone.

        :raises ArmConfigurationError: a record is outside.
        """
        for name in self.fields(record_type):
            if name not in stats.ranges:
                continue
            slack = dt.timedelta(days=1 if name in record_type.timestamps else 0)
            first, last = (dt.date.fromisoformat(text[:_DATE_LENGTH]) for text in stats.ranges[name])
            if first < self.first - slack or last > self.last + slack:
                raise ArmConfigurationError(
                    f"ARM returned {record_type.name} outside of {self}: it ignores the filters of this window (see "
                    "filters.windows in the readings); set other filters, or no window"
                )

    def __str__(self) -> str:
        """Return text such as ``voucherdate 2026-01-01 to 2026-01-31``."""
        return f"{self.by} {self.first} to {self.last}"


@dataclass(slots=True)  # not frozen: Airflow renders its fields in place
class DateWindow:
    """The days of an export. If more records match than ARM returns for one query, the window is split into halves.

    A bound may also be a ``datetime`` or a timestamp if it is a midnight; with any other time it is refused. It is the
    midnight of its own time zone if it is in the DAG file, and of the DAG's if a template returns it.

    In a template ``ds``, ``ts``, ``logical_date`` and the data interval are in the time zone of the days, not in UTC.

    :param start: first day, ``YYYY-MM-DD`` (or a ``date``); included. Templated inside an operator.
    :param end: last day; included. Airflow's ``data_interval_end`` is the first moment *after* the interval: use it
        only together with ``end_exclusive=True``. Templated.
    :param by: which date: ``voucherdate``, ``duedate``, ``createdtime`` or, for documents, ``documentdate``; the
        connection's readings profile may have others. Templated.
    :param end_exclusive: *end* is the day after the last one; default ``False``.
    :param timezone: the time zone of the days, such as ``"Europe/Oslo"``. Default: the DAG's.
    :raises ArmConfigurationError: an argument that is not a template is invalid, or *end* is before *start*.
    """

    start: str | dt.date
    end: str | dt.date
    by: str = "voucherdate"
    end_exclusive: bool = False
    timezone: str | None = None

    template_fields: ClassVar[Sequence[str]] = ("start", "end", "by")

    def __post_init__(self) -> None:
        """Check the arguments when the DAG is parsed, as far as they are not templates."""
        zone = None if self.timezone is None else _find_zone(self.timezone)
        if not _is_template(self.start):
            self.start = str(_parse_day(self.start, "start", zone))
        if not _is_template(self.end):
            self.end = str(_parse_day(self.end, "end", zone))
        if not any(map(_is_template, (self.start, self.end, self.by))):
            self.date_range()

    def localize(self, context: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the context of a task with the times of its run in the time zone of the days, for the templates."""
        run = RunTime.from_context(context)
        return localize_context(context, run.zone if self.timezone is None else _find_zone(self.timezone))

    @staticmethod
    def before_run(
        days: int | None = None, *, months: int | None = None, by: str = "voucherdate", timezone: str | None = None
    ) -> RunWindow:
        """Return the window of the last days, or calendar months, that ended before the DAG run, in its time zone.

        It works with every schedule: ``"@daily"``, data intervals, assets, manual runs and backfills. Consecutive runs
        of a daily schedule export every day exactly once. See :class:`RunWindow`.

        :param days: number of days, such as 1 for a daily DAG.
        :param months: number of calendar months instead of *days*, such as 1 for a monthly DAG.
        :param by: which date; default ``voucherdate``.
        :param timezone: the time zone of the days, such as ``"Europe/Oslo"``. Default: the DAG's.
        :raises ArmConfigurationError: not exactly one of *days* and *months* is a whole number of at least 1, or *by*
            or *timezone* is no name.
        """
        return RunWindow(days, months, by, timezone)

    def date_range(self, run: RunTime | None = None) -> DateRange:
        """Check the bounds and return them.

        :param run: the times of the DAG run. Default: none, and timestamps are in their own time zone.
        :raises ArmConfigurationError: a bound is neither a date nor a midnight, *end* is before *start*, or *by* is no
            name.
        """
        _check_name(self.by)
        zone = None if run is None else run.zone
        if self.timezone is not None:
            zone = _find_zone(self.timezone)
        first, last = _parse_day(self.start, "start", zone), _parse_day(self.end, "end", zone)
        if self.end_exclusive and first == last:
            raise ArmConfigurationError(
                f"window: {first} to {last} contains no day (end is excluded). If it is the data interval of a run, "
                "that has no length: use window=DateWindow.before_run(days=1)"
            )
        if last < first:
            raise ArmConfigurationError(f"window: {first} to {last} contains no day (start and end are included)")
        return DateRange(first, last - _DAY if self.end_exclusive else last, self.by)


@dataclass(frozen=True, slots=True)
class RunWindow:
    """The last days, or calendar months, that ended before a DAG run; see :meth:`DateWindow.before_run`.

    The run counts from the end of its data interval, or else from its logical date, or else from the time at which it
    was due. Airflow shows the days among the rendered fields of the task; the log and the manifest contain them, too.
    """

    days: int | None = None
    months: int | None = None
    by: str = "voucherdate"
    timezone: str | None = None

    def __post_init__(self) -> None:
        """Check the arguments when the DAG is parsed."""
        _check_name(self.by)
        if self.timezone is not None:
            _find_zone(self.timezone)
        count = self.months if self.days is None else self.days
        is_single = self.days is None or self.months is None
        if not (is_single and isinstance(count, int) and not isinstance(count, bool) and count > 0):
            raise ArmConfigurationError("window: before_run needs either days or months, a whole number of at least 1")

    def resolve(self, context: Mapping[str, Any]) -> DateWindow:
        """Return the window of the run in *context*. Airflow calls this method when it renders a task's arguments.

        :raises ArmConfigurationError: *context* is not that of a DAG run.
        """
        days = self.date_range(RunTime.from_context(context))
        log.info("window: %s", days)
        return DateWindow(str(days.first), str(days.last), self.by)

    def date_range(self, run: RunTime | None = None) -> DateRange:
        """Return the days.

        :raises ArmConfigurationError: the times of the run are unknown, or the days are before the year 1.
        """
        if run is None or run.end is None:
            msg = (
                "window: before_run needs the times of a DAG run, and the context has none: use DateWindow(start, end)"
            )
            raise ArmConfigurationError(msg)
        day = run.end.astimezone(run.zone if self.timezone is None else _find_zone(self.timezone)).date()
        try:
            if self.days is not None:
                return DateRange(day - self.days * _DAY, day - _DAY, self.by)
            last = day.replace(day=1) - _DAY
            years, month = divmod(last.year * 12 + last.month - (self.months or 1), 12)
            return DateRange(dt.date(years, month + 1, 1), last, self.by)
        except (ValueError, OverflowError):
            raise ArmConfigurationError(f"window: before_run reaches back to before the year 1 from {day}") from None


def _is_template(value: Any) -> bool:
    return "{{" in str(value) or "{%" in str(value)


def _check_name(by: Any) -> None:
    if not (isinstance(by, str) and _WINDOW_NAME.fullmatch(by)):
        raise ArmConfigurationError(f"window: by must be the name of a date such as voucherdate, not {by!r}")


def _find_zone(name: str) -> dt.tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        msg = f"window: timezone must be the name of a time zone such as Europe/Oslo, not {name!r}"
        raise ArmConfigurationError(msg) from None


def _parse_day(value: Any, name: str, zone: dt.tzinfo | None) -> dt.date:
    """Return a bound as a day. A timestamp must be a midnight, in *zone* or else in its own time zone."""
    moment = value if isinstance(value, dt.date) else _parse_text(str(value).strip(), name)
    if not isinstance(moment, dt.datetime):
        return moment
    if moment.tzinfo is not None and zone is not None:
        moment = moment.astimezone(zone)
    midnight = dt.datetime.combine(moment.date(), dt.time.min, moment.tzinfo)
    # Where the clock changes at midnight the day begins at 01:00, and 00:00 is the same moment.
    if moment.time() == dt.time.min or (moment.tzinfo is not None and moment.timestamp() == midnight.timestamp()):
        return moment.date()
    raise ArmConfigurationError(
        f"window: {name} is {moment.isoformat()}, and not midnight{f' in {zone}' if zone else ''}: a window has whole "
        f"days, so {_ADVICE}"
    )


def _parse_text(text: str, name: str) -> dt.date:
    # A slice would accept a date with a digit too many.
    date, separator, time = text.replace(" ", "T", 1).partition("T")
    try:
        day = dt.date.fromisoformat(date)
        return dt.datetime.fromisoformat(f"{day}T{time}") if separator else day
    except ValueError:
        why = " (the run has no data interval)" if text == "None" else ""
        msg = f"window: {name} must be a date, YYYY-MM-DD, not {text[:_QUOTED_LENGTH]!r}{why}: {_ADVICE}"
        raise ArmConfigurationError(msg) from None
