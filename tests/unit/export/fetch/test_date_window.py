from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.export.fetch.date_window import DateRange
from airflow_provider_arm.export.fetch.run_time import RunTime

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
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 1),  # noqa: DTZ001 - what an author may write
        "20260101",
        "2026-01-01T00:00:00+01:00",
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
            "window: 2026-01-01 to 2026-01-01 contains no day (end is excluded). If it is the data interval of",
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


def rendered(start, end, **arguments):
    """Return a window whose templates Airflow has rendered."""
    window = DateWindow("{{ start }}", "{{ end }}", **arguments)
    window.start, window.end = start, end
    return window


@pytest.mark.parametrize("bound", ["start", "end"])
@pytest.mark.parametrize(
    "value", ["2026-01-31T23:59:59", "2026-01-31 12:00", dt.datetime(2026, 1, 31, 0, 0, 1, tzinfo=dt.UTC)]
)
def test_window_raises_when_a_bound_has_a_time(bound, value):
    """A time is never cut off, neither in the DAG file nor in what a template returned."""
    bounds = {"start": "2026-01-01", "end": "2026-02-28", bound: value}
    message = rf"window: {bound} is 2026-01-31T.*not midnight.*write YYYY-MM-DD, or window=DateWindow\.before_run"
    with pytest.raises(ArmConfigurationError, match=message):
        DateWindow(**bounds)
    with pytest.raises(ArmConfigurationError, match=message):
        rendered(**bounds).date_range()


OSLO = zoneinfo.ZoneInfo("Europe/Oslo")


@pytest.mark.parametrize(
    ("text", "zone", "day"),
    [
        ("2026-01-04 23:00:00+00:00", "Europe/Oslo", "2026-01-05"),
        ("2026-07-04T22:00:00+00:00", "Europe/Oslo", "2026-07-05"),
        ("2026-01-05T00:00:00+00:00", "Europe/Oslo", None),
        ("2026-01-04T18:30:00Z", "Asia/Kolkata", "2026-01-05"),
        ("2018-11-04T03:00:00+00:00", "America/Sao_Paulo", "2018-11-04"),  # the clock goes from 00:00 to 01:00
        ("2018-11-04T02:00:00+00:00", "America/Sao_Paulo", None),
        ("2026-11-01T04:00:00+00:00", "America/Havana", "2026-11-01"),  # 00:00 for the first time
        ("2026-11-01T05:00:00+00:00", "America/Havana", "2026-11-01"),  # and for the second
    ],
)
def test_rendered_timestamp_is_a_day_only_if_it_is_a_midnight_of_the_zone(text, zone, day):
    """``{{ ts }}`` is in UTC; the days are those of the DAG's time zone, or of the window's."""
    run = RunTime(None, zoneinfo.ZoneInfo(zone))
    for found in (lambda: rendered(text, text).date_range(run), rendered(text, text, timezone=zone).date_range):
        if day is None:
            with pytest.raises(ArmConfigurationError, match=f"not midnight in {zone}"):
                found()
        else:
            assert str(found().first) == day


def test_literal_datetime_is_the_day_of_its_own_zone():
    """An author who writes midnight in Oslo means that day, whatever the DAG's time zone is."""
    window = DateWindow(dt.datetime(2026, 1, 5, tzinfo=OSLO), "2026-01-05")
    assert str(window.date_range(RunTime(None, dt.UTC)).first) == "2026-01-05"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": "2026-02-01", "end": "2026-01-01"}, "contains no day"),
        ({"start": "soon", "end": "{{ ds }}"}, "start must be a date, YYYY-MM-DD, not 'soon'"),
        ({"start": "{{ ds }}", "end": "2026-02-30"}, "end must be a date"),
        ({"start": "{{ ds }}", "end": "{{ ds }}", "timezone": "Oslo"}, "timezone must be the name of a time zone"),
    ],
)
def test_invalid_literal_raises_when_the_dag_is_parsed(arguments, message):
    """Also if the other bound is a template."""
    with pytest.raises(ArmConfigurationError, match=message):
        DateWindow(**arguments)


