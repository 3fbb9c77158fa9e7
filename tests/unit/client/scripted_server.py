"""A tiny HTTP server on raw sockets that answers as it is told, or misbehaves as it is told, and keeps what came."""

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
class Seen:
    """One request as it stood on the wire."""

    raw: bytes

    @cached_property
    def head(self) -> list[str]:
        """The request line and the header lines."""
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    @property
    def method(self) -> str:
        """The verb."""
        return self.head[0].split(" ")[0]

    @property
    def target(self) -> str:
        """Path and query, as sent."""
        return self.head[0].split(" ")[1]

    @property
    def path(self) -> str:
        """The path, as sent (quoted)."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The query parameters, decoded."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers, names in lower case."""
        pairs = (line.partition(":") for line in self.head[1:])
        return {name.lower(): value.strip() for name, _, value in pairs}

    @property
    def body(self) -> bytes:
        """What follows the headers."""
        return self.raw.partition(b"\r\n\r\n")[2]


class Reply:
    """What the server does with one connection."""

    #: Whether the request is read first.
    reads = True
    #: Whether the connection may carry another request afterwards.
    keeps = False

    def act(self, connection: socket.socket) -> None:
        """Do it; the connection is closed afterwards."""


@dataclass(frozen=True)
class Say(Reply):
    """Answer properly. ``body`` is bytes, text, or anything that becomes JSON."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    keeps: bool = False

    def act(self, connection: socket.socket) -> None:
        """Send status, headers and body."""
        data = self.body if isinstance(self.body, bytes) else None
        if data is None:
            data = (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            "Connection": "keep-alive" if self.keeps else "close",
            **self.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"HTTP/1.1 {self.status} Scripted\r\n{lines}\r\n".encode("latin-1") + data)


@dataclass(frozen=True)
class Raw(Reply):
    """Send exactly these bytes and close: half a header, half a body."""

    data: bytes
    reads: bool = True

    def act(self, connection: socket.socket) -> None:
        """Send them."""
        connection.sendall(self.data)


@dataclass(frozen=True)
class Close(Reply):
    """Close the connection without a word, after or before reading the request."""

    reads: bool = True


@dataclass(frozen=True)
class Reset(Reply):
    """Reset the connection (RST), after or before reading the request."""

    reads: bool = True

    def act(self, connection: socket.socket) -> None:
        """Let the close that follows send a reset."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


@dataclass(frozen=True)
class Hang(Reply):
    """Read the request and say nothing until the client goes away."""

    def act(self, connection: socket.socket) -> None:
        """Wait for the other side to close."""
        while connection.recv(65536):
            pass


HTML = Say("<html><body>Down for maintenance</body></html>", headers={"Content-Type": "text/html"})
EMPTY = Say(b"")
HALF_HEADER = Raw(b"HTTP/1.1 200 OK\r\nContent-Ty")
HALF_BODY = Raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"batchUuid": "9f')

Script = Sequence[Reply] | Callable[[Seen], Reply]


class ScriptedServer:
    """Serves on a free loopback port until closed.

    :param script: replies in the order of the connections, the last one for all that follow; or a function of the
        request.
    :param tls: serve https with it.
    """

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        #: Every request that was read, in order.
        self.requests: list[Seen] = []
        #: How many connections came, also those of which nothing was read.
        self.connections = 0
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The server's address, without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def tries(self) -> int:
        """How often somebody tried: connections that were cut before reading count too."""
        with self._lock:
            return max(len(self.requests), self.connections)

    def close(self) -> None:
        """Stop, and cut what is still open."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
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
        if reply is not None and not reply.reads:
            # The client has written by then: it can no longer take the end for a refused connection.
            connection.recv(1, socket.MSG_PEEK)
        else:
            seen = _read(connection)
            if seen is None:
                return False
            with self._lock:
                self.requests.append(seen)
            if callable(self.script):
                reply = self.script(seen)
        assert reply is not None
        reply.act(connection)
        return reply.keeps


def _read(connection: socket.socket) -> Seen | None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        raw += chunk
    length = int(Seen(raw).headers.get("content-length", "0"))
    while len(Seen(raw).body) < length:
        raw += connection.recv(65536)
    return Seen(raw)


def unused_port() -> int:
    """Find a loopback port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
