"""The calls that book: what goes out, which answer is success, and what is said of one that is not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmInvalidResponseError,
    ArmUnknownOutcomeError,
    ArmValidationError,
    InvalidRecordError,
    Phase,
)
from airflow_provider_arm.client.models import ArItemUpdate
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
def start_client(start_server, arm):
    """Start a server with a script, and a client for it."""

    def start(*script: Any, **settings: Any):
        server = start_server(list(script))
        return server, arm(f"{server.url}/arm/v1", **settings)

    return start


def post(client: Any, *postings: dict[str, Any], **arguments: Any) -> Any:
    """Post a set by the method ``payment``."""
    return client.create_auto_postings("payment", list(postings), **arguments)


def lines(*postings: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Make the answer to a set."""
    return {"autoPostings": list(postings), **more}


@pytest.mark.parametrize(("name", "method", "path", "key", "record"), SINGLES)
def test_one_record_goes_out_as_given_and_its_answer_is_read(start_client, name, method, path, key, record) -> None:
    """Every key and digit stands in the body, known to the model or not, with the user beside it."""
    server, client = start_client(HttpReply(DONE | {"paymentId": "P-1"}, 201), user_id="u")
    answer = getattr(client, name)(record)
    assert (answer.status, answer.result, answer.model_extra) == ("PROCESSED", "CREATED", {"paymentId": "P-1"})
    (seen,) = server.requests
    assert (seen.method, seen.path) == (method, f"/arm/v1/clients/2218/{path}")
    exact = json.loads(seen.body, parse_float=Decimal)
    assert exact == {"metadata": {"userId": "u"}, key: record}
    assert str(exact) == str({"metadata": {"userId": "u"}, key: record})


@pytest.mark.parametrize(("name", "method", "path", "key", "record"), SINGLES)
def test_a_failed_record_in_a_200_is_a_refusal(start_client, name, method, path, key, record) -> None:
    """The envelope's word decides, not the code."""
    server, client = start_client(HttpReply({"status": "FAILED", "errors": [{"field": "Kid", "message": "bad"}]}))
    with pytest.raises(ArmValidationError, match="status FAILED: Kid: bad") as caught:
        getattr(client, name)(record)
    assert (server.attempts, caught.value.phase) == (1, Phase.ANSWERED)


@pytest.mark.parametrize(
    "answer", [HttpReply({"status": "DONE"}), HttpReply({}), HttpReply([]), HttpReply({"result": "CREATED"}), HTML]
)
@pytest.mark.parametrize(("name", "method", "path", "key", "record"), SINGLES)
def test_an_answer_without_a_known_word_leaves_it_unknown(
    start_client, name, method, path, key, record, answer
) -> None:
    """Nobody knows whether it was booked: no success, no refusal and no second send."""
    server, client = start_client(answer)
    with pytest.raises(ArmUnknownOutcomeError, match="look in ARM whether it took effect"):
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
def test_a_record_that_does_not_fit_is_not_sent(start_client, name, record, field) -> None:
    """A missing key and a float are found here."""
    server, client = start_client(HttpReply(DONE))
    with pytest.raises(InvalidRecordError) as caught:
        getattr(client, name)(record)
    assert (server.connections, caught.value.errors[0].field) == (0, field)


def test_a_model_does_as_well_as_a_mapping(start_client) -> None:
    """Python names go out as wire names."""
    server, client = start_client(HttpReply(DONE))
    client.update_ar_item(ArItemUpdate.from_wire({"ar_item_id": ITEM, "dueDate": "2026-03-01"}))
    assert json.loads(server.requests[0].body) == {"arItem": {"arItemId": ITEM, "dueDate": "2026-03-01"}}


# ---- auto postings


def test_a_set_goes_out_as_given(start_client) -> None:
    """The method stands in the path, quoted; every posting with its digits in the body."""
    server, client = start_client(
        HttpReply(lines({"status": "PROCESSED", "resultType": "CREATED"}, status="PROCESSED"))
    )
    answer = client.create_auto_postings("pay/ment", [POSTING])
    assert [one.result_type for one in answer.postings()] == ["CREATED"]
    (seen,) = server.requests
    assert (seen.method, seen.target) == ("POST", "/arm/v1/clients/2218/autopostings/pay%2Fment")
    posting = b'{"arItemId":"2218-500002-35078-0","currencyAmount":24.370,"transactionText":"Kanarifugl"}'
    assert seen.body == b'{"autoPostings":[' + posting + b"]}"


GOOD = {"status": "PROCESSED", "resultType": "CREATED"}
BAD = {"status": "FAILED", "resultType": "REJECTED", "errors": [{"field": "Kid", "message": "bad"}]}
WITH_THE_SET = {"status": "FAILED", "resultType": "BATCH-REJECTED"}

