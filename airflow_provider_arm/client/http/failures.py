"""What a response or a failure means: the error to raise, and whether the call may be retried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from airflow_provider_arm.client import money
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
from airflow_provider_arm.client.http.redaction import MAX_MESSAGE_LENGTH, Mask, mask
from airflow_provider_arm.client.http.retry import parse_retry_after
from airflow_provider_arm.client.http.urls import DEFAULT_PORTS, STAGING_BASE_URL, is_unambiguous
from airflow_provider_arm.client.models.base import find_only_list
from airflow_provider_arm.client.models.posting import BATCH_REJECTED
from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.client.readings import DEFAULT_READINGS

if TYPE_CHECKING:
    from airflow_provider_arm.client.http.messages import RejectedResponseError, Request, Response, TransportFailure
    from airflow_provider_arm.client.readings import Readings

#: Statuses of a temporary condition. They do not show whether the request took effect.
_TEMPORARY = frozenset(
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
#: The documented status of a record that took no effect.
_FAILED = "FAILED"
#: Field errors in a message at most, so that it stays readable; the error object has them all.
_MAX_SHOWN_ISSUES = 5

_CLIENT_ERROR_CLASSES: dict[int, type[ArmError]] = {
    HTTPStatus.UNAUTHORIZED: ArmAuthenticationError,
    HTTPStatus.FORBIDDEN: ArmPermissionError,
    HTTPStatus.NOT_FOUND: ArmNotFoundError,
}

_CREDENTIALS_ADVICE = "check client id, client secret and auth_url of the connection"
_ADVICE = {
    ArmAuthenticationError: _CREDENTIALS_ADVICE,
    ArmPermissionError: "ask Amili whether these credentials permit this operation for this client number",
    ArmNotFoundError: "check the number and the connection's client_no",
    ArmRateLimitError: "retry later, or run fewer tasks at once (an Airflow pool)",
    ArmUnavailableError: "usually temporary; Airflow will retry",
    ArmUnknownOutcomeError: "check in ARM whether it took effect before you send it again",
}


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """A failed attempt: the error, and whether the same call may be retried."""

    error: ArmError
    #: Why the call may be retried, for the log; ``None`` if it may not.
    retry_reason: str | None


def classify_failure(request: Request, failure: TransportFailure) -> RetryDecision:
    """Return the error for a request without a complete response. Only what is safe to repeat may be retried."""
    replay = request.operation.replay
    if failure.phase is Phase.NOT_SENT or replay is Replay.SAFE:
        verb = "could not be reached" if failure.phase is Phase.NOT_SENT else "did not answer"
        message = f"{verb}: {failure.reason}"
        advice = failure.advice and failure.advice.format(field=_address_field(request))
        error = _error(ArmUnavailableError, request, message, advice, phase=failure.phase)
        return RetryDecision(error, failure.reason)
    message = f"did not answer ({failure.reason}) and may or may not have accepted the request"
    return RetryDecision(_error(ArmUnknownOutcomeError, request, message, phase=failure.phase), None)


def classify_response(
    request: Request, response: Response, now: float, readings: Readings = DEFAULT_READINGS
) -> RetryDecision | None:
    """Return the error for a response, or ``None`` if its status is a result of the operation.

    :param now: unix seconds, to parse a ``Retry-After`` date.
    """
    if response.status in _SUCCESSES or response.status in request.operation.also_results:
        return None
    return _classify_error_status(request, response, now, readings)


def _classify_error_status(request: Request, response: Response, now: float, readings: Readings) -> RetryDecision:
    status, replay = response.status, request.operation.replay
    detail, issues = _describe_error_body(request, response)
    attributes: dict[str, Any] = {
        "status_code": status,
        "errors": issues,
        "request_id": request_id(response, readings),
        "phase": Phase.ANSWERED,
        "retry_after": parse_retry_after(response.headers.get("retry-after"), now),
    }
    message = f"answered {status}{detail}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RetryDecision(_error(ArmRateLimitError, request, message, **attributes), "429")
    if status in _REDIRECTS:
        message = f"answered {status}, a redirect, which is not followed because it would send the token to another URL"
        error = _error(ArmInvalidResponseError, request, message, _advise_on_redirect(request, response), **attributes)
        return RetryDecision(error, None)
    if status in _CLIENT_ERRORS and status not in _TEMPORARY:
        error_class = _CLIENT_ERROR_CLASSES.get(status, ArmValidationError)
        advice = None if detail.startswith(":") else _advise_on_address(request, response)
        error = _error(error_class, request, message, advice, **attributes)
        if isinstance(error, ArmNotFoundError):
            error.proves_absence = not (detail and response.body.strip()) or detail.startswith(":")
        return RetryDecision(error, None)
    if replay is Replay.SAFE:
        return RetryDecision(
            _error(ArmUnavailableError, request, message, **attributes), str(status) if status in _TEMPORARY else None
        )
    return RetryDecision(_error(ArmUnknownOutcomeError, request, message, **attributes), None)


def classify_invalid_body(
    request: Request,
    response: Response,
    reason: str,
    readings: Readings = DEFAULT_READINGS,
    *,
    retryable: bool = True,
    error_class: type[ArmInvalidResponseError] = ArmInvalidResponseError,
) -> RetryDecision:
    """Return the error for a success with an invalid body. A safe call may be retried; else the outcome is unknown.

    :param retryable: whether another attempt could return a better body.
    :param error_class: the error of a safe call.
    """
    message = f"answered {response.status} with {reason}"
    attributes: dict[str, Any] = {
        "status_code": response.status,
        "request_id": request_id(response, readings),
        "phase": Phase.ANSWERED,
    }
    if request.operation.replay is Replay.SAFE:
        advice = _advise_on_address(request, response) if _is_html(response) else None
        error = _error(error_class, request, message, advice, **attributes)
        return RetryDecision(error, reason if retryable else None)
    return RetryDecision(_error(ArmUnknownOutcomeError, request, message, **attributes), None)


def classify_rejected_record(
    request: Request, response: Response, rejection: RejectedResponseError, readings: Readings = DEFAULT_READINGS
) -> RetryDecision:
    """Return the error for a success code whose body reports a failed record: the call had no effect."""
    error = _error(
        ArmValidationError,
        request,
        f"answered {response.status} with {rejection}",
        status_code=response.status,
        errors=rejection.issues,
        request_id=request_id(response, readings),
        phase=Phase.ANSWERED,
    )
    return RetryDecision(error, None)


def describe_request(request: Request) -> str:
    """Describe where a request goes: method, path without data, host, port and connection, for messages and logs."""
    parts = urlsplit(request.url)
    label = request.operation.label if request.needs_token else f"{request.operation.method} {parts.path or '/'}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    place = f"{label} at {host}:{parts.port or DEFAULT_PORTS[parts.scheme]}"
    return f"{place}, connection {request.connection!r}" if request.connection else place


def _error(
    error_class: type[ArmError], request: Request, message: str, advice: str | None = None, **attributes: Any
) -> ArmError:
    """Build the error of a failed call: what failed, where, and the next step.

    :param advice: the next step; default: that of the class.
    """
    service = "ARM" if request.needs_token else "the token service"
    summary = f"{service} {message} ({describe_request(request)})"
    if attributes.get("request_id"):
        summary += f", request id {attributes['request_id']}"
    if advice is None:
        is_rejection = not request.needs_token and error_class.permanent
        advice = _CREDENTIALS_ADVICE if is_rejection else _ADVICE.get(error_class)
    steps = "".join(f"; {text}" for text in (advice, _profile_advice(error_class, request)) if text)
    error = error_class(summary + steps, operation=request.operation.label, **attributes)
    error.summary = summary
    return error


def _address_field(request: Request) -> str:
    return f"{'host' if request.needs_token else 'auth_url'} of the connection"


def _advise_on_address(request: Request, response: Response) -> str:
    """Return the next step if a body is none of ARM's: perhaps something else has answered."""
    field = _address_field(request)
    if not request.needs_token:
        return f"check {field}: does a token service answer there? If it does, check client id and client secret"
    if response.status == HTTPStatus.UNAUTHORIZED:
        return _CREDENTIALS_ADVICE
    if response.status == HTTPStatus.FORBIDDEN:
        return f"a proxy or firewall may have answered: check {field}; else {_ADVICE[ArmPermissionError]}"
    if response.status in _CLIENT_ERRORS:
        return f"check the path in {field}, such as {STAGING_BASE_URL}, then the number and client_no"
    return f"check {field}, and whether a proxy or a login page answers instead of ARM"


