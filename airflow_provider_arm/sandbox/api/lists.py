"""Lists: filters, page sizes, the cap, and paging by ``queryId``."""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api.validation import day
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, pascal_case
from airflow_provider_arm.sandbox.state.clock import ARM_ZONE, epoch_ms
from airflow_provider_arm.sandbox.state.context import SandboxContext
from airflow_provider_arm.sandbox.state.queries import StoredQuery

#: Documented for customers, AR items and GL items; assumed for documents.
MAXIMUM_COUNT = 10_000
#: Documented: default 100, cap 1000, below 5 becomes 10.
DEFAULT_PAGE_SIZE = 100
LARGEST_PAGE_SIZE = 1000
SMALLEST_PAGE_SIZE = 5
TOO_SMALL_BECOMES = 10

#: Parameters that every list takes beside its filters.
_COMMON = frozenset({"maximumcount", "pagesize", "pageno", "userid", "expand"})

#: What may stand beside ``query``: documented is "only query and pageno"; the user goes with every read.
_WITH_QUERY = frozenset({"query", "pageno", "userid"})


@dataclass(frozen=True, slots=True)
class ListFilter:
    """One filter: the condition in SQL, and how its value is read."""

    sql: str
    read: Callable[[str, str], Any]


@dataclass(frozen=True, slots=True)
class ListDefinition:
    """One list of the API."""

    table: str
    plural: str
    filters: dict[str, ListFilter]
    #: Makes the served text from the stored one; ``None``: served as stored.
    render: Callable[[SandboxContext, list[bytes]], list[bytes]] | None = None


def text(_: str, value: str) -> str:
    """A value that is compared as it is (SQLite compares customer and document numbers without regard to case)."""
    return value


def part(_: str, value: str) -> str:
    """A value that may stand anywhere in the text."""
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def whole(name: str, value: str) -> int:
    """A whole number that fits in 64 bits."""
    if value.isascii() and value.removeprefix("-").isdigit() and len(value) < 19:  # noqa: PLR2004 - below 2**63
        return int(value)
    raise bad_parameter(name, "must be a whole number")


def date(name: str, value: str) -> int:
    """A date, as the day number that the store keeps."""
    found = day(value)
    if found is None:
        raise bad_parameter(name, "must be a date, YYYY-MM-DD")
    return found.toordinal()


def time_from(name: str, value: str) -> int:
    """A point in time; a date alone is its first moment."""
    return epoch_ms(_moment(name, value, dt.time.min))


def time_to(name: str, value: str) -> int:
    """A point in time; a date alone is its last moment."""
    return epoch_ms(_moment(name, value, dt.time.max))


def flag(name: str, value: str) -> int:
    """``true`` or ``false``: documented is that values are not case-sensitive."""
    if value.lower() not in {"true", "false"}:
        raise bad_parameter(name, "must be true or false")
    return int(value.lower() == "true")


def _moment(name: str, value: str, of_day: dt.time) -> dt.datetime:
    on = day(value)
    if on is not None:
        return dt.datetime.combine(on, of_day, ARM_ZONE)
    try:
        moment = dt.datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=ARM_ZONE)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise bad_parameter(name, "must be a time such as 2025-02-27T17:03:36.176+01:00") from None


def bad_parameter(name: str, why: str) -> HttpError:
    """400 for a query parameter."""
    return HttpError(400, f"Query parameter {name} {why}", [Problem(pascal_case(name), why)])


def serve(context: SandboxContext, call: SandboxRequest, listing: ListDefinition) -> SandboxResponse:
    """Answer a list call, first page or later one."""
    given = call.parameters()
    if "query" in given:
        query, page_no = _kept_query(context, given, listing)
    else:
        query, page_no = _new_query(context, given, listing)
    return _page(context, call, listing, query, page_no)


