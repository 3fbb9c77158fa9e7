from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS, Assumptions
from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmIncompleteListError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmResultLimitError,
    ArmUnavailableError,
    InvalidRecordError,
)
from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.models import ArItem, ArmModel, Customer, PageSummary
from airflow_provider_arm.client.paging import (
    MAX_PAGE_SIZE,
    MAX_QUERY_RECORDS,
    Cursor,
    Page,
    PageWalk,
    read_page,
    split_list,
    split_page,
)
from tests.unit.client.scripted_server import EMPTY, HTML, PARTIAL_BODY, HttpReply, RecordedRequest, ScriptedServer

PATH = "/arm/v1/clients/2218/customers"


class ListServer:
    """Serves a list of customers in pages, as the reference shows it, until it is told otherwise."""

    def __init__(self, start_server, rows: int, size: int, **settings: Any) -> None:
        self.rows, self.size = rows, size
        #: Keys of the summary that stand there otherwise, or (None) not at all; by page, or for all under 0.
        self.summaries: dict[int, dict[str, Any]] = settings.pop("summaries", {})
        #: Whole answers by page.
        self.instead: dict[int, HttpReply] = settings.pop("instead", {})
        self.key = settings.pop("key", "customers")
        self.pages = settings.pop("pages", -(-rows // size))
        #: Which rows stand on a page, where not the due ones.
        self.shown: dict[int, list[int]] = settings.pop("shown", {})
        assert not settings
        self.server: ScriptedServer = start_server(self.answer)

    @property
    def base(self) -> str:
        """The base URL."""
        return f"{self.server.url}/arm/v1"

    @property
    def targets(self) -> list[str]:
        """What was asked for, in order."""
        return [seen.target.removeprefix(PATH) for seen in self.server.requests]

    def address(self, page: int) -> str:
        """The address of a page."""
        return f"{self.server.url}{PATH}?query=q-1&pageno={page}"

    def answer(self, seen: RecordedRequest) -> HttpReply:
        """Give the page that is asked for."""
        page = int(seen.query.get("pageno", ["1"])[0])
        if page in self.instead:
            return self.instead[page]
        due = range((page - 1) * self.size, min(page * self.size, self.rows))
        rows = [{"customerNo": str(number)} for number in self.shown.get(page, due)]
        summary = {
            "pageNo": page,
            "currentPageSize": len(rows),
            "pageSizeLimit": self.size,
            "totalPages": self.pages,
            "totalCount": self.rows,
            "maximumCount": 10000,
            "nextPage": self.address(page + 1) if page < self.pages else None,
            "lastPage": self.address(self.pages),
            "queryId": "q-1",
        }
        summary |= self.summaries.get(0, {}) | self.summaries.get(page, {})
        return HttpReply(
            {"summary": {name: value for name, value in summary.items() if value is not ...}, self.key: rows}
        )


@pytest.fixture
def lists(start_server):
    """Start list servers."""
    return lambda rows=5, size=2, **settings: ListServer(start_server, rows, size, **settings)


@pytest.fixture
def walk(arm):
    """Walk a list server's customers; give their numbers."""

    def run(server: ListServer, filters: Any = None, **settings: Any) -> list[str]:
        client = arm(server.base, **settings)
        return [customer.customer_no for customer in client.list_customers(filters, page_size=server.size)]

    return run


ALL = ["0", "1", "2", "3", "4"]
#: A summary that names no query and counts nothing: only nextPage leads on.
BARE: dict[str, Any] = dict.fromkeys(
    ["pageNo", "totalPages", "totalCount", "maximumCount", "queryId", "currentPageSize", "lastPage"], ...
)


def test_pages_are_asked_for_by_the_query_that_the_server_keeps(lists, walk) -> None:
    """Page 1 carries the filters; every other page only the query's name and its number."""
    server = lists()
    assert walk(server, {"name": "a&b", "onlyopen": True}) == ALL
    assert server.targets == ["?pagesize=2&name=a%26b&onlyopen=true", "?query=q-1&pageno=2", "?query=q-1&pageno=3"]


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5])
def test_a_list_of_any_length_comes_whole(lists, walk, rows: int) -> None:
    """Empty, one page, a full last page, a page more: every record once and in order."""
    assert walk(lists(rows)) == [str(number) for number in range(rows)]


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5])
def test_a_list_that_only_names_its_next_page_comes_whole(lists, walk, rows: int) -> None:
    """Without query and counts, ARM's own addresses are followed to the end."""
    server = lists(rows, summaries={0: BARE})
    assert walk(server) == [str(number) for number in range(rows)]
    assert server.targets[1:] == [f"?query=q-1&pageno={page}" for page in range(2, server.pages + 1)]


