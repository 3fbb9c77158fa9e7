from __future__ import annotations

import datetime as dt

import pytest

from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.export.fetch.partition import Partition
from airflow_provider_arm.export.fetch.progress import Progress

YEAR = DateWindow("2026-01-01", "2026-12-31").date_range()


class ProgressLog:
    """Progress with a clock that the test sets, and its log lines."""

    def __init__(self, window=None):
        self.now = 100
        self.lines = []
        self.progress = Progress(window, lambda: self.now, self.lines.append)

    def at(self, seconds, pages, rows, part=None, done=1, total=None):
        """Record a page after *seconds*, and return the new lines."""
        self.now, before = 100 + seconds, len(self.lines)
        self.progress.page_done(pages, rows, part or Partition(), done, total)
        return self.lines[before:]


def test_lines_are_written_after_10_seconds_and_then_every_30():
    """The number of pages in between does not matter."""
    log = ProgressLog()
    seconds = [second for second in range(1, 101) if log.at(second, second, second)]
    assert seconds == [10, 40, 70, 100]


def test_line_contains_pages_rows_and_rate():
    """The rate is rows per second since the start."""
    assert ProgressLog().at(20, 41, 40_123) == ["41 pages, 40123 rows, 2006 rows/s"]


@pytest.mark.parametrize(
    ("seconds", "done", "total", "left"),
    [
        (20, 10, 40, ", about 60 s left"),
        (100, 10, 100, ", about 15 min left"),
        (1000, 10, 100, ", about 2.5 h left"),
        (20, 40, 40, ", about 0 s left"),
        (20, 41, 40, ", about 0 s left"),
        (20, 1, 100, ""),
        (20, 1, 0, ""),
        (20, 1, None, ""),
    ],
)
def test_remaining_time_of_one_query_follows_from_its_pages(seconds, done, total, left):
    """There is no estimate before two percent are complete."""
    (line,) = ProgressLog().at(seconds, done, 1000, Partition(), done, total)
    assert line.endswith(f"rows/s{left}")


def test_remaining_time_of_a_window_follows_from_its_days():
    """The pages of the current query count too."""
    june = Partition(DateWindow("2026-06-01", "2026-06-30").date_range())
    quarter = Partition(DateWindow("2026-01-01", "2026-03-31").date_range())
    assert ProgressLog(YEAR).at(151, 9, 1, june, 0, None)[0].endswith(", about 4 min left")
    assert ProgressLog(YEAR).at(45, 9, 1, quarter, 1, 2)[0].endswith(", about 5 min left")
    assert ProgressLog(YEAR).at(90, 9, 1, quarter, 2, 2)[0].endswith(", about 5 min left")


def test_day_split_by_value_counts_when_complete():
    """How much of a day one customer contributes is unknown."""
    days = DateWindow("2026-01-01", "2026-01-02").date_range()
    second = DateWindow("2026-01-02", "2026-01-02").date_range()
    assert ProgressLog(days).at(30, 9, 1, Partition(second, {"customerno": "1"}), 5, 5)[0].endswith(", about 30 s left")


def test_no_remaining_time_when_list_is_split_by_value_alone():
    """The share of one value is unknown."""
    part = Partition(split_values={"customerno": "1"}, parent=Partition())
    assert ProgressLog().at(30, 9, 1, part, 5, 5) == ["9 pages, 1 rows, 0 rows/s"]


def test_no_remaining_time_when_window_is_not_a_date_range():
    """A range of timestamps, for example, has no whole days."""
    assert ProgressLog(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)).at(30, 9, 18, Partition(), 1, None) == [
        "9 pages, 18 rows, 1 rows/s"
    ]


def test_last_line_contains_totals():
    """The rate is defined even if no time has passed."""
    log = ProgressLog()
    log.progress.export_done(1, 12, "AR items")
    log.now += 4
    log.progress.export_done(13, 12_345, "AR items")
    assert log.lines == [
        "12 AR items on 1 page, complete, in 0.0 s, 12 rows/s",
        "12345 AR items on 13 pages, complete, in 4.0 s, 3086 rows/s",
    ]
