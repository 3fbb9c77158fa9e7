"""Booking calls: their requests, which response is a success, and the errors for any other."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_arm.client import ArmClient, ClientCredentials
from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmInvalidResponseError,
    ArmUnknownOutcomeError,
    ArmValidationError,
    InvalidRecordError,
    Phase,
)
from airflow_provider_arm.client.models import ArItemUpdate
from airflow_provider_arm.client.readings import Readings
from airflow_provider_arm.sandbox import ArmSandbox
from tests.unit.client.scripted_server import HTML, CloseConnection, HttpReply

DONE = {"status": "PROCESSED", "result": "CREATED", "clientNo": 2218}
CANARY = "Kanarifugl"
ITEM = "2218-500002-35078-0"
DOCUMENT = {"customerNo": "543210", "documentNo": "88776655"}
RESERVATION = {"paymentId": "P-1", "documentNo": "88776655", "currencyAmount": Decimal("10.50")}
CHANGES = {"arItemId": ITEM, "dueDate": "2026-03-01", "creditNote": {"currencyAmount": Decimal("4.00")}}
POSTING = {"arItemId": ITEM, "currencyAmount": Decimal("24.370"), "transactionText": CANARY}

#: Method of the client, HTTP method, path, key in the body, a good record.
SINGLES = [
    ("create_document", "POST", "documents", "document", DOCUMENT),
    ("create_payment_reservation", "POST", "paymentreservations", "paymentReservation", RESERVATION),
    ("update_ar_item", "PUT", "aritems", "arItem", CHANGES),
]


@pytest.fixture
def start_client(start_server, make_client):
    """Start a server with a script, and create a client for it."""

    def start(*script: Any, **settings: Any):
        server = start_server(list(script))
        return server, make_client(f"{server.url}/arm/v1", **settings)

    return start


def post(client: Any, *postings: dict[str, Any], **arguments: Any) -> Any:
    """Post a set with the method ``payment``."""
    return client.create_auto_postings("payment", list(postings), **arguments)


def set_body(*postings: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the body of the response to a set."""
    return {"autoPostings": list(postings), **more}


@pytest.mark.parametrize(("name", "method", "path", "key", "record"), SINGLES)
def test_single_record_is_sent_unchanged_and_its_response_is_read(
    start_client, name, method, path, key, record
) -> None:
    """The body has every key and digit, known to the model or not, next to the user."""
    server, client = start_client(HttpReply(DONE | {"paymentId": "P-1"}, 201), user_id="u")
    written = getattr(client, name)(record)
    assert (written.status, written.result, written.model_extra) == ("PROCESSED", "CREATED", {"paymentId": "P-1"})
    (request,) = server.requests
    assert (request.method, request.path) == (method, f"/arm/v1/clients/2218/{path}")
    exact = json.loads(request.body, parse_float=Decimal)
    assert exact == {"metadata": {"userId": "u"}, key: record}
    assert str(exact) == str({"metadata": {"userId": "u"}, key: record})


@pytest.mark.parametrize(("name", "method", "path", "key", "record"), SINGLES)
def test_failed_record_in_a_200_is_a_rejection(start_client, name, method, path, key, record) -> None:
    """The status in the body decides, not the HTTP status."""
    server, client = start_client(HttpReply({"status": "FAILED", "errors": [{"field": "Kid", "message": "bad"}]}))
    with pytest.raises(ArmValidationError, match="status FAILED: Kid: bad") as caught:
        getattr(client, name)(record)
    assert (server.attempts, caught.value.phase) == (1, Phase.ANSWERED)


@pytest.mark.parametrize(
    "reply", [HttpReply({"status": "DONE"}), HttpReply({}), HttpReply([]), HttpReply({"result": "CREATED"}), HTML]
)
@pytest.mark.parametrize(("name", "method", "path", "key", "record"), SINGLES)
def test_response_without_a_known_status_is_an_unknown_outcome(
    start_client, name, method, path, key, record, reply
) -> None:
    """It counts neither as success nor as rejection, and the record is not sent again."""
    server, client = start_client(reply)
    with pytest.raises(ArmUnknownOutcomeError, match="check in ARM whether it took effect"):
        getattr(client, name)(record)
    assert server.attempts == 1


