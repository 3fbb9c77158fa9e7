"""Likely names to try where a name of the profile has no effect, and likely fields where one is missing."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.readings import DEFAULT_READINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARAMETER_NAMES = {
    "page_size": ("pagesize", "pageSize", "page_size", "size", "limit", "perpage", "per_page", "top"),
    "maximum_count": ("maximumcount", "maximumCount", "maximum_count", "maxcount", "maxCount", "max", "limit"),
}
#: Keys of the record or records in a body; None: the body is the record.
RECORD_KEYS = {
    "one": ("customer", None, "data", "record", "item"),
    "many": ("customers", "documents", None, "records", "items", "data", "batch"),
}
#: Names of metadata and of the user in it.
METADATA = (("metadata", "userId"), ("metaData", "userId"), ("meta", "userId"), ("header", "userId"))

#: Other words for the date of a window.
_SYNONYMS = {
    "voucherdate": ("voucherdate", "voucherDate", "voucher_date", "bookingdate", "bookingDate", "postingdate"),
    "duedate": ("duedate", "dueDate", "due_date", "due"),
    "createdtime": ("createdtime", "createdTime", "created_time", "created", "createddate", "createdDate"),
    "documentdate": ("documentdate", "documentDate", "document_date", "date", "invoicedate", "invoiceDate"),
}
_PAIRS = (("from", "to"), ("min", "max"), ("start", "end"), ("after", "before"), ("since", "until"), ("gte", "lte"))
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def window_names(by: str) -> Iterator[tuple[str, str]]:
    """Yield likely names of the two filters of a window."""
    for word in _SYNONYMS.get(by, (by,)):
        capital = word[:1].upper() + word[1:]
        for first, last in _PAIRS:
            yield first + word, last + word
            yield first + capital, last + capital
            yield word + first, word + last
            yield word + first.capitalize(), word + last.capitalize()
            yield f"{first}_{word}", f"{last}_{word}"
            yield f"{word}_{first}", f"{word}_{last}"


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(dt.date.fromisoformat(value))
    except ValueError:
        return False


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool | str | list | dict | None)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "gl_item_id": lambda value: isinstance(value, str | int) and not isinstance(value, bool),
    "currency": lambda value: isinstance(value, str) and bool(re.fullmatch("[A-Z]{3}", value)),
    "currency_amount": _is_number,
    "gl_amount": _is_number,
    "voucher_date": _is_day,
    "created_time": lambda value: isinstance(value, str) and bool(_STAMP.match(value)),
    "gl_year": lambda value: _is_whole(value) and 1900 <= value <= 2999,
    "gl_period": lambda value: _is_whole(value) and 0 <= value <= 13,
}
#: Part of a likely name, where the kind of value alone does not decide.
_LIKELY = {"currency_amount": "currency|amount|belop", "gl_amount": "amount|belop", "gl_item_id": "id"}
#: Fields of GL items that are documented for AR items, and so mean something else.
_OTHERS = {
    "clientNo", "glAccountNo", "arItemId", "customerNo", "documentNo", "kid", "voucherType", "voucherNo", "glCaseNo",
    "glLotNo", "accountNo", "dueDate", "documentDate", "balance", "glBalance",
}  # fmt: skip


def gl_field(entry: str, default: str, rows: list[dict[str, Any]], taken: set[str]) -> str:
    """Return the field of GL items with the meaning of an entry; empty if none or several could have it."""
    is_kind = _KINDS[entry]
    if not rows:
        return ""
    if all(default in row and is_kind(row[default]) for row in rows):
        return default
    if any(default in row for row in rows):
        return ""
    known = _OTHERS | taken | set(DEFAULT_READINGS.gl_items.model_dump().values())
    found = [key for key in rows[0] if key not in known and all(is_kind(row.get(key)) for row in rows)]
    if entry == "gl_item_id":
        found = [key for key in found if len({row[key] for row in rows}) == len(rows)]
    likely = [key for key in found if re.search(_LIKELY.get(entry, "$^"), key, re.IGNORECASE)]
    found = likely or found
    return found[0] if len(found) == 1 else ""
