"""Strategies and responses with pages of AR items."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.http.messages import Response

AMOUNTS = ("currencyAmount", "currencyBalance", "glAmount", "glBalance")

ledger_amounts = st.decimals(min_value=-(10**11), max_value=10**11, places=4, allow_nan=False)
#: Up to 15 digits and 4 places, in any form that JSON permits.
amounts = st.none() | st.integers(-(10**15) + 1, 10**15 - 1) | ledger_amounts
days = st.dates().map(str) | st.none() | st.just("")
offsets = st.sampled_from(["+01:00", "+02:00", "-05:30", "+00:00"])
timestamps = st.builds(
    "{}T{:02}:{:02}:36.{:03}{}".format,
    st.dates(min_value=dt.date(1971, 1, 1), max_value=dt.date(2200, 1, 1)),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(0, 999),
    offsets,
)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
items = st.fixed_dictionaries(
    {"arItemId": words.filter(bool)},
    optional={
        "currency": st.sampled_from(["NOK", "EUR", None]),
        **dict.fromkeys(AMOUNTS, amounts),
        "voucherDate": days,
        "dueDate": days,
        "createdTime": timestamps | st.none(),
        "kid": words | st.none(),
        "transactionText": words,
        "voucherType": st.integers(-(2**63), 2**63 - 1) | st.none(),
        "nytt": st.lists(words, max_size=2) | st.dictionaries(words, st.integers(), max_size=2),
    },
)
pages_of_items = st.lists(items, max_size=6, unique_by=lambda item: str(item["arItemId"]))


def answer(records: list[Any], key: str = "arItems", **summary: Any) -> Response:
    """Build a response with one page."""
    return Response(200, {}, money.encode({"summary": summary, key: records}))


def text_answer(*records: str, key: str = "arItems") -> Response:
    """Build a response with one page of records given as JSON text."""
    return Response(200, {}, f'{{"summary":{{}},"{key}":[{",".join(records)}]}}'.encode())


def as_written(value: Any) -> str:
    """Return a number as in JSON."""
    return str(value) if isinstance(value, Decimal) else money.encode(value).decode()
