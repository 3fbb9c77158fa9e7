from __future__ import annotations

import json
import traceback
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money

AMOUNTS = st.builds(
    lambda digits, places, negative: Decimal((negative, tuple(map(int, str(digits))), -places)),
    st.integers(0, 10**15 - 1),
    st.integers(0, 4),
    st.booleans(),
).filter(lambda amount: amount or not amount.is_signed())  # -0 is not an amount
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | AMOUNTS
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(AMOUNTS)
def test_amount_keeps_every_digit(amount: Decimal) -> None:
    """Any amount of up to 15 digits and 4 decimal places is encoded as a JSON number and decoded digit for digit."""
    wire = money.encode({"amount": amount})
    assert json.loads(wire, parse_float=str, parse_int=str) == {"amount": str(amount)}
    back = money.decode(wire)["amount"]
    assert str(back) == str(amount)


@settings(deadline=None)
@given(JSON_VALUES)
def test_any_exact_value_round_trips(value: object) -> None:
    """Any JSON value without floats is equal after encoding and decoding, and never becomes a float."""
    back = money.decode(money.encode(value))
    assert back == value
    assert "float" not in _types(back)


def _types(value: object) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_types, value.values()))
    if isinstance(value, list):
        return set().union(*map(_types, value))
    return {type(value).__name__}


@pytest.mark.parametrize(
    "text", ["124.37", "5.50", "0.10", "1E+2", "123456789012345.6789", "-0.01", "0.30000000000000004"]
)
def test_number_is_decoded_with_all_digits(text: str) -> None:
    """Trailing zeros, and digits beyond those of a float, are kept."""
    assert str(money.decode(text)) == text


@settings(deadline=None)
@given(st.floats())
def test_float_raises_without_showing_it(value: float) -> None:
    """Every float, also NaN and the infinities, raises; the message has the place but not the value."""
    with pytest.raises(money.InexactNumberError) as caught:
        money.encode({"customer": {"limits": [0, value]}})
    assert "customer.limits[1]" in str(caught.value)
    assert repr(value) not in str(caught.value).replace("customer.limits[1]", "").replace("124.37", "")


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(("wrap", "place"), [(lambda x: x, "the value"), (lambda x: {"a": (x,)}, "a[0]")])
def test_decimal_that_is_not_finite_raises(value: str, wrap, place: str) -> None:
    """NaN and the infinities are not valid JSON."""
    with pytest.raises(money.InexactNumberError, match="not a finite number") as caught:
        money.encode(wrap(Decimal(value)))
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize("container", [list, tuple, set, frozenset])
def test_float_in_any_kind_of_container_raises(container) -> None:
    """Every container that can be encoded is checked."""
    with pytest.raises(money.InexactNumberError):
        money.encode({"amounts": container([0.1])})


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(money.MAX_EXPONENT + 1, 10**9), st.sampled_from(["e", "e-"]))
def test_huge_exponent_raises(digit: int, exponent: int, sign: str) -> None:
    """A few bytes that would take gigabytes in a total are not decoded; the message does not contain them."""
    text = f"{digit}{sign}{exponent}"
    with pytest.raises(ValueError, match="beyond") as caught:
        money.decode(f'{{"amount": {text}}}')
    assert text not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("text", ["0e999999999", "0e-999999999", "0.0E-400"])
def test_zero_with_huge_exponent_raises(text: str) -> None:
    """Zero with a billion places takes as much memory to write out as any other number."""
    with pytest.raises(ValueError, match="beyond"):
        money.decode(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b'{"a": 1',
        b"NaN",
        b"Infinity",
        b"[1,]",
        b'"\xff"',
        b"<html>",
        b"[" * 100_000,
        b"1 2",
        b"{'a': 1}",
    ],
)
def test_anything_but_one_json_value_raises_value_error(data: bytes) -> None:
    """Truncated, repeated, nested too deeply, not UTF-8 or no JSON at all."""
    with pytest.raises(ValueError, match=r".+"):
        money.decode(data)


def test_half_a_surrogate_pair_raises_without_showing_the_text() -> None:
    """The text is not in the error, nor in a cause of it."""
    with pytest.raises(ValueError, match=r"customer\.name") as caught:
        money.encode({"customer": {"name": "Canary \ud800"}})
    assert "Canary" not in repr(caught.value)
    assert caught.value.__context__ is None
