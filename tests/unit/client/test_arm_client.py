from __future__ import annotations

import json
import threading
from decimal import Decimal
from typing import Any

import pytest
import requests
import urllib3

from airflow_provider_arm.client import ArmClient, StaticToken, money
from airflow_provider_arm.client.arm_client import classify_error
from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmUnknownOutcomeError,
    ArmValidationError,
    InvalidRecordError,
    Phase,
)
from airflow_provider_arm.client.models import CustomerWrite
from airflow_provider_arm.client.operations import Replay
from tests.unit.client.scripted_server import HttpReply

DONE = {"status": "PROCESSED", "result": "CREATED", "customerNo": "543210"}


@pytest.fixture
def start_client(start_server, arm):
    """Start a server with a script, and a client for it."""

    def start(*script: Any, **settings: Any):
        server = start_server(list(script))
        return server, arm(f"{server.url}/arm/v1", **settings)

    return start


def test_one_customer_is_read_as_documented(start_client, example_text) -> None:
    """Path, parameters and language go out as the reference has them, and the example comes back with its digits."""
    server, client = start_client(HttpReply(example_text("customer_get_200")), user_id="TestUser")
    customer = client.get_customer("543210", expand="all", language="no")
    assert (customer.name, customer.discount_rate, customer.postal_address.city_name) == ("Owe Armstrong", 10, "Oslo")
    seen = server.requests[0]
    assert (seen.method, seen.path) == ("GET", "/arm/v1/clients/2218/customers/543210")
    assert seen.query == {"expand": ["all"], "userid": ["TestUser"]}
    assert (seen.headers["accept-language"], seen.headers["accept"]) == ("no", "application/json")
    assert seen.headers["user-agent"].startswith("airflow-provider-arm/")
    assert seen.body == b""


def test_one_ar_item_is_read_as_documented(start_client, example_text) -> None:
    """The balance of the example keeps its two places."""
    server, client = start_client(HttpReply(example_text("aritem_get_200")))
    item = client.get_ar_item("2218-500002-35078-0")
    assert str(item.currency_balance) == "124.37"
    assert server.requests[0].target == "/arm/v1/clients/2218/aritems/2218-500002-35078-0"


def test_one_document_is_read(start_client) -> None:
    """By its number, which the caller chose."""
    server, client = start_client(HttpReply({"customerNo": "1", "documentNo": "88776655"}))
    assert client.get_document("88776655", language="en").document_no == "88776655"
    assert server.requests[0].target == "/arm/v1/clients/2218/documents/88776655"


def test_a_customer_is_written_exactly_as_documented(start_client, example_text) -> None:
    """The body of the documented example goes out with every key, value and digit, and its answer is understood."""
    server, client = start_client(HttpReply(example_text("customer_post_200"), 201), user_id="TestUser")
    documented = json.loads(example_text("customer_post_request"), parse_float=Decimal)
    written = client.upsert_customer(documented["customer"])
    assert (written.result, written.account_no, written.warnings[0].field) == (
        "CREATED",
        500002,
        "EmailAddressDocument",
    )
    (seen,) = server.requests
    assert (seen.method, seen.path) == ("POST", "/arm/v1/clients/2218/customers")
    assert seen.headers["content-type"] == "application/json"
    as_text = {"parse_float": str, "parse_int": str}
    assert json.loads(seen.body, **as_text) == json.loads(example_text("customer_post_request"), **as_text)


def test_an_update_is_a_put_of_what_was_given(start_client) -> None:
    """Missing keys stay missing; without a user there is no metadata."""
    server, client = start_client(HttpReply(DONE | {"result": "UPDATED"}))
    assert client.update_customer(CustomerWrite(customer_no="1", due_days=10)).result == "UPDATED"
    assert server.requests[0].method == "PUT"
    assert json.loads(server.requests[0].body) == {"customer": {"customerNo": "1", "dueDays": 10}}


def test_a_customer_is_deleted_as_documented(start_client, example_text) -> None:
    """The number stands in the path and the options in the query."""
    server, client = start_client(HttpReply(example_text("customer_delete_200")))
    assert client.delete_customer("543210", options="x").result == "DELETED"
    assert (server.requests[0].method, server.requests[0].query) == ("DELETE", {"options": ["x"]})


