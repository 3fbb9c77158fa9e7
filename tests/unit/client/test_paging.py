from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from airflow_provider_arm.client.paging import MAX_PAGE_SIZE, Cursor, Page, PageWalk, read_page, split_list, split_page
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings
from tests.unit.client.scripted_server import EMPTY, HTML, PARTIAL_BODY, HttpReply, RecordedRequest, ScriptedServer

PATH = "/arm/v1/clients/2218/customers"


class ListServer:
    """A server of a list of customers in pages, as in the reference unless a test changes it."""

    def __init__(self, start_server, rows: int, size: int, **settings: Any) -> None:
        self.rows, self.size = rows, size
        #: Changed keys of the summary, by page, or for all pages under 0; ``...`` removes a key.
        self.summaries: dict[int, dict[str, Any]] = settings.pop("summaries", {})
        #: Replies that replace a page, by page.
        self.replies: dict[int, HttpReply] = settings.pop("replies", {})
        self.key = settings.pop("key", "customers")
        self.pages = settings.pop("pages", -(-rows // size))
        #: Rows of a page, if not the expected ones.
        self.shown_rows: dict[int, list[int]] = settings.pop("shown_rows", {})
        assert not settings
        self.server: ScriptedServer = start_server(self.reply)

    @property
    def base(self) -> str:
        """Base URL of the API."""
        return f"{self.server.url}/arm/v1"

    @property
    def targets(self) -> list[str]:
        """Targets of the requests, in order."""
        return [request.target.removeprefix(PATH) for request in self.server.requests]

    def url_of(self, page: int) -> str:
        """Return the URL of a page."""
        return f"{self.server.url}{PATH}?query=q-1&pageno={page}"

    def reply(self, request: RecordedRequest) -> HttpReply:
        """Return the page that was requested."""
        page = int(request.query.get("pageno", ["1"])[0])
        if page in self.replies:
            return self.replies[page]
        expected = range((page - 1) * self.size, min(page * self.size, self.rows))
        rows = [{"customerNo": str(number)} for number in self.shown_rows.get(page, expected)]
        summary = {
            "pageNo": page,
            "currentPageSize": len(rows),
            "pageSizeLimit": self.size,
            "totalPages": self.pages,
            "totalCount": self.rows,
            "maximumCount": 10000,
            "nextPage": self.url_of(page + 1) if page < self.pages else None,
            "lastPage": self.url_of(self.pages),
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
def list_all(make_client):
    """Read all customers of a list server; return their numbers."""

    def run(server: ListServer, filters: Any = None, **settings: Any) -> list[str]:
        client = make_client(server.base, **settings)
        return [customer.customer_no for customer in client.list_customers(filters, page_size=server.size)]

    return run


ALL = ["0", "1", "2", "3", "4"]
#: Changes that leave no query and no counts in a summary, only nextPage.
BARE: dict[str, Any] = dict.fromkeys(
    ["pageNo", "totalPages", "totalCount", "maximumCount", "queryId", "currentPageSize", "lastPage"], ...
)


def test_pages_are_requested_by_the_query(lists, list_all) -> None:
    """Page 1 has the filters; every other page only the queryId and its number."""
    server = lists()
    assert list_all(server, {"name": "a&b", "onlyopen": True}) == ALL
    assert server.targets == ["?pagesize=2&name=a%26b&onlyopen=true", "?query=q-1&pageno=2", "?query=q-1&pageno=3"]


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5])
def test_list_of_any_length_is_complete(lists, list_all, rows: int) -> None:
    """Empty, one page, a full last page, one more page: every record once and in order."""
    assert list_all(lists(rows)) == [str(number) for number in range(rows)]


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5])
def test_list_with_next_page_only_is_complete(lists, list_all, rows: int) -> None:
    """Without query and counts, nextPage is followed to the end."""
    server = lists(rows, summaries={0: BARE})
    assert list_all(server) == [str(number) for number in range(rows)]
    assert server.targets[1:] == [f"?query=q-1&pageno={page}" for page in range(2, server.pages + 1)]


LAST_PAGES = {"null": None, "absent": ..., "empty": "", "repeated": "same"}


@pytest.mark.parametrize("last", LAST_PAGES.values(), ids=LAST_PAGES)
@pytest.mark.parametrize("bare", [True, False], ids=["nextPage only", "with query and counts"])
def test_list_ends_at_any_kind_of_last_page(lists, list_all, last, *, bare: bool) -> None:
    """A nextPage that is null, absent, empty or repeated ends the list, which is complete (Q10)."""
    server = lists()
    server.summaries = {0: BARE if bare else {}, 3: {"nextPage": server.url_of(3) if last == "same" else last}}
    assert list_all(server) == ALL
    assert len(server.targets) == 3