LAST_PAGES = {"null": None, "absent": ..., "empty": "", "the same again": "same"}


@pytest.mark.parametrize("last", LAST_PAGES.values(), ids=LAST_PAGES)
@pytest.mark.parametrize("bare", [True, False], ids=["nextPage only", "with query and counts"])
def test_every_way_to_end_a_list_is_understood(lists, walk, last, *, bare: bool) -> None:
    """A nextPage that is null, absent, empty or repeated ends the list there, whole (Q10)."""
    server = lists()
    server.summaries = {0: BARE if bare else {}, 3: {"nextPage": server.address(3) if last == "same" else last}}
    assert walk(server) == ALL
    assert len(server.targets) == 3


@pytest.mark.parametrize("bare", [True, False], ids=["nextPage only", "with query and counts"])
def test_an_empty_extra_page_is_no_record(lists, walk, *, bare: bool) -> None:
    """A last page without records ends the list and adds nothing (Q10)."""
    server = lists(4, pages=3, summaries={0: BARE if bare else {}})
    assert walk(server) == ALL[:4]
    assert len(server.targets) == 3


def test_204_is_an_empty_list(lists, walk) -> None:
    """An answer without content has no records."""
    assert walk(lists(instead={1: HttpReply(b"", 204)})) == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"shown": {2: [2]}}, "counted 5 records and gave 4"),
        ({"shown": {3: []}}, "counted 5 records and gave 4"),
        ({"shown": {2: [2, 3, 3]}}, "3 came twice"),
        ({"pages": 2}, "counted 5 records and gave 4"),
        ({"pages": 0}, "counted 5 records and gave 2"),
        (
            {"summaries": {0: {"totalPages": ..., "queryId": ...}, 2: {"nextPage": None}}},
            "counted 5 records and gave 4",
        ),
        ({"summaries": {0: {"totalPages": ...}, 1: {"nextPage": None}}}, "counted 5 records and gave 2"),
        ({"summaries": {2: {"pageNo": 3}}}, "page 2 was asked for and page 3 came"),
        ({"summaries": {2: {"pageNo": 1}}}, "page 2 was asked for and page 1 came"),
        ({"summaries": {1: {"pageNo": 0}}}, "page 1 was asked for and page 0 came"),
        ({"summaries": {2: {"totalCount": 6}}}, "counted 5 records on page 1 and 6 now"),
        ({"summaries": {3: {"totalCount": 4}}}, "counted 5 records on page 1 and 4 now"),
        ({"summaries": {0: {"queryId": ..., "nextPage": ...}}}, "page 1 of 3 names neither a query nor a next page"),
        ({"instead": {2: HttpReply(b"", 204)}}, "counted 5 records on page 1 and 0 now"),
    ],
)
def test_a_list_that_does_not_add_up_is_an_error(lists, walk, settings, says: str) -> None:
    """A page that is missing, short, doubled, out of turn or of a list that changed never passes as complete."""
    with pytest.raises(ArmIncompleteListError, match=says) as caught:
        walk(lists(**settings))
    assert (caught.value.permanent, caught.value.operation) == (False, "GET /clients/{clientno}/customers")


def test_a_page_out_of_turn_is_not_handed_on(lists, arm) -> None:
    """Records of a page that must not be there are never seen."""
    server = lists(summaries={2: {"pageNo": 3}})
    pages = arm(server.base).list_customers(page_size=2).pages()
    assert len(next(pages).texts) == 2
    with pytest.raises(ArmIncompleteListError):
        next(pages)


