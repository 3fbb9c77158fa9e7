from __future__ import annotations

import base64
import json
import logging
import traceback
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.endpoints import Endpoints
from airflow_provider_arm.client.errors import (
    ArmAuthenticationError,
    ArmConfigurationError,
    ArmError,
    ArmInvalidResponseError,
    ArmUnavailableError,
    Phase,
)
from airflow_provider_arm.client.http.auth import (
    DEFAULT_TOKEN_LIFETIME,
    OUTAGE_COOLDOWN,
    REJECTION_COOLDOWN,
    RENEWAL_LEAD_SECONDS,
    ClientCredentials,
    StaticToken,
    TokenCache,
    read_token,
)
from airflow_provider_arm.client.http.exchange import GetToken, SendRequest
from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.http.retry import MAX_ATTEMPTS
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.models import Token
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.client.readings import Readings
from tests.unit.client.drivers import SHORT_TIMEOUT, TOKEN, ManualClock
from tests.unit.client.scripted_server import (
    EMPTY,
    HTML,
    CloseConnection,
    HttpReply,
    NeverReply,
    RecordedRequest,
    ResetConnection,
    unused_port,
)

SECRETS = ("canary-secret-Zz9", "canary-token", "secret-canary")
CALL = ("get_customer", {"customerno": "1"})


class TokenService:
    """A token service that returns canary-token-1, -2, ... and counts them."""

    def __init__(self, start_server, clock: ManualClock, *, skew: float = 0.0, lifetime: int = 3600) -> None:
        self.clock, self.skew, self.lifetime = clock, skew, lifetime
        self.numbers = count(1)
        self.server = start_server(self.reply)

    def reply(self, _: RecordedRequest) -> HttpReply:
        """Return the next token."""
        number = next(self.numbers)
        expires_on = int(self.clock.wall + self.skew + self.lifetime)
        return HttpReply(
            {"access_token": f"canary-token-{number}", "expires_in": self.lifetime, "expires_on": expires_on}
        )

    @property
    def calls(self) -> int:
        """Number of tokens that were requested."""
        return len(self.server.requests)

    def credentials(self, **settings: Any) -> ClientCredentials:
        """Return credentials for this service."""
        return ClientCredentials(f"{self.server.url}/token", "the-client-id", SECRETS[0], **settings)


@pytest.fixture
def service(start_server, clock) -> TokenService:
    """A working token service."""
    return TokenService(start_server, clock)


def start_api(start_server, is_valid=lambda _: True):
    """Start an API that accepts the tokens for which *is_valid* is true, and returns the token of the call."""

    def reply(request: RecordedRequest) -> HttpReply:
        token = request.headers["authorization"].removeprefix("Bearer ")
        rejection = HttpReply({"status": "FAILED", "message": "expired"}, 401)
        return HttpReply({"token": token}) if is_valid(token) else rejection

    return start_server(reply)


def call_api(driver, times: int = 1) -> list[Any]:
    """Make the same read *times* times, one after the other; return the tokens of the calls."""
    return [driver.call(CALL[0], path=CALL[1])["token"] for _ in range(times)]


def test_token_request_is_as_documented(start_server, make_driver, service) -> None:
    """It is one form post with grant type, client ID and secret; every call then has the token."""
    api = start_api(start_server)
    assert call_api(make_driver(api.url, service.credentials()), 3) == ["canary-token-1"] * 3
    (request,) = service.server.requests
    assert (request.method, request.target) == ("POST", "/token")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in request.headers
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["the-client-id"],
        "client_secret": [SECRETS[0]],
    }


def test_scope_is_sent_only_if_set(service) -> None:
    """The reference does not list it."""
    assert b"scope" not in (service.credentials().request().body or b"")
    assert b"scope=arm.read+x" in (service.credentials(scope="arm.read x").request().body or b"")


def test_white_space_around_auth_url_is_ignored(start_server, make_driver, service) -> None:
    """A URL that was pasted with a line break works."""
    credentials = ClientCredentials(f" {service.server.url}/token\n", "id", SECRETS[0])
    assert call_api(make_driver(start_api(start_server).url, credentials)) == ["canary-token-1"]
    assert service.server.requests[0].target == "/token"


