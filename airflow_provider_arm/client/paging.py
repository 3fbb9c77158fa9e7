"""Lists: page 1 names a query that the server keeps; the other pages are asked for by it.

A list comes whole or raises. Decisions are in :class:`PageWalk`, without I/O; :class:`Cursor` is the synchronous use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmError,
    ArmIncompleteListError,
    ArmResultLimitError,
)
from airflow_provider_arm.client.http.messages import InvalidResponseError, Response
from airflow_provider_arm.client.models import ArmModel, PageSummary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_arm.client.assumptions import Assumptions
    from airflow_provider_arm.client.http.urls import BaseUrl
    from airflow_provider_arm.client.operations import Operation

#: Largest page that ARM gives (documented); a list needs the fewest round trips with it.
MAX_PAGE_SIZE = 1000
#: Most records that one query gives (documented), for a summary that does not say it.
MAX_QUERY_RECORDS = 10_000
_SUMMARY = "summary"

M = TypeVar("M", bound=ArmModel)
T = TypeVar("T")
#: Makes one call for a page and reads its answer in the calling thread.
PageCall = Callable[["PageRequest", Callable[[Response], Any]], Any]

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True)
class Page(Generic[M]):
    """One page: its summary, and each record both as ARM's own bytes and, when asked for, as a model."""

    summary: PageSummary
    #: Each record's JSON text exactly as ARM wrote it.
    texts: list[bytes] = field(repr=False)
    model: type[M] = field(repr=False)

    @cached_property
    def items(self) -> list[M]:
        """The records as models.

        :raises InvalidRecordError: a record does not fit its model.
        """
        return [self.model.from_wire(money.decode(text)) for text in self.texts]


def split_page(answer: Response, key: str | None) -> tuple[PageSummary, bytes]:
    """Split a page's body into its summary and the text of its list of records, not a byte of which is changed.

    :param key: the plural under which the records should stand; any other name is taken if it is the only list (Q8).
    :raises ValueError: the body is no page.
    """
    if answer.status == HTTPStatus.NO_CONTENT:
        return PageSummary(total_count=0, total_pages=0), b"[]"
    try:
        body = _object_decoder.decode(answer.body)
    except RecursionError:
        msg = "JSON that is nested too deeply"
        raise InvalidResponseError(msg) from None
    if _SUMMARY not in body:
        msg = "JSON that has no summary, so it is no page of a list"
        raise InvalidResponseError(msg)
    summary = PageSummary.from_wire(money.decode(bytes(body[_SUMMARY])))
    lists = {name: raw for name, raw in body.items() if bytes(memoryview(raw)[:1]) == b"["}
    raw = lists.get(key) if key in lists else next(iter(lists.values())) if len(lists) == 1 else None
    if raw is None:
        msg = "JSON that has not one list of records beside its summary"
        raise InvalidResponseError(msg)
    return summary, bytes(raw)


def split_list(text: bytes) -> list[msgspec.Raw]:
    """Split the text of a list into its records' own texts.

    :raises ValueError: it is no list.
    """
    return _list_decoder.decode(text)


def read_page(answer: Response, key: str | None, model: type[M]) -> Page[M]:
    """Read a page into its records' own texts. Arguments and errors are those of :func:`split_page`."""
    summary, text = split_page(answer, key)
    return Page(summary, [bytes(record) for record in split_list(text)], model)


def key_reader(name: str) -> Callable[[bytes], str | int | None]:
    """Make a reader of one field of a record's text; gives ``None`` where the record has no such text or number."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
        msgspec.defstruct("Keyed", [("key", str | int | None, msgspec.field(name=name))])
    )

    def read(text: bytes) -> str | int | None:
        try:
            key: str | int | None = decoder.decode(text).key
        except (msgspec.DecodeError, RecursionError):
            return None
        return key

    return read


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What to ask for next: query parameters under the list's own path, or ARM's own address of the next page."""

    number: int
    params: Mapping[str, Any] | None = None
    url: str | None = None


