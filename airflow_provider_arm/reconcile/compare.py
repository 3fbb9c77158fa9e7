"""Comparison of two sides by period and currency. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.money import EXACT
from airflow_provider_arm.reconcile.amount import parse_amount
from airflow_provider_arm.reconcile.fields import parse_currency
from airflow_provider_arm.reconcile.sums import AmountTotal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_arm.reconcile.sums import ComparisonSide, PeriodCurrency

_ZERO = Decimal(0)


class ComparisonStatus(StrEnum):
    """Result of one comparison row. The values are shown in the reports."""

    MATCHES = "matches"
    WITHIN_TOLERANCE = "within tolerance"
    DIFFERS = "differs"
    #: One side has no record here. That is a difference even if the other side's records sum to 0.
    LEFT_MISSING = "missing on the left"
    RIGHT_MISSING = "missing on the right"
    #: Neither side has a record or a figure here. That proves nothing.
    EMPTY = "empty on both sides"


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """The two sides of one period and currency. The amount of a side without records is ``None``."""

    period: str
    currency: str
    left: Decimal | None
    right: Decimal | None
    #: Left minus right, or left plus right where the right side is inverted. A missing side counts as 0.
    difference: Decimal
    tolerance: Decimal
    status: ComparisonStatus
    #: Number of summed records; ``None`` for a figure.
    left_records: int | None = 0
    right_records: int | None = 0

    @property
    def matches(self) -> bool:
        """Whether the row is no difference."""
        return self.status in {ComparisonStatus.MATCHES, ComparisonStatus.WITHIN_TOLERANCE}


@dataclass(frozen=True, slots=True)
class ComparisonOptions:
    """Options of a comparison."""

    #: Largest absolute difference that still matches, by currency; ``""`` is the default of all other currencies.
    tolerance: Mapping[str, Decimal] = field(default_factory=dict)
    #: Whether the right side shows a debit with the opposite sign: its amounts are negated.
    invert_right: bool = False
    #: Compare only these periods; ``None``: every period that either side has.
    periods: Sequence[str] | None = None
    #: Whether a period that is empty on both sides matches.
    allow_empty: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a comparison."""

    left: ComparisonSide
    right: ComparisonSide
    options: ComparisonOptions
    #: One row per period and currency, sorted by both. Periods that were not requested are in *outside*.
    rows: Sequence[ComparisonRow]
    #: One row per currency, over all periods of *rows*. Only the statuses of *rows* decide whether the sides match.
    totals: Sequence[ComparisonRow]
    #: One row per currency, over the periods that were not requested.
    outside: Sequence[ComparisonRow]

    @property
    def differences(self) -> Sequence[ComparisonRow]:
        """The rows that do not match."""
        return [row for row in self.rows if not row.matches]

    @property
    def matches(self) -> bool:
        """Whether every row matches."""
        return not self.differences


def compare(left: ComparisonSide, right: ComparisonSide, options: ComparisonOptions) -> Comparison:
    """Compare every period and currency that either side has.

    Sides of the same name are renamed to "... (export)" and "... (against)".
    """
    if left.name == right.name:
        left, right = replace(left, name=f"{left.name} (export)"), replace(right, name=f"{right.name} (against)")
    keys = {*left.amounts, *right.amounts}
    requested = keys if options.periods is None else {key for key in keys if key[0] in options.periods}
    rows = [_build_row(key, left.amounts.get(key), right.amounts.get(key), options) for key in requested]
    empty = ComparisonStatus.MATCHES if options.allow_empty else ComparisonStatus.EMPTY
    rows += [
        ComparisonRow(period, "", None, None, _ZERO, _ZERO, empty) for period in _empty_periods(requested, options)
    ]
    return Comparison(
        left,
        right,
        options,
        sorted(rows, key=lambda row: (row.period, row.currency)),
        _sum_by_currency(left, right, requested, options),
        _sum_by_currency(left, right, keys - requested, options),
    )


def _empty_periods(keys: Iterable[PeriodCurrency], options: ComparisonOptions) -> list[str]:
    """Return the requested periods that neither side has; without requested periods ``[""]`` if there is no key."""
    found = {period for period, _ in keys}
    if options.periods is None:
        return [] if found else [""]
    return [period for period in dict.fromkeys(options.periods) if period not in found]


