"""Tests of ``item_pages``: the items are complete and exact, or an error without their data is raised."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmIncompleteListError,
    ArmInvalidResponseError,
    ArmNotFoundError,
)
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings
from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger
from airflow_provider_arm.triggers.polling.item_pages import read_items

CREATED = "2025-02-27T17:03:36.176+01:00"
CREATED_MILLISECONDS = 1_740_672_216_176


class CannedClient:
    """Client with prepared response bodies, which ARM, and therefore the sandbox, would not return on purpose."""

    base_url = "http://127.0.0.1:1/arm/v1"
    readings = DEFAULT_READINGS

    def __init__(self, *bodies):
        self.bodies = list(bodies)
        self.requested = []

    async def call(self, name, *, path=None, params=None):
        self.requested.append(params)
        body = self.bodies.pop(0)
        if isinstance(body, Exception):
            raise body
        return body


def item(key="a", **fields):
    """Build a record; ``...`` removes a field."""
    record = {"arItemId": key, "createdTime": CREATED, "currency": "NOK", "currencyAmount": Decimal("1.10")}
    return {name: value for name, value in (record | fields).items() if value is not ...}


def page(*records, number=1, pages=1, total=None):
    """Build a page."""
    count = len(records) if total is None else total
    summary = {"pageNo": number, "totalPages": pages, "totalCount": count, "maximumCount": 10000, "queryId": "q"}
    return {"summary": summary, "arItems": list(records)}


def read(*bodies, first=0, last=None):
    """Read the items of these response bodies; return them and the client."""
    client = CannedClient(*bodies)
    return asyncio.run(read_items(client, NewArItemsEventTrigger(), first, last)), client


def test_item_fields_are_exact():
    """An item has its key, created time to the millisecond, currency, and amounts with every digit."""
    (found,), _ = read(page(item(currencyAmount=Decimal("0.30"), currencyBalance=7)))
    assert (found.key, found.created, found.created_text, found.currency) == ("a", CREATED_MILLISECONDS, CREATED, "NOK")
    assert {name: str(amount) for name, amount in found.amounts.items()} == {
        "currencyAmount": "0.30",
        "currencyBalance": "7",
    }


def test_no_items_when_body_is_absent_or_page_is_empty():
    """A 204 and a page without records both contain no items."""
    assert read(None)[0] == read(page())[0] == []


def test_period_is_requested_and_checked():
    """Both bounds are sent, and items outside them, from a server that ignores the filter, are dropped."""
    early, late = (
        item("early", createdTime="2025-02-27T16:03:36.175Z"),
        item("late", createdTime="2025-03-01T00:00:00Z"),
    )
    found, client = read(page(early, item(), late), first=CREATED_MILLISECONDS, last=CREATED_MILLISECONDS + 5)
    assert [found_item.key for found_item in found] == ["a"]
    assert client.requested[0]["fromcreatedtime"] == "2025-02-27T16:03:36.176+00:00"
    assert client.requested[0]["tocreatedtime"] == "2025-02-27T16:03:36.181+00:00"


def test_list_is_incomplete_when_an_item_is_on_two_pages():
    """If an item moved to the next page, another one is missing: no item of the list is returned."""
    with pytest.raises(ArmIncompleteListError, match="twice"):
        read(page(item("a"), item("b"), pages=2, total=3), page(item("b"), number=2, pages=2, total=3))


def test_list_is_incomplete_when_a_page_is_missing():
    """If ARM no longer keeps the query, no item is returned, not those of the pages before."""
    gone = ArmNotFoundError("gone", status_code=404)
    with pytest.raises(ArmIncompleteListError, match="no longer keeps"):
        read(page(item("a"), pages=2, total=2), gone)


@pytest.mark.parametrize(
    "record",
    [
        item(arItemId=...),
        item(arItemId=5),
        item(createdTime=...),
        item(createdTime=None),
        item(createdTime="yesterday, canary"),
        item(createdTime="2025-02-27T17:03:36"),
        item(currencyAmount="canary"),
        item(currencyAmount=True),
        item(currencyBalance=0.5),
        item(currencyAmount=Decimal("1e29") * 10**9),
        item(currencyAmount=10**31),
        item(currencyAmount=Decimal("0." + "1" * 40)),
        "canary",
        None,
    ],
    ids=repr,
)
def test_invalid_item_raises(record):
    """An item without key, created time or exact amounts raises, and the message contains none of its data."""
    with pytest.raises(ArmInvalidResponseError) as error:
        read(page(item("first"), record))
    assert "canary" not in str(error.value)


@pytest.mark.parametrize(
    "body", [[], 5, "x", {}, {"summary": {}}, {"summary": 5, "arItems": []}, {"summary": {}, "arItems": {}}]
)
def test_invalid_page_raises(body):
    """A body without a summary or a list is not an empty page."""
    with pytest.raises(ArmInvalidResponseError, match="not a page"):
        read(body)


def test_names_are_those_of_the_readings_profile():
    """Filters, page parameters, summary and list have the profile's names; the upper bound may be excluded."""
    client = CannedClient(
        {"head": page(item(), total=2, pages=2)["summary"], "rows": [item()], "arItems": ["not the records"]},
        {"head": page(item("b"), number=2, pages=2, total=2)["summary"], "rows": [item("b")], "arItems": []},
    )
    client.readings = Readings.parse(
        {
            "filters": {"windows": {"createdtime": {"first": "since", "last": "before", "last_included": False}}},
            "lists": {
                "summary_key": "head",
                "record_keys": {"list_ar_items": "rows"},
                "parameters": {"page_size": "limit", "page_number": "page", "query": "of"},
            },
        }
    )
    items = asyncio.run(read_items(client, NewArItemsEventTrigger(), CREATED_MILLISECONDS, CREATED_MILLISECONDS + 5))
    assert [found.key for found in items] == ["a", "b"]
    assert client.requested == [
        {"limit": 500, "since": "2025-02-27T16:03:36.176+00:00", "before": "2025-02-27T16:03:36.182+00:00"},
        {"of": "q", "page": 2},
    ]


def test_filter_that_the_trigger_sets_is_refused_before_anything_is_sent():
    """The name is that of the connection's profile, which is not known when the DAG is parsed."""
    client = CannedClient(page())
    trigger = NewArItemsEventTrigger(filters={"fromcreatedtime": "2026-01-01"})
    with pytest.raises(ArmConfigurationError, match="must not contain fromcreatedtime"):
        asyncio.run(read_items(client, trigger, 0, None))
    assert client.requested == []
