"""Spans of created times: what they ask for, how they split, and what lies outside of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmResultLimitError
from airflow_provider_arm.export.fetch.partition import Partition
from airflow_provider_arm.export.fetch.time_range import EARLIEST, MAX_CLOCK_SKEW, TimeRange
from airflow_provider_arm.export.pages.page_stats import PageStats
from airflow_provider_arm.export.pages.record_types import AR_ITEMS
from airflow_provider_arm.export.pages.timestamps import format_milliseconds, to_milliseconds

BEGAN = to_milliseconds("2026-03-01T12:00:00.000+00:00")
moments = st.integers(-(10**13), 10**14)


@given(moments)
def test_a_moment_is_written_and_read_to_the_millisecond(moment):
    """What is written to a filter is read as the same millisecond, and always has its offset."""
    assert to_milliseconds(format_milliseconds(moment)) == moment
    assert format_milliseconds(moment).endswith("+00:00")


@pytest.mark.parametrize(
    "text", ["2026-01-05T00:30:00.000+01:00", "2026-01-04T23:30:00.000+00:00", "2026-01-04T18:30:00.000999-05:00"]
)
def test_one_moment_is_one_number_whatever_its_offset(text):
    """Midnight in one zone is the evening before in another, and the same millisecond."""
    assert format_milliseconds(to_milliseconds(text)) == "2026-01-04T23:30:00.000+00:00"


@pytest.mark.parametrize("text", ["", "soon", "2026-01-05T00:30:00.000", "2026-01-05"])
def test_a_text_that_is_no_moment_with_an_offset_is_refused(text):
    """Nobody guesses the zone of a moment."""
    with pytest.raises(ValueError):  # noqa: PT011 - its text is never shown
        to_milliseconds(text)


@given(moments, st.integers(0, 10**12))
def test_halves_are_all_of_the_span_and_each_moment_once(first, length):
    """For any span with both ends: the halves meet, and are as long as each other but for a millisecond."""
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


@given(st.none() | moments, st.none() | moments)
def test_every_split_ends(first, last):
    """However a span is open: splitting it on at either side ends, and loses no moment on the way."""
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


def test_a_span_without_an_end_is_split_where_the_run_began():
    """Up to now; then what a clock ahead of ours has made; what is a day ahead stands alone."""
    left, right = TimeRange(5, None, BEGAN).halves()
    assert (left.first, left.last, right.first, right.last) == (5, BEGAN, BEGAN + 1, None)
    near, far = right.halves()
    assert (near.last, far.first, far.last) == (BEGAN + MAX_CLOCK_SKEW, BEGAN + MAX_CLOCK_SKEW + 1, None)
    assert far.halves() is None


def test_a_span_without_a_beginning_is_split_at_the_year_2000():
    """What is older was taken over from elsewhere."""
    whole, _ = TimeRange(None, None, BEGAN).halves()
    old, new = whole.halves()
    assert (old.first, old.last, new.first, new.last) == (None, EARLIEST, EARLIEST + 1, BEGAN)
    assert format_milliseconds(EARLIEST) == "2000-01-01T00:00:00.000+00:00"
    assert old.halves() is None


def test_the_filters_and_the_name_say_the_bounds():
    """An open end has no filter; the manifest reads as a sentence."""
    assert TimeRange(None, None, BEGAN).filters == {}
    assert TimeRange(BEGAN, None, BEGAN).filters == {"fromcreatedtime": "2026-03-01T12:00:00.000+00:00"}
    assert TimeRange(None, BEGAN, BEGAN).filters == {"tocreatedtime": "2026-03-01T12:00:00.000+00:00"}
    assert str(TimeRange(None, None, BEGAN)) == "createdtime the beginning to now"
    assert str(TimeRange(BEGAN, BEGAN + 7, BEGAN)) == (
        "createdtime 2026-03-01T12:00:00.000+00:00 to 2026-03-01T12:00:00.007+00:00"
    )


def test_a_single_millisecond_past_the_cap_says_what_to_do():
    """It is split by other filters, or the error names them."""
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
def test_a_record_outside_of_the_span_is_told(first, last, inside):
    """A server that passes over the filter, or reads it as a day, gives what was not asked for."""
    text = "2026-03-01T12:00:00.000999+00:00"
    begin, end = (None if bound is None else BEGAN + bound for bound in (first, last))
    span = TimeRange(begin, end, BEGAN)
    facts = PageStats(1, ranges={"createdTime": (text, text), "dueDate": ("1999-01-01", "2999-01-01")})
    if inside:
        span.check(AR_ITEMS, facts)
        return
    with pytest.raises(ArmConfigurationError, match="does not go by the filters fromcreatedtime and tocreatedtime"):
        span.check(AR_ITEMS, facts)
