"""The socket side: reads a request whole, hands it to the core, and writes the answer or the fault."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.core import Core
from airflow_provider_arm.sandbox.messages import (
    JSON_TYPE,
    MAX_BODY_BYTES,
    SandboxRequest,
    SandboxResponse,
    json_response,
)
from airflow_provider_arm.sandbox.web.admin import AdminApi
from airflow_provider_arm.sandbox.web.fault_injection import FaultyConnection, inject_fault

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Under this name the protocol hands the connection to the application.
TRANSPORT = "arm.transport"

#: Every answer says that it is not the real ARM.
MARK = (b"x-arm-sandbox", b"1")


class SandboxApplication:
    """The ASGI application. It is small enough to need no framework, and faults need the bare connection."""

    def __init__(self, core: Core, admin: AdminApi) -> None:
        self._core = core
        self._admin = admin
        #: Closes the listener for some seconds; set by the server.
        self.refuse: Callable[[float], None] = lambda _: None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        body = await _whole_body(receive)
        if body is None:
            return
        if len(body) > MAX_BODY_BYTES:
            await write(send, json_response(413, {"status": "FAILED", "message": "The body is too large"}), close=True)
            return
        call = _call(scope, body)
        if self._admin.knows(call.path):
            await write(send, self._admin.handle(call))
            return
        ticket = self._core.open(call)
        if ticket.fault is not None:
            line = FaultyConnection(scope["extensions"][TRANSPORT], receive, send, write, self.refuse)
            await inject_fault(self._core, ticket, ticket.fault, line)
            return
        given = self._core.take(ticket)
        self._core.close(ticket, given.status, len(given.body))
        await write(send, given)


async def _whole_body(receive: Receive) -> bytes | None:
    """The body; ``None`` if the caller left before it was whole, and only the start of one that is too large."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if not message.get("more_body") or size > MAX_BODY_BYTES:
            return b"".join(chunks)


def _call(scope: Message, body: bytes) -> SandboxRequest:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    server = scope.get("server") or ("127.0.0.1", 0)
    host = headers.get("host") or f"{server[0]}:{server[1]}"
    path = scope["raw_path"].decode("latin-1")
    return SandboxRequest(
        scope["method"], path, scope["query_string"].decode("latin-1"), headers, body, f"http://{host}"
    )


async def write(send: Send, given: SandboxResponse, *, close: bool = False) -> None:
    """Write an answer."""
    headers = [MARK, (b"content-type", given.content_type.encode()), (b"content-length", str(len(given.body)).encode())]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in given.headers.items()]
    if close:
        headers.append((b"connection", b"close"))
    if given.status in (204, 304):
        headers = [header for header in headers if header[0] != b"content-length"]
    await send({"type": "http.response.start", "status": given.status, "headers": headers})
    await send({"type": "http.response.body", "body": given.body})


class SandboxProtocol(H11Protocol):
    """HTTP/1.1 that lets the application at the connection, and answers nonsense in ARM's format.

    h11 and not the faster httptools: it is always there, and it bounds what it reads.
    """

    def connection_made(self, transport: Any) -> None:
        """A caller has connected."""
        super().connection_made(transport)
        # asyncio does this only for sockets that name their protocol number; without it every answer waits 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app: Any = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[TRANSPORT] = transport
            await app(scope, receive, send)

        self.app = with_transport

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        body = money.encode({"status": "FAILED", "message": msg, "errors": [{"field": "Request", "message": msg}]})
        length = str(len(body)).encode()
        headers = [MARK, (b"content-type", JSON_TYPE.encode()), (b"connection", b"close"), (b"content-length", length)]
        try:
            head = self.conn.send(h11.Response(status_code=400, headers=headers, reason=b"Bad Request"))
            text = self.conn.send(h11.Data(data=body))
            self.transport.write((head or b"") + (text or b""))
        except h11.LocalProtocolError:
            pass  # an answer was under way: the connection is only closed
        self.transport.close()
