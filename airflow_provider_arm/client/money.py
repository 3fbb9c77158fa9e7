"""Exact JSON: a number that ARM writes as ``124.37`` stays ``124.37`` when it is decoded and encoded.

The JSON parsers of Python and pydantic convert a number with a fraction to a 64-bit float, which changes amounts of
more than 15 digits and drops trailing zeros. Here such a number becomes a :class:`decimal.Decimal` with all its digits,
and a ``Decimal`` is written as a JSON number, not as text.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact
from typing import Any

import msgspec

#: Largest exponent of a number that is decoded. No amount, rate or quantity comes near 10**30, but ``1e999999999`` is
#: valid JSON, and adding these eleven bytes to a total would take gigabytes of memory.
MAX_EXPONENT = 30
#: Context for sums of amounts. It raises ``decimal.Inexact`` where the default context would round to 28 digits. Its
#: precision exceeds that of all amounts, but bounds the memory that a sum with ``1e999999999`` would take.
EXACT = Context(prec=100, traps=[Inexact])


class InexactNumberError(ValueError):
    """A value cannot be kept exactly: a float, NaN, an infinity, a huge exponent, half a surrogate pair."""


def exact(text: str) -> Decimal:
    """Parse one JSON number with all its digits.

    :param text: the number as it is written in the JSON text.
    :raises InexactNumberError: its exponent is beyond :data:`MAX_EXPONENT`.
    """
    number = Decimal(text)
    # Also for zero: 0e-999999999 takes as much memory to write out as any other number.
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise InexactNumberError(f"a number is beyond 10^{MAX_EXPONENT} or below 10^-{MAX_EXPONENT}")
    return number


_decoder = msgspec.json.Decoder(float_hook=exact)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(data: bytes | str) -> Any:
    """Decode JSON; numbers with a fraction or exponent become ``Decimal``, whole numbers ``int``.

    :raises ValueError: *data* is not exactly one JSON value: truncated, nested too deeply, not UTF-8, ...
    """
    try:
        return _decoder.decode(data)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def encode(value: Any) -> bytes:
    """Encode to compact JSON; ``Decimal`` becomes a number with its own digits, ``date`` ISO text.

    :raises InexactNumberError: *value* contains a float, a ``Decimal`` that is not finite, or text that is not valid
        Unicode. The message names the place (``customer.limitAmount``), never the value.
    """
    raise_for_inexact(value)
    return _encoder.encode(value)


def raise_for_inexact(value: Any, place: str = "") -> None:
    """Raise :class:`InexactNumberError` if *value* contains a float, a number that is not finite, or invalid text.

    Every float raises, also one that seems exact: ``0.1 + 0.2`` seems exact, too. Use ``Decimal("5.50")`` or the text
    ``"5.50"``.

    :param place: position of *value* in the whole, for the message.
    """
    if isinstance(value, str):
        # The encoder's own error would contain the whole text, which may be a person's name.
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise InexactNumberError(f"{place or 'the value'} contains half a surrogate pair, which is not valid text")
    elif isinstance(value, dict):
        for key, item in value.items():
            raise_for_inexact(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple | set | frozenset):
        for number, item in enumerate(value):
            raise_for_inexact(item, f"{place}[{number}]")
    elif isinstance(value, float):
        msg = f'{place or "the value"} is a float, which is not exact: use a Decimal or text such as "124.37"'
        raise InexactNumberError(msg)
    elif isinstance(value, Decimal) and not value.is_finite():
        raise InexactNumberError(f"{place or 'the value'} is not a finite number")
