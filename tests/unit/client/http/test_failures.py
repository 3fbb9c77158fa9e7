from __future__ import annotations

import logging
import re
import traceback

import pytest

from airflow_provider_arm.client.endpoints import Endpoints, batch_reader, receipt_reader, write_reader
from airflow_provider_arm.client.errors import (
    ArmAuthenticationError,
    ArmError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmPermissionError,
    ArmRateLimitError,
    ArmUnavailableError,
    ArmUnknownOutcomeError,
    ArmValidationError,
    FieldIssue,
    InvalidRecordError,
    Phase,
)
from airflow_provider_arm.client.http.failures import classify_failure, classify_response
from airflow_provider_arm.client.http.messages import Request, Response, TransportFailure
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.operations import OPERATIONS, Operation, Replay
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from tests.unit.client.scripted_server import EMPTY, HTML, PARTIAL_BODY, HttpReply, RawReply

PERSON = {
    "customerNo": "543210",
    "name": "Canary Kanarifugl",
    "emailAddressDocument": ["canary@example.no"],
    "ssn": "12015641779",
    "phoneNo": "99 88 77 66",
    "bankAccountNo": "8150.13.66584",
    "postalAddress": {
        "addressLine1": "Canary street 5",
        "addressLine2": "",
        "addressLine3": "",
        "postalCode": "0975",
        "cityName": "Canaryville",
        "countryText": "Norway",
        "countryCode": "NO",
    },
}
#: The person's data as ARM might quote it, also in other spellings.
QUOTED = (
    "Canary Kanarifugl, CANARY KANARIFUGL, Canary street 5, Canaryville 0975, "
    "canary@example.no, canary@ example.no, other.canary@example.com, "
    "12015641779, 120156 41779, 99 88 77 66, 99887766, 8150.13.66584, 81501366584, NO9386011117947"
)
CANARIES = ("canary", "kanari", "12015641779", "41779", "99 88", "99887766", "66584", "11117947", "0975")
REFUSAL = {
    "status": "FAILED",
    "message": f"Refused: {QUOTED}",
    "errors": [{"field": "Name", "message": f"Bad: {QUOTED}"}, {"field": "Ssn", "message": QUOTED}],
}
BASE = "https://api.amili.no/arm/v1"


def request(name: str, base: str = BASE, record: object = PERSON) -> Request:
    """Build a request of an operation; that of a write has the record in its body."""
    endpoints = Endpoints(BaseUrl.parse(base), 2218, "TestUser")
    operation = OPERATIONS[name]
    if operation.method in ("GET", "DELETE"):
        return endpoints.read_request(operation, {"customerno": "543210", "batchuuid": "u"})
    return endpoints.write_request(operation, record)


def shown_text(error: ArmError, caplog: pytest.LogCaptureFixture) -> str:
    """Return all text that users may see of an error and of the logs, in lower case."""
    texts: list[str] = [caplog.text]
    link: BaseException | None = error
    while link is not None:
        # Without the lines of source code, which contain the canaries.
        texts += [str(link), repr(link), repr(vars(link)), *traceback.format_exception_only(link)]
        link = link.__cause__ or link.__context__
    # A port may contain the digits of a canary by chance.
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", " ".join(texts)).casefold()


STATUSES = {
    400: (ArmValidationError, True),
    401: (ArmAuthenticationError, True),
    403: (ArmPermissionError, True),
    404: (ArmNotFoundError, True),
    406: (ArmValidationError, True),
    409: (ArmValidationError, True),
    422: (ArmValidationError, True),
    429: (ArmRateLimitError, False),
    408: (ArmUnavailableError, False),
    425: (ArmUnavailableError, False),
    500: (ArmUnavailableError, False),
    501: (ArmUnavailableError, False),
    503: (ArmUnavailableError, False),
    301: (ArmInvalidResponseError, False),
    307: (ArmInvalidResponseError, False),
    304: (ArmInvalidResponseError, False),
}


@pytest.mark.parametrize(("status", "expected"), list(STATUSES.items()))
def test_each_status_raises_its_error_class(status: int, expected) -> None:
    """The class tells whether a retry can help, and the message what to do next."""
    decision = classify_response(request("get_customer"), Response(status, {"x-request-id": "r-1"}, b"{}"), 0.0)
    assert decision is not None
    error = decision.error
    assert (type(error), error.permanent) == expected
    assert (error.status_code, error.request_id, error.phase) == (status, "r-1", Phase.ANSWERED)
    assert error.operation == "GET /clients/{clientno}/customers/{customerno}"
    assert str(error).startswith(f"ARM answered {status}")
    assert "request id r-1" in str(error)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 207])
def test_success_status_is_no_error(status: int) -> None:
    """Every 2xx is a result to read."""
    assert classify_response(request("get_customer"), Response(status, {}, b""), 0.0) is None