class PageWalk:
    """Decides which page comes next and whether the list came whole.

    :param filters: passed through to ARM on page 1, unchanged. With ``maximumcount`` among them the caller wants at
        most so many, and reaching that is no error.
    :param item_key: the field that no two records share; without it nobody sees a record that came twice.
    """

    def __init__(
        self, filters: Mapping[str, Any], page_size: int, base: BaseUrl, label: str, *, item_key: str | None = None
    ) -> None:
        self._params = {"pagesize": page_size, **filters}
        asked = filters.get("maximumcount")
        self._asked = None if asked is None else int(asked) if str(asked).isdecimal() else 0
        self._base = base
        self._label = label
        self._next: PageRequest | None = PageRequest(1, params=self._params)
        self._first: PageSummary | None = None
        self._last_url: str | None = None
        self._key_of = key_reader(item_key) if item_key else None
        self._seen: set[Any] = set()
        self.rows = 0
        self.pages = 0

    def next_request(self) -> PageRequest | None:
        """Say what to ask for, or ``None`` when the list is whole."""
        return self._next

    def remaining_requests(self) -> list[PageRequest]:
        """Name every page that follows page 1, where the server keeps the query and says how many there are.

        They can be asked for in any order, also at the same time; they are taken in order. Elsewhere the list is
        empty, and :meth:`next_request` names one page after the other.
        """
        first = self._first or PageSummary()
        if not first.query_id or first.total_pages is None:
            return []
        return [self._by_query(first.query_id, number) for number in range(2, first.total_pages + 1)]

    def all_requests(self) -> list[PageRequest]:
        """Name every page, the first too, where the server keeps the query; elsewhere none can be read twice."""
        later = self.remaining_requests()
        first = self._first
        return [self._by_query(first.query_id, 1), *later] if first and first.query_id else []

    def accept(self, page: Page[Any]) -> None:
        """Take the page that was asked for. Raises as :meth:`accept_summary`."""
        self.accept_summary(page.summary, len(page.texts), page.texts)

    def accept_summary(self, summary: PageSummary, rows: int, texts: Sequence[bytes] = ()) -> None:
        """Take the page that was asked for, of which this is the summary and so many records came.

        :param texts: the records, to see whether one came before; left out by a caller who looks himself.
        :raises ArmIncompleteListError: it is not the page that was due, or it was the last and rows are missing.
        :raises ArmResultLimitError: more records match than ARM gives.
        :raises ArmConfigurationError: the next page is on another host; the token is not sent there.
        """
        due = self._next
        if due is None:  # pragma: no cover - a caller's programming error
            msg = "no page was due"
            raise RuntimeError(msg)
        if summary.page_no is not None and summary.page_no != due.number:
            self._fail(f"page {due.number} was asked for and page {summary.page_no} came")
        if self._first is None:
            self._first = summary
            self._check_cap(summary)
        elif summary.total_count is not None and summary.total_count != self._first.total_count is not None:
            self._fail(f"ARM counted {self._first.total_count} records on page 1 and {summary.total_count} now")
        self._check_keys(texts)
        self.pages += 1
        self.rows += rows
        self._next = self._following(due, summary, rows)
        if self._next is None:
            self._check_whole()

    def on_page_error(self, error: ArmError, assumptions: Assumptions) -> ArmError | None:
        """Say what it means that the page could not be had: the error to raise, or ``None`` for an empty list."""
        if self._next is not None and self._next.number > 1:
            if error.status_code in assumptions.expired_query_codes:
                return ArmIncompleteListError(
                    f"the list stopped at page {self._next.number} because ARM no longer keeps its query "
                    f"({error.status_code}, {self._label}); ask again from the start",
                    operation=self._label,
                    status_code=error.status_code,
                )
        elif error.status_code == HTTPStatus.NOT_FOUND and assumptions.empty_list_is_404:
            self._next = None
            return None
        return error

    @staticmethod
    def _by_query(query_id: str, number: int) -> PageRequest:
        return PageRequest(number, params={"query": query_id, "pageno": number})

    def _following(self, due: PageRequest, summary: PageSummary, rows: int) -> PageRequest | None:
        total = self._first.total_pages if self._first else None
        query_id = self._first.query_id if self._first else None
        url = summary.next_page
        if total is not None:
            if due.number >= total:
                return None
        elif not url or url == self._last_url or not rows:
            return None
        self._last_url = url
        if query_id:
            return self._by_query(query_id, due.number + 1)
        if not url:
            self._fail(f"page {due.number} of {total} names neither a query nor a next page")
        elif not self._base.is_same_origin(url):
            msg = (
                f"ARM's list names a next page on another host ({self._label}): "
                "the token is never sent there; check the host of the connection"
            )
            raise ArmConfigurationError(msg, operation=self._label)
        return PageRequest(due.number + 1, url=url)

    def _check_keys(self, texts: Sequence[bytes]) -> None:
        """Refuse a record that came before: rows have shifted between pages, so another one is missing."""
        if self._key_of is None:
            return
        for text in texts:
            key = self._key_of(text)
            if key is not None and key in self._seen:
                self._fail(f"{key} came twice, because the list changed while it was read")
            self._seen.add(key)

    def _check_cap(self, summary: PageSummary) -> None:
        total, most = summary.total_count, summary.maximum_count or MAX_QUERY_RECORDS
        # Exactly the documented cap is the cap, whatever the summary calls it: the server counts no further.
        if self._asked is not None or total is None or (total < most and total != MAX_QUERY_RECORDS):
            return
        msg = (
            f"{total} records match and ARM gives at most {most} per query ({self._label}): "
            "narrow the filters or split the period, because the rest would be missing"
        )
        raise ArmResultLimitError(msg, operation=self._label, total_count=total)

    def _check_whole(self) -> None:
        first = self._first or PageSummary()
        total, most = first.total_count, first.maximum_count or MAX_QUERY_RECORDS
        if self._asked is not None:
            # ARM may count all that match or only what was asked for.
            if total is not None and self.rows < min(total, self._asked):
                self._fail(f"ARM counted {total} records, {self._asked} were asked for, and it gave {self.rows}")
        elif total is None and self.rows >= most:
            self._fail(f"ARM gave {self.rows} records, the most that one query gives, and does not say how many match")
        elif total is not None and self.rows != total:
            self._fail(f"ARM counted {total} records and gave {self.rows}")

    def _fail(self, what: str) -> None:
        msg = f"the list did not come whole: {what} ({self._label}); ask again from the start"
        raise ArmIncompleteListError(msg, operation=self._label)


