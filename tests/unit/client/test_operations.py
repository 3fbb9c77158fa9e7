from __future__ import annotations

import re
from collections import Counter

import pytest

from airflow_provider_arm.client.endpoints import Endpoints, ad_hoc_operation
from airflow_provider_arm.client.errors import (
    ArmError,
    ArmInvalidResponseError,
    ArmRateLimitError,
    ArmUnavailableError,
    ArmUnknownOutcomeError,
    Phase,
)
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.operations import OPERATIONS, Operation, Replay
from tests.unit.client.drivers import LONG_TIMEOUT, SHORT_TIMEOUT
from tests.unit.client.scripted_server import (
    EMPTY,
    HTML,
    PARTIAL_BODY,
    PARTIAL_HEADER,
    CloseConnection,
    HttpReply,
    NeverReply,
    RawReply,
    Reply,
    ResetConnection,
    unused_port,
)

#: Section 3 and 5 of the API's facts, written out once more: a row that changes here was changed on purpose.
FACTS = {
    "get_customer": ("GET", "/clients/{clientno}/customers/{customerno}", "safe"),
    "list_customers": ("GET", "/clients/{clientno}/customers", "safe"),
    "upsert_customer": ("POST", "/clients/{clientno}/customers", "safe"),
    "update_customer": ("PUT", "/clients/{clientno}/customers", "safe"),
    "delete_customer": ("DELETE", "/clients/{clientno}/customers/{customerno}", "safe"),
    "create_customer_batch": ("POST", "/clients/{clientno}/customers/batches", "safe"),
    "update_customer_batch": ("PUT", "/clients/{clientno}/customers/batches", "safe"),
    "get_batch": ("GET", "/clients/{clientno}/batches/{batchuuid}", "safe"),
    "get_ar_item": ("GET", "/clients/{clientno}/aritems/{aritemid}", "safe"),
    "list_ar_items": ("GET", "/clients/{clientno}/aritems", "safe"),
    "update_ar_item": ("PUT", "/clients/{clientno}/aritems", "never"),
    "create_document_batch": ("POST", "/clients/{clientno}/documents/batches", "by key"),
    "create_document": ("POST", "/clients/{clientno}/documents", "by key"),
    "get_document": ("GET", "/clients/{clientno}/documents/{documentno}", "safe"),
    "list_documents": ("GET", "/clients/{clientno}/documents", "safe"),
    "create_auto_postings": ("POST", "/clients/{clientno}/autopostings/{autopostingmethod}", "never"),
    "create_payment_reservation": ("POST", "/clients/{clientno}/paymentreservations", "by key"),
    "upload_files": ("POST", "/clients/{clientno}/files", "never"),
    "list_gl_items": ("GET", "/clients/{clientno}/glitems", "safe"),
    "get_gl_item": ("GET", "/clients/{clientno}/glitems/{glitemid}", "safe"),
}
ROWS = [pytest.param(operation, id=name) for name, operation in OPERATIONS.items()]
SAFE_ROWS = [pytest.param(row, id=name) for name, row in OPERATIONS.items() if row.replay is Replay.SAFE]
CAREFUL_ROWS = [pytest.param(row, id=name) for name, row in OPERATIONS.items() if row.replay is not Replay.SAFE]

