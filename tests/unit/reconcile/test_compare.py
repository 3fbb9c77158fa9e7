"""Two sides compared: nothing left out, nothing rounded, nothing that agrees by chance of being empty."""

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
    compare,
    parse_tolerance,
    remarks,
)
from airflow_provider_arm.reconcile.sums import AmountTotal, ComparisonSide

MONTHS = ["2026-08", "2026-09", "2026-10"]
#: Up to 15 digits and 4 places.
amounts = st.decimals(min_value=-(10**11) + 1, max_value=10**11 - 1, places=4, allow_nan=False)
keys = st.tuples(st.sampled_from([*MONTHS, ""]), st.sampled_from(["NOK", "EUR", ""]))
sums = st.dictionaries(keys, st.builds(AmountTotal, amounts, st.integers(1, 9)))
AGREES = {ComparisonStatus.AGREES, ComparisonStatus.WITHIN}


def side(found=None, name="AR items", **lines):
    """Make a side; by keyword a line in NOK."""
    return ComparisonSide(
        name, {**(found or {}), **{(f"2026-{month[1:]}", "NOK"): made for month, made in lines.items()}}
    )


def of(amount, rows=1):
    """Make a sum."""
    return AmountTotal(Decimal(amount), rows)


@given(left=sums, right=sums, inverted=st.booleans())
def test_every_line_of_either_side_is_there_and_exact(left, right, inverted):
    """Each period and currency once; the difference to the last digit; together what the sides came to."""
    comparison = compare(
        side(left), side(right, "GL items"), ComparisonOptions(invert_right=inverted, allow_empty=True)
    )
    lines = {(line.period, line.currency): line for line in comparison.rows if (line.left, line.right) != (None, None)}
    assert set(lines) == {*left, *right}
    for key, line in lines.items():
        mine, others = (Fraction(found[key].amount) if key in found else Fraction(0) for found in (left, right))
        assert Fraction(line.difference) == (mine + others if inverted else mine - others)
        assert line.agrees == (key in left and key in right and not line.difference)
    assert comparison.matches == all(line.agrees for line in comparison.rows)
    for total in comparison.totals:
        for found, amount in ((left, total.left), (right, total.right)):
            own = [Fraction(one.amount) for key, one in found.items() if key[1] == total.currency]
            assert (None if amount is None else Fraction(amount)) == (sum(own) if own else None)


@given(left=sums.filter(bool), data=st.data())
def test_the_smallest_change_of_any_line_is_found_and_only_there(left, data):
    """A ten-thousandth more, a line less, a line more: one difference, in its place."""
    right = {key: AmountTotal(found.amount, found.rows) for key, found in left.items()}
    assert compare(side(left), side(right), ComparisonOptions()).matches
    key = data.draw(st.sampled_from(sorted(left)))
    change = data.draw(st.sampled_from(["more", "gone", "moved"]))
    if change == "more":
        right[key].amount += Decimal("0.0001")
    elif change == "gone":
        del right[key]
    else:
        right[("2027-01", key[1])] = right.pop(key)
    found = [(line.period, line.currency) for line in compare(side(left), side(right), ComparisonOptions()).differences]
    assert found == sorted([key, ("2027-01", key[1])] if change == "moved" else [key])


@given(left=sums, right=sums, periods=st.lists(st.sampled_from(MONTHS), min_size=1, unique=True))
def test_what_is_not_asked_for_is_summed_up_beside(left, right, periods):
    """Lines and what lies outside of them are together all that the sides have."""
    comparison = compare(side(left), side(right), ComparisonOptions(periods=periods))
    assert {line.period for line in comparison.rows} == set(periods)
    for at, found in (("left", left), ("right", right)):
        shown = [getattr(line, at) for line in (*comparison.totals, *comparison.outside)]
        assert sum(Fraction(amount) for amount in shown if amount is not None) == sum(
            Fraction(one.amount) for one in found.values()
        )


@given(difference=amounts.map(abs), tolerance=amounts.map(abs), sign=st.sampled_from([1, -1]))
def test_a_tolerance_is_a_bound_that_may_be_reached(difference, tolerance, sign):
    """To the digit, in both directions."""
    comparison = compare(
        side(x10=of(sign * difference)), side(x10=of(0)), ComparisonOptions(parse_tolerance(tolerance))
    )
    assert comparison.matches == (difference <= tolerance)


