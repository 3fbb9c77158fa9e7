"""Amounts of a reconciliation: read exactly, and written for a person."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from airflow_provider_arm.client.money import MAX_EXPONENT
from airflow_provider_arm.export.pages.page_stats import amount_text

#: A number as JSON, CSV and Parquet have it; Python's ``Decimal`` would take ``1_000`` and ``NaN``, too.
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
#: No amount has more; sums of such are still exact.
_MAX_DIGITS = 60
#: Money has at least two places, and thousands stand apart (by a space that does not break the line).
_PLACES, _GROUP, _SPACE = 2, 3, "\N{NO-BREAK SPACE}"


def parse_amount(value: Any) -> Decimal:
    """Read an amount: a whole number, a ``Decimal``, or text such as ``124.37``.

    :raises ValueError: it is none of these, or of an absurd size; the message goes on after "the amount".
    """
    if isinstance(value, str):
        number = Decimal(value) if _NUMBER.fullmatch(value) else None
    else:
        number = Decimal(value) if type(value) in {int, Decimal} else None
    if number is None or not number.is_finite():
        msg = 'is no exact number such as "124.37"'
        raise ValueError(msg)
    if abs(number.adjusted()) > MAX_EXPONENT or len(number.as_tuple().digits) > _MAX_DIGITS:
        msg = "is of an absurd size"
        raise ValueError(msg)
    return number


def format_amount(amount: Decimal | None) -> str:
    """Write an amount as a table shows it: every digit, two places at least, ``1 234 567.50``; none is a dash."""
    if amount is None:
        return "-"
    whole, _, places = amount_text(amount).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    first = len(digits) % _GROUP or _GROUP
    groups = [digits[:first], *(digits[at : at + _GROUP] for at in range(first, len(digits), _GROUP))]
    return f"{sign}{_SPACE.join(groups)}.{places:0<{_PLACES}}"
