"""Fetcher of pages: in parallel and in order, with the next queries started ahead.

Threads only fetch or parse. All decisions are made in the caller's thread.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_arm.client.errors import ArmError, ArmIncompleteListError, ArmResultLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_arm.client.http.messages import Response
    from airflow_provider_arm.client.models import PageSummary
    from airflow_provider_arm.client.paging import PageRequest, PageSource, PageWalk
    from airflow_provider_arm.export.fetch.partition import Partition
    from airflow_provider_arm.export.pages.page_stats import PageStats

log = logging.getLogger(__name__)

#: Maximum number of pages that are requested or buffered, per worker.
PAGES_PER_WORKER = 2
#: The same beside the pages that are being fetched, per parser thread: one being parsed and one waiting for its turn.
PAGES_PER_PARSER = 2
#: Queries that are started ahead: the first page of a query takes a round trip before its other pages are known.
PREFETCHED_QUERIES = 4
#: Parser threads on a machine with one processor: Arrow works without the GIL.
MIN_PARSERS = 2


def max_parsers() -> int:
    """Return the maximum number of parser threads, one per processor. More only compete for memory and the GIL."""
    return max(MIN_PARSERS, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A parsed page."""

    summary: PageSummary
    #: Number of records that ARM returned. An increment encodes only the new ones.
    rows: int
    stats: PageStats
    #: The encoded records.
    data: Any


@dataclass(eq=False, slots=True)
class PageQuery:
    """The query of one partition, while its pages are read."""

    partition: Partition
    walk: PageWalk
    #: Requested pages, in order.
    in_flight: deque[Future[FetchedPage]] = field(default_factory=deque)
    #: Requests that are not sent yet, in order.
    pending: deque[PageRequest] = field(default_factory=deque)
    #: Page 1 until it is yielded; ``None`` also if a 404 means that the list is empty.
    first: FetchedPage | None = None
    opened: bool = False
    may_prefetch: bool = True
    #: Hash of each page's keys, for :meth:`PageFetcher._verify_pages`.
    fingerprints: list[int] = field(default_factory=list)

    @property
    def buffered(self) -> int:
        """The number of pages that are requested and not yielded yet."""
        return len(self.in_flight) + (self.first is not None)