#: What a server can do to a request so that nobody knows whether it took effect.
LOSSES = {
    "hang": NeverReply(),
    "reset before reading": ResetConnection(reads_request=False),
    "reset after reading": ResetConnection(),
    "close before reading": CloseConnection(reads_request=False),
    "close after reading": CloseConnection(),
    "half a status line": RawReply(b"HTTP/1.1 2"),
    "half a header": PARTIAL_HEADER,
    "half a body": PARTIAL_BODY,
    "half a chunk": RawReply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"),
    "no HTTP at all": RawReply(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "broken gzip": HttpReply(b"\x1f\x8bnonsense", headers={"Content-Encoding": "gzip"}),
    "HTML in a 200": HTML,
    "an empty 200": EMPTY,
    "408": HttpReply(b"", 408),
    "425": HttpReply(b"", 425),
    "500": HttpReply({"message": "x"}, 500),
    "502": HttpReply("<html>bad gateway</html>", 502),
    "503": HttpReply(b"", 503, {"Retry-After": "1"}),
    "504": HttpReply("gateway timeout", 504, {"Content-Type": "text/plain"}),
}


def request_for(operation: Operation, base_url: str):
    """Build a request of any row of the table."""
    endpoints = Endpoints(BaseUrl.parse(base_url), 2218, "TestUser")
    path = dict.fromkeys(set(re.findall(r"\{(\w+)\}", operation.path)) - {"clientno"}, "88776655")
    if operation.method in ("GET", "DELETE"):
        return endpoints.read_request(operation, path)
    return endpoints.write_request(operation, {"customerNo": "543210"}, path)


def transport_for(loss: Reply):
    """Wait for ever for a server that does something, and not for one that hangs."""
    return SHORT_TIMEOUT if isinstance(loss, NeverReply) else LONG_TIMEOUT


def test_the_table_says_what_the_facts_say() -> None:
    """Every operation's method, path and replay class stand as the API's facts have them."""
    table = {name: (row.method, row.path, row.replay.value) for name, row in OPERATIONS.items()}
    assert table == FACTS


def test_names_and_calls_are_unique() -> None:
    """A name means one row, and a method with a path has one replay class."""
    assert all(name == row.name for name, row in OPERATIONS.items())
    assert set(Counter(row.label for row in OPERATIONS.values()).values()) == {1}


def test_a_write_has_a_key_for_its_record() -> None:
    """No body is written under a made-up key."""
    assert all(row.key for row in OPERATIONS.values() if row.method in ("POST", "PUT"))


@pytest.mark.parametrize("method", ["POST", "put", "PATCH", "DELETE"])
def test_a_free_call_is_never_repeated_unless_it_is_said_to_be_safe(method: str) -> None:
    """What the table does not know is safe only as a GET, or where the caller says so."""
    assert ad_hoc_operation(method, "/codes", None).replay is Replay.NEVER
    assert ad_hoc_operation(method, "/codes", Replay.SAFE).replay is Replay.SAFE
    assert ad_hoc_operation("get", "/codes", None).replay is Replay.SAFE
    assert ad_hoc_operation("get", "/codes", Replay.NEVER).replay is Replay.NEVER


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("operation", CAREFUL_ROWS)
def test_a_write_that_might_book_twice_is_sent_once(operation: Operation, loss, start_server, make_driver) -> None:
    """Whatever became of the answer, the server sees one request and the caller is told that nobody knows."""
    server = start_server([loss])
    with pytest.raises(ArmUnknownOutcomeError) as caught:
        make_driver(server.url, transport=transport_for(loss)).send(request_for(operation, server.url))
    assert server.attempts == 1
    assert caught.value.phase in (Phase.MAYBE_SENT, Phase.ANSWERED)
    assert caught.value.operation == operation.label
    assert caught.value.permanent


#: Every loss for a GET, a PUT and a POST that are safe, and two losses for every other safe row.
SAFE_LOSSES = [
    pytest.param(row, loss, id=f"{row.name}-{name}")
    for row in OPERATIONS.values()
    for name, loss in LOSSES.items()
    if row.replay is Replay.SAFE
    and (
        row.name in ("get_batch", "update_customer", "create_customer_batch") or name in ("close after reading", "503")
    )
]


@pytest.mark.parametrize(("operation", "loss"), SAFE_LOSSES)
def test_a_safe_call_is_tried_five_times(operation: Operation, loss, start_server, make_driver) -> None:
    """A call that can do no harm is tried again, five times in all, and then fails as something that passes."""
    server = start_server([loss])
    with pytest.raises((ArmUnavailableError, ArmInvalidResponseError)) as caught:
        make_driver(server.url, transport=transport_for(loss)).send(request_for(operation, server.url))
    assert server.attempts == 5
    assert not caught.value.permanent


@pytest.mark.parametrize("operation", ROWS)
def test_every_call_waits_where_it_is_throttled(operation: Operation, start_server, make_driver, clock) -> None:
    """429 says that nothing happened: every row is tried again, after the wait that was asked for."""
    server = start_server([HttpReply(b"", 429, {"Retry-After": "7"}), HttpReply(b"", 429), HttpReply({"ok": 1})])
    assert make_driver(server.url).send(request_for(operation, server.url)) == {"ok": 1}
    assert (server.attempts, clock.waits) == (3, [7.0, 0.0])


@pytest.mark.parametrize("operation", ROWS)
def test_throttling_without_end_is_an_error(operation: Operation, start_server, make_driver) -> None:
    """After five attempts the caller is told to come back later."""
    server = start_server([HttpReply(b"", 429)])
    with pytest.raises(ArmRateLimitError) as caught:
        make_driver(server.url).send(request_for(operation, server.url))
    assert (server.attempts, caught.value.permanent, caught.value.status_code) == (5, False, 429)


@pytest.mark.parametrize("operation", ROWS)
def test_every_call_is_tried_again_that_was_certainly_not_sent(operation: Operation, make_driver, clock) -> None:
    """A refused connection carries nothing: every row is tried five times, and the error says that nothing was sent."""
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(ArmUnavailableError) as caught:
        make_driver(url).send(request_for(operation, url))
    assert caught.value.phase is Phase.NOT_SENT
    assert len(clock.waits) == 4


@pytest.mark.parametrize("operation", ROWS)
def test_a_server_error_that_does_not_pass_is_not_asked_again(operation: Operation, start_server, make_driver) -> None:
    """Only the codes that say "not now" are worth another try."""
    statuses = [501, 505, 507, 599]
    server = start_server([HttpReply(b"", status) for status in statuses])
    driver = make_driver(server.url)
    expected = ArmUnavailableError if operation.replay is Replay.SAFE else ArmUnknownOutcomeError
    for number, status in enumerate(statuses, 1):
        with pytest.raises(expected) as caught:
            driver.send(request_for(operation, server.url))
        assert (server.attempts, caught.value.status_code) == (number, status)


@pytest.mark.parametrize("operation", ROWS)
def test_a_refusal_is_never_asked_again(operation: Operation, start_server, make_driver) -> None:
    """A 4xx means that nothing happened and that a person has to change something."""
    statuses = [400, 401, 402, 403, 404, 405, 409, 410, 415, 422, 423, 451]
    server = start_server([HttpReply({"status": "FAILED", "message": "no"}, status) for status in statuses])
    driver = make_driver(server.url)
    for number, status in enumerate(statuses, 1):
        with pytest.raises(ArmError) as caught:
            driver.send(request_for(operation, server.url))
        assert (server.attempts, caught.value.permanent) == (number, True)
        assert not isinstance(caught.value, ArmUnknownOutcomeError)
        assert caught.value.status_code == status


@pytest.mark.parametrize("operation", SAFE_ROWS)
def test_a_safe_call_comes_through_a_bad_minute(operation: Operation, start_server, make_driver) -> None:
    """Four different losses in a row, and the fifth attempt brings the answer."""
    server = start_server([ResetConnection(), PARTIAL_BODY, HttpReply(b"", 503), HTML, HttpReply({"ok": 1})])
    assert make_driver(server.url).send(request_for(operation, server.url)) == {"ok": 1}
    assert server.attempts == 5
