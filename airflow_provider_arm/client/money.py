"""Exact JSON: what ARM writes as ``124.37`` stays ``124.37``, in and out.

Python's and pydantic's own JSON readers pass a number with a fraction through a 64-bit float, which changes
amounts of more than 15 digits and drops trailing zeros. Here such a number becomes a :class:`decimal.Decimal` with
every digit it was written with, and a ``Decimal`` is written as a JSON number, not as text.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact
from typing import Any

import msgspec

#: No amount, rate or quantity is anywhere near 10**30, but ``1e999999999`` is legal JSON: nine bytes that would
#: cost gigabytes once somebody adds it to a total. Numbers beyond this exponent are refused on the way in.
MAX_EXPONENT = 30
#: Context for sums of amounts. It raises ``decimal.Inexact`` where the default context would round to 28 digits. Its
#: precision exceeds that of all amounts, but bounds the memory that a sum with ``1e999999999`` would take.
EXACT = Context(prec=100, traps=[Inexact])


class InexactNumberError(ValueError):
    """A value cannot be carried exactly: a float, NaN, an infinity, an absurd exponent, half a surrogate pair."""


def exact(text: str) -> Decimal:
    """Read one JSON number with all its digits.

    :param text: the number as it stands in the JSON text.
    :raises InexactNumberError: its exponent is beyond :data:`MAX_EXPONENT`.
    """
    number = Decimal(text)
    # Zero too: 0e-999999999 is as dear to write out as any other number.
    if abs(number.adjusted()) > MAX_EXPONENT:
        msg = f"a number is beyond 10^{MAX_EXPONENT} or below 10^-{MAX_EXPONENT}"
        raise InexactNumberError(msg)
    return number


_decoder = msgspec.json.Decoder(float_hook=exact)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(data: bytes | str) -> Any:
    """Decode JSON; numbers with a fraction or exponent become ``Decimal``, whole numbers ``int``.

    :raises ValueError: *data* is not one whole JSON value (also: cut, too deeply nested, not UTF-8).
    """
    try:
        return _decoder.decode(data)
    except RecursionError:
        msg = "JSON is nested too deeply"
        raise ValueError(msg) from None


def encode(value: Any) -> bytes:
    """Encode to compact JSON; ``Decimal`` becomes a number with its own digits, ``date`` ISO text.

    :raises InexactNumberError: *value* holds a float, a ``Decimal`` that is not finite, or text that is no Unicode;
        the message names the place (``customer.limitAmount``), never the value.
    """
    raise_for_inexact(value)
    return _encoder.encode(value)


def raise_for_inexact(value: Any, place: str = "") -> None:
    """Raise :class:`InexactNumberError` where *value* holds a float, a number that is not finite, or broken text.

    A float is refused even where it looks harmless: ``0.1 + 0.2`` looks harmless too. Write ``Decimal("5.50")`` or
    the text ``"5.50"``.
    """
    if isinstance(value, str):
        # The encoder's own error would carry the whole text, and with it somebody's name.
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            msg = f"{place or 'the value'} holds half a surrogate pair, which is no text"
            raise InexactNumberError(msg)
    elif isinstance(value, dict):
        for key, item in value.items():
            raise_for_inexact(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple | set | frozenset):
        for number, item in enumerate(value):
            raise_for_inexact(item, f"{place}[{number}]")
    elif isinstance(value, float):
        msg = f'{place or "the value"} is a float, which is not exact: give a Decimal or text such as "124.37"'
        raise InexactNumberError(msg)
    elif isinstance(value, Decimal) and not value.is_finite():
        msg = f"{place or 'the value'} is not a finite number"
        raise InexactNumberError(msg)