#: Bodies of a 200 and what they are: success, refused, or neither.
BODIES = {
    "all say so": (lines(GOOD, GOOD, status="PROCESSED"), None),
    "in small letters": (lines(GOOD, {"status": "processed"}, status="Processed"), None),
    "only the set": ({"status": "PROCESSED"}, None),
    "only the postings": (lines(GOOD, GOOD), None),
    "under another key": ({"status": "PROCESSED", "items": [GOOD]}, None),
    "all failed": (lines(BAD, WITH_THE_SET, status="FAILED"), ArmValidationError),
    "only the postings failed": (lines(BAD, WITH_THE_SET), ArmValidationError),
    "only the set failed": ({"status": "FAILED", "message": "no"}, ArmValidationError),
    "batch-rejected by itself": (lines({"resultType": "batch-rejected"}), ArmValidationError),
    "one of them failed": (lines(GOOD, BAD, status="PROCESSED"), ArmUnknownOutcomeError),
    "one refused with a good set": (lines(GOOD, WITH_THE_SET, status="PROCESSED"), ArmUnknownOutcomeError),
    "batch-rejected that was processed": (
        lines(GOOD, {"status": "PROCESSED", "resultType": "BATCH-REJECTED"}),
        ArmUnknownOutcomeError,
    ),
    "one of them processed": (lines(GOOD, BAD, status="FAILED"), ArmUnknownOutcomeError),
    "an unknown word": (lines(GOOD, {"status": "QUEUED"}, status="PROCESSED"), ArmUnknownOutcomeError),
    "another unknown word": (lines(GOOD, status="ACCEPTED"), ArmUnknownOutcomeError),
    "no word": (lines({"resultType": "CREATED"}), ArmUnknownOutcomeError),
    "nothing": ({}, ArmUnknownOutcomeError),
    "no object": ([], ArmUnknownOutcomeError),
    "no postings": (lines(1, status="PROCESSED"), ArmUnknownOutcomeError),
}


@pytest.mark.parametrize(("body", "error"), BODIES.values(), ids=BODIES)
def test_a_set_is_success_only_when_every_word_says_so(start_client, body, error) -> None:
    """All or nothing: an answer that contradicts itself is neither success nor refusal, and is not asked for again."""
    server, client = start_client(HttpReply(body))
    if error is None:
        post(client, POSTING, POSTING)
    else:
        with pytest.raises(error):
            post(client, POSTING, POSTING)
    assert server.attempts == 1


@pytest.mark.parametrize("status", [200, 207, 400, 422])
def test_a_refused_set_names_each_posting_by_its_place(start_client, status) -> None:
    """Each posting's own reason, those refused with the set counted, and what ARM quotes is masked."""
    quoting = {"status": "FAILED", "errors": [{"field": "TransactionText", "message": f"{CANARY} is too long"}]}
    silent = {"status": "FAILED", "message": "no such item"}
    mute = {"status": "FAILED"}
    numbered = BAD | {"recordNo": 6}
    body = lines(WITH_THE_SET, quoting, silent, mute, WITH_THE_SET, numbered, status="FAILED", message="None posted")
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
    assert "2 valid by themselves and refused with the set (BATCH-REJECTED)" in message
    assert CANARY not in message
    assert caught.value.status_code == status


def test_a_check_puts_the_option_on_every_posting(start_client) -> None:
    """Options that stand there stay."""
    server, client = start_client(HttpReply({"status": "PROCESSED"}))
    post(client, POSTING, POSTING | {"options": ["x"]}, validate_only=True)
    sent = json.loads(server.requests[0].body)["autoPostings"]
    assert [posting["options"] for posting in sent] == [["validateOnly"], ["x", "validateOnly"]]


@pytest.mark.parametrize("option", ["validateOnly", "VALIDATEONLY", "validateonly"])
def test_one_posting_with_the_option_makes_a_check_that_may_be_repeated(start_client, option) -> None:
    """A check posts nothing, so a lost answer is asked for again."""
    server, client = start_client(CloseConnection(), HttpReply({"status": "PROCESSED"}))
    post(client, POSTING, POSTING | {"options": [option]})
    assert server.attempts == 2


@pytest.mark.parametrize("posting", [POSTING, POSTING | {"options": ["other"]}, POSTING | {"validateOnly": True}])
def test_no_other_set_is_ever_repeated(start_client, posting) -> None:
    """Only the documented option makes a set safe."""
    server, client = start_client(CloseConnection(), HttpReply({"status": "PROCESSED"}))
    with pytest.raises(ArmUnknownOutcomeError):
        post(client, posting)
    assert server.attempts == 1


def test_an_unclear_answer_to_a_check_is_no_unknown_outcome(start_client) -> None:
    """Nothing can have been posted."""
    _, client = start_client(HttpReply({"status": "QUEUED"}))
    with pytest.raises(ArmInvalidResponseError, match="status QUEUED"):
        post(client, POSTING, validate_only=True)


@pytest.mark.parametrize("posting", [POSTING | {"currencyAmount": 0.1}, {"options": "validateOnly"}, {"options": [1]}])
def test_a_posting_that_does_not_fit_is_not_sent(start_client, posting) -> None:
    """A float, and options that are no list of texts."""
    server, client = start_client(HttpReply(DONE))
    with pytest.raises(InvalidRecordError):
        post(client, POSTING, posting)
    assert server.connections == 0


def test_an_empty_set_is_not_sent(start_client) -> None:
    """Nothing to post is a mistake of the caller."""
    server, client = start_client(HttpReply(DONE))
    with pytest.raises(ArmConfigurationError, match="no auto postings"):
        post(client)
    assert server.connections == 0
