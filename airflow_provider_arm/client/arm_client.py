"""The synchronous client."""

from __future__ import annotations

import http.client
import http.cookiejar
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from airflow_provider_arm.client.core import ClientCore
from airflow_provider_arm.client.endpoints import (
    Record,
    ad_hoc_operation,
    batch_reader,
    read_json,
    response_reader,
    to_wire,
    to_wire_list,
)
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.http.exchange import (
    CallSteps,
    GetToken,
    SendRequest,
    Sleep,
    Step,
    StepResult,
    authorize,
    call,
)
from airflow_provider_arm.client.http.messages import Request, Response, TransportFailure
from airflow_provider_arm.client.http.redaction import QueryRedactionFilter
from airflow_provider_arm.client.http.requests_errors import classify_error
from airflow_provider_arm.client.http.transport import proxies_for
from airflow_provider_arm.client.ledger_writes import LedgerWrites
from airflow_provider_arm.client.models import ArItem, ArmModel, BatchReceipt, Customer, Document, GlItem, WriteResponse
from airflow_provider_arm.client.paging import (
    MAX_PAGE_SIZE,
    Cursor,
    Page,
    PageRequest,
    PageSource,
    PageWalk,
    read_page,
    rename_summary,
)

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.client.models.log_item import LogItem
    from airflow_provider_arm.client.operations import Operation, Replay

log = logging.getLogger(__name__)
logging.getLogger("urllib3.connectionpool").addFilter(QueryRedactionFilter())

T = TypeVar("T")
Filters = Mapping[str, Any]