def test_concurrent_calls_share_one_token_request(start_server, make_driver, service) -> None:
    """However many threads or coroutines start at once, one of them gets the token for all."""
    driver = make_driver(start_api(start_server).url, service.credentials())
    assert driver.call_concurrently(20, CALL[0], path=CALL[1]) == [{"token": "canary-token-1"}] * 20
    assert service.calls == 1


@pytest.mark.parametrize("lifetime", [3600, 600, 240, 100, 2])
def test_token_is_renewed_before_it_expires(start_server, make_driver, clock, lifetime: int) -> None:
    """A new token is fetched once, ahead of the expiry by the lead time or by half of a short lifetime."""
    service = TokenService(start_server, clock, lifetime=lifetime)
    driver = make_driver(start_api(start_server).url, service.credentials())
    used = lifetime - min(RENEWAL_LEAD_SECONDS, lifetime / 2)
    assert call_api(driver) == ["canary-token-1"]
    clock.advance(used - 0.5)
    assert call_api(driver) == ["canary-token-1"]
    clock.advance(0.5)
    assert call_api(driver, 2) == ["canary-token-2"] * 2
    assert service.calls == 2


@pytest.mark.parametrize("skew", [-600, -120, 0, 120, 600])
def test_clock_skew_of_ten_minutes_causes_no_failed_call(start_server, make_driver, clock, skew: int) -> None:
    """With the service's clock ahead or behind, an hour of calls needs two tokens, and none of them is expired."""
    service = TokenService(start_server, clock, skew=skew)
    issued: dict[str, float] = {}
    api = start_api(start_server, lambda token: clock.ticks < issued.setdefault(token, clock.ticks) + 3600)
    driver = make_driver(api.url, service.credentials())
    for _ in range(60):
        call_api(driver)
        clock.advance(60)
    assert service.calls == 2
    assert len(api.requests) == 60


WALL = 1_700_000_000
#: Forms in which a service may state a lifetime or a time that no client can use.
UNUSABLE = st.sampled_from(
    [
        *("", " ", "soon", "11/28/2026 11:30:00 PM +00:00", "2026-11-28T00:00:00Z", "1h", "NaN", "Infinity", "0", "-5"),
        *(0, -1, -3600, True, False, [], {}, [3600], 10**18, "9" * 5000, None),
    ]
)


def forms_of(seconds: int) -> st.SearchStrategy[Any]:
    """Return the forms of a number of seconds that occur: a number, text, with decimals."""
    return st.sampled_from([seconds, str(seconds), f" {seconds} ", f"{seconds}.0", float(seconds), seconds + 0.5])


def jwt(claims: Any) -> str:
    """Return an unsigned JWT."""
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])


def used_seconds(response: dict[str, Any], wall: float = WALL) -> float:
    """Return the seconds for which a token of this response is used."""
    token = read_token(Response(200, {}, json.dumps(response).encode()))
    cache = TokenCache()
    assert cache.store(token, 0.0, wall) == cache.get(0.0) == response["access_token"]
    return cache._renew_at


def used_of(lifetime: float) -> float:
    """Return the seconds for which a token with this lifetime is used."""
    return lifetime - min(RENEWAL_LEAD_SECONDS, lifetime / 2)


@settings(deadline=None, max_examples=300)
@given(
    data=st.data(), token=st.sampled_from(["opaque", "a.b.c", "..", "a.e30.c"]), extra=st.sampled_from(["", None, 5])
)
def test_token_of_any_shape_is_used_but_not_beyond_its_lifetime(data, token: str, extra: Any) -> None:
    """An unusable lifetime leaves the other field, or the default. Other fields do not matter."""
    lifetime, left = data.draw(st.none() | st.integers(1, 10**5)), data.draw(st.none() | st.integers(-(10**5), 10**5))
    response = {"access_token": token, "token_type": extra, "not_before": data.draw(UNUSABLE), "resource": extra}
    response["expires_in"] = data.draw(UNUSABLE if lifetime is None else forms_of(lifetime))
    response["expires_on"] = data.draw(UNUSABLE if left is None else forms_of(WALL + left))
    known = [seconds for seconds in (lifetime, left) if seconds is not None and seconds > 0]
    assert used_seconds(response) == used_of(min(known, default=DEFAULT_TOKEN_LIFETIME))


