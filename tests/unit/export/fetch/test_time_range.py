"""Tests of ranges of created times: filters, splitting, and records outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmResultLimitError
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from airflow_provider_arm.export.fetch.partition import Partition
from airflow_provider_arm.export.fetch.time_range import EARLIEST, MAX_CLOCK_SKEW, TimeRange
from airflow_provider_arm.export.pages.page_stats import PageStats
from airflow_provider_arm.export.pages.record_types import AR_ITEMS
from airflow_provider_arm.export.pages.timestamps import format_milliseconds, to_milliseconds

BEGAN = to_milliseconds("2026-03-01T12:00:00.000+00:00")
times = st.integers(-(10**13), 10**14)


@given(times)
def test_timestamp_survives_format_and_parse(time):
    """The text of a filter is exact to the millisecond and has an offset."""
    assert to_milliseconds(format_milliseconds(time)) == time
    assert format_milliseconds(time).endswith("+00:00")


@pytest.mark.parametrize(
    "text", ["2026-01-05T00:30:00.000+01:00", "2026-01-04T23:30:00.000+00:00", "2026-01-04T18:30:00.000999-05:00"]
)
def test_timestamps_with_different_offsets_are_equal(text):
    """Midnight in one zone is the evening before in another."""
    assert format_milliseconds(to_milliseconds(text)) == "2026-01-04T23:30:00.000+00:00"


@pytest.mark.parametrize("text", ["", "soon", "2026-01-05T00:30:00.000", "2026-01-05"])
def test_timestamp_without_offset_raises(text):
    """The time zone is never guessed."""
    with pytest.raises(ValueError):  # noqa: PT011 - its text is never shown
        to_milliseconds(text)


@given(times, st.integers(0, 10**12))
def test_halves_cover_every_millisecond_once(first, length):
    """The halves adjoin, and their lengths differ by one millisecond at most."""
    whole = TimeRange(first, first + length, BEGAN)
    halves = whole.halves()
    if not length:
        assert halves is None
        return
    left, right = halves
    assert (left.first, right.last) == (whole.first, whole.last)
    assert left.last + 1 == right.first
    assert left.first <= left.last
    assert right.first <= right.last
    assert 0 <= (left.last - left.first) - (right.last - right.first) <= 1


@given(st.none() | times, st.none() | times)
def test_repeated_splits_end_for_any_bounds(first, last):
    """Without bounds too, splitting either half ends, and the halves adjoin."""
    if first is not None and last is not None and first > last:
        first, last = last, first
    for side in (0, 1):
        part = TimeRange(first, last, BEGAN)
        for _ in range(60):
            halves = part.halves()
            if halves is None:
                break
            assert halves[0].last + 1 == halves[1].first
            part = halves[side]
        assert part.halves() is None


def test_range_without_last_is_split_at_export_start():
    """The rest is split once more, at the start plus the maximum clock skew."""
    left, right = TimeRange(5, None, BEGAN).halves()
    assert (left.first, left.last, right.first, right.last) == (5, BEGAN, BEGAN + 1, None)
    near, far = right.halves()
    assert (near.last, far.first, far.last) == (BEGAN + MAX_CLOCK_SKEW, BEGAN + MAX_CLOCK_SKEW + 1, None)
    assert far.halves() is None


def test_range_without_first_is_split_at_the_year_2000():
    """Older records were migrated from another system."""
    whole, _ = TimeRange(None, None, BEGAN).halves()
    old, new = whole.halves()
    assert (old.first, old.last, new.first, new.last) == (None, EARLIEST, EARLIEST + 1, BEGAN)
    assert format_milliseconds(EARLIEST) == "2000-01-01T00:00:00.000+00:00"
    assert old.halves() is None


def test_filters_and_text_contain_the_bounds():
    """A missing bound has no filter."""
    assert TimeRange(None, None, BEGAN).filters(DEFAULT_READINGS.filters) == {}
    assert TimeRange(BEGAN, None, BEGAN).filters(DEFAULT_READINGS.filters) == {
        "fromcreatedtime": "2026-03-01T12:00:00.000+00:00"
    }
    assert TimeRange(None, BEGAN, BEGAN).filters(DEFAULT_READINGS.filters) == {
        "tocreatedtime": "2026-03-01T12:00:00.000+00:00"
    }
    assert str(TimeRange(None, None, BEGAN)) == "createdtime the beginning to now"
    assert str(TimeRange(BEGAN, BEGAN + 7, BEGAN)) == (
        "createdtime 2026-03-01T12:00:00.000+00:00 to 2026-03-01T12:00:00.007+00:00"
    )


def test_single_millisecond_is_split_by_value_or_raises():
    """The message names split_by."""
    part = Partition(TimeRange(BEGAN, BEGAN, BEGAN), remaining_split_by=(("customerno", ("1", "2")),))
    assert [dict(half.split_values) for half in part.split(ArmResultLimitError("too many"))] == [
        {"customerno": "1"},
        {"customerno": "2"},
    ]
    with pytest.raises(ArmResultLimitError, match=r"createdtime 2026-03-01T.* cannot be split further: .*split_by"):
        Partition(TimeRange(BEGAN, BEGAN, BEGAN)).split(ArmResultLimitError("too many"))


@pytest.mark.parametrize(
    ("first", "last", "inside"),
    [(0, 0, True), (None, None, True), (0, None, True), (1, None, False), (None, -1, False), (1, 5, False)],
)
def test_check_raises_when_a_record_is_outside(first, last, inside):
    """The server may ignore the filter, or read it as a day."""
    text = "2026-03-01T12:00:00.000999+00:00"
    begin, end = (None if bound is None else BEGAN + bound for bound in (first, last))
    span = TimeRange(begin, end, BEGAN)
    facts = PageStats(1, ranges={"createdTime": (text, text), "dueDate": ("1999-01-01", "2999-01-01")})
    if inside:
        span.check(AR_ITEMS, facts)
        return
    with pytest.raises(ArmConfigurationError, match="ignores the filters of created times"):
        span.check(AR_ITEMS, facts)
