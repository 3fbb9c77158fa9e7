from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmIncompleteListError, ArmUnreadableAnswerError
from airflow_provider_arm.client.models import ArItem, wire_names
from airflow_provider_arm.export.records import AR_ITEMS, Tally, columns_of

AMOUNTS = ("currencyAmount", "currencyBalance")
ledger_amounts = st.decimals(min_value=-(10**15), max_value=10**15, places=4, allow_nan=False)
optional = st.none() | st.integers(-(10**15), 10**15) | ledger_amounts


def text(key: str, currency: str | None = "NOK", amount: object = 1, balance: object = 1) -> bytes:
    """Write a record as ARM would."""
    fields = [f'"arItemId":"{key}"', f'"currency":{"null" if currency is None else chr(34) + currency + chr(34)}']
    for name, value in zip(AMOUNTS, (amount, balance), strict=True):
        written = "null" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)
        fields.append(f'"{name}":{written}')
    return ("{" + ",".join(fields) + ',"more":{"x":[1.5,"æ"]}}').encode()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["NOK", "EUR", None]), optional, optional), max_size=30))
def test_totals_are_exact(rows):
    """Fifteen digits and four places, whole and missing amounts: the totals are the sums to the last digit."""
    tally = Tally(AR_ITEMS)
    sums: dict[str, list[Fraction]] = {}
    for number, (currency, *amounts) in enumerate(rows):
        tally.take(text(str(number), currency, *amounts))
        of_currency = sums.setdefault(currency or "", [Fraction(0), Fraction(0)])
        for place, amount in enumerate(amounts):
            of_currency[place] += Fraction(amount or 0)
    assert tally.rows == len(rows)
    totals = tally.totals_text()
    assert list(totals) == sorted(sums)
    assert {c: [Fraction(amounts[name]) for name in AMOUNTS] for c, amounts in totals.items()} == sums


def test_totals_do_not_round_where_python_would():
    """Python's own context keeps 28 digits; a ledger's total keeps all."""
    tally = Tally(AR_ITEMS)
    for number, amount in enumerate(["999999999999999999999999999999", "0.0001", "0.0001"]):
        tally.take(text(str(number), amount=Decimal(amount)))
    assert tally.totals_text()["NOK"]["currencyAmount"] == "999999999999999999999999999999.0002"


def test_totals_are_text_by_currency_in_order():
    """As JSON and XCom carry them exactly; cents keep their zeros."""
    tally = Tally(AR_ITEMS)
    tally.take(text("1", "SEK", Decimal("1.10"), Decimal("0.00")))
    tally.take(text("2", "EUR", Decimal("2.20"), None))
    tally.take(text("3", "SEK", Decimal("1.10"), 5))
    assert tally.totals_text() == {
        "EUR": {"currencyAmount": "2.20", "currencyBalance": "0"},
        "SEK": {"currencyAmount": "2.20", "currencyBalance": "5.00"},
    }


def test_no_record_has_no_totals():
    """An empty export adds up to nothing."""
    assert (Tally(AR_ITEMS).rows, Tally(AR_ITEMS).totals_text()) == (0, {})


def test_a_key_that_comes_twice_is_an_incomplete_list():
    """Rows have shifted between pages, so another is missing."""
    tally = Tally(AR_ITEMS)
    tally.take(text("2218-1-1-0"))
    tally.take(text("2218-1-2-0"))
    with pytest.raises(ArmIncompleteListError, match="arItemId 2218-1-1-0 came twice"):
        tally.take(text("2218-1-1-0", amount=5))


@pytest.mark.parametrize("absent", ['{"currency":"NOK"}', '{"arItemId":null}', '{"arItemId":5}', "{}"])
def test_a_record_without_its_key_is_an_error(absent):
    """Without it nothing proves that the list is whole."""
    with pytest.raises(ArmUnreadableAnswerError, match="record 1 of the AR items has no arItemId"):
        Tally(AR_ITEMS).take(absent.encode())


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize(
    "amount",
    ['"1.10"', '"NaN"', '"Infinity"', '""', "true", "false", "{}", "[]", '{"value":1}', "1e31", "1e999999999"],
)
def test_an_amount_that_is_no_exact_number_is_an_error(name, amount):
    """Text, truth values, objects and absurd exponents are not added up, and the message shows no value."""
    tally = Tally(AR_ITEMS)
    tally.take(text("1"))
    with pytest.raises(ArmUnreadableAnswerError, match=r"record 2 of the AR items .* the export would not be exact"):
        tally.take(f'{{"arItemId":"2","currency":"NOK","{name}":{amount}}}'.encode())


@pytest.mark.parametrize("digits", ["1" * 150, "1." + "1" * 150, "1" * 99 + "." + "1" * 9])
def test_more_digits_than_can_be_added_exactly_are_an_error(digits):
    """Nothing is rounded without a word."""
    tally = Tally(AR_ITEMS)
    tally.take(text("1", amount=Decimal("0.5")))
    with pytest.raises(ArmUnreadableAnswerError, match="would not be exact"):
        tally.take(f'{{"arItemId":"2","currency":"NOK","currencyAmount":{digits}}}'.encode())


@pytest.mark.parametrize("broken", ["", "[]", "null", "7", '{"arItemId":"1"', '{"arItemId":"1","currency":7}'])
def test_what_is_no_record_is_an_error(broken):
    """Whatever stands in the list: one kind of error."""
    with pytest.raises(ArmUnreadableAnswerError):
        Tally(AR_ITEMS).take(broken.encode())


def test_unknown_fields_are_passed_over():
    """ARM adds fields; they are not ours to check."""
    tally = Tally(AR_ITEMS)
    tally.take(b'{"nytt":1e5,"arItemId":"1","gl":{"arItemId":"x"},"currencyAmount":2}')
    assert tally.totals_text() == {"": {"currencyAmount": "2", "currencyBalance": "0"}}


def test_columns_are_the_models_unless_chosen():
    """All that the model knows, in its order, or what the author asks for."""
    assert columns_of(AR_ITEMS, None) == wire_names(ArItem)
    assert columns_of(AR_ITEMS, ["kid", "nytt"]) == ("kid", "nytt")
    assert {AR_ITEMS.key, AR_ITEMS.currency, *AR_ITEMS.amounts} <= set(wire_names(ArItem))