@pytest.mark.parametrize(
    "summary",
    [
        {"totalCount": 5, "maximumCount": 5},
        {"totalCount": 6, "maximumCount": 5},
        {"totalCount": 12_345},
        {"totalCount": 10_000},
        {"totalCount": 10_000, "maximumCount": ...},
        {"totalCount": 12_345, "maximumCount": None},
    ],
)
def test_the_cap_is_an_error_before_the_first_record(lists, arm, summary) -> None:
    """Where as many match as one query gives, or more, nothing is given: the rest would be missing silently (Q9)."""
    server = lists(summaries={0: summary})
    seen: list[Any] = []
    with pytest.raises(ArmResultLimitError, match="narrow the filters or split the period") as caught:
        seen.extend(arm(server.base).list_customers(page_size=2))
    assert (seen, len(server.targets), caught.value.permanent) == ([], 1, True)


def test_a_list_without_counts_that_fills_a_query_is_not_believed() -> None:
    """Exactly as many records as one query gives, and no word on how many match: the list may be cut."""
    walk = PageWalk({}, MAX_PAGE_SIZE, BaseUrl.parse("https://a.no"), "GET /x")
    with pytest.raises(ArmIncompleteListError, match="does not say how many match"):
        walk.accept(Page(PageSummary(), [b"{}"] * MAX_QUERY_RECORDS, ArmModel))
    walk = PageWalk({}, MAX_PAGE_SIZE, BaseUrl.parse("https://a.no"), "GET /x")
    walk.accept(Page(PageSummary(), [b"{}"] * (MAX_QUERY_RECORDS - 1), ArmModel))
    assert walk.next_request() is None


@pytest.mark.parametrize(
    ("most", "total", "pages"),
    [(4, 5, 2), (4, 4, 2), ("4", 5, 2), (10_000, 5, 3), (5, 5, 3), ("x", 9, 3)],
)
def test_a_caller_who_bounds_the_list_gets_his_bound(lists, walk, most, total: int, pages: int) -> None:
    """With maximumcount among the filters, reaching it is no error, whichever of the two counts ARM gives."""
    server = lists(pages=pages, summaries={0: {"maximumCount": most if most != "x" else ..., "totalCount": total}})
    assert walk(server, {"maximumcount": most}) == (ALL[:4] if pages == 2 else ALL)


def test_a_bounded_list_that_is_short_is_an_error(lists, walk) -> None:
    """A bound is no excuse for a page that is missing."""
    with pytest.raises(ArmIncompleteListError, match="4 were asked for, and it gave 3"):
        walk(lists(pages=2, shown={2: [2]}), {"maximumcount": 4})


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("bare", [True, False], ids=["nextPage only", "with query and counts"])
def test_a_query_that_expires_half_way_is_an_error(lists, walk, status: int, *, bare: bool) -> None:
    """Never a short list: the error says that ARM no longer keeps the query and that a new start helps (Q11)."""
    server = lists(summaries={0: BARE if bare else {}}, instead={2: HttpReply({"message": "gone"}, status)})
    with pytest.raises(
        ArmIncompleteListError, match="stopped at page 2 because ARM no longer keeps its query"
    ) as caught:
        walk(server)
    assert (caught.value.status_code, caught.value.permanent) == (status, False)
    assert caught.value.__suppress_context__


def test_another_error_half_way_is_itself(lists, walk) -> None:
    """An outage in the middle of a list is an outage."""
    with pytest.raises(ArmUnavailableError):
        walk(lists(instead={2: HttpReply(b"", 503)}))


def test_a_list_that_is_not_there_is_not_found(lists, walk) -> None:
    """404 on page 1 is an error: a wrong client number is answered the same way."""
    with pytest.raises(ArmNotFoundError):
        walk(lists(instead={1: HttpReply(b"", 404)}))


def test_a_list_that_is_not_there_can_be_assumed_empty(lists, walk) -> None:
    """Where ARM turns out to answer an empty list with 404, one argument says so (Q12)."""
    server = lists(instead={1: HttpReply(b"", 404)})
    assert walk(server, assumptions=Assumptions(empty_list_is_404=True)) == []
    with pytest.raises(ArmIncompleteListError):
        walk(lists(instead={2: HttpReply(b"", 404)}), assumptions=Assumptions(empty_list_is_404=True))


@pytest.mark.parametrize("key", ["customers", "kunder", "Customers"])
def test_the_records_are_found_under_any_name(lists, walk, key: str) -> None:
    """The one list beside the summary is the records (Q8)."""
    assert walk(lists(key=key)) == ALL