def test_a_customer_that_is_gone_is_not_found(start_client) -> None:
    """The second delete says so, also where the first one's answer was lost."""
    _, client = start_client(HttpReply(b"", 503), HttpReply({"status": "FAILED", "message": "Customer not found"}, 404))
    with pytest.raises(ArmNotFoundError):
        client.delete_customer("543210")


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.upsert_customer({"customerNo": "1", "limitAmount": 0.1}),
        lambda client: client.upsert_customer({"name": "x"}),
        lambda client: client.update_customer({"customerNo": "1", "accountNo": 1}),
        lambda client: client.submit_batch("create_customer_batch", [{"customerNo": "1"}, {}]),
        lambda client: client.submit_batch("create_document_batch", [{"customerNo": "1"}]),
        lambda client: client.call("update_ar_item", record={"amount": 0.1}),
        lambda client: client.request("POST", "/x", json={"amount": Decimal("NaN")}),
        lambda client: client.request("POST", "/x", json={"name": "\ud800"}),
    ],
)
def test_a_record_that_does_not_fit_is_not_sent(start_client, call) -> None:
    """What is wrong is found here, with nothing sent."""
    server, client = start_client(HttpReply(DONE))
    with pytest.raises(InvalidRecordError) as caught:
        call(client)
    assert (server.connections, caught.value.phase) == (0, Phase.NOT_SENT)
    assert caught.value.errors


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ({"status": "FAILED", "message": "No such currency"}, ArmValidationError, "status FAILED: No such currency"),
        ({"status": "failed", "errors": [{"field": "Kid", "message": "bad"}]}, ArmValidationError, "Kid: bad"),
        ({"status": "REJECTED"}, ArmValidationError, "status REJECTED"),
        ({"status": "DONE"}, ArmInvalidResponseError, "status DONE"),
        ({"result": "CREATED"}, ArmInvalidResponseError, "status missing"),
        ({}, ArmInvalidResponseError, "status missing"),
        ([], ArmInvalidResponseError, "does not fit"),
    ],
)
@pytest.mark.parametrize("write", [ArmClient.upsert_customer, ArmClient.update_customer])
def test_a_200_is_success_only_with_a_known_word(start_client, write, answer, error, says: str) -> None:
    """A failed record inside a 200 is a refusal, and an unknown word is never success."""
    server, client = start_client(HttpReply(answer))
    with pytest.raises(error, match=says) as caught:
        write(client, {"customerNo": "1"})
    assert (server.attempts, caught.value.status_code) == (1, 200)


@pytest.mark.parametrize(
    ("name", "method", "path", "record"),
    [
        ("create_customer_batch", "POST", "customers", {"customerNo": "1"}),
        ("update_customer_batch", "PUT", "customers", {"customerNo": "1"}),
        ("create_document_batch", "POST", "documents", {"customerNo": "1", "documentNo": "2"}),
    ],
)
def test_a_batch_is_submitted(start_client, name: str, method: str, path: str, record: dict) -> None:
    """The records stand under their plural, with the user beside them; the receipt keeps the UUID's case."""
    server, client = start_client(HttpReply({"batchUuid": "9F2c-AbC"}, 202), user_id="u")
    assert client.submit_batch(name, [record, record]).batch_uuid == "9F2c-AbC"
    (seen,) = server.requests
    assert (seen.method, seen.path) == (method, f"/arm/v1/clients/2218/{path}/batches")
    assert json.loads(seen.body) == {"metadata": {"userId": "u"}, path: [record, record]}


def test_the_documented_batch_of_documents_goes_out_unchanged(start_client, example_text) -> None:
    """Every key, value and digit of the reference's example."""
    server, client = start_client(HttpReply({"batchUuid": "u"}, 202), user_id="TestUser")
    documented = json.loads(example_text("documents_batch_post_request"), parse_float=Decimal)
    client.submit_batch("create_document_batch", documented["documents"])
    as_text = {"parse_float": str, "parse_int": str}
    assert json.loads(server.requests[0].body, **as_text) == json.loads(
        example_text("documents_batch_post_request"), **as_text
    )


