"""Pages fetched at the same time and given in order, from a line of queries of which the next is begun ahead.

Threads only fetch, or only read; every decision is made by the one caller who takes the pages.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from airflow_provider_arm.client.errors import ArmError, ArmIncompleteListError, ArmResultLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from airflow_provider_arm.client.http.messages import Response
    from airflow_provider_arm.client.models import PageSummary
    from airflow_provider_arm.client.paging import PageRequest, PageSource, PageWalk
    from airflow_provider_arm.export.fetch.partition import Partition

log = logging.getLogger(__name__)

#: Pages that may be asked for, or lie ready, for each that is fetched at a time, at most.
PAGES_PER_WORKER = 2
#: Pages that may be read, or lie ready, beside those being fetched: for each reader one in work and one for its turn.
PAGES_PER_READER = 2
#: Queries that are begun before their turn: the first page of one costs a round trip, and its pages wait for it.
PREFETCHED_QUERIES = 4
#: Pages that are read at a time where there is one processor: Arrow works outside of the interpreter's lock.
MIN_READERS = 2

T = TypeVar("T")


def max_readers() -> int:
    """Say how many pages are read at a time, however many are being fetched: one for each processor.

    More would only take memory, and the interpreter's lock from each other.
    """
    return max(MIN_READERS, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class FetchedPage(Generic[T]):
    """A page as a thread has read it."""

    summary: PageSummary
    rows: int
    content: T


@dataclass(eq=False, slots=True)
class PageQuery(Generic[T]):
    """One part's list, being read."""

    partition: Partition
    walk: PageWalk
    #: Pages that were asked for, in order.
    in_flight: deque[Future[FetchedPage[T]]] = field(default_factory=deque)
    #: Pages to ask for, in order.
    pending: deque[PageRequest] = field(default_factory=deque)
    #: Page 1, from when it was taken to when it is given; ``None`` also for a list that is empty by a 404.
    first: FetchedPage[T] | None = None
    opened: bool = False
    #: Whether it may be begun before its turn.
    may_prefetch: bool = True
    #: What each page was known by, for a second look.
    fingerprints: list[int] = field(default_factory=list)

    @property
    def buffered(self) -> int:
        """Pages that were asked for and not given yet."""
        return len(self.in_flight) + (self.first is not None)