class ArmClient(ClientCore, LedgerWrites):
    """Synchronous client of the ARM API. Threads may share it: each has its own connections, all share one token.

    Its parameters are those of :class:`~airflow_provider_arm.client.core.ClientCore`.
    """

    def _prepare(self) -> None:
        self._token_lock = threading.Lock()
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    # ---- customers

    def get_customer(self, customer_no: str, *, expand: str | None = None, language: str | None = None) -> Customer:
        """Get one customer (``GET``).

        :param expand: passed through to ARM.
        :param language: sent as ``Accept-Language``.
        :raises ArmNotFoundError: ARM has no such customer.
        """
        params = {"expand": expand, "userid": self._endpoints.user_id}
        customer: Customer = self._get("get_customer", {"customerno": customer_no}, params, language)
        return customer

    def list_customers(self, filters: Filters | None = None, *, page_size: int = MAX_PAGE_SIZE) -> Cursor[Customer]:
        """List customers (``GET``). *filters* are passed through to ARM."""
        return self.cursor("list_customers", filters, page_size=page_size)

    def upsert_customer(self, customer: Record) -> WriteResponse:
        """Create one customer, or update it if its number exists (``POST``). ARM does it at once.

        :raises InvalidRecordError: it does not fit the model; nothing was sent.
        :raises ArmValidationError: ARM rejected it.
        """
        return self._write_one("upsert_customer", customer)

    def update_customer(self, customer: Record) -> WriteResponse:
        """Update one customer (``PUT``). Missing keys keep the values at ARM. Raises as :meth:`upsert_customer`."""
        return self._write_one("update_customer", customer)

    def delete_customer(self, customer_no: str, *, options: str | None = None) -> WriteResponse:
        """Delete a customer (``DELETE``). ARM allows it only if the customer has no documents and no AR items.

        A 404 after an attempt of this call that ARM may have accepted is a success; ``warnings`` then has the reason.

        :raises ArmNotFoundError: ARM has no such customer.
        """
        operation = self._endpoints.operation("delete_customer")
        request = self._endpoints.read_request(operation, {"customerno": customer_no}, {"options": options})
        written: WriteResponse = self._read(request, None)
        return written

    # ---- batches

    def submit_batch(self, name: str, records: Sequence[Record]) -> BatchReceipt:
        """Submit a batch by the operation *name* (``create_customer_batch``, ``create_document_batch``, ...).

        ARM stores the batch and processes it later. Keep the ``batch_uuid`` of the receipt: nothing else identifies it.

        :raises InvalidRecordError: records do not fit their model; nothing was sent.
        :raises ArmUnknownOutcomeError: ARM may or may not have accepted the documents; check before sending them again.
        :raises ArmInvalidResponseError: the response is invalid, for example has no batchUuid.
        """
        operation = self._endpoints.operation(name)
        if not records:
            raise ArmConfigurationError(f"a batch needs at least one record ({operation.label})")
        request = self._endpoints.write_request(operation, to_wire_list(operation.record, records))
        receipt: BatchReceipt = self._read(request, request.record)
        return receipt

    def submit_encoded(self, name: str, records: bytes) -> BatchReceipt:
        """Submit a batch of records that have been validated and encoded before.

        :param records: JSON list of wire records, as :func:`money.encode` returns it; sent unchanged.
        :raises ArmError: as :meth:`submit_batch`, except that only ARM validates the records.
        """
        request = self._endpoints.encoded_request(self._endpoints.operation(name), records)
        receipt: BatchReceipt = self._read(request, request.record)
        return receipt

    def get_batch(self, batch_uuid: str, *, submitted: int | None = None) -> BatchStatus:
        """Get one batch (``GET``) and return its state.

        :param submitted: number of records that were sent in it: other counts than this are an invalid response.
        :raises ArmNotFoundError: ARM has no such batch.
        """
        request = self._endpoints.read_request(self._endpoints.operation("get_batch"), {"batchuuid": batch_uuid})
        return self._call(request, batch_reader(submitted, self._policy.readings))

    # ---- AR items, documents

    def get_ar_item(self, ar_item_id: str, *, expand: str | None = None, language: str | None = None) -> ArItem:
        """Get one AR item (``GET``).

        :param expand: passed through to ARM.
        :param language: sent as ``Accept-Language``.
        :raises ArmNotFoundError: ARM has no such AR item.
        """
        params = {"expand": expand, "userid": self._endpoints.user_id}
        item: ArItem = self._get("get_ar_item", {"aritemid": ar_item_id}, params, language)
        return item

    def list_ar_items(self, filters: Filters | None = None, *, page_size: int = MAX_PAGE_SIZE) -> Cursor[ArItem]:
        """List AR items (``GET``). *filters* are passed through to ARM."""
        return self.cursor("list_ar_items", filters, page_size=page_size)

    def get_document(self, document_no: str, *, expand: str | None = None, language: str | None = None) -> Document:
        """Get one document (``GET``). Parameters and errors are those of :meth:`get_ar_item`."""
        params = {"expand": expand, "userid": self._endpoints.user_id}
        document: Document = self._get("get_document", {"documentno": document_no}, params, language)
        return document

    def list_documents(self, filters: Filters | None = None, *, page_size: int = MAX_PAGE_SIZE) -> Cursor[Document]:
        """List documents (``GET``; the path is assumed). *filters* are passed through to ARM."""
        return self.cursor("list_documents", filters, page_size=page_size)

    def get_gl_item(self, gl_item_id: str, *, expand: str | None = None, language: str | None = None) -> GlItem:
        """Get one GL item (``GET``). Parameters and errors are those of :meth:`get_ar_item`."""
        params = {"expand": expand, "userid": self._endpoints.user_id}
        item: GlItem = self._get("get_gl_item", {"glitemid": gl_item_id}, params, language)
        return item

    def list_gl_items(self, filters: Filters | None = None, *, page_size: int = MAX_PAGE_SIZE) -> Cursor[GlItem]:
        """List GL items (``GET``; their fields are assumed). *filters* are passed through to ARM."""
        return self.cursor("list_gl_items", filters, page_size=page_size)

    def list_log_items(self, filters: Filters | None = None, *, page_size: int = MAX_PAGE_SIZE) -> Cursor[LogItem]:
        """List log items (``GET``; the path is assumed). *filters* are passed through to ARM."""
        return self.cursor("list_log_items", filters, page_size=page_size)

    # ---- other operations

    def call(
        self, name: str, *, path: Mapping[str, Any] | None = None, params: Filters | None = None, record: Any = None
    ) -> Any:
        """Call any operation of the operations table and return the decoded response, with exact numbers.

        :param path: values for the path of the operation.
        :param params: query parameters of a read.
        :param record: for a write: the value of the operation's key in the body.
        """
        return self._call(self._endpoints.any_request(name, path, params, record), read_json)

    def call_response(
        self, name: str, *, path: Mapping[str, Any] | None = None, params: Filters | None = None, record: Any = None
    ) -> Response:
        """Call any operation as :meth:`call` does and return ARM's response: status, headers and body.

        :meth:`request_id` returns its identifier. Names of headers are in lower case.
        """
        return self._call(self._endpoints.any_request(name, path, params, record), lambda response: response)

    def check_health(self) -> Any:
        """Check the health of ARM (``GET /health``; the path is assumed) and return the decoded response."""
        return self.call("check_health")

    def request(
        self, method: str, path: str, *, params: Filters | None = None, json: Any = None, replay: Replay | None = None
    ) -> Any:
        """Send a request that the reference documents by title only.

        :param path: path under the base URL; begins with ``/`` and is quoted where necessary.
        :param params: query parameters.
        :param json: body of the request.
        :param replay: whether the call is safe to repeat; default: only a GET is.
        :return: the decoded response, with exact numbers.
        """
        if not path.startswith("/"):
            raise ArmConfigurationError("path must start with / (it is appended to the base URL)")
        operation = ad_hoc_operation(method, path, replay)
        return self._call(self._endpoints.raw_request(operation, path, params, json), read_json)

    def cursor(self, name: str, filters: Filters | None = None, *, page_size: int = MAX_PAGE_SIZE) -> Cursor[Any]:
        """Return a cursor over any list of the operations table. Its items have the model of the list's row.

        :param name: name of the list, such as ``"list_gl_items"``.
        :param filters: passed through to ARM.
        """
        operation = self._endpoints.operation(name)
        model, lists = operation.response or ArmModel, self.readings.lists

        def start() -> PageWalk:
            base, key = self._endpoints.base, operation.item_key
            return PageWalk(filters or {}, page_size, base, operation.label, item_key=key, readings=lists)

        def fetch(page: PageRequest) -> Page[Any]:
            request = self._endpoints.page_request(operation, page.params, page.url)
            return self._call(request, lambda page: read_page(rename_summary(page, lists), operation.key, model))

        return Cursor(start, fetch)

    def page_source(self, operation: str | Operation, *, page_size: int = MAX_PAGE_SIZE) -> PageSource:
        """Return a source of the pages of a list as ARM's responses; several threads may use it.

        :param operation: name of the list in the operations table, or an operation that is not in it.
        """
        row = self._endpoints.operation(operation) if isinstance(operation, str) else operation

        def fetch(page: PageRequest, read: Callable[[Response], T]) -> T:
            request = self._endpoints.page_request(row, page.params, page.url)
            return self._call(request, lambda response: read(rename_summary(response, self.readings.lists)))

        path = self._endpoints.path(row)
        return PageSource(row, self._endpoints.base, page_size, self._policy.readings, fetch, path=path)

    def check(self) -> None:
        """Read one customer to check host, credentials, client number and permission; raise what is wrong.

        :raises ArmError: see its subclasses.
        """
        next(
            self.cursor("list_customers", {self.readings.lists.parameters.maximum_count: 1}, page_size=1).pages(), None
        )

    # ---- closing

    def close(self) -> None:
        """Close all connections."""
        while self._sessions:
            self._sessions.pop().close()
        self._local = threading.local()

    def __enter__(self) -> Self:
        """Return the client; the ``with`` block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self.close()

    # ---- calls

    def _get(self, name: str, path: Mapping[str, Any], params: Filters, language: str | None) -> Any:
        return self._read(self._endpoints.read_request(self._endpoints.operation(name), path, params, language), None)

    def _write_one(self, name: str, record: Record) -> WriteResponse:
        operation: Operation = self._endpoints.operation(name)
        wire = to_wire(operation.record, record)
        request = self._endpoints.write_request(operation, wire)
        written: WriteResponse = self._read(request, wire)
        return written

    def _read(self, request: Request, record: Any) -> Any:
        """Send a request and read its response as the operations table describes it."""
        return self._call(request, response_reader(request.operation, record, self._policy.readings))

    def _call(self, request: Request, read: Callable[[Response], T]) -> T:
        return self._run(call(request, read, self._policy))

    def _run(self, steps: CallSteps[T]) -> T:
        step_result: StepResult = None
        while True:
            try:
                step = steps.send(step_result)
            except StopIteration as stop:
                result: T = stop.value
                return result
            step_result = self._execute(step)

    def _execute(self, step: Step) -> StepResult:
        match step:
            case SendRequest():
                return self._send(step)
            case Sleep():
                self._policy.clock.sleep(step.seconds)
                return None
            case GetToken():
                with self._token_lock:
                    return self._run(authorize(self._credentials, self._token_cache, step.rejected, self._policy))

    def _send(self, step: SendRequest) -> Response | TransportFailure:
        request = step.request
        headers = dict(request.headers)
        if step.token is not None:
            headers["Authorization"] = f"Bearer {step.token}"
        started = self._policy.clock.monotonic()
        try:
            response = self._session().request(
                request.operation.method,
                request.url,
                data=request.body,
                headers=headers,
                allow_redirects=False,
                timeout=(self._transport.connect_timeout, self._transport.timeout),
                proxies=self._proxies(request.url),
                stream=True,
            )
            body = _read_body(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            return classify_error(error)
        log.debug(
            "%s -> %d, %d bytes, %.0f ms",
            request.operation.label,
            response.status_code,
            len(body),
            (self._policy.clock.monotonic() - started) * 1000,
        )
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status_code, headers, body)

    def _proxies(self, url: str) -> dict[str, str]:
        """Return the proxies for *url*. They are determined once per host and thread: it takes as long as a call."""
        proxies: dict[str, dict[str, str]] = self._local.__dict__.setdefault("proxies", {})
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in proxies:
            proxies[origin] = proxies_for(origin)
        return proxies[origin]

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            if not self._sessions:
                self._transport.check_ca_file()
            session = requests.Session()
            session.trust_env = False  # no .netrc; proxies and certificates are set explicitly
            session.verify = self._transport.ca_file()
            session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
            self._local.session = session
            self._sessions.append(session)
        return session


def _read_body(response: requests.Response) -> bytes:
    """Read the body in one piece: ``.content`` reads 10 KiB at a time and blocks other threads meanwhile."""
    try:
        body: bytes = response.raw.read(decode_content=True)
    except BaseException:
        response.close()  # the rest of it must not be read as the next response
        raise
    return body