def test_encoded_records_are_the_same_bytes(start_client) -> None:
    """Records that were encoded before make the same body, with the user and without."""
    record = {"customerNo": "1", "limitAmount": Decimal("5.50")}
    for user in ({}, {"user_id": "u"}):
        server, client = start_client(HttpReply({"batchUuid": "b"}, 202), HttpReply({"batchUuid": "b"}, 202), **user)
        client.submit_batch("create_customer_batch", [record])
        client.submit_encoded("create_customer_batch", money.encode([record]))
        assert server.requests[0].body == server.requests[1].body
        assert server.requests[0].headers == server.requests[1].headers


def test_an_encoded_record_that_an_answer_quotes_is_masked(start_client) -> None:
    """The text of the records is looked through as the records would be."""
    _server, client = start_client(HttpReply({"message": "Ola Nordmann is no name"}, 422))
    with pytest.raises(ArmValidationError, match=r"\[name\] is no name"):
        client.submit_encoded("create_customer_batch", b'[{"customerNo":"1","name":"Ola Nordmann"}]')


def test_an_empty_batch_is_refused(start_client) -> None:
    """Nothing to send is a mistake upstream."""
    server, client = start_client(HttpReply({}))
    with pytest.raises(ArmConfigurationError, match="a batch of no records"):
        client.submit_batch("create_customer_batch", [])
    assert server.connections == 0


def test_a_lost_receipt_of_documents_has_an_unknown_outcome(start_client) -> None:
    """The error says where to look before anything is sent again."""
    server, client = start_client(HttpReply({"status": "ACCEPTED"}, 202))
    with pytest.raises(ArmUnknownOutcomeError, match="look in ARM whether it took effect"):
        client.submit_batch("create_document_batch", [{"customerNo": "1", "documentNo": "2"}])
    assert server.attempts == 1


def test_a_batch_is_looked_at(start_client) -> None:
    """Its UUID stands in the path as it was given."""
    server, client = start_client(HttpReply({"status": "PROCESSED", "totalCount": 1, "failedCount": 0}))
    assert client.get_batch("9F2c-AbC").state == "succeeded"
    assert server.requests[0].path == "/arm/v1/clients/2218/batches/9F2c-AbC"


def test_any_operation_can_be_called(start_client) -> None:
    """Reads with a path and parameters, writes with a record; numbers come back exact."""
    server, client = start_client(HttpReply('{"amount": 124.370}'), user_id="u")
    assert str(client.call("get_gl_item", path={"glitemid": 7}, params={"expand": ["a", "b"]})["amount"]) == "124.370"
    client.call("create_auto_postings", path={"autopostingmethod": "m"}, record=[{"amount": Decimal("5.50")}])
    read, write = server.requests
    assert (read.path, read.query) == ("/arm/v1/clients/2218/glitems/7", {"expand": ["a", "b"]})
    assert write.path == "/arm/v1/clients/2218/autopostings/m"
    assert write.body == b'{"metadata":{"userId":"u"},"autoPostings":[{"amount":5.50}]}'


def test_what_is_documented_by_title_only_can_be_requested(start_client) -> None:
    """Any method and path under the base URL; 204 gives nothing."""
    server, client = start_client(HttpReply({"a": 1}), HttpReply(b"", 204))
    assert client.request("get", "/clients/2218/codes", params={"type": "x"}) == {"a": 1}
    assert client.request("PATCH", "/clients/2218/codes", json={"a": Decimal("0.10")}) is None
    first, second = server.requests
    assert (first.method, first.target) == ("GET", "/arm/v1/clients/2218/codes?type=x")
    assert (second.method, second.body) == ("PATCH", b'{"a":0.10}')


@pytest.mark.parametrize(("replay", "tries"), [(None, 1), (Replay.NEVER, 1), (Replay.BY_KEY, 1), (Replay.SAFE, 5)])
def test_a_free_request_is_repeated_only_where_said(start_client, replay, attempts: int) -> None:
    """Left out, a write is never repeated."""
    server, client = start_client(HttpReply(b"", 503))
    with pytest.raises(Exception, match="answered 503"):
        client.request("POST", "/x", json={}, replay=replay)
    assert server.attempts == attempts


