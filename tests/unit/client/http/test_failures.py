from __future__ import annotations

import logging
import re
import traceback

import pytest

from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS
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
from tests.unit.client.scripted_server import EMPTY, HALF_BODY, HTML, Raw, Say

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
#: The person's data as ARM might quote it, and in other spellings.
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
    """Build a request of the table, with the person in its body where it is a write."""
    endpoints = Endpoints(BaseUrl.parse(base), 2218, "TestUser")
    operation = OPERATIONS[name]
    if operation.method in ("GET", "DELETE"):
        return endpoints.read_request(operation, {"customerno": "543210", "batchuuid": "u"})
    return endpoints.write_request(operation, record)


def told(error: ArmError, caplog: pytest.LogCaptureFixture) -> str:
    """Everything that a person might see of an error and of the logs, in lower case."""
    seen: list[str] = [caplog.text]
    link: BaseException | None = error
    while link is not None:
        # The lines of source around it are not what is looked for.
        seen += [str(link), repr(link), repr(vars(link)), *traceback.format_exception_only(link)]
        link = link.__cause__ or link.__context__
    # A port may hold the digits of a canary by chance.
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", " ".join(seen)).casefold()


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
def test_a_status_is_the_error_by_which_a_caller_can_act(status: int, expected) -> None:
    """Each status gives its class, which says whether a repeat can ever help, and what to do next."""
    verdict = classify_response(request("get_customer"), Response(status, {"x-request-id": "r-1"}, b"{}"), 0.0)
    assert verdict is not None
    error = verdict.error
    assert (type(error), error.permanent) == expected
    assert (error.status_code, error.request_id, error.phase) == (status, "r-1", Phase.ANSWERED)
    assert error.operation == "GET /clients/{clientno}/customers/{customerno}"
    assert str(error).startswith(f"ARM answered {status}")
    assert "request id r-1" in str(error)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 207])
def test_a_success_is_no_error(status: int) -> None:
    """Every 2xx is a result to be read."""
    assert classify_response(request("get_customer"), Response(status, {}, b""), 0.0) is None


def test_406_is_a_result_for_a_batch_alone() -> None:
    """A batch that was rejected is an answer to the question."""
    assert classify_response(request("get_batch"), Response(406, {}, b""), 0.0) is None
    assert classify_response(request("get_customer"), Response(406, {}, b""), 0.0) is not None


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("replay", list(Replay))
def test_a_loss_is_judged_by_phase_and_replay_class(phase: Phase, replay: Replay) -> None:
    """Only what was not sent, or can do no harm, is tried again; the rest has an unknown outcome."""
    verdict = classify_failure(
        Request(Operation("x", "POST", "/x", replay), f"{BASE}/x"), TransportFailure(phase, "it broke")
    )
    again = phase is Phase.NOT_SENT or replay is Replay.SAFE
    assert (verdict.retry is not None) is again
    assert type(verdict.error) is (ArmUnavailableError if again else ArmUnknownOutcomeError)
    assert verdict.error.phase is phase
    assert "it broke" in str(verdict.error)


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        (b"", "application/json", "with an empty body"),
        (b" \n", "", "with an empty body"),
        (b"<!DOCTYPE html><title>x", "", "an HTML page instead of JSON"),
        (b"Sorry", "text/html; charset=utf-8", "an HTML page instead of JSON"),
        (b"canary", "text/plain", "a body of 6 bytes that is not whole JSON"),
        (b'{"message": "canary', "application/json", "a body of 19 bytes that is not whole JSON"),
        (b'"canary"', "application/json", "a body of 8 bytes that is not whole JSON"),
        (b"{}", "application/json", "answered 422 ("),
        (b'{"message": null, "errors": null}', "application/json", "answered 422 ("),
        (b'{"message": "", "errors": "none"}', "application/json", "answered 422 ("),
        (b'{"message": "Not now"}', "application/json", "answered 422: Not now ("),
        (b'{"errors": [{"field": "Name"}, "x", null]}', "application/json", "answered 422: Name:"),
        (b'{"errors": [{"message": "no"}]}', "application/json", "answered 422: no ("),
    ],
)
def test_every_kind_of_error_body_is_explained(body: bytes, content_type: str, says: str) -> None:
    """ARM's format is shown, and any other body is described without showing it (Q6)."""
    verdict = classify_response(request("upsert_customer"), Response(422, {"content-type": content_type}, body), 0.0)
    assert verdict is not None
    assert says in str(verdict.error)
    assert "canary" not in str(verdict.error)


