"""One call from request to result: token, attempts, pauses, errors. No I/O: it says what to do and is told what came.

The synchronous and the asynchronous client drive the same generator, so they cannot decide differently.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_arm.client.errors import ArmAuthenticationError, ArmError, InvalidRecordError, Phase
from airflow_provider_arm.client.http.auth import ClientCredentials, StaticToken, TokenCache, read_token
from airflow_provider_arm.client.http.failures import (
    RetryDecision,
    classify_failure,
    classify_invalid_body,
    classify_rejected_record,
    classify_response,
    describe_body,
)
from airflow_provider_arm.client.http.messages import (
    InvalidResponseError,
    RejectedResponseError,
    Request,
    Response,
    TransportFailure,
)
from airflow_provider_arm.client.http.urls import raise_for_remote_sandbox
from airflow_provider_arm.client.operations import Replay

if TYPE_CHECKING:
    from airflow_provider_arm.client.assumptions import Assumptions
    from airflow_provider_arm.client.http.retry import Clock, RetryPolicy

log = logging.getLogger(__name__)


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Put the request on the wire with this token; answer with an :class:`Response` or a :class:`TransportFailure`."""

    request: Request
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this many seconds; answer with ``None``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NeedToken:
    """Get a token that is not ``rejected``, one caller at a time (:func:`authorize`); answer with the token."""

    rejected: str | None = field(repr=False)


Step = Send | Pause | NeedToken
Outcome = Response | TransportFailure | str | None
Flow = Generator[Step, Outcome, T]


def _unobserved(_: Request, __: Response | TransportFailure) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """What a client decides by, and who is told of each attempt."""

    retry: RetryPolicy
    clock: Clock
    assumptions: Assumptions
    observe: Callable[[Request, Response | TransportFailure], object] = _unobserved


def call(request: Request, read: Callable[[Response], T], rules: CallPolicy) -> Flow[T]:
    """Make one call and read its answer.

    :param read: turns the answer into the result; raises ``ValueError`` where it cannot (the body is no JSON, a model
        does not fit, :class:`InvalidResponseError` with our own words).
    :raises ArmError: as its subclasses say.
    """
    started = rules.clock.monotonic()
    token = yield from _token(request, None)
    attempt, renewed = 0, False
    while True:
        attempt += 1
        outcome = _checked(request, (yield Send(request, token)))
        rules.observe(request, outcome)
        if _may_renew(request, outcome, rules) and not renewed:
            renewed, attempt = True, attempt - 1
            token = yield from _token(request, token)
            continue
        result = _read(request, outcome, read, rules)
        if not isinstance(result, RetryDecision):
            rules.retry.budget.gain()
            return result
        yield from _pause_or_raise(result, attempt, rules.clock.monotonic() - started, rules)


def _token(request: Request, rejected: str | None) -> Flow[str | None]:
    if not request.needs_token:
        return None
    token = yield NeedToken(rejected)
    if not isinstance(token, str):  # pragma: no cover - a driver's programming error
        msg = "the driver gave no token"
        raise TypeError(msg)
    return token


def _checked(request: Request, outcome: Outcome) -> Response | TransportFailure:
    if not isinstance(outcome, Response | TransportFailure):  # pragma: no cover - a driver's programming error
        msg = "the driver gave no outcome"
        raise TypeError(msg)
    if isinstance(outcome, Response):
        # First of all: not even a fresh token goes there.
        raise_for_remote_sandbox(request.url, outcome.headers)
    return outcome


def _may_renew(request: Request, outcome: Response | TransportFailure, rules: CallPolicy) -> bool:
    """Whether a 401 is worth one renewal: a write is sent again only if a 401 proves that ARM did not take it."""
    if not (isinstance(outcome, Response) and outcome.status == HTTPStatus.UNAUTHORIZED and request.needs_token):
        return False
    return request.operation.replay is Replay.SAFE or rules.assumptions.checks_token_first


def _read(
    request: Request, outcome: Response | TransportFailure, read: Callable[[Response], T], rules: CallPolicy
) -> T | RetryDecision:
    if isinstance(outcome, TransportFailure):
        return classify_failure(request, outcome)
    verdict = classify_response(request, outcome, rules.clock.time())
    if verdict is not None:
        return verdict
    try:
        return read(outcome)
    except RejectedResponseError as error:
        return classify_rejected_record(request, outcome, error)
    except InvalidResponseError as error:
        return classify_invalid_body(request, outcome, str(error), retryable=error.retryable)
    except InvalidRecordError as error:
        # ARM means it so: asking again brings the same.
        return classify_invalid_body(request, outcome, f"a record that does not fit ({error})", retryable=False)
    except ValueError:
        return classify_invalid_body(request, outcome, describe_body(outcome))


def _pause_or_raise(verdict: RetryDecision, attempt: int, elapsed: float, rules: CallPolicy) -> Flow[None]:
    if verdict.retry is None:
        raise verdict.error
    seconds = rules.retry.pause(attempt, elapsed, verdict.error.retry_after)
    if seconds is None:
        raise verdict.error
    log.warning(
        "%s: %s; attempt %d of %d in %.1f s",
        verdict.error.operation,
        verdict.retry,
        attempt + 1,
        rules.retry.max_attempts,
        seconds,
    )
    yield Pause(seconds)


def authorize(
    credentials: ClientCredentials | StaticToken, keeper: TokenCache, rejected: str | None, rules: CallPolicy
) -> Flow[str]:
    """Get a token that is not *rejected*: the one at hand, or a new one. The driver lets one caller in at a time.

    :raises ArmAuthenticationError: the credentials are refused, or a static token was rejected.
    """
    if isinstance(credentials, StaticToken):
        if rejected is not None:
            msg = "ARM refused the access_token of the connection (401): put a fresh one in, or use id and secret"
            raise ArmAuthenticationError(msg, status_code=HTTPStatus.UNAUTHORIZED.value, phase=Phase.ANSWERED)
        return credentials.access_token
    token = keeper.current(rules.clock.monotonic(), rejected)
    if token is not None:
        return token
    try:
        fresh = yield from call(credentials.request(), read_token, rules)
    except ArmError as error:
        refusal = _as_refusal(error)
        # However far the token call got: the call that needs the token was not sent.
        error.phase = Phase.NOT_SENT
        if refusal is None:
            keeper.failed(error, rules.clock.monotonic())
            raise
        keeper.refused(refusal, rules.clock.monotonic())
        raise refusal from None
    return keeper.store(fresh, rules.clock.monotonic(), rules.clock.time())


def _as_refusal(error: ArmError) -> ArmAuthenticationError | None:
    """Whatever 4xx the token service gives but 408, 425 and 429, it is the credentials or their address."""
    if not error.permanent or error.phase is not Phase.ANSWERED:
        return None
    return ArmAuthenticationError(
        f"{error}; check client id, client secret and auth_url of the connection"
        if not isinstance(error, ArmAuthenticationError)
        else str(error),
        operation=error.operation,
        status_code=error.status_code,
        phase=Phase.NOT_SENT,
    )
