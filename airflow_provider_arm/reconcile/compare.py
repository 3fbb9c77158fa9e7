"""Two ledgers side by side: every period and currency of either, and whether they agree. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.pages.page_stats import EXACT
from airflow_provider_arm.reconcile.amount import parse_amount
from airflow_provider_arm.reconcile.fields import parse_currency
from airflow_provider_arm.reconcile.sums import AmountTotal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_arm.reconcile.sums import ComparisonSide, PeriodCurrency

_ZERO = Decimal(0)


class ComparisonStatus(StrEnum):
    """How the two sides of a line stand."""

    AGREES = "agrees"
    WITHIN = "within tolerance"
    DIFFERS = "differs"
    #: A side has no record there; also where the other's records come to nothing.
    LEFT_MISSING = "missing on the left"
    RIGHT_MISSING = "missing on the right"
    #: Nobody has anything there: that proves nothing.
    EMPTY = "nothing on either side"


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A period and a currency; an amount is ``None`` where its side has no record."""

    period: str
    currency: str
    left: Decimal | None
    right: Decimal | None
    #: Left less right, or left and right where they are of opposite sign. A missing side counts as 0.
    difference: Decimal
    tolerance: Decimal
    status: ComparisonStatus
    left_records: int | None = 0
    right_records: int | None = 0

    @property
    def agrees(self) -> bool:
        """Whether it may pass."""
        return self.status in {ComparisonStatus.AGREES, ComparisonStatus.WITHIN}


