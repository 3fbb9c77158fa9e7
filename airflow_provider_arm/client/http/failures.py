"""What an answer or a loss means: the error to raise, and whether the same call may be tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.assumptions import REQUEST_ID_HEADERS
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
    Phase,
)
from airflow_provider_arm.client.http.redaction import Mask, mask
from airflow_provider_arm.client.http.retry import parse_retry_after
from airflow_provider_arm.client.models.base import find_only_list
from airflow_provider_arm.client.models.posting import BATCH_REJECTED
from airflow_provider_arm.client.operations import Replay

if TYPE_CHECKING:
    from airflow_provider_arm.client.http.messages import RejectedResponseError, Request, Response, TransportFailure

#: Answers that say "not now", of which nobody knows whether the request took effect.
_NOT_NOW = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_CLIENT_ERRORS = range(400, 500)
_SUCCESSES = range(200, 300)
_REDIRECTS = range(300, 400)
#: The documented status word of a record that took no effect.
_FAILED = "FAILED"
#: More field errors than this make a message that nobody reads; the error object has them all.
_SHOWN_ISSUES = 5

_NEXT_STEP = {
    ArmAuthenticationError: "check client id, client secret and auth_url of the connection",
    ArmPermissionError: "ask Amili whether these credentials may do this for this client number",
    ArmNotFoundError: "check the number and the connection's client_no",
    ArmRateLimitError: "let it run later, or with fewer tasks at once (an Airflow pool)",
    ArmUnavailableError: "nothing to change here: let it be retried later",
    ArmUnknownOutcomeError: "look in ARM whether it took effect before you send it again",
}


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """An outcome that is no success."""

    error: ArmError
    #: Why the same call may be tried again; ``None`` where it may not.
    retry: str | None


def classify_failure(request: Request, lost: TransportFailure) -> RetryDecision:
    """Say what it means that no whole answer came."""
    replay = request.operation.replay
    if lost.phase is Phase.NOT_SENT or replay is Replay.SAFE:
        what = f"{'could not be reached' if lost.phase is Phase.NOT_SENT else 'did not answer'}: {lost.reason}"
        return RetryDecision(_error(ArmUnavailableError, request, what, phase=lost.phase), lost.reason)
    what = f"did not answer ({lost.reason}) and may or may not have taken the request"
    return RetryDecision(_error(ArmUnknownOutcomeError, request, what, phase=lost.phase), None)


def classify_response(request: Request, answer: Response, now: float) -> RetryDecision | None:
    """Say what an answer means; ``None`` where its status is a result.

    :param now: unix seconds, to read a ``Retry-After`` date.
    """
    if answer.status in _SUCCESSES or answer.status in request.operation.also_results:
        return None
    return _judge_status(request, answer, now)


def _judge_status(request: Request, answer: Response, now: float) -> RetryDecision:
    status, replay = answer.status, request.operation.replay
    retry_after = parse_retry_after(answer.headers.get("retry-after"), now)
    said, issues = _what_arm_said(request, answer)
    facts: dict[str, Any] = {
        "status_code": status,
        "errors": issues,
        "request_id": request_id(answer),
        "phase": Phase.ANSWERED,
        "retry_after": retry_after,
    }
    what = f"answered {status}{said}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RetryDecision(_error(ArmRateLimitError, request, what, **facts), "429")
    if status in _REDIRECTS:
        what = f"answered {status}, a redirect, which is not followed because it would carry the token elsewhere"
        return RetryDecision(_error(ArmInvalidResponseError, request, what, **facts), None)
    if status in _CLIENT_ERRORS and status not in _NOT_NOW:
        return RetryDecision(_error(_REFUSALS.get(status, ArmValidationError), request, what, **facts), None)
    if replay is Replay.SAFE:
        return RetryDecision(
            _error(ArmUnavailableError, request, what, **facts), str(status) if status in _NOT_NOW else None
        )
    return RetryDecision(_error(ArmUnknownOutcomeError, request, what, **facts), None)


_REFUSALS: dict[int, type[ArmError]] = {
    HTTPStatus.UNAUTHORIZED: ArmAuthenticationError,
    HTTPStatus.FORBIDDEN: ArmPermissionError,
    HTTPStatus.NOT_FOUND: ArmNotFoundError,
}


def classify_invalid_body(request: Request, answer: Response, why: str, *, retryable: bool = True) -> RetryDecision:
    """Judge a success whose body cannot be read: a safe call may be tried again, any other has an unknown outcome.

    :param retryable: whether another attempt could bring a better body.
    """
    what = f"answered {answer.status} with {why}"
    facts: dict[str, Any] = {
        "status_code": answer.status,
        "request_id": request_id(answer),
        "phase": Phase.ANSWERED,
    }
    if request.operation.replay is Replay.SAFE:
        return RetryDecision(_error(ArmInvalidResponseError, request, what, **facts), why if retryable else None)
    return RetryDecision(_error(ArmUnknownOutcomeError, request, what, **facts), None)


def classify_rejected_record(request: Request, answer: Response, refusal: RejectedResponseError) -> RetryDecision:
    """Judge a success code whose body says that the record failed: nothing happened."""
    error = _error(
        ArmValidationError,
        request,
        f"answered {answer.status} with {refusal}",
        status_code=answer.status,
        errors=refusal.issues,
        request_id=request_id(answer),
        phase=Phase.ANSWERED,
    )
    return RetryDecision(error, None)


def _error(kind: type[ArmError], request: Request, what: str, **facts: Any) -> ArmError:
    name = "ARM" if request.needs_token else "the token service"
    message = f"{name} {what} ({request.operation.label})"
    if facts.get("request_id"):
        message += f", request id {facts['request_id']}"
    advice = f"; {_NEXT_STEP[kind]}" if kind in _NEXT_STEP else ""
    error = kind(message + advice, operation=request.operation.label, **facts)
    error.summary = message
    return error


def request_id(answer: Response) -> str | None:
    """Find ARM's own name for the request, where it gave one."""
    for name in REQUEST_ID_HEADERS:
        if answer.headers.get(name):
            return mask(answer.headers[name])
    return None


