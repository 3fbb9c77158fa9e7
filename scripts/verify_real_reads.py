"""Observation of the rows of the working contract that need no writes: 6 to 14."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from verify_real_wire import RawResponse, Wire, WireError

from airflow_provider_arm.client.http.urls import BaseUrl

if TYPE_CHECKING:
    from verify_real_readings import Readings

OK, NO_CONTENT, BAD_REQUEST, NOT_FOUND, GONE, SERVER_ERROR = 200, 204, 400, 404, 410, 500

#: The lists of ARM and the key under which the contract expects their records.
KEYS = {"customers": "customers", "aritems": "arItems", "documents": "documents", "glitems": "glItems"}

UNKNOWN_CUSTOMER = "UNKNOWN-0-VERIFY"
_NO_DIGITS = "000000000"
_FUTURE, _PAST = "2999-01-01", "1900-01-01"
#: Each filter of the contract with a value that no record has. ``onlyopen`` and ``glperiod`` have none.
NOTHING_MATCHES: dict[str, dict[str, Any]] = {
    "customers": {"customerno": UNKNOWN_CUSTOMER, "name": UNKNOWN_CUSTOMER, "organizationno": _NO_DIGITS},
    "aritems": {
        "customerno": UNKNOWN_CUSTOMER,
        "documentno": UNKNOWN_CUSTOMER,
        "kid": _NO_DIGITS,
        "fromvoucherdate": _FUTURE,
        "tovoucherdate": _PAST,
        "fromduedate": _FUTURE,
        "toduedate": _PAST,
        "fromcreatedtime": _FUTURE,
        "tocreatedtime": _PAST,
    },
    "documents": {"customerno": UNKNOWN_CUSTOMER, "fromdocumentdate": _FUTURE, "todocumentdate": _PAST},
    "glitems": {"glyear": "1900", "fromvoucherdate": _FUTURE, "tovoucherdate": _PAST},
}

#: Pages requested of one query, to find out whether it expires after a number of pages.
_WALK = 12
#: Records to request where more match: the smallest page size that ARM does not change.
_FEW = 5


@dataclass(frozen=True)
class List:
    """A list and its first page."""

    resource: str
    response: RawResponse = field(repr=False)

    @property
    def summary(self) -> dict[str, Any]:
        """The summary beside the records."""
        return summary_of(self.response)

    @property
    def total(self) -> int:
        """The number of records according to ARM."""
        total = self.summary.get("totalCount")
        return total if isinstance(total, int) else len(rows_in(self.response))


def summary_of(response: RawResponse) -> dict[str, Any]:
    """Return the summary of a page; empty if it has none."""
    summary = response.object.get("summary")
    return summary if isinstance(summary, dict) else {}


def rows_in(response: RawResponse) -> list[Any]:
    """Return the records of a page: the first list beside the summary."""
    return next((value for name, value in response.object.items() if name != "summary" and isinstance(value, list)), [])


def observe_reads(wire: Wire, readings: Readings, wait_for_expiry: float) -> None:
    """Record the readings that need no writes.

    :param wait_for_expiry: seconds to wait for a query to expire; 0: do not wait.
    :raises WireError: no list can be read.
    """
    first = {resource: List(resource, wire.get(resource, pagesize=100)) for resource in KEYS}
    lists = {resource: found for resource, found in first.items() if found.response.status == OK}
    with readings.guard("q06_error_body"):
        _error_body(wire, readings)
    if not lists:
        why = "no list can be read: " + ", ".join(f"{name} {found.response.status}" for name, found in first.items())
        raise WireError(why)
    largest = max(lists.values(), key=lambda found: found.total)
    with readings.guard("q07_unknown_filter"):
        _unknown_filter(wire, readings, largest)
    with readings.guard("q07 filter names", "q12_empty_list"):
        _filter_names(wire, readings, lists)
    with readings.guard("q08_plural_key"):
        _plural_key(readings, lists)
    with readings.guard("q09_total"):
        _total(wire, readings, largest)
    with readings.guard("q10_next_page"):
        _next_page(wire, readings, largest)
    with readings.guard("q11_expire_after_pages", "q11_expired_status"):
        _expiry(wire, readings, largest, wait_for_expiry)
    with readings.guard("q13_page_host"):
        _page_host(wire, readings, largest)
    with readings.guard("q14_gzip"):
        _gzip(wire, readings, largest)


# -- rows 6 and 7 -----------------------------------------------------------------------------------------------------


def _error_body(wire: Wire, readings: Readings) -> None:
    responses = [
        wire.get("customers", UNKNOWN_CUSTOMER),
        wire.get("customers", token="not.a.token", maximumcount=1),  # noqa: S106 - not a secret
        wire.get("customers", verifyunknown="1", maximumcount=1),
    ]
    kinds = {r.status: body_kind(r) for r in responses if BAD_REQUEST <= r.status < SERVER_ERROR}
    how = "unknown customer, wrong token, unknown filter: " + ", ".join(map(str, kinds))
    if not kinds:
        readings.skip("nothing was refused", "q06_error_body")
    elif strange := [kind for kind in kinds.values() if kind.startswith("JSON")]:
        next_step = "errors lack ARM's message until _describe_error_body (client/http/failures.py) reads these keys"
        readings.record_unlisted("q06_error_body", strange[0], how, next_step)
    elif len(set(kinds.values())) == 1:
        readings.record("q06_error_body", next(iter(kinds.values())), how)
    else:
        readings.record_mixed("q06_error_body", ", ".join(f"{kind} ({code})" for code, kind in kinds.items()), how)


def body_kind(response: RawResponse) -> str:
    """Return the kind of an error body, as a value of the switch if it is one."""
    if not response.body.strip():
        return "empty"
    if response.json is not None:
        known = {"message", "error", "errors", "error_description"} & set(response.object)
        return "json" if known else f"JSON without a message: {', '.join(map(str, response.object)) or 'no object'}"
    is_html = response.body.lstrip()[:1] == b"<" or "html" in response.headers.get("content-type", "")
    return "html" if is_html else "text"


def _unknown_filter(wire: Wire, readings: Readings, found: List) -> None:
    response = wire.get(found.resource, verifyunknown="1", maximumcount=1, pagesize=5)
    how = f"GET {found.resource}?verifyunknown=1: {response.status}"
    reading = {BAD_REQUEST: "refuse", OK: "ignore"}.get(response.status)
    if reading is None:
        readings.record_unlisted("q07_unknown_filter", f"status {response.status}", how)
    else:
        next_step = "ARM ignores a misspelt filter: check the names in filters=" if reading == "ignore" else ""
        readings.record("q07_unknown_filter", reading, how, next_step)


def _filter_names(wire: Wire, readings: Readings, lists: dict[str, List]) -> None:
    wrong, tried = [], 0
    for resource, found in lists.items():
        for name, value in NOTHING_MATCHES[resource].items() if found.total else ():
            tried += 1
            response = wire.get(resource, maximumcount=1, pagesize=5, **{name: value})
            if _is_empty(response):
                _empty_list(readings, resource, name, response)
            else:
                problem = "no effect" if response.status == OK else f"returned {response.status}"
                wrong.append(f"{name} of {resource} ({problem})")
    readings.skip("no filter returned an empty list", "q12_empty_list")
    how = f"{tried} filters with a value that no record has"
    if wrong:
        next_step = "use ARM's own names in filters=; for export windows set filters.windows in the readings"
        readings.record_unlisted("q07 filter names", ", ".join(wrong), how, next_step)
    elif tried:
        readings.record_default("q07 filter names", how)
    else:
        readings.skip("this client number has no records", "q07 filter names")


def _is_empty(response: RawResponse) -> bool:
    return response.status in {NOT_FOUND, NO_CONTENT} or (response.status == OK and not rows_in(response))


def _empty_list(readings: Readings, resource: str, name: str, response: RawResponse) -> None:
    how = f"{resource} filtered by {name}: {response.status}"
    if response.status == OK and not any(isinstance(value, list) for value in response.object.values()):
        next_step = "read_page (client/paging.py) refuses such a page"
        readings.record_unlisted("q12_empty_list", "200 without a list", how, next_step)
    elif response.status == NO_CONTENT:
        next_step = "nothing to do: the client reads 204 as an empty list"
        readings.record_unlisted("q12_empty_list", NO_CONTENT, how, next_step)
    else:
        next_step = "set lists.empty_is_404 to true in the readings" if response.status == NOT_FOUND else ""
        readings.record("q12_empty_list", response.status, how, next_step)


# -- rows 8 to 11 -----------------------------------------------------------------------------------------------------


def _plural_key(readings: Readings, lists: dict[str, List]) -> None:
    others: list[tuple[str, list[str]]] = []
    bad: list[tuple[str, list[str]]] = []
    for resource, found in lists.items():
        names = [name for name, value in found.response.object.items() if name != "summary" and isinstance(value, list)]
        if names != [KEYS[resource]]:
            (others if len(names) == 1 else bad).append((resource, names))
    how = f"first page of {', '.join(lists)}"
    if bad:
        what = ", ".join(f"{resource}: {', '.join(names) or 'no list'}" for resource, names in bad)
        next_step = "read_page (client/paging.py) needs one list beside summary"
        readings.record_unlisted("q08_plural_key", what, how, next_step)
    elif len({names[0] for _, names in others}) == 1 and len(others) == len(lists):
        readings.record("q08_plural_key", others[0][1][0], how)
    elif others:
        readings.record_mixed(
            "q08_plural_key", ", ".join(f"{names[0]} ({resource})" for resource, names in others), how
        )
    else:
        readings.record("q08_plural_key", "", how)


def _total(wire: Wire, readings: Readings, found: List) -> None:
    cap = found.summary.get("maximumCount")
    if isinstance(cap, int) and found.total >= cap:
        reading = "true" if found.total > cap else "capped"
        readings.record("q09_total", reading, f"{found.resource}: {found.total} counted, cap {cap}")
        return
    if found.total <= _FEW:
        readings.skip(f"only {found.total} {found.resource}", "q09_total")
        return
    total = summary_of(wire.get(found.resource, maximumcount=_FEW, pagesize=_FEW)).get("totalCount")
    how = f"{found.total} {found.resource} requested with maximumcount={_FEW}: totalCount {total}"
    reading = {_FEW: "capped", found.total: "true"}.get(total or 0, f"totalCount {total}")
    readings.record("q09_total", reading, how)


def _next_page(wire: Wire, readings: Readings, found: List) -> None:
    number = found.summary.get("totalPages") or 1
    last = found.response if number == 1 else _page(wire, found, number)
    how = f"page {number} of {number} of {found.resource}"
    if last.status != OK:
        readings.skip(f"{how} returned {last.status}", "q10_next_page")
        return
    summary = summary_of(last)
    url = summary.get("nextPage", "absent")
    if url in {None, "", "absent"}:
        readings.record("q10_next_page", {None: "null", "": "empty"}.get(url, "absent"), how)
        return
    named = parse_qs(urlsplit(str(url)).query).get("pageno", [""])[0]
    if named == str(number):
        readings.record("q10_next_page", "same", how)
        return
    further = _page(wire, found, number + 1) if named == str(number + 1) else None
    if further is not None and further.status == OK and not rows_in(further):
        readings.record("q10_next_page", "extra_page", how)
    else:
        target = f"nextPage names page {named or 'nothing'}" + (f", which returns {further.status}" if further else "")
        next_step = "nothing to do while ARM returns totalPages: the client stops by it"
        readings.record_unlisted("q10_next_page", target, how, next_step)


def _page(wire: Wire, found: List, number: int) -> RawResponse:
    return wire.get(found.resource, query=found.summary.get("queryId", ""), pageno=number)


def _expiry(wire: Wire, readings: Readings, found: List, wait: float) -> None:
    names = ("q11_expire_after_pages", "q11_expired_status")
    opened = List(found.resource, wire.get(found.resource, pagesize=5))
    pages = opened.summary.get("totalPages") or 0
    if pages <= 1:
        readings.skip(f"{found.resource} fill only one page", *names)
        return
    for returned in range(1, _WALK):
        response = _page(wire, opened, 2 + returned % (pages - 1))
        if response.status != OK:
            how = f"{returned} pages of one query of {found.resource}, then {response.status}"
            if response.status in {NOT_FOUND, GONE}:
                next_step = "exports of more pages fail (never end early): ask Amili when a query expires"
                readings.record("q11_expire_after_pages", returned, how, next_step)
            else:
                readings.record_unlisted("q11_expire_after_pages", f"status {response.status}", how)
            _expired(readings, response, how)
            return
    readings.record("q11_expire_after_pages", 0, f"{_WALK} pages of one query of {found.resource}")
    if not wait:
        readings.skip("no query expired; --wait-for-expiry SECONDS waits for one", names[1])
        return
    wire.wait(wait)
    response = _page(wire, opened, 2)
    if response.status == OK:
        readings.skip(f"the query had not expired after {wait:g} s", names[1])
    else:
        _expired(readings, response, f"page 2 after {wait:g} s: {response.status}")


def _expired(readings: Readings, response: RawResponse, how: str) -> None:
    next_step = ""
    if response.status not in {NOT_FOUND, GONE}:
        next_step = "add this code to lists.expired_codes in the readings, if it means an expired query"
    readings.record("q11_expired_status", response.status, how, next_step)


# -- rows 13 and 14 ---------------------------------------------------------------------------------------------------


def _page_host(wire: Wire, readings: Readings, found: List) -> None:
    urls = [str(found.summary[name]) for name in ("nextPage", "lastPage") if found.summary.get(name)]
    how = f"nextPage and lastPage of {found.resource}"
    if not urls:
        readings.skip(f"{found.resource} have no page addresses", "q13_page_host")
    elif foreign := [url for url in urls if not BaseUrl.parse(wire.target.base_url).is_same_origin(url)]:
        next_step = "nothing to do while ARM returns queryId: the client requests pages by it"
        if host := urlsplit(foreign[0]).netloc:
            readings.record("q13_page_host", host, how, next_step)
        else:
            readings.record_unlisted("q13_page_host", "an address without a host", how, next_step)
    else:
        readings.record("q13_page_host", "", how)


def _gzip(wire: Wire, readings: Readings, found: List) -> None:
    response = wire.get(found.resource, headers={"Accept-Encoding": "gzip"}, pagesize=100)
    coding = response.headers.get("content-encoding", "identity")
    reading: Any = {"identity": False, "gzip": True}.get(coding, f"Content-Encoding {coding}")
    readings.record("q14_gzip", reading, f"GET {found.resource} with Accept-Encoding: gzip")