def _new_query(context: SandboxContext, given: dict[str, str], listing: ListDefinition) -> tuple[StoredQuery, int]:
    conditions, values = ["live = 1"], []
    for name, value in given.items():
        if name in listing.filters:
            found = listing.filters[name]
            conditions.append(found.sql)
            values.append(found.read(name, value))
        elif name not in _COMMON and context.switches["q07_unknown_filter"] == "refuse":
            raise bad_parameter(name, "is not known")
    maximum = min(whole("maximumcount", given.get("maximumcount", str(MAXIMUM_COUNT))), MAXIMUM_COUNT)
    if maximum < 1:
        raise bad_parameter("maximumcount", "must be at least 1")
    size = whole("pagesize", given.get("pagesize", str(DEFAULT_PAGE_SIZE)))
    size = TOO_SMALL_BECOMES if size < SMALLEST_PAGE_SIZE else min(size, LARGEST_PAGE_SIZE)
    where = " AND ".join(conditions)
    rows = _matching(context, listing, where, tuple(values), maximum)
    total = len(rows)
    if total == maximum and context.switches["q09_total"] == "true":
        counted = context.store.fetch_one(f"SELECT count(*) FROM {listing.table} WHERE {where}", values)  # noqa: S608 - our own SQL
        total = int(counted[0]) if counted else 0
    expires = context.now_ms() + int(context.switches["query_life"]) * 1000
    query = StoredQuery(
        context.short_id("query"), listing.plural, where, tuple(values), rows, total, size, maximum, expires
    )
    context.queries.keep(query)
    return query, whole("pageno", given.get("pageno", "1"))


def _matching(
    context: SandboxContext, listing: ListDefinition, where: str, values: tuple[object, ...], maximum: int
) -> array[int]:
    order = "pos DESC" if context.switches["q11_live_query"] else "pos"  # newest first: every new row shifts the pages
    sql = f"SELECT id FROM {listing.table} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608 - our own SQL
    return array("q", [row[0] for row in context.store.fetch_all(sql, (*values, maximum))])


def _kept_query(context: SandboxContext, given: dict[str, str], listing: ListDefinition) -> tuple[StoredQuery, int]:
    for name in given:
        if name not in _WITH_QUERY:
            raise bad_parameter(name, "may not stand beside query: the server keeps the query")
    query = context.queries.find(given["query"])
    if query is None or query.listing != listing.plural:
        raise HttpError(404, "Unknown query", [Problem("Query", "unknown")])
    limit = context.switches["q11_expire_after_pages"]
    if context.now_ms() >= query.expires_ms or (limit and query.pages_given >= limit):
        raise HttpError(context.switches["q11_expired_status"], "The query has expired", [Problem("Query", "expired")])
    if context.switches["q11_live_query"]:
        query.rows = _matching(context, listing, query.where, query.values, query.maximum)
        query.total = len(query.rows)
    return query, whole("pageno", given.get("pageno", "1"))


def _page(
    context: SandboxContext, call: SandboxRequest, listing: ListDefinition, query: StoredQuery, page_no: int
) -> SandboxResponse:
    pages = query.pages()
    extra = context.switches["q10_next_page"] == "extra_page"
    if not query.rows and context.switches["q12_empty_list"] == 404:  # noqa: PLR2004 - an HTTP status
        raise HttpError(404, "No records found")
    if not 1 <= page_no <= max(pages + extra, 1):
        raise HttpError(404, f"There is no page {page_no}", [Problem("Pageno", f"must be 1 to {max(pages, 1)}")])
    query.pages_given += 1
    start = (page_no - 1) * query.page_size
    bodies = context.store.bodies(listing.table, query.rows[start : start + query.page_size])
    if listing.render is not None:
        bodies = listing.render(context, bodies)
    summary = money.encode(_summary(context, call, query, page_no, len(bodies)))
    plural = context.switches["q08_plural_key"] or listing.plural
    return SandboxResponse(
        200, b"".join([b'{"summary":', summary, b",", money.encode(plural), b":[", b",".join(bodies), b"]}"])
    )


def _summary(
    context: SandboxContext, call: SandboxRequest, query: StoredQuery, page_no: int, size: int
) -> dict[str, Any]:
    pages = query.pages()
    host = context.switches["q13_page_host"]
    origin = f"http://{host}" if host else call.origin
    address = f"{origin}{call.path}?query={query.id}&pageno="
    summary: dict[str, Any] = {
        "pageNo": page_no,
        "currentPageSize": size,
        "pageSizeLimit": query.page_size,
        "totalPages": pages,
        "totalCount": query.total,
        "maximumCount": query.maximum,
        "nextPage": f"{address}{page_no + 1}",
        "lastPage": f"{address}{max(pages, 1)}",
        "queryId": query.id,
    }
    if page_no >= pages:  # assumed (Q10)
        last = {"null": None, "empty": "", "same": f"{address}{page_no}", "extra_page": f"{address}{page_no + 1}"}
        choice = context.switches["q10_next_page"]
        if choice == "extra_page" and page_no > pages:
            choice = "null"
        if choice == "absent":
            del summary["nextPage"]
        else:
            summary["nextPage"] = last[choice]
    return summary
