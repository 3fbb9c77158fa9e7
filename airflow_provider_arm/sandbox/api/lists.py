"""List operations: filters, page sizes, the result limit, and paging by ``queryId``."""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api.validation import parse_day
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, pascal_case
from airflow_provider_arm.sandbox.state.clock import ARM_ZONE, epoch_ms
from airflow_provider_arm.sandbox.state.context import SandboxContext
from airflow_provider_arm.sandbox.state.queries import StoredQuery

#: Documented for customers, AR items and GL items; assumed for documents.
MAXIMUM_COUNT = 10_000
#: Documented: default 100, at most 1000, a value below 5 becomes 10.
DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
MIN_PAGE_SIZE = 5
PAGE_SIZE_IF_TOO_SMALL = 10

#: Parameters that every list accepts in addition to its filters.
_COMMON_PARAMETERS = frozenset({"maximumcount", "pagesize", "pageno", "userid", "expand"})

#: Parameters allowed together with ``query``. Documented is "only query and pageno"; every read also has the user id.
_ALLOWED_WITH_QUERY = frozenset({"query", "pageno", "userid"})


@dataclass(frozen=True, slots=True)
class ListFilter:
    """One filter of a list: its SQL condition, and the function that parses its value."""

    sql: str
    parse: Callable[[str, str], Any]


@dataclass(frozen=True, slots=True)
class ListDefinition:
    """Definition of one list operation."""

    table: str
    plural: str
    filters: dict[str, ListFilter]
    #: Converts a stored record to the record returned; ``None``: returned as stored.
    render: Callable[[SandboxContext, bytes], bytes] | None = None


def parse_text(_: str, value: str) -> str:
    """Return *value* unchanged (SQLite compares customer and document numbers without regard to case)."""
    return value


def parse_substring(_: str, value: str) -> str:
    """Return an SQL LIKE pattern that matches *value* anywhere in the text."""
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def parse_integer(name: str, value: str) -> int:
    """Return a whole number that fits in 64 bits."""
    if value.isascii() and value.removeprefix("-").isdigit() and len(value) < 19:  # noqa: PLR2004 - below 2**63
        return int(value)
    raise parameter_error(name, "must be a whole number")


def parse_date(name: str, value: str) -> int:
    """Return a date as the day number that the store contains."""
    day = parse_day(value)
    if day is None:
        raise parameter_error(name, "must be a date, YYYY-MM-DD")
    return day.toordinal()


def parse_time_from(name: str, value: str) -> int:
    """Return a time in milliseconds since 1970; a date alone is the start of that day."""
    return epoch_ms(_parse_time(name, value, dt.time.min))


def parse_time_to(name: str, value: str) -> int:
    """Return a time in milliseconds since 1970; a date alone is the end of that day."""
    return epoch_ms(_parse_time(name, value, dt.time.max))


def parse_boolean(name: str, value: str) -> int:
    """Return 1 for ``true`` and 0 for ``false``; documented: values are not case-sensitive."""
    if value.lower() not in {"true", "false"}:
        raise parameter_error(name, "must be true or false")
    return int(value.lower() == "true")


def _parse_time(name: str, value: str, time_of_day: dt.time) -> dt.datetime:
    """Return the time, or *time_of_day* on a date alone; without an offset it is Norwegian time."""
    day = parse_day(value)
    if day is not None:
        return dt.datetime.combine(day, time_of_day, ARM_ZONE)
    try:
        time = dt.datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=ARM_ZONE)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise parameter_error(name, "must be a time such as 2025-02-27T17:03:36.176+01:00") from None


def parameter_error(name: str, reason: str) -> HttpError:
    """Return the 400 error for a query parameter."""
    return HttpError(400, f"Query parameter {name} {reason}", [Problem(pascal_case(name), reason)])


def check_parameters(request: SandboxRequest, allowed: set[str]) -> None:
    """Raise a 400 HttpError if *request* has a query parameter that is not *allowed*."""
    for name in request.query_parameters():
        if name not in allowed:
            raise parameter_error(name, "is not known")


def record_response(request: SandboxRequest, body: bytes | None, record: str, key: str) -> SandboxResponse:
    """Return a stored record; raise a 404 HttpError that names *record* and *key* if it has no *body*."""
    check_parameters(request, {"userid", "expand"})
    if body is None:
        raise HttpError(404, f"{record} not found", [Problem(key, "not found")])
    return SandboxResponse(200, body)


def list_response(context: SandboxContext, request: SandboxRequest, definition: ListDefinition) -> SandboxResponse:
    """Return the page that a list request asks for: the first page of a new query, or a page of a stored one."""
    parameters = request.query_parameters()
    find_query = _stored_query if "query" in parameters else _new_query
    query = find_query(context, parameters, definition)
    page_no = parse_integer("pageno", parameters.get("pageno", "1"))
    return _page_response(context, request, definition, query, page_no)


