"""HTTP server: reads a complete request, passes it to the core, and writes the response or the fault."""

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

#: Name under which the protocol passes the connection to the application.
TRANSPORT = "arm.transport"

#: Header of every response: it does not come from the real ARM.
SANDBOX_HEADER = (b"x-arm-sandbox", b"1")


class SandboxApplication:
    """ASGI application. It is small enough to need no framework, and faults need direct access to the connection."""

    def __init__(self, core: Core, admin: AdminApi) -> None:
        self._core = core
        self._admin = admin
        #: Closes the listener for some seconds; set by the server.
        self.refuse: Callable[[float], None] = lambda _: None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request."""
        body = await _read_body(receive)
        if body is None:
            return
        if len(body) > MAX_BODY_BYTES:
            await write(send, json_response(413, {"status": "FAILED", "message": "The body is too large"}), close=True)
            return
        request = _build_request(scope, body)
        if self._admin.serves(request.path):
            await write(send, self._admin.handle(request))
            return
        pending = self._core.receive(request)
        if pending.fault is not None:
            connection = FaultyConnection(scope["extensions"][TRANSPORT], receive, send, write, self.refuse)
            await inject_fault(self._core, pending, pending.fault, connection)
            return
        response = self._core.process(pending)
        self._core.record_response(pending, response.status, len(response.body))
        await write(send, response)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body: ``None`` if the caller disconnected before the end, only the start of one that is too large."""
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


def _build_request(scope: Message, body: bytes) -> SandboxRequest:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    server = scope.get("server") or ("127.0.0.1", 0)
    host = headers.get("host") or f"{server[0]}:{server[1]}"
    path = scope["raw_path"].decode("latin-1")
    return SandboxRequest(
        scope["method"], path, scope["query_string"].decode("latin-1"), headers, body, f"http://{host}"
    )


async def write(send: Send, response: SandboxResponse, *, close: bool = False) -> None:
    """Write a response."""
    headers = [
        SANDBOX_HEADER,
        (b"content-type", response.content_type.encode()),
        (b"content-length", str(len(response.body)).encode()),
    ]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in response.headers.items()]
    if close:
        headers.append((b"connection", b"close"))
    if response.status in (204, 304):
        headers = [header for header in headers if header[0] != b"content-length"]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


class SandboxProtocol(H11Protocol):
    """HTTP/1.1 that gives the application access to the connection, and reports invalid HTTP in ARM's format.

    It uses h11, not the faster httptools: h11 is always installed, and it limits what it reads.
    """

    def connection_made(self, transport: Any) -> None:
        """Prepare a new connection."""
        super().connection_made(transport)
        # asyncio does this only for sockets with a protocol number; without it every response is delayed by 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app: Any = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[TRANSPORT] = transport
            await app(scope, receive, send)

        self.app = with_transport

    def send_400_response(self, msg: str) -> None:
        """Respond to input that is not HTTP."""
        body = money.encode({"status": "FAILED", "message": msg, "errors": [{"field": "Request", "message": msg}]})
        length = str(len(body)).encode()
        headers = [
            SANDBOX_HEADER,
            (b"content-type", JSON_TYPE.encode()),
            (b"connection", b"close"),
            (b"content-length", length),
        ]
        try:
            head = self.conn.send(h11.Response(status_code=400, headers=headers, reason=b"Bad Request"))
            text = self.conn.send(h11.Data(data=body))
            self.transport.write((head or b"") + (text or b""))
        except h11.LocalProtocolError:
            pass  # a response was being sent: the connection is only closed
        self.transport.close()
