"""Amounts of a reconciliation: parsed exactly and formatted for the report."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from airflow_provider_arm.client.money import MAX_EXPONENT
from airflow_provider_arm.export.pages.page_stats import amount_text

#: A number as JSON, CSV and Parquet write it. Python's ``Decimal`` would also accept ``1_000`` and ``NaN``.
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
#: Far more digits than any amount has; sums of such amounts are still exact.
_MAX_DIGITS = 60
#: Amounts have at least two decimals; thousands are separated by a space at which no line is broken.
_MIN_DECIMALS, _GROUP_SIZE, _SEPARATOR = 2, 3, "\N{NO-BREAK SPACE}"


def parse_amount(value: Any) -> Decimal:
    """Parse an amount: a whole number, a ``Decimal``, or text such as ``124.37``.

    :raises ValueError: *value* is none of these, or out of range; the message continues a sentence that begins with
        "the amount".
    """
    if isinstance(value, str):
        number = Decimal(value) if _NUMBER.fullmatch(value) else None
    else:
        number = Decimal(value) if type(value) in {int, Decimal} else None
    if number is None or not number.is_finite():
        raise ValueError('is not an exact number such as "124.37"')
    if abs(number.adjusted()) > MAX_EXPONENT or len(number.as_tuple().digits) > _MAX_DIGITS:
        msg = f"is out of range: its exponent is beyond +/-{MAX_EXPONENT}, or it has more than {_MAX_DIGITS} digits"
        raise ValueError(msg)
    return number


def format_amount(amount: Decimal | None) -> str:
    """Return an amount as tables show it: all digits, at least two decimals, ``1 234 567.50``; ``None`` is a dash."""
    if amount is None:
        return "-"
    integer, _, decimals = amount_text(amount).partition(".")
    sign, digits = ("-", integer[1:]) if integer.startswith("-") else ("", integer)
    first = len(digits) % _GROUP_SIZE or _GROUP_SIZE
    groups = [digits[:first], *(digits[at : at + _GROUP_SIZE] for at in range(first, len(digits), _GROUP_SIZE))]
    return f"{sign}{_SEPARATOR.join(groups)}.{decimals:0<{_MIN_DECIMALS}}"