@pytest.mark.parametrize("bare", [True, False], ids=["nextPage only", "with query and counts"])
def test_empty_extra_page_adds_no_record(lists, list_all, *, bare: bool) -> None:
    """A last page without records ends the list (Q10)."""
    server = lists(4, pages=3, summaries={0: BARE if bare else {}})
    assert list_all(server) == ALL[:4]
    assert len(server.targets) == 3


def test_204_is_an_empty_list(lists, list_all) -> None:
    """A response without content has no records."""
    assert list_all(lists(replies={1: HttpReply(b"", 204)})) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shown_rows": {2: [2]}}, "counted 5 records and returned 4"),
        ({"shown_rows": {3: []}}, "counted 5 records and returned 4"),
        ({"shown_rows": {2: [2, 3, 3]}}, "3 appears twice"),
        ({"pages": 2}, "counted 5 records and returned 4"),
        ({"pages": 0}, "counted 5 records and returned 2"),
        (
            {"summaries": {0: {"totalPages": ..., "queryId": ...}, 2: {"nextPage": None}}},
            "counted 5 records and returned 4",
        ),
        ({"summaries": {0: {"totalPages": ...}, 1: {"nextPage": None}}}, "counted 5 records and returned 2"),
        ({"summaries": {2: {"pageNo": 3}}}, "page 2 was requested and page 3 was returned"),
        ({"summaries": {2: {"pageNo": 1}}}, "page 2 was requested and page 1 was returned"),
        ({"summaries": {1: {"pageNo": 0}}}, "page 1 was requested and page 0 was returned"),
        ({"summaries": {2: {"totalCount": 6}}}, "counted 5 records on page 1 and 6 on page 2"),
        ({"summaries": {3: {"totalCount": 4}}}, "counted 5 records on page 1 and 4 on page 3"),
        ({"summaries": {0: {"queryId": ..., "nextPage": ...}}}, "page 1 of 3 has neither a queryId nor a nextPage"),
        ({"replies": {2: HttpReply(b"", 204)}}, "counted 5 records on page 1 and 0 on page 2"),
    ],
)
def test_inconsistent_list_raises(lists, list_all, settings, message: str) -> None:
    """A page that is missing, short, repeated, out of order, or of a changed list, never counts as complete."""
    with pytest.raises(ArmIncompleteListError, match=message) as caught:
        list_all(lists(**settings))
    assert (caught.value.permanent, caught.value.operation) == (False, "GET /clients/{clientno}/customers")


def test_wrong_page_is_not_yielded(lists, make_client) -> None:
    """Callers never get the records of a page that was not requested."""
    server = lists(summaries={2: {"pageNo": 3}})
    pages = make_client(server.base).list_customers(page_size=2).pages()
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
def test_cap_raises_before_the_first_record(lists, make_client, summary) -> None:
    """If a query does not return all matching records, none is returned: the rest would be missing silently (Q9)."""
    server = lists(summaries={0: summary})
    received: list[Any] = []
    with pytest.raises(ArmResultLimitError, match="narrow the filters or split the period") as caught:
        received.extend(make_client(server.base).list_customers(page_size=2))
    assert (received, len(server.targets), caught.value.permanent) == ([], 1, True)


def test_list_without_counts_that_reaches_the_cap_raises() -> None:
    """With exactly as many records as one query returns, and without a totalCount, the list may be incomplete."""
    walk = PageWalk({}, MAX_PAGE_SIZE, BaseUrl.parse("https://a.no"), "GET /x")
    with pytest.raises(ArmIncompleteListError, match="without a totalCount"):
        walk.accept(Page(PageSummary(), [b"{}"] * DEFAULT_READINGS.lists.max_records, ArmModel))
    walk = PageWalk({}, MAX_PAGE_SIZE, BaseUrl.parse("https://a.no"), "GET /x")
    walk.accept(Page(PageSummary(), [b"{}"] * (DEFAULT_READINGS.lists.max_records - 1), ArmModel))
    assert walk.next_request() is None


@pytest.mark.parametrize(
    ("limit", "total", "pages"), [(4, 5, 2), (4, 4, 2), ("4", 5, 2), (10_000, 5, 3), (5, 5, 3), ("x", 9, 3)]
)
def test_maximumcount_limits_the_list_without_an_error(lists, list_all, limit, total: int, pages: int) -> None:
    """With maximumcount among the filters, the list may end at it, whichever of the two counts ARM reports."""
    server = lists(pages=pages, summaries={0: {"maximumCount": limit if limit != "x" else ..., "totalCount": total}})
    assert list_all(server, {"maximumcount": limit}) == (ALL[:4] if pages == 2 else ALL)


