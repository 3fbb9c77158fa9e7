from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_provider_arm.client.endpoints import ad_hoc_operation
from airflow_provider_arm.client.errors import ArmIncompleteListError, ArmResultLimitError, ArmUnavailableError
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.models import PageSummary
from airflow_provider_arm.client.paging import PageSource
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.export.fetch.page_fetcher import PAGES_PER_WORKER, FetchedPage, PageFetcher
from airflow_provider_arm.export.fetch.partition import Partition
from airflow_provider_arm.export.pages.page_stats import PageStats

BASE = BaseUrl.parse("https://arm.example/v1")
MONTH = DateWindow("2026-01-01", "2026-01-31").date_range()


class Server:
    """Server with one record per requested day, in pages of three; counts requests in progress."""

    def __init__(self, *, cap: int = 1000, by_query: bool = True) -> None:
        self.cap, self.by_query = cap, by_query
        self.queries: list[list[str]] = []
        self.in_flight: list[tuple[int, int]] = []
        self.in_progress = self.max_in_progress = 0
        self.lock = threading.Lock()
        #: Called with query and page before a request is answered.
        self.before: Any = lambda query, page: None
        #: Called with query and page when the response is parsed.
        self.parsing: Any = lambda query, page: None
        self.source = PageSource(ad_hoc_operation("GET", "/x", None), BASE, 3, DEFAULT_READINGS, self.call)

    def call(self, due: Any, parse: Any) -> FetchedPage:
        """Respond to one request."""
        with self.lock:
            query, page = self._find(due)
            self.in_flight.append((query, page))
            self.in_progress += 1
            self.max_in_progress = max(self.in_progress, self.max_in_progress)
        try:
            self.before(query, page)
        finally:
            with self.lock:
                self.in_progress -= 1
        parse((query, page))
        rows = self.queries[query]
        shown = rows[(page - 1) * 3 : page * 3] if len(rows) < self.cap else []
        last = page * 3 >= len(rows)
        summary = PageSummary(
            page_no=page,
            total_count=len(rows),
            total_pages=-(-len(rows) // 3) if self.by_query else None,
            maximum_count=self.cap,
            query_id=str(query) if self.by_query else None,
            next_page=None if last else f"{BASE.url}/x?q={query}&p={page + 1}",
        )
        return FetchedPage(summary, len(shown), PageStats(len(shown), shown), shown)

    def _find(self, due: Any) -> tuple[int, int]:
        if due.url:
            query, page = due.url.split("q=")[1].split("&p=")
            return int(query), int(page)
        if "query" in due.params:
            return int(due.params["query"]), due.params["pageno"]
        first, last = (int(due.params[name][-2:]) for name in ("fromvoucherdate", "tovoucherdate"))
        self.queries.append([f"{day:02}" for day in range(first, last + 1)])
        return len(self.queries) - 1, 1

    def fetcher(
        self, *parts: Partition, workers: int = 4, inspect: Any = lambda part, page: None, **more: Any
    ) -> PageFetcher:
        """Build a fetcher."""
        return PageFetcher(
            self.source,
            {},
            parts,
            lambda place: self.parsing(*place),  # type: ignore[misc]
            inspect,
            workers=workers,
            **more,
        )


def read_all(fetcher: PageFetcher) -> list[str]:
    """Read all pages of all queries."""
    with fetcher:
        return [day for query in fetcher.queries() for page in fetcher.pages(query) for day in page.data]


EVERY_DAY = [f"{day:02}" for day in range(1, 32)]


@pytest.mark.parametrize("by_query", [True, False], ids=["by query", "nextPage only"])
@pytest.mark.parametrize("cap", [1000, 16, 4, 2])
@pytest.mark.parametrize("workers", [1, 3])
def test_records_are_read_once_and_in_order(by_query, cap, workers):
    """This holds for any number of splits and of workers."""
    server = Server(cap=cap, by_query=by_query)
    assert read_all(server.fetcher(Partition(MONTH), workers=workers)) == EVERY_DAY
    assert server.max_in_progress <= workers
    assert len(server.in_flight) == len(set(server.in_flight))


def test_pages_are_fetched_in_parallel():
    """Pages 2 to 5 are requested before the first of them is answered."""
    server = Server()
    together = threading.Barrier(4, timeout=30)
    server.before = lambda _, page: together.wait() if 2 <= page <= 5 else None
    assert read_all(server.fetcher(Partition(MONTH))) == EVERY_DAY


def test_next_page_is_fetched_while_a_page_is_parsed():
    """With one worker only one request is in progress at a time."""
    server, both = Server(), threading.Barrier(2, timeout=30)

    def meet(query: int, page: int) -> None:
        if page == 2:
            both.wait()
            assert server.in_progress <= 1

    server.parsing = meet
    server.before = lambda _, page: both.wait() if page == 3 else None
    assert read_all(server.fetcher(Partition(MONTH), workers=1)) == EVERY_DAY
    assert server.max_in_progress == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_fetch_slot_is_reacquired_when_parsing_fails(workers):
    """The client may fetch the page again after a failure."""
    server, failed = Server(), set()
    once = server.call

    def twice(due: Any, parse: Any) -> FetchedPage:
        try:
            return once(due, parse)
        except ValueError:
            return once(due, parse)

    def fail_at_first(_: int, page: int) -> None:
        if page % 2 and page not in failed:
            failed.add(page)
            raise ValueError

    server.parsing = fail_at_first
    server.source = PageSource(ad_hoc_operation("GET", "/x", None), BASE, 3, DEFAULT_READINGS, twice)
    with server.fetcher(Partition(MONTH), workers=workers) as fetcher:
        days = [day for query in fetcher.queries() for page in fetcher.pages(query) for day in page.data]
        assert days == EVERY_DAY
        # Every slot was released, and none twice.
        assert [fetcher._fetch_slots.acquire(blocking=False) for _ in range(workers + 1)] == [True] * workers + [False]
    assert server.max_in_progress <= workers


def test_next_query_is_started_ahead():
    """Page 1 of the second query is requested while pages of the first are in progress."""
    server = Server(cap=17)
    together = threading.Barrier(2, timeout=30)
    server.before = lambda query, page: together.wait() if (query, page) in {(1, 2), (2, 1)} else None
    halves = [DateWindow("2026-01-01", "2026-01-16").date_range(), DateWindow("2026-01-17", "2026-01-31").date_range()]
    server.queries.append([])  # so that the halves are queries 1 and 2
    assert read_all(server.fetcher(*map(Partition, halves))) == EVERY_DAY


def test_buffered_pages_are_limited():
    """If the caller reads no pages, memory does not grow with the list."""
    server = Server()
    with server.fetcher(Partition(MONTH), workers=2) as fetcher:
        query = next(fetcher.queries())
        pages = fetcher.pages(query)
        assert next(pages).data == EVERY_DAY[:3]
        assert next(pages).data == EVERY_DAY[3:6]
        assert query.buffered <= 2 * PAGES_PER_WORKER
        assert len(server.in_flight) <= 2 * PAGES_PER_WORKER + 2


@pytest.mark.parametrize("page", [1, 2, 5])
def test_error_is_raised_after_all_pages_before_it(page):
    """Pages that were fetched successfully are yielded first."""
    server = Server()

    def fail(_: int, number: int) -> None:
        if number == page:
            raise ArmUnavailableError("gone")

    server.before = fail
    taken: list[str] = []

    def take_some() -> None:
        with server.fetcher(Partition(MONTH)) as fetcher:
            for query in fetcher.queries():
                for content in (page.data for page in fetcher.pages(query)):
                    taken.extend(content)

    with pytest.raises(ArmUnavailableError, match="gone"):
        take_some()
    assert taken == EVERY_DAY[: (page - 1) * 3]


def test_expired_query_can_be_restarted():
    """A page with status 410 raises, and the restarted query is complete."""
    server = Server()

    def expire(query: int, page: int) -> None:
        if query == 0 and page == 4:
            raise ArmUnavailableError("expired", status_code=410)

    server.before = expire
    with server.fetcher(Partition(MONTH)) as fetcher:
        query = next(fetcher.queries())
        with pytest.raises(ArmIncompleteListError, match="no longer keeps its query"):
            list(fetcher.pages(query))
        fetcher.restart(query)
        assert [day for page in fetcher.pages(query) for day in page.data] == EVERY_DAY


def test_restart_raises_when_list_has_grown_beyond_the_cap():
    """It is not split, because a part of it was already read as one query."""
    server = Server()
    with server.fetcher(Partition(MONTH)) as fetcher:
        query = next(fetcher.queries())
        server.cap = 10
        with pytest.raises(ArmIncompleteListError, match="grew beyond what ARM returns") as caught:
            fetcher.restart(query)
        assert not isinstance(caught.value, ArmResultLimitError)


def test_verify_pages_raises_when_a_page_has_changed():
    """Every page is requested twice."""
    server = Server()
    assert read_all(server.fetcher(Partition(MONTH), verify_pages=True)) == EVERY_DAY
    assert sorted(server.in_flight) == sorted([(0, page) for page in range(1, 12)] * 2)

    changed = Server()
    changed.before = lambda query, page: changed.queries[query].__setitem__(4, "xx") if page == 11 else None
    with pytest.raises(ArmIncompleteListError, match=r"page 2 of .* had other records when it was read again"):
        read_all(changed.fetcher(Partition(MONTH), workers=1, verify_pages=True))


def test_inspect_raises_before_the_partition_is_split():
    """It is called for every page, with its partition."""
    seen = []

    def refuse(part: Partition, stats: PageStats) -> None:
        seen.append(str(part))
        raise ArmUnavailableError("not this")

    with pytest.raises(ArmUnavailableError, match="not this"):
        read_all(Server(cap=5).fetcher(Partition(MONTH), inspect=refuse))
    assert seen == ["voucherdate 2026-01-01 to 2026-01-31"]
