"""Lists of ARM: page 1 names a query that ARM keeps, and the other pages are requested by this query.

A list is complete or raises. :class:`PageWalk` decides, without I/O; :class:`Cursor` is its synchronous use.
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
from airflow_provider_arm.client.models.base import rename_keys
from airflow_provider_arm.client.readings import DEFAULT_READINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_arm.client.http.urls import BaseUrl
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.client.reading_entries import ListReadings
    from airflow_provider_arm.client.readings import Readings

#: Readings of lists by default.
_DEFAULT_LISTS = DEFAULT_READINGS.lists
#: Records of ARM's largest page by default, with which a list needs the fewest requests.
MAX_PAGE_SIZE = _DEFAULT_LISTS.max_page_size
_SUMMARY = "summary"

M = TypeVar("M", bound=ArmModel)
T = TypeVar("T")
#: Makes one call for a page and reads its response in the calling thread.
PageCall = Callable[["PageRequest", Callable[[Response], Any]], Any]

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True)
class Page(Generic[M]):
    """One page: its summary, and its records as ARM's own JSON text and, on access, as models."""

    summary: PageSummary
    #: JSON text of each record, exactly as ARM wrote it.
    texts: list[bytes] = field(repr=False)
    model: type[M] = field(repr=False)

    @cached_property
    def items(self) -> list[M]:
        """Records as models.

        :raises InvalidRecordError: a record does not fit its model.
        """
        return [self.model.from_wire(money.decode(text)) for text in self.texts]


def rename_summary(response: Response, readings: ListReadings) -> Response:
    """Return a page with its summary under the default key, and its records unchanged."""
    if readings.summary_key == _SUMMARY:
        return response
    try:
        body = _object_decoder.decode(response.body)
    except (msgspec.DecodeError, RecursionError):
        return response  # the reader of the page raises
    return Response(
        response.status, response.headers, msgspec.json.encode(rename_keys(body, {readings.summary_key: _SUMMARY}))
    )


def split_page(response: Response, key: str | None) -> tuple[PageSummary, bytes]:
    """Split the body of a page into its summary and the unchanged text of its list of records.

    :param key: expected key of the records; if it is absent, the only list of the body is used (Q8).
    :raises ValueError: the body is not a page.
    """
    if response.status == HTTPStatus.NO_CONTENT:
        return PageSummary(total_count=0, total_pages=0), b"[]"
    try:
        body = _object_decoder.decode(response.body)
    except RecursionError:
        raise InvalidResponseError("JSON that is nested too deeply") from None
    if _SUMMARY not in body:
        raise InvalidResponseError("JSON without a summary (lists.summary_key), so it is not a page of a list")
    summary = PageSummary.from_wire(money.decode(bytes(body[_SUMMARY])))
    lists = {name: raw for name, raw in body.items() if bytes(memoryview(raw)[:1]) == b"["}
    raw = lists.get(key) if key in lists else next(iter(lists.values())) if len(lists) == 1 else None
    if raw is None:
        raise InvalidResponseError("JSON without exactly one list of records besides its summary (lists.record_keys)")
    return summary, bytes(raw)


def split_list(text: bytes) -> list[msgspec.Raw]:
    """Split the JSON text of a list into the texts of its records.

    :raises ValueError: it is not a list.
    """
    return _list_decoder.decode(text)


def read_page(response: Response, key: str | None, model: type[M]) -> Page[M]:
    """Read a page. Parameters and errors are those of :func:`split_page`."""
    summary, text = split_page(response, key)
    return Page(summary, [bytes(record) for record in split_list(text)], model)


def key_reader(name: str) -> Callable[[bytes], str | int | None]:
    """Return a reader of a field of a record's JSON text.

    :param name: name of the field. Its value must be text or an integer; for any other the reader returns ``None``.
    """
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
    """Page to request next, by query parameters of the list's path, or by the URL of its ``nextPage``."""

    number: int
    params: Mapping[str, Any] | None = None
    url: str | None = None