def _what_arm_said(request: Request, answer: Response) -> tuple[str, list[FieldIssue]]:
    """Read an error body in ARM's format (Q6), else say what kind of body it is."""
    try:
        body = money.decode(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, Mapping):
        return f" with {describe_body(answer)}", []
    issues = field_issues(body, request.record)
    # The token service speaks OAuth: error and error_description instead of message.
    words = [body.get(key) for key in ("message", "error", "error_description")]
    parts = [mask(word, request.record) for word in words if isinstance(word, str) and word]
    parts += filter(None, [describe_batch_rejections(body)])
    parts += [str(issue) for issue in issues[:_SHOWN_ISSUES]]
    if len(issues) > _SHOWN_ISSUES:
        parts.append(f"and {len(issues) - _SHOWN_ISSUES} more")
    return (": " + "; ".join(parts) if parts else ""), issues


def field_issues(body: Mapping[str, Any], record: Any = None) -> list[FieldIssue]:
    """Read ``errors`` of a decoded body and of the records in it, masked; members of another shape are passed over.

    Those of a record carry its place: ``record 2, ArItemId``.
    """
    masked = Mask(record)
    issues = [FieldIssue(field, masked(message)) for field, message in _errors(body)]
    for place, member in _members(body):
        own = _errors(member)
        if not own and str(member.get("status")).upper() == _FAILED and not _only_with_the_set(member):
            own = [("", str(member.get("message") or "ARM gave no reason"))]
        issues += [FieldIssue(f"record {place}, {field}".removesuffix(", "), masked(message)) for field, message in own]
    return issues


def describe_batch_rejections(body: Mapping[str, Any]) -> str:
    """Say how many records of a set that is taken as a whole were refused only because of others; else nothing."""
    count = sum(_only_with_the_set(member) for _, member in _members(body))
    return f"{count} valid by themselves and refused with the set ({BATCH_REJECTED})" if count else ""


def _errors(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    errors = body.get("errors")
    return [
        (str(item.get("field") or ""), str(item.get("message") or ""))
        for item in (errors if isinstance(errors, list) else [])
        if isinstance(item, Mapping)
    ]


def _members(body: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """Give the answers to single records in a body about several, each with its place from 1."""
    found = find_only_list(body, frozenset({"errors", "warnings"}))
    return [
        # recordNo is assumed (Q2), as is that records are answered in the order in which they were sent.
        (member["recordNo"] if isinstance(member.get("recordNo"), int) else place, member)
        for place, member in enumerate(found[1] if found else [], 1)
        if isinstance(member, Mapping)
    ]


def _only_with_the_set(member: Mapping[str, Any]) -> bool:
    return str(member.get("resultType")).upper() == BATCH_REJECTED


def describe_body(answer: Response) -> str:
    """Say what a body is that is not the JSON that was due, without showing it."""
    if not answer.body.strip():
        return "an empty body"
    if answer.body.lstrip()[:1] == b"<" or "html" in answer.headers.get("content-type", ""):
        return "an HTML page instead of JSON (a proxy's or a maintenance page?)"
    return f"a body of {len(answer.body)} bytes that is not whole JSON"