@settings(deadline=None)
@given(left=st.integers(1, 10**5), unusable=UNUSABLE)
def test_expiry_of_the_jwt_counts_if_the_response_states_none(left: int, unusable: Any) -> None:
    """A lifetime in the response overrides it, and an expiry in the past is ignored."""
    response = {"access_token": jwt({"exp": WALL + left}), "expires_in": unusable}
    assert used_seconds(response) == used_of(left)
    assert used_seconds(response, WALL + left) == used_of(DEFAULT_TOKEN_LIFETIME)
    assert used_seconds({**response, "expires_in": 77}) == used_of(77)


@pytest.mark.parametrize("claims", [{}, [], None, 5, "exp", {"exp": "soon"}, {"exp": None}, {"exp": [1]}])
def test_jwt_without_a_usable_expiry_gets_the_default_lifetime(claims: Any) -> None:
    """It is not validated: only ARM does that."""
    assert used_seconds({"access_token": jwt(claims)}) == used_of(DEFAULT_TOKEN_LIFETIME)


def test_expired_token_is_renewed_once_for_concurrent_calls(start_server, make_driver, service) -> None:
    """If ARM rejects a token that twenty calls use, one renewal serves them all."""
    api = start_api(start_server, lambda token: token != "canary-token-1")
    driver = make_driver(api.url, service.credentials())
    assert driver.call_concurrently(20, CALL[0], path=CALL[1]) == [{"token": "canary-token-2"}] * 20
    assert service.calls == 2


def test_outage_of_token_service_is_shared_by_concurrent_calls(start_server, make_driver, clock) -> None:
    """A hundred calls share the attempts of one; after the cooldown the service is called again."""
    replies = iter([HttpReply(b"", 503)] * MAX_ATTEMPTS)
    service = start_server(lambda _: next(replies, HttpReply({"access_token": "canary-token-1", "expires_in": 3600})))
    api = start_api(start_server)
    driver = make_driver(api.url, ClientCredentials(f"{service.url}/token", "id", SECRETS[0]))
    errors = driver.call_concurrently(100, CALL[0], path=CALL[1])
    assert {type(error) for error in errors} == {ArmUnavailableError}
    assert {(error.phase, error.permanent, error.status_code) for error in errors} == {(Phase.NOT_SENT, False, 503)}
    assert len(service.requests) == MAX_ATTEMPTS
    assert len({id(error) for error in errors}) == 100
    clock.advance(OUTAGE_COOLDOWN)
    assert call_api(driver) == ["canary-token-1"]
    assert len(api.requests) == 1


def test_second_401_raises(start_server, make_driver, service) -> None:
    """A new token that is rejected, too, is not renewed again."""
    api = start_api(start_server, lambda _: False)
    driver = make_driver(api.url, service.credentials())
    with pytest.raises(ArmAuthenticationError) as caught:
        call_api(driver)
    assert (len(api.requests), service.calls) == (2, 2)
    assert (caught.value.status_code, caught.value.permanent) == (401, True)
    assert "client id" in str(caught.value)


def test_renewal_of_token_is_not_an_attempt(start_server, make_driver, service) -> None:
    """After it there are still five attempts."""
    api = start_server([HttpReply(b"", 401), *[HttpReply(b"", 503)] * 4, HttpReply({"token": "x"})])
    assert call_api(make_driver(api.url, service.credentials())) == ["x"]
    assert api.attempts == 6


@pytest.mark.parametrize(("checks_token_first", "attempts"), [(True, 2), (False, 1)])
def test_write_is_repeated_after_401_only_if_arm_checks_tokens_first(
    start_server, make_driver, service, checks_token_first, attempts
) -> None:
    """With the assumption overridden, a write that might book twice is not sent again."""
    api = start_server([HttpReply(b"", 401), HttpReply({"status": "PROCESSED"})])
    driver = make_driver(
        api.url, service.credentials(), readings=Readings.parse({"calls": {"checks_token_first": checks_token_first}})
    )
    request = Endpoints(BaseUrl.parse(api.url), 1).write_request(OPERATIONS["update_ar_item"], {"arItemId": "1"})
    if checks_token_first:
        assert driver.send(request) == {"status": "PROCESSED"}
    else:
        with pytest.raises(ArmAuthenticationError):
            driver.send(request)
    assert api.attempts == attempts


def test_rejected_static_token_raises_with_next_step(start_server, make_driver) -> None:
    """The token of a connection is used as it is."""
    api = start_api(start_server, lambda token: token != TOKEN)
    with pytest.raises(ArmAuthenticationError, match="replace it, or use client ID") as caught:
        call_api(make_driver(api.url, StaticToken(TOKEN)))
    assert (api.attempts, caught.value.status_code) == (1, 401)
    assert call_api(make_driver(api.url, StaticToken("another"))) == ["another"]