def _advise_on_redirect(request: Request, response: Response) -> str:
    """Return the next step after a redirect. Of the address only scheme, host and port are shown."""
    field = _address_field(request)
    try:
        target = urlsplit(urljoin(request.url, response.headers.get("location", "")))
        origin = f"{target.scheme}://{target.hostname}" + (f":{target.port}" if target.port else "")
    except ValueError:
        origin = ""
    if not is_unambiguous(origin) or len(origin) > MAX_MESSAGE_LENGTH:
        return f"check {field}"
    return f"check {field}: the redirect leads to {origin}"


def _profile_advice(error_class: type[ArmError], request: Request) -> str:
    """Return the entries of the readings profile that may be wrong if ARM refuses a request."""
    operation = request.operation
    if error_class is ArmAuthenticationError and not request.needs_token:
        return "see also calls.token_auth and calls.token_scope in the readings"
    if error_class is ArmNotFoundError and not operation.documented:
        return f"its path is assumed (paths.{operation.name} in the readings)"
    if error_class is not ArmValidationError:
        return ""
    if operation.item_key is not None:
        return "if it refuses a filter or a parameter, see filters.windows and lists.parameters in the readings"
    if operation.record is not None:
        return f"if it refuses the whole body, see record_keys.{operation.name} and write.metadata_key in the readings"
    return ""


