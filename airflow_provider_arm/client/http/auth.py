"""Tokens of the API: fetched once for all calls of a client, renewed before they expire, never shown."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmAuthenticationError, ArmConfigurationError, ArmError, Phase
from airflow_provider_arm.client.http.messages import InvalidResponseError, Request, Response
from airflow_provider_arm.client.models.token import Token, parse_seconds
from airflow_provider_arm.client.operations import Operation, Replay
from airflow_provider_arm.client.readings import DEFAULT_READINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.client.reading_entries import CallReadings

#: Seconds before a token expires at which a new one is fetched: longer than any call, and enough for two clocks that
#: differ by two minutes. At most half of the token's lifetime.
RENEWAL_LEAD_SECONDS = 120.0
#: Lifetime in seconds of a token whose response does not state one (the reference: "3600 typical").
DEFAULT_TOKEN_LIFETIME = 3600.0
#: Seconds after the token service rejected the credentials in which they are not tried again: many tasks with a wrong
#: secret must not lock the account.
REJECTION_COOLDOWN = 60.0
#: Seconds after the token service failed, with all its retries, in which it is not called again: a thousand coroutines
#: that wait for one call would otherwise all repeat it, one after the other.
OUTAGE_COOLDOWN = 5.0

TOKEN_CALL = Operation("get_token", "POST", "{auth_url}", Replay.SAFE)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Credentials for the token service (``grant_type=client_credentials``)."""

    auth_url: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    #: Not in ARM's reference; sent only if it is set.
    scope: str | None = None

    def request(self, readings: CallReadings | None = None, connection: str | None = None) -> Request:
        """Build the request for a token.

        :param readings: where ID and secret are sent, and the scope of a connection without one; default: the defaults.
        :param connection: name of the connection, for messages.
        """
        readings = readings or DEFAULT_READINGS.calls
        form = {"grant_type": "client_credentials"}
        secrets = {"client_id": self.client_id, "client_secret": self.client_secret}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if readings.token_auth == "basic":  # noqa: S105 - a name of a method
            # RFC 6749, 2.3.1: both are encoded before they are joined.
            pair = ":".join(quote_plus(text) for text in secrets.values())
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= secrets
        if scope := self.scope or readings.token_scope:
            form["scope"] = scope
        return Request(
            operation=TOKEN_CALL,
            url=self.auth_url.strip(),
            headers=headers,
            body=urlencode(form).encode(),
            record=form | secrets,
            needs_token=False,
            connection=connection,
        )


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token that was obtained elsewhere. The client cannot renew it.

    :raises ArmConfigurationError: it is empty or cannot be sent in a header.
    """

    access_token: str = field(repr=False)

    def __post_init__(self) -> None:
        """Check that the token can be sent in a header."""
        if not _is_header_safe(self.access_token):
            raise ArmConfigurationError(
                "access_token of the connection is empty or contains a character that no token has "
                "(a space or a line break?)"
            )


def _is_header_safe(token: str) -> bool:
    # For any other token the HTTP libraries raise errors that contain it.
    return token.isascii() and token.isprintable() and bool(token) and " " not in token


def read_token(response: Response) -> Token:
    """Read the response of the token service.

    :raises ValueError: it is not JSON, or has no ``access_token`` that can be sent in a header.
    """
    token = Token.from_wire(money.decode(response.body))
    if not _is_header_safe(token.access_token):
        reason = "an access_token that cannot be sent in a header"
        raise InvalidResponseError(reason, retryable=False)
    return token


class TokenCache:
    """The token of one client, or the last failure to get one.

    It has no lock and does no I/O: the client ensures that one caller at a time fetches a token.

    :param on_token: called with every new token before it is used, so that it can be masked in logs.
    """

    def __init__(self, on_token: Callable[[str], object] | None = None) -> None:
        self._on_token = on_token
        self._token: str | None = None
        self._renew_at = 0.0
        self._failure: tuple[float, ArmError] | None = None

    def get(self, now: float, rejected: str | None = None) -> str | None:
        """Return a token that is valid at monotonic time *now* and is not *rejected*; ``None`` if there is none.

        :raises ArmAuthenticationError: the credentials were rejected within :data:`REJECTION_COOLDOWN`.
        :raises ArmError: the token service failed within :data:`OUTAGE_COOLDOWN`.
        """
        if self._token is not None and self._token != rejected and now < self._renew_at:
            return self._token
        if self._failure is not None:
            until, error = self._failure
            if now < until:
                # A new object: one exception raised in many threads would accumulate their tracebacks.
                raise type(error)(
                    str(error),
                    operation=error.operation,
                    status_code=error.status_code,
                    phase=Phase.NOT_SENT,
                    retry_after=error.retry_after,
                )
        return None

    def store(self, token: Token, now: float, wall: float) -> str:
        """Store a new token at monotonic time *now* and unix time *wall*, and return its text."""
        if self._on_token is not None:
            self._on_token(token.access_token)
        lifetime = _lifetime(token, wall)
        self._token = token.access_token
        self._renew_at = now + lifetime - min(RENEWAL_LEAD_SECONDS, lifetime / 2)
        self._failure = None
        return token.access_token

    def record_rejection(self, error: ArmAuthenticationError, now: float) -> None:
        """Record that the credentials were rejected at monotonic time *now*, and drop the token."""
        self._token = None
        self._failure = (now + REJECTION_COOLDOWN, error)

    def record_outage(self, error: ArmError, now: float) -> None:
        """Record that the token service failed at monotonic time *now*."""
        self._failure = (now + OUTAGE_COOLDOWN, error)


def _lifetime(token: Token, wall: float) -> float:
    """Return the seconds from unix time *wall* until the token expires.

    ``expires_in`` is preferred, because it does not depend on synchronized clocks. ``expires_on`` shortens it if the
    service returns a token that it issued earlier. If the response has neither, the ``exp`` of the JWT counts. An end
    in the past is ignored: then our clock is ahead.
    """
    end = token.expires_on
    if token.expires_in is None and end is None:
        end = _read_expiry(token.access_token)
    left = end - wall if end is not None and end > wall else None
    known = [seconds for seconds in (token.expires_in, left) if seconds is not None]
    return min(known, default=DEFAULT_TOKEN_LIFETIME)


def _read_expiry(token: str) -> int | None:
    """Return the claim ``exp`` of a JWT in unix seconds; ``None`` if it is none or has none."""
    try:
        return parse_seconds(money.decode(base64.urlsafe_b64decode(token.split(".")[1] + "==="))["exp"])
    except (ValueError, LookupError, TypeError):
        return None