@pytest.mark.parametrize(
    ("name", "record", "field"),
    [
        ("create_document", {"customerNo": "1"}, "documentNo"),
        ("create_document", DOCUMENT | {"currencyAmounts": {"inclVat": 0.1}}, "currencyAmounts.inclVat"),
        ("create_payment_reservation", {"documentNo": "1"}, "paymentId"),
        ("create_payment_reservation", {"paymentId": ""}, "paymentId"),
        ("create_payment_reservation", {"paymentId": "1", "currencyAmount": 0.1}, ""),
        ("update_ar_item", {"dueDate": "2026-03-01"}, "arItemId"),
        ("update_ar_item", {"arItemId": "1", "amount": 0.1}, ""),
    ],
)
def test_invalid_record_is_not_sent(start_client, name, record, field) -> None:
    """A missing key or a float raises before anything is sent."""
    server, client = start_client(HttpReply(DONE))
    with pytest.raises(InvalidRecordError) as caught:
        getattr(client, name)(record)
    assert (server.connections, caught.value.errors[0].field) == (0, field)


def test_record_may_be_a_model(start_client) -> None:
    """Python names are sent as wire names."""
    server, client = start_client(HttpReply(DONE))
    client.update_ar_item(ArItemUpdate.from_wire({"ar_item_id": ITEM, "dueDate": "2026-03-01"}))
    assert json.loads(server.requests[0].body) == {"arItem": {"arItemId": ITEM, "dueDate": "2026-03-01"}}


# ---- auto postings


def test_set_of_postings_is_sent_unchanged(start_client) -> None:
    """The method is in the path, quoted; the body has every posting with its digits."""
    server, client = start_client(
        HttpReply(set_body({"status": "PROCESSED", "resultType": "CREATED"}, status="PROCESSED"))
    )
    written = client.create_auto_postings("pay/ment", [POSTING])
    assert [posting.result_type for posting in written.postings()] == ["CREATED"]
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/arm/v1/clients/2218/autopostings/pay%2Fment")
    posting = b'{"arItemId":"2218-500002-35078-0","currencyAmount":24.370,"transactionText":"Kanarifugl"}'
    assert request.body == b'{"autoPostings":[' + posting + b"]}"


GOOD = {"status": "PROCESSED", "resultType": "CREATED"}
BAD = {"status": "FAILED", "resultType": "REJECTED", "errors": [{"field": "Kid", "message": "bad"}]}
WITH_THE_SET = {"status": "FAILED", "resultType": "BATCH-REJECTED"}

#: Bodies of a 200, with the error that they raise; ``None`` for a success.
BODIES = {
    "all succeeded": (set_body(GOOD, GOOD, status="PROCESSED"), None),
    "lower case": (set_body(GOOD, {"status": "processed"}, status="Processed"), None),
    "only the set": ({"status": "PROCESSED"}, None),
    "only the postings": (set_body(GOOD, GOOD), None),
    "under another key": ({"status": "PROCESSED", "items": [GOOD]}, None),
    "all failed": (set_body(BAD, WITH_THE_SET, status="FAILED"), ArmValidationError),
    "only the postings failed": (set_body(BAD, WITH_THE_SET), ArmValidationError),
    "only the set failed": ({"status": "FAILED", "message": "no"}, ArmValidationError),
    "batch-rejected by itself": (set_body({"resultType": "batch-rejected"}), ArmValidationError),
    "one of them failed": (set_body(GOOD, BAD, status="PROCESSED"), ArmUnknownOutcomeError),
    "one rejected with a successful set": (set_body(GOOD, WITH_THE_SET, status="PROCESSED"), ArmUnknownOutcomeError),
    "batch-rejected that was processed": (
        set_body(GOOD, {"status": "PROCESSED", "resultType": "BATCH-REJECTED"}),
        ArmUnknownOutcomeError,
    ),
    "one of them processed": (set_body(GOOD, BAD, status="FAILED"), ArmUnknownOutcomeError),
    "an unknown status": (set_body(GOOD, {"status": "QUEUED"}, status="PROCESSED"), ArmUnknownOutcomeError),
    "another unknown status": (set_body(GOOD, status="ACCEPTED"), ArmUnknownOutcomeError),
    "no status": (set_body({"resultType": "CREATED"}), ArmUnknownOutcomeError),
    "nothing": ({}, ArmUnknownOutcomeError),
    "no object": ([], ArmUnknownOutcomeError),
    "no postings": (set_body(1, status="PROCESSED"), ArmUnknownOutcomeError),
}


@pytest.mark.parametrize(("body", "error"), BODIES.values(), ids=BODIES)
def test_set_of_postings_succeeds_only_if_all_statuses_agree(start_client, body, error) -> None:
    """A response that contradicts itself counts neither as success nor as rejection, and is not requested again."""
    server, client = start_client(HttpReply(body))
    if error is None:
        post(client, POSTING, POSTING)
    else:
        with pytest.raises(error):
            post(client, POSTING, POSTING)
    assert server.attempts == 1


