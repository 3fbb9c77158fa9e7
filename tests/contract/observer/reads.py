"""Observation of behaviour that needs no writes, and for which the client needs no entry: rows 6 to 14."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_arm.client.http.urls import BaseUrl
from tests.contract.observer.entries import FEW, OK, UNKNOWN_CUSTOMER, List, is_empty, rows_in, summary_of

if TYPE_CHECKING:
    from tests.contract.observer.findings import Findings
    from tests.contract.observer.wire import RawResponse, Wire

BAD_REQUEST, SERVER_ERROR = 400, 500

_NO_DIGITS = "000000000"
_FUTURE, _PAST = "2999-01-01", "1900-01-01"
#: Each filter of the contract that belongs to no window, with a value that no record has. ``onlyopen`` and ``glperiod``
#: have none.
NOTHING_MATCHES: dict[str, dict[str, Any]] = {
    "list_customers": {"customerno": UNKNOWN_CUSTOMER, "name": UNKNOWN_CUSTOMER, "organizationno": _NO_DIGITS},
    "list_ar_items": {"customerno": UNKNOWN_CUSTOMER, "documentno": UNKNOWN_CUSTOMER, "kid": _NO_DIGITS},
    "list_documents": {"customerno": UNKNOWN_CUSTOMER},
    "list_gl_items": {"glyear": "1900", "fromvoucherdate": _FUTURE, "tovoucherdate": _PAST},
}

#: Pages requested of one query, to find out whether it expires after a number of pages.
_WALK = 12


def observe_reads(wire: Wire, findings: Findings, lists: dict[str, List], wait_for_expiry: float) -> None:
    """Record the behaviour that needs no writes.

    :param wait_for_expiry: seconds to wait for a query to expire; 0: do not wait.
    """
    largest = max(lists.values(), key=lambda found: found.total)
    with findings.guard("q06_error_body"):
        _error_body(wire, findings)
    with findings.guard("q07_unknown_filter"):
        _unknown_filter(wire, findings, largest)
    with findings.guard("q07 filter names"):
        _filter_names(wire, findings, lists)
    with findings.guard("q09_total"):
        _total(wire, findings, largest)
    with findings.guard("q10_next_page"):
        _next_page(wire, findings, largest)
    with findings.guard("q11_expire_after_pages", "lists.expired_codes"):
        _expiry(wire, findings, largest, wait_for_expiry)
    with findings.guard("q13_page_host"):
        _page_host(wire, findings, largest)
    with findings.guard("q14_gzip"):
        _gzip(wire, findings, largest)


# -- rows 6 and 7 -----------------------------------------------------------------------------------------------------


def _error_body(wire: Wire, findings: Findings) -> None:
    responses = [
        wire.get("customers", UNKNOWN_CUSTOMER),
        wire.get("customers", token="not.a.token", maximumcount=1),
        wire.get("customers", verifyunknown="1", maximumcount=1),
    ]
    kinds = {r.status: body_kind(r) for r in responses if BAD_REQUEST <= r.status < SERVER_ERROR}
    how = "unknown customer, wrong token, unknown filter: " + ", ".join(map(str, kinds))
    if not kinds:
        findings.skip("nothing was refused", "q06_error_body")
    elif strange := [kind for kind in kinds.values() if kind.startswith("JSON")]:
        next_step = "errors lack ARM's message until _describe_error_body (client/http/failures.py) reads these keys"
        findings.record_unlisted("q06_error_body", strange[0], how, next_step)
    elif len(set(kinds.values())) == 1:
        findings.record("q06_error_body", next(iter(kinds.values())), how)
    else:
        findings.record_mixed("q06_error_body", ", ".join(f"{kind} ({code})" for code, kind in kinds.items()), how)


def body_kind(response: RawResponse) -> str:
    """Return the kind of an error body, as a value of the switch if it is one."""
    if not response.body.strip():
        return "empty"
    if response.json is not None:
        known = {"message", "error", "errors", "error_description"} & set(response.object)
        return "json" if known else f"JSON without a message: {', '.join(map(str, response.object)) or 'no object'}"
    is_html = response.body.lstrip()[:1] == b"<" or "html" in response.headers.get("content-type", "")
    return "html" if is_html else "text"


def _unknown_filter(wire: Wire, findings: Findings, found: List) -> None:
    response = wire.get(found.resource, verifyunknown="1", maximumcount=1, pagesize=5)
    how = f"GET {found.resource}?verifyunknown=1: {response.status}"
    reading = {BAD_REQUEST: "refuse", OK: "ignore"}.get(response.status)
    if reading is None:
        findings.record_unlisted("q07_unknown_filter", f"status {response.status}", how)
    else:
        next_step = "ARM ignores a misspelt filter: check the names in filters=" if reading == "ignore" else ""
        findings.record("q07_unknown_filter", reading, how, next_step)


def _filter_names(wire: Wire, findings: Findings, lists: dict[str, List]) -> None:
    wrong, tried = [], 0
    for operation, found in lists.items():
        for name, value in NOTHING_MATCHES[operation].items() if found.total else ():
            tried += 1
            response = wire.get(found.resource, maximumcount=1, pagesize=5, **{name: value})
            if not is_empty(response):
                problem = "no effect" if response.status == OK else f"returned {response.status}"
                wrong.append(f"{name} of {found.resource} ({problem})")
    how = f"{tried} filters with a value that no record has"
    if wrong:
        next_step = "use ARM's own names in filters="
        findings.record_unlisted("q07 filter names", ", ".join(wrong), how, next_step)
    elif tried:
        findings.record_default("q07 filter names", how)
    else:
        findings.skip("this client number has no records", "q07 filter names")


# -- rows 9 to 11 -----------------------------------------------------------------------------------------------------


def _total(wire: Wire, findings: Findings, found: List) -> None:
    cap = summary_of(found.response).get("maximumCount")
    if isinstance(cap, int) and found.total >= cap:
        reading = "true" if found.total > cap else "capped"
        findings.record("q09_total", reading, f"{found.resource}: {found.total} counted, cap {cap}")
        return
    if found.total <= FEW:
        findings.skip(f"only {found.total} {found.resource}", "q09_total")
        return
    total = summary_of(wire.get(found.resource, maximumcount=FEW, pagesize=FEW)).get("totalCount")
    how = f"{found.total} {found.resource} requested with maximumcount={FEW}: totalCount {total}"
    reading = {FEW: "capped", found.total: "true"}.get(total or 0, f"totalCount {total}")
    findings.record("q09_total", reading, how)


def _next_page(wire: Wire, findings: Findings, found: List) -> None:
    number = summary_of(found.response).get("totalPages") or 1
    last = found.response if number == 1 else _page(wire, found, number)
    how = f"page {number} of {number} of {found.resource}"
    if last.status != OK:
        findings.skip(f"{how} returned {last.status}", "q10_next_page")
        return
    summary = summary_of(last)
    url = summary.get("nextPage", "absent")
    if url in {None, "", "absent"}:
        findings.record("q10_next_page", {None: "null", "": "empty"}.get(url, "absent"), how)
        return
    named = parse_qs(urlsplit(str(url)).query).get(wire.readings.lists.parameters.page_number, [""])[0]
    if named == str(number):
        findings.record("q10_next_page", "same", how)
        return
    further = _page(wire, found, number + 1) if named == str(number + 1) else None
    if further is not None and further.status == OK and not rows_in(further):
        findings.record("q10_next_page", "extra_page", how)
    else:
        target = f"nextPage names page {named or 'nothing'}" + (f", which returns {further.status}" if further else "")
        next_step = "nothing to do while ARM returns totalPages: the client stops by it"
        findings.record_unlisted("q10_next_page", target, how, next_step)


def _page(wire: Wire, found: List, number: int) -> RawResponse:
    return wire.get(found.resource, query=summary_of(found.response).get("queryId", ""), pageno=number)


def _expiry(wire: Wire, findings: Findings, found: List, wait: float) -> None:
    names = ("q11_expire_after_pages", "lists.expired_codes")
    opened = List(found.operation, wire.get(found.resource, pagesize=FEW))
    pages = summary_of(opened.response).get("totalPages") or 0
    if pages <= 1:
        findings.skip(f"{found.resource} fill only one page", *names)
        return
    for returned in range(1, _WALK):
        response = _page(wire, opened, 2 + returned % (pages - 1))
        if response.status != OK:
            how = f"{returned} pages of one query of {found.resource}, then {response.status}"
            if BAD_REQUEST <= response.status < SERVER_ERROR:
                next_step = "exports of more pages fail (never end early): ask Amili when a query expires"
                findings.record("q11_expire_after_pages", returned, how, next_step)
            else:
                findings.record_unlisted("q11_expire_after_pages", f"status {response.status}", how)
            _expired(findings, response, how)
            return
    findings.record("q11_expire_after_pages", 0, f"{_WALK} pages of one query of {found.resource}")
    if not wait:
        findings.skip("no query expired; --wait-for-expiry=SECONDS waits for one", names[1])
        return
    wire.wait(wait)
    response = _page(wire, opened, 2)
    if response.status == OK:
        findings.skip(f"the query had not expired after {wait:g} s", names[1])
    else:
        _expired(findings, response, f"page 2 after {wait:g} s: {response.status}")


def _expired(findings: Findings, response: RawResponse, how: str) -> None:
    known = findings.base.lists.expired_codes
    codes = known if response.status in known else (*known, response.status)
    findings.entry("lists.expired_codes", sorted(codes), how)


# -- rows 13 and 14 ---------------------------------------------------------------------------------------------------


def _page_host(wire: Wire, findings: Findings, found: List) -> None:
    summary = summary_of(found.response)
    urls = [str(summary[name]) for name in ("nextPage", "lastPage") if summary.get(name)]
    how = f"nextPage and lastPage of {found.resource}"
    if not urls:
        findings.skip(f"{found.resource} have no page addresses", "q13_page_host")
    elif foreign := [url for url in urls if not BaseUrl.parse(wire.target.base_url).is_same_origin(url)]:
        next_step = "nothing to do while ARM returns queryId: the client requests pages by it"
        if host := urlsplit(foreign[0]).netloc:
            findings.record("q13_page_host", host, how, next_step)
        else:
            findings.record_unlisted("q13_page_host", "an address without a host", how, next_step)
    else:
        findings.record("q13_page_host", "", how)


def _gzip(wire: Wire, findings: Findings, found: List) -> None:
    response = wire.get(found.resource, headers={"Accept-Encoding": "gzip"}, pagesize=100)
    coding = response.headers.get("content-encoding", "identity")
    reading: Any = {"identity": False, "gzip": True}.get(coding, f"Content-Encoding {coding}")
    findings.record("q14_gzip", reading, f"GET {found.resource} with Accept-Encoding: gzip")