def _new_query(context: SandboxContext, parameters: dict[str, str], definition: ListDefinition) -> StoredQuery:
    conditions, values = ["live = 1"], []
    for name, value in parameters.items():
        if name in definition.filters:
            list_filter = definition.filters[name]
            conditions.append(list_filter.sql)
            values.append(list_filter.parse(name, value))
        elif name not in _COMMON_PARAMETERS and context.switches["q07_unknown_filter"] == "refuse":
            raise parameter_error(name, "is not known")
    maximum = min(parse_integer("maximumcount", parameters.get("maximumcount", str(MAXIMUM_COUNT))), MAXIMUM_COUNT)
    if maximum < 1:
        raise parameter_error("maximumcount", "must be at least 1")
    size = parse_integer("pagesize", parameters.get("pagesize", str(DEFAULT_PAGE_SIZE)))
    size = PAGE_SIZE_IF_TOO_SMALL if size < MIN_PAGE_SIZE else min(size, MAX_PAGE_SIZE)
    where = " AND ".join(conditions)
    row_ids = _matching_rows(context, definition, where, tuple(values), maximum)
    total = len(row_ids)
    if total == maximum and context.switches["q09_total"] == "true":
        total = context.store.count(definition.table, where, values)
    query = StoredQuery(
        id=context.short_id("query"),
        plural=definition.plural,
        where=where,
        values=tuple(values),
        row_ids=row_ids,
        total=total,
        page_size=size,
        maximum=maximum,
        expires_ms=context.now_ms() + int(context.switches["query_life"]) * 1000,
    )
    context.queries.add(query)
    return query


def _matching_rows(
    context: SandboxContext, definition: ListDefinition, where: str, values: tuple[object, ...], maximum: int
) -> array[int]:
    # Newest first for a live query: every new row then shifts the pages.
    order = "pos DESC" if context.switches["q11_live_query"] else "pos"
    sql = f"SELECT id FROM {definition.table} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608 - no user input in the SQL text
    return array("q", [row[0] for row in context.store.fetch_all(sql, (*values, maximum))])


def _stored_query(context: SandboxContext, parameters: dict[str, str], definition: ListDefinition) -> StoredQuery:
    for name in parameters:
        if name not in _ALLOWED_WITH_QUERY:
            raise parameter_error(name, "is not allowed together with query: the server has stored the query")
    query = context.queries.get(parameters["query"])
    if query is None or query.plural != definition.plural:
        raise HttpError(404, "Unknown query", [Problem("Query", "unknown")])
    limit = context.switches["q11_expire_after_pages"]
    if context.now_ms() >= query.expires_ms or (limit and query.pages_served >= limit):
        status = context.switches["q11_expired_status"]
        raise HttpError(status, "The query has expired", [Problem("Query", "expired")])
    if context.switches["q11_live_query"]:
        query.row_ids = _matching_rows(context, definition, query.where, query.values, query.maximum)
        query.total = len(query.row_ids)
    return query


def _page_response(
    context: SandboxContext, request: SandboxRequest, definition: ListDefinition, query: StoredQuery, page_no: int
) -> SandboxResponse:
    page_count = query.page_count()
    extra_page = context.switches["q10_next_page"] == "extra_page"
    if not query.row_ids and context.switches["q12_empty_list"] == 404:  # noqa: PLR2004 - an HTTP status
        raise HttpError(404, "No records found")
    if not 1 <= page_no <= max(page_count + extra_page, 1):
        problem = Problem("Pageno", f"must be between 1 and {max(page_count, 1)}")
        raise HttpError(404, f"There is no page {page_no}", [problem])
    query.pages_served += 1
    start = (page_no - 1) * query.page_size
    records = context.store.bodies(definition.table, query.row_ids[start : start + query.page_size])
    if definition.render is not None:
        records = [definition.render(context, record) for record in records]
    summary = money.encode(_page_summary(context, request, query, page_no, len(records)))
    plural = money.encode(context.switches["q08_plural_key"] or definition.plural)
    return SandboxResponse(200, b"".join([b'{"summary":', summary, b",", plural, b":[", b",".join(records), b"]}"]))


def _page_summary(
    context: SandboxContext, request: SandboxRequest, query: StoredQuery, page_no: int, size: int
) -> dict[str, Any]:
    page_count = query.page_count()
    host = context.switches["q13_page_host"]
    origin = f"http://{host}" if host else request.origin
    url = f"{origin}{request.path}?query={query.id}&pageno="
    summary: dict[str, Any] = {
        "pageNo": page_no,
        "currentPageSize": size,
        "pageSizeLimit": query.page_size,
        "totalPages": page_count,
        "totalCount": query.total,
        "maximumCount": query.maximum,
        "nextPage": f"{url}{page_no + 1}",
        "lastPage": f"{url}{max(page_count, 1)}",
        "queryId": query.id,
    }
    if page_no >= page_count:  # assumed (Q10)
        variants = {"null": None, "empty": "", "same": f"{url}{page_no}", "extra_page": f"{url}{page_no + 1}"}
        variant = context.switches["q10_next_page"]
        if variant == "extra_page" and page_no > page_count:
            variant = "null"
        if variant == "absent":
            del summary["nextPage"]
        else:
            summary["nextPage"] = variants[variant]
    return summary
