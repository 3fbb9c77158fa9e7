from __future__ import annotations

import json
import logging
import traceback
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.assumptions import Assumptions
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
from airflow_provider_arm.client.http.exchange import NeedToken, Send
from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.http.retry import MAX_ATTEMPTS
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.models import Token
from airflow_provider_arm.client.operations import OPERATIONS
from tests.unit.client.driving import IMPATIENT, TOKEN, ManualClock
from tests.unit.client.scripted_server import EMPTY, HTML, Close, Hang, Reset, Say, Seen, unused_port

SECRETS = ("canary-secret-Zz9", "canary-token", "secret-canary")
CALL = ("get_customer", {"customerno": "1"})


class TokenService:
    """Hands out canary-token-1, -2, ... and counts them."""

    def __init__(self, serve, clock: ManualClock, *, skew: float = 0.0, life: int = 3600) -> None:
        self.clock, self.skew, self.life = clock, skew, life
        self.numbers = count(1)
        self.server = serve(self.answer)

    def answer(self, _: Seen) -> Say:
        """Give the next token."""
        number = next(self.numbers)
        expires_on = int(self.clock.wall + self.skew + self.life)
        return Say({"access_token": f"canary-token-{number}", "expires_in": self.life, "expires_on": expires_on})

    @property
    def calls(self) -> int:
        """How many tokens were asked for."""
        return len(self.server.requests)

    def credentials(self, **settings: Any) -> ClientCredentials:
        """Make credentials for this service."""
        return ClientCredentials(f"{self.server.url}/token", "the-client-id", SECRETS[0], **settings)


@pytest.fixture
def service(serve, clock) -> TokenService:
    """A token service that works."""
    return TokenService(serve, clock)


def arm_server(serve, good=lambda _: True):
    """Serve an ARM that takes the tokens that *good* likes, and says which one came."""

    def answer(seen: Seen) -> Say:
        token = seen.headers["authorization"].removeprefix("Bearer ")
        return Say({"token": token}) if good(token) else Say({"status": "FAILED", "message": "expired"}, 401)

    return serve(answer)


def call(driver, times: int = 1) -> list[Any]:
    """Make the same reading call *times* times, one after the other."""
    return [driver.call(CALL[0], path=CALL[1])["token"] for _ in range(times)]


def test_a_token_is_asked_for_as_documented(serve, connect, service) -> None:
    """One form post with grant type, id and secret; every call carries the token."""
    arm = arm_server(serve)
    assert call(connect(arm.url, service.credentials()), 3) == ["canary-token-1"] * 3
    (seen,) = service.server.requests
    assert (seen.method, seen.target) == ("POST", "/token")
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in seen.headers
    assert parse_qs(seen.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["the-client-id"],
        "client_secret": [SECRETS[0]],
    }


def test_a_scope_is_sent_only_where_given(service) -> None:
    """The reference does not list it, so it is left out unless asked for."""
    assert b"scope" not in (service.credentials().request().body or b"")
    assert b"scope=arm.read+x" in (service.credentials(scope="arm.read x").request().body or b"")


def test_blanks_around_the_address_do_not_matter(serve, connect, service) -> None:
    """An address pasted with a line break behind it works."""
    credentials = ClientCredentials(f" {service.server.url}/token\n", "id", SECRETS[0])
    assert call(connect(arm_server(serve).url, credentials)) == ["canary-token-1"]
    assert service.server.requests[0].target == "/token"


def test_twenty_callers_share_one_token_call(serve, connect, service) -> None:
    """However many threads or coroutines start at once, one of them gets the token for all."""
    driver = connect(arm_server(serve).url, service.credentials())
    assert driver.together(20, CALL[0], path=CALL[1]) == [{"token": "canary-token-1"}] * 20
    assert service.calls == 1


@pytest.mark.parametrize("life", [3600, 600, 240, 100, 2])
def test_a_token_is_renewed_ahead_of_its_end(serve, connect, clock, life: int) -> None:
    """The lead time before its end a new token is fetched, once; a short life is used to its half at least."""
    service = TokenService(serve, clock, life=life)
    driver = connect(arm_server(serve).url, service.credentials())
    used = life - min(RENEWAL_LEAD_SECONDS, life / 2)
    assert call(driver) == ["canary-token-1"]
    clock.advance(used - 0.5)
    assert call(driver) == ["canary-token-1"]
    clock.advance(0.5)
    assert call(driver, 2) == ["canary-token-2"] * 2
    assert service.calls == 2


