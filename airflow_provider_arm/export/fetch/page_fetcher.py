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
QUERIES_AHEAD = 4
#: Pages that are read at a time where there is one processor: Arrow works outside of the interpreter's lock.
LEAST_READERS = 2

T = TypeVar("T")


def most_readers() -> int:
    """Say how many pages are read at a time, however many are being fetched: one for each processor.

    More would only take memory, and the interpreter's lock from each other.
    """
    return max(LEAST_READERS, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class ReadPage(Generic[T]):
    """A page as a thread has read it."""

    summary: PageSummary
    rows: int
    content: T


@dataclass(eq=False, slots=True)
class PageQuery(Generic[T]):
    """One part's list, being read."""

    part: Partition
    walk: PageWalk
    #: Pages that were asked for, in order.
    asked: deque[Future[ReadPage[T]]] = field(default_factory=deque)
    #: Pages to ask for, in order.
    to_ask: deque[PageRequest] = field(default_factory=deque)
    #: Page 1, from when it was taken to when it is given; ``None`` also for a list that is empty by a 404.
    first: ReadPage[T] | None = None
    opened: bool = False
    #: Whether it may be begun before its turn.
    early: bool = True
    #: What each page was known by, for a second look.
    prints: list[int] = field(default_factory=list)

    @property
    def held(self) -> int:
        """Pages that were asked for and not given yet."""
        return len(self.asked) + (self.first is not None)


class PageFetcher(Generic[T]):
    """Reads the parts of an export in order. Use it in a ``with`` block: its threads end with it.

    :param read: reads one page, in a thread that does nothing else; raises ``ValueError`` where it cannot.
    :param workers: pages that are fetched at the same time.
    :param inspect: looks at every page with its part before it counts; raises what is wrong with it.
    :param print_of: gives a page's fingerprint: another one where other records are on it.
    :param verify_pages: ask for all pages of a query a second time after its last one, and compare their fingerprints.
        A server that runs a query anew for every page can otherwise lose a record without a trace: where one is
        deleted and one is added between two pages, the count stays and a third moves to a page that was read before.
    """

    def __init__(
        self,
        source: PageSource,
        filters: Mapping[str, Any],
        parts: Iterable[Partition],
        read: Callable[[Response], ReadPage[T]],
        inspect: Callable[[Partition, T], None],
        *,
        print_of: Callable[[T], int],
        workers: int,
        verify_pages: bool = False,
    ) -> None:
        self._source = source
        self._inspect = inspect
        self._print_of = print_of
        self.verify_pages = verify_pages
        self._filters = filters
        self._read = read
        self._line = deque(self._query(part) for part in parts)
        readers = min(workers, most_readers())
        self._room = min(workers + PAGES_PER_READER * readers, PAGES_PER_WORKER * workers)
        # A thread whose page is being read has lent its turn to fetch to another one: no connection waits for a reader.
        self._to_fetch = threading.Semaphore(workers)
        self._threads = ThreadPoolExecutor(workers + readers, thread_name_prefix="arm-export")
        # Every thread that ever read keeps memory for it, Arrow's above all: few threads read for all that fetch.
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="arm-read")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whoever kills the task does not wait for a page that hangs.
        killed = kind is not None and not issubclass(kind, Exception)
        self._threads.shutdown(wait=not killed, cancel_futures=True)
        self._readers.shutdown(wait=not killed, cancel_futures=True)

    def queries(self) -> Iterator[PageQuery[T]]:
        """Give the queries in order, each when it is known that ARM gives all of it. Take all its pages first.

        :raises ArmResultLimitError: one holds more than ARM gives and cannot be split.
        :raises ArmError: its first page cannot be had.
        """
        while self._line:
            self._fill()
            head = self._line[0]
            if self._open(head):
                yield head
                self._line.popleft()

    def pages(self, query: PageQuery[T]) -> Iterator[ReadPage[T]]:
        """Give a query's pages in order.

        :raises ArmIncompleteListError: the list did not come whole, at the latest after its last page.
        """
        if query.first is not None:
            first, query.first = query.first, None
            yield first
        while (due := query.walk.next_request()) is not None:
            self._fill()
            if not query.asked:  # a list that only names its next page
                self._ask(query, due)
            page = self._answer(query)
            if page is None:
                return
            self._count(query, page)
            yield page
        if self.verify_pages:
            self._look_again(query)

    def begin_again(self, query: PageQuery[T]) -> None:
        """Ask for the list of *query* anew, from its first page.

        :raises ArmIncompleteListError: it has grown past what ARM gives.
        """
        for page in query.asked:
            page.cancel()
        fresh = self._query(query.part)
        query.walk, query.asked, query.to_ask, query.prints = fresh.walk, deque(), deque(), []
        query.first, query.opened = None, False
        self._fill()
        try:
            self._take_first(query)
        except ArmResultLimitError as error:
            msg = f"{query.part} grew past what ARM gives for one query while it was read; ask again from the start"
            raise ArmIncompleteListError(msg, operation=error.operation) from None

    def _query(self, part: Partition) -> PageQuery[T]:
        return PageQuery(part, self._source.start_walk({**self._filters, **part.filters}))

    def _fill(self) -> None:
        """Ask for pages, the head's first, as far as there is room."""
        for query in list(islice(self._line, 1 + QUERIES_AHEAD)):
            if not query.opened and query is not self._line[0]:
                self._open_ahead(query)
            if not query.opened and not query.asked and self._may_begin(query):
                due = query.walk.next_request()
                if due is not None:
                    self._ask(query, due)
            while query.to_ask and self._has_room(query):
                self._ask(query, query.to_ask.popleft())

    def _may_begin(self, query: PageQuery[T]) -> bool:
        return self._has_room(query) and (query.early or query is self._line[0])

    def _has_room(self, query: PageQuery[T]) -> bool:
        # What lies further back was not begun.
        waiting = sum(one.held for one in islice(self._line, 2 * QUERIES_AHEAD))
        return waiting < self._room or (query is self._line[0] and not query.asked)

    def _ask(self, query: PageQuery[T], due: PageRequest) -> None:
        query.asked.append(self._threads.submit(self._get, due))

    def _get(self, due: PageRequest) -> ReadPage[T]:
        """Fetch and read a page. No more than ``workers`` are fetched at a time, those being read not counted."""
        fetching = True

        def read(answer: Response) -> ReadPage[T]:
            nonlocal fetching
            self._to_fetch.release()
            fetching = False
            try:
                return self._readers.submit(self._read, answer).result()
            except BaseException:
                self._to_fetch.acquire()  # the page may be asked for again
                fetching = True
                raise

        self._to_fetch.acquire()
        try:
            return self._source.fetch(due, read)
        finally:
            if fetching:
                self._to_fetch.release()

    def _open_ahead(self, query: PageQuery[T]) -> None:
        """Open a query whose first page is there, so that its other pages, or its halves, are asked for.

        What fails before its turn is tried once more when its turn has come.
        """
        if not query.asked or not query.asked[0].done():
            return
        try:
            self._open(query)
        except ArmResultLimitError:
            raise
        except ArmError:
            fresh = self._query(query.part)
            fresh.early = False
            self._line[self._line.index(query)] = fresh

    def _open(self, query: PageQuery[T]) -> bool:
        """Take page 1 where that is not done; ``False`` where the part was split instead."""
        if query.opened:
            return True
        try:
            self._take_first(query)
        except ArmResultLimitError as error:
            parts = query.part.split(error)
            log.info("%s: %d records match, more than ARM gives for one query; split", query.part, error.total_count)
            place = self._line.index(query)
            del self._line[place]
            for part in reversed(parts):
                self._line.insert(place, self._query(part))
            return False
        return True

    def _take_first(self, query: PageQuery[T]) -> None:
        page = self._answer(query)
        if page is not None:
            self._count(query, page)
            query.to_ask.extend(query.walk.remaining_requests())
        query.first, query.opened = page, True

    def _count(self, query: PageQuery[T], page: ReadPage[T]) -> None:
        self._inspect(query.part, page.content)
        query.walk.accept_summary(page.summary, page.rows)
        query.prints.append(self._print_of(page.content))

    def _look_again(self, query: PageQuery[T]) -> None:
        """Ask for the pages once more, in order and as many at a time as there is room for."""
        query.to_ask.extend(query.walk.all_requests())
        for number, known in enumerate(query.prints[: len(query.to_ask)], start=1):
            self._fill()
            page = query.asked.popleft().result()
            if self._print_of(page.content) != known:
                msg = f"page {number} of {query.part} had other records when it was read again: the list changes"
                raise ArmIncompleteListError(msg, operation=self._source.operation.label)

    def _answer(self, query: PageQuery[T]) -> ReadPage[T] | None:
        """Wait for the page that is due; ``None`` for an empty list that is none."""
        page = query.asked.popleft()
        try:
            return page.result()
        except ArmError as error:
            reason = query.walk.on_page_error(error, self._source.assumptions)
            if reason is not None:
                raise reason from None
            return None
