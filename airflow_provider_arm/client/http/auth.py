"""Tokens: got once, shared by all calls of a client, renewed ahead of time, never shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmAuthenticationError, ArmConfigurationError, ArmError, Phase
from airflow_provider_arm.client.http.messages import InvalidResponseError, Request, Response
from airflow_provider_arm.client.models import Token
from airflow_provider_arm.client.operations import Operation, Replay

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds before the end of a token at which a new one is fetched: longer than any call, and room for two clocks
#: that are two minutes apart. Never more than half of the token's life.
RENEWAL_LEAD_SECONDS = 120.0
#: A token without any word on its life is taken to live this long, in seconds ("3600 typical", says the reference).
DEFAULT_TOKEN_LIFETIME = 3600.0
#: After the token service refused the credentials, seconds before they are tried again: a storm of tasks with a
#: wrong secret must not lock the account.
REJECTION_COOLDOWN = 60.0

#: After the token service could not answer, with all its retries, seconds in which nobody tries again: a thousand
#: coroutines that wait for the one call would else each make it anew, one after the other.
OUTAGE_COOLDOWN = 5.0

TOKEN_CALL = Operation("get_token", "POST", "{auth_url}", Replay.SAFE)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What the token service wants (``grant_type=client_credentials``)."""

    auth_url: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    #: Not listed by ARM's reference; sent only where given.
    scope: str | None = None

    def request(self) -> Request:
        """Build the token call."""
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}
        if self.scope:
            form["scope"] = self.scope
        return Request(
            operation=TOKEN_CALL,
            url=self.auth_url.strip(),
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            body=urlencode(form).encode(),
            record=form,
            needs_token=False,
        )


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token that somebody else got; it cannot be renewed here."""

    access_token: str = field(repr=False)

    def __post_init__(self) -> None:
        """Check that it can be sent."""
        if not _fits_a_header(self.access_token):
            msg = "access_token of the connection is empty or has a character of no token (a blank, a line break?)"
            raise ArmConfigurationError(msg)


def _fits_a_header(token: str) -> bool:
    # The HTTP libraries' own errors about any other token would carry it.
    return token.isascii() and token.isprintable() and bool(token) and " " not in token


def read_token(answer: Response) -> Token:
    """Read the token service's answer.

    :raises ValueError: it is not JSON or has no ``access_token`` that can be sent.
    """
    token = Token.from_wire(money.decode(answer.body))
    if not _fits_a_header(token.access_token):
        reason = "an access_token that no header can carry"
        raise InvalidResponseError(reason, retryable=False)
    return token


class TokenCache:
    """The state of one client's token. Holds no lock and does no I/O: its owner makes sure that one at a time asks."""

    def __init__(self, on_token: Callable[[str], object] | None = None) -> None:
        #: Called with every new token before anything else sees it, so that it can be masked in logs.
        self._on_token = on_token
        self._token: str | None = None
        self._renew_at = 0.0
        self._failure: tuple[float, ArmError] | None = None

    def current(self, now: float, rejected: str | None = None) -> str | None:
        """Give a token that is good at monotonic time *now* and is not *rejected*, else ``None``.

        :raises ArmAuthenticationError: the credentials were refused moments ago.
        :raises ArmError: the token service could not answer moments ago.
        """
        if self._token is not None and self._token != rejected and now < self._renew_at:
            return self._token
        if self._failure is not None:
            until, error = self._failure
            if now < until:
                # A new object: one exception raised in many threads would pile up their tracebacks.
                raise type(error)(
                    str(error),
                    operation=error.operation,
                    status_code=error.status_code,
                    phase=Phase.NOT_SENT,
                    retry_after=error.retry_after,
                )
        return None

    def store(self, token: Token, now: float, wall: float) -> str:
        """Take a new token at monotonic time *now* and unix time *wall*."""
        if self._on_token is not None:
            self._on_token(token.access_token)
        life = _life(token, wall)
        self._token = token.access_token
        self._renew_at = now + life - min(RENEWAL_LEAD_SECONDS, life / 2)
        self._failure = None
        return token.access_token

    def refused(self, error: ArmAuthenticationError, now: float) -> None:
        """Remember that the credentials were refused."""
        self._token = None
        self._failure = (now + REJECTION_COOLDOWN, error)

    def failed(self, error: ArmError, now: float) -> None:
        """Remember that the token service could not answer."""
        self._failure = (now + OUTAGE_COOLDOWN, error)


def _life(token: Token, wall: float) -> float:
    """Seconds that the token lives.

    ``expires_in`` needs no common clock and so comes first; ``expires_on`` shortens it where the service hands out a
    token that it made earlier. A clock of ours that runs ahead of ``expires_on`` altogether is not believed.
    """
    left = token.expires_on - wall if token.expires_on is not None else None
    if token.expires_in is None:
        return left if left is not None and left > 0 else DEFAULT_TOKEN_LIFETIME
    return min(token.expires_in, left) if left is not None and left > 0 else token.expires_in
