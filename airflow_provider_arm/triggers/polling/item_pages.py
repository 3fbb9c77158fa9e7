"""Reader of the AR items created within a period: page by page, complete or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmError,
    ArmIncompleteListError,
    ArmInvalidResponseError,
    ArmResultLimitError,
    InvalidRecordError,
)
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.models import PageSummary
from airflow_provider_arm.client.models.base import find_only_list, rename_keys
from airflow_provider_arm.client.money import MAX_EXPONENT
from airflow_provider_arm.client.operations import OPERATIONS, operations_of
from airflow_provider_arm.client.paging import PageRequest, PageWalk
from airflow_provider_arm.export.fetch.time_range import TimeRange
from airflow_provider_arm.export.pages.record_types import AR_ITEMS
from airflow_provider_arm.export.pages.timestamps import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_arm.client import AsyncArmClient
    from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger

_LIST = OPERATIONS["list_ar_items"]
_KEY, _CURRENCY, _CREATED = AR_ITEMS.key or "", AR_ITEMS.currency or "", AR_ITEMS.timestamps[0]
_SUMMARY = "summary"

#: Items per page: half of ARM's maximum, because parsing a page blocks the event loop.
PAGE_SIZE = 500
#: Maximum number of items read in one part, so that downtime cannot fill the triggerer's memory; more are split by
#: created time.
MAX_ITEMS_PER_READ = 2000


@dataclass(frozen=True, slots=True)
class Item:
    """Fields of an AR item that a watcher needs."""

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
    """Read the items created from *first* to *last* (unix milliseconds, inclusive).

    :param last: ``None`` for no upper bound.
    :return: ``None`` if there are too many to read at once. Of a single millisecond up to 10,000 are read, ARM's
        maximum.
    :raises ArmIncompleteListError: the list was incomplete.
    :raises ArmInvalidResponseError: the response is not a list of AR items with keys and created times.
    """
    is_single_millisecond, readings = first == last, client.readings
    span: dict[str, Any] = TimeRange(first, last, began=first).filters(readings.filters)
    if own := sorted(readings.filters.window(readings.filters.created_window).names & set(trigger.filters)):
        raise ArmConfigurationError(f"filters must not contain {', '.join(own)}: the trigger sets these parameters")
    if is_single_millisecond:
        span[readings.lists.parameters.maximum_count] = readings.lists.max_records
    base, filters = BaseUrl.parse(client.base_url), {**trigger.filters, **span}
    walk = PageWalk(filters, PAGE_SIZE, base, _LIST.label, readings=readings.lists)
    items: dict[str, Item] = {}
    try:
        while (request := walk.next_request()) is not None:
            summary, records = await _read_page(client, trigger.client_no, request, walk)
            if not is_single_millisecond and (summary.total_count or 0) > MAX_ITEMS_PER_READ:
                return None
            walk.accept_summary(summary, len(records))
            items |= {item.key: item for item in map(_parse_item, records)}
            if len(items) != walk.rows:
                msg = f"an item appears twice, because the list changed while it was read ({_LIST.label})"
                raise ArmIncompleteListError(msg)
    except ArmResultLimitError:
        return None
    return [item for item in items.values() if item.created >= first and (last is None or item.created <= last)]


async def _read_page(
    client: AsyncArmClient, client_no: int | None, request: PageRequest, walk: PageWalk
) -> tuple[PageSummary, list[Any]]:
    """Return summary and records of a page."""
    params = request.params if request.url is None else dict(parse_qsl(urlsplit(request.url).query))
    path, lists = None if client_no is None else {"clientno": client_no}, client.readings.lists
    try:
        body = await client.call(_LIST.name, path=path, params=params)
    except ArmError as error:
        list_error = walk.on_page_error(error)
        if list_error is not None:
            raise list_error from None
        body = None
    if body is None:
        return PageSummary(total_count=0, total_pages=0), []
    try:
        key, body = operations_of(client.readings)[_LIST.name].key, rename_keys(body, {lists.summary_key: _SUMMARY})
        summary = PageSummary.from_wire(body[_SUMMARY])
        entry = (key, body[key]) if key in body else find_only_list(body, frozenset({_SUMMARY}))
    except (TypeError, KeyError, InvalidRecordError):
        entry = None
    if entry is None or not isinstance(entry[1], list):
        raise ArmInvalidResponseError(f"invalid response: not a page of AR items ({_LIST.label})")
    return summary, entry[1]


def _parse_item(record: Any) -> Item:
    """Parse the fields of a record that a watcher needs."""
    try:
        key, text, currency = record[_KEY], record[_CREATED], record.get(_CURRENCY)
        created = to_milliseconds(text)
    except (TypeError, KeyError, ValueError, AttributeError):
        msg = f"an AR item has no {_KEY}, or no {_CREATED} with an offset, so new items cannot be detected"
        raise ArmInvalidResponseError(msg) from None
    amounts = {name: record[name] for name in AR_ITEMS.amounts if record.get(name) is not None}
    if not isinstance(key, str) or not all(map(_is_summable, amounts.values())):
        msg = f"an AR item has a {_KEY} that is not text, or an amount that is not a number of a plausible size"
        raise ArmInvalidResponseError(msg)
    return Item(key, created, text, currency if isinstance(currency, str) else "", amounts, record)


def _is_summable(amount: Any) -> bool:
    """Return whether sums of such amounts are exact."""
    if type(amount) not in (int, Decimal):
        return False
    number = Decimal(amount)
    exponent = number.as_tuple().exponent
    return number.adjusted() <= MAX_EXPONENT and isinstance(exponent, int) and exponent >= -MAX_EXPONENT
