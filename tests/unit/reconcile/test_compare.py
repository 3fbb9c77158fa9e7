"""Comparison of two sides: every period and currency, exact differences, and no match of two empty sides."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.reconcile.compare import (
    ComparisonOptions,
    ComparisonStatus,
    build_remarks,
    compare,
    parse_tolerance,
)
from airflow_provider_arm.reconcile.sums import AmountTotal, ComparisonSide

MONTHS = ["2026-08", "2026-09", "2026-10"]
#: Up to 15 digits and 4 decimals.
amounts = st.decimals(min_value=-(10**11) + 1, max_value=10**11 - 1, places=4, allow_nan=False)
keys = st.tuples(st.sampled_from([*MONTHS, ""]), st.sampled_from(["NOK", "EUR", ""]))
side_amounts = st.dictionaries(keys, st.builds(AmountTotal, amounts, st.integers(1, 9)))
MATCHING = {ComparisonStatus.MATCHES, ComparisonStatus.WITHIN_TOLERANCE}


def make_side(by_key=None, name="AR items", **months):
    """Return a side; a keyword such as ``x10`` sets the amount of October 2026 in NOK."""
    named = {(f"2026-{month[1:]}", "NOK"): total for month, total in months.items()}
    return ComparisonSide(name, {**(by_key or {}), **named})


def total(amount, records=1):
    """Return an amount of *records* records; ``None`` records: a figure."""
    return AmountTotal(Decimal(amount), records)


@given(left=side_amounts, right=side_amounts, inverted=st.booleans())
def test_compare_has_one_exact_row_per_period_and_currency(left, right, inverted):
    """No key of either side is missing, each difference is exact, and the totals equal the sums of the sides."""
    options = ComparisonOptions(invert_right=inverted, allow_empty=True)
    comparison = compare(make_side(left), make_side(right, "GL items"), options)
    rows = {(row.period, row.currency): row for row in comparison.rows if (row.left, row.right) != (None, None)}
    assert set(rows) == {*left, *right}
    for key, row in rows.items():
        ours, theirs = (Fraction(side[key].amount) if key in side else Fraction(0) for side in (left, right))
        assert Fraction(row.difference) == (ours + theirs if inverted else ours - theirs)
        assert row.matches == (key in left and key in right and not row.difference)
    assert comparison.matches == all(row.matches for row in comparison.rows)
    for row in comparison.totals:
        for side, amount in ((left, row.left), (right, row.right)):
            parts = [Fraction(part.amount) for key, part in side.items() if key[1] == row.currency]
            assert (None if amount is None else Fraction(amount)) == (sum(parts) if parts else None)


@given(left=side_amounts.filter(bool), data=st.data())
def test_compare_finds_the_smallest_change_and_only_that(left, data):
    """A ten-thousandth more, a missing period or a moved period is a difference in its own row, and in no other."""
    right = {key: AmountTotal(part.amount, part.records) for key, part in left.items()}
    assert compare(make_side(left), make_side(right), ComparisonOptions()).matches
    key = data.draw(st.sampled_from(sorted(left)))
    change = data.draw(st.sampled_from(["more", "missing", "moved"]))
    if change == "more":
        right[key].amount += Decimal("0.0001")
    elif change == "missing":
        del right[key]
    else:
        right[("2027-01", key[1])] = right.pop(key)
    comparison = compare(make_side(left), make_side(right), ComparisonOptions())
    expected = sorted([key, ("2027-01", key[1])] if change == "moved" else [key])
    assert [(row.period, row.currency) for row in comparison.differences] == expected


@given(left=side_amounts, right=side_amounts, periods=st.lists(st.sampled_from(MONTHS), min_size=1, unique=True))
def test_compare_sums_other_periods_when_periods_are_given(left, right, periods):
    """The totals and the totals of other periods together equal the sums of the sides."""
    comparison = compare(make_side(left), make_side(right), ComparisonOptions(periods=periods))
    assert {row.period for row in comparison.rows} == set(periods)
    for attribute, side in (("left", left), ("right", right)):
        shown = [getattr(row, attribute) for row in (*comparison.totals, *comparison.outside)]
        expected = sum(Fraction(part.amount) for part in side.values())
        assert sum(Fraction(amount) for amount in shown if amount is not None) == expected


@given(difference=amounts.map(abs), tolerance=amounts.map(abs), sign=st.sampled_from([1, -1]))
def test_tolerance_includes_its_bound(difference, tolerance, sign):
    """A difference of exactly the tolerance matches, in both directions."""
    options = ComparisonOptions(parse_tolerance(tolerance))
    comparison = compare(make_side(x10=total(sign * difference)), make_side(x10=total(0)), options)
    assert comparison.matches == (difference <= tolerance)


def test_tolerance_by_currency_applies_to_no_other_currency():
    """A currency without a tolerance of its own has none."""
    left = make_side({("2026-10", "NOK"): total("1.50"), ("2026-10", "EUR"): total("1.50")})
    right = make_side({("2026-10", "NOK"): total("1.00"), ("2026-10", "EUR"): total("1.00")})
    (row,) = compare(left, right, ComparisonOptions(parse_tolerance({"nok": "0.50"}))).differences
    assert row.currency == "EUR"


@pytest.mark.parametrize(
    ("left", "right", "status"),
    [
        (total("0.00"), None, ComparisonStatus.RIGHT_MISSING),
        (None, total("0.00"), ComparisonStatus.LEFT_MISSING),
        (total("0.01"), None, ComparisonStatus.RIGHT_MISSING),
        (None, total("0", None), ComparisonStatus.MATCHES),
        (None, total("0.01", None), ComparisonStatus.LEFT_MISSING),
        (total("0"), total("0", None), ComparisonStatus.MATCHES),
        (total("0.01"), total("0"), ComparisonStatus.WITHIN_TOLERANCE),
    ],
)
def test_missing_side_is_a_difference_unless_the_other_is_a_zero_figure(left, right, status):
    """Records that sum to 0 are still records, and no tolerance covers a side without records."""
    sides = [make_side({("2026-10", "NOK"): amount} if amount else {}) for amount in (left, right)]
    (row,) = compare(sides[0], sides[1], ComparisonOptions(parse_tolerance("1"))).rows
    assert (row.status, row.matches) == (status, status in MATCHING)


@pytest.mark.parametrize(
    ("periods", "months", "empty"),
    [(None, {}, [""]), (["2026-10"], {}, ["2026-10"]), (["2026-09", "2026-10"], {"x10": total(1)}, ["2026-09"])],
)
def test_empty_period_is_a_difference_unless_allowed(periods, months, empty):
    """Two empty exports do not match, nor does a requested period that neither side has; allow_empty permits both."""
    sides = make_side(**months), make_side(**months)
    assert [row.period for row in compare(*sides, ComparisonOptions(periods=periods)).differences] == empty
    assert compare(*sides, ComparisonOptions(periods=periods, allow_empty=True)).matches


def test_sides_of_one_name_are_renamed():
    """Today's AR items and last week's have different names in the report."""
    comparison = compare(make_side(x10=total(1)), make_side(x10=total(1)), ComparisonOptions())
    assert (comparison.left.name, comparison.right.name) == ("AR items (export)", "AR items (against)")


def remarks_on(left, right, options=None):
    """Return the remarks as one text."""
    return " ".join(build_remarks(compare(left, right, options or ComparisonOptions())))


def test_remarks_describe_patterns_of_differences():
    """Moved periods, opposite signs, records without amounts and different services; no remark without a pattern."""
    moved = remarks_on(make_side(x09=total(5), x10=total(7)), make_side(x09=total(7), x10=total(5)))
    assert moved == "NOK: the totals over all periods match. Some amounts are in different periods on the two sides."
    opposite = "NOK: the two sides differ in sign only. See invert_against."
    left, negated = make_side(x09=total(5), x10=total(7)), make_side(x09=total(-5), x10=total(-7))
    assert remarks_on(left, negated) == opposite
    inverted = ComparisonOptions(invert_right=True)
    assert remarks_on(make_side(x10=total(5)), make_side(x10=total(5)), inverted) == opposite
    assert remarks_on(make_side(x10=total(5)), make_side(x10=total(6))) == ""
    assert remarks_on(make_side(x10=total(5)), make_side(x10=total(5))) == ""
    assert remarks_on(make_side(), make_side(x10=total(5))) == ""
    files = ({"api": "https://a", "rows_without_amount": 2},), ({"api": "https://b", "rows_without_amount": 0},)
    sides = [ComparisonSide(name, {("2026-10", "NOK"): total(1)}, file) for name, file in zip("LR", files, strict=True)]
    expected = "The exports come from different ARM services. 2 of the L have no amount and count as 0."
    assert remarks_on(*sides) == expected


@pytest.mark.parametrize(
    "tolerance", [0.5, "-0.01", "x", "", "NaN", "1e99", None, True, {"NOK": 0.5}, {"": "1"}, {"Kroner": "1"}]
)
def test_parse_tolerance_rejects_what_is_no_exact_amount(tolerance):
    """A float, an amount below 0 and an invalid currency are errors."""
    with pytest.raises(ArmConfigurationError, match="tolerance must be"):
        parse_tolerance(tolerance)
