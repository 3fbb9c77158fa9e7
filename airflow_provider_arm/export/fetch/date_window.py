"""Windows of days, and their split into halves. Pure; imports nothing heavy."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_arm.client.reading_entries import FilterReadings, WindowFilter
    from airflow_provider_arm.export.pages.page_stats import PageStats
    from airflow_provider_arm.export.pages.record_types import RecordType

#: Length of ``2025-02-27``, the date part of a timestamp.
_DATE_LENGTH = 10
#: Names of windows in the readings profile; a task checks that its profile has the name.
_WINDOW_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


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

    def check(self, record_type: RecordType, stats: PageStats) -> None:
        """Check that all records are in the range, because a server may ignore a filter that it does not support.

        Timestamps may be a day outside, because the server's days begin in its own time zone.

        :raises ArmConfigurationError: a record is outside.
        """
        for name in (*record_type.dates, *record_type.timestamps):
            if record_type.default_name(name).lower() != self.by or name not in stats.ranges:
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

    :param start: first day, ``YYYY-MM-DD`` (or a ``date``); included. Templated inside an operator.
    :param end: last day; included. Airflow's ``data_interval_end`` is the first moment *after* the interval: use
        ``{{ data_interval_end | ds }}`` only together with ``end_exclusive=True``.
    :param by: which date: ``voucherdate``, ``duedate``, ``createdtime`` or, for documents, ``documentdate``; the
        connection's readings profile may have others.
    :param end_exclusive: *end* is the day after the last one; default ``False``.
    """

    start: str | dt.date
    end: str | dt.date
    by: str = "voucherdate"
    end_exclusive: bool = False

    template_fields: ClassVar[Sequence[str]] = ("start", "end", "by")

    def __post_init__(self) -> None:
        """Check the dates when the DAG is parsed, unless one of them is a template."""
        if not any("{{" in str(value) or "{%" in str(value) for value in (self.start, self.end, self.by)):
            self.date_range()

    def date_range(self) -> DateRange:
        """Check the dates and return them.

        :raises ArmConfigurationError: a bound is not a date, *end* is before *start*, or *by* is no name.
        """
        if not (isinstance(self.by, str) and _WINDOW_NAME.fullmatch(self.by)):
            raise ArmConfigurationError(f"window: by must be the name of a date such as voucherdate, not {self.by!r}")
        first, last = _parse_date(self.start, "start"), _parse_date(self.end, "end")
        if self.end_exclusive:
            last -= dt.timedelta(days=1)
        if last < first:
            raise ArmConfigurationError(f"window: {first} to {last} contains no day (start and end are included)")
        return DateRange(first, last, self.by)


def _parse_date(value: str | dt.date, name: str) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    # The text may be a timestamp. A slice would accept a date with a digit too many.
    date, _, _ = str(value).strip().replace(" ", "T").partition("T")
    try:
        return dt.date.fromisoformat(date)
    except ValueError:
        raise ArmConfigurationError(f"window: {name} must be a date, YYYY-MM-DD") from None
