"""Fault injection on the connection of a request."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email.utils
import http
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.core import Core, PendingRequest
from airflow_provider_arm.sandbox.messages import SandboxResponse
from airflow_provider_arm.sandbox.state.faults import FaultRule

#: Error page as a proxy in front of ARM sends it.
_HTML = b"<!DOCTYPE html>\n<html><head><title>Service</title></head><body><h1>We will be back soon</h1></body></html>\n"

#: Start of the response to a request that never reached ARM.
_UNPROCESSED_RESPONSE = b'{"status":"FAILED","message":"The connection was lost before this request was taken"}'


@dataclass(frozen=True, slots=True)
class FaultyConnection:
    """Connection of one request, with the ways to break it."""

    transport: asyncio.Transport
    receive: Callable[[], Awaitable[Any]]
    send: Callable[[Any], Awaitable[None]]
    write: Callable[..., Awaitable[None]]
    refuse: Callable[[float], None]

    async def close(self) -> None:
        """Flush what is written, then close the connection (FIN)."""
        self.transport.close()
        await self.wait_closed()

    async def reset(self) -> None:
        """Reset the connection (RST)."""
        sock = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            # SO_LINGER with 0 seconds: the kernel drops unsent bytes and sends RST.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


async def inject_fault(core: Core, pending: PendingRequest, fault: FaultRule, connection: FaultyConnection) -> None:
    """Apply *fault* to a request, before or after it takes effect."""
    if fault.do == "delay":
        await _delay(core, pending, fault, connection)
        return
    response = core.process(pending) if fault.when == "after_accept" and fault.do != "late_commit" else None
    if fault.do == "late_commit":
        core.process_later(pending, fault.seconds)
    if fault.do == "token_refused" and not fault.once:
        core.revoke_token(pending)
    replacement = _replacement_response(fault, core.clock.now())
    if replacement is not None:
        core.record_response(pending, replacement.status, len(replacement.body))
        await connection.write(connection.send, replacement)
        return
    await _break_connection(fault, connection, response or SandboxResponse(200, _UNPROCESSED_RESPONSE))


async def _delay(core: Core, pending: PendingRequest, fault: FaultRule, connection: FaultyConnection) -> None:
    if fault.when == "before_accept":
        await asyncio.sleep(fault.seconds)
        response = core.process(pending)
    else:
        response = core.process(pending)
        await asyncio.sleep(fault.seconds)
    core.record_response(pending, response.status, len(response.body))
    await connection.write(connection.send, response)


def _replacement_response(fault: FaultRule, now: dt.datetime) -> SandboxResponse | None:
    """Return the response that replaces ARM's; ``None`` for a fault that is not a response."""
    if fault.do == "html":
        return SandboxResponse(fault.status, _HTML, "text/html; charset=utf-8")
    if fault.do == "empty":
        return SandboxResponse(fault.status, b"")
    if fault.do not in ("status", "token_refused"):
        return None
    headers = {}
    if fault.retry_after == "date":
        moment = (now + dt.timedelta(seconds=fault.seconds)).astimezone(dt.UTC)
        headers["retry-after"] = email.utils.format_datetime(moment, usegmt=True)
    elif fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    default = "Unauthorized: the token is refused" if fault.do == "token_refused" else "Injected fault"
    message = fault.message or default
    return SandboxResponse(fault.status, money.encode({"status": "FAILED", "message": message}), headers=headers)


async def _break_connection(fault: FaultRule, connection: FaultyConnection, response: SandboxResponse) -> None:
    """Apply a fault that breaks the connection. The request log shows such requests without a status."""
    phrase = http.HTTPStatus(response.status).phrase
    head = (
        f"HTTP/1.1 {response.status} {phrase}\r\nx-arm-sandbox: 1\r\ncontent-type: {response.content_type}\r\n"
        f"content-length: {len(response.body)}\r\n\r\n"
    ).encode()
    if fault.do == "refuse":
        connection.refuse(fault.seconds)
        await connection.reset()
    elif fault.do == "reset":
        await connection.reset()
    elif fault.do == "hang":
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(connection.wait_closed(), fault.seconds)
        await connection.close()
    elif fault.do == "half_header":
        connection.transport.write(head[: len(head) // 2])
        await connection.close()
    elif fault.do == "half_body":
        connection.transport.write(head + response.body[: len(response.body) // 2])
        await connection.close()
    else:  # close and late_commit
        await connection.close()