class PageWalk:
    """State of reading one list: the pages to request, and the checks that the list is complete.

    :param filters: passed through to ARM unchanged, with page 1. If ``maximumcount`` (as the readings name it) is among
        them, the list may end at that number of records.
    :param page_size: records per page.
    :param base: base URL; a next page must have its scheme, host and port.
    :param label: label of the operation, for messages.
    :param item_key: field that identifies a record. Without it, a record that appears twice is not detected.
    :param readings: query parameters, limits, and what an empty list and an expired query are.
    """

    def __init__(
        self,
        filters: Mapping[str, Any],
        page_size: int,
        base: BaseUrl,
        label: str,
        *,
        item_key: str | None = None,
        readings: ListReadings = _DEFAULT_LISTS,
    ) -> None:
        self._readings = readings
        self._params = {readings.parameters.page_size: page_size, **filters}
        limit = filters.get(readings.parameters.maximum_count)
        self._limit = None if limit is None else int(limit) if str(limit).isdecimal() else 0
        self._base = base
        self._label = label
        self._next: PageRequest | None = PageRequest(1, params=self._params)
        self._first: PageSummary | None = None
        self._last_url: str | None = None
        self._key_of = key_reader(item_key) if item_key else None
        self._keys: set[Any] = set()
        self.rows = 0
        self.pages = 0

    def next_request(self) -> PageRequest | None:
        """Return the request for the next page, or ``None`` if the list is complete."""
        return self._next

    def remaining_requests(self) -> list[PageRequest]:
        """Return the requests for all pages after page 1, which may be sent in any order or at the same time.

        The pages must still be accepted in order. The list is empty if ARM does not keep the query or does not report
        the number of pages; then :meth:`next_request` returns one page after the other.
        """
        first = self._first or PageSummary()
        if not first.query_id or first.total_pages is None:
            return []
        return [self._by_query(first.query_id, number) for number in range(2, first.total_pages + 1)]

    def all_requests(self) -> list[PageRequest]:
        """Return the requests for all pages, to read them a second time; empty if ARM does not keep the query."""
        remaining = self.remaining_requests()
        first = self._first
        return [self._by_query(first.query_id, 1), *remaining] if first and first.query_id else []

    def accept(self, page: Page[Any]) -> None:
        """Accept the page that was requested. Raises as :meth:`accept_summary`."""
        self.accept_summary(page.summary, len(page.texts), page.texts)

    def accept_summary(self, summary: PageSummary, rows: int, texts: Sequence[bytes] = ()) -> None:
        """Accept the page that was requested.

        :param summary: its summary.
        :param rows: number of its records.
        :param texts: its records, to detect one that appears twice; empty if the caller detects these.
        :raises ArmIncompleteListError: it is another page, or it is the last and records are missing.
        :raises ArmResultLimitError: more records match than ARM returns.
        :raises ArmConfigurationError: the next page is on another host; the token is not sent there.
        """
        requested = self._next
        if requested is None:  # pragma: no cover - a caller's programming error
            raise RuntimeError("no page was requested")
        if summary.page_no is not None and summary.page_no != requested.number:
            self._fail(f"page {requested.number} was requested and page {summary.page_no} was returned")
        if self._first is None:
            self._first = summary
            self._check_cap(summary)
        elif summary.total_count is not None and summary.total_count != self._first.total_count is not None:
            self._fail(
                f"ARM counted {self._first.total_count} records on page 1 and {summary.total_count} on "
                f"page {requested.number}"
            )
        self._check_keys(texts)
        self.pages += 1
        self.rows += rows
        self._next = self._next_page(requested, summary, rows)
        if self._next is None:
            self._check_complete()

    def on_page_error(self, error: ArmError) -> ArmError | None:
        """Return the error to raise when the requested page failed with *error*, or ``None`` if the list is empty."""
        if self._next is not None and self._next.number > 1:
            if error.status_code in self._readings.expired_codes:
                return ArmIncompleteListError(
                    f"the list ended at page {self._next.number} because ARM no longer keeps its query "
                    f"({error.status_code}, {self._label}); read it again from page 1",
                    operation=self._label,
                    status_code=error.status_code,
                )
        elif error.status_code == HTTPStatus.NOT_FOUND and self._readings.empty_is_404:
            self._next = None
            return None
        return error

    def _by_query(self, query_id: str, number: int) -> PageRequest:
        names = self._readings.parameters
        return PageRequest(number, params={names.query: query_id, names.page_number: number})

    def _next_page(self, requested: PageRequest, summary: PageSummary, rows: int) -> PageRequest | None:
        total = self._first.total_pages if self._first else None
        query_id = self._first.query_id if self._first else None
        url = summary.next_page
        if total is not None:
            if requested.number >= total:
                return None
        elif not url or url == self._last_url or not rows:
            return None
        self._last_url = url
        if query_id:
            return self._by_query(query_id, requested.number + 1)
        if not url:
            self._fail(f"page {requested.number} of {total} has neither a queryId nor a nextPage")
        elif not self._base.is_same_origin(url):
            msg = (
                f"nextPage of ARM's list is on another host ({self._label}): "
                "the token is never sent there; check the host of the connection"
            )
            raise ArmConfigurationError(msg, operation=self._label)
        return PageRequest(requested.number + 1, url=url)

    def _check_keys(self, texts: Sequence[bytes]) -> None:
        """Raise for a record that was on a page before: records have moved between pages, so another one is missing."""
        if self._key_of is None:
            return
        for text in texts:
            key = self._key_of(text)
            if key is not None and key in self._keys:
                self._fail(f"{key} appears twice, because the list changed while it was read")
            self._keys.add(key)

    def _check_cap(self, summary: PageSummary) -> None:
        total, maximum = summary.total_count, summary.maximum_count or self._readings.max_records
        # A count of exactly the documented cap means that ARM stopped counting, whatever maximumCount is.
        if self._limit is not None or total is None or (total < maximum and total != self._readings.max_records):
            return
        msg = (
            f"{total} records match and ARM returns at most {maximum} per query ({self._label}): "
            "narrow the filters or split the period, because the rest would be missing"
        )
        raise ArmResultLimitError(msg, operation=self._label, total_count=total)

    def _check_complete(self) -> None:
        first = self._first or PageSummary()
        total, maximum = first.total_count, first.maximum_count or self._readings.max_records
        if self._limit is not None:
            # ARM may count all matching records or only maximumcount of them.
            if total is not None and self.rows < min(total, self._limit):
                self._fail(f"ARM counted {total} records, {self._limit} were requested and {self.rows} returned")
        elif total is None and self.rows >= maximum:
            self._fail(f"ARM returned {self.rows} records, the maximum of one query, without a totalCount")
        elif total is not None and self.rows != total:
            self._fail(f"ARM counted {total} records and returned {self.rows}")

    def _fail(self, reason: str) -> None:
        msg = f"the list is incomplete: {reason} ({self._label}); read it again from page 1"
        raise ArmIncompleteListError(msg, operation=self._label)