def test_limited_list_with_missing_records_raises(lists, list_all) -> None:
    """A maximumcount does not excuse a missing page."""
    with pytest.raises(ArmIncompleteListError, match="4 were requested and 3 returned"):
        list_all(lists(pages=2, shown_rows={2: [2]}), {"maximumcount": 4})


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("bare", [True, False], ids=["nextPage only", "with query and counts"])
def test_query_that_expires_before_the_last_page_raises(lists, list_all, status: int, *, bare: bool) -> None:
    """The list is never short: the error tells that ARM no longer keeps the query, and to read the list again (Q11)."""
    server = lists(summaries={0: BARE if bare else {}}, replies={2: HttpReply({"message": "gone"}, status)})
    with pytest.raises(ArmIncompleteListError, match="ended at page 2 because ARM no longer keeps its query") as caught:
        list_all(server)
    assert (caught.value.status_code, caught.value.permanent) == (status, False)
    assert caught.value.__suppress_context__


def test_other_error_of_a_later_page_is_raised_unchanged(lists, list_all) -> None:
    """An outage before the last page is an outage."""
    with pytest.raises(ArmUnavailableError):
        list_all(lists(replies={2: HttpReply(b"", 503)}))


def test_404_for_page_1_raises_not_found(lists, list_all) -> None:
    """ARM answers the same for a wrong client number."""
    with pytest.raises(ArmNotFoundError):
        list_all(lists(replies={1: HttpReply(b"", 404)}))


def test_404_for_page_1_is_an_empty_list_if_assumed(lists, list_all) -> None:
    """If ARM turns out to answer 404 for an empty list, one argument changes the reading (Q12)."""
    server = lists(replies={1: HttpReply(b"", 404)})
    assert list_all(server, readings=Readings.parse({"lists": {"empty_is_404": True}})) == []
    with pytest.raises(ArmIncompleteListError):
        list_all(lists(replies={2: HttpReply(b"", 404)}), readings=Readings.parse({"lists": {"empty_is_404": True}}))


@pytest.mark.parametrize("key", ["customers", "kunder", "Customers"])
def test_records_are_found_under_any_key(lists, list_all, key: str) -> None:
    """The only list besides the summary has the records (Q8)."""
    assert list_all(lists(key=key)) == ALL


@pytest.mark.parametrize(
    "page",
    [HTML, EMPTY, PARTIAL_BODY, HttpReply("[]"), HttpReply("{}"), HttpReply("null"), HttpReply('{"customers": []}')],
)
@pytest.mark.parametrize("number", [1, 2])
def test_response_that_is_no_page_is_retried_and_raises(lists, list_all, page, number: int) -> None:
    """HTML, an empty or incomplete body, or one without a summary."""
    server = lists(replies={number: page})
    with pytest.raises((ArmInvalidResponseError, ArmUnavailableError)):
        list_all(server)
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
def test_body_that_is_no_page_raises_value_error(body: bytes) -> None:
    """The exchange converts it to an error for users."""
    with pytest.raises(ValueError, match=r".+"):
        read_page(Response(200, {}, body), "customers", Customer)


def test_list_with_the_expected_key_is_preferred() -> None:
    """Another list besides the records makes no difference."""
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
def test_text_of_records_is_unchanged(records: list, gap: str) -> None:
    """Each record's text is exactly ARM's, with its white space, escapes and digits."""
    texts = [json.dumps(record, ensure_ascii=plain, indent=indent).encode() for record, plain, indent in records]
    body = b'{"summary":{},%s"arItems":%s[%s]}' % (gap.encode(), gap.encode(), (f"{gap},{gap}".encode()).join(texts))
    assert read_page(Response(200, {}, body), "arItems", ArItem).texts == texts


def test_invalid_record_raises_when_its_model_is_read() -> None:
    """The text of the record is available all the same."""
    page = read_page(Response(200, {}, b'{"summary": {}, "arItems": [{"arItemId": 5}]}'), "arItems", ArItem)
    assert page.texts == [b'{"arItemId": 5}']
    with pytest.raises(InvalidRecordError, match="arItemId: must be text"):
        _ = page.items


def test_documented_list_is_read(example_text) -> None:
    """It is the example of the reference, with its digits."""
    page = read_page(Response(200, {}, example_text("customers_list_200").encode()), "customers", Customer)
    assert (page.summary.total_pages, page.summary.total_count, page.summary.maximum_count) == (14, 28, 10000)
    assert (len(page.items), str(page.items[0].discount_rate)) == (1, "5.5")


OTHER_ORIGINS = {
    "another host": "http://localhost:{other}{path}",
    "another port": "http://127.0.0.1:{other}{path}",
    "another scheme": "https://127.0.0.1:{own}{path}",
    "another host behind an @": "http://127.0.0.1:{own}@127.0.0.1:{other}{path}",
    "a host that the two URL parsers read differently": "http://127.0.0.1:{other}\\@127.0.0.1:{own}{path}",
    "a password": "http://me:secret@127.0.0.1:{own}{path}",
    "a path without a host": "{path}",
    "no scheme": "//127.0.0.1:{own}{path}",
}


