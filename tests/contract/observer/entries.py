"""Observation of the entries of the profile that reads show: token call, lists, pages, limits, fields and windows."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_arm.client.http.urls import fill_path
from tests.contract.observer.candidates import PARAMETER_NAMES, gl_field, window_names
from tests.contract.observer.findings import entries_of
from tests.contract.observer.wire import WireError, get_token, token_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_arm.client.reading_entries import WindowFilter
    from tests.contract.observer.findings import Findings
    from tests.contract.observer.wire import RawResponse, Wire

OK, NOT_FOUND = 200, 404

#: Lists by operation: the resource of each list whose path is documented, and of documents.
RESOURCES = {
    "list_customers": "customers",
    "list_ar_items": "aritems",
    "list_documents": "documents",
    "list_gl_items": "glitems",
}
#: Field of the records, and the list in which it is, by the date of a window.
_DATE_FIELDS = {
    "voucherdate": ("list_ar_items", "voucherDate"),
    "duedate": ("list_ar_items", "dueDate"),
    "createdtime": ("list_ar_items", "createdTime"),
    "documentdate": ("list_documents", "documentDate"),
}
UNKNOWN_CUSTOMER = "UNKNOWN-0-VERIFY"
#: Records to request where more match: the smallest page size that ARM does not change.
FEW = 5
#: Beyond every limit.
_TOO_MANY = 100_000_000
_FUTURE, _PAST = "2999-01-01", "1900-01-01"
_SUMMARY_FIELDS = {"totalCount", "pageNo", "totalPages", "maximumCount", "queryId"}
_ID_HEADER = re.compile(r"request.?id|correlation|trace", re.IGNORECASE)


def _update(wire: Wire, findings: Findings) -> None:
    wire.readings = findings.readings


# -- token call -------------------------------------------------------------------------------------------------------


def observe_token(wire: Wire, findings: Findings) -> None:
    """Record how the token service wants its call.

    :raises WireError: no way of the call returned a token.
    """
    calls, target = findings.base.calls, wire.target
    given = target.scope or calls.token_scope
    statuses = []
    for auth in dict.fromkeys((calls.token_auth, "body", "basic")):
        for scope in dict.fromkeys((given, None)):
            way = calls.model_copy(update={"token_auth": auth, "token_scope": scope})
            response = get_token(target, way)
            if token_in(response):
                _record_token(wire, findings, auth, scope)
                return
            statuses.append(str(response.status))
    tries = ", ".join(statuses)
    raise WireError(f"no token: the token service returned {tries}; check auth URL, client ID and client secret")


def _record_token(wire: Wire, findings: Findings, auth: str, scope: str | None) -> None:
    how = f"a token call with client ID and secret in the {'body' if auth == 'body' else 'header'}"
    values: dict[str, Any] = {"calls.token_auth": auth}
    if scope is not None:
        way = findings.base.calls.model_copy(update={"token_auth": auth, "token_scope": None})
        needed = not token_in(get_token(wire.target, way))
        values["calls.token_scope"] = scope if needed else None
        how += ", and the scope" if needed else ", with and without the scope"
    else:
        values["calls.token_scope"] = None
    findings.entries(values, how)
    host = urlsplit(wire.target.base_url).hostname or ""
    urls = findings.base.calls.token_urls
    if host in urls:
        findings.entry("calls.token_urls", {**urls, host: wire.target.auth_url}, f"a token for {host}")
    else:
        findings.skip("no default for this host: set auth_url of the connection", "calls.token_urls")
    _update(wire, findings)


# -- lists and pages --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class List:
    """A list and its first page."""

    operation: str
    response: RawResponse = field(repr=False)

    @property
    def resource(self) -> str:
        """The last part of its path."""
        return RESOURCES[self.operation]

    @property
    def rows(self) -> list[Any]:
        """The records of the page."""
        return rows_in(self.response)

    @property
    def total(self) -> int:
        """The number of records according to ARM."""
        total = summary_of(self.response).get("totalCount")
        return total if isinstance(total, int) else len(self.rows)


def summary_of(response: RawResponse) -> dict[str, Any]:
    """Return the summary of a page; empty if it has none."""
    summary = response.object.get("summary")
    return summary if isinstance(summary, dict) else {}


def rows_in(response: RawResponse) -> list[Any]:
    """Return the records of a page: the first list beside the summary."""
    return next((value for name, value in response.object.items() if name != "summary" and isinstance(value, list)), [])


def read_lists(wire: Wire) -> dict[str, List]:
    """Return the lists that can be read, with their first pages.

    :raises WireError: none can be read.
    """
    first = {operation: List(operation, wire.get(resource)) for operation, resource in RESOURCES.items()}
    found = {operation: each for operation, each in first.items() if each.response.status == OK}
    if not found:
        statuses = ", ".join(f"{each.resource} {each.response.status}" for each in first.values())
        raise WireError(f"no list can be read: {statuses}")
    return found


def observe_lists(wire: Wire, findings: Findings) -> dict[str, List]:
    """Record the names and limits of lists, and return the lists."""
    lists = read_lists(wire)
    with findings.guard("lists.summary_key", *entries_of("lists.record_keys.")):
        _body_keys(findings, lists)
    _update(wire, findings)
    lists = read_lists(wire)
    largest = max(lists.values(), key=lambda found: found.total)
    with findings.guard(*entries_of("lists.parameters."), "lists.max_page_size", "lists.max_records"):
        _page_size(wire, findings, largest)
        _kept_query(wire, findings, largest)
        _maximum_count(wire, findings, largest)
    with findings.guard(*entries_of("gl_items.")):
        _gl_fields(findings, lists.get("list_gl_items"))
    _update(wire, findings)
    _request_id(findings, largest.response)
    return read_lists(wire)


def _body_keys(findings: Findings, lists: dict[str, List]) -> None:
    values: dict[str, Any] = {}
    summaries = set()
    for operation, found in lists.items():
        body = found.response.raw
        objects = [key for key, value in body.items() if isinstance(value, dict)]
        likely = [key for key in objects if len(_SUMMARY_FIELDS & set(body[key])) > 1] or objects
        if len(likely) == 1:
            summaries.add(likely[0])
        keys = [key for key, value in body.items() if isinstance(value, list)]
        if len(keys) == 1:
            values[f"lists.record_keys.{operation}"] = keys[0]
        else:
            name, next_step = f"lists.record_keys.{operation}", "the client needs one list beside the summary"
            findings.record_unlisted(name, f"{len(keys)} lists", found.resource, next_step)
    if len(summaries) == 1:
        values["lists.summary_key"] = summaries.pop()
    findings.entries(values, "first pages")
    findings.skip("the lists have no object that could be the summary", "lists.summary_key")


def _page_size(wire: Wire, findings: Findings, found: List) -> None:
    name = "lists.parameters.page_size"
    if found.total <= FEW:
        findings.skip(f"only {found.total} {found.resource}", name, "lists.max_page_size")
        return
    for candidate in dict.fromkeys((findings.base.lists.parameters.page_size, *PARAMETER_NAMES["page_size"])):
        response = wire.get(found.resource, exact={candidate: FEW})
        if response.status == OK and len(rows_in(response)) == FEW:
            findings.entry(name, candidate, f"{found.resource} with {candidate}={FEW}: {FEW} records")
            break
    else:
        findings.skip("no likely name has an effect", name, "lists.max_page_size")
        return
    _update(wire, findings)
    limit = summary_of(wire.get(found.resource, exact={candidate: _TOO_MANY})).get("pageSizeLimit")
    if isinstance(limit, int) and 0 < limit < _TOO_MANY:
        findings.entry("lists.max_page_size", limit, f"pageSizeLimit after {candidate}={_TOO_MANY}")
    findings.skip("a page size beyond every limit has no pageSizeLimit", "lists.max_page_size")


def _kept_query(wire: Wire, findings: Findings, found: List) -> None:
    names = ("lists.parameters.query", "lists.parameters.page_number")
    summary = summary_of(wire.get(found.resource, pagesize=FEW))
    kept = summary.get("queryId")
    parameters = parse_qsl(urlsplit(str(summary.get("nextPage") or "")).query)
    query = [name for name, value in parameters if value == kept]
    number = [name for name, value in parameters if value == "2" and name not in query]
    if len(query) == len(number) == 1:
        findings.entries(dict(zip(names, (query[0], number[0]), strict=True)), f"nextPage of {found.resource}")
        _update(wire, findings)
    findings.skip("no nextPage with the queryId and the number of a page", *names)


def _maximum_count(wire: Wire, findings: Findings, found: List) -> None:
    name = "lists.parameters.maximum_count"
    few = min(FEW, found.total) - 1
    for candidate in dict.fromkeys((findings.base.lists.parameters.maximum_count, *PARAMETER_NAMES["maximum_count"])):
        response = wire.get(found.resource, exact={candidate: few}) if few > 0 else None
        if response is not None and response.status == OK and len(rows_in(response)) == few:
            findings.entry(name, candidate, f"{found.resource} with {candidate}={few}: {few} records")
            break
    else:
        findings.skip("no likely name has an effect", name, "lists.max_records")
        return
    _update(wire, findings)
    cap = summary_of(wire.get(found.resource, pagesize=FEW, exact={candidate: _TOO_MANY})).get("maximumCount")
    if isinstance(cap, int) and 0 < cap < _TOO_MANY:
        findings.entry("lists.max_records", cap, f"maximumCount after {candidate}={_TOO_MANY}")
    findings.skip("a number beyond every limit has no maximumCount", "lists.max_records")


def _gl_fields(findings: Findings, found: List | None) -> None:
    rows = [row for row in found.rows if isinstance(row, dict)] if found else []
    defaults = findings.base.gl_items.model_dump()
    values = {}
    for entry, default in defaults.items():
        others = set(defaults.values()) - {default} | set(values.values())
        if key := gl_field(entry, default, rows, others):
            values[f"gl_items.{entry}"] = key
    findings.entries(values, f"fields of {len(rows)} GL items")
    why = "no field of this kind, or several" if rows else "this client number has no GL items"
    findings.skip(why, *entries_of("gl_items."))


def _request_id(findings: Findings, response: RawResponse) -> None:
    name, known = "calls.request_id_headers", findings.base.calls.request_id_headers
    headers = [header for header in response.headers if _ID_HEADER.search(header)]
    if headers:
        findings.entry(
            name, [*known, *(each for each in headers if each not in known)], f"headers {', '.join(headers)}"
        )
    findings.skip("responses have no header of this kind", name)


# -- filters and the empty list ---------------------------------------------------------------------------------------


def observe_windows(wire: Wire, findings: Findings, lists: dict[str, List]) -> None:
    """Record the filters of each window, by their effect."""
    for by, (operation, date_field) in _DATE_FIELDS.items():
        name = f"filters.windows.{by}"
        with findings.guard(name):
            found = lists.get(operation)
            days = (
                [row[date_field] for row in found.rows if isinstance(row, dict) and row.get(date_field)]
                if found
                else []
            )
            if found is None or not days:
                findings.skip(f"no record with {date_field}", name)
                continue
            _window(wire, findings, found, by, str(days[0]))
    if "createdtime" in findings.profile().get("filters", {}).get("windows", {}):
        findings.entry("filters.created_window", "createdtime", "the filter takes times")
    findings.skip("see filters.windows.createdtime", "filters.created_window")
    _update(wire, findings)


def _window(wire: Wire, findings: Findings, found: List, by: str, day: str) -> None:
    name = f"filters.windows.{by}"
    base: WindowFilter = findings.base.filters.windows[by]
    for first, last in dict.fromkeys([(base.first, base.last), *window_names(by)]):
        if not _has_effect(wire, found, first, day, _FUTURE) or not _has_effect(wire, found, last, day, _PAST):
            continue
        both = wire.get(found.resource, pagesize=FEW, exact={first: day, last: day})
        included = bool(rows_in(both))
        how = f"{found.resource} with {first} and {last}"
        findings.entry(name, {"first": first, "last": last, "last_included": included}, how)
        return
    findings.skip("no likely name has an effect: ask Amili, and set it in the profile", name)


def _has_effect(wire: Wire, found: List, name: str, day: str, nothing: str) -> bool:
    some = wire.get(found.resource, pagesize=FEW, exact={name: _FUTURE if nothing == _PAST else _PAST})
    if some.status != OK or not rows_in(some):
        return False
    return is_empty(wire.get(found.resource, pagesize=FEW, exact={name: nothing}))


def is_empty(response: RawResponse) -> bool:
    """Return whether a response is a list without records, in any form."""
    return response.status in {NOT_FOUND, 204} or (response.status == OK and not rows_in(response))


def observe_empty_list(wire: Wire, findings: Findings, lists: Iterable[List]) -> None:
    """Record how ARM answers a filter that no record matches."""
    name = "lists.empty_is_404"
    for found in lists:
        for parameter, value in _NOTHING[found.operation].items():
            response = wire.get(found.resource, pagesize=FEW, **{parameter: value})
            how = f"{found.resource} filtered by {parameter}: {response.status}"
            if response.status == OK and not any(isinstance(each, list) for each in response.object.values()):
                next_step = "read_page (client/paging.py) refuses such a page"
                findings.record_unlisted(name, "200 without a list", how, next_step)
            elif response.status in {OK, NOT_FOUND} and is_empty(response):
                findings.entry(name, response.status == NOT_FOUND, how)
            elif response.status == 204:
                findings.record_unlisted(name, 204, how, "nothing to do: the client reads 204 as an empty list")
            else:
                continue
            _update(wire, findings)
            return
    findings.skip("no filter returned an empty list", name)


_NOTHING: dict[str, dict[str, str]] = {
    "list_customers": {"customerno": UNKNOWN_CUSTOMER},
    "list_ar_items": {"customerno": UNKNOWN_CUSTOMER, "fromvoucherdate": _FUTURE},
    "list_documents": {"customerno": UNKNOWN_CUSTOMER, "fromdocumentdate": _FUTURE},
    "list_gl_items": {"fromvoucherdate": _FUTURE},
}


# -- paths that are documented by title only --------------------------------------------------------------------------


def observe_paths(wire: Wire, findings: Findings) -> None:
    """Record which assumed paths of reads exist."""
    base = wire.target.base_url.rstrip("/")
    paths = findings.base.paths.model_dump()
    rows: dict[str, dict[str, Any]] = {}
    for operation, path in paths.items():
        name = f"paths.{operation}"
        if operation.startswith("create_"):
            findings.skip("a write that cannot be undone", name)
            continue
        values: dict[str, Any] = {"clientno": wire.target.client_no}
        if identifier := re.findall(r"{(?!clientno)(\w+)}", path):
            value = rows.get(path.rsplit("/", 1)[0], {}).get(identifier[0])
            if value is None:
                findings.skip("no record to read", name)
                continue
            values[identifier[0]] = value
        response = wire.get_url(base + fill_path(path, values))
        if response.status != OK:
            findings.skip(f"GET returned {response.status}: ask Amili for the path", name)
            continue
        findings.entry(name, path, f"GET {path}: {response.status}")
        _path_list(findings, operation, response)
        if found := [row for row in rows_in(response) if isinstance(row, dict)]:
            rows[path] = {key.lower(): value for key, value in found[0].items()}
    findings.skip("its path was not found", *entries_of("lists.record_keys."))
    _update(wire, findings)


def _path_list(findings: Findings, operation: str, response: RawResponse) -> None:
    name = f"lists.record_keys.{operation}"
    keys = [key for key, value in response.raw.items() if isinstance(value, list)]
    if name in entries_of(name) and len(keys) == 1:
        findings.entry(name, keys[0], "first page")


def today() -> str:
    """Return the date of today."""
    return dt.datetime.now(dt.UTC).date().isoformat()
