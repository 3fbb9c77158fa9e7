"""The AR items that were created within a span of time: read page by page, whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_arm.client.assumptions import WINDOW_FILTERS
from airflow_provider_arm.client.errors import (
    ArmError,
    ArmIncompleteListError,
    ArmInvalidResponseError,
    ArmResultLimitError,
    InvalidRecordError,
)
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.models import PageSummary
from airflow_provider_arm.client.models.base import find_only_list
from airflow_provider_arm.client.money import MAX_EXPONENT
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.client.paging import MAX_QUERY_RECORDS, PageRequest, PageWalk
from airflow_provider_arm.export.pages.record_types import AR_ITEMS
from airflow_provider_arm.export.pages.timestamps import format_milliseconds, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_arm.client import AsyncArmClient
    from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger

__all__ = ["AR_ITEMS", "Item", "read_items"]

_LIST = OPERATIONS["list_ar_items"]
_KEY, _CURRENCY, _CREATED = AR_ITEMS.key or "", AR_ITEMS.currency or "", AR_ITEMS.timestamps[0]
_SUMMARY = "summary"

#: Items on a page: half of ARM's largest, because reading a page's text holds the event loop.
PAGE_SIZE = 500
#: Items that are read in one part, so that no absence fills the triggerer's memory; more are split by time.
MOST_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Item:
    """An AR item, as far as a watcher looks at it."""

    key: str = field(repr=False)
    #: Unix milliseconds, and the text as ARM wrote it.
    created: int
    created_text: str
    currency: str
    amounts: Mapping[str, Decimal | int] = field(repr=False)
    record: Mapping[str, Any] = field(repr=False)


async def read_items(
    client: AsyncArmClient, trigger: NewArItemsEventTrigger, first: int, last: int | None
) -> list[Item] | None:
    """Read the items that were created from *first* to *last* (unix milliseconds, included); ``None`` last: no end.

    :return: ``None`` where there are too many to be read at once. Of a single moment ARM gives 10,000, and that has to
        do.
    :raises ArmIncompleteListError: the list did not come whole.
    :raises ArmInvalidResponseError: ARM's answer is no list of AR items with keys and created times.
    """
    is_moment = first == last
    bounds = (
        format_milliseconds(first),
        None if last is None else format_milliseconds(last),
    )  # ``None`` leaves the filter out
    span: dict[str, Any] = dict(zip(WINDOW_FILTERS["createdtime"], bounds, strict=True))
    if is_moment:
        span["maximumcount"] = MAX_QUERY_RECORDS
    walk = PageWalk({**trigger.filters, **span}, PAGE_SIZE, BaseUrl.parse(client.base_url), _LIST.label)
    found: dict[str, Item] = {}
    try:
        while (due := walk.next_request()) is not None:
            summary, records = await _read_page(client, trigger.client_no, due, walk)
            if not is_moment and (summary.total_count or 0) > MOST_AT_ONCE:
                return None
            walk.accept_summary(summary, len(records))
            found |= {item.key: item for item in map(_item, records)}
            if len(found) != walk.rows:
                msg = f"an item came twice, because the list changed while it was read ({_LIST.label})"
                raise ArmIncompleteListError(msg)
    except ArmResultLimitError:
        return None
    return [item for item in found.values() if item.created >= first and (last is None or item.created <= last)]


async def _read_page(
    client: AsyncArmClient, client_no: int | None, due: PageRequest, walk: PageWalk
) -> tuple[PageSummary, list[Any]]:
    """Get a page's summary and records."""
    params = due.params if due.url is None else dict(parse_qsl(urlsplit(due.url).query))
    path = None if client_no is None else {"clientno": client_no}
    try:
        body = await client.call(_LIST.name, path=path, params=params)
    except ArmError as error:
        reason = walk.on_page_error(error, client.assumptions)
        if reason is not None:
            raise reason from None
        body = None
    if body is None:
        return PageSummary(total_count=0, total_pages=0), []
    try:
        summary = PageSummary.from_wire(body[_SUMMARY])
        named = (_LIST.key, body[_LIST.key]) if _LIST.key in body else find_only_list(body, frozenset({_SUMMARY}))
    except (TypeError, KeyError, InvalidRecordError):
        named = None
    if named is None or not isinstance(named[1], list):
        msg = f"ARM's answer is no page of AR items ({_LIST.label})"
        raise ArmInvalidResponseError(msg)
    return summary, named[1]


def _item(record: Any) -> Item:
    """Read what a watcher needs of a record."""
    try:
        key, text, currency = record[_KEY], record[_CREATED], record.get(_CURRENCY)
        created = to_milliseconds(text)
    except (TypeError, KeyError, ValueError, AttributeError):
        msg = f"an AR item has no {_KEY} or no {_CREATED} with an offset, so nobody can tell what is new"
        raise ArmInvalidResponseError(msg) from None
    amounts = {name: record[name] for name in AR_ITEMS.amounts if record.get(name) is not None}
    if not isinstance(key, str) or not all(map(_can_be_added, amounts.values())):
        msg = f"an AR item has a {_KEY} that is no text, or an amount that is no number of a sane size"
        raise ArmInvalidResponseError(msg)
    return Item(key, created, text, currency if isinstance(currency, str) else "", amounts, record)


def _can_be_added(amount: Any) -> bool:
    """Whether sums of such amounts keep every digit."""
    if type(amount) not in (int, Decimal):
        return False
    number = Decimal(amount)
    exponent = number.as_tuple().exponent
    return number.adjusted() <= MAX_EXPONENT and isinstance(exponent, int) and exponent >= -MAX_EXPONENT
