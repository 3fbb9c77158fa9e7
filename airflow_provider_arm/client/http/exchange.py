"""One call from request to result: token, attempts, delays, errors. Does no I/O.

:func:`call` is a generator of steps. The synchronous and the asynchronous client both drive it: they execute each step
and send its result back. So they cannot decide differently.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import (
    ArmAuthenticationError,
    ArmError,
    ArmInvalidDataError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmRateLimitError,
    InvalidRecordError,
    Phase,
)
from airflow_provider_arm.client.http.auth import ClientCredentials, StaticToken, TokenCache, read_token
from airflow_provider_arm.client.http.failures import (
    RetryDecision,
    classify_failure,
    classify_invalid_body,
    classify_rejected_record,
    classify_response,
    describe_body,
    describe_request,
)
from airflow_provider_arm.client.http.messages import (
    InvalidDataError,
    InvalidResponseError,
    RejectedResponseError,
    Request,
    Response,
    TransportFailure,
)
from airflow_provider_arm.client.http.urls import raise_for_remote_sandbox
from airflow_provider_arm.client.operations import Replay

if TYPE_CHECKING:
    from airflow_provider_arm.client.http.retry import Clock, RetryPolicy
    from airflow_provider_arm.client.readings import Readings

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Step: send the request with this token. The result is a :class:`Response` or a :class:`TransportFailure`."""

    request: Request
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sleep:
    """Step: wait this many seconds. The result is ``None``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GetToken:
    """Step: get a token other than ``rejected``, one caller at a time (:func:`authorize`). The result is the token."""

    rejected: str | None = field(repr=False)


Step = SendRequest | Sleep | GetToken
StepResult = Response | TransportFailure | str | None
#: A generator of steps that returns a ``T``.
CallSteps = Generator[Step, StepResult, T]


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """Everything that decides how a client's calls are made.

    :param connection: name of the connection, for messages about the token.
    :param on_attempt: called after every attempt with its request and result.
    """

    retry: RetryPolicy
    clock: Clock
    readings: Readings
    connection: str | None = None
    on_attempt: Callable[[Request, Response | TransportFailure], object] | None = None


def call(request: Request, read: Callable[[Response], T], policy: CallPolicy) -> CallSteps[T]:
    """Perform one call and return its result.

    :param read: turns the response into the result. It raises ``ValueError`` if it cannot: the body is not JSON, does
        not fit a model, or is invalid for another reason (:class:`InvalidResponseError`).
    :raises ArmError: see its subclasses.
    """
    started = policy.clock.monotonic()
    token = yield from _get_token(request, None)
    attempt, renewed, maybe_done = 0, False, False
    while True:
        attempt += 1
        outcome = _check_outcome(request, (yield SendRequest(request, token)))
        if policy.on_attempt is not None:
            policy.on_attempt(request, outcome)
        if not renewed and _is_token_renewable(request, outcome, policy):
            renewed, attempt = True, attempt - 1
            token = yield from _get_token(request, token)
            continue
        result = _read(request, outcome, read, policy)
        if not isinstance(result, RetryDecision):
            policy.retry.budget.earn()
            return result
        if maybe_done and _is_deleted(request, result):
            return _read_deletion(request, read, policy)
        maybe_done = maybe_done or not _is_certainly_not_done(result.error)
        yield from _sleep_or_raise(request, result, attempt, policy.clock.monotonic() - started, policy)


def _get_token(request: Request, rejected: str | None) -> CallSteps[str | None]:
    if not request.needs_token:
        return None
    token = yield GetToken(rejected)
    if not isinstance(token, str):  # pragma: no cover - a driver's programming error
        raise TypeError("the driver sent no token")
    return token


def _check_outcome(request: Request, outcome: StepResult) -> Response | TransportFailure:
    if not isinstance(outcome, Response | TransportFailure):  # pragma: no cover - a driver's programming error
        raise TypeError("the driver sent no response and no failure")
    if isinstance(outcome, Response):
        # Before anything else: a remote sandbox must not even get a new token.
        raise_for_remote_sandbox(request.url, outcome.headers)
    return outcome


def _is_token_renewable(request: Request, outcome: Response | TransportFailure, policy: CallPolicy) -> bool:
    """Return whether to renew the token once after a 401.

    A write is sent again only if a 401 proves that ARM did not accept it (``checks_token_first``).
    """
    if not (isinstance(outcome, Response) and outcome.status == HTTPStatus.UNAUTHORIZED and request.needs_token):
        return False
    return request.operation.replay is Replay.SAFE or policy.readings.calls.checks_token_first


def _read(
    request: Request, outcome: Response | TransportFailure, read: Callable[[Response], T], policy: CallPolicy
) -> T | RetryDecision:
    if isinstance(outcome, TransportFailure):
        return classify_failure(request, outcome)
    decision = classify_response(request, outcome, policy.clock.time(), policy.readings)
    if decision is not None:
        return decision
    try:
        return read(outcome)
    except RejectedResponseError as error:
        return classify_rejected_record(request, outcome, error, policy.readings)
    except InvalidResponseError as error:
        error_class = ArmInvalidDataError if isinstance(error, InvalidDataError) else ArmInvalidResponseError
        return classify_invalid_body(
            request, outcome, str(error), policy.readings, retryable=error.retryable, error_class=error_class
        )
    except InvalidRecordError as error:
        # ARM sent it on purpose: another attempt would return the same.
        return classify_invalid_body(
            request, outcome, f"a record that does not fit its model ({error})", policy.readings, retryable=False
        )
    except ValueError:
        return classify_invalid_body(request, outcome, describe_body(outcome), policy.readings)


def _is_certainly_not_done(error: ArmError) -> bool:
    return error.phase is Phase.NOT_SENT or isinstance(error, ArmRateLimitError)


def _is_deleted(request: Request, decision: RetryDecision) -> bool:
    """Return whether ARM has nothing to delete."""
    error = decision.error
    return request.operation.method == "DELETE" and isinstance(error, ArmNotFoundError) and error.proves_absence


def _read_deletion(request: Request, read: Callable[[Response], T], policy: CallPolicy) -> T:
    """Return the result of a DELETE that found nothing after an earlier attempt of the same call may have deleted it.

    It is read from a response in the documented format, with a warning.
    """
    message = "ARM has no such record any more (404): an earlier attempt, whose response was lost, has deleted it"
    log.warning("%s: %s", describe_request(request), message)
    write = policy.readings.write
    body = {write.status_key: write.success_words[0], "result": "DELETED", "warnings": [{"message": message}]}
    return read(Response(HTTPStatus.OK, {}, money.encode(body)))


def _sleep_or_raise(
    request: Request, decision: RetryDecision, attempt: int, elapsed: float, policy: CallPolicy
) -> CallSteps[None]:
    if decision.retry_reason is None:
        raise decision.error
    seconds = policy.retry.delay(attempt, elapsed, decision.error.retry_after)
    if seconds is None:
        raise decision.error
    log.warning(
        "%s: %s; attempt %d of %d in %.1f s",
        describe_request(request),
        decision.retry_reason,
        attempt + 1,
        policy.retry.max_attempts,
        seconds,
    )
    yield Sleep(seconds)


def authorize(
    credentials: ClientCredentials | StaticToken, cache: TokenCache, rejected: str | None, policy: CallPolicy
) -> CallSteps[str]:
    """Return a token other than *rejected*, from the cache or the token service. The driver runs one caller at a time.

    :raises ArmAuthenticationError: the credentials are rejected, or a static token was rejected.
    """
    if isinstance(credentials, StaticToken):
        if rejected is not None:
            name = f" {policy.connection!r}" if policy.connection else ""
            msg = (
                f"ARM rejected the access_token of the connection{name} (401): replace it, or use client ID and secret"
            )
            raise ArmAuthenticationError(msg, status_code=HTTPStatus.UNAUTHORIZED.value, phase=Phase.ANSWERED)
        return credentials.access_token
    token = cache.get(policy.clock.monotonic(), rejected)
    if token is not None:
        return token
    try:
        new_token = yield from call(credentials.request(policy.readings.calls, policy.connection), read_token, policy)
    except ArmError as error:
        rejection = _as_rejection(error)
        # However far the token call got: the call that needs the token was not sent.
        error.phase = Phase.NOT_SENT
        if rejection is None:
            cache.record_outage(error, policy.clock.monotonic())
            raise
        cache.record_rejection(rejection, policy.clock.monotonic())
        raise rejection from None
    return cache.store(new_token, policy.clock.monotonic(), policy.clock.time())


def _as_rejection(error: ArmError) -> ArmAuthenticationError | None:
    """Convert any 4xx of the token service but 408, 425 and 429: the credentials or the URL are wrong."""
    if not error.permanent or error.phase is not Phase.ANSWERED:
        return None
    return ArmAuthenticationError(
        str(error), operation=error.operation, status_code=error.status_code, phase=Phase.NOT_SENT
    )