@pytest.mark.parametrize(
    "token", ["", " ", "canary-token\n", "canary token", "canary-tøken", "canary-token…", "a\x00b"]
)
def test_static_token_that_is_not_header_safe_raises(token: str) -> None:
    """A token that was pasted with a line break raises at once, and is not shown."""
    with pytest.raises(ArmConfigurationError, match="access_token of the connection") as caught:
        StaticToken(token)
    assert "canary" not in "".join(traceback.format_exception(caught.value, limit=0))


@pytest.mark.parametrize("token", ["canary-token\r\nX: y", "canary-tøken", "canary token"])
def test_token_of_service_that_is_not_header_safe_raises(start_server, make_driver, token: str) -> None:
    """It is neither sent nor shown, and not requested again."""
    tokens, api = start_server([HttpReply({"access_token": token})]), start_api(start_server)
    with pytest.raises(ArmInvalidResponseError, match="that cannot be sent in a header") as caught:
        call_api(make_driver(api.url, ClientCredentials(tokens.url, "id", SECRETS[0])))
    assert (tokens.attempts, api.attempts) == (1, 0)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_rejected_credentials_start_a_cooldown(start_server, make_driver, clock, status: int) -> None:
    """A wrong secret is tried once a minute at most, however many calls need a token."""
    tokens = start_server([HttpReply({"error": "invalid_client", "error_description": f"bad {SECRETS[0]}"}, status)])
    api = start_api(start_server)
    driver = make_driver(api.url, ClientCredentials(tokens.url, "id", SECRETS[0]))
    errors = driver.call_concurrently(20, CALL[0], path=CALL[1])
    clock.advance(REJECTION_COOLDOWN - 1)
    errors += driver.call_concurrently(2, CALL[0], path=CALL[1])
    assert tokens.attempts == 1
    for error in errors:
        assert isinstance(error, ArmAuthenticationError)
        assert (error.status_code, error.phase, error.operation) == (status, Phase.NOT_SENT, "POST {auth_url}")
        assert "invalid_client" in str(error)
        assert "check client id, client secret and auth_url" in str(error)
        assert SECRETS[0] not in "".join(traceback.format_exception(error))
    clock.advance(1)
    with pytest.raises(ArmAuthenticationError):
        call_api(driver)
    assert (tokens.attempts, api.attempts) == (2, 0)


def test_credentials_work_after_the_cooldown(start_server, make_driver, clock) -> None:
    """When the service accepts the secret, the earlier rejection no longer counts."""
    tokens = start_server([HttpReply(b"", 401), HttpReply({"access_token": "canary-token-1", "expires_in": 3600})])
    driver = make_driver(start_api(start_server).url, ClientCredentials(tokens.url, "id", SECRETS[0]))
    with pytest.raises(ArmAuthenticationError):
        call_api(driver)
    clock.advance(REJECTION_COOLDOWN)
    assert call_api(driver, 2) == ["canary-token-1"] * 2
    assert tokens.attempts == 2


@pytest.mark.parametrize(
    "fault", [HttpReply(b"", 503), HttpReply(b"", 429), ResetConnection(), CloseConnection(), NeverReply()]
)
def test_unavailable_token_service_is_called_five_times(start_server, make_driver, fault) -> None:
    """The token call is retried as any safe call, and its failure means that the call itself was not sent."""
    tokens, api = start_server([fault]), start_api(start_server)
    with pytest.raises(ArmError, match="the token service") as caught:
        call_api(make_driver(api.url, ClientCredentials(tokens.url, "id", SECRETS[0]), transport=SHORT_TIMEOUT))
    assert (tokens.attempts, api.attempts) == (5, 0)
    assert (caught.value.permanent, caught.value.phase) == (False, Phase.NOT_SENT)


def test_unreachable_token_service_is_unavailable(start_server, make_driver) -> None:
    """A refused connection is an outage, not a rejection of the credentials."""
    api = start_api(start_server)
    credentials = ClientCredentials(f"http://127.0.0.1:{unused_port()}/token", "id", SECRETS[0])
    with pytest.raises(ArmUnavailableError, match="the token service could not be reached"):
        call_api(make_driver(api.url, credentials))
    assert api.attempts == 0