class PageSource:
    """A list as its pages' answers, for a caller who reads them himself. Safe to share between threads.

    :param call: makes one call and reads its answer.
    :param path: the list's path under the base URL, with the client's number in it; default the operation's own.
    """

    def __init__(
        self,
        operation: Operation,
        base: BaseUrl,
        page_size: int,
        assumptions: Assumptions,
        call: PageCall,
        *,
        path: str | None = None,
    ) -> None:
        self.operation = operation
        self.path = (path or operation.path).lstrip("/")
        self.page_size = page_size
        self.assumptions = assumptions
        self.base_url = base.url
        self._base = base
        self._call = call

    def start_walk(self, filters: Mapping[str, Any]) -> PageWalk:
        """Begin a list with these filters; nothing is asked yet, and no key of a record is looked at."""
        return PageWalk(filters, self.page_size, self._base, self.operation.label)

    def fetch(self, due: PageRequest, read: Callable[[Response], T]) -> T:
        """Get one page, with the client's retries.

        :param read: turns the answer into the result, in the caller's thread; raises ``ValueError`` where it cannot.
        :raises ArmError: as its subclasses say.
        """
        result: T = self._call(due, read)
        return result


class Cursor(Generic[M]):
    """A list to be walked, page by page or item by item. Each walk asks ARM anew.

    :param fetch: gets one page.
    """

    def __init__(
        self, start: Callable[[], PageWalk], fetch: Callable[[PageRequest], Page[M]], assumptions: Assumptions
    ) -> None:
        self._start = start
        self._fetch = fetch
        self._assumptions = assumptions

    def pages(self) -> Iterator[Page[M]]:
        """Give the pages in order.

        :raises ArmIncompleteListError: the list did not come whole (at the latest after its last page).
        """
        walk = self._start()
        while (request := walk.next_request()) is not None:
            try:
                page = self._fetch(request)
            except ArmError as error:
                reason = walk.on_page_error(error, self._assumptions)
                if reason is not None:
                    raise reason from None
                return
            # First accept, then give: a page that must not be there is never seen.
            walk.accept(page)
            yield page

    def items(self) -> Iterator[M]:
        """Give the records in order, as models. Raises as :meth:`pages`, and where a record does not fit."""
        for page in self.pages():
            yield from page.items

    def __iter__(self) -> Iterator[M]:
        """Walk the items."""
        return self.items()
