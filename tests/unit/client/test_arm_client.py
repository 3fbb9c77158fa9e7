from __future__ import annotations

import json
import threading
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_arm.client import ArmClient, StaticToken, money
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
def start_client(start_server, make_client):
    """Start a server with a script, and create a client for it."""

    def start(*script: Any, **settings: Any):
        server = start_server(list(script))
        return server, make_client(f"{server.url}/arm/v1", **settings)

    return start


def test_get_customer_is_as_documented(start_client, example_text) -> None:
    """Path, parameters and language are those of the reference, and the example is read with its digits."""
    server, client = start_client(HttpReply(example_text("customer_get_200")), user_id="TestUser")
    customer = client.get_customer("543210", expand="all", language="no")
    assert (customer.name, customer.discount_rate, customer.postal_address.city_name) == ("Owe Armstrong", 10, "Oslo")
    request = server.requests[0]
    assert (request.method, request.path) == ("GET", "/arm/v1/clients/2218/customers/543210")
    assert request.query == {"expand": ["all"], "userid": ["TestUser"]}
    assert (request.headers["accept-language"], request.headers["accept"]) == ("no", "application/json")
    assert request.headers["user-agent"].startswith("airflow-provider-arm/")
    assert request.body == b""


def test_get_ar_item_is_as_documented(start_client, example_text) -> None:
    """The balance of the example keeps its two decimal places."""
    server, client = start_client(HttpReply(example_text("aritem_get_200")))
    item = client.get_ar_item("2218-500002-35078-0")
    assert str(item.currency_balance) == "124.37"
    assert server.requests[0].target == "/arm/v1/clients/2218/aritems/2218-500002-35078-0"


def test_get_document_by_its_number(start_client) -> None:
    """The number was chosen by the caller."""
    server, client = start_client(HttpReply({"customerNo": "1", "documentNo": "88776655"}))
    assert client.get_document("88776655", language="en").document_no == "88776655"
    assert server.requests[0].target == "/arm/v1/clients/2218/documents/88776655"


def test_upsert_customer_is_as_documented(start_client, example_text) -> None:
    """The body has every key, value and digit of the documented example, and the documented response is read."""
    server, client = start_client(HttpReply(example_text("customer_post_200"), 201), user_id="TestUser")
    documented = json.loads(example_text("customer_post_request"), parse_float=Decimal)
    written = client.upsert_customer(documented["customer"])
    assert (written.result, written.account_no, written.warnings[0].field) == (
        "CREATED",
        500002,
        "EmailAddressDocument",
    )
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/arm/v1/clients/2218/customers")
    assert request.headers["content-type"] == "application/json"
    as_text = {"parse_float": str, "parse_int": str}
    assert json.loads(request.body, **as_text) == json.loads(example_text("customer_post_request"), **as_text)


def test_update_customer_sends_only_given_keys(start_client) -> None:
    """Missing keys stay missing; without a user there is no metadata."""
    server, client = start_client(HttpReply(DONE | {"result": "UPDATED"}))
    assert client.update_customer(CustomerWrite(customer_no="1", due_days=10)).result == "UPDATED"
    assert server.requests[0].method == "PUT"
    assert json.loads(server.requests[0].body) == {"customer": {"customerNo": "1", "dueDays": 10}}


def test_delete_customer_is_as_documented(start_client, example_text) -> None:
    """The number is in the path and the options are in the query."""
    server, client = start_client(HttpReply(example_text("customer_delete_200")))
    assert client.delete_customer("543210", options="x").result == "DELETED"
    assert (server.requests[0].method, server.requests[0].query) == ("DELETE", {"options": ["x"]})


def test_delete_of_a_missing_customer_raises_unless_its_own_attempt_deleted_it(start_client) -> None:
    """The result of a delete whose response was lost has ARM's word, and a warning."""
    missing = HttpReply({"status": "FAILED", "message": "Customer not found"}, 404)
    _, client = start_client(missing)
    with pytest.raises(ArmNotFoundError):
        client.delete_customer("543210")
    _, client = start_client(HttpReply(b"", 503), missing)
    written = client.delete_customer("543210")
    assert (written.result, written.status) == ("DELETED", "PROCESSED")
    assert "404" in written.warnings[0].message


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
def test_invalid_record_is_not_sent(start_client, call) -> None:
    """The error is raised before anything is sent."""
    server, client = start_client(HttpReply(DONE))
    with pytest.raises(InvalidRecordError) as caught:
        call(client)
    assert (server.connections, caught.value.phase) == (0, Phase.NOT_SENT)
    assert caught.value.errors