class PageSource:
    """A list as the responses of its pages, for callers that parse them on their own. Threads may share it.

    :param operation: the list.
    :param base: base URL of the API.
    :param page_size: records per page.
    :param readings: profile of the client.
    :param call: makes one call and reads its response.
    :param path: path of the list under the base URL, with the client number; default: the operation's path.
    """

    def __init__(
        self,
        operation: Operation,
        base: BaseUrl,
        page_size: int,
        readings: Readings,
        call: PageCall,
        *,
        path: str | None = None,
    ) -> None:
        self.operation = operation
        self.path = (path or operation.path).lstrip("/")
        self.page_size = page_size
        self.readings = readings
        self.base_url = base.url
        self._base = base
        self._call = call

    def start_walk(self, filters: Mapping[str, Any]) -> PageWalk:
        """Start to read the list with these filters. Nothing is sent yet, and keys of records are not checked."""
        return PageWalk(filters, self.page_size, self._base, self.operation.label, readings=self.readings.lists)

    def fetch(self, page: PageRequest, read: Callable[[Response], T]) -> T:
        """Fetch one page, with the client's retries.

        :param read: converts the response in the caller's thread; raises ``ValueError`` if it is invalid.
        :raises ArmError: see its subclasses.
        """
        result: T = self._call(page, read)
        return result


class Cursor(Generic[M]):
    """A list to iterate over, page by page or item by item. Each iteration requests it from ARM again.

    :param start: starts to read the list.
    :param fetch: fetches one page.
    """

    def __init__(self, start: Callable[[], PageWalk], fetch: Callable[[PageRequest], Page[M]]) -> None:
        self._start = start
        self._fetch = fetch

    def pages(self) -> Iterator[Page[M]]:
        """Yield the pages in order.

        :raises ArmIncompleteListError: the list is incomplete (raised after its last page at the latest).
        """
        walk = self._start()
        while (request := walk.next_request()) is not None:
            try:
                page = self._fetch(request)
            except ArmError as error:
                list_error = walk.on_page_error(error)
                if list_error is not None:
                    raise list_error from None
                return
            # Accept the page before it is yielded: callers never get a wrong page.
            walk.accept(page)
            yield page

    def items(self) -> Iterator[M]:
        """Yield the records in order, as models.

        :raises ArmIncompleteListError: see :meth:`pages`.
        :raises InvalidRecordError: a record does not fit its model.
        """
        for page in self.pages():
            yield from page.items

    def __iter__(self) -> Iterator[M]:
        """Iterate over the items."""
        return self.items()
