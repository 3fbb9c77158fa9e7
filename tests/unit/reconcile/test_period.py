"""Periods: which one a day is in, and how each is written."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.reconcile.period import Period

BY_DAY = [Period.MONTH, Period.QUARTER, Period.YEAR]


@given(day=st.dates(), period=st.sampled_from(BY_DAY))
def test_a_day_is_in_the_period_that_is_written_so(day, period):
    """As text and as a date; the name is one that an author may write, and sorts as time does."""
    (name,) = period.labels(1, [[day]])
    assert period.labels(1, [[day.isoformat()]]) == [name]
    assert period.parse_label(name, "here") == name
    earlier = dt.date.fromordinal(max(1, day.toordinal() - 40))
    assert period.labels(1, [[earlier]])[0] <= name
    months = {"month": (day.month, day.month), "year": (1, 12)}.get(period)
    first, last = months or (day.month - (day.month - 1) % 3, day.month + 2 - (day.month - 1) % 3)
    alike = [period.labels(1, [[day.replace(month=month, day=1)]])[0] == name for month in range(1, 13)]
    assert [month for month, same in enumerate(alike, start=1) if same] == list(range(first, last + 1))


@pytest.mark.parametrize("period", BY_DAY)
@pytest.mark.parametrize("value", ["2026-13-01", "2026-02-30", "20261001", "2026-10-01T00:00:00Z", 20261001, "x" * 10])
def test_what_is_no_day_is_told(period, value):
    """Also a moment, whose day depends on where one stands."""
    with pytest.raises(ValueError, match="is no day"):
        period.labels(1, [[value]])


@pytest.mark.parametrize("value", [None, ""])
def test_a_record_without_a_date_is_in_a_period_of_its_own(value):
    """It is compared like any other."""
    assert {period.labels(1, [[value]])[0] for period in BY_DAY} == {""}
    assert Period.LEDGER.labels(2, [[2026, value], [value, 10]]) == ["", ""]


@given(year=st.integers(0, 9999), period=st.integers(0, 99))
def test_a_ledgers_period_is_its_own(year, period):
    """Numbers and text alike; a thirteenth period is one."""
    name = f"{year:04}-{period:02}"
    assert (
        Period.LEDGER.labels(3, [[year, str(year), f"{year:04}"], [period, str(period), f"{period:02}"]]) == [name] * 3
    )
    assert Period.LEDGER.parse_label(name, "here") == name


@pytest.mark.parametrize(("year", "period"), [("x", 1), (2026, -1), (2026, 100), (20261, 1), (2026, "1.0"), (True, 1)])
def test_what_is_no_ledgers_period_is_told(year, period):
    """Whatever stands there."""
    with pytest.raises(ValueError, match="no period of a ledger"):
        Period.LEDGER.labels(1, [[year], [period]])


@pytest.mark.parametrize(
    ("period", "name"),
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
def test_a_period_that_is_written_otherwise_is_told(period, name):
    """The message says where, and how it should be."""
    with pytest.raises(ArmConfigurationError, match=r"here: a period must be written as \"[^\"]+\""):
        Period(period).parse_label(name, "here")


@pytest.mark.parametrize("name", ["week", "", None, ["month"], "Month"])
def test_a_kind_of_period_that_is_none_is_told(name):
    """The message names all that there are."""
    with pytest.raises(ArmConfigurationError, match="month, quarter, year, ledger, none"):
        Period.parse(name)