def test_an_error_has_every_field_and_shows_five() -> None:
    """The message stays short, the list of fields whole."""
    errors = ", ".join(f'{{"field": "F{number}", "message": "no"}}' for number in range(7))
    verdict = classify_response(
        request("upsert_customer"), Response(422, {}, f'{{"errors": [{errors}]}}'.encode()), 0.0
    )
    assert verdict is not None
    assert [issue.field for issue in verdict.error.errors] == [f"F{number}" for number in range(7)]
    assert "F4: no; and 2 more" in str(verdict.error)


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "x-correlation-id", "traceparent"])
def test_arms_name_for_the_request_is_kept_for_the_support_call(name: str) -> None:
    """Whichever header carries it."""
    verdict = classify_response(request("get_customer"), Response(404, {name: "abc-1"}, b""), 0.0)
    assert verdict is not None
    assert verdict.error.request_id == "abc-1"


WRITES = ["upsert_customer", "update_customer", "create_customer_batch", "create_document_batch", "update_ar_item"]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429, 500, 503])
@pytest.mark.parametrize("name", WRITES)
def test_no_error_quotes_the_record(name: str, status: int, serve, connect, caplog) -> None:
    """ARM may quote all it likes of the person: nothing of it is in the error, its fields or the logs at DEBUG."""
    caplog.set_level(logging.DEBUG)
    server = serve([Say(REFUSAL, status, {"X-Request-Id": "12015641779"})])
    record = [PERSON] if OPERATIONS[name].key in ("customers", "documents") else PERSON
    with pytest.raises(ArmError) as caught:
        connect(server.url).send(request(name, server.url, record))
    shown = told(caught.value, caplog)
    assert not [canary for canary in CANARIES if canary in shown]
    assert "[name]" in shown
    assert [issue.field for issue in caught.value.errors] == ["Name", "Ssn"]


@pytest.mark.parametrize("name", ["get_customer", "delete_customer"])
def test_what_looks_personal_is_not_quoted_of_a_read_either(name: str, serve, connect, caplog) -> None:
    """Without a record to compare with, e-mail addresses and long numbers go all the same."""
    caplog.set_level(logging.DEBUG)
    server = serve([Say(REFUSAL, 404)])
    with pytest.raises(ArmNotFoundError) as caught:
        connect(server.url).send(request(name, server.url))
    shown = told(caught.value, caplog)
    assert not [canary for canary in (*CANARIES[2:-1], "canary@", "@example") if canary in shown]


@pytest.mark.parametrize(
    "answer",
    [
        Say({"status": "FAILED", "message": QUOTED}),
        Say({"status": "FAILED", "errors": [{"field": "Name", "message": QUOTED}]}),
        Say({"status": f"{PERSON['name']}", "message": QUOTED}),
        Say({"message": QUOTED}),
        Say({"status": 5, "message": QUOTED}),
        Say([QUOTED]),
        Say(f'{{"message": "{QUOTED}'),
        Say(f"<html>{QUOTED}</html>"),
        Say(QUOTED),
        Raw(f"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{QUOTED}".encode()),
        Raw(f"{QUOTED}\r\n\r\n".encode()),
        Say(b"{}", headers={"Content-Length": f"{QUOTED}"}),
    ],
    ids=lambda answer: type(answer).__name__,
)
@pytest.mark.parametrize("name", ["upsert_customer", "create_customer_batch", "create_document_batch"])
def test_no_success_that_cannot_be_used_is_quoted(name: str, answer, serve, connect, caplog) -> None:
    """A 200 of any shape that is no success shows nothing of the person, in no link of the error's chain."""
    caplog.set_level(logging.DEBUG)
    server = serve([answer])
    ask = request(name, server.url, [PERSON] if name.endswith("batch") else PERSON)
    read = (
        receipt_reader(ask.record, DEFAULT_ASSUMPTIONS)
        if name.endswith("batch")
        else write_reader(ask.record, DEFAULT_ASSUMPTIONS)
    )
    with pytest.raises(ArmError) as caught:
        connect(server.url).send(ask, read)
    shown = told(caught.value, caplog)
    assert not [canary for canary in CANARIES if canary in shown]


