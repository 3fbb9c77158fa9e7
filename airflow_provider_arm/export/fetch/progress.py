"""How far an export has come, told in the log at a humane rate. Pure: the clock and the log are passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_arm.export.fetch.date_window import DateRange

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.export.fetch.partition import Partition

#: Seconds before the first line: most exports are done by then, and their last line says all.
FIRST_LINE_AFTER = 10
#: Seconds between two lines: often enough to see that it moves, and an hour makes 120 lines.
SECONDS_PER_LINE = 30
#: What must be done before the rest is guessed from it: of less, the guess would jump from line to line.
LEAST_SHARE = 0.02
_MINUTE, _HOUR = 60, 3600
#: A guess has two digits: seconds up to two minutes, minutes up to two hours.
_MINUTES_FROM, _HOURS_FROM = 2 * _MINUTE, 2 * _HOUR


class Progress:
    """Tells pages, rows, rows per second since the start and, where it can be known, how long the rest will take.

    :param window: the days of the whole export, or ``None``.
    :param clock: gives seconds that only grow, from any zero.
    :param log_line: takes a line.
    """

    def __init__(self, window: object, clock: Callable[[], float], log_line: Callable[[str], object]) -> None:
        self._window = window if isinstance(window, DateRange) else None
        self._clock = clock
        self._log_line = log_line
        self._started = clock()
        self._due = self._started + FIRST_LINE_AFTER

    def page_done(self, pages: int, rows: int, partition: Partition, done: int, total: int | None) -> None:
        """Note that a page came.

        :param pages: pages of the export so far.
        :param rows: its rows so far.
        :param partition: what is being read.
        :param done: pages of that part's query so far.
        :param total: pages that its query has, where ARM says it.
        """
        now = self._clock()
        if now < self._due:
            return
        self._due = now + SECONDS_PER_LINE
        rate = self._rate(rows, now)
        rest = self._rest(self._share(partition, done, total), now)
        self._log_line(f"{pages} pages, {rows} rows, {rate}{rest}")

    def export_done(self, pages: int, rows: int, name: str) -> None:
        """Say that the export is whole.

        :param name: what the records are called.
        """
        now = self._clock()
        seconds = f"{now - self._started:.1f} s"
        self._log_line(f"{rows} {name} on {pages} pages, complete, in {seconds}, {self._rate(rows, now)}")

    def _rate(self, rows: int, now: float) -> str:
        seconds = now - self._started
        return f"{rows / seconds if seconds > 0 else rows:.0f} rows/s"

    def _share(self, partition: Partition, done: int, total: int | None) -> float | None:
        """Say which share is done: of a window by its days, of one query by its pages; ``None`` where nobody knows."""
        query = min(done / total, 1) if total else 0
        if self._window is not None and isinstance(partition.span, DateRange):
            days = (self._window.last - self._window.first).days + 1
            before, here = (
                partition.span.first - self._window.first,
                (partition.span.last - partition.span.first).days + 1,
            )
            # Of a day that is split by value nobody knows which share one value is.
            return (before.days + (0 if partition.split_values else query * here)) / days
        return query if total and partition.parent is None else None

    def _rest(self, share: float | None, now: float) -> str:
        if share is None or share < LEAST_SHARE:
            return ""
        seconds = (now - self._started) * (1 - share) / share
        return f", about {_duration(seconds)} left"


def _duration(seconds: float) -> str:
    if seconds < _MINUTES_FROM:
        return f"{seconds:.0f} s"
    if seconds < _HOURS_FROM:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"
