"""Periods: the period of a date, and the labels of periods."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.reconcile.period import Period

BY_DATE = [Period.MONTH, Period.QUARTER, Period.YEAR]


@given(day=st.dates(), period=st.sampled_from(BY_DATE))
def test_labels_are_valid_and_sort_by_time(day, period):
    """Text and dates get the same label, which a DAG may contain; a label covers exactly the months of its period."""
    (label,) = period.labels(1, [[day]])
    assert period.labels(1, [[day.isoformat()]]) == [label]
    assert period.check_label(label, "here") == label
    earlier = dt.date.fromordinal(max(1, day.toordinal() - 40))
    assert period.labels(1, [[earlier]])[0] <= label
    months = {"month": (day.month, day.month), "year": (1, 12)}.get(period)
    first, last = months or (day.month - (day.month - 1) % 3, day.month + 2 - (day.month - 1) % 3)
    is_same = [period.labels(1, [[day.replace(month=month, day=1)]])[0] == label for month in range(1, 13)]
    assert [month for month, same in enumerate(is_same, start=1) if same] == list(range(first, last + 1))


@pytest.mark.parametrize("period", BY_DATE)
@pytest.mark.parametrize("value", ["2026-13-01", "2026-02-30", "20261001", "2026-10-01T00:00:00Z", 20261001, "x" * 10])
def test_labels_reject_what_is_no_date(period, value):
    """A timestamp is rejected too, because its day depends on the time zone."""
    with pytest.raises(ValueError, match="is not a date"):
        period.labels(1, [[value]])


@pytest.mark.parametrize("value", [None, ""])
def test_labels_of_records_without_a_date_are_empty(value):
    """Such records have a period of their own and are compared like all others."""
    assert {period.labels(1, [[value]])[0] for period in BY_DATE} == {""}
    assert Period.LEDGER.labels(2, [[2026, value], [value, 10]]) == ["", ""]


@given(year=st.integers(0, 9999), period=st.integers(0, 99))
def test_ledger_labels_accept_numbers_and_text(year, period):
    """Leading zeros make no difference, and a thirteenth period is valid."""
    label = f"{year:04}-{period:02}"
    years, periods = [year, str(year), f"{year:04}"], [period, str(period), f"{period:02}"]
    assert Period.LEDGER.labels(3, [years, periods]) == [label] * 3
    assert Period.LEDGER.check_label(label, "here") == label


@pytest.mark.parametrize(("year", "period"), [("x", 1), (2026, -1), (2026, 100), (20261, 1), (2026, "1.0"), (True, 1)])
def test_ledger_labels_reject_what_is_no_period(year, period):
    """Text, signs, decimals and too many digits are errors."""
    with pytest.raises(ValueError, match="is not a year or a period of a ledger"):
        Period.LEDGER.labels(1, [[year], [period]])


@pytest.mark.parametrize(
    ("period", "label"),
    [
        ("month", "2026-13"),
        ("month", "2026-1"),
        ("month", "10/2026"),
        ("month", "2026-Q4"),
        ("quarter", "2026-Q5"),
        ("quarter", "2026-10"),
        ("year", "26"),
        ("ledger", "2026-001"),
        ("none", "2026"),
        ("month", None),
        ("year", 2026.0),
    ],
)
def test_check_label_rejects_another_spelling(period, label):
    """The message names the place and an example."""
    with pytest.raises(ArmConfigurationError, match=r"here: a period must be written as \"[^\"]+\""):
        Period(period).check_label(label, "here")


@pytest.mark.parametrize("value", ["week", "", None, ["month"], "Month"])
def test_parse_period_rejects_unknown_values(value):
    """The message lists all periods."""
    with pytest.raises(ArmConfigurationError, match="month, quarter, year, ledger, none"):
        Period.parse(value)
