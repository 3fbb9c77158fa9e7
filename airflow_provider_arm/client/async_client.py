"""The asynchronous client. It decides like the synchronous one and has the operations that triggers need."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiohttp
import yarl

from airflow_provider_arm.client.core import ClientCore
from airflow_provider_arm.client.endpoints import batch_reader, read_json
from airflow_provider_arm.client.errors import ArmRateLimitError, Phase
from airflow_provider_arm.client.http.aiohttp_errors import classify_error
from airflow_provider_arm.client.http.exchange import (
    CallSteps,
    GetToken,
    SendRequest,
    Sleep,
    StepResult,
    authorize,
    call,
)
from airflow_provider_arm.client.http.failures import describe_request
from airflow_provider_arm.client.http.messages import Request, Response, TransportFailure
from airflow_provider_arm.client.http.retry import Cooldown, parse_retry_after
from airflow_provider_arm.client.http.time_limit import TimeLimit
from airflow_provider_arm.client.http.transport import proxies_for

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine, Mapping
    from types import TracebackType

    from airflow_provider_arm.client.batch_state import BatchStatus

log = logging.getLogger(__name__)

#: Connections of one client at most: a thousand polls per second of 20 ms each need about forty.
MAX_CONNECTIONS = 64
#: Duration of a call at most, as a multiple of the timeout without a byte, including the wait for a free connection: a
#: response that arrives byte by byte must not block a poll for ever.
TIMEOUTS_PER_CALL = 4
#: HTTP statuses whose ``Retry-After`` starts a cooldown for all calls of the client.
_COOLDOWN_STATUSES = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

T = TypeVar("T")


class AsyncArmClient(ClientCore):
    """Asynchronous client of the ARM API for one event loop.

    A response of 429 or 503 with a ``Retry-After`` starts a cooldown for all calls. Until it ends, each call raises
    :class:`~airflow_provider_arm.client.errors.ArmRateLimitError` with the remaining seconds, and nothing is sent.

    Its parameters are those of :class:`~airflow_provider_arm.client.core.ClientCore`.

    A running call keeps as few objects alive as possible. With thousands of polls, more objects would trigger full runs
    of the garbage collector every few seconds, and each of these stops the whole process.
    """

    def _prepare(self) -> None:
        self._token_lock = asyncio.Lock()
        self._cooldown = Cooldown()
        self._http_lock = asyncio.Lock()
        self._http: aiohttp.ClientSession | None = None
        self._proxies: dict[yarl.URL, str | None] = {}
        self._limit = TimeLimit(self._transport.timeout * TIMEOUTS_PER_CALL)

    def get_batch(
        self, batch_uuid: str, *, client_no: int | None = None, submitted: int | None = None
    ) -> Coroutine[Any, Any, BatchStatus]:
        """Get one batch (``GET``) and return its state.

        :param client_no: client number, if another one than the connection's.
        :param submitted: number of records that were sent in it: other counts than this are an invalid response.
        :raises ArmNotFoundError: ARM has no such batch.
        """
        endpoints = self._endpoints.for_client(client_no)
        request = endpoints.read_request(endpoints.operation("get_batch"), {"batchuuid": batch_uuid})
        return self._call(request, batch_reader(submitted, self._policy.readings))

    def call(
        self, name: str, *, path: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> Coroutine[Any, Any, Any]:
        """Call any read of the operations table and return the decoded response, with exact numbers.

        :param path: values for the path of the operation.
        :param params: query parameters.
        """
        request = self._endpoints.read_request(self._endpoints.operation(name), path, params)
        return self._call(request, read_json)

    async def close(self) -> None:
        """Close all connections."""
        self._limit.stop()
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def __aenter__(self) -> Self:
        """Return the client; the ``async with`` block closes it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self.close()

    def _call(self, request: Request, read: Callable[[Response], T]) -> Coroutine[Any, Any, T]:
        return self._run(call(request, read, self._policy))

    async def _run(self, steps: CallSteps[T]) -> T:
        step_result: StepResult = None
        while True:
            try:
                step = steps.send(step_result)
            except StopIteration as stop:
                result: T = stop.value
                return result
            match step:
                case SendRequest():
                    step_result = await self._send(step)
                case Sleep():
                    step_result = None
                    await self._policy.clock.asleep(step.seconds)
                case GetToken():
                    step_result = self._token_cache.get(self._policy.clock.monotonic(), step.rejected)
                    step_result = step_result or await self._fetch_token(step)

    async def _fetch_token(self, step: GetToken) -> str:
        async with self._token_lock:
            return await self._run(authorize(self._credentials, self._token_cache, step.rejected, self._policy))

    async def _send(self, step: SendRequest) -> Response | TransportFailure:
        request = step.request
        self._raise_in_cooldown(request)
        headers = dict(request.headers)
        if step.token is not None:
            headers["Authorization"] = f"Bearer {step.token}"
        url = yarl.URL(request.url, encoded=True)
        session = self._http
        if session is None or session.closed:
            session = await self._open_session()
        task = self._limit.start()
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
                response.release()  # closes the connection if the body was not read completely
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return classify_error(error)
        except asyncio.CancelledError:
            if self._limit.has_timed_out(task):
                return classify_error(TimeoutError())
            raise
        finally:
            self._limit.finish(task)
        response_headers = {name.lower(): value for name, value in response.headers.items()}
        if request.needs_token and response.status in _COOLDOWN_STATUSES:
            seconds = parse_retry_after(response_headers.get("retry-after"), self._policy.clock.time())
            self._cooldown.start(seconds or 0.0, self._policy.clock.monotonic())
        return Response(response.status, response_headers, body)

    def _proxy_for(self, url: yarl.URL) -> str | None:
        # Once per host: reading the environment takes as long as the poll itself.
        origin = url.origin()
        if origin not in self._proxies:
            proxies = proxies_for(str(origin))
            self._proxies[origin] = proxies.get(url.scheme) or proxies.get("all")
        return self._proxies[origin]

    def _raise_in_cooldown(self, request: Request) -> None:
        left = self._cooldown.remaining(self._policy.clock.monotonic()) if request.needs_token else 0.0
        if left > 0:
            place = describe_request(request)
            msg = f"{place}: not sent, because ARM asked to wait {left:.0f} more seconds (Retry-After)"
            raise ArmRateLimitError(msg, operation=request.operation.label, phase=Phase.NOT_SENT, retry_after=left)

    async def _open_session(self) -> aiohttp.ClientSession:
        async with self._http_lock:
            if self._http is None or self._http.closed:
                # In a thread: loading certifi's certificates takes as long as twenty polls.
                context = await asyncio.to_thread(self._transport.create_ssl_context)
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
        # aiohttp silently repeats a GET, PUT or DELETE if its connection is lost. But whether a call may be repeated
        # depends on its replay class, not on its HTTP method. There is no public switch.
        session._retry_connection = False  # noqa: SLF001
        return session