def request_id(response: Response, readings: Readings) -> str | None:
    """Return ARM's identifier of the request, masked, or ``None`` if no header has one."""
    for name in readings.calls.request_id_headers:
        if response.headers.get(name):
            return mask(response.headers[name])
    return None


def _describe_error_body(request: Request, response: Response) -> tuple[str, list[FieldIssue]]:
    """Return an error body's text and field errors if it has ARM's format (Q6), else a description of the body."""
    try:
        body = money.decode(response.body)
    except ValueError:
        body = None
    if not isinstance(body, Mapping):
        return f" with {describe_body(response)}", []
    issues = field_issues(body, request.record)
    # The token service has the format of OAuth: error and error_description instead of message.
    texts = [body.get(key) for key in ("message", "error", "error_description")]
    parts = [mask(text, request.record) for text in texts if isinstance(text, str) and text]
    parts += filter(None, [describe_batch_rejections(body)])
    parts += [str(issue) for issue in issues[:_MAX_SHOWN_ISSUES]]
    if len(issues) > _MAX_SHOWN_ISSUES:
        parts.append(f"and {len(issues) - _MAX_SHOWN_ISSUES} more")
    return (": " + "; ".join(parts) if parts else ""), issues


def field_issues(body: Mapping[str, Any], record: Any = None) -> list[FieldIssue]:
    """Read ``errors`` of a decoded body and of the records in it, masked. Members of another shape are ignored.

    Those of a record carry its position from 1: ``record 2, ArItemId``.

    :param record: what was sent, see :func:`~airflow_provider_arm.client.http.redaction.mask`.
    """
    masked = Mask(record)
    issues = [FieldIssue(field, masked(message)) for field, message in _errors(body)]
    for position, member in _members(body):
        errors = _errors(member)
        if not errors and str(member.get("status")).upper() == _FAILED and not _is_rejected_with_set(member):
            errors = [("", str(member.get("message") or "ARM gave no reason"))]
        issues += [
            FieldIssue(f"record {position}, {field}".removesuffix(", "), masked(message)) for field, message in errors
        ]
    return issues


def describe_batch_rejections(body: Mapping[str, Any]) -> str:
    """Return the number of valid records that were rejected with their set, as text; ``""`` for none."""
    count = sum(_is_rejected_with_set(member) for _, member in _members(body))
    return f"{count} valid but rejected with the rest of the set ({BATCH_REJECTED})" if count else ""


def _errors(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    errors = body.get("errors")
    return [
        (str(item.get("field") or ""), str(item.get("message") or ""))
        for item in (errors if isinstance(errors, list) else [])
        if isinstance(item, Mapping)
    ]


def _members(body: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the results of single records in a body about several, each with its position from 1."""
    found = find_only_list(body, frozenset({"errors", "warnings"}))
    return [
        # recordNo is assumed (Q2), and so is that results come in the order in which the records were sent.
        (member["recordNo"] if isinstance(member.get("recordNo"), int) else position, member)
        for position, member in enumerate(found[1] if found else [], 1)
        if isinstance(member, Mapping)
    ]


def _is_rejected_with_set(member: Mapping[str, Any]) -> bool:
    return str(member.get("resultType")).upper() == BATCH_REJECTED


def describe_body(response: Response) -> str:
    """Describe a body that is not the expected JSON, without quoting it."""
    if not response.body.strip():
        return "an empty body"
    if _is_html(response):
        return "an HTML page instead of JSON (from a proxy, or a maintenance page?)"
    return f"a body of {len(response.body)} bytes that is not complete JSON"


def _is_html(response: Response) -> bool:
    body = response.body.lstrip()
    return bool(body) and (body[:1] == b"<" or "html" in response.headers.get("content-type", ""))