def test_a_tolerance_by_currency_is_of_no_other():
    """Without a word for a currency there is none."""
    left = side({("2026-10", "NOK"): of("1.50"), ("2026-10", "EUR"): of("1.50")})
    right = side({("2026-10", "NOK"): of("1.00"), ("2026-10", "EUR"): of("1.00")})
    (line,) = compare(left, right, ComparisonOptions(parse_tolerance({"nok": "0.50"}))).differences
    assert line.currency == "EUR"


@pytest.mark.parametrize(
    ("left", "right", "status"),
    [
        (of("0.00"), None, ComparisonStatus.RIGHT_MISSING),
        (None, of("0.00"), ComparisonStatus.LEFT_MISSING),
        (of("0.01"), None, ComparisonStatus.RIGHT_MISSING),
        (None, of("0", None), ComparisonStatus.AGREES),
        (None, of("0.01", None), ComparisonStatus.LEFT_MISSING),
        (of("0"), of("0", None), ComparisonStatus.AGREES),
        (of("0.01"), of("0"), ComparisonStatus.WITHIN),
    ],
)
def test_what_a_side_lacks_is_a_difference_unless_a_figure_of_nothing_says_so(left, right, status):
    """Records that come to 0 are still records; no tolerance makes up for a side that has none."""
    sides = [side({("2026-10", "NOK"): found} if found else {}) for found in (left, right)]
    (line,) = compare(*sides, ComparisonOptions(parse_tolerance("1"))).rows
    assert (line.status, line.agrees) == (status, status in AGREES)


@pytest.mark.parametrize(
    ("periods", "lines", "silent"),
    [(None, {}, [""]), (["2026-10"], {}, ["2026-10"]), (["2026-09", "2026-10"], {"x10": of(1)}, ["2026-09"])],
)
def test_nothing_on_either_side_proves_nothing(periods, lines, silent):
    """Two empty exports do not agree, nor does a period that neither has, unless the author lets it pass."""
    both = side(**lines), side(**lines)
    assert [line.period for line in compare(*both, ComparisonOptions(periods=periods)).differences] == silent
    assert compare(*both, ComparisonOptions(periods=periods, allow_empty=True)).matches


def test_two_sides_of_one_name_are_told_apart():
    """Today's AR items against last week's."""
    comparison = compare(side(x10=of(1)), side(x10=of(1)), ComparisonOptions())
    assert (comparison.left.name, comparison.right.name) == ("AR items (export)", "AR items (against)")


def says(left, right, options=None):
    """Give the remarks."""
    return " ".join(remarks(compare(left, right, options or ComparisonOptions())))


def test_remarks_say_what_the_differences_look_like():
    """Moved between periods, of opposite sign, without amounts, from elsewhere; and nothing where nothing is."""
    moved = says(side(x09=of(5), x10=of(7)), side(x09=of(7), x10=of(5)))
    assert moved == "NOK: over all periods the two sides agree. Something stands in different periods."
    mirrored = "NOK: the two sides differ by their sign only. See invert_against."
    assert says(side(x09=of(5), x10=of(7)), side(x09=of(-5), x10=of(-7))) == mirrored
    assert says(side(x10=of(5)), side(x10=of(5)), ComparisonOptions(invert_right=True)) == mirrored
    assert says(side(x10=of(5)), side(x10=of(6))) == ""
    assert says(side(x10=of(5)), side(x10=of(5))) == ""
    assert says(side(), side(x10=of(5))) == ""
    files = ({"api": "https://a", "rows_without_amount": 2},), ({"api": "https://b", "rows_without_amount": 0},)
    told = says(
        *(ComparisonSide(name, {("2026-10", "NOK"): of(1)}, file) for name, file in zip("LR", files, strict=True))
    )
    assert told == "The exports are from different ARM services. 2 of the L have no amount and count as 0."


@pytest.mark.parametrize(
    "tolerance", [0.5, "-0.01", "x", "", "NaN", "1e99", None, True, {"NOK": 0.5}, {"": "1"}, {"Kroner": "1"}]
)
def test_a_tolerance_is_an_exact_amount(tolerance):
    """No float, nothing below 0, no currency that is none."""
    with pytest.raises(ArmConfigurationError, match="tolerance must be"):
        parse_tolerance(tolerance)
