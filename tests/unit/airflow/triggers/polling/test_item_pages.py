"""``triggers.item_pages``: what a watcher reads is whole and exact, or an error that shows nothing of it."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS
from airflow_provider_arm.client.errors import ArmIncompleteListError, ArmInvalidResponseError, ArmNotFoundError
from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger
from airflow_provider_arm.triggers.polling.item_pages import read_items

CREATED = "2025-02-27T17:03:36.176+01:00"
MOMENT = 1_740_672_216_176


class Answers:
    """A client whose answers are written down: ARM gives none of these on purpose, so the sandbox has none."""

    base_url = "http://127.0.0.1:1/arm/v1"
    assumptions = DEFAULT_ASSUMPTIONS

    def __init__(self, *bodies):
        self.bodies = list(bodies)
        self.asked = []

    async def call(self, name, *, path=None, params=None):
        self.asked.append(params)
        body = self.bodies.pop(0)
        if isinstance(body, Exception):
            raise body
        return body


def item(key="a", **fields):
    """Make a record."""
    record = {"arItemId": key, "createdTime": CREATED, "currency": "NOK", "currencyAmount": Decimal("1.10")}
    return {name: value for name, value in (record | fields).items() if value is not ...}


def page(*records, number=1, pages=1, total=None):
    """Make a page."""
    count = len(records) if total is None else total
    summary = {"pageNo": number, "totalPages": pages, "totalCount": count, "maximumCount": 10000, "queryId": "q"}
    return {"summary": summary, "arItems": list(records)}


def read(*bodies, first=0, last=None):
    """Read what these answers hold."""
    client = Answers(*bodies)
    return asyncio.run(read_items(client, NewArItemsEventTrigger(), first, last)), client


def test_an_item_is_read_exactly():
    """Key, created time to the millisecond, currency, and amounts with every digit."""
    (found,), _ = read(page(item(currencyAmount=Decimal("0.30"), currencyBalance=7)))
    assert (found.key, found.created, found.created_text, found.currency) == ("a", MOMENT, CREATED, "NOK")
    assert {name: str(amount) for name, amount in found.amounts.items()} == {
        "currencyAmount": "0.30",
        "currencyBalance": "7",
    }


def test_no_answer_and_an_empty_page_are_no_items():
    """204 and a page without records are the same: nothing."""
    assert read(None)[0] == read(page())[0] == []


def test_the_span_is_asked_for_and_looked_at():
    """Both bounds are sent, and what a server gives from outside of them, because it knows no such filter, is left."""
    early, late = (
        item("early", createdTime="2025-02-27T16:03:36.175Z"),
        item("late", createdTime="2025-03-01T00:00:00Z"),
    )
    found, client = read(page(early, item(), late), first=MOMENT, last=MOMENT + 5)
    assert [each.key for each in found] == ["a"]
    assert client.asked[0]["fromcreatedtime"] == "2025-02-27T16:03:36.176+00:00"
    assert client.asked[0]["tocreatedtime"] == "2025-02-27T16:03:36.181+00:00"


def test_an_item_that_comes_on_two_pages_is_an_incomplete_list():
    """Rows that shift between pages push another one out: nothing is told of such a list."""
    with pytest.raises(ArmIncompleteListError, match="twice"):
        read(page(item("a"), item("b"), pages=2, total=3), page(item("b"), number=2, pages=2, total=3))


def test_a_page_that_is_missing_is_an_incomplete_list():
    """A query that ARM forgets half-way gives nothing, instead of its first half."""
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
def test_an_item_that_cannot_be_placed_or_added_up_is_an_error(record):
    """No key, no moment, no exact number: nobody could say what is new, and the message shows nothing of it."""
    with pytest.raises(ArmInvalidResponseError) as error:
        read(page(item("first"), record))
    assert "canary" not in str(error.value)


@pytest.mark.parametrize(
    "body", [[], 5, "x", {}, {"summary": {}}, {"summary": 5, "arItems": []}, {"summary": {}, "arItems": {}}]
)
def test_what_is_no_page_is_an_error(body):
    """An answer without a summary or a list is not read as an empty one."""
    with pytest.raises(ArmInvalidResponseError, match="no page"):
        read(body)