@pytest.mark.parametrize("skew", [-600, -120, 0, 120, 600])
def test_clocks_that_differ_by_ten_minutes_do_no_harm(serve, connect, clock, skew: int) -> None:
    """Whether the service's clock is ahead or behind, an hour of calls needs two tokens and meets no expired one."""
    service = TokenService(serve, clock, skew=skew)
    born: dict[str, float] = {}
    arm = arm_server(serve, lambda token: clock.ticks < born.setdefault(token, clock.ticks) + 3600)
    driver = connect(arm.url, service.credentials())
    for _ in range(60):
        call(driver)
        clock.advance(60)
    assert service.calls == 2
    assert len(arm.requests) == 60


@settings(deadline=None)
@given(
    life=st.none() | st.integers(1, 10**5),
    left=st.none() | st.integers(-(10**5), 10**5),
)
def test_a_stored_token_lives_no_longer_than_it_says_and_never_storms(life: int | None, left: int | None) -> None:
    """Whatever the two fields say, the token is used for a while and not beyond ``expires_in``."""
    keeper = TokenCache()
    wall = 1_700_000_000
    token = Token(access_token="t", expires_in=life, expires_on=None if left is None else wall + left)
    assert keeper.store(token, 50.0, wall) == "t"
    assert keeper.current(50.0) == "t"
    longest = life or (left if left and left > 0 else DEFAULT_TOKEN_LIFETIME)
    assert keeper.current(50.0 + longest) is None
    if life is not None and left is not None and 0 < left < life:
        assert keeper.current(50.0 + left) is None


def test_an_expired_token_is_renewed_once_for_all(serve, connect, service) -> None:
    """When ARM refuses a token that twenty callers hold, one renewal serves them all."""
    arm = arm_server(serve, lambda token: token != "canary-token-1")
    driver = connect(arm.url, service.credentials())
    assert driver.together(20, CALL[0], path=CALL[1]) == [{"token": "canary-token-2"}] * 20
    assert service.calls == 2


def test_an_outage_of_the_token_service_is_met_once_for_all(serve, connect, clock) -> None:
    """A hundred callers share the attempts of one; a moment later the service is asked anew."""
    answers = iter([Say(b"", 503)] * MAX_ATTEMPTS)
    service = serve(lambda _: next(answers, Say({"access_token": "canary-token-1", "expires_in": 3600})))
    arm = arm_server(serve)
    driver = connect(arm.url, ClientCredentials(f"{service.url}/token", "id", SECRETS[0]))
    errors = driver.together(100, CALL[0], path=CALL[1])
    assert {type(error) for error in errors} == {ArmUnavailableError}
    assert {(error.phase, error.permanent, error.status_code) for error in errors} == {(Phase.NOT_SENT, False, 503)}
    assert len(service.requests) == MAX_ATTEMPTS
    assert len({id(error) for error in errors}) == 100
    clock.advance(OUTAGE_COOLDOWN)
    assert call(driver) == ["canary-token-1"]
    assert len(arm.requests) == 1


def test_a_second_401_is_the_end(serve, connect, service) -> None:
    """A fresh token that is refused too is not renewed again."""
    arm = arm_server(serve, lambda _: False)
    driver = connect(arm.url, service.credentials())
    with pytest.raises(ArmAuthenticationError) as caught:
        call(driver)
    assert (len(arm.requests), service.calls) == (2, 2)
    assert (caught.value.status_code, caught.value.permanent) == (401, True)
    assert "client id" in str(caught.value)


def test_a_renewal_costs_no_attempt(serve, connect, service) -> None:
    """After the renewal there are still five attempts."""
    arm = serve([Say(b"", 401), *[Say(b"", 503)] * 4, Say({"token": "x"})])
    assert call(connect(arm.url, service.credentials())) == ["x"]
    assert arm.tries == 6


@pytest.mark.parametrize(("first", "tries"), [(True, 2), (False, 1)])
def test_a_write_is_renewed_only_if_a_401_proves_that_nothing_happened(serve, connect, service, first, tries) -> None:
    """With the assumption taken back, a write that might book twice is not sent again after a 401."""
    arm = serve([Say(b"", 401), Say({"status": "PROCESSED"})])
    driver = connect(arm.url, service.credentials(), assumptions=Assumptions(checks_token_first=first))
    request = Endpoints(BaseUrl.parse(arm.url), 1).write_request(OPERATIONS["update_ar_item"], {"arItemId": "1"})
    if first:
        assert driver.send(request) == {"status": "PROCESSED"}
    else:
        with pytest.raises(ArmAuthenticationError):
            driver.send(request)
    assert arm.tries == tries