@pytest.mark.parametrize(
    "page",
    [HTML, EMPTY, PARTIAL_BODY, HttpReply("[]"), HttpReply("{}"), HttpReply("null"), HttpReply('{"customers": []}')],
)
@pytest.mark.parametrize("number", [1, 2])
def test_what_is_no_page_is_unreadable(lists, walk, page, number: int) -> None:
    """A page that is HTML, empty, cut or without a summary is asked for again and then an error."""
    server = lists(instead={number: page})
    with pytest.raises((ArmInvalidResponseError, ArmUnavailableError)):
        walk(server)
    assert len(server.targets) == number - 1 + 5


@pytest.mark.parametrize(
    "body",
    [
        b'{"summary": {}, "customers": {}}',
        b'{"summary": {}, "a": [], "b": []}',
        b'{"summary": {}}',
        b'{"summary": {}, "customers": [}',
        b'{"summary": {}, "customers": [1]',
        b'{"summary": 5, "customers": []}',
        b'{"summary": {"pageNo": "one"}, "customers": []}',
        b'{"summary": {}, "customers": ' + b"[" * 100_000,
        b"\xff",
        b"[]",
    ],
)
def test_a_body_that_is_no_page_is_a_value_error(body: bytes) -> None:
    """Every kind of rubbish is one kind of error, that the exchange turns into one that can be read."""
    with pytest.raises(ValueError, match=r".+"):
        read_page(Response(200, {}, body), "customers", Customer)


def test_the_named_list_is_taken_among_several() -> None:
    """Another list beside the records does no harm where the records stand under their own name."""
    page = read_page(
        Response(200, {}, b'{"summary": {}, "notes": [1], "customers": [{"customerNo": "1"}]}'), "customers", Customer
    )
    assert page.texts == [b'{"customerNo": "1"}']


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.dictionaries(st.text(), _JSON, max_size=4), st.booleans(), st.sampled_from([None, 1, "\t"]))),
    st.sampled_from(["", " ", "\n  "]),
)
def test_no_byte_of_a_record_changes(records: list, gap: str) -> None:
    """Each record's text is exactly ARM's, whatever its spacing, escapes and digits."""
    texts = [json.dumps(record, ensure_ascii=plain, indent=indent).encode() for record, plain, indent in records]
    body = b'{"summary":{},%s"arItems":%s[%s]}' % (gap.encode(), gap.encode(), (f"{gap},{gap}".encode()).join(texts))
    assert read_page(Response(200, {}, body), "arItems", ArItem).texts == texts


def test_a_record_that_does_not_fit_is_named_when_it_is_read() -> None:
    """The texts are there all the same: only the model of a record can fail."""
    page = read_page(Response(200, {}, b'{"summary": {}, "arItems": [{"arItemId": 5}]}'), "arItems", ArItem)
    assert page.texts == [b'{"arItemId": 5}']
    with pytest.raises(InvalidRecordError, match="arItemId: must be text"):
        _ = page.items


def test_the_documented_list_is_read(example_text) -> None:
    """The reference's own page is one, with its digits."""
    page = read_page(Response(200, {}, example_text("customers_list_200").encode()), "customers", Customer)
    assert (page.summary.total_pages, page.summary.total_count, page.summary.maximum_count) == (14, 28, 10000)
    assert (len(page.items), str(page.items[0].discount_rate)) == (1, "5.5")


ELSEWHERE = {
    "another host": "http://localhost:{other}{path}",
    "another port": "http://127.0.0.1:{other}{path}",
    "another scheme": "https://127.0.0.1:{own}{path}",
    "another host behind an @": "http://127.0.0.1:{own}@127.0.0.1:{other}{path}",
    "a host that the two URL parsers read differently": "http://127.0.0.1:{other}\\@127.0.0.1:{own}{path}",
    "a password": "http://me:secret@127.0.0.1:{own}{path}",
    "a path without a host": "{path}",
    "no scheme": "//127.0.0.1:{own}{path}",
}


