from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmIncompleteListError, ArmResultLimitError
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.export.fetch.partition import Partition, parse_split_by

WEEK = DateWindow("2026-01-05", "2026-01-11").date_range()
SPLIT = parse_split_by({"customerno": ["1", 2], "onlyopen": ["true", "false"]})


def cap(counted: int = 10_000) -> ArmResultLimitError:
    """Say that a query does not give it all."""
    return ArmResultLimitError("too much", total_count=counted)


def leaves(part: Partition) -> list[Partition]:
    """Split as far as it goes."""
    try:
        parts = part.split(cap(0))
    except ArmResultLimitError:
        return [part]
    return [leaf for one in parts for leaf in leaves(one)]


@settings(max_examples=50, deadline=None)
@given(st.dates(dt.date(2000, 1, 1), dt.date(2030, 1, 1)), st.integers(0, 40))
def test_every_day_and_value_is_asked_for_once(first, length):
    """Split to the end, days and values make every pair once, in order."""
    days = DateWindow(first, first + dt.timedelta(days=length)).date_range()
    asked = [part.filters for part in leaves(Partition(days, remaining_split_by=SPLIT))]
    assert asked == [
        {
            "fromvoucherdate": str(first + dt.timedelta(days=n)),
            "tovoucherdate": str(first + dt.timedelta(days=n)),
            "customerno": customer,
            "onlyopen": is_open,
        }
        for n in range(length + 1)
        for customer in ("1", "2")
        for is_open in ("true", "false")
    ]


def test_without_days_it_is_split_by_value():
    """A list that has no window can be split by the author's filter alone."""
    assert [part.filters for part in Partition(remaining_split_by=SPLIT[:1]).split(cap())] == [
        {"customerno": "1"},
        {"customerno": "2"},
    ]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (Partition(), r"give the operator a window=DateWindow\(\.\.\.\)"),
        (
            Partition(DateWindow("2026-01-05", "2026-01-05").date_range()),
            "2026-01-05 to 2026-01-05 cannot be split further",
        ),
        (Partition(split_values={"customerno": "540001"}), "one customerno cannot be split further"),
    ],
)
def test_what_cannot_be_split_says_what_to_do(part, says):
    """The way out stands in the error; the value of a filter does not."""
    with pytest.raises(ArmResultLimitError, match=says) as caught:
        part.split(cap())
    assert "540001" not in str(caught.value)


@pytest.mark.parametrize(("rows", "whole"), [((6000, 4000), True), ((6000, 3999), False), ((9000, 9000), True)])
def test_parts_that_hold_less_than_the_whole_are_no_export(rows, whole):
    """ARM counted 10,000 for the week: halves that hold fewer have a gap, or the list has changed."""
    first, second = Partition(WEEK).split(cap(10_000))
    first.finished(rows[0])
    if whole:
        second.finished(rows[1])
        return
    with pytest.raises(ArmIncompleteListError, match="hold 9999 records and ARM had counted 10000"):
        second.finished(rows[1])


def test_the_count_is_held_to_at_every_level():
    """A half that was split again is checked against its own count, and the whole against both halves."""
    whole = Partition(WEEK)
    first, second = whole.split(cap(100))
    left, right = first.split(cap(50))
    left.finished(30)
    right.finished(25)
    with pytest.raises(ArmIncompleteListError, match="hold 99 records and ARM had counted 100"):
        second.finished(44)


@pytest.mark.parametrize("values", ["1001", [], ["1", "1"], ["1", 1]])
def test_values_to_split_by_are_a_list_without_repeats(values):
    """Text is no list, and a value that stands there twice would come twice."""
    with pytest.raises(ArmConfigurationError, match="split_by: customerno"):
        parse_split_by({"customerno": values})