def test_406_is_a_result_for_a_batch_only() -> None:
    """It means that the batch was rejected."""
    assert classify_response(request("get_batch"), Response(406, {}, b""), 0.0) is None
    assert classify_response(request("get_customer"), Response(406, {}, b""), 0.0) is not None


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("replay", list(Replay))
def test_failure_is_classified_by_phase_and_replay_class(phase: Phase, replay: Replay) -> None:
    """Only what was not sent, or is safe to repeat, is retried; for the rest the outcome is unknown."""
    decision = classify_failure(
        Request(Operation("x", "POST", "/x", replay), f"{BASE}/x"), TransportFailure(phase, "it broke")
    )
    retryable = phase is Phase.NOT_SENT or replay is Replay.SAFE
    assert (decision.retry_reason is not None) is retryable
    assert type(decision.error) is (ArmUnavailableError if retryable else ArmUnknownOutcomeError)
    assert decision.error.phase is phase
    assert "it broke" in str(decision.error)


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", "application/json", "with an empty body"),
        (b" \n", "", "with an empty body"),
        (b"<!DOCTYPE html><title>x", "", "an HTML page instead of JSON"),
        (b"Sorry", "text/html; charset=utf-8", "an HTML page instead of JSON"),
        (b"canary", "text/plain", "a body of 6 bytes that is not complete JSON"),
        (b'{"message": "canary', "application/json", "a body of 19 bytes that is not complete JSON"),
        (b'"canary"', "application/json", "a body of 8 bytes that is not complete JSON"),
        (b"{}", "application/json", "answered 422 ("),
        (b'{"message": null, "errors": null}', "application/json", "answered 422 ("),
        (b'{"message": "", "errors": "none"}', "application/json", "answered 422 ("),
        (b'{"message": "Not now"}', "application/json", "answered 422: Not now ("),
        (b'{"errors": [{"field": "Name"}, "x", null]}', "application/json", "answered 422: Name:"),
        (b'{"errors": [{"message": "no"}]}', "application/json", "answered 422: no ("),
    ],
)
def test_every_kind_of_error_body_is_described(body: bytes, content_type: str, expected: str) -> None:
    """ARM's format is shown, and any other body is described without quoting it (Q6)."""
    decision = classify_response(request("upsert_customer"), Response(422, {"content-type": content_type}, body), 0.0)
    assert decision is not None
    assert expected in str(decision.error)
    assert "canary" not in str(decision.error)


def test_error_has_all_issues_and_shows_five() -> None:
    """The message stays short, the list of issues is complete."""
    errors = ", ".join(f'{{"field": "F{number}", "message": "no"}}' for number in range(7))
    decision = classify_response(
        request("upsert_customer"), Response(422, {}, f'{{"errors": [{errors}]}}'.encode()), 0.0
    )
    assert decision is not None
    assert [issue.field for issue in decision.error.errors] == [f"F{number}" for number in range(7)]
    assert "F4: no; and 2 more" in str(decision.error)


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "x-correlation-id", "traceparent"])
def test_request_id_is_read_from_any_of_its_headers(name: str) -> None:
    """Users can quote it to Amili."""
    decision = classify_response(request("get_customer"), Response(404, {name: "abc-1"}, b""), 0.0)
    assert decision is not None
    assert decision.error.request_id == "abc-1"


WRITES = ["upsert_customer", "update_customer", "create_customer_batch", "create_document_batch", "update_ar_item"]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429, 500, 503])
@pytest.mark.parametrize("name", WRITES)
def test_no_error_quotes_the_record(name: str, status: int, start_server, make_driver, caplog) -> None:
    """Whatever ARM quotes of the person, nothing of it is in the error, its fields or the logs at DEBUG."""
    caplog.set_level(logging.DEBUG)
    server = start_server([HttpReply(REFUSAL, status, {"X-Request-Id": "12015641779"})])
    record = [PERSON] if OPERATIONS[name].key in ("customers", "documents") else PERSON
    with pytest.raises(ArmError) as caught:
        make_driver(server.url).send(request(name, server.url, record))
    shown = shown_text(caught.value, caplog)
    assert not [canary for canary in CANARIES if canary in shown]
    assert "[name]" in shown
    assert [issue.field for issue in caught.value.errors] == ["Name", "Ssn"]


@pytest.mark.parametrize("name", ["get_customer", "delete_customer"])
def test_error_of_a_read_has_no_personal_data(name: str, start_server, make_driver, caplog) -> None:
    """Without a record to compare with, e-mail addresses and long numbers are masked all the same."""
    caplog.set_level(logging.DEBUG)
    server = start_server([HttpReply(REFUSAL, 404)])
    with pytest.raises(ArmNotFoundError) as caught:
        make_driver(server.url).send(request(name, server.url))
    shown = shown_text(caught.value, caplog)
    assert not [canary for canary in (*CANARIES[2:-1], "canary@", "@example") if canary in shown]


