"""The effect of each fault on a raw socket, before and after ARM has accepted the request."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import socket
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from airflow_provider_arm.sandbox.state.faults import FAULT_KINDS, WHEN

BODY = b'{"metadata":{"userId":"t"},"customer":{"customerNo":"9","name":"x"}}'


def _token(box):
    form = {"grant_type": "client_credentials", "client_id": box.client_id, "client_secret": box.client_secret}
    return requests.post(box.auth_url, data=form, timeout=5).json()["access_token"]


class Wire:
    """Sender of one upsert on a raw socket."""

    def __init__(self, box):
        self.box = box
        self.address = ("127.0.0.1", int(box.url.rpartition(":")[2]))
        head = (
            f"POST /arm/v1/clients/2218/customers HTTP/1.1\r\nHost: {self.address[0]}\r\nAuthorization: Bearer "
            f"{_token(box)}\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        self.request = head.encode() + BODY

    def open(self):
        """Connect and send the request."""
        line = socket.create_connection(self.address, timeout=20)
        line.sendall(self.request)
        return line

    def read(self, *, closes=True):
        """Return all bytes until the connection ends; ``None`` after a reset."""
        with self.open() as line:
            received = b""
            with suppress(ConnectionResetError):
                while chunk := line.recv(65536):
                    received += chunk
                    if not closes and self.is_complete(received):
                        break
                return received
        return None

    @staticmethod
    def is_complete(received):
        """Return whether *received* is a complete response."""
        head, found, body = received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return bool(found) and len(body) == int(lengths[0].split(b":")[1])

    def effects(self):
        """Return how often the request took effect."""
        return self.box.ledger()["customers"].get("9", {"effects": 0})["effects"]


@pytest.fixture
def wire(box):
    """Return a raw socket to the sandbox."""
    return Wire(box)


def _parts(received):
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


def _until(box, number):
    """Wait until the fault has occurred."""
    while len(box.faults()[0]["fired"]) < number:
        pass


AFTER = {"before_accept": 0, "after_accept": 1}


def test_every_kind_has_a_test():
    """Each kind of fault occurs in a test of this module."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in FAULT_KINDS if f'"do": "{kind}"' not in source] == []


@pytest.mark.parametrize("when", WHEN)
def test_close_closes_the_connection_without_a_byte(box, wire, when):
    """The caller receives only FIN."""
    box.fault({"do": "close", "when": when})
    assert wire.read() == b""
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_reset_sends_rst(box, wire, when):
    """The caller's read fails."""
    box.fault({"do": "reset", "when": when})
    assert wire.read() is None
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_refuse_resets_and_then_refuses_connections(box, wire, when):
    """After the faults are cleared the next call succeeds."""
    box.fault({"do": "refuse", "when": when, "seconds": 600})
    assert wire.read() is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(wire.address, timeout=5)
    assert wire.effects() == AFTER[when]
    box.clear_faults()
    assert wire.is_complete(wire.read(closes=False))


def test_refuse_ends_after_its_seconds(box, wire):
    """They are seconds of real time."""
    box.fault({"do": "refuse", "seconds": 0.01})
    wire.read()
    while True:
        with suppress(ConnectionRefusedError):
            assert wire.is_complete(wire.read(closes=False))
            break


@pytest.mark.parametrize("when", WHEN)
def test_hang_sends_nothing_and_keeps_the_connection_open(box, wire, when):
    """With ``after_accept`` the request has taken effect."""
    box.fault({"do": "hang", "when": when})
    with wire.open() as line:
        _until(box, 1)
        while wire.effects() < AFTER[when]:
            pass
        line.setblocking(False)
        with pytest.raises(BlockingIOError):
            line.recv(1)
    assert wire.effects() == AFTER[when]