@pytest.mark.parametrize("url", OTHER_ORIGINS.values(), ids=OTHER_ORIGINS)
def test_next_page_of_another_origin_is_not_fetched(lists, list_all, start_server, url: str) -> None:
    """The token is sent only to the base URL's scheme, host and port (Q13)."""
    other = start_server([HttpReply(b"{}")])
    server = lists(summaries={0: BARE})
    server.summaries[1] = {"nextPage": url.format(other=other.port, own=server.server.port, path=f"{PATH}?pageno=2")}
    with pytest.raises(ArmConfigurationError, match="the token is never sent there"):
        list_all(server)
    assert (other.connections, len(server.targets)) == (0, 1)


def test_next_page_is_ignored_if_there_is_a_query_id(lists, list_all) -> None:
    """URLs on ARM's public host make no difference then, for example behind a proxy."""
    server = lists(summaries={0: {"nextPage": "https://api.staging.amili.no/arm/v1/elsewhere"}})
    assert list_all(server) == ALL


def test_each_iteration_requests_the_list_again(lists, make_client) -> None:
    """A second iteration over a cursor starts from page 1."""
    server = lists(2)
    cursor = make_client(server.base).list_customers(page_size=2)
    assert [[customer.customer_no for customer in walk] for walk in (cursor, cursor.items())] == [["0", "1"]] * 2
    assert len(server.targets) == 2


@settings(deadline=None)
@given(
    total=st.integers(0, 40),
    size=st.integers(1, 12),
    missing=st.integers(0, 12),
    links=st.sampled_from(["query", "next", "both"]),
)
def test_list_is_complete_or_raises(total: int, size: int, missing: int, links: str) -> None:
    """Whatever records a page has lost, the result is all of them or an error."""
    base = BaseUrl.parse("https://api.amili.no/arm")
    pages = max(1, -(-total // size))
    received: list[bytes] = []

    def fetch(request) -> Page[ArmModel]:
        rows = [b"%d" % row for row in range(total)][(request.number - 1) * size : request.number * size]
        returned = rows[missing:] if request.number == pages else rows
        more = request.number < pages
        summary = PageSummary(
            page_no=request.number,
            total_pages=None if links == "next" else pages,
            total_count=total,
            query_id=None if links == "next" else "q",
            next_page=f"{base.url}/x?pageno={request.number + 1}" if more and links != "query" else None,
        )
        return Page(summary, returned, ArmModel)

    cursor = Cursor(lambda: PageWalk({}, size, base, "GET /x"), fetch)
    try:
        for page in cursor.pages():
            received += page.texts
    except ArmIncompleteListError:
        assert missing * total > 0
    else:
        assert received == [b"%d" % row for row in range(total)]


# ---- pages as responses, from many threads


def test_remaining_requests_can_be_sent_in_any_order(lists, make_client) -> None:
    """With a query and a number of pages, all pages after page 1 are known; they are the same pages."""
    server = lists(5, 2)
    source = make_client(server.base).page_source("list_customers", page_size=2)
    pages = source.start_walk({"name": "x"})
    assert pages.remaining_requests() == []
    summary, text = source.fetch(pages.next_request(), lambda response: split_page(response, "customers"))
    pages.accept_summary(summary, len(split_list(text)))
    remaining = {request.number: request for request in pages.remaining_requests()}
    assert sorted(remaining) == [2, 3]
    with ThreadPoolExecutor(2) as threads:
        read = partial(split_page, key="customers")
        results = list(threads.map(lambda request: source.fetch(request, read), remaining.values()))
    for summary, text in results:
        assert pages.next_request() == remaining[summary.page_no]
        pages.accept_summary(summary, len(split_list(text)))
    assert (pages.next_request(), pages.rows) == (None, 5)


def test_remaining_requests_are_empty_without_a_query(lists, make_client) -> None:
    """A list with nextPage only is read one page after the other."""
    source = make_client(lists(5, 2, summaries={0: BARE}).base).page_source("list_customers", page_size=2)
    pages = source.start_walk({})
    summary, _ = source.fetch(pages.next_request(), lambda response: split_page(response, "customers"))
    pages.accept_summary(summary, 2)
    assert pages.remaining_requests() == []
    assert pages.next_request().url.endswith("pageno=2")


def test_total_count_of_exactly_the_cap_raises() -> None:
    """Also if maximumCount claims more than 10,000: ARM stopped counting."""
    pages = PageWalk({}, 1000, BaseUrl.parse("https://arm.example/v1"), "GET /x")
    with pytest.raises(ArmResultLimitError) as caught:
        pages.accept_summary(PageSummary(total_count=10_000, total_pages=10, maximum_count=20_000, query_id="q"), 1000)
    assert caught.value.total_count == 10_000
