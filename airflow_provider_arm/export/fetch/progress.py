"""Progress of an export in the log. Pure: clock and log are arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_arm.export.fetch.date_window import DateRange
from airflow_provider_arm.summary import count_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.export.fetch.partition import Partition

#: Seconds until the first line: most exports are complete by then, and the last line has all figures.
FIRST_LINE_AFTER = 10
#: Seconds between two lines: 120 lines an hour.
SECONDS_PER_LINE = 30
#: Fraction that must be complete before the remaining time is estimated: before that, estimates vary too much.
MIN_FRACTION = 0.02
_MINUTE, _HOUR = 60, 3600
#: An estimate has two digits: seconds up to two minutes, minutes up to two hours.
_MINUTES_FROM, _HOURS_FROM = 2 * _MINUTE, 2 * _HOUR


class Progress:
    """Log lines with pages, rows, rows per second since the start and, if it can be estimated, the remaining time.

    :param window: the days of the whole export; any other value counts as none.
    :param clock: returns seconds of a monotonic clock.
    :param log_line: writes a line to the log.
    """

    def __init__(self, window: object, clock: Callable[[], float], log_line: Callable[[str], object]) -> None:
        self._window = window if isinstance(window, DateRange) else None
        self._clock = clock
        self._log_line = log_line
        self._started = clock()
        self._next_line_at = self._started + FIRST_LINE_AFTER

    def page_done(self, pages: int, rows: int, partition: Partition, query_pages: int, total: int | None) -> None:
        """Record a page, and write a line if one is due.

        :param pages: pages of the export so far.
        :param rows: rows of the export so far.
        :param partition: the partition that is being read.
        :param query_pages: pages of the partition's query so far.
        :param total: all pages of the query, if known.
        """
        now = self._clock()
        if now < self._next_line_at:
            return
        self._next_line_at = now + SECONDS_PER_LINE
        fraction, left = self._fraction(partition, query_pages, total), ""
        if fraction is not None and fraction >= MIN_FRACTION:
            left = f", about {_format_duration((now - self._started) * (1 - fraction) / fraction)} left"
        self._log_line(f"{pages} pages, {rows} rows, {self._rate(rows, now)}{left}")

    def export_done(self, pages: int, rows: int, name: str) -> None:
        """Write the last line.

        :param name: plural of the records.
        """
        now = self._clock()
        seconds = f"{now - self._started:.1f} s"
        self._log_line(f"{rows} {name} on {count_text(pages, 'page')}, complete, in {seconds}, {self._rate(rows, now)}")

    def _rate(self, rows: int, now: float) -> str:
        seconds = now - self._started
        return f"{rows / seconds if seconds > 0 else rows:.0f} rows/s"

    def _fraction(self, partition: Partition, query_pages: int, total: int | None) -> float | None:
        """Return the complete fraction: of a window by days, of a single query by pages; ``None`` if unknown."""
        of_query, span = min(query_pages / total, 1) if total else 0, partition.span
        if self._window is not None and isinstance(span, DateRange):
            days = (self._window.last - self._window.first).days + 1
            # How much of a day one value of split_by contributes is unknown.
            current = 0 if partition.split_values else of_query * ((span.last - span.first).days + 1)
            return ((span.first - self._window.first).days + current) / days
        return of_query if total and partition.parent is None else None


def _format_duration(seconds: float) -> str:
    if seconds < _MINUTES_FROM:
        return f"{seconds:.0f} s"
    if seconds < _HOURS_FROM:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"