class PageFetcher:
    """Fetcher of the pages of all partitions, in order. Use it in a ``with`` block, which ends its threads.

    :param parse: parses one page, in a thread of its own; raises ``ValueError`` if it cannot.
    :param workers: pages that are fetched in parallel.
    :param inspect: checks the stats of each page with its partition; raises an error if they are wrong.
    :param verify_pages: fetch all pages of a query a second time after its last one, and compare their keys.
        Otherwise a server that runs a query again for each page can lose a record undetected: if one is deleted and one
        is added between two pages, the count is the same, but a third one moves to a page that was already read.
    """

    def __init__(
        self,
        source: PageSource,
        filters: Mapping[str, Any],
        partitions: Iterable[Partition],
        parse: Callable[[Response], FetchedPage],
        inspect: Callable[[Partition, PageStats], None],
        *,
        workers: int,
        verify_pages: bool = False,
    ) -> None:
        self._source = source
        self._inspect = inspect
        self.verify_pages = verify_pages
        self._filters = filters
        self._parse = parse
        self._queue = deque(self._new_query(partition) for partition in partitions)
        parsers = min(workers, max_parsers())
        self._capacity = min(workers + PAGES_PER_PARSER * parsers, PAGES_PER_WORKER * workers)
        # A thread whose page is being parsed releases its slot to another one, so that no connection is idle meanwhile.
        self._fetch_slots = threading.Semaphore(workers)
        self._fetch_pool = ThreadPoolExecutor(workers + parsers, thread_name_prefix="arm-export")
        # Few threads parse, because each thread that ever did keeps memory, Arrow's above all.
        self._parse_pool = ThreadPoolExecutor(parsers, thread_name_prefix="arm-parse")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        # A task that is killed does not wait for a page that hangs.
        killed = exc_type is not None and not issubclass(exc_type, Exception)
        self._fetch_pool.shutdown(wait=not killed, cancel_futures=True)
        self._parse_pool.shutdown(wait=not killed, cancel_futures=True)

    def queries(self) -> Iterator[PageQuery]:
        """Yield the queries in order, each once ARM is known to return all of it. Read its pages before the next query.

        :raises ArmResultLimitError: one has more records than ARM returns and cannot be split.
        :raises ArmError: its first page could not be fetched.
        """
        while self._queue:
            self._submit_requests()
            head = self._queue[0]
            if self._open(head):
                yield head
                self._queue.popleft()

    def pages(self, query: PageQuery) -> Iterator[FetchedPage]:
        """Yield the pages of a query in order.

        :raises ArmIncompleteListError: the list is incomplete; raised after the last page at the latest.
        """
        if query.first is not None:
            first, query.first = query.first, None
            yield first
        while (due := query.walk.next_request()) is not None:
            self._submit_requests()
            if not query.in_flight:  # a list that only has the address of the next page
                self._submit(query, due)
            page = self._wait_for_page(query)
            if page is None:
                return
            self._accept(query, page)
            yield page
        if self.verify_pages:
            self._verify_pages(query)

    def restart(self, query: PageQuery) -> None:
        """Start *query* again, from its first page.

        :raises ArmIncompleteListError: it has meanwhile more records than ARM returns.
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
            msg = f"{query.partition} grew beyond what ARM returns for one query while it was read; export again"
            raise ArmIncompleteListError(msg, operation=error.operation) from None

    def _new_query(self, partition: Partition) -> PageQuery:
        filters = {**self._filters, **partition.filters(self._source.readings.filters)}
        return PageQuery(partition, self._source.start_walk(filters))

    def _submit_requests(self) -> None:
        """Submit requests up to the capacity, those of the first query first."""
        for query in list(islice(self._queue, 1 + PREFETCHED_QUERIES)):
            is_head = query is self._queue[0]
            if not query.opened and not is_head:
                self._open_early(query)
            if not (query.opened or query.in_flight) and self._has_capacity(query) and (query.may_prefetch or is_head):
                due = query.walk.next_request()
                if due is not None:
                    self._submit(query, due)
            while query.pending and self._has_capacity(query):
                self._submit(query, query.pending.popleft())

    def _has_capacity(self, query: PageQuery) -> bool:
        # Queries further back are not started.
        buffered = sum(other.buffered for other in islice(self._queue, 2 * PREFETCHED_QUERIES))
        return buffered < self._capacity or (query is self._queue[0] and not query.in_flight)

    def _submit(self, query: PageQuery, due: PageRequest) -> None:
        query.in_flight.append(self._fetch_pool.submit(self._fetch, due))

    def _fetch(self, due: PageRequest) -> FetchedPage:
        """Fetch and parse a page. At most ``workers`` pages are fetched at a time, those being parsed not counted."""
        has_slot = True

        def parse(response: Response) -> FetchedPage:
            nonlocal has_slot
            self._fetch_slots.release()
            has_slot = False
            try:
                return self._parse_pool.submit(self._parse, response).result()
            except BaseException:
                self._fetch_slots.acquire()  # the client may fetch the page again
                has_slot = True
                raise

        self._fetch_slots.acquire()
        try:
            return self._source.fetch(due, parse)
        finally:
            if has_slot:
                self._fetch_slots.release()

    def _open_early(self, query: PageQuery) -> None:
        """Open a query whose first page has arrived, so that its other pages, or its parts, are requested ahead.

        If that fails, it is tried again when its turn comes.
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

    def _open(self, query: PageQuery) -> bool:
        """Accept page 1 unless that is done; ``False`` if the partition was split instead."""
        try:
            if not query.opened:
                self._accept_first_page(query)
        except ArmResultLimitError as error:
            parts = query.partition.split(error)
            log.info("%s: %d records match, more than one query returns; split", query.partition, error.total_count)
            position = self._queue.index(query)
            del self._queue[position]
            for part in reversed(parts):
                self._queue.insert(position, self._new_query(part))
            return False
        return True

    def _accept_first_page(self, query: PageQuery) -> None:
        page = self._wait_for_page(query)
        if page is not None:
            self._accept(query, page)
            query.pending.extend(query.walk.remaining_requests())
        query.first, query.opened = page, True

    def _accept(self, query: PageQuery, page: FetchedPage) -> None:
        self._inspect(query.partition, page.stats)
        query.walk.accept_summary(page.summary, page.rows)
        query.fingerprints.append(hash(tuple(page.stats.keys)))

    def _verify_pages(self, query: PageQuery) -> None:
        """Fetch all pages again and compare their keys."""
        query.pending.extend(query.walk.all_requests())
        for number, expected in enumerate(query.fingerprints[: len(query.pending)], start=1):
            self._submit_requests()
            page = query.in_flight.popleft().result()
            if hash(tuple(page.stats.keys)) != expected:
                msg = f"page {number} of {query.partition} had other records when it was read again: the list changes"
                raise ArmIncompleteListError(msg, operation=self._source.operation.label)

    def _wait_for_page(self, query: PageQuery) -> FetchedPage | None:
        """Wait for the next page; ``None`` if a 404 means that the list is empty."""
        page = query.in_flight.popleft()
        try:
            return page.result()
        except ArmError as error:
            list_error = query.walk.on_page_error(error)
            if list_error is not None:
                raise list_error from None
            return None
