from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.http.messages import InvalidResponseError
from airflow_provider_arm.export.pages.page_stats import PageStats, PageStatsReader, amount_text
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, RecordType
from tests.unit.export.sample_pages import AMOUNTS, answer, pages_of_items, text_answer

READER = PageStatsReader(AR_ITEMS, "arItems")
STRICT = PageStatsReader(AR_ITEMS, "arItems", validate_all_fields=True)


def one(fields: str) -> bytes:
    """Write a page of one good record and one with these fields."""
    return text_answer('{"arItemId":"1"}', f'{{"arItemId":"2",{fields}}}').body


@settings(max_examples=100, deadline=None)
@given(st.lists(pages_of_items, max_size=4))
def test_the_facts_are_those_of_the_records(pages):
    """Fifteen digits, four places, whole, null and missing amounts, any dates: counted by hand, to the last digit."""
    facts = PageStats()
    for page in pages:
        facts.add(READER.read(answer(page).body))
    records = [record for page in pages for record in page]
    assert facts.rows == len(records)
    sums = {name: sum((Fraction(r.get(name) or 0) for r in records), Fraction(0)) for name in AMOUNTS}
    for name in AMOUNTS[:2]:
        for currency in {r.get("currency") for r in records}:
            mine = sum((Fraction(r.get(name) or 0) for r in records if r.get("currency") == currency), Fraction(0))
            assert Fraction(facts.totals[currency or ""][name]) == mine
    assert {name: Fraction(total) for name, total in facts.gl_totals.items()} == (
        {name: sums[name] for name in AMOUNTS[2:]} if records else {}
    )
    for name in ("voucherDate", "dueDate"):
        known = sorted(r[name] for r in records if r.get(name))
        assert facts.ranges.get(name) == ((known[0], known[-1]) if known else None)
    moments = sorted(dt.datetime.fromisoformat(r["createdTime"]) for r in records if r.get("createdTime"))
    found = facts.ranges.get("createdTime")
    assert (found and [dt.datetime.fromisoformat(text) for text in found]) == (
        [moments[0], moments[-1]] if moments else None
    )


def test_totals_do_not_round_where_python_would():
    """Python's own context keeps 28 digits; a ledger's total keeps all."""
    facts = PageStats()
    for amount in ("999999999999999999999999999999", "0.0001", "0.0001"):
        facts.add(READER.read(text_answer(f'{{"arItemId":"1","currency":"NOK","currencyAmount":{amount}}}').body))
    assert amount_text(facts.totals["NOK"]["currencyAmount"]) == "999999999999999999999999999999.0002"


@pytest.mark.parametrize(
    ("amount", "text"),
    [("4.00", "4"), ("749.370", "749.37"), ("-0.00", "0"), ("0", "0"), ("1E+3", "1000"), ("1E-7", "0.0000001")],
)
def test_a_total_is_written_with_the_digits_that_say_something(amount, text):
    """No exponent and no trailing zeros, so that every format's total reads the same."""
    assert amount_text(Decimal(amount)) == text


@pytest.mark.parametrize("absent", ['{"currency":"NOK"}', '{"arItemId":null}', '{"arItemId":[]}', "{}", "7", "null"])
def test_a_record_without_its_key_is_an_error(absent):
    """Without it nothing proves that the list is whole."""
    with pytest.raises(InvalidResponseError, match="AR items of which one has no arItemId"):
        READER.read(text_answer(absent).body)


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize("amount", ['"1.10"', '"NaN"', '""', "true", "{}", "[]", "1e31", "1e999999999"])
def test_an_amount_that_is_no_exact_number_is_an_error(name, amount):
    """Text, truth values, objects and absurd exponents are not added up, and the message names the field only."""
    with pytest.raises(InvalidResponseError, match=rf"has {name} .*the export would not be exact") as caught:
        READER.read(one(f'"currency":"NOK","{name}":{amount}'))
    assert not caught.value.retryable


@pytest.mark.parametrize("digits", ["1" * 150, "1." + "1" * 150, "1" * 99 + "." + "1" * 9])
def test_more_digits_than_can_be_added_exactly_are_an_error(digits):
    """Nothing is rounded without a word."""
    with pytest.raises(InvalidResponseError, match="would not be exact"):
        READER.read(one(f'"currency":"NOK","currencyAmount":{digits}'))


@pytest.mark.parametrize(
    "field",
    ['"voucherDate":"2025-2-1"', '"dueDate":"soon"', '"createdTime":"2025-02-27T17:03:36"', '"createdTime":"x"'],
)
def test_a_date_that_is_none_is_an_error(field):
    """A first or last day that nobody can read proves nothing."""
    with pytest.raises(InvalidResponseError, match="that is no date"):
        READER.read(text_answer(f'{{"arItemId":"1",{field}}}').body)


near = st.builds(
    "2025-{:02}-{:02}T{:02}:{:02}:00{}".format,
    st.sampled_from([3, 10]),
    st.integers(1, 9),
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from(["+01:00", "+02:00", "-11:00", "+14:00", "-00:30"]),
)
ends = st.sampled_from(["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:00+00:00", "9999-12-31T23:59:00+02:00"])


@settings(max_examples=300, deadline=None)
@given(st.lists(near | ends, min_size=1, max_size=12))
def test_first_and_last_moment_are_found_whatever_their_offsets(texts):
    """Text does not sort as time does where offsets differ: the first by its text need not be the first."""
    moments = sorted(map(dt.datetime.fromisoformat, texts))
    records = [f'{{"arItemId":"{number}","createdTime":"{text}"}}' for number, text in enumerate(texts)]
    first, last = READER.read(text_answer(*records).body).ranges["createdTime"]
    assert [dt.datetime.fromisoformat(first), dt.datetime.fromisoformat(last)] == [moments[0], moments[-1]]


WRONG_TYPES = ['"kid":5', '"glYear":"2025"', '"glYear":2025.5', '"originalDueDate":"2025-13-01"', '"voucherType":true']


@pytest.mark.parametrize("field", WRONG_TYPES)
def test_every_field_is_checked_where_that_is_asked_for(field):
    """A field of another type is an error then, and passed over else; the text is ARM's in both cases."""
    assert READER.read(one(field)).rows == 2
    with pytest.raises(InvalidResponseError, match="of another type"):
        STRICT.read(one(field))


@settings(max_examples=50, deadline=None)
@given(pages_of_items)
def test_the_strict_check_finds_the_same_facts(page):
    """Checking more changes nothing of what is found."""
    for record in page:
        for name in ("voucherDate", "dueDate"):
            record[name] = record.get(name) or None  # "" is no date, which only the strict check minds
    assert STRICT.read(answer(page).body) == READER.read(answer(page).body)


def test_a_list_that_nobody_knows_is_counted_and_added_up_as_told():
    """Without a model the author names key and amounts."""
    kind = RecordType("log items", key="id", gl_amounts=("cost",))
    facts = PageStatsReader(kind, "x").read(text_answer('{"id":7,"cost":1.10}', '{"id":"8"}', key="x").body)
    assert (facts.rows, list(facts.keys), facts.gl_totals) == (2, [7, "8"], {"cost": Decimal("1.10")})