def test_hang_with_seconds_closes_the_connection(box, wire):
    """No byte is sent."""
    box.fault({"do": "hang", "seconds": 0.01})
    assert wire.read() == b""


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(
    ("retry_after", "header"), [(None, None), (7, "7"), ("date", "Thu, 01 Jan 2026 00:00:07 GMT")], ids=str
)
def test_status_returns_the_status_and_retry_after(box, wire, when, retry_after, header):
    """Retry-After is in seconds, a date, or absent."""
    box.set_time(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    wire = Wire(box)  # a token of that time
    box.fault({"do": "status", "when": when, "status": 429, "retry_after": retry_after, "seconds": 7})
    status, headers, body = _parts(wire.read(closes=False))
    assert (status, headers.get("retry-after")) == (429, header.lower() if header else None)
    assert json.loads(body)["status"] == "FAILED"
    assert header is None or header == "7" or email.utils.parsedate_to_datetime(header)
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_status_can_be_any_server_error(box, wire, status):
    """The default is 503."""
    box.fault({"do": "status", **({} if status == 503 else {"status": status})})
    assert _parts(wire.read(closes=False))[0] == status


@pytest.mark.parametrize("when", WHEN)
def test_html_returns_a_page_with_200(box, wire, when):
    """A proxy may send such a page."""
    box.fault({"do": "html", "when": when})
    status, headers, body = _parts(wire.read(closes=False))
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body.startswith(b"<!DOCTYPE html>")
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_empty_returns_200_without_a_body(box, wire, when):
    """The content-length is 0."""
    box.fault({"do": "empty", "when": when})
    status, headers, body = _parts(wire.read(closes=False))
    assert (status, headers["content-length"], body) == (200, "0", b"")
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_half_header_ends_in_the_header(box, wire, when):
    """The status line is complete, the header is not."""
    box.fault({"do": "half_header", "when": when})
    received = wire.read()
    assert received.startswith(b"HTTP/1.1 20")
    assert b"\r\n\r\n" not in received
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_half_body_ends_in_the_body(box, wire, when):
    """The body is shorter than its content-length."""
    box.fault({"do": "half_body", "when": when})
    status, headers, body = _parts(wire.read())
    assert status == (201 if when == "after_accept" else 200)
    assert 0 < len(body) < int(headers["content-length"])
    assert body.startswith(b'{"status":')
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_delay_returns_the_response_late(box, wire, when):
    """It is complete, and there is one effect."""
    box.fault({"do": "delay", "when": when, "seconds": 0.01})
    assert _parts(wire.read(closes=False))[0] == 201
    assert wire.effects() == 1


@pytest.mark.parametrize("when", WHEN)
def test_delay_is_before_or_after_the_effect(box, wire, when):
    """``when`` decides whether the request has taken effect while the caller waits."""
    box.fault({"do": "delay", "when": when, "seconds": 600})
    with wire.open() as line:
        _until(box, 1)
        while wire.effects() < AFTER[when]:
            pass
        line.setblocking(False)
        with pytest.raises(BlockingIOError):
            line.recv(1)
        assert wire.effects() == AFTER[when]


def test_late_commit_takes_effect_after_the_connection_was_closed(box, wire):
    """The effect occurs once, when the clock is advanced."""
    box.fault({"do": "late_commit", "seconds": 60})
    assert wire.read() == b""
    box.advance(59)
    assert wire.effects() == 0
    box.advance(2)
    assert wire.effects() == 1
    box.advance(600)
    assert wire.effects() == 1


@pytest.mark.parametrize("when", WHEN)
def test_token_refused_revokes_the_token(box, wire, when):
    """All later calls with it return 401; a new token is accepted."""
    box.fault({"do": "token_refused", "when": when})
    assert _parts(wire.read(closes=False))[0] == 401
    assert wire.effects() == AFTER[when]
    assert _parts(wire.read(closes=False))[0] == 401
    assert _parts(Wire(box).read(closes=False))[0] in (200, 201)


def test_token_refused_once_refuses_one_call(box, wire):
    """The next call with the same token succeeds."""
    box.fault({"do": "token_refused", "once": True})
    assert _parts(wire.read(closes=False))[0] == 401
    assert _parts(wire.read(closes=False))[0] == 201


def test_nth_and_times_select_requests_by_number(box, wire):
    """Only the second and third matching requests fail."""
    rule = {"match": {"method": "POST", "path": "*/customers"}, "nth": 2, "times": 2, "do": "status", "status": 500}
    box.fault(rule)
    assert [_parts(wire.read(closes=False))[0] for _ in range(4)] == [201, 500, 500, 200]
    (counted,) = box.faults()
    assert (counted["seen"], counted["fired"]) == (4, [line["n"] for line in box.requests(fault="status")])
    assert wire.effects() == 2


def test_faults_match_method_and_path(box, wire):
    """The path or its template matches; other requests are not counted."""
    box.fault({"match": {"method": "DELETE"}, "do": "close"})
    box.fault({"match": {"path": "*/aritems"}, "do": "close"})
    box.fault({"match": {"path": "/arm/v1/clients/{clientno}/customers"}, "do": "empty", "times": 0})
    assert [_parts(wire.read(closes=False))[2] for _ in range(3)] == [b""] * 3
    assert [rule["seen"] for rule in box.faults()] == [0, 0, 3]


def test_token_call_can_fail(box):
    """A fault can match it like any other request."""
    box.fault({"match": {"path": "/identity/token"}, "do": "status", "status": 503})
    assert requests.post(box.auth_url, timeout=5).status_code == 503


def test_request_log_has_the_fault_and_no_status_when_none_was_sent(box, wire):
    """It is null for a request without a response."""
    box.fault({"do": "reset", "when": "after_accept"})
    wire.read()
    (line,) = box.requests(fault="reset")
    assert (line["status"], line["method"]) == (None, "POST")


def test_fault_does_not_affect_other_connections(box, wire):
    """Another caller is served while one waits."""
    box.fault({"do": "hang"})
    with wire.open():
        _until(box, 1)
        assert _parts(wire.read(closes=False))[0] == 201