@pytest.mark.parametrize("timezone", [None, "UTC", "Asia/Kolkata"])
def test_templates_of_a_window_are_in_its_time_zone(timezone):
    """``ds`` of a daily DAG in Oslo would be the day before, because Airflow's is in UTC."""
    midnight = dt.datetime(2026, 1, 4, 23, tzinfo=dt.UTC)
    dag = SimpleNamespace(timezone=OSLO)
    context = {"dag": dag, "logical_date": midnight, "data_interval_start": midnight, "ds": "2026-01-04", "ti": 1}
    localized = DateWindow("{{ ds }}", "{{ ds }}", timezone=timezone).localize(context)
    day = {None: "2026-01-05", "UTC": "2026-01-04", "Asia/Kolkata": "2026-01-05"}[timezone]
    assert localized["ds"] == day
    assert localized["ds_nodash"] == day.replace("-", "")
    assert str(localized["data_interval_start"].date()) == day
    assert dt.datetime.fromisoformat(localized["ts"]) == localized["logical_date"] == midnight
    assert (localized["ti"], context["ds"]) == (1, "2026-01-04")
    assert "data_interval_end" not in localized


def test_run_without_data_interval_raises_with_the_next_step():
    """Jinja makes "None" of a missing interval."""
    with pytest.raises(ArmConfigurationError, match=r"not 'None' \(the run has no data interval\).*before_run"):
        rendered("None", "None").date_range()


@pytest.mark.parametrize(
    ("arguments", "end", "days"),
    [
        ({"days": 1}, "2026-01-06T00:00+00:00", "2026-01-05 to 2026-01-05"),
        ({"days": 1}, "2026-01-06T23:59:59+00:00", "2026-01-05 to 2026-01-05"),
        ({"days": 7}, "2026-01-05T00:00+00:00", "2025-12-29 to 2026-01-04"),
        ({"days": 1}, "2024-03-01T00:00+00:00", "2024-02-29 to 2024-02-29"),
        ({"days": 1}, "2026-01-05T23:00+00:00", "2026-01-04 to 2026-01-04"),
        ({"days": 1, "timezone": "Europe/Oslo"}, "2026-01-05T23:00+00:00", "2026-01-05 to 2026-01-05"),
        ({"months": 1}, "2024-03-01T00:00+00:00", "2024-02-01 to 2024-02-29"),
        ({"months": 1}, "2026-01-31T12:00+00:00", "2025-12-01 to 2025-12-31"),
        ({"months": 3}, "2026-02-01T00:00+00:00", "2025-11-01 to 2026-01-31"),
        ({"months": 12}, "2026-01-01T00:00+00:00", "2025-01-01 to 2025-12-31"),
    ],
)
def test_before_run_is_the_last_days_that_ended(arguments, end, days):
    """The day or month that has not ended is not included."""
    window = DateWindow.before_run(by="duedate", **arguments)
    run = RunTime(dt.datetime.fromisoformat(end), dt.UTC)
    assert str(window.date_range(run)) == f"duedate {days}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either days or months"),
        ({"days": 0}, "at least 1"),
        ({"days": True}, "whole number"),
        ({"days": 1.5}, "whole number"),
        ({"days": 1, "months": 1}, "either days or months"),
        ({"days": 1, "by": ""}, "by must be the name"),
        ({"days": 1, "timezone": "Mars"}, "time zone"),
    ],
)
def test_invalid_argument_of_before_run_raises_when_the_dag_is_parsed(arguments, message):
    """Nothing of it is a template."""
    with pytest.raises(ArmConfigurationError, match=message):
        DateWindow.before_run(**arguments)


@pytest.mark.parametrize("arguments", [{"days": 10**7}, {"days": 10**10}, {"months": 30_000}])
def test_before_run_raises_when_it_starts_before_the_year_1(arguments):
    """A wrong number gives no traceback of the calendar."""
    with pytest.raises(ArmConfigurationError, match="before the year 1"):
        DateWindow.before_run(**arguments).date_range(RunTime(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.UTC))


def test_before_run_raises_without_a_run():
    """Outside of a task there are no times of a run."""
    with pytest.raises(ArmConfigurationError, match="before_run needs the times of a DAG run"):
        DateWindow.before_run(days=1).resolve({})


def test_template_fields_are_rendered_in_place():
    """Airflow renders the fields of a window by setting them."""
    window = DateWindow("{{ ds }}", "{{ ds }}")
    assert DateWindow.template_fields == ("start", "end", "by")
    window.start = window.end = "2026-01-01"
    assert window.date_range() == DateRange(dt.date(2026, 1, 1), dt.date(2026, 1, 1), "voucherdate")
