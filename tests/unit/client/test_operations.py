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

#: Sections 3 and 5 of the API's facts, repeated here, so that a row of the table changes only deliberately.
DOCUMENTED = {
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
    "list_log_items": ("GET", "/clients/{clientno}/logitems", "safe"),
    "list_document_bundles": ("GET", "/clients/{clientno}/documentbundles", "safe"),
    "list_client_configs": ("GET", "/clients/{clientno}/clientconfigs", "safe"),
    "list_codes": ("GET", "/clients/{clientno}/codes", "safe"),
    "list_gl_movements": ("GET", "/clients/{clientno}/glmovements", "safe"),
    "list_adb_intervals": ("GET", "/clients/{clientno}/insights/adbintervals", "safe"),
    "list_files": ("GET", "/clients/{clientno}/files", "safe"),
    "check_health": ("GET", "/health", "safe"),
    "get_log_item": ("GET", "/clients/{clientno}/logitems/{logitemid}", "safe"),
    "get_document_bundle": ("GET", "/clients/{clientno}/documentbundles/{documentbundleid}", "safe"),
    "get_client_config": ("GET", "/clients/{clientno}/clientconfigs/{configkey}", "safe"),
    "get_gl_balance": ("GET", "/clients/{clientno}/glmovements/latest", "safe"),
    "get_file": ("GET", "/clients/{clientno}/files/{fileid}", "safe"),
    "create_action": ("POST", "/clients/{clientno}/actions", "never"),
    "create_report": ("POST", "/clients/{clientno}/actions/reports", "never"),
    "get_gl_item": ("GET", "/clients/{clientno}/glitems/{glitemid}", "safe"),
}
ROWS = [pytest.param(operation, id=name) for name, operation in OPERATIONS.items()]
SAFE_ROWS = [pytest.param(row, id=name) for name, row in OPERATIONS.items() if row.replay is Replay.SAFE]
UNSAFE_ROWS = [pytest.param(row, id=name) for name, row in OPERATIONS.items() if row.replay is not Replay.SAFE]