@pytest.mark.parametrize(
    ("body", "error", "message"),
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
def test_200_is_a_success_only_with_a_known_status(start_client, write, body, error, message: str) -> None:
    """A failed record in a 200 is a rejection, and an unknown status is never a success."""
    server, client = start_client(HttpReply(body))
    with pytest.raises(error, match=message) as caught:
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
def test_batch_is_submitted(start_client, name: str, method: str, path: str, record: dict) -> None:
    """The records are under their plural, next to the user; the receipt keeps the case of the UUID."""
    server, client = start_client(HttpReply({"batchUuid": "9F2c-AbC"}, 202), user_id="u")
    assert client.submit_batch(name, [record, record]).batch_uuid == "9F2c-AbC"
    (request,) = server.requests
    assert (request.method, request.path) == (method, f"/arm/v1/clients/2218/{path}/batches")
    assert json.loads(request.body) == {"metadata": {"userId": "u"}, path: [record, record]}


def test_documented_batch_of_documents_is_sent_unchanged(start_client, example_text) -> None:
    """It has every key, value and digit of the reference's example."""
    server, client = start_client(HttpReply({"batchUuid": "u"}, 202), user_id="TestUser")
    documented = json.loads(example_text("documents_batch_post_request"), parse_float=Decimal)
    client.submit_batch("create_document_batch", documented["documents"])
    as_text = {"parse_float": str, "parse_int": str}
    assert json.loads(server.requests[0].body, **as_text) == json.loads(
        example_text("documents_batch_post_request"), **as_text
    )


def test_encoded_records_are_sent_as_the_same_bytes(start_client) -> None:
    """Records that were encoded before make the same body, with a user and without."""
    record = {"customerNo": "1", "limitAmount": Decimal("5.50")}
    for user in ({}, {"user_id": "u"}):
        server, client = start_client(HttpReply({"batchUuid": "b"}, 202), HttpReply({"batchUuid": "b"}, 202), **user)
        client.submit_batch("create_customer_batch", [record])
        client.submit_encoded("create_customer_batch", money.encode([record]))
        assert server.requests[0].body == server.requests[1].body
        assert server.requests[0].headers == server.requests[1].headers


def test_encoded_record_in_an_error_is_masked(start_client) -> None:
    """Values of encoded records are masked like those of other records."""
    _server, client = start_client(HttpReply({"message": "Ola Nordmann is no name"}, 422))
    with pytest.raises(ArmValidationError, match=r"\[name\] is no name"):
        client.submit_encoded("create_customer_batch", b'[{"customerNo":"1","name":"Ola Nordmann"}]')


def test_empty_batch_raises(start_client) -> None:
    """Nothing is sent."""
    server, client = start_client(HttpReply({}))
    with pytest.raises(ArmConfigurationError, match="a batch needs at least one record"):
        client.submit_batch("create_customer_batch", [])
    assert server.connections == 0


def test_lost_receipt_of_documents_has_an_unknown_outcome(start_client) -> None:
    """The error tells to check in ARM before sending again."""
    server, client = start_client(HttpReply({"status": "ACCEPTED"}, 202))
    with pytest.raises(ArmUnknownOutcomeError, match="check in ARM whether it took effect"):
        client.submit_batch("create_document_batch", [{"customerNo": "1", "documentNo": "2"}])
    assert server.attempts == 1


def test_get_batch_keeps_the_case_of_the_uuid(start_client) -> None:
    """The path has it as it was given."""
    server, client = start_client(HttpReply({"status": "PROCESSED", "totalCount": 1, "failedCount": 0}))
    assert client.get_batch("9F2c-AbC").state == "succeeded"
    assert server.requests[0].path == "/arm/v1/clients/2218/batches/9F2c-AbC"


def test_call_makes_any_operation(start_client) -> None:
    """A read has a path and parameters, a write has a record; numbers are exact."""
    server, client = start_client(HttpReply('{"amount": 124.370}'), user_id="u")
    assert str(client.call("get_gl_item", path={"glitemid": 7}, params={"expand": ["a", "b"]})["amount"]) == "124.370"
    client.call("create_auto_postings", path={"autopostingmethod": "m"}, record=[{"amount": Decimal("5.50")}])
    read, write = server.requests
    assert (read.path, read.query) == ("/arm/v1/clients/2218/glitems/7", {"expand": ["a", "b"]})
    assert write.path == "/arm/v1/clients/2218/autopostings/m"
    assert write.body == b'{"metadata":{"userId":"u"},"autoPostings":[{"amount":5.50}]}'


def test_request_makes_calls_documented_by_title_only(start_client) -> None:
    """Any method and path under the base URL; 204 returns None."""
    server, client = start_client(HttpReply({"a": 1}), HttpReply(b"", 204))
    assert client.request("get", "/clients/2218/codes", params={"type": "x"}) == {"a": 1}
    assert client.request("PATCH", "/clients/2218/codes", json={"a": Decimal("0.10")}) is None
    first, second = server.requests
    assert (first.method, first.target) == ("GET", "/arm/v1/clients/2218/codes?type=x")
    assert (second.method, second.body) == ("PATCH", b'{"a":0.10}')


@pytest.mark.parametrize(("replay", "attempts"), [(None, 1), (Replay.NEVER, 1), (Replay.BY_KEY, 1), (Replay.SAFE, 5)])
def test_ad_hoc_write_is_retried_only_if_declared_safe(start_client, replay, attempts: int) -> None:
    """By default it is never repeated."""
    server, client = start_client(HttpReply(b"", 503))
    with pytest.raises(Exception, match="answered 503"):
        client.request("POST", "/x", json={}, replay=replay)
    assert server.attempts == attempts


@pytest.mark.parametrize("path", ["", "x", "http://127.0.0.1/x", "@evil.example/"])
def test_ad_hoc_path_without_a_slash_raises(start_client, path: str) -> None:
    """It could change the host of the base URL."""
    server, client = start_client(HttpReply({}))
    with pytest.raises(ArmConfigurationError, match="path must start with /"):
        client.request("GET", path)
    assert server.connections == 0


def test_list_ar_items_passes_filters_through(start_client, example) -> None:
    """Filters are sent unchanged, with the largest page size."""
    body = {"summary": {"totalCount": 1}, "arItems": [example("aritem_get_200")]}
    server, client = start_client(HttpReply(json.dumps(body)))
    (item,) = client.list_ar_items({"fromvoucherdate": "2025-02-01", "onlyopen": True})
    assert item.ar_item_id == "2218-500002-35078-0"
    assert server.requests[0].query == {"pagesize": ["1000"], "fromvoucherdate": ["2025-02-01"], "onlyopen": ["true"]}


def test_any_list_can_be_walked(start_client) -> None:
    """The items are of the model in the operations table."""
    _, client = start_client(HttpReply({"summary": {"totalCount": 1}, "glItems": [{"glItemId": "7", "glAmount": 5}]}))
    (item,) = client.cursor("list_gl_items")
    assert (item.gl_item_id, item.gl_amount) == ("7", 5)


def test_list_log_items_keeps_unknown_fields(start_client) -> None:
    """Only key and created time are in the model, because the reference names the list by title only."""
    record = {"logItemId": "7", "createdTime": "2025-02-27T17:03:36.176+01:00", "text": "x"}
    server, client = start_client(HttpReply({"summary": {"totalCount": 1}, "logItems": [record]}))
    (item,) = client.list_log_items({"customerno": "1"})
    assert item.to_wire() == record
    assert server.requests[0].target == "/arm/v1/clients/2218/logitems?pagesize=1000&customerno=1"


@pytest.mark.parametrize("rows", [0, 1])
def test_check_reads_one_customer(start_client, rows: int) -> None:
    """It is one page of one customer, also if many match."""
    customers = [{"customerNo": "1"}] * rows
    summary = {"totalCount": 28 * rows, "totalPages": 28 * rows, "queryId": "q"}
    server, client = start_client(HttpReply({"summary": summary, "customers": customers}))
    assert client.check() is None
    assert [request.query for request in server.requests] == [{"pagesize": ["1"], "maximumcount": ["1"]}]


def test_each_thread_has_its_connections_and_all_are_closed(start_server) -> None:
    """Threads may share a client, and it can be used again after it was closed."""
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


def test_client_has_its_settings(make_client) -> None:
    """Base URL, client number and readings are properties."""
    client = make_client("https://api.amili.no/arm/v1/")
    assert (client.base_url, client.client_no) == ("https://api.amili.no/arm/v1", 2218)
    assert client.readings.batch.success_words == ("PROCESSED",)


def test_call_response_returns_status_headers_and_request_id(start_client) -> None:
    """The readings profile names the headers that contain the identifier."""
    _, client = start_client(HttpReply({"status": "Healthy"}, 200, {"X-Request-Id": "r-7"}))
    response = client.call_response("check_health")
    assert (response.status, response.headers["x-request-id"], client.request_id(response)) == (200, "r-7", "r-7")


def test_check_health_returns_the_decoded_response(start_client) -> None:
    """The path needs no client number."""
    server, client = start_client(HttpReply({"status": "Healthy"}))
    assert client.check_health() == {"status": "Healthy"}
    assert server.requests[0].path == "/arm/v1/health"
