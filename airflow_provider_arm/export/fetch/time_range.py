"""Range of created times, possibly without a first or a last one, and its split into halves. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.pages.timestamps import format_milliseconds, to_milliseconds

if TYPE_CHECKING:
    from airflow_provider_arm.client.reading_entries import FilterReadings, WindowFilter
    from airflow_provider_arm.export.pages.page_stats import PageStats
    from airflow_provider_arm.export.pages.record_types import RecordType

#: The date by which an incremental export filters.
BY = "createdtime"
#: 2000-01-01 in UTC, where a range without a first time is split: older records were not created in ARM but migrated
#: from another system, and from here on any day is a few halvings away.
EARLIEST = 946_684_800_000
#: Maximum difference of two clocks, in milliseconds: clocks that are maintained are never a day apart.
MAX_CLOCK_SKEW = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Created times from *first* to *last*, in unix milliseconds, both included.

    :param first: ``None``: no lower bound.
    :param last: ``None``: no upper bound.
    :param began: start of the export, where a range without an upper bound is split.
    """

    first: int | None
    last: int | None
    began: int

    def window_filter(self, readings: FilterReadings) -> WindowFilter:
        """Return the names of ARM's filters for it."""
        return readings.window(readings.created_window)

    def filters(self, readings: FilterReadings) -> dict[str, str]:
        """Return ARM's filters for it."""
        window = self.window_filter(readings)
        last = self.last if self.last is None or window.last_included else self.last + 1
        bounds = ((window.first, self.first), (window.last, last))
        return {name: format_milliseconds(bound) for name, bound in bounds if bound is not None}

    def halves(self) -> tuple[TimeRange, TimeRange] | None:
        """Return two adjoining ranges that together are this one; ``None`` if it cannot be split."""
        middle = self._middle()
        if middle is None or (self.last is not None and middle >= self.last):
            return None
        return replace(self, last=middle), replace(self, first=middle + 1)

    def _middle(self) -> int | None:
        """Return the last time of the first half."""
        if self.last is not None:
            return EARLIEST if self.first is None else self.first + (self.last - self.first) // 2
        # Without an upper bound: up to now, and then what a server with a clock ahead of ours created in the meantime.
        ends = (self.began, self.began + MAX_CLOCK_SKEW)
        return next((end for end in ends if self.first is None or self.first <= end), None)

    def fields(self, record_type: RecordType) -> list[str]:
        """Return the fields of a record by which the times limit the list."""
        return [name for name in record_type.timestamps if record_type.default_name(name).lower() == BY]

    def check(self, record_type: RecordType, stats: PageStats) -> None:
        """Check that all records are in the range, to the millisecond.

        :raises ArmConfigurationError: a record is outside: the server ignores the filters, or reads them as days.
        """
        for name in self.fields(record_type):
            if name not in stats.ranges:
                continue
            first, last = map(to_milliseconds, stats.ranges[name])
            if (self.first is not None and first < self.first) or (self.last is not None and last > self.last):
                raise ArmConfigurationError(
                    f"ARM returned {record_type.name} outside of {self}: it ignores the filters of created times (see "
                    "filters.windows in the readings), or reads them as days; export with window, without incremental"
                )

    def __str__(self) -> str:
        """Return text such as ``createdtime 2026-01-05T10:00:00.000+00:00 to now``."""
        first = "the beginning" if self.first is None else format_milliseconds(self.first)
        last = "now" if self.last is None else format_milliseconds(self.last)
        return f"{BY} {first} to {last}"