class PageFetcher(Generic[T]):
    """Reads the parts of an export in order. Use it in a ``with`` block: its threads end with it.

    :param read: reads one page, in a thread that does nothing else; raises ``ValueError`` where it cannot.
    :param workers: pages that are fetched at the same time.
    :param inspect: looks at every page with its part before it counts; raises what is wrong with it.
    :param fingerprint: gives a page's fingerprint: another one where other records are on it.
    :param verify_pages: ask for all pages of a query a second time after its last one, and compare their fingerprints.
        A server that runs a query anew for every page can otherwise lose a record without a trace: where one is
        deleted and one is added between two pages, the count stays and a third moves to a page that was read before.
    """

    def __init__(
        self,
        source: PageSource,
        filters: Mapping[str, Any],
        partitions: Iterable[Partition],
        read: Callable[[Response], FetchedPage[T]],
        inspect: Callable[[Partition, T], None],
        *,
        fingerprint: Callable[[T], int],
        workers: int,
        verify_pages: bool = False,
    ) -> None:
        self._source = source
        self._inspect = inspect
        self._fingerprint = fingerprint
        self.verify_pages = verify_pages
        self._filters = filters
        self._read = read
        self._queue = deque(self._new_query(partition) for partition in partitions)
        readers = min(workers, max_readers())
        self._capacity = min(workers + PAGES_PER_READER * readers, PAGES_PER_WORKER * workers)
        # A thread whose page is being read has lent its turn to fetch to another one: no connection waits for a reader.
        self._fetch_slots = threading.Semaphore(workers)
        self._fetch_pool = ThreadPoolExecutor(workers + readers, thread_name_prefix="arm-export")
        # Every thread that ever read keeps memory for it, Arrow's above all: few threads read for all that fetch.
        self._read_pool = ThreadPoolExecutor(readers, thread_name_prefix="arm-read")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Whoever kills the task does not wait for a page that hangs.
        killed = exc_type is not None and not issubclass(exc_type, Exception)
        self._fetch_pool.shutdown(wait=not killed, cancel_futures=True)
        self._read_pool.shutdown(wait=not killed, cancel_futures=True)

    def queries(self) -> Iterator[PageQuery[T]]:
        """Give the queries in order, each when it is known that ARM gives all of it. Take all its pages first.

        :raises ArmResultLimitError: one holds more than ARM gives and cannot be split.
        :raises ArmError: its first page cannot be had.
        """
        while self._queue:
            self._submit_requests()
            head = self._queue[0]
            if self._open(head):
                yield head
                self._queue.popleft()

    def pages(self, query: PageQuery[T]) -> Iterator[FetchedPage[T]]:
        """Give a query's pages in order.

        :raises ArmIncompleteListError: the list did not come whole, at the latest after its last page.
        """
        if query.first is not None:
            first, query.first = query.first, None
            yield first
        while (due := query.walk.next_request()) is not None:
            self._submit_requests()
            if not query.in_flight:  # a list that only names its next page
                self._submit(query, due)
            page = self._wait_for_page(query)
            if page is None:
                return
            self._accept(query, page)
            yield page
        if self.verify_pages:
            self._verify_pages(query)

    def restart(self, query: PageQuery[T]) -> None:
        """Ask for the list of *query* anew, from its first page.

        :raises ArmIncompleteListError: it has grown past what ARM gives.
        """
        for page in query.in_flight:
            page.cancel()
        fresh = self._new_query(query.partition)
        query.walk, query.in_flight, query.pending, query.fingerprints = fresh.walk, deque(), deque(), []
        query.first, query.opened = None, False
        self._submit_requests()
        try:
            self._accept_first_page(query)
        except ArmResultLimitError as error:
            msg = (
                f"{query.partition} grew past what ARM gives for one query while it was read; ask again from the start"
            )
            raise ArmIncompleteListError(msg, operation=error.operation) from None

    def _new_query(self, partition: Partition) -> PageQuery[T]:
        return PageQuery(partition, self._source.start_walk({**self._filters, **partition.filters}))

    def _submit_requests(self) -> None:
        """Ask for pages, the head's first, as far as there is room."""
        for query in list(islice(self._queue, 1 + PREFETCHED_QUERIES)):
            if not query.opened and query is not self._queue[0]:
                self._open_early(query)
            if not query.opened and not query.in_flight and self._may_start(query):
                due = query.walk.next_request()
                if due is not None:
                    self._submit(query, due)
            while query.pending and self._has_capacity(query):
                self._submit(query, query.pending.popleft())

    def _may_start(self, query: PageQuery[T]) -> bool:
        return self._has_capacity(query) and (query.may_prefetch or query is self._queue[0])

    def _has_capacity(self, query: PageQuery[T]) -> bool:
        # What lies further back was not begun.
        waiting = sum(one.buffered for one in islice(self._queue, 2 * PREFETCHED_QUERIES))
        return waiting < self._capacity or (query is self._queue[0] and not query.in_flight)

    def _submit(self, query: PageQuery[T], due: PageRequest) -> None:
        query.in_flight.append(self._fetch_pool.submit(self._fetch, due))

    def _fetch(self, due: PageRequest) -> FetchedPage[T]:
        """Fetch and read a page. No more than ``workers`` are fetched at a time, those being read not counted."""
        fetching = True

        def read(response: Response) -> FetchedPage[T]:
            nonlocal fetching
            self._fetch_slots.release()
            fetching = False
            try:
                return self._read_pool.submit(self._read, response).result()
            except BaseException:
                self._fetch_slots.acquire()  # the page may be asked for again
                fetching = True
                raise

        self._fetch_slots.acquire()
        try:
            return self._source.fetch(due, read)
        finally:
            if fetching:
                self._fetch_slots.release()

    def _open_early(self, query: PageQuery[T]) -> None:
        """Open a query whose first page is there, so that its other pages, or its halves, are asked for.

        What fails before its turn is tried once more when its turn has come.
        """
        if not query.in_flight or not query.in_flight[0].done():
            return
        try:
            self._open(query)
        except ArmResultLimitError:
            raise
        except ArmError:
            fresh = self._new_query(query.partition)
            fresh.may_prefetch = False
            self._queue[self._queue.index(query)] = fresh

    def _open(self, query: PageQuery[T]) -> bool:
        """Take page 1 where that is not done; ``False`` where the part was split instead."""
        if query.opened:
            return True
        try:
            self._accept_first_page(query)
        except ArmResultLimitError as error:
            partitions = query.partition.split(error)
            log.info(
                "%s: %d records match, more than ARM gives for one query; split", query.partition, error.total_count
            )
            place = self._queue.index(query)
            del self._queue[place]
            for partition in reversed(partitions):
                self._queue.insert(place, self._new_query(partition))
            return False
        return True

    def _accept_first_page(self, query: PageQuery[T]) -> None:
        page = self._wait_for_page(query)
        if page is not None:
            self._accept(query, page)
            query.pending.extend(query.walk.remaining_requests())
        query.first, query.opened = page, True

    def _accept(self, query: PageQuery[T], page: FetchedPage[T]) -> None:
        self._inspect(query.partition, page.content)
        query.walk.accept_summary(page.summary, page.rows)
        query.fingerprints.append(self._fingerprint(page.content))

    def _verify_pages(self, query: PageQuery[T]) -> None:
        """Ask for the pages once more, in order and as many at a time as there is room for."""
        query.pending.extend(query.walk.all_requests())
        for number, known in enumerate(query.fingerprints[: len(query.pending)], start=1):
            self._submit_requests()
            page = query.in_flight.popleft().result()
            if self._fingerprint(page.content) != known:
                msg = f"page {number} of {query.partition} had other records when it was read again: the list changes"
                raise ArmIncompleteListError(msg, operation=self._source.operation.label)

    def _wait_for_page(self, query: PageQuery[T]) -> FetchedPage[T] | None:
        """Wait for the page that is due; ``None`` for an empty list that is none."""
        page = query.in_flight.popleft()
        try:
            return page.result()
        except ArmError as error:
            reason = query.walk.on_page_error(error, self._source.assumptions)
            if reason is not None:
                raise reason from None
            return None
