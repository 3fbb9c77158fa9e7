from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS
from airflow_provider_arm.client.endpoints import ad_hoc_operation
from airflow_provider_arm.client.errors import ArmIncompleteListError, ArmResultLimitError, ArmUnavailableError
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.models import PageSummary
from airflow_provider_arm.client.paging import PageSource
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.export.fetch.page_fetcher import PAGES_PER_WORKER, FetchedPage, PageFetcher
from airflow_provider_arm.export.fetch.partition import Partition

BASE = BaseUrl.parse("https://arm.example/v1")
MONTH = DateWindow("2026-01-01", "2026-01-31").date_range()


class Server:
    """Serves one record for each day that is asked for, in pages of three; counts what is in work."""

    def __init__(self, *, cap: int = 1000, by_query: bool = True) -> None:
        self.cap, self.by_query = cap, by_query
        self.queries: list[list[str]] = []
        self.in_flight: list[tuple[int, int]] = []
        self.in_work = self.most_in_work = 0
        self.lock = threading.Lock()
        #: Called with query and page before the answer.
        self.before: Any = lambda query, page: None
        #: Called with query and page where the answer is read.
        self.reading: Any = lambda query, page: None
        self.source = PageSource(ad_hoc_operation("GET", "/x", None), BASE, 3, DEFAULT_ASSUMPTIONS, self.call)

    def call(self, due: Any, read: Any) -> FetchedPage[list[str]]:
        """Answer."""
        with self.lock:
            query, page = self._find(due)
            self.in_flight.append((query, page))
            self.in_work += 1
            self.most_in_work = max(self.in_work, self.most_in_work)
        try:
            self.before(query, page)
        finally:
            with self.lock:
                self.in_work -= 1
        read((query, page))
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
        return FetchedPage(summary, len(shown), shown)

    def _find(self, due: Any) -> tuple[int, int]:
        if due.url:
            query, page = due.url.split("q=")[1].split("&p=")
            return int(query), int(page)
        if "query" in due.params:
            return int(due.params["query"]), due.params["pageno"]
        first, last = (int(due.params[name][-2:]) for name in ("fromvoucherdate", "tovoucherdate"))
        self.queries.append([f"{day:02}" for day in range(first, last + 1)])
        return len(self.queries) - 1, 1

    def flow(
        self, *parts: Partition, workers: int = 4, inspect: Any = lambda part, page: None, **more: Any
    ) -> PageFetcher[Any]:
        """Make a flow."""
        return PageFetcher(
            self.source,
            {},
            parts,
            lambda place: self.reading(*place),  # type: ignore[misc]
            inspect,
            fingerprint=hash_of,
            workers=workers,
            **more,
        )


def hash_of(days: list[str]) -> int:
    """Give a page's fingerprint."""
    return hash(tuple(days))


def take(flow: PageFetcher[Any]) -> list[str]:
    """Take all pages of all queries."""
    with flow:
        return [day for query in flow.queries() for page in flow.pages(query) for day in page.content]


EVERY_DAY = [f"{day:02}" for day in range(1, 32)]


@pytest.mark.parametrize("by_query", [True, False], ids=["by query", "nextPage only"])
@pytest.mark.parametrize("cap", [1000, 16, 4, 2])
@pytest.mark.parametrize("workers", [1, 3])
def test_days_come_once_and_in_order(by_query, cap, workers):
    """However far the month must be split, and however many pages are fetched at the same time."""
    server = Server(cap=cap, by_query=by_query)
    assert take(server.flow(Partition(MONTH), workers=workers)) == EVERY_DAY
    assert server.most_in_work <= workers
    assert len(server.in_flight) == len(set(server.in_flight))


def test_pages_are_fetched_at_the_same_time():
    """Four pages are in work before the first of them is answered."""
    server = Server()
    together = threading.Barrier(4, timeout=30)
    server.before = lambda _, page: together.wait() if 2 <= page <= 5 else None
    assert take(server.flow(Partition(MONTH))) == EVERY_DAY


def test_a_page_that_is_being_read_keeps_no_connection():
    """With one worker the next page is asked for, and no third one, while one is being read."""
    server, both = Server(), threading.Barrier(2, timeout=30)

    def meet(query: int, page: int) -> None:
        if page == 2:
            both.wait()
            assert server.in_work <= 1

    server.reading = meet
    server.before = lambda _, page: both.wait() if page == 3 else None
    assert take(server.flow(Partition(MONTH), workers=1)) == EVERY_DAY
    assert server.most_in_work == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_a_page_that_could_not_be_read_is_fetched_in_its_own_turn(workers):
    """A client that asks again after a failed reading has its connection back."""
    server, failed = Server(), set()
    once = server.call

    def twice(due: Any, read: Any) -> FetchedPage[list[str]]:
        try:
            return once(due, read)
        except ValueError:
            return once(due, read)

    def fail_at_first(_: int, page: int) -> None:
        if page % 2 and page not in failed:
            failed.add(page)
            raise ValueError

    server.reading = fail_at_first
    server.source = PageSource(ad_hoc_operation("GET", "/x", None), BASE, 3, DEFAULT_ASSUMPTIONS, twice)
    with server.flow(Partition(MONTH), workers=workers) as flow:
        days = [day for query in flow.queries() for page in flow.pages(query) for day in page.content]
        assert days == EVERY_DAY
        # Every turn was given back, and none twice.
        assert [flow._fetch_slots.acquire(blocking=False) for _ in range(workers + 1)] == [True] * workers + [False]
    assert server.most_in_work <= workers