@pytest.mark.parametrize("answer", [HTML, EMPTY, HALF_BODY, Say('{"customerNo": "543210", "name": "Canary"', 200)])
def test_a_broken_answer_is_one_clear_error(answer, serve, connect) -> None:
    """HTML, an empty or a cut body: our own words, and no chain into a parser or an HTTP library."""
    server = serve([answer])
    with pytest.raises((ArmInvalidResponseError, ArmUnavailableError)) as caught:
        connect(server.url).call("get_customer", path={"customerno": "1"})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "Traceback" not in str(caught.value)
    assert "Canary" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [{"status": "ACCEPTED"}, {"batchUuid": ""}, {"batchUuid": None, "note": QUOTED}, {"batchUuid": 5}]
)
def test_a_receipt_without_a_batch_uuid_is_no_success(body, serve, connect) -> None:
    """A batch that cannot be followed is an error that shows the body, masked (Q1)."""
    server = serve([Say(body, 202)])
    ask = request("create_document_batch", server.url, [PERSON])
    with pytest.raises(ArmUnknownOutcomeError, match="batchUuid") as caught:
        connect(server.url).send(ask, receipt_reader(ask.record, DEFAULT_ASSUMPTIONS))
    assert not [canary for canary in CANARIES if canary in str(caught.value).casefold()]
    assert server.tries == 1


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_receipt_is_taken_with_any_success_code(status: int, serve, connect) -> None:
    """200, 201 and 202 with more keys than we know are all a receipt, and the UUID keeps its case (Q1)."""
    server = serve([Say({"status": "ACCEPTED", "batchUuid": "9F2c-AbC", "more": 1}, status)])
    ask = request("create_document_batch", server.url, [PERSON])
    assert connect(server.url).send(ask, receipt_reader(ask.record, DEFAULT_ASSUMPTIONS)).batch_uuid == "9F2c-AbC"


@pytest.mark.parametrize(
    ("answer", "error", "tries"),
    [
        (HTML, ArmInvalidResponseError, 5),
        (EMPTY, ArmInvalidResponseError, 5),
        (Say("<html>406</html>", 406), ArmInvalidResponseError, 5),
        (Say(b"", 404), ArmNotFoundError, 1),
        (Say(b"", 410), ArmValidationError, 1),
    ],
)
def test_a_batch_that_cannot_be_read_is_asked_for_again(answer, error, tries, serve, connect) -> None:
    """A page of HTML is no state of a batch, with whatever code it comes."""
    server = serve([answer])
    with pytest.raises(error):
        connect(server.url).get_batch("u")
    assert server.tries == tries


@pytest.mark.parametrize(("status", "state"), [(202, "pending"), (406, "rejected")])
def test_a_batch_without_a_body_is_known_by_its_code(status: int, state: str) -> None:
    """202 and 406 speak for themselves."""
    assert batch_reader(None, DEFAULT_ASSUMPTIONS)(Response(status, {}, b"")).state == state


def test_an_issue_reads_as_a_sentence() -> None:
    """With a field and without."""
    assert str(FieldIssue("a.b", "must be text")) == "a.b: must be text"
    assert str(FieldIssue("", "must be text")) == "must be text"
    error = InvalidRecordError([FieldIssue("a", "x"), FieldIssue("", "y")])
    assert (str(error), error.phase, error.permanent) == ("a: x; y", Phase.NOT_SENT, True)
    assert isinstance(error, ValueError)


def test_the_fact_is_the_message_without_the_advice() -> None:
    """Where a message is quoted in another that says what to do, only what happened is quoted."""
    error = classify_failure(
        request("create_document_batch"), TransportFailure(Phase.MAYBE_SENT, "the connection was lost")
    ).error
    assert str(error) == f"{error.summary}; look in ARM whether it took effect before you send it again"
