from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.export.fetch.date_window import DateRange

FILTERS = DEFAULT_READINGS.filters
ONE = dt.timedelta(days=1)
days = st.builds(
    lambda first, length: DateRange(first, first + dt.timedelta(days=length), "voucherdate"),
    st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)),
    st.integers(0, 5000),
)


@given(days)
def test_halves_cover_every_day_once(whole):
    """The halves adjoin, and their lengths differ by one day at most."""
    halves = whole.halves()
    if whole.first == whole.last:
        assert halves is None
        return
    left, right = halves
    assert (left.first, right.last) == (whole.first, whole.last)
    assert right.first - left.last == ONE
    assert left.first <= left.last
    assert right.first <= right.last
    assert 0 <= (left.last - left.first).days - (right.last - right.first).days <= 1
    assert left.by == right.by == whole.by


@given(days.filter(lambda found: (found.last - found.first).days <= 60))
def test_repeated_splits_return_every_day_once_in_order(whole):
    """No day is lost or duplicated, however often a window is split."""
    todo, single = [whole], []
    while todo:
        part = todo.pop()
        halves = part.halves()
        if halves is None:
            single.append(part.first)
        else:
            todo += reversed(halves)
    assert single == [whole.first + ONE * number for number in range((whole.last - whole.first).days + 1)]


@pytest.mark.parametrize("by", ["voucherdate", "duedate", "createdtime", "documentdate"])
def test_date_range_filters_include_both_days(by):
    """The filters are those of the date in ``by``."""
    window = DateWindow("2026-01-01", "2026-01-31", by=by).date_range()
    assert window.filters(FILTERS) == {f"from{by}": "2026-01-01", f"to{by}": "2026-01-31"}
    assert str(window) == f"{by} 2026-01-01 to 2026-01-31"


def test_date_range_has_the_filters_of_the_profile():
    """A profile may add a date, or have an upper bound that is not included; any other date is refused by name."""
    added = {"first": "bookedfrom", "last": "bookedbefore", "last_included": False}
    filters = Readings.parse({"filters": {"windows": {"bookingdate": added}}}).filters
    window = DateWindow("2026-01-01", "2026-01-31", by="bookingdate").date_range()
    assert window.filters(filters) == {"bookedfrom": "2026-01-01", "bookedbefore": "2026-02-01"}
    assert set(filters.windows) == {*FILTERS.windows, "bookingdate"}
    with pytest.raises(
        ArmConfigurationError, match=r"by must be one of voucherdate, .*'bookingdate'.*filters\.windows"
    ):
        window.filters(FILTERS)


@pytest.mark.parametrize(
    "start",
    [
        "2026-01-01",
        " 2026-01-01\n",
        dt.date(2026, 1, 1),
        dt.datetime(2026, 1, 1, 23, 59, tzinfo=dt.UTC),
        "2026-01-01T00:00:00+00:00",
        "2026-01-01 00:00:00",
    ],
)
def test_window_accepts_every_form_of_a_date(start):
    """Templates can render to a date, a timestamp or text with whitespace."""
    assert DateWindow(start, "2026-01-02").date_range().first == dt.date(2026, 1, 1)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2026-01-01", "2026-01-02", "2026-01-01", "2026-01-01"),
        ("2026-02-01", "2026-03-01", "2026-02-01", "2026-02-28"),
        ("2024-02-01", "2024-03-01", "2024-02-01", "2024-02-29"),
        ("2025-12-31", "2026-01-01", "2025-12-31", "2025-12-31"),
    ],
)
def test_window_excludes_end_when_end_exclusive(start, end, first, last):
    """Airflow's data_interval_end is the first moment after the interval."""
    found = DateWindow(start, end, end_exclusive=True).date_range()
    assert (found.first.isoformat(), found.last.isoformat()) == (first, last)


@given(st.dates(dt.date(1900, 1, 1)), st.integers(1, 400))
def test_consecutive_exclusive_windows_adjoin(start, length):
    """No day is in both windows, and none is missing."""
    if (dt.date.max - start).days < 2 * length:
        return
    middle = start + ONE * length
    left = DateWindow(start, middle, end_exclusive=True).date_range()
    right = DateWindow(middle, middle + ONE * length, end_exclusive=True).date_range()
    assert right.first - left.last == ONE


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (lambda: DateWindow("31.01.2026", "2026-01-31"), "window: start must be a date, YYYY-MM-DD"),
        (lambda: DateWindow("2026-01-01", "2026-02-30"), "window: end must be a date, YYYY-MM-DD"),
        (lambda: DateWindow("2026-01-01", "2026-01-311"), "window: end must be a date, YYYY-MM-DD"),
        (lambda: DateWindow("", "2026-01-31"), "window: start must be a date, YYYY-MM-DD"),
        (lambda: DateWindow("None", "2026-01-31"), "window: start must be a date, YYYY-MM-DD"),
        (lambda: DateWindow(None, "2026-01-31"), "window: start must be a date, YYYY-MM-DD"),
        (lambda: DateWindow("{{ ds }}", "2026-01-31"), "window: start must be a date, YYYY-MM-DD"),
        (lambda: DateWindow("2026-01-02", "2026-01-01"), "window: 2026-01-02 to 2026-01-01 contains no day"),
        (
            lambda: DateWindow("2026-01-01", "2026-01-01", end_exclusive=True),
            "window: 2026-01-01 to 2025-12-31 contains no day",
        ),
        (
            lambda: DateWindow("2026-01-01", "2026-01-31", by="voucher date"),
            "window: by must be the name of a date such as voucherdate, not 'voucher date'",
        ),
        (
            lambda: DateWindow("2026-01-01", "2026-01-31", by=""),
            "window: by must be the name of a date such as voucherdate, not ''",
        ),
    ],
)
def test_invalid_window_raises_with_the_bound(window, message):
    """The message names the bound and what is wrong with it."""
    with pytest.raises(ArmConfigurationError, match="^" + re.escape(message)):
        window().date_range()


def test_template_fields_are_rendered_in_place():
    """Airflow renders the fields of a window by setting them."""
    window = DateWindow("{{ ds }}", "{{ ds }}")
    assert DateWindow.template_fields == ("start", "end", "by")
    window.start = window.end = "2026-01-01"
    assert window.date_range() == DateRange(dt.date(2026, 1, 1), dt.date(2026, 1, 1), "voucherdate")
