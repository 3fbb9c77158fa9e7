from __future__ import annotations

import datetime as dt

import pytest

from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.export.fetch.partition import Partition
from airflow_provider_arm.export.fetch.progress import Progress

YEAR = DateWindow("2026-01-01", "2026-12-31").date_range()


class Told:
    """A progress with a clock that the test sets, and its lines."""

    def __init__(self, window=None):
        self.now = 100
        self.lines = []
        self.progress = Progress(window, lambda: self.now, self.lines.append)

    def at(self, seconds, pages, rows, part=None, done=1, total=None):
        """Let a page come so many seconds after the start; gives the lines that it made."""
        self.now, before = 100 + seconds, len(self.lines)
        self.progress.page_done(pages, rows, part or Partition(), done, total)
        return self.lines[before:]


def test_a_line_comes_after_ten_seconds_and_then_every_thirty():
    """However many pages come between."""
    told = Told()
    seconds = [second for second in range(1, 101) if told.at(second, second, second)]
    assert seconds == [10, 40, 70, 100]


def test_a_line_has_pages_rows_and_the_rate_since_the_start():
    """Without anything to guess the rest from it says no more."""
    assert Told().at(20, 41, 40_123) == ["41 pages, 40123 rows, 2006 rows/s"]


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
def test_the_rest_of_one_query_goes_by_its_pages(seconds, done, total, left):
    """Where ARM says how many there are; of the first one or two percent nobody guesses."""
    (line,) = Told().at(seconds, done, 1000, Partition(), done, total)
    assert line.endswith(f"rows/s{left}")


def test_the_rest_of_a_window_goes_by_its_days():
    """Of the queries that are done, and of the pages of the one being read."""
    june = Partition(DateWindow("2026-06-01", "2026-06-30").date_range())
    quarter = Partition(DateWindow("2026-01-01", "2026-03-31").date_range())
    assert Told(YEAR).at(151, 9, 1, june, 0, None)[0].endswith(", about 4 min left")
    assert Told(YEAR).at(45, 9, 1, quarter, 1, 2)[0].endswith(", about 5 min left")
    assert Told(YEAR).at(90, 9, 1, quarter, 2, 2)[0].endswith(", about 5 min left")


def test_a_day_that_is_split_by_value_counts_when_it_is_done():
    """Nobody knows which share of a day one customer is."""
    days = DateWindow("2026-01-01", "2026-01-02").date_range()
    second = DateWindow("2026-01-02", "2026-01-02").date_range()
    assert Told(days).at(30, 9, 1, Partition(second, {"customerno": "1"}), 5, 5)[0].endswith(", about 30 s left")


def test_a_list_that_is_split_by_value_alone_is_not_guessed():
    """One value's pages say nothing of the others'."""
    part = Partition(split_values={"customerno": "1"}, parent=Partition())
    assert Told().at(30, 9, 1, part, 5, 5) == ["9 pages, 1 rows, 0 rows/s"]


def test_a_window_of_another_kind_is_not_guessed_by_days():
    """Such as one of moments, which has no whole days."""
    assert Told(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)).at(30, 9, 18, Partition(), 1, None) == [
        "9 pages, 18 rows, 1 rows/s"
    ]


def test_the_last_line_says_all_of_it():
    """Also where no time has passed."""
    told = Told()
    told.progress.export_done(1, 12, "AR items")
    told.now += 4
    told.progress.export_done(13, 12_345, "AR items")
    assert told.lines == [
        "12 AR items on 1 pages, complete, in 0.0 s, 12 rows/s",
        "12345 AR items on 13 pages, complete, in 4.0 s, 3086 rows/s",
    ]
