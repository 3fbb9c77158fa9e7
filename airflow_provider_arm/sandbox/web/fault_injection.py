"""Does on the wire what a fault's name says."""

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

#: A page of a proxy in front of ARM, as a caller meets it.
_HTML = b"<!DOCTYPE html>\n<html><head><title>Service</title></head><body><h1>We will be back soon</h1></body></html>\n"

#: What ARM would have begun to say where it never took the request.
_SOME_ANSWER = b'{"status":"FAILED","message":"The connection was lost before this request was taken"}'


@dataclass(frozen=True, slots=True)
class FaultyConnection:
    """The connection of one request."""

    transport: asyncio.Transport
    receive: Callable[[], Awaitable[Any]]
    send: Callable[[Any], Awaitable[None]]
    write: Callable[..., Awaitable[None]]
    refuse: Callable[[float], None]

    async def close(self) -> None:
        """Send what is written, then end the connection (FIN)."""
        self.transport.close()
        await self.gone()

    async def reset(self) -> None:
        """End the connection with RST."""
        sock = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            # Linger on, for zero seconds: the kernel drops what is unsent and resets.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        await self.gone()

    async def gone(self) -> None:
        """Wait until the connection has ended."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


async def inject_fault(core: Core, ticket: PendingRequest, fault: FaultRule, line: FaultyConnection) -> None:
    """Answer a request as *fault* says, before or after ARM takes it."""
    if fault.do == "delay":
        await _delay(core, ticket, fault, line)
        return
    given = core.take(ticket) if fault.when == "after_accept" and fault.do != "late_commit" else None
    if fault.do == "late_commit":
        core.take_late(ticket, fault.seconds)
    if fault.do == "token_refused" and not fault.once:
        core.withdraw_token(ticket)
    made_up = _made_up(fault, core.clock.now())
    if made_up is not None:
        core.close(ticket, made_up.status, len(made_up.body))
        await line.write(line.send, made_up)
        return
    await _on_the_wire(fault, line, given or SandboxResponse(200, _SOME_ANSWER))


async def _delay(core: Core, ticket: PendingRequest, fault: FaultRule, line: FaultyConnection) -> None:
    if fault.when == "before_accept":
        await asyncio.sleep(fault.seconds)
        given = core.take(ticket)
    else:
        given = core.take(ticket)
        await asyncio.sleep(fault.seconds)
    core.close(ticket, given.status, len(given.body))
    await line.write(line.send, given)


def _made_up(fault: FaultRule, now: dt.datetime) -> SandboxResponse | None:
    """The answer that stands in for ARM's, where the fault is one."""
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


async def _on_the_wire(fault: FaultRule, line: FaultyConnection, given: SandboxResponse) -> None:
    """The faults that are no answer at all. The journal shows them without a status."""
    phrase = http.HTTPStatus(given.status).phrase
    head = (
        f"HTTP/1.1 {given.status} {phrase}\r\nx-arm-sandbox: 1\r\ncontent-type: {given.content_type}\r\n"
        f"content-length: {len(given.body)}\r\n\r\n"
    ).encode()
    if fault.do == "refuse":
        line.refuse(fault.seconds)
        await line.reset()
    elif fault.do == "reset":
        await line.reset()
    elif fault.do == "hang":
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(line.gone(), fault.seconds)
        await line.close()
    elif fault.do == "half_header":
        line.transport.write(head[: len(head) // 2])
        await line.close()
    elif fault.do == "half_body":
        line.transport.write(head + given.body[: len(given.body) // 2])
        await line.close()
    else:  # close and late_commit
        await line.close()
