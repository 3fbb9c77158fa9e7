from __future__ import annotations

import datetime as dt
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export import DateWindow, plan_windows
from airflow_provider_arm.export.fetch.plan_windows import parse_window

DAY = dt.timedelta(days=1)
spans = st.builds(
    lambda first, length: (first, first + length * DAY),
    st.dates(dt.date(1990, 1, 1), dt.date(2090, 1, 1)),
    st.integers(0, 800),
)
cuts = st.one_of(
    st.fixed_dictionaries({"parts": st.integers(1, 900)}),
    st.fixed_dictionaries({"days": st.integers(1, 900) | st.just("month")}),
)


@given(spans, cuts)
def test_windows_cover_every_day_once(span, cut):
    """The windows adjoin, and begin and end with the given days."""
    days = [parse_window(window) for window in plan_windows(*span, **cut)]
    assert (days[0].first, days[-1].last) == span
    assert all(after.first == before.last + DAY for before, after in pairwise(days))
    assert all(one.first <= one.last and one.by == "voucherdate" for one in days)


@given(spans, st.integers(1, 900))
def test_parts_differ_by_one_day_at_most(span, parts):
    """There are as many as requested, but never more than days."""
    days = [parse_window(window) for window in plan_windows(*span, parts=parts)]
    lengths = {(one.last - one.first).days for one in days}
    assert len(days) == min(parts, (span[1] - span[0]).days + 1)
    assert max(lengths) - min(lengths) <= 1


@given(spans, st.integers(1, 900))
def test_days_is_the_length_of_all_windows_but_the_last(span, length):
    """Only the last window may have fewer days."""
    days = [parse_window(window) for window in plan_windows(*span, days=length)]
    assert {(one.last - one.first).days + 1 for one in days[:-1]} <= {length}
    assert (days[-1].last - days[-1].first).days + 1 <= length


def test_month_windows_are_calendar_months():
    """The first and the last may be shorter. The windows are plain JSON."""
    windows = plan_windows("2024-01-15", "2024-04-01", by="duedate", days="month", end_exclusive=True)
    assert windows == [
        {"start": "2024-01-15", "end": "2024-01-31", "by": "duedate"},
        {"start": "2024-02-01", "end": "2024-02-29", "by": "duedate"},
        {"start": "2024-03-01", "end": "2024-03-31", "by": "duedate"},
    ]
    assert json.loads(json.dumps(windows)) == windows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either parts or days"),
        ({"parts": 2, "days": 2}, "either parts or days"),
        ({"parts": 0}, "parts must be a whole number of at least 1, not 0"),
        ({"parts": True}, "parts must be a whole number"),
        ({"days": "week"}, "days must be a whole number of at least 1 or \"month\", not 'week'"),
        ({"days": 1.5}, "days must be a whole number"),
        ({"days": 1, "by": "a date"}, "by must be the name of a date"),
        ({"days": 1, "end": "2025-12-31"}, "contains no day"),
        ({"days": 1, "start": "soon"}, "start must be a date"),
    ],
)
def test_invalid_arguments_raise_with_their_name(arguments, message):
    """The message names the argument and its valid values."""
    with pytest.raises(ArmConfigurationError) as caught:
        plan_windows(**{"start": "2026-01-01", "end": "2026-01-31", **arguments})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        DateWindow("2026-01-01", "2026-02-01", "duedate", end_exclusive=True),
        {"start": "2026-01-01", "end": dt.date(2026, 1, 31), "by": "duedate"},
        {"start": "2026-01-01", "end": "2026-02-01", "by": "duedate", "end_exclusive": True},
    ],
)
def test_parse_window_accepts_object_and_mapping(value):
    """Both forms result in the same days."""
    assert str(parse_window(value)) == "duedate 2026-01-01 to 2026-01-31"
    assert parse_window(None) is None


@pytest.mark.parametrize(
    "value", ["2026-01-01", {}, {"start": "2026-01-01"}, {"start": "2026-01-01", "end": "2026-01-02", "from": 1}, []]
)
def test_parse_window_raises_for_other_values(value):
    """The message describes the two valid forms."""
    with pytest.raises(ArmConfigurationError, match="window must be a DateWindow, or a mapping of start, end"):
        parse_window(value)