@pytest.mark.parametrize(
    ("reply", "attempts"),
    [
        (HTML, 5),
        (EMPTY, 5),
        (HttpReply('{"access_token": "canary-token'), 5),
        (HttpReply({"token": "canary-token"}), 1),
        (HttpReply({"access_token": ""}), 1),
        (HttpReply({"access_token": 5}), 1),
        (HttpReply([]), 1),
    ],
)
def test_token_response_without_a_token_raises(start_server, make_driver, reply, attempts: int) -> None:
    """A broken body may be temporary and is requested again; a complete response without a token is not."""
    tokens, api = start_server([reply]), start_api(start_server)
    with pytest.raises(ArmInvalidResponseError) as caught:
        call_api(make_driver(api.url, ClientCredentials(tokens.url, "id", SECRETS[0])))
    assert (tokens.attempts, api.attempts) == (attempts, 0)
    assert "canary" not in "".join(traceback.format_exception(caught.value, limit=0))


def test_redirect_of_token_service_is_not_followed(start_server, make_driver) -> None:
    """The secret is sent only to the configured URL."""
    elsewhere = start_server([HttpReply({"access_token": "canary-token"})])
    tokens = start_server([HttpReply(b"", 307, {"Location": f"{elsewhere.url}/token"})])
    with pytest.raises(ArmInvalidResponseError, match="a redirect, which is not followed"):
        call_api(make_driver(elsewhere.url, ClientCredentials(tokens.url, "id", SECRETS[0])))
    assert (tokens.attempts, elsewhere.attempts) == (1, 0)


def test_on_token_is_called_before_the_token_is_used(start_server, make_driver, clock) -> None:
    """A callback that masks tokens in logs gets each one before the first call uses it."""
    announced: list[str] = []
    unannounced: list[str] = []

    def is_valid(token: str) -> bool:
        if token not in announced:
            unannounced.append(token)
        return token != "canary-token-1"

    service = TokenService(start_server, clock)
    driver = make_driver(start_api(start_server, is_valid).url, service.credentials(), on_token=announced.append)
    call_api(driver, 2)
    assert (announced, unannounced) == (["canary-token-1", "canary-token-2"], [])


@pytest.mark.parametrize(
    "url", ["http://auth.amili.no/token", "https://me:canary@auth.amili.no/token", "auth.amili.no"]
)
def test_invalid_auth_url_raises_when_client_is_created(make_driver, url: str) -> None:
    """So the secret is never sent unencrypted."""
    with pytest.raises(ArmConfigurationError, match="auth_url of the connection"):
        make_driver("https://api.amili.no", ClientCredentials(url, "id", SECRETS[0]))


def test_no_secret_is_shown_in_logs_errors_or_reprs(start_server, make_driver, clock, caplog) -> None:
    """Secret and tokens are in no log at DEBUG, also of the HTTP libraries, in no error and in no representation."""
    caplog.set_level(logging.DEBUG)
    service = TokenService(start_server, clock)
    api = start_server(
        [
            HttpReply(b"", 401),
            HttpReply(b"", 503),
            ResetConnection(),
            HTML,
            HttpReply({"token": "x"}),
            HttpReply({"message": "no"}, 401),
        ]
    )
    credentials = service.credentials()
    driver = make_driver(api.url, credentials)
    assert call_api(driver) == ["x"]
    with pytest.raises(ArmAuthenticationError) as caught:
        call_api(driver)
    client = driver.client
    request = credentials.request()
    token = Token(access_token="canary-token-1")
    shown = [caplog.text, *traceback.format_exception(caught.value, limit=0), str(vars(caught.value))]
    objects = [credentials, StaticToken(TOKEN), request, SendRequest(request, TOKEN), GetToken(TOKEN), token, client]
    objects += [client._token_cache, client._policy, client._endpoints, Response(200, {}, b"canary-token")]
    shown += [f"{each!r} {each}" for each in objects]
    assert "the-client-id" not in "".join(shown)
    assert not [secret for secret in SECRETS if secret in "".join(shown)]
    assert service.calls == 3


def test_documented_token_response_is_read(example_text) -> None:
    """It is the example of the reference."""
    text = example_text("identity_token_200")
    token = read_token(Response(200, {}, text.encode()))
    assert token.access_token == json.loads(text)["access_token"]
    assert (token.expires_in, token.expires_on) == (3600, 1709303600)
