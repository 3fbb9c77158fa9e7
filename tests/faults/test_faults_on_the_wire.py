"""Each fault does on a bare socket what its name says, before and after ARM took the request."""

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
    """Writes one upsert on a bare socket."""

    def __init__(self, box):
        self.box = box
        self.address = ("127.0.0.1", int(box.url.rpartition(":")[2]))
        head = (
            f"POST /arm/v1/clients/2218/customers HTTP/1.1\r\nHost: {self.address[0]}\r\nAuthorization: Bearer "
            f"{_token(box)}\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        self.request = head.encode() + BODY

    def open(self):
        """Connect and write the request."""
        line = socket.create_connection(self.address, timeout=20)
        line.sendall(self.request)
        return line

    def answer(self, *, closes=True):
        """Everything that comes until the connection ends; ``None`` for a reset."""
        with self.open() as line:
            received = b""
            with suppress(ConnectionResetError):
                while chunk := line.recv(65536):
                    received += chunk
                    if not closes and self.whole(received):
                        break
                return received
        return None

    @staticmethod
    def whole(received):
        """Whether *received* is an answer to its last byte."""
        head, found, body = received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return bool(found) and len(body) == int(lengths[0].split(b":")[1])

    def effects(self):
        """How often the request took effect."""
        return self.box.ledger()["customers"].get("9", {"effects": 0})["effects"]


@pytest.fixture
def wire(box):
    """A bare socket to the sandbox."""
    return Wire(box)


def _parts(received):
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


def _until(box, number):
    """Wait until the fault has fired (no sleep: every look is a call)."""
    while len(box.faults()[0]["fired"]) < number:
        pass


AFTER = {"before_accept": 0, "after_accept": 1}


def test_every_kind_is_tested_here():
    """No kind of fault without a test below that names it."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in FAULT_KINDS if f'"do": "{kind}"' not in source] == []


@pytest.mark.parametrize("when", WHEN)
def test_close_ends_the_connection_without_a_byte(box, wire, when):
    """FIN, and nothing before it."""
    box.fault({"do": "close", "when": when})
    assert wire.answer() == b""
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_reset_resets(box, wire, when):
    """RST: the caller's read fails."""
    box.fault({"do": "reset", "when": when})
    assert wire.answer() is None
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_refuse_resets_and_then_refuses(box, wire, when):
    """The listener is closed until the faults are cleared; then the next call goes through."""
    box.fault({"do": "refuse", "when": when, "seconds": 600})
    assert wire.answer() is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(wire.address, timeout=5)
    assert wire.effects() == AFTER[when]
    box.clear_faults()
    assert wire.whole(wire.answer(closes=False))


def test_refuse_ends_by_itself(box, wire):
    """After its seconds of real time the listener is open again."""
    box.fault({"do": "refuse", "seconds": 0.01})
    wire.answer()
    while True:
        with suppress(ConnectionRefusedError):
            assert wire.whole(wire.answer(closes=False))
            break


@pytest.mark.parametrize("when", WHEN)
def test_hang_sends_nothing_and_stays_open(box, wire, when):
    """No byte and no FIN, though the request is in (and taken, if after)."""
    box.fault({"do": "hang", "when": when})
    with wire.open() as line:
        _until(box, 1)
        while wire.effects() < AFTER[when]:
            pass
        line.setblocking(False)
        with pytest.raises(BlockingIOError):
            line.recv(1)
    assert wire.effects() == AFTER[when]


def test_hang_can_end(box, wire):
    """With seconds, the connection is closed without a byte."""
    box.fault({"do": "hang", "seconds": 0.01})
    assert wire.answer() == b""


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(
    ("retry_after", "header"), [(None, None), (7, "7"), ("date", "Thu, 01 Jan 2026 00:00:07 GMT")], ids=str
)
def test_status_answers_with_it(box, wire, when, retry_after, header):
    """The status, ARM's envelope, and Retry-After in seconds, as a date, or not at all."""
    box.set_time(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    wire = Wire(box)  # a token of that time
    box.fault({"do": "status", "when": when, "status": 429, "retry_after": retry_after, "seconds": 7})
    status, headers, body = _parts(wire.answer(closes=False))
    assert (status, headers.get("retry-after")) == (429, header.lower() if header else None)
    assert json.loads(body)["status"] == "FAILED"
    assert header is None or header == "7" or email.utils.parsedate_to_datetime(header)
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_status_can_be_any_server_error(box, wire, status):
    """The default is 503."""
    box.fault({"do": "status", **({} if status == 503 else {"status": status})})
    assert _parts(wire.answer(closes=False))[0] == status


@pytest.mark.parametrize("when", WHEN)
def test_html_comes_in_a_200(box, wire, when):
    """A page, as a proxy would send it."""
    box.fault({"do": "html", "when": when})
    status, headers, body = _parts(wire.answer(closes=False))
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body.startswith(b"<!DOCTYPE html>")
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_empty_comes_in_a_200(box, wire, when):
    """A head with content-length 0."""
    box.fault({"do": "empty", "when": when})
    status, headers, body = _parts(wire.answer(closes=False))
    assert (status, headers["content-length"], body) == (200, "0", b"")
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_half_header_ends_in_the_head(box, wire, when):
    """The status line has come, the end of the head has not."""
    box.fault({"do": "half_header", "when": when})
    received = wire.answer()
    assert received.startswith(b"HTTP/1.1 20")
    assert b"\r\n\r\n" not in received
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_half_body_ends_in_the_body(box, wire, when):
    """The head promises more than comes, and what comes is the start of the real answer."""
    box.fault({"do": "half_body", "when": when})
    status, headers, body = _parts(wire.answer())
    assert status == (201 if when == "after_accept" else 200)
    assert 0 < len(body) < int(headers["content-length"])
    assert body.startswith(b'{"status":')
    assert wire.effects() == AFTER[when]


@pytest.mark.parametrize("when", WHEN)
def test_delay_answers_late(box, wire, when):
    """The whole answer comes, and the effect is one."""
    box.fault({"do": "delay", "when": when, "seconds": 0.01})
    assert _parts(wire.answer(closes=False))[0] == 201
    assert wire.effects() == 1


@pytest.mark.parametrize("when", WHEN)
def test_delay_is_before_or_after_the_effect(box, wire, when):
    """While the caller waits, the request is taken or not, as the rule says."""
    box.fault({"do": "delay", "when": when, "seconds": 600})
    with wire.open() as line:
        _until(box, 1)
        while wire.effects() < AFTER[when]:
            pass
        line.setblocking(False)
        with pytest.raises(BlockingIOError):
            line.recv(1)
        assert wire.effects() == AFTER[when]


def test_late_commit_takes_effect_after_the_caller_has_gone(box, wire):
    """The connection is closed at once; the effect comes when the clock gets there, once."""
    box.fault({"do": "late_commit", "seconds": 60})
    assert wire.answer() == b""
    box.advance(59)
    assert wire.effects() == 0
    box.advance(2)
    assert wire.effects() == 1
    box.advance(600)
    assert wire.effects() == 1


@pytest.mark.parametrize("when", WHEN)
def test_token_refused_withdraws_the_token(box, wire, when):
    """401 now and for this token ever after; a new token works."""
    box.fault({"do": "token_refused", "when": when})
    assert _parts(wire.answer(closes=False))[0] == 401
    assert wire.effects() == AFTER[when]
    assert _parts(wire.answer(closes=False))[0] == 401
    assert _parts(Wire(box).answer(closes=False))[0] in (200, 201)


def test_token_refused_once_is_a_whim(box, wire):
    """The next call with the same token goes through."""
    box.fault({"do": "token_refused", "once": True})
    assert _parts(wire.answer(closes=False))[0] == 401
    assert _parts(wire.answer(closes=False))[0] == 201


def test_faults_go_by_request_number(box, wire):
    """The second and third matching requests, and no other; everything is counted."""
    rule = {"match": {"method": "POST", "path": "*/customers"}, "nth": 2, "times": 2, "do": "status", "status": 500}
    box.fault(rule)
    assert [_parts(wire.answer(closes=False))[0] for _ in range(4)] == [201, 500, 500, 200]
    (counted,) = box.faults()
    assert (counted["seen"], counted["fired"]) == (4, [line["n"] for line in box.requests(fault="status")])
    assert wire.effects() == 2


def test_faults_match_method_and_path(box, wire):
    """By the real path or its template; another request is not touched and not counted."""
    box.fault({"match": {"method": "DELETE"}, "do": "close"})
    box.fault({"match": {"path": "*/aritems"}, "do": "close"})
    box.fault({"match": {"path": "/arm/v1/clients/{clientno}/customers"}, "do": "empty", "times": 0})
    assert [_parts(wire.answer(closes=False))[2] for _ in range(3)] == [b""] * 3
    assert [rule["seen"] for rule in box.faults()] == [0, 0, 3]


def test_a_fault_can_meet_the_token_call(box):
    """The token service fails like everything else."""
    box.fault({"match": {"path": "/identity/token"}, "do": "status", "status": 503})
    assert requests.post(box.auth_url, timeout=5).status_code == 503


def test_the_journal_shows_a_fault_and_no_status_where_none_was_sent(box, wire):
    """What never had an answer has no status in the journal."""
    box.fault({"do": "reset", "when": "after_accept"})
    wire.answer()
    (line,) = box.requests(fault="reset")
    assert (line["status"], line["method"]) == (None, "POST")


def test_a_fault_leaves_other_connections_alone(box, wire):
    """While one caller hangs, another is served."""
    box.fault({"do": "hang"})
    with wire.open():
        _until(box, 1)
        assert _parts(wire.answer(closes=False))[0] == 201