def test_a_static_token_cannot_be_renewed(serve, connect) -> None:
    """A token that somebody put into the connection is used as it is, and its refusal says what to do."""
    arm = arm_server(serve, lambda token: token != TOKEN)
    with pytest.raises(ArmAuthenticationError, match="put a fresh one in") as caught:
        call(connect(arm.url, StaticToken(TOKEN)))
    assert (arm.tries, caught.value.status_code) == (1, 401)
    assert call(connect(arm.url, StaticToken("another"))) == ["another"]


@pytest.mark.parametrize(
    "token", ["", " ", "canary-token\n", "canary token", "canary-tøken", "canary-token…", "a\x00b"]
)
def test_a_static_token_that_no_header_can_carry_is_refused(token: str) -> None:
    """A token pasted with a line break is named as such at once, and not shown."""
    with pytest.raises(ArmConfigurationError, match="access_token of the connection") as caught:
        StaticToken(token)
    assert "canary" not in "".join(traceback.format_exception(caught.value, limit=0))


@pytest.mark.parametrize("token", ["canary-token\r\nX: y", "canary-tøken", "canary token"])
def test_a_token_from_the_service_that_no_header_can_carry_is_an_error(serve, connect, token: str) -> None:
    """It is not sent, not shown, and not asked for five times."""
    tokens, arm = serve([Say({"access_token": token})]), arm_server(serve)
    with pytest.raises(ArmInvalidResponseError, match="that no header can carry") as caught:
        call(connect(arm.url, ClientCredentials(tokens.url, "id", SECRETS[0])))
    assert (tokens.tries, arm.tries) == (1, 0)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_refused_credentials_rest(serve, connect, clock, status: int) -> None:
    """A wrong secret is tried once a minute at most, however many calls want a token."""
    tokens = serve([Say({"error": "invalid_client", "error_description": f"bad {SECRETS[0]}"}, status)])
    arm = arm_server(serve)
    driver = connect(arm.url, ClientCredentials(tokens.url, "id", SECRETS[0]))
    errors = driver.together(20, CALL[0], path=CALL[1])
    clock.advance(REJECTION_COOLDOWN - 1)
    errors += driver.together(2, CALL[0], path=CALL[1])
    assert tokens.tries == 1
    for error in errors:
        assert isinstance(error, ArmAuthenticationError)
        assert (error.status_code, error.phase, error.operation) == (status, Phase.NOT_SENT, "POST {auth_url}")
        assert "invalid_client" in str(error)
        assert "check client id, client secret and auth_url" in str(error)
        assert SECRETS[0] not in "".join(traceback.format_exception(error))
    clock.advance(1)
    with pytest.raises(ArmAuthenticationError):
        call(driver)
    assert (tokens.tries, arm.tries) == (2, 0)


def test_good_credentials_after_a_rest_work(serve, connect, clock) -> None:
    """Once the rest is over and the service takes the secret, the refusal is forgotten."""
    tokens = serve([Say(b"", 401), Say({"access_token": "canary-token-1", "expires_in": 3600})])
    driver = connect(arm_server(serve).url, ClientCredentials(tokens.url, "id", SECRETS[0]))
    with pytest.raises(ArmAuthenticationError):
        call(driver)
    clock.advance(REJECTION_COOLDOWN)
    assert call(driver, 2) == ["canary-token-1"] * 2
    assert tokens.tries == 2


@pytest.mark.parametrize("loss", [Say(b"", 503), Say(b"", 429), Reset(), Close(), Hang()])
def test_a_token_service_that_is_down_is_asked_five_times(serve, connect, loss) -> None:
    """The token call is repeated as any safe call, and its failure says that the call itself was not sent."""
    tokens, arm = serve([loss]), arm_server(serve)
    with pytest.raises(ArmError, match="the token service") as caught:
        call(connect(arm.url, ClientCredentials(tokens.url, "id", SECRETS[0]), transport=IMPATIENT))
    assert (tokens.tries, arm.tries) == (5, 0)
    assert (caught.value.permanent, caught.value.phase) == (False, Phase.NOT_SENT)