@pytest.mark.parametrize("address", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_next_page_elsewhere_is_never_fetched(lists, walk, start_server, address: str) -> None:
    """The token goes to the base URL's own scheme, host and port and nowhere else (Q13)."""
    other = start_server([HttpReply(b"{}")])
    server = lists(summaries={0: BARE})
    server.summaries[1] = {
        "nextPage": address.format(other=other.port, own=server.server.port, path=f"{PATH}?pageno=2")
    }
    with pytest.raises(ArmConfigurationError, match="the token is never sent there"):
        walk(server)
    assert (other.connections, len(server.targets)) == (0, 1)


def test_with_a_query_the_servers_addresses_are_not_needed(lists, walk) -> None:
    """Addresses on ARM's public host do no harm where the query's name is given, as behind a proxy."""
    server = lists(summaries={0: {"nextPage": "https://api.staging.amili.no/arm/v1/elsewhere"}})
    assert walk(server) == ALL


def test_each_walk_asks_anew(lists, arm) -> None:
    """A cursor can be walked again and is then asked for again from page 1."""
    server = lists(2)
    cursor = arm(server.base).list_customers(page_size=2)
    assert [[customer.customer_no for customer in walk] for walk in (cursor, cursor.items())] == [["0", "1"]] * 2
    assert len(server.targets) == 2


@settings(deadline=None)
@given(
    total=st.integers(0, 40),
    size=st.integers(1, 12),
    lost=st.integers(0, 12),
    named=st.sampled_from(["query", "next", "both"]),
)
def test_a_walk_is_whole_or_raises(total: int, size: int, lost: int, named: str) -> None:
    """Whatever rows a page loses, the walk ends with all of them or with an error."""
    base = BaseUrl.parse("https://api.amili.no/arm")
    pages = max(1, -(-total // size))
    given: list[bytes] = []

    def fetch(due) -> Page[ArmModel]:
        rows = [b"%d" % row for row in range(total)][(due.number - 1) * size : due.number * size]
        kept = rows[lost:] if due.number == pages else rows
        more = due.number < pages
        summary = PageSummary(
            page_no=due.number,
            total_pages=None if named == "next" else pages,
            total_count=total,
            query_id=None if named == "next" else "q",
            next_page=f"{base.url}/x?pageno={due.number + 1}" if more and named != "query" else None,
        )
        return Page(summary, kept, ArmModel)

    cursor = Cursor(lambda: PageWalk({}, size, base, "GET /x"), fetch, DEFAULT_ASSUMPTIONS)
    try:
        for page in cursor.pages():
            given += page.texts
    except ArmIncompleteListError:
        assert lost * total > 0
    else:
        assert given == [b"%d" % row for row in range(total)]


# ---- pages as answers, from many threads


def test_every_page_after_the_first_is_named_at_once(lists, arm) -> None:
    """With a query and a count of pages, all that follow can be asked for in any order; they are the same pages."""
    server = lists(5, 2)
    source = arm(server.base).page_source("list_customers", page_size=2)
    pages = source.start_walk({"name": "x"})
    assert pages.remaining_requests() == []
    summary, text = source.fetch(pages.next_request(), lambda answer: split_page(answer, "customers"))
    pages.accept_summary(summary, len(split_list(text)))
    later = {due.number: due for due in pages.remaining_requests()}
    assert sorted(later) == [2, 3]
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda due: source.fetch(due, lambda a: split_page(a, "customers")), later.values()))
    for summary, text in found:
        assert pages.next_request() == later[summary.page_no]
        pages.accept_summary(summary, len(split_list(text)))
    assert (pages.next_request(), pages.rows) == (None, 5)


def test_without_a_query_no_page_is_named_ahead(lists, arm) -> None:
    """A list that only names its next page is followed one page after the other."""
    source = arm(lists(5, 2, summaries={0: BARE}).base).page_source("list_customers", page_size=2)
    pages = source.start_walk({})
    summary, _ = source.fetch(pages.next_request(), lambda answer: split_page(answer, "customers"))
    pages.accept_summary(summary, 2)
    assert pages.remaining_requests() == []
    assert pages.next_request().url.endswith("pageno=2")


def test_exactly_the_documented_cap_is_the_cap_whatever_it_is_called() -> None:
    """A summary that promises more than 10,000 and counts exactly 10,000 is not believed."""
    pages = PageWalk({}, 1000, BaseUrl.parse("https://arm.example/v1"), "GET /x")
    with pytest.raises(ArmResultLimitError) as caught:
        pages.accept_summary(
            PageSummary(total_count=MAX_QUERY_RECORDS, total_pages=10, maximum_count=20_000, query_id="q"), 1000
        )
    assert caught.value.total_count == MAX_QUERY_RECORDS