@pytest.mark.parametrize(
    "reply",
    [
        HttpReply({"status": "FAILED", "message": QUOTED}),
        HttpReply({"status": "FAILED", "errors": [{"field": "Name", "message": QUOTED}]}),
        HttpReply({"status": f"{PERSON['name']}", "message": QUOTED}),
        HttpReply({"message": QUOTED}),
        HttpReply({"status": 5, "message": QUOTED}),
        HttpReply([QUOTED]),
        HttpReply(f'{{"message": "{QUOTED}'),
        HttpReply(f"<html>{QUOTED}</html>"),
        HttpReply(QUOTED),
        RawReply(f"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{QUOTED}".encode()),
        RawReply(f"{QUOTED}\r\n\r\n".encode()),
        HttpReply(b"{}", headers={"Content-Length": f"{QUOTED}"}),
    ],
    ids=lambda reply: type(reply).__name__,
)
@pytest.mark.parametrize("name", ["upsert_customer", "create_customer_batch", "create_document_batch"])
def test_invalid_success_is_not_quoted(name: str, reply, start_server, make_driver, caplog) -> None:
    """A 200 of any shape that is no success shows nothing of the person, in no error of the error's chain."""
    caplog.set_level(logging.DEBUG)
    server = start_server([reply])
    call = request(name, server.url, [PERSON] if name.endswith("batch") else PERSON)
    read = (
        receipt_reader(call.record, DEFAULT_READINGS)
        if name.endswith("batch")
        else write_reader(call.record, DEFAULT_READINGS)
    )
    with pytest.raises(ArmError) as caught:
        make_driver(server.url).send(call, read)
    shown = shown_text(caught.value, caplog)
    assert not [canary for canary in CANARIES if canary in shown]


@pytest.mark.parametrize(
    "reply", [HTML, EMPTY, PARTIAL_BODY, HttpReply('{"customerNo": "543210", "name": "Canary"', 200)]
)
def test_broken_response_raises_without_a_cause(reply, start_server, make_driver) -> None:
    """For HTML, an empty or an incomplete body, the error has our message and no library's error as its cause."""
    server = start_server([reply])
    with pytest.raises((ArmInvalidResponseError, ArmUnavailableError)) as caught:
        make_driver(server.url).call("get_customer", path={"customerno": "1"})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "Traceback" not in str(caught.value)
    assert "Canary" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [{"status": "ACCEPTED"}, {"batchUuid": ""}, {"batchUuid": None, "note": QUOTED}, {"batchUuid": 5}]
)
def test_receipt_without_batch_uuid_raises(body, start_server, make_driver, caplog) -> None:
    """A batch that cannot be polled is an error that shows the body, masked (Q1)."""
    server = start_server([HttpReply(body, 202)])
    call = request("create_document_batch", server.url, [PERSON])
    with pytest.raises(ArmUnknownOutcomeError, match="batchUuid") as caught:
        make_driver(server.url).send(call, receipt_reader(call.record, DEFAULT_READINGS))
    shown = shown_text(caught.value, caplog)
    assert not [canary for canary in CANARIES if canary in shown]
    assert server.attempts == 1


@pytest.mark.parametrize("status", [200, 201, 202])
def test_receipt_is_read_with_any_success_status(status: int, start_server, make_driver) -> None:
    """With 200, 201 or 202 and unknown keys it is a receipt, and the UUID keeps its case (Q1)."""
    server = start_server([HttpReply({"status": "ACCEPTED", "batchUuid": "9F2c-AbC", "more": 1}, status)])
    call = request("create_document_batch", server.url, [PERSON])
    assert make_driver(server.url).send(call, receipt_reader(call.record, DEFAULT_READINGS)).batch_uuid == "9F2c-AbC"


@pytest.mark.parametrize(
    ("reply", "error", "attempts"),
    [
        (HTML, ArmInvalidResponseError, 5),
        (EMPTY, ArmInvalidResponseError, 5),
        (HttpReply("<html>406</html>", 406), ArmInvalidResponseError, 5),
        (HttpReply(b"", 404), ArmNotFoundError, 1),
        (HttpReply(b"", 410), ArmValidationError, 1),
    ],
)
def test_batch_response_of_html_is_retried(reply, error, attempts, start_server, make_driver) -> None:
    """An HTML page is no state of a batch, whatever its status."""
    server = start_server([reply])
    with pytest.raises(error):
        make_driver(server.url).get_batch("u")
    assert server.attempts == attempts


@pytest.mark.parametrize(("status", "state"), [(202, "pending"), (406, "rejected")])
def test_batch_response_without_a_body_is_read_by_its_status(status: int, state: str) -> None:
    """202 and 406 need no body."""
    assert batch_reader(None, DEFAULT_READINGS)(Response(status, {}, b"")).state == state


def test_field_issue_as_text() -> None:
    """With and without a field."""
    assert str(FieldIssue("a.b", "must be text")) == "a.b: must be text"
    assert str(FieldIssue("", "must be text")) == "must be text"
    error = InvalidRecordError([FieldIssue("a", "x"), FieldIssue("", "y")])
    assert (str(error), error.phase, error.permanent) == ("a: x; y", Phase.NOT_SENT, True)
    assert isinstance(error, ValueError)


def test_summary_is_the_message_without_the_advice() -> None:
    """Other messages, which have their own advice, quote only the summary."""
    error = classify_failure(
        request("create_document_batch"), TransportFailure(Phase.MAYBE_SENT, "the connection was lost")
    ).error
    assert str(error) == f"{error.summary}; check in ARM whether it took effect before you send it again"