def test_a_token_service_that_is_not_there_is_unavailable(serve, connect) -> None:
    """A refused connection to the token service is an outage, not a refusal of the credentials."""
    arm = arm_server(serve)
    credentials = ClientCredentials(f"http://127.0.0.1:{unused_port()}/token", "id", SECRETS[0])
    with pytest.raises(ArmUnavailableError, match="the token service could not be reached"):
        call(connect(arm.url, credentials))
    assert arm.tries == 0


@pytest.mark.parametrize(
    ("answer", "tries"),
    [
        (HTML, 5),
        (EMPTY, 5),
        (Say('{"access_token": "canary-token'), 5),
        (Say({"token": "canary-token"}), 1),
        (Say({"access_token": ""}), 1),
        (Say({"access_token": 5}), 1),
        (Say([]), 1),
    ],
)
def test_an_answer_without_a_token_is_unreadable(serve, connect, answer, tries: int) -> None:
    """Rubbish may pass and is asked for again; a whole answer without a token is not."""
    tokens, arm = serve([answer]), arm_server(serve)
    with pytest.raises(ArmInvalidResponseError) as caught:
        call(connect(arm.url, ClientCredentials(tokens.url, "id", SECRETS[0])))
    assert (tokens.tries, arm.tries) == (tries, 0)
    assert "canary" not in "".join(traceback.format_exception(caught.value, limit=0))


def test_a_redirect_does_not_get_the_secret(serve, connect) -> None:
    """The token service's redirect is not followed: the secret goes to the address that was configured."""
    elsewhere = serve([Say({"access_token": "canary-token"})])
    tokens = serve([Say(b"", 307, {"Location": f"{elsewhere.url}/token"})])
    with pytest.raises(ArmInvalidResponseError, match="a redirect, which is not followed"):
        call(connect(elsewhere.url, ClientCredentials(tokens.url, "id", SECRETS[0])))
    assert (tokens.tries, elsewhere.tries) == (1, 0)


def test_a_new_token_is_announced_before_it_is_used(serve, connect, clock) -> None:
    """Whoever masks tokens in logs knows each one before the first call carries it."""
    known: list[str] = []
    unknown: list[str] = []

    def good(token: str) -> bool:
        if token not in known:
            unknown.append(token)
        return token != "canary-token-1"

    service = TokenService(serve, clock)
    driver = connect(arm_server(serve, good).url, service.credentials(), on_token=known.append)
    call(driver, 2)
    assert (known, unknown) == (["canary-token-1", "canary-token-2"], [])


@pytest.mark.parametrize(
    "url", ["http://auth.amili.no/token", "https://me:canary@auth.amili.no/token", "auth.amili.no"]
)
def test_the_address_of_the_token_service_is_checked_first(connect, url: str) -> None:
    """The secret never leaves in the clear: the client does not even come to be."""
    with pytest.raises(ArmConfigurationError, match="auth_url of the connection"):
        connect("https://api.amili.no", ClientCredentials(url, "id", SECRETS[0]))


def test_no_secret_is_shown_anywhere(serve, connect, clock, caplog) -> None:
    """Secret and tokens are in no log at DEBUG, also of the HTTP libraries, no error and no representation."""
    caplog.set_level(logging.DEBUG)
    service = TokenService(serve, clock)
    arm = serve([Say(b"", 401), Say(b"", 503), Reset(), HTML, Say({"token": "x"}), Say({"message": "no"}, 401)])
    credentials = service.credentials()
    driver = connect(arm.url, credentials)
    assert call(driver) == ["x"]
    with pytest.raises(ArmAuthenticationError) as caught:
        call(driver)
    client = driver.client
    request = credentials.request()
    token = Token(access_token="canary-token-1")
    shown = [caplog.text, *traceback.format_exception(caught.value, limit=0), str(vars(caught.value))]
    things = [credentials, StaticToken(TOKEN), request, Send(request, TOKEN), NeedToken(TOKEN), token, client]
    things += [client._keeper, client._rules, client._endpoints, Response(200, {}, b"canary-token")]
    shown += [f"{thing!r} {thing}" for thing in things]
    assert "the-client-id" not in "".join(shown)
    assert not [secret for secret in SECRETS if secret in "".join(shown)]
    assert service.calls == 3


def test_the_documented_answer_is_read(example_text) -> None:
    """The reference's own token answer is one."""
    text = example_text("identity_token_200")
    token = read_token(Response(200, {}, text.encode()))
    assert token.access_token == json.loads(text)["access_token"]
    assert (token.expires_in, token.expires_on) == (3600, 1709303600)
