"""A small HTTP server on raw sockets that sends scripted replies or faults, and records the requests."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import ssl

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class RecordedRequest:
    """One request, as the server received it."""

    raw: bytes

    @cached_property
    def head(self) -> list[str]:
        """Request line and header lines."""
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    @property
    def method(self) -> str:
        """HTTP method."""
        return self.head[0].split(" ")[0]

    @property
    def target(self) -> str:
        """Path and query, as sent."""
        return self.head[0].split(" ")[1]

    @property
    def path(self) -> str:
        """Path, as sent (quoted)."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        """Query parameters, decoded."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @cached_property
    def headers(self) -> dict[str, str]:
        """Headers; names in lower case."""
        pairs = (line.partition(":") for line in self.head[1:])
        return {name.lower(): value.strip() for name, _, value in pairs}

    @property
    def body(self) -> bytes:
        """Bytes after the headers."""
        return self.raw.partition(b"\r\n\r\n")[2]


class Reply:
    """Base class of what the server does with one connection."""

    #: Whether the request is read first.
    reads_request = True
    #: Whether the connection may carry another request afterwards.
    keep_alive = False

    def reply_on(self, connection: socket.socket) -> None:
        """Reply on the connection, which is closed afterwards."""


@dataclass(frozen=True)
class HttpReply(Reply):
    """A complete HTTP response. ``body`` is bytes, text, or a value to encode as JSON."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    keep_alive: bool = False

    def reply_on(self, connection: socket.socket) -> None:
        """Send status, headers and body."""
        data = self.body if isinstance(self.body, bytes) else None
        if data is None:
            data = (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            "Connection": "keep-alive" if self.keep_alive else "close",
            **self.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"HTTP/1.1 {self.status} Scripted\r\n{lines}\r\n".encode("latin-1") + data)


@dataclass(frozen=True)
class RawReply(Reply):
    """Exactly these bytes, such as half a header or half a body; then the connection is closed."""

    data: bytes
    reads_request: bool = True

    def reply_on(self, connection: socket.socket) -> None:
        """Send the bytes."""
        connection.sendall(self.data)


@dataclass(frozen=True)
class CloseConnection(Reply):
    """Close the connection without a reply, after or before reading the request."""

    reads_request: bool = True


@dataclass(frozen=True)
class ResetConnection(Reply):
    """Reset the connection (RST), after or before reading the request."""

    reads_request: bool = True

    def reply_on(self, connection: socket.socket) -> None:
        """Make the close that follows send a reset."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


@dataclass(frozen=True)
class NeverReply(Reply):
    """Read the request and send nothing until the client disconnects."""

    def reply_on(self, connection: socket.socket) -> None:
        """Wait until the client disconnects."""
        while connection.recv(65536):
            pass


HTML = HttpReply("<html><body>Down for maintenance</body></html>", headers={"Content-Type": "text/html"})
EMPTY = HttpReply(b"")
PARTIAL_HEADER = RawReply(b"HTTP/1.1 200 OK\r\nContent-Ty")
PARTIAL_BODY = RawReply(
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"batchUuid": "9f'
)

Script = Sequence[Reply] | Callable[[RecordedRequest], Reply]


class ScriptedServer:
    """Server on a free loopback port, until it is closed.

    :param script: replies in the order of the connections, the last one also for all later ones; or a function that
        returns the reply to a request.
    :param tls: TLS context; the server then speaks https.
    """

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        #: All requests that were read, in order.
        self.requests: list[RecordedRequest] = []
        #: Number of connections, also of those from which nothing was read.
        self.connections = 0
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """URL of the server, without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def attempts(self) -> int:
        """Number of attempts; connections that were closed before reading count, too."""
        with self._lock:
            return max(len(self.requests), self.connections)

    def close(self) -> None:
        """Stop the server and close all open connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            open_connections = list(self._open)
        for connection in open_connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            with contextlib.suppress(OSError):
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                while self._serve_one(connection, number):
                    pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _serve_one(self, connection: socket.socket, number: int) -> bool:
        reply = None if callable(self.script) else self.script[min(number, len(self.script)) - 1]
        if reply is not None and not reply.reads_request:
            # The client has written by now, so it cannot interpret the close as a refused connection.
            connection.recv(1, socket.MSG_PEEK)
        else:
            request = _read(connection)
            if request is None:
                return False
            with self._lock:
                self.requests.append(request)
            if callable(self.script):
                reply = self.script(request)
        assert reply is not None
        reply.reply_on(connection)
        return reply.keep_alive


def _read(connection: socket.socket) -> RecordedRequest | None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        raw += chunk
    length = int(RecordedRequest(raw).headers.get("content-length", "0"))
    while len(RecordedRequest(raw).body) < length:
        raw += connection.recv(65536)
    return RecordedRequest(raw)


def unused_port() -> int:
    """Return a loopback port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
