"""The synchronous client."""

from __future__ import annotations

import contextlib
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
    read_json,
    response_reader,
    to_wire,
    to_wire_list,
)
from airflow_provider_arm.client.errors import ArmConfigurationError, Phase
from airflow_provider_arm.client.http.exchange import Flow, NeedToken, Outcome, Pause, Send, authorize, call
from airflow_provider_arm.client.http.messages import Request, Response, TransportFailure
from airflow_provider_arm.client.http.redaction import QueryRedactionFilter
from airflow_provider_arm.client.http.transport import proxies_for
from airflow_provider_arm.client.ledger_writes import LedgerWrites
from airflow_provider_arm.client.models import ArItem, ArmModel, BatchReceipt, Customer, Document, WriteResponse
from airflow_provider_arm.client.paging import (
    MAX_PAGE_SIZE,
    Cursor,
    Page,
    PageRequest,
    PageSource,
    PageWalk,
    read_page,
)

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.client.operations import Operation, Replay

log = logging.getLogger(__name__)
logging.getLogger("urllib3.connectionpool").addFilter(QueryRedactionFilter())

T = TypeVar("T")
M = TypeVar("M", bound=ArmModel)
Filters = Mapping[str, Any]
#: How an answer ends that has begun: in the words of who reads its body.
_BROKEN_OFF = (
    http.client.IncompleteRead,
    urllib3.exceptions.DecodeError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class ArmClient(ClientCore, LedgerWrites):
    """Talks to ARM. Safe to share between threads: each has its own connections, all share one token.

    Its arguments are those of :class:`~airflow_provider_arm.client.core.ClientCore`.
    """

    def _prepare(self) -> None:
        self._token_lock = threading.Lock()
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    # ---- customers

    def get_customer(self, customer_no: str, *, expand: str | None = None, language: str | None = None) -> Customer:
        """GET one customer.

        :raises ArmNotFoundError: there is none.
        """
        params = {"expand": expand, "userid": self._endpoints.user_id}
        customer: Customer = self._get("get_customer", {"customerno": customer_no}, params, language)
        return customer

    def list_customers(self, filters: Filters | None = None, *, page_size: int = MAX_PAGE_SIZE) -> Cursor[Customer]:
        """GET a list of customers; *filters* are passed through."""
        return self.cursor("list_customers", filters, page_size=page_size)

    def upsert_customer(self, customer: Record) -> WriteResponse:
        """POST one customer: created, or updated where the number exists; processed at once.

        :raises InvalidRecordError: it does not fit the model; nothing was sent.
        :raises ArmValidationError: ARM refused it.
        """
        return self._write_one("upsert_customer", customer)

    def update_customer(self, customer: Record) -> WriteResponse:
        """PUT one customer; keys that are missing keep what ARM has. Raises as :meth:`upsert_customer`."""
        return self._write_one("update_customer", customer)

    def delete_customer(self, customer_no: str, *, options: str | None = None) -> WriteResponse:
        """DELETE a customer; ARM allows it only without documents and AR items.

        :raises ArmNotFoundError: there is none (also after an earlier try whose answer was lost).
        """
        operation = self._endpoints.operation("delete_customer")
        request = self._endpoints.read_request(operation, {"customerno": customer_no}, {"options": options})
        answer: WriteResponse = self._read(request, None)
        return answer

    # ---- batches

    def submit_batch(self, name: str, records: Sequence[Record]) -> BatchReceipt:
        """Submit a batch by the operation *name* (``create_customer_batch``, ``create_document_batch``, ...).

        ARM stores it and processes it later; keep the receipt's ``batch_uuid``: nothing else finds the batch again.

        :raises InvalidRecordError: records do not fit; nothing was sent.
        :raises ArmUnknownOutcomeError: documents may or may not have been taken; look before sending again.
        :raises ArmInvalidResponseError: also where ARM gave no batchUuid.
        """
        operation = self._endpoints.operation(name)
        if not records:
            msg = f"a batch of no records makes no sense ({operation.label})"
            raise ArmConfigurationError(msg)
        request = self._endpoints.write_request(operation, to_wire_list(operation.record, records))
        receipt: BatchReceipt = self._read(request, request.record)
        return receipt

    def submit_encoded(self, name: str, records: bytes) -> BatchReceipt:
        """Submit a batch of records that were checked before and are JSON text already.

        :param records: a JSON list, as :func:`money.encode` gives it of wire records. Sent as it is.
        :raises ArmError: as :meth:`submit_batch`, but for records that do not fit, which are ARM's to refuse.
        """
        request = self._endpoints.encoded_request(self._endpoints.operation(name), records)
        receipt: BatchReceipt = self._read(request, request.record)
        return receipt

    def get_batch(self, batch_uuid: str) -> BatchStatus:
        """GET one batch and decide what it is.

        :raises ArmNotFoundError: ARM does not know it.
        """
        request = self._endpoints.read_request(self._endpoints.operation("get_batch"), {"batchuuid": batch_uuid})
        status: BatchStatus = self._read(request, None)
        return status

    # ---- AR items, documents

    def get_ar_item(self, ar_item_id: str, *, expand: str | None = None, language: str | None = None) -> ArItem:
        """GET one AR item.

        :raises ArmNotFoundError: there is none.
        """
        params = {"expand": expand, "userid": self._endpoints.user_id}
        item: ArItem = self._get("get_ar_item", {"aritemid": ar_item_id}, params, language)
        return item

    def list_ar_items(self, filters: Filters | None = None, *, page_size: int = MAX_PAGE_SIZE) -> Cursor[ArItem]:
        """GET a list of AR items; *filters* are passed through."""
        return self.cursor("list_ar_items", filters, page_size=page_size)

    def get_document(self, document_no: str, *, language: str | None = None) -> Document:
        """GET one document.

        :raises ArmNotFoundError: there is none.
        """
        document: Document = self._get("get_document", {"documentno": document_no}, {}, language)
        return document

    # ---- everything else

    def call(
        self,
        name: str,
        *,
        path: Mapping[str, Any] | None = None,
        params: Filters | None = None,
        record: Any = None,
    ) -> Any:
        """Make any call of the operations table; gives the decoded answer, numbers exact.

        :param record: for a write, what stands under the operation's key in the body.
        """
        operation = self._endpoints.operation(name)
        if record is None:
            return self._call(self._endpoints.read_request(operation, path, params), read_json)
        return self._call(self._endpoints.write_request(operation, record, path), read_json)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Filters | None = None,
        json: Any = None,
        replay: Replay | None = None,
    ) -> Any:
        """Call what the reference documents by title only.

        :param path: under the base URL, from ``/``, quoted where needed.
        :param replay: whether a repeat is safe; left out, GET is and nothing else.
        :return: the decoded answer, numbers exact.
        """
        if not path.startswith("/"):
            msg = "path must start with / (it is put under the base URL)"
            raise ArmConfigurationError(msg)
        operation = ad_hoc_operation(method, path, replay)
        return self._call(self._endpoints.raw_request(operation, path, params, json), read_json)

    def cursor(self, name: str, filters: Filters | None = None, *, page_size: int = MAX_PAGE_SIZE) -> Cursor[Any]:
        """Return a cursor over any list of the operations table; its items are of the model in the list's row.

        :param name: of the list, such as ``"list_gl_items"``.
        """
        operation = self._endpoints.operation(name)
        model = operation.answer or ArmModel

        def start() -> PageWalk:
            base, key = self._endpoints.base, operation.item_key
            return PageWalk(filters or {}, page_size, base, operation.label, item_key=key)

        def fetch(due: PageRequest) -> Page[Any]:
            request = self._endpoints.page_request(operation, due.params, due.url)
            return self._call(request, lambda answer: read_page(answer, operation.key, model))

        return Cursor(start, fetch, self._rules.assumptions)

    def page_source(self, operation: str | Operation, *, page_size: int = MAX_PAGE_SIZE) -> PageSource:
        """Give a list page by page as ARM's own answers, from as many threads as the caller has.

        :param operation: its name in the table, or a row of the caller's own.
        """
        row = self._endpoints.operation(operation) if isinstance(operation, str) else operation

        def get(due: PageRequest, read: Callable[[Response], T]) -> T:
            return self._call(self._endpoints.page_request(row, due.params, due.url), read)

        path = self._endpoints.path(row)
        return PageSource(row, self._endpoints.base, page_size, self._rules.assumptions, get, path=path)

    def check(self) -> None:
        """Make one cheap read: host, credentials, client number and permission are good if it returns."""
        bounded = {"maximumcount": 1}
        next(self.cursor("list_customers", bounded, page_size=1).pages(), None)

    # ---- life

    def close(self) -> None:
        """Close all connections."""
        while self._sessions:
            self._sessions.pop().close()
        self._local = threading.local()

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self.close()

    # ---- the machine

    def _get(self, name: str, path: Mapping[str, Any], params: Filters, language: str | None) -> Any:
        return self._read(self._endpoints.read_request(self._endpoints.operation(name), path, params, language), None)

    def _write_one(self, name: str, record: Record) -> WriteResponse:
        operation: Operation = self._endpoints.operation(name)
        wire = to_wire(operation.record, record)
        request = self._endpoints.write_request(operation, wire)
        answer: WriteResponse = self._read(request, wire)
        return answer

    def _read(self, request: Request, record: Any) -> Any:
        """Send a request and read its response as the operations table describes it."""
        return self._call(request, response_reader(request.operation, record, self._rules.assumptions))

    def _call(self, request: Request, read: Callable[[Response], T]) -> T:
        return self._run(call(request, read, self._rules))

    def _run(self, flow: Flow[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            outcome = self._do(step)

    def _do(self, step: Send | Pause | NeedToken) -> Outcome:
        match step:
            case Send():
                return self._send(step)
            case Pause():
                self._rules.clock.sleep(step.seconds)
                return None
            case NeedToken():
                with self._token_lock:
                    return self._run(authorize(self._credentials, self._keeper, step.rejected, self._rules))

    def _send(self, step: Send) -> Response | TransportFailure:
        request = step.request
        headers = dict(request.headers)
        if step.token is not None:
            headers["Authorization"] = f"Bearer {step.token}"
        started = self._rules.clock.monotonic()
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
            body = _whole_body(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            return classify_error(error)
        log.debug(
            "%s -> %d, %d bytes, %.0f ms",
            request.operation.label,
            response.status_code,
            len(body),
            (self._rules.clock.monotonic() - started) * 1000,
        )
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status_code, lower, body)

    def _proxies(self, url: str) -> dict[str, str]:
        """Look the machine's proxies up once per host and thread: it takes as long as the rest of a call."""
        known: dict[str, dict[str, str]] = self._local.__dict__.setdefault("proxies", {})
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in known:
            known[origin] = proxies_for(origin)
        return known[origin]

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # no .netrc; proxies and certificates are given explicitly
            session.verify = self._transport.ca_file()
            session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
            self._local.session = session
            self._sessions.append(session)
        return session


def _whole_body(response: requests.Response) -> bytes:
    """Read the body in one piece: ``.content`` reads 10 KiB at a time and keeps other threads from running."""
    try:
        body: bytes = response.raw.read(decode_content=True)
    except BaseException:
        response.close()  # the rest of it must not be taken for the next answer
        raise
    return body


def classify_error(error: Exception) -> TransportFailure:
    """Say how far a request certainly got that ended in *error*. What is not known to be unsent, may have been sent."""
    reason = error
    with contextlib.suppress(AttributeError, IndexError):
        # requests wraps urllib3's MaxRetryError, which has the cause as its reason.
        reason = getattr(error.args[0], "reason", None) or error
    if isinstance(reason, urllib3.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(reason):
        return TransportFailure(Phase.NOT_SENT, "its certificate is not trusted (ca_bundle of the connection?)")
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return TransportFailure(Phase.NOT_SENT, "its name is not known (host of the connection?)")
    if isinstance(error, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.ConnectTimeoutError):
        return TransportFailure(Phase.NOT_SENT, "no connection in time")
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return TransportFailure(Phase.NOT_SENT, "the connection was refused")
    if isinstance(reason, urllib3.exceptions.ProxyError):
        return TransportFailure(Phase.NOT_SENT, "the proxy did not connect")
    if isinstance(error, requests.Timeout):
        return TransportFailure(Phase.MAYBE_SENT, "no answer in time")
    if isinstance(reason, urllib3.exceptions.ReadTimeoutError):
        return TransportFailure(Phase.MAYBE_SENT, "no answer in time")
    # urllib3 wraps what broke as the last argument of its own error.
    if any(isinstance(one, _BROKEN_OFF) for one in (error, *error.args[-1:])):
        return TransportFailure(Phase.MAYBE_SENT, "the answer broke off")
    return TransportFailure(Phase.MAYBE_SENT, "the connection was lost")
