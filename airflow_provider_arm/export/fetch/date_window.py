"""Windows of days, and how one that holds too much is split. Pure; loads nothing heavy."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_arm.client.assumptions import WINDOW_FILTERS
from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_arm.export.pages.page_stats import PageStats
    from airflow_provider_arm.export.pages.record_types import RecordType

#: Length of ``2025-02-27``, with which a moment's text begins.
_DAY_LENGTH = 10


@dataclass(frozen=True, slots=True)
class DateRange:
    """Days from first to last, both included."""

    first: dt.date
    last: dt.date
    by: str

    @property
    def filter_names(self) -> tuple[str, str]:
        """The filters that it sets."""
        return WINDOW_FILTERS[self.by]

    @property
    def filters(self) -> dict[str, str]:
        """The window as ARM's filters."""
        from_filter, to_filter = self.filter_names
        return {from_filter: self.first.isoformat(), to_filter: self.last.isoformat()}

    def halves(self) -> tuple[DateRange, DateRange] | None:
        """Split into two that neither overlap nor leave a gap; ``None`` for a single day."""
        if self.first == self.last:
            return None
        middle = self.first + (self.last - self.first) // 2
        return DateRange(self.first, middle, self.by), DateRange(middle + dt.timedelta(days=1), self.last, self.by)

    def check(self, record_type: RecordType, stats: PageStats) -> None:
        """Check that what came lies in the window: a server that does not know a filter may pass over it.

        Moments may lie a day off, because the server's days begin when its own zone says.

        :raises ArmConfigurationError: a record lies outside.
        """
        for name in (*record_type.dates, *record_type.timestamps):
            if name.lower() != self.by or name not in stats.ranges:
                continue
            slack = dt.timedelta(days=1 if name in record_type.timestamps else 0)
            first, last = (dt.date.fromisoformat(text[:_DAY_LENGTH]) for text in stats.ranges[name])
            if first < self.first - slack or last > self.last + slack:
                msg = (
                    f"ARM gave {record_type.name} from outside of {self}: it does not go by the filters "
                    f"{' and '.join(self.filters)}; give other filters, or no window"
                )
                raise ArmConfigurationError(msg)

    def __str__(self) -> str:
        """Read as ``voucherdate 2026-01-01 to 2026-01-31``."""
        return f"{self.by} {self.first} to {self.last}"


@dataclass(slots=True)  # not frozen: Airflow renders its fields in place
class DateWindow:
    """The days of an export. Where more records match than ARM gives for one query, the window is split in halves.

    :param start: first day, ``YYYY-MM-DD`` (or a ``date``); included. Templated inside an operator.
    :param end: last day; included. With Airflow's ``data_interval_end``, which is the first moment *after* the
        interval, use ``{{ data_interval_end | ds }}`` only together with ``end_exclusive=True``.
    :param by: which date: ``voucherdate``, ``duedate``, ``createdtime`` or, for documents, ``documentdate``.
    :param end_exclusive: *end* is the first day that is not wanted; default ``False``.
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

        :raises ArmConfigurationError: a bound is not a date, *end* is before *start*, or *by* is unknown.
        """
        if self.by not in WINDOW_FILTERS:
            msg = f"window: by must be one of {', '.join(WINDOW_FILTERS)}, not {self.by!r}"
            raise ArmConfigurationError(msg)
        first, last = _day(self.start, "start"), _day(self.end, "end")
        if self.end_exclusive:
            last -= dt.timedelta(days=1)
        if last < first:
            msg = f"window: {first} to {last} has no day in it (start and end are included)"
            raise ArmConfigurationError(msg)
        return DateRange(first, last, self.by)


def _day(value: str | dt.date, what: str) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    # Of a timestamp the day is taken; a day with a digit too many is no day.
    day, _, _ = str(value).strip().replace(" ", "T").partition("T")
    try:
        return dt.date.fromisoformat(day)
    except ValueError:
        msg = f"window: {what} must be a day, YYYY-MM-DD"
        raise ArmConfigurationError(msg) from None