@pytest.mark.parametrize("status", [200, 207, 400, 422])
def test_rejected_set_lists_each_posting_by_its_position(start_client, status) -> None:
    """The error has each posting's own reason and the number of those rejected with the set; quoted data is masked."""
    quoting = {"status": "FAILED", "errors": [{"field": "TransactionText", "message": f"{CANARY} is too long"}]}
    with_message = {"status": "FAILED", "message": "no such item"}
    without_reason = {"status": "FAILED"}
    numbered = BAD | {"recordNo": 6}
    body = set_body(
        WITH_THE_SET,
        quoting,
        with_message,
        without_reason,
        WITH_THE_SET,
        numbered,
        status="FAILED",
        message="None posted",
    )
    _, client = start_client(HttpReply(body, status))
    with pytest.raises(ArmValidationError) as caught:
        post(client, *[POSTING] * 6)
    assert [str(issue) for issue in caught.value.errors] == [
        "record 2, TransactionText: [transactionText] is too long",
        "record 3: no such item",
        "record 4: ARM gave no reason",
        "record 6, Kid: bad",
    ]
    message = str(caught.value)
    assert all(str(issue) in message for issue in caught.value.errors)
    assert "None posted" in message
    assert "2 valid but rejected with the rest of the set (BATCH-REJECTED)" in message
    assert CANARY not in message
    assert caught.value.status_code == status


def test_validate_only_adds_the_option_to_every_posting(start_client) -> None:
    """Other options are kept."""
    server, client = start_client(HttpReply({"status": "PROCESSED"}))
    post(client, POSTING, POSTING | {"options": ["x"]}, validate_only=True)
    sent = json.loads(server.requests[0].body)["autoPostings"]
    assert [posting["options"] for posting in sent] == [["validateOnly"], ["x", "validateOnly"]]


@pytest.mark.parametrize("option", ["validateOnly", "VALIDATEONLY", "validateonly"])
def test_set_with_validate_only_posting_is_retried(start_client, option) -> None:
    """ARM posts nothing of it, so a lost response is requested again."""
    server, client = start_client(CloseConnection(), HttpReply({"status": "PROCESSED"}))
    post(client, POSTING, POSTING | {"options": [option]})
    assert server.attempts == 2


@pytest.mark.parametrize("posting", [POSTING, POSTING | {"options": ["other"]}, POSTING | {"validateOnly": True}])
def test_any_other_set_is_never_retried(start_client, posting) -> None:
    """Only the documented option makes a set safe."""
    server, client = start_client(CloseConnection(), HttpReply({"status": "PROCESSED"}))
    with pytest.raises(ArmUnknownOutcomeError):
        post(client, posting)
    assert server.attempts == 1


def test_unknown_status_of_a_validation_is_an_invalid_response(start_client) -> None:
    """It is no unknown outcome, because ARM posts nothing."""
    _, client = start_client(HttpReply({"status": "QUEUED"}))
    with pytest.raises(ArmInvalidResponseError, match="status QUEUED"):
        post(client, POSTING, validate_only=True)


@pytest.mark.parametrize("posting", [POSTING | {"currencyAmount": 0.1}, {"options": "validateOnly"}, {"options": [1]}])
def test_invalid_posting_is_not_sent(start_client, posting) -> None:
    """A float, or options that are not a list of texts."""
    server, client = start_client(HttpReply(DONE))
    with pytest.raises(InvalidRecordError):
        post(client, POSTING, posting)
    assert server.connections == 0


def test_empty_set_raises(start_client) -> None:
    """Nothing is sent."""
    server, client = start_client(HttpReply(DONE))
    with pytest.raises(ArmConfigurationError, match="at least one auto posting"):
        post(client)
    assert server.connections == 0


def test_fields_have_the_names_of_the_profile() -> None:
    """A sandbox that follows the same profile accepts them, and refuses the default names."""
    profile = {"write": {"ar_item_id_key": "itemNo", "options_key": "flags"}}
    posting = {"arItemId": ITEM, "currencyAmount": Decimal("24.37")}
    with ArmSandbox(ar_items=30, customers=5, readings=profile) as box:
        credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
        changes = {"arItemId": ITEM, "transactionText": "changed"}
        with ArmClient(box.base_url, credentials, client_no=box.client_no) as client:
            with pytest.raises(ArmValidationError):
                client.update_ar_item(changes)
            with pytest.raises(ArmValidationError):
                client.create_auto_postings("payment", [posting], validate_only=True)
        readings = Readings.parse(profile)
        with ArmClient(box.base_url, credentials, client_no=box.client_no, readings=readings) as client:
            assert client.update_ar_item(changes).status == "PROCESSED"
            before = client.get_ar_item(ITEM)
            client.create_auto_postings("payment", [posting], validate_only=True)
            assert client.get_ar_item(ITEM) == before
    assert before.transaction_text == "changed"