@pytest.mark.parametrize("path", ["", "x", "http://127.0.0.1/x", "@evil.example/"])
def test_a_free_path_stays_under_the_base_url(start_client, path: str) -> None:
    """What does not begin with a slash could turn the base URL into another host."""
    server, client = start_client(HttpReply({}))
    with pytest.raises(ArmConfigurationError, match="path must start with /"):
        client.request("GET", path)
    assert server.connections == 0


def test_ar_items_are_listed(start_client, example) -> None:
    """Filters go through unchanged, the page size is the largest."""
    body = {"summary": {"totalCount": 1}, "arItems": [example("aritem_get_200")]}
    server, client = start_client(HttpReply(json.dumps(body)))
    (item,) = client.list_ar_items({"fromvoucherdate": "2025-02-01", "onlyopen": True})
    assert item.ar_item_id == "2218-500002-35078-0"
    assert server.requests[0].query == {
        "pagesize": ["1000"],
        "fromvoucherdate": ["2025-02-01"],
        "onlyopen": ["true"],
    }


def test_any_list_can_be_walked(start_client) -> None:
    """The items are of the model in the operations table."""
    _, client = start_client(HttpReply({"summary": {"totalCount": 1}, "glItems": [{"glItemId": "7", "glAmount": 5}]}))
    (item,) = client.cursor("list_gl_items")
    assert (item.gl_item_id, item.gl_amount) == ("7", 5)


@pytest.mark.parametrize("rows", [0, 1])
def test_the_check_is_one_cheap_read(start_client, rows: int) -> None:
    """One page of one customer, and many more may match."""
    customers = [{"customerNo": "1"}] * rows
    summary = {"totalCount": 28 * rows, "totalPages": 28 * rows, "queryId": "q"}
    server, client = start_client(HttpReply({"summary": summary, "customers": customers}))
    assert client.check() is None
    assert [seen.query for seen in server.requests] == [{"pagesize": ["1"], "maximumcount": ["1"]}]


def test_each_thread_has_its_connections_and_all_are_closed(start_server) -> None:
    """A client may be shared between threads and used again after it was closed."""
    server = start_server([HttpReply({}, keep_alive=True)])
    with ArmClient(server.url, StaticToken("t"), client_no=1) as client:
        threads = [
            threading.Thread(target=lambda: [client.call("get_gl_item", path={"glitemid": 1}) for _ in range(3)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(server.requests), server.connections) == (12, 4)
        assert len(client._sessions) == 4
    assert client._sessions == []
    assert client.call("get_gl_item", path={"glitemid": 1}) == {}
    client.close()


def test_a_client_says_whom_it_talks_to(arm) -> None:
    """Base URL, client number and assumptions can be read."""
    client = arm("https://api.amili.no/arm/v1/")
    assert (client.base_url, client.client_no) == ("https://api.amili.no/arm/v1", 2218)
    assert client.assumptions.success_statuses == {"PROCESSED"}


@pytest.mark.parametrize(
    "error", [Exception(), OSError(5, "x"), ValueError("canary"), ConnectionError(Exception("canary"))]
)
def test_what_is_not_known_may_have_been_sent(error) -> None:
    """No error that nobody thought of is ever taken for not sent, and none is shown."""
    lost = classify_error(error)
    assert lost.phase is Phase.MAYBE_SENT
    assert "canary" not in lost.reason


@pytest.mark.parametrize(
    ("error", "phase", "why"),
    [
        (requests.ConnectTimeout(), Phase.NOT_SENT, "no connection in time"),
        (requests.ReadTimeout(), Phase.MAYBE_SENT, "no answer in time"),
        (requests.exceptions.SSLError(), Phase.MAYBE_SENT, "the connection was lost"),
        (requests.exceptions.ChunkedEncodingError(), Phase.MAYBE_SENT, "the answer broke off"),
        (requests.exceptions.ContentDecodingError(), Phase.MAYBE_SENT, "the answer broke off"),
        (urllib3.exceptions.ProtocolError("x", OSError()), Phase.MAYBE_SENT, "the connection was lost"),
    ],
)
def test_each_loss_is_named_with_its_phase(error: Exception, phase: Phase, why: str) -> None:
    """Losses that no socket here can bring about are told apart all the same."""
    assert (classify_error(error).phase, classify_error(error).reason) == (phase, why)
