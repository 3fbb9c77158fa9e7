"""The asynchronous client: the same decisions as the synchronous one, awaited. It has what a trigger needs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiohttp
import yarl

from airflow_provider_arm.client.core import ClientCore
from airflow_provider_arm.client.endpoints import batch_reader, read_json
from airflow_provider_arm.client.errors import ArmRateLimitError, Phase
from airflow_provider_arm.client.http.exchange import Flow, NeedToken, Outcome, Pause, Send, authorize, call
from airflow_provider_arm.client.http.messages import Request, Response, TransportFailure
from airflow_provider_arm.client.http.retry import Cooldown, parse_retry_after
from airflow_provider_arm.client.http.time_limit import TimeLimit
from airflow_provider_arm.client.http.transport import proxies_for

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from types import TracebackType

    from airflow_provider_arm.client.batch_state import BatchStatus

log = logging.getLogger(__name__)

#: Connections that one client opens at most: a thousand polls a second need about forty at 20 ms.
MAX_CONNECTIONS = 64
#: Time limits without a byte after which a call is given up altogether, a wait for a free connection included: bytes
#: that come one by one must not hold a poll for ever.
TIMEOUTS_PER_CALL = 4
#: Answers whose ``Retry-After`` holds back every call of the client.
_ASKS_FOR_REST = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

T = TypeVar("T")


class AsyncArmClient(ClientCore):
    """Talks to ARM from one event loop.

    Where ARM asks one call for a rest (``Retry-After``), all others are held back too: until it is over, each raises
    :class:`~airflow_provider_arm.client.errors.ArmRateLimitError` with the seconds left, and nothing is sent.

    Its arguments are those of :class:`~airflow_provider_arm.client.core.ClientCore`.

    A call is as few objects as can be while it is under way: thousands of polls that are let go of in good order still
    count for the garbage collector, and where it looks through the whole process every few seconds, all of them stop.
    """

    def _prepare(self) -> None:
        self._token_lock = asyncio.Lock()
        self._rest = Cooldown()
        self._http_lock = asyncio.Lock()
        self._http: aiohttp.ClientSession | None = None
        self._proxies: dict[yarl.URL, str | None] = {}
        self._limit = TimeLimit(self._transport.timeout * TIMEOUTS_PER_CALL)
        self._read_batch = batch_reader(None, self._rules.assumptions)

    def get_batch(self, batch_uuid: str, *, client_no: int | None = None) -> Coroutine[Any, Any, BatchStatus]:
        """GET one batch and decide what it is.

        :param client_no: another ARM client than the connection's.
        :raises ArmNotFoundError: ARM does not know it.
        """
        endpoints = self._endpoints.for_client(client_no)
        request = endpoints.read_request(endpoints.operation("get_batch"), {"batchuuid": batch_uuid})
        return self._call(request, self._read_batch)

    def call(
        self, name: str, *, path: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> Coroutine[Any, Any, Any]:
        """Make any reading call of the operations table; gives the decoded answer, numbers exact."""
        request = self._endpoints.read_request(self._endpoints.operation(name), path, params)
        return self._call(request, read_json)

    async def close(self) -> None:
        """Close all connections."""
        self._limit.stop()
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def __aenter__(self) -> Self:
        """Use as a context manager."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self.close()

    def _call(self, request: Request, read: Callable[[Response], T]) -> Coroutine[Any, Any, T]:
        return self._run(call(request, read, self._rules))

    async def _run(self, flow: Flow[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            match step:
                case Send():
                    outcome = await self._send(step)
                case Pause():
                    outcome = None
                    await self._rules.clock.asleep(step.seconds)
                case NeedToken():
                    outcome = self._keeper.current(self._rules.clock.monotonic(), step.rejected)
                    outcome = outcome or await self._new_token(step)

    async def _new_token(self, step: NeedToken) -> str:
        async with self._token_lock:
            return await self._run(authorize(self._credentials, self._keeper, step.rejected, self._rules))

    async def _send(self, step: Send) -> Response | TransportFailure:
        request = step.request
        self._hold_back(request)
        headers = dict(request.headers)
        if step.token is not None:
            headers["Authorization"] = f"Bearer {step.token}"
        url = yarl.URL(request.url, encoded=True)
        session = self._http
        if session is None or session.closed:
            session = await self._open_session()
        task = self._limit.begin()
        try:
            response = await session.request(
                request.operation.method,
                url,
                data=request.body,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy_for(url),
            )
            try:
                body = await response.read()
            finally:
                response.release()  # what is not read to its end is closed
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return classify_error(error)
        except asyncio.CancelledError:
            if self._limit.has_ended(task):
                return classify_error(TimeoutError())
            raise
        finally:
            self._limit.finish(task)
        lower = {name.lower(): value for name, value in response.headers.items()}
        if request.needs_token and response.status in _ASKS_FOR_REST:
            seconds = parse_retry_after(lower.get("retry-after"), self._rules.clock.time())
            self._rest.asked_for(seconds or 0.0, self._rules.clock.monotonic())
        return Response(response.status, lower, body)

    def _proxy_for(self, url: yarl.URL) -> str | None:
        # Once per host: reading the environment takes as long as the rest of a poll.
        origin = url.origin()
        if origin not in self._proxies:
            proxies = proxies_for(str(origin))
            self._proxies[origin] = proxies.get(url.scheme) or proxies.get("all")
        return self._proxies[origin]

    def _hold_back(self, request: Request) -> None:
        left = self._rest.left(self._rules.clock.monotonic()) if request.needs_token else 0.0
        if left > 0:
            msg = f"{request.operation.label}: not asked, because ARM wants {left:.0f} seconds of rest"
            raise ArmRateLimitError(msg, operation=request.operation.label, phase=Phase.NOT_SENT, retry_after=left)

    async def _open_session(self) -> aiohttp.ClientSession:
        async with self._http_lock:
            if self._http is None or self._http.closed:
                # Off the loop: reading the world's certificates takes as long as twenty polls.
                context = await asyncio.to_thread(ssl.create_default_context, cafile=self._transport.ca_file())
                self._http = self._open(context)
        return self._http

    def _open(self, context: ssl.SSLContext) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None,  # see TimeLimit
                sock_connect=self._transport.connect_timeout,
                sock_read=self._transport.timeout,
            ),
            trust_env=False,
        )
        # aiohttp sends a GET, PUT or DELETE whose connection is lost a second time without a word: whether a call
        # may be repeated is decided in one place, and not by its verb. There is no public switch.
        session._retry_connection = False  # noqa: SLF001
        return session


def classify_error(error: Exception) -> TransportFailure:
    """Say how far a request certainly got that ended in *error*. What is not known to be unsent, may have been sent."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TransportFailure(Phase.NOT_SENT, "its certificate is not trusted (ca_bundle of the connection?)")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return TransportFailure(Phase.NOT_SENT, "its name is not known (host of the connection?)")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransportFailure(Phase.NOT_SENT, "no connection in time")
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return TransportFailure(Phase.NOT_SENT, "the proxy did not connect")
    if isinstance(error, aiohttp.ClientConnectorError):
        return TransportFailure(Phase.NOT_SENT, "the connection was refused")
    if isinstance(error, TimeoutError):
        return TransportFailure(Phase.MAYBE_SENT, "no answer in time")
    if isinstance(error, aiohttp.ClientPayloadError):
        return TransportFailure(Phase.MAYBE_SENT, "the answer broke off")
    return TransportFailure(Phase.MAYBE_SENT, "the connection was lost")
