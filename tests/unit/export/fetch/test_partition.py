from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmIncompleteListError, ArmResultLimitError
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.export.fetch.partition import Partition, parse_split_by

WEEK = DateWindow("2026-01-05", "2026-01-11").date_range()
SPLIT = parse_split_by({"customerno": ["1", 2], "onlyopen": ["true", "false"]})


def limit_error(counted: int = 10_000) -> ArmResultLimitError:
    """Build the error for a query that matches too many records."""
    return ArmResultLimitError("too much", total_count=counted)


def leaves(part: Partition) -> list[Partition]:
    """Split a partition until nothing can be split any more."""
    try:
        parts = part.split(limit_error(0))
    except ArmResultLimitError:
        return [part]
    return [leaf for one in parts for leaf in leaves(one)]


@settings(max_examples=50, deadline=None)
@given(st.dates(dt.date(2000, 1, 1), dt.date(2030, 1, 1)), st.integers(0, 40))
def test_repeated_splits_request_every_day_and_value_once(first, length):
    """The smallest partitions are all combinations of day and values, in order."""
    days = DateWindow(first, first + dt.timedelta(days=length)).date_range()
    requested = [part.filters(DEFAULT_READINGS.filters) for part in leaves(Partition(days, remaining_split_by=SPLIT))]
    assert requested == [
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


def test_partition_without_window_is_split_by_value():
    """The filter in split_by is enough."""
    assert [
        part.filters(DEFAULT_READINGS.filters) for part in Partition(remaining_split_by=SPLIT[:1]).split(limit_error())
    ] == [{"customerno": "1"}, {"customerno": "2"}]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Partition(), r"set window=DateWindow\(\.\.\.\)"),
        (
            Partition(DateWindow("2026-01-05", "2026-01-05").date_range()),
            "2026-01-05 to 2026-01-05 cannot be split further",
        ),
        (Partition(split_values={"customerno": "540001"}), "one customerno cannot be split further"),
    ],
)
def test_unsplittable_partition_raises_with_what_to_set(part, message):
    """The message contains no value of a filter."""
    with pytest.raises(ArmResultLimitError, match=message) as caught:
        part.split(limit_error())
    assert "540001" not in str(caught.value)


@pytest.mark.parametrize(("rows", "whole"), [((6000, 4000), True), ((6000, 3999), False), ((9000, 9000), True)])
def test_finished_raises_when_parts_have_fewer_records_than_counted(rows, whole):
    """The filters leave a gap, or the list has changed."""
    first, second = Partition(WEEK).split(limit_error(10_000))
    first.finished(rows[0])
    if whole:
        second.finished(rows[1])
        return
    with pytest.raises(ArmIncompleteListError, match="contain 9999 records, but ARM counted 10000"):
        second.finished(rows[1])


def test_finished_checks_counts_of_nested_partitions():
    """A half that was split again is checked too, and then the whole."""
    whole = Partition(WEEK)
    first, second = whole.split(limit_error(100))
    left, right = first.split(limit_error(50))
    left.finished(30)
    right.finished(25)
    with pytest.raises(ArmIncompleteListError, match="contain 99 records, but ARM counted 100"):
        second.finished(44)


@pytest.mark.parametrize("values", ["1001", [], ["1", "1"], ["1", 1]])
def test_split_by_raises_unless_values_are_a_list_without_duplicates(values):
    """A duplicate value would export its records twice."""
    with pytest.raises(ArmConfigurationError, match="split_by: customerno"):
        parse_split_by({"customerno": values})
