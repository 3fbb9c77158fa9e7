"""The rows of the working contract that reading alone shows: 6 to 14."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from verify_real_wire import Seen, Wire, WireError

from airflow_provider_arm.client.http.urls import BaseUrl

if TYPE_CHECKING:
    from verify_real_readings import Notes

OK, NO_CONTENT, BAD_REQUEST, NOT_FOUND, GONE, SERVER_ERROR = 200, 204, 400, 404, 410, 500

#: The lists of ARM and the key under which the contract expects their records.
KEYS = {"customers": "customers", "aritems": "arItems", "documents": "documents", "glitems": "glItems"}

NOBODY = "NOBODY-0-VERIFY"
_NO_DIGITS = "000000000"
_FUTURE, _PAST = "2999-01-01", "1900-01-01"
#: Each filter of the contract with a value that no record has. ``onlyopen`` and ``glperiod`` have none.
NOTHING_MATCHES: dict[str, dict[str, Any]] = {
    "customers": {"customerno": NOBODY, "name": NOBODY, "organizationno": _NO_DIGITS},
    "aritems": {
        "customerno": NOBODY,
        "documentno": NOBODY,
        "kid": _NO_DIGITS,
        "fromvoucherdate": _FUTURE,
        "tovoucherdate": _PAST,
        "fromduedate": _FUTURE,
        "toduedate": _PAST,
        "fromcreatedtime": _FUTURE,
        "tocreatedtime": _PAST,
    },
    "documents": {"customerno": NOBODY, "fromdocumentdate": _FUTURE, "todocumentdate": _PAST},
    "glitems": {"glyear": "1900", "fromvoucherdate": _FUTURE, "tovoucherdate": _PAST},
}

#: Pages of one query that are asked for, to see whether it expires by use.
_WALK = 12
#: Records to ask for where more match: the smallest page that ARM gives as asked.
_FEW = 5


@dataclass(frozen=True)
class List:
    """A list and its first page."""

    resource: str
    seen: Seen = field(repr=False)

    @property
    def summary(self) -> dict[str, Any]:
        """What stands beside the records."""
        return summary_of(self.seen)

    @property
    def total(self) -> int:
        """How many records ARM counts."""
        total = self.summary.get("totalCount")
        return total if isinstance(total, int) else len(rows_in(self.seen))


def summary_of(seen: Seen) -> dict[str, Any]:
    """Read the summary of a page; an empty one where there is none."""
    summary = seen.object.get("summary")
    return summary if isinstance(summary, dict) else {}


def rows_in(seen: Seen) -> list[Any]:
    """Read the records of a page: the first list beside the summary."""
    return next((value for name, value in seen.object.items() if name != "summary" and isinstance(value, list)), [])


def observe_reads(wire: Wire, notes: Notes, wait_for_expiry: float) -> None:
    """Observe all that changes nothing.

    :param wait_for_expiry: seconds to wait for a query to expire; 0: not at all.
    """
    first = {resource: List(resource, wire.get(resource, pagesize=100)) for resource in KEYS}
    lists = {resource: found for resource, found in first.items() if found.seen.status == OK}
    with notes.careful("q06_error_body"):
        _error_body(wire, notes)
    if not lists:
        why = "no list can be read: " + ", ".join(f"{name} {found.seen.status}" for name, found in first.items())
        raise WireError(why)
    largest = max(lists.values(), key=lambda found: found.total)
    with notes.careful("q07_unknown_filter"):
        _unknown_filter(wire, notes, largest)
    with notes.careful("q07 filter names", "q12_empty_list"):
        _filter_names(wire, notes, lists)
    with notes.careful("q08_plural_key"):
        _plural_key(notes, lists)
    with notes.careful("q09_total"):
        _total(wire, notes, largest)
    with notes.careful("q10_next_page"):
        _next_page(wire, notes, largest)
    with notes.careful("q11_expire_after_pages", "q11_expired_status"):
        _expiry(wire, notes, largest, wait_for_expiry)
    with notes.careful("q13_page_host"):
        _page_host(wire, notes, largest)
    with notes.careful("q14_gzip"):
        _gzip(wire, notes, largest)


# -- rows 6 and 7 -----------------------------------------------------------------------------------------------------


def _error_body(wire: Wire, notes: Notes) -> None:
    answers = [
        wire.get("customers", NOBODY),
        wire.get("customers", token="not.a.token", maximumcount=1),  # noqa: S106 - it is no token
        wire.get("customers", verifyunknown="1", maximumcount=1),
    ]
    kinds = {seen.status: body_kind(seen) for seen in answers if BAD_REQUEST <= seen.status < SERVER_ERROR}
    how = "unknown customer, wrong token, unknown filter: " + ", ".join(map(str, kinds))
    if not kinds:
        notes.unseen("nothing was refused", "q06_error_body")
    elif strange := [kind for kind in kinds.values() if kind.startswith("JSON")]:
        step = "errors lose what ARM said until _what_arm_said (client/http/failures.py) reads these keys"
        notes.unlisted("q06_error_body", strange[0], how, step)
    elif len(set(kinds.values())) == 1:
        notes.saw("q06_error_body", next(iter(kinds.values())), how)
    else:
        notes.mixed("q06_error_body", ", ".join(f"{kind} ({code})" for code, kind in kinds.items()), how)


def body_kind(seen: Seen) -> str:
    """Say what kind of error body came, in the words of the switch."""
    if not seen.body.strip():
        return "empty"
    if seen.json is not None:
        known = {"message", "error", "errors", "error_description"} & set(seen.object)
        return "json" if known else f"JSON without a message: {', '.join(map(str, seen.object)) or 'no object'}"
    return "html" if seen.body.lstrip()[:1] == b"<" or "html" in seen.headers.get("content-type", "") else "text"


def _unknown_filter(wire: Wire, notes: Notes, found: List) -> None:
    seen = wire.get(found.resource, verifyunknown="1", maximumcount=1, pagesize=5)
    how = f"GET {found.resource}?verifyunknown=1: {seen.status}"
    reading = {BAD_REQUEST: "refuse", OK: "ignore"}.get(seen.status)
    if reading is None:
        notes.unlisted("q07_unknown_filter", f"status {seen.status}", how)
    else:
        step = "a misspelt filter is not noticed: check the names in filters=" if reading == "ignore" else ""
        notes.saw("q07_unknown_filter", reading, how, step)


def _filter_names(wire: Wire, notes: Notes, lists: dict[str, List]) -> None:
    wrong, tried = [], 0
    for resource, found in lists.items():
        for name, value in NOTHING_MATCHES[resource].items() if found.total else ():
            tried += 1
            seen = wire.get(resource, maximumcount=1, pagesize=5, **{name: value})
            if _is_empty(seen):
                _empty_list(notes, resource, name, seen)
            else:
                said = "no effect" if seen.status == OK else f"answered {seen.status}"
                wrong.append(f"{name} of {resource} ({said})")
    notes.unseen("no filter chose nothing", "q12_empty_list")
    how = f"{tried} filters with a value that no record has"
    if wrong:
        step = "use ARM's own names in filters=; for export windows change WINDOW_FILTERS (client/assumptions.py)"
        notes.unlisted("q07 filter names", ", ".join(wrong), how, step)
    elif tried:
        notes.holds("q07 filter names", how)
    else:
        notes.unseen("this client number has no records", "q07 filter names")


def _is_empty(seen: Seen) -> bool:
    return seen.status in {NOT_FOUND, NO_CONTENT} or (seen.status == OK and not rows_in(seen))


def _empty_list(notes: Notes, resource: str, name: str, seen: Seen) -> None:
    how = f"{resource} chosen by {name}: {seen.status}"
    if seen.status == OK and not any(isinstance(value, list) for value in seen.object.values()):
        notes.unlisted("q12_empty_list", "200 without a list", how, "read_page (client/paging.py) refuses such a page")
    elif seen.status == NO_CONTENT:
        notes.unlisted("q12_empty_list", NO_CONTENT, how, "nothing to do: the client reads 204 as an empty list")
    else:
        step = "give the client Assumptions(empty_list_is_404=True)" if seen.status == NOT_FOUND else ""
        notes.saw("q12_empty_list", seen.status, how, step)


# -- rows 8 to 11 -----------------------------------------------------------------------------------------------------


def _plural_key(notes: Notes, lists: dict[str, List]) -> None:
    others: list[tuple[str, list[str]]] = []
    bad: list[tuple[str, list[str]]] = []
    for resource, found in lists.items():
        names = [name for name, value in found.seen.object.items() if name != "summary" and isinstance(value, list)]
        if names != [KEYS[resource]]:
            (others if len(names) == 1 else bad).append((resource, names))
    how = f"first page of {', '.join(lists)}"
    if bad:
        what = ", ".join(f"{resource}: {', '.join(names) or 'no list'}" for resource, names in bad)
        notes.unlisted("q08_plural_key", what, how, "read_page (client/paging.py) needs one list beside summary")
    elif len({names[0] for _, names in others}) == 1 and len(others) == len(lists):
        notes.saw("q08_plural_key", others[0][1][0], how)
    elif others:
        notes.mixed("q08_plural_key", ", ".join(f"{names[0]} ({resource})" for resource, names in others), how)
    else:
        notes.saw("q08_plural_key", "", how)


def _total(wire: Wire, notes: Notes, found: List) -> None:
    cap = found.summary.get("maximumCount")
    if isinstance(cap, int) and found.total >= cap:
        reading = "true" if found.total > cap else "capped"
        notes.saw("q09_total", reading, f"{found.resource}: {found.total} counted, cap {cap}")
        return
    if found.total <= _FEW:
        notes.unseen(f"only {found.total} {found.resource}", "q09_total")
        return
    total = summary_of(wire.get(found.resource, maximumcount=_FEW, pagesize=_FEW)).get("totalCount")
    how = f"{found.total} {found.resource} asked for with maximumcount={_FEW}: totalCount {total}"
    reading = {_FEW: "capped", found.total: "true"}.get(total or 0, f"totalCount {total}")
    notes.saw("q09_total", reading, how)


def _next_page(wire: Wire, notes: Notes, found: List) -> None:
    number = found.summary.get("totalPages") or 1
    last = found.seen if number == 1 else _page(wire, found, number)
    how = f"page {number} of {number} of {found.resource}"
    if last.status != OK:
        notes.unseen(f"{how} answered {last.status}", "q10_next_page")
        return
    summary = summary_of(last)
    url = summary.get("nextPage", "absent")
    if url in {None, "", "absent"}:
        notes.saw("q10_next_page", {None: "null", "": "empty"}.get(url, "absent"), how)
        return
    named = parse_qs(urlsplit(str(url)).query).get("pageno", [""])[0]
    if named == str(number):
        notes.saw("q10_next_page", "same", how)
        return
    further = _page(wire, found, number + 1) if named == str(number + 1) else None
    if further is not None and further.status == OK and not rows_in(further):
        notes.saw("q10_next_page", "extra_page", how)
    else:
        said = f"nextPage names page {named or 'nothing'}" + (f", which answers {further.status}" if further else "")
        notes.unlisted("q10_next_page", said, how, "nothing to do while totalPages is given: the client stops by it")


def _page(wire: Wire, found: List, number: int) -> Seen:
    return wire.get(found.resource, query=found.summary.get("queryId", ""), pageno=number)


def _expiry(wire: Wire, notes: Notes, found: List, wait: float) -> None:
    names = ("q11_expire_after_pages", "q11_expired_status")
    opened = List(found.resource, wire.get(found.resource, pagesize=5))
    pages = opened.summary.get("totalPages") or 0
    if pages <= 1:
        notes.unseen(f"{found.resource} fill one page only", *names)
        return
    for given in range(1, _WALK):
        seen = _page(wire, opened, 2 + given % (pages - 1))
        if seen.status != OK:
            how = f"{given} pages of one query of {found.resource}, then {seen.status}"
            if seen.status in {NOT_FOUND, GONE}:
                step = "exports of more pages end in an error (never short): ask Amili how long a query lives"
                notes.saw("q11_expire_after_pages", given, how, step)
            else:
                notes.unlisted("q11_expire_after_pages", f"status {seen.status}", how)
            _expired(notes, seen, how)
            return
    notes.saw("q11_expire_after_pages", 0, f"{_WALK} pages of one query of {found.resource}")
    if not wait:
        notes.unseen("no query expired; --wait-for-expiry SECONDS waits for one", names[1])
        return
    wire.wait(wait)
    seen = _page(wire, opened, 2)
    if seen.status == OK:
        notes.unseen(f"a query still lived after {wait:g} s", names[1])
    else:
        _expired(notes, seen, f"page 2 after {wait:g} s: {seen.status}")


def _expired(notes: Notes, seen: Seen, how: str) -> None:
    step = "give the client Assumptions(expired_query_codes=...) with this code, if it means an expired query"
    notes.saw("q11_expired_status", seen.status, how, "" if seen.status in {NOT_FOUND, GONE} else step)


# -- rows 13 and 14 ---------------------------------------------------------------------------------------------------


def _page_host(wire: Wire, notes: Notes, found: List) -> None:
    urls = [str(found.summary[name]) for name in ("nextPage", "lastPage") if found.summary.get(name)]
    how = f"nextPage and lastPage of {found.resource}"
    if not urls:
        notes.unseen(f"{found.resource} give no page addresses", "q13_page_host")
    elif foreign := [url for url in urls if not BaseUrl.parse(wire.target.base_url).is_same_origin(url)]:
        host = urlsplit(foreign[0]).netloc
        if host:
            notes.saw("q13_page_host", host, how, "nothing to do while queryId is given: pages are asked for by it")
        else:
            notes.unlisted("q13_page_host", "an address without a host", how, "nothing to do while queryId is given")
    else:
        notes.saw("q13_page_host", "", how)


def _gzip(wire: Wire, notes: Notes, found: List) -> None:
    seen = wire.get(found.resource, headers={"Accept-Encoding": "gzip"}, pagesize=100)
    coding = seen.headers.get("content-encoding", "identity")
    reading: Any = {"identity": False, "gzip": True}.get(coding, f"Content-Encoding {coding}")
    notes.saw("q14_gzip", reading, f"GET {found.resource} with Accept-Encoding: gzip")
