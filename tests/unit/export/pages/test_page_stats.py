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


def page_with(fields: str) -> bytes:
    """Return a page with a valid record and one with *fields*."""
    return text_answer('{"arItemId":"1"}', f'{{"arItemId":"2",{fields}}}').body


@settings(max_examples=100, deadline=None)
@given(st.lists(pages_of_items, max_size=4))
def test_stats_equal_those_computed_by_hand(pages):
    """This holds for 15 digits and 4 places, integers, null and missing amounts, and any dates."""
    stats = PageStats()
    for page in pages:
        stats.add(READER.read(answer(page).body))
    records = [record for page in pages for record in page]
    assert stats.rows == len(records)
    sums = {name: sum((Fraction(r.get(name) or 0) for r in records), Fraction(0)) for name in AMOUNTS}
    for name in AMOUNTS[:2]:
        for currency in {r.get("currency") for r in records}:
            total = sum((Fraction(r.get(name) or 0) for r in records if r.get("currency") == currency), Fraction(0))
            assert Fraction(stats.totals[currency or ""][name]) == total
    assert {name: Fraction(total) for name, total in stats.gl_totals.items()} == (
        {name: sums[name] for name in AMOUNTS[2:]} if records else {}
    )
    for name in ("voucherDate", "dueDate"):
        known = sorted(r[name] for r in records if r.get(name))
        assert stats.ranges.get(name) == ((known[0], known[-1]) if known else None)
    timestamps = sorted(dt.datetime.fromisoformat(r["createdTime"]) for r in records if r.get("createdTime"))
    found = stats.ranges.get("createdTime")
    assert (found and [dt.datetime.fromisoformat(text) for text in found]) == (
        [timestamps[0], timestamps[-1]] if timestamps else None
    )


def test_totals_keep_more_than_28_digits():
    """Python's default context would round them."""
    stats = PageStats()
    for amount in ("999999999999999999999999999999", "0.0001", "0.0001"):
        stats.add(READER.read(text_answer(f'{{"arItemId":"1","currency":"NOK","currencyAmount":{amount}}}').body))
    assert amount_text(stats.totals["NOK"]["currencyAmount"]) == "999999999999999999999999999999.0002"


@pytest.mark.parametrize(
    ("amount", "text"),
    [("4.00", "4"), ("749.370", "749.37"), ("-0.00", "0"), ("0", "0"), ("1E+3", "1000"), ("1E-7", "0.0000001")],
)
def test_amount_text_has_no_exponent_and_no_trailing_zeros(amount, text):
    """The totals of all formats are written in the same way."""
    assert amount_text(Decimal(amount)) == text


@pytest.mark.parametrize("record", ['{"currency":"NOK"}', '{"arItemId":null}', '{"arItemId":[]}', "{}", "7", "null"])
def test_stats_of_record_without_key_raise(record):
    """Without keys duplicates cannot be detected."""
    with pytest.raises(InvalidResponseError, match="AR items: a record has no arItemId"):
        READER.read(text_answer(record).body)


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize("amount", ['"1.10"', '"NaN"', '""', "true", "{}", "[]", "1e31", "1e999999999"])
def test_amount_that_is_not_an_exact_number_raises(name, amount):
    """The message contains the field and no value."""
    with pytest.raises(InvalidResponseError, match=rf"has a {name} .* cannot be exported exactly") as caught:
        READER.read(page_with(f'"currency":"NOK","{name}":{amount}'))
    assert not caught.value.retryable


@pytest.mark.parametrize("digits", ["1" * 150, "1." + "1" * 150, "1" * 99 + "." + "1" * 9])
def test_amount_with_too_many_digits_raises(digits):
    """Nothing is rounded silently."""
    with pytest.raises(InvalidResponseError, match="with more digits than can be added exactly"):
        READER.read(page_with(f'"currency":"NOK","currencyAmount":{digits}'))


@pytest.mark.parametrize(
    "field",
    ['"voucherDate":"2025-2-1"', '"dueDate":"soon"', '"createdTime":"2025-02-27T17:03:36"', '"createdTime":"x"'],
)
def test_invalid_date_is_omitted_from_the_ranges(field):
    """If the export is limited by the field, it is an error."""
    body = text_answer(f'{{"arItemId":"1",{field}}}').body
    name = field.split('"')[1]
    stats = READER.read(body)
    assert (stats.ranges, stats.invalid_dates) == ({}, {name})
    with pytest.raises(InvalidResponseError, match=f"{name} that is not a date"):
        PageStatsReader(AR_ITEMS, "arItems", required_dates=[name]).read(body)


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
def test_timestamp_bounds_are_right_for_mixed_offsets(texts):
    """With different offsets, text does not sort in the order of time."""
    timestamps = sorted(map(dt.datetime.fromisoformat, texts))
    records = [f'{{"arItemId":"{number}","createdTime":"{text}"}}' for number, text in enumerate(texts)]
    first, last = READER.read(text_answer(*records).body).ranges["createdTime"]
    assert [dt.datetime.fromisoformat(first), dt.datetime.fromisoformat(last)] == [timestamps[0], timestamps[-1]]


WRONG_TYPES = ['"kid":5', '"glYear":"2025"', '"glYear":2025.5', '"originalDueDate":"2025-13-01"', '"voucherType":true']


@pytest.mark.parametrize("field", WRONG_TYPES)
def test_validate_all_fields_raises_for_a_wrong_type(field):
    """By default such a field is ignored."""
    assert READER.read(page_with(field)).rows == 2
    with pytest.raises(InvalidResponseError, match="of the wrong type"):
        STRICT.read(page_with(field))


@settings(max_examples=50, deadline=None)
@given(pages_of_items)
def test_validate_all_fields_returns_the_same_stats(page):
    """Additional checks do not change the result."""
    for record in page:
        for name in ("voucherDate", "dueDate"):
            record[name] = record.get(name) or None  # only the strict check rejects "" as a date
    assert STRICT.read(answer(page).body) == READER.read(answer(page).body)


def test_stats_of_a_list_without_model():
    """Its key and amounts are arguments."""
    kind = RecordType("log items", key="id", gl_amounts=("cost",))
    stats = PageStatsReader(kind, "x").read(text_answer('{"id":7,"cost":1.10}', '{"id":"8"}', key="x").body)
    assert (stats.rows, list(stats.keys), stats.gl_totals) == (2, [7, "8"], {"cost": Decimal("1.10")})