def test_the_next_query_is_begun_before_its_turn():
    """Page 1 of the second query is asked for while pages of the first are still out."""
    server = Server(cap=17)
    together = threading.Barrier(2, timeout=30)
    server.before = lambda query, page: together.wait() if (query, page) in {(1, 2), (2, 1)} else None
    halves = [DateWindow("2026-01-01", "2026-01-16").date_range(), DateWindow("2026-01-17", "2026-01-31").date_range()]
    server.queries.append([])  # so that the halves are queries 1 and 2
    assert take(server.flow(*map(Partition, halves))) == EVERY_DAY


def test_no_more_pages_are_held_than_there_is_room_for():
    """While nobody takes pages, only so many are asked for: memory does not grow with the list."""
    server = Server()
    with server.flow(Partition(MONTH), workers=2) as flow:
        query = next(flow.queries())
        pages = flow.pages(query)
        assert next(pages).content == EVERY_DAY[:3]
        assert next(pages).content == EVERY_DAY[3:6]
        assert query.buffered <= 2 * PAGES_PER_WORKER
        assert len(server.in_flight) <= 2 * PAGES_PER_WORKER + 2


@pytest.mark.parametrize("page", [1, 2, 5])
def test_a_page_that_cannot_be_had_ends_it(page):
    """The error comes out when its turn is, after every page before it."""
    server = Server()

    def fail(_: int, number: int) -> None:
        if number == page:
            raise ArmUnavailableError("gone")

    server.before = fail
    taken: list[str] = []

    def take_some() -> None:
        with server.flow(Partition(MONTH)) as flow:
            for query in flow.queries():
                for read in flow.pages(query):
                    taken.extend(read.content)

    with pytest.raises(ArmUnavailableError, match="gone"):
        take_some()
    assert taken == EVERY_DAY[: (page - 1) * 3]


def test_an_expired_query_can_be_begun_again():
    """A page that answers 410 says so; the second reading is whole."""
    server = Server()

    def expire(query: int, page: int) -> None:
        if query == 0 and page == 4:
            raise ArmUnavailableError("expired", status_code=410)

    server.before = expire
    with server.flow(Partition(MONTH)) as flow:
        query = next(flow.queries())
        with pytest.raises(ArmIncompleteListError, match="no longer keeps its query"):
            list(flow.pages(query))
        flow.restart(query)
        assert [day for page in flow.pages(query) for day in page.content] == EVERY_DAY


def test_a_list_that_grew_past_the_cap_while_it_was_read_is_not_split_half_way():
    """What was begun as one query is not continued as two: a retry starts clean."""
    server = Server()
    with server.flow(Partition(MONTH)) as flow:
        query = next(flow.queries())
        server.cap = 10
        with pytest.raises(ArmIncompleteListError, match="grew past what ARM gives") as caught:
            flow.restart(query)
        assert not isinstance(caught.value, ArmResultLimitError)


def test_a_second_look_sees_a_page_that_changed():
    """Every page is asked for twice; other records on one of them are an error."""
    server = Server()
    assert take(server.flow(Partition(MONTH), verify_pages=True)) == EVERY_DAY
    assert sorted(server.in_flight) == sorted([(0, page) for page in range(1, 12)] * 2)

    changed = Server()
    changed.before = lambda query, page: changed.queries[query].__setitem__(4, "xx") if page == 11 else None
    with pytest.raises(ArmIncompleteListError, match=r"page 2 of .* had other records when it was read again"):
        take(changed.flow(Partition(MONTH), workers=1, verify_pages=True))


def test_what_is_wrong_with_a_page_is_raised_before_it_counts():
    """The inspector sees every page with its part, also of one that is going to be split."""
    seen = []

    def refuse(part: Partition, days: list[str]) -> None:
        seen.append(str(part))
        raise ArmUnavailableError("not this")

    with pytest.raises(ArmUnavailableError, match="not this"):
        take(Server(cap=5).flow(Partition(MONTH), inspect=refuse))
    assert seen == ["voucherdate 2026-01-01 to 2026-01-31"]