#: Faults of a server after which it is not known whether the request took effect.
FAULTS = {
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
    """Build a request of any operation."""
    endpoints = Endpoints(BaseUrl.parse(base_url), 2218, "TestUser")
    path = dict.fromkeys(set(re.findall(r"\{(\w+)\}", operation.path)) - {"clientno"}, "88776655")
    if operation.method in ("GET", "DELETE"):
        return endpoints.read_request(operation, path)
    return endpoints.write_request(operation, {"customerNo": "543210"}, path)


def transport_for(fault: Reply):
    """Return a short timeout for a server that never replies, and a long one for any other."""
    return SHORT_TIMEOUT if isinstance(fault, NeverReply) else LONG_TIMEOUT


def test_operations_table_matches_the_documented_facts() -> None:
    """Method, path and replay class of every operation are those of the API's facts."""
    table = {name: (row.method, row.path, row.replay.value) for name, row in OPERATIONS.items()}
    assert table == DOCUMENTED


def test_operation_names_and_labels_are_unique() -> None:
    """A name means one row, and a method with a path has one replay class."""
    assert all(name == row.name for name, row in OPERATIONS.items())
    assert set(Counter(row.label for row in OPERATIONS.values()).values()) == {1}


def test_every_write_has_a_key_for_its_record() -> None:
    """No body has an invented key."""
    assert all(row.key for row in OPERATIONS.values() if row.method in ("POST", "PUT"))


@pytest.mark.parametrize("method", ["POST", "put", "PATCH", "DELETE"])
def test_ad_hoc_call_is_never_safe_unless_it_is_a_get_or_declared_safe(method: str) -> None:
    """The operations table does not contain it."""
    assert ad_hoc_operation(method, "/codes", None).replay is Replay.NEVER
    assert ad_hoc_operation(method, "/codes", Replay.SAFE).replay is Replay.SAFE
    assert ad_hoc_operation("get", "/codes", None).replay is Replay.SAFE
    assert ad_hoc_operation("get", "/codes", Replay.NEVER).replay is Replay.NEVER


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("operation", UNSAFE_ROWS)
def test_unsafe_write_is_sent_once(operation: Operation, fault, start_server, make_driver) -> None:
    """Whatever happens to the response, the server gets one request and the outcome is unknown."""
    server = start_server([fault])
    with pytest.raises(ArmUnknownOutcomeError) as caught:
        make_driver(server.url, transport=transport_for(fault)).send(request_for(operation, server.url))
    assert server.attempts == 1
    assert caught.value.phase in (Phase.MAYBE_SENT, Phase.ANSWERED)
    assert caught.value.operation == operation.label
    assert caught.value.permanent


#: All faults for a GET, a PUT and a POST that are safe, and two faults for every other safe operation.
SAFE_FAULTS = [
    pytest.param(row, fault, id=f"{row.name}-{name}")
    for row in OPERATIONS.values()
    for name, fault in FAULTS.items()
    if row.replay is Replay.SAFE
    and (
        row.name in ("get_batch", "update_customer", "create_customer_batch") or name in ("close after reading", "503")
    )
]


@pytest.mark.parametrize(("operation", "fault"), SAFE_FAULTS)
def test_safe_call_is_attempted_five_times(operation: Operation, fault, start_server, make_driver) -> None:
    """Then it fails with an error that is not permanent."""
    server = start_server([fault])
    with pytest.raises((ArmUnavailableError, ArmInvalidResponseError)) as caught:
        make_driver(server.url, transport=transport_for(fault)).send(request_for(operation, server.url))
    assert server.attempts == 5
    assert not caught.value.permanent


@pytest.mark.parametrize("operation", ROWS)
def test_every_operation_is_retried_after_429(operation: Operation, start_server, make_driver, clock) -> None:
    """429 means that the call had no effect: it is retried after the requested wait."""
    server = start_server([HttpReply(b"", 429, {"Retry-After": "7"}), HttpReply(b"", 429), HttpReply({"ok": 1})])
    assert make_driver(server.url).send(request_for(operation, server.url)) == {"ok": 1}
    assert (server.attempts, clock.waits) == (3, [7.0, 0.0])


@pytest.mark.parametrize("operation", ROWS)
def test_429_for_every_attempt_raises(operation: Operation, start_server, make_driver) -> None:
    """After five attempts, the error is not permanent."""
    server = start_server([HttpReply(b"", 429)])
    with pytest.raises(ArmRateLimitError) as caught:
        make_driver(server.url).send(request_for(operation, server.url))
    assert (server.attempts, caught.value.permanent, caught.value.status_code) == (5, False, 429)


@pytest.mark.parametrize("operation", ROWS)
def test_every_operation_is_retried_if_certainly_not_sent(operation: Operation, make_driver, clock) -> None:
    """With a refused connection, there are five attempts, and the phase of the error is NOT_SENT."""
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(ArmUnavailableError) as caught:
        make_driver(url).send(request_for(operation, url))
    assert caught.value.phase is Phase.NOT_SENT
    assert len(clock.waits) == 4


@pytest.mark.parametrize("operation", ROWS)
def test_server_error_that_is_not_temporary_is_not_retried(operation: Operation, start_server, make_driver) -> None:
    """Only the statuses of temporary conditions are retried."""
    statuses = [501, 505, 507, 599]
    server = start_server([HttpReply(b"", status) for status in statuses])
    driver = make_driver(server.url)
    expected = ArmUnavailableError if operation.replay is Replay.SAFE else ArmUnknownOutcomeError
    for number, status in enumerate(statuses, 1):
        with pytest.raises(expected) as caught:
            driver.send(request_for(operation, server.url))
        assert (server.attempts, caught.value.status_code) == (number, status)


@pytest.mark.parametrize("operation", ROWS)
def test_rejection_is_never_retried(operation: Operation, start_server, make_driver) -> None:
    """A 4xx means that the call had no effect and that someone has to change something."""
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
def test_safe_call_succeeds_after_four_faults(operation: Operation, start_server, make_driver) -> None:
    """The fifth attempt returns the result."""
    server = start_server([ResetConnection(), PARTIAL_BODY, HttpReply(b"", 503), HTML, HttpReply({"ok": 1})])
    assert make_driver(server.url).send(request_for(operation, server.url)) == {"ok": 1}
    assert server.attempts == 5