@dataclass(frozen=True, slots=True)
class ComparisonOptions:
    """How two sides are compared."""

    #: By currency how far they may be apart; under ``""`` of every other currency.
    tolerance: Mapping[str, Decimal] = field(default_factory=dict)
    #: Whether the right side shows a debit with the opposite sign: its amounts are negated.
    invert_right: bool = False
    #: Only these periods; ``None`` for all that either side has.
    periods: Sequence[str] | None = None
    #: Whether a period in which neither side has anything may pass.
    allow_empty: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it."""

    left: ComparisonSide
    right: ComparisonSide
    options: ComparisonOptions
    #: By period, then currency; those that nobody asked for are not among them.
    rows: Sequence[ComparisonRow]
    #: Over all lines of a currency. Their status says nothing beyond that of the lines.
    totals: Sequence[ComparisonRow]
    #: What lies outside of the periods asked for, by currency.
    outside: Sequence[ComparisonRow]

    @property
    def differences(self) -> Sequence[ComparisonRow]:
        """The lines that do not agree."""
        return [line for line in self.rows if not line.agrees]

    @property
    def matches(self) -> bool:
        """Whether the two sides agree."""
        return not self.differences


def compare(left: ComparisonSide, right: ComparisonSide, options: ComparisonOptions) -> Comparison:
    """Compare every period and currency that either side has; none is left out without a word."""
    if left.name == right.name:
        left, right = replace(left, name=f"{left.name} (export)"), replace(right, name=f"{right.name} (against)")
    keys = {*left.sums, *right.sums}
    wanted = keys if options.periods is None else {key for key in keys if key[0] in options.periods}
    lines = [_compare_amounts(key, left.sums.get(key), right.sums.get(key), options) for key in wanted]
    lines += [_empty_row(period, options) for period in _empty_periods(wanted, options)]
    return Comparison(
        left,
        right,
        options,
        sorted(lines, key=lambda line: (line.period, line.currency)),
        _compare_by_currency(left, right, wanted, options),
        _compare_by_currency(left, right, keys - wanted, options),
    )


def _empty_periods(keys: Iterable[PeriodCurrency], options: ComparisonOptions) -> list[str]:
    """Give the periods asked for of which neither side has anything; with none asked for, whether that is all."""
    spoken = {period for period, _ in keys}
    if options.periods is None:
        return [] if spoken else [""]
    return [period for period in dict.fromkeys(options.periods) if period not in spoken]


def _empty_row(period: str, options: ComparisonOptions) -> ComparisonRow:
    status = ComparisonStatus.AGREES if options.allow_empty else ComparisonStatus.EMPTY
    return ComparisonRow(period, "", None, None, _ZERO, _ZERO, status)


def _compare_amounts(
    key: PeriodCurrency, left: AmountTotal | None, right: AmountTotal | None, options: ComparisonOptions
) -> ComparisonRow:
    mine, others = (left.amount if left else _ZERO), (right.amount if right else _ZERO)
    difference = EXACT.add(mine, others) if options.invert_right else EXACT.subtract(mine, others)
    tolerance = options.tolerance.get(key[1], options.tolerance.get("", _ZERO))
    return ComparisonRow(
        *key,
        left.amount if left else None,
        right.amount if right else None,
        difference,
        tolerance,
        _status(left, right, difference, tolerance),
        left.rows if left else 0,
        right.rows if right else 0,
    )


def _status(
    left: AmountTotal | None, right: AmountTotal | None, difference: Decimal, tolerance: Decimal
) -> ComparisonStatus:
    if left is None and not _is_zero_figure(right):
        return ComparisonStatus.LEFT_MISSING
    if right is None and not _is_zero_figure(left):
        return ComparisonStatus.RIGHT_MISSING
    if not difference:
        return ComparisonStatus.AGREES
    return ComparisonStatus.WITHIN if abs(difference) <= tolerance else ComparisonStatus.DIFFERS


def _is_zero_figure(found: AmountTotal | None) -> bool:
    """Tell a figure of 0, which says that there is nothing; records that come to 0 are something."""
    return found is not None and found.rows is None and not found.amount


def _compare_by_currency(
    left: ComparisonSide, right: ComparisonSide, keys: Iterable[PeriodCurrency], options: ComparisonOptions
) -> list[ComparisonRow]:
    sides: tuple[dict[str, AmountTotal], dict[str, AmountTotal]] = ({}, {})
    for key in keys:
        for side, sums in zip((left, right), sides, strict=True):
            if key in side.sums:
                sums.setdefault(key[1], AmountTotal()).add(side.sums[key])
    currencies = sorted({*sides[0], *sides[1]})
    return [
        _compare_amounts(("", currency), sides[0].get(currency), sides[1].get(currency), options)
        for currency in currencies
    ]


def remarks(comparison: Comparison) -> list[str]:
    """Say what the differences look like, for whoever has to find their cause."""
    found = []
    for total in comparison.totals:
        lines = [line for line in comparison.differences if line.currency == total.currency]
        name = total.currency or "No currency"
        if len(lines) > 1 and not total.difference:
            found.append(f"{name}: over all periods the two sides agree. Something stands in different periods.")
        amounts = [line for line in lines if line.left]
        if (
            amounts
            and len(amounts) == len(lines)
            and all(_is_opposite(line, inverted=comparison.options.invert_right) for line in lines)
        ):
            found.append(f"{name}: the two sides differ by their sign only. See invert_against.")
    apis = {file["api"] for side in (comparison.left, comparison.right) for file in side.files if "api" in file}
    if len(apis) > 1:
        found.append("The exports are from different ARM services.")
    for side in (comparison.left, comparison.right):
        without = sum(file.get("rows_without_amount", 0) for file in side.files)
        if without:
            found.append(f"{without} of the {side.name} have no amount and count as 0.")
    return found


def _is_opposite(line: ComparisonRow, *, inverted: bool) -> bool:
    if line.left is None or line.right is None:
        return False
    return line.left == (line.right if inverted else -line.right)


def parse_tolerance(value: Any) -> dict[str, Decimal]:
    """Read an author's tolerance: an amount for every currency, or amounts by currency (the others: 0).

    :raises ArmConfigurationError: it is neither, or below 0.
    """
    given = value if isinstance(value, Mapping) else {"": value}
    found = {}
    for currency, amount in given.items():
        try:
            code, number = parse_currency(currency), parse_amount(amount)
            if isinstance(value, Mapping) and not code:
                raise ValueError  # noqa: TRY301 - reported as any other typo
        except ValueError:
            number = None
        if number is None or number < 0:
            msg = 'tolerance must be an amount such as "0.50", or amounts by currency: 0 or more, and no floats'
            raise ArmConfigurationError(msg)
        found[code] = number
    return found