def _build_row(
    key: PeriodCurrency, left: AmountTotal | None, right: AmountTotal | None, options: ComparisonOptions
) -> ComparisonRow:
    left_amount, right_amount = (left.amount if left else _ZERO), (right.amount if right else _ZERO)
    combine = EXACT.add if options.invert_right else EXACT.subtract
    difference = combine(left_amount, right_amount)
    tolerance = options.tolerance.get(key[1], options.tolerance.get("", _ZERO))
    return ComparisonRow(
        *key,
        left.amount if left else None,
        right.amount if right else None,
        difference,
        tolerance,
        _status(left, right, difference, tolerance),
        left.records if left else 0,
        right.records if right else 0,
    )


def _status(
    left: AmountTotal | None, right: AmountTotal | None, difference: Decimal, tolerance: Decimal
) -> ComparisonStatus:
    if left is None and not _is_zero_figure(right):
        return ComparisonStatus.LEFT_MISSING
    if right is None and not _is_zero_figure(left):
        return ComparisonStatus.RIGHT_MISSING
    if not difference:
        return ComparisonStatus.MATCHES
    return ComparisonStatus.WITHIN_TOLERANCE if abs(difference) <= tolerance else ComparisonStatus.DIFFERS


def _is_zero_figure(total: AmountTotal | None) -> bool:
    """Return whether *total* is a figure of 0: it states that there are no records. Records that sum to 0 do not."""
    return total is not None and total.records is None and not total.amount


def _sum_by_currency(
    left: ComparisonSide, right: ComparisonSide, keys: Iterable[PeriodCurrency], options: ComparisonOptions
) -> list[ComparisonRow]:
    totals: tuple[dict[str, AmountTotal], dict[str, AmountTotal]] = ({}, {})
    for key in keys:
        for side, by_currency in zip((left, right), totals, strict=True):
            if key in side.amounts:
                by_currency.setdefault(key[1], AmountTotal()).add(side.amounts[key])
    currencies = sorted({*totals[0], *totals[1]})
    return [
        _build_row(("", currency), totals[0].get(currency), totals[1].get(currency), options) for currency in currencies
    ]


def build_remarks(comparison: Comparison) -> list[str]:
    """Return sentences about patterns in the differences, which help to find their cause."""
    remarks = []
    for total in comparison.totals:
        differences = [row for row in comparison.differences if row.currency == total.currency]
        name = total.currency or "No currency"
        if len(differences) > 1 and not total.difference:
            remarks.append(
                f"{name}: the totals over all periods match. Some amounts are in different periods on the two sides."
            )
        if (
            differences
            and all(row.left for row in differences)
            and all(_is_opposite(row, inverted=comparison.options.invert_right) for row in differences)
        ):
            remarks.append(f"{name}: the two sides differ in sign only. See invert_against.")
    apis = {file["api"] for side in (comparison.left, comparison.right) for file in side.files if "api" in file}
    if len(apis) > 1:
        remarks.append("The exports come from different ARM services.")
    for side in (comparison.left, comparison.right):
        missing = sum(file.get("rows_without_amount", 0) for file in side.files)
        if missing:
            remarks.append(f"{missing} of the {side.name} have no amount and count as 0.")
    return remarks


def _is_opposite(row: ComparisonRow, *, inverted: bool) -> bool:
    if row.left is None or row.right is None:
        return False
    return row.left == (row.right if inverted else -row.right)


def parse_tolerance(value: Any) -> dict[str, Decimal]:
    """Parse a tolerance: one amount for all currencies, or amounts by currency, where all other currencies have 0.

    :raises ArmConfigurationError: *value* is neither, or an amount is below 0.
    """
    amounts = value if isinstance(value, Mapping) else {"": value}
    tolerance = {}
    for currency, amount in amounts.items():
        try:
            code, number = parse_currency(currency), parse_amount(amount)
            if isinstance(value, Mapping) and not code:
                raise ValueError  # noqa: TRY301 - reported like any other invalid tolerance
        except ValueError:
            number = None
        if number is None or number < 0:
            msg = 'tolerance must be an amount such as "0.50", or amounts by currency: 0 or more, and no floats'
            raise ArmConfigurationError(msg)
        tolerance[code] = number
    return tolerance
