from __future__ import annotations

import logging

import pytest

from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmRateLimitError,
    ArmUnavailableError,
)
from airflow_provider_arm.client.http import exchange
from airflow_provider_arm.client.http.auth import ClientCredentials
from airflow_provider_arm.client.http.exchange import CallPolicy, GetToken, SendRequest, Sleep
from airflow_provider_arm.client.http.messages import Request, Response
from airflow_provider_arm.client.http.retry import RetryBudget, RetryPolicy
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from tests.unit.client.drivers import SHORT_TIMEOUT, no_delay
from tests.unit.client.scripted_server import (
    EMPTY,
    HTML,
    PARTIAL_BODY,
    CloseConnection,
    HttpReply,
    NeverReply,
    ResetConnection,
)

CALL = {"name": "get_customer", "path": {"customerno": "1"}}


@pytest.mark.parametrize(
    ("header", "waits"),
    [
        (None, [0.0] * 4),
        ("3", [3.0] * 4),
        ("2.5", [3.0] * 4),
        ("-5", [0.0] * 4),
        ("15", [15.0] * 4),
        ("16", [16.0] * 3),
        ("30", [30.0, 30.0]),
        ("61", []),
        ("99999999999", []),
        ("rubbish", [0.0] * 4),
        ("Tue, 14 Nov 2023 22:13:50 GMT", [30.0, 0.0, 0.0, 0.0]),
        ("Tue, 14 Nov 2000 22:13:50 GMT", [0.0] * 4),
    ],
)
def test_retry_after_is_followed_within_a_minute(header, waits, start_server, make_driver, clock) -> None:
    """Retry-After as seconds or date is followed, an invalid one is not, and no attempt starts after 60 s (Q14)."""
    server = start_server([HttpReply(b"", 503, {"Retry-After": header} if header else {})])
    with pytest.raises(ArmUnavailableError):
        make_driver(server.url).call(**CALL)
    assert clock.waits == waits
    assert server.attempts == len(waits) + 1


def test_error_has_retry_after(start_server, make_driver) -> None:
    """Airflow may want to retry at that time."""
    server = start_server([HttpReply(b"", 429, {"Retry-After": "300"})])
    with pytest.raises(ArmRateLimitError) as caught:
        make_driver(server.url).call(**CALL)
    assert caught.value.retry_after == 300


def test_concurrent_calls_do_not_multiply_an_outage(start_server, make_driver) -> None:
    """100 concurrent calls to an unavailable server send at most 1.2 requests each, plus the shared budget."""
    server = start_server([HttpReply(b"", 503)])
    errors = make_driver(server.url, retry=no_delay(budget=RetryBudget(100))).call_concurrently(100, **CALL)
    assert all(isinstance(error, ArmUnavailableError) for error in errors)
    assert 100 + 100 / 5 <= server.attempts <= 100 * 1.2 + 100 / 5


def test_default_budget_bounds_the_retries(start_server, make_driver) -> None:
    """With the default budget, an outage gets one request per call and a hundred more in total."""
    server = start_server([HttpReply(b"", 503)])
    driver = make_driver(server.url)
    for _ in range(150):
        with pytest.raises(ArmUnavailableError):
            driver.call(**CALL)
    assert server.attempts == 150 + 100


def test_five_successes_earn_one_retry(start_server, make_driver) -> None:
    """After its budget is spent, a client retries again when calls have succeeded."""
    script = [HttpReply(b"", 503), *[HttpReply({})] * 6, HttpReply(b"", 503), HttpReply({}), HttpReply(b"", 503)]
    server = start_server(script)
    driver = make_driver(server.url, retry=no_delay(budget=RetryBudget(5)))
    for _ in range(7):
        assert driver.call(**CALL) == {}
    with pytest.raises(ArmUnavailableError):
        driver.call(**CALL)
    assert server.attempts == len(script)


def test_delays_between_attempts_are_random(start_server, make_driver, clock) -> None:
    """The delays are random fractions of a limit that doubles."""
    server = start_server([ResetConnection()])
    with pytest.raises(ArmUnavailableError):
        make_driver(server.url, retry=RetryPolicy(uniform=lambda: 0.5)).call(**CALL)
    assert clock.waits == [0.25, 0.5, 1.0, 2.0]


def test_retry_is_logged_without_the_url(start_server, make_driver, caplog) -> None:
    """The log has operation, host, port, reason and delay, but no value from path or query."""
    caplog.set_level(logging.INFO)
    server = start_server([HttpReply(b"", 503), ResetConnection(), HttpReply({})])
    assert make_driver(server.url).call("get_customer", path={"customerno": "canary-1"}, params={"x": "canary-2"}) == {}
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider_arm")]
    place = f"GET /clients/{{clientno}}/customers/{{customerno}} at {server.url.removeprefix('http://')}"
    assert ours == [
        f"{place}: 503; attempt 2 of 5 in 0.0 s",
        f"{place}: the connection was lost; attempt 3 of 5 in 0.0 s",
    ]
    assert "canary" not in caplog.text


def test_redirect_is_not_followed(start_server, make_driver) -> None:
    """Neither token nor record is sent to the target of a redirect, not even on the same host."""
    elsewhere = start_server([HttpReply({})])
    for status in (301, 302, 303, 307, 308):
        server = start_server([HttpReply(b"", status, {"Location": f"{elsewhere.url}/x"})])
        with pytest.raises(ArmInvalidResponseError, match="a redirect, which is not followed"):
            make_driver(server.url).call(**CALL)
        assert server.attempts == 1
    assert elsewhere.connections == 0


def test_cookie_is_not_stored(start_server, make_driver) -> None:
    """No state of one call affects another."""
    server = start_server([HttpReply({}, headers={"Set-Cookie": "session=1; Path=/"}), HttpReply({})])
    # By host name, because no client stores cookies of an IP address.
    driver = make_driver(server.url.replace("127.0.0.1", "localhost"))
    driver.call(**CALL)
    driver.call(**CALL)
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


def test_netrc_does_not_replace_the_token(start_server, make_driver, tmp_path, monkeypatch) -> None:
    """Credentials of the machine for the host are not used."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = start_server([HttpReply({})])
    make_driver(server.url).call(**CALL)
    assert server.requests[0].headers["authorization"].startswith("Bearer ")


def test_proxy_from_the_environment_is_used(start_server, make_driver, monkeypatch) -> None:
    """HTTP_PROXY and NO_PROXY apply."""
    server, proxy = start_server([HttpReply({"from": "server"})]), start_server([HttpReply({"from": "proxy"})])
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert make_driver(server.url).call(**CALL) == {"from": "proxy"}
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert make_driver(server.url).call(**CALL) == {"from": "server"}


def test_unreachable_proxy_raises_not_sent(start_server, make_driver, monkeypatch, clock) -> None:
    """ARM was not reached."""
    proxy = start_server([HttpReply({})])
    proxy.close()
    monkeypatch.setenv("ALL_PROXY", proxy.url)
    with pytest.raises(ArmUnavailableError, match="could not be reached: the proxy could not connect") as caught:
        make_driver("https://api.amili.invalid").call(**CALL)
    assert caught.value.phase == "not sent"
    assert len(clock.waits) == 4


def run_call(url: str, responses: list[Response]):
    """Run the steps of a call with these responses. There is no client, so the URL may be any."""
    policy = CallPolicy(no_delay(), _FrozenClock(), DEFAULT_READINGS)
    steps = exchange.call(
        Request(OPERATIONS["get_customer"], url, needs_token=False), lambda response: response.body, policy
    )
    step_result = None
    remaining = iter(responses)
    while True:
        try:
            step = steps.send(step_result)
        except StopIteration as stop:
            return stop.value
        assert isinstance(step, SendRequest | Sleep)
        step_result = next(remaining) if isinstance(step, SendRequest) else None


class _FrozenClock:
    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0


@pytest.mark.parametrize("status", [200, 202, 401, 404, 422, 429, 500])
def test_response_of_remote_sandbox_raises(status: int) -> None:
    """Whatever its status, it ends the call."""
    with pytest.raises(ArmConfigurationError, match="an ARM sandbox on another machine"):
        run_call("https://sandbox.example/arm/v1", [Response(status, {"x-arm-sandbox": "1"}, b"{}")] * 9)


def test_response_of_local_sandbox_is_used(start_server, make_driver) -> None:
    """A sandbox is meant for this machine."""
    server = start_server([HttpReply({"ok": 1}, headers={"X-Arm-Sandbox": "1"})])
    assert make_driver(server.url).call(**CALL) == {"ok": 1}
    assert run_call("http://127.0.0.1:1/x", [Response(200, {"x-arm-sandbox": "1"}, b"x")]) == b"x"


def test_401_of_remote_sandbox_does_not_renew_the_token() -> None:
    """It would get the new token."""
    policy = CallPolicy(no_delay(), _FrozenClock(), DEFAULT_READINGS)
    steps = exchange.call(
        Request(OPERATIONS["get_customer"], "https://sandbox.example"), lambda response: response, policy
    )
    assert isinstance(next(steps), GetToken)
    assert isinstance(steps.send("token"), SendRequest)
    with pytest.raises(ArmConfigurationError):
        steps.send(Response(401, {"x-arm-sandbox": "1"}, b""))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("../x", "..%2Fx"),
        ("a/b", "a%2Fb"),
        ("ø?", "%C3%B8%3F"),
        ("a%2Fb", "a%252Fb"),
        ("a b", "a%20b"),
        ("a+b:c@d", "a%2Bb%3Ac%40d"),
    ],
)
def test_quoted_path_segment_is_sent_quoted(given: str, sent: str, start_server, make_driver) -> None:
    """Neither HTTP library unquotes or resolves it."""
    server = start_server([HttpReply({})])
    make_driver(f"{server.url}/arm/v1").call("get_customer", path={"customerno": given}, params={"expand": given})
    assert server.requests[0].path == f"/arm/v1/clients/2218/customers/{sent}"
    assert server.requests[0].query == {"expand": [given]}


def test_missing_client_number_raises_before_anything_is_sent(start_server, make_driver) -> None:
    """The error tells where to set it."""
    server = start_server([HttpReply({})])
    with pytest.raises(ArmConfigurationError, match="client_no is missing: set it in the connection's extra"):
        make_driver(server.url, client_no=None).call(**CALL)
    assert server.connections == 0


def test_unknown_operation_raises_with_all_names(make_driver) -> None:
    """So a typo is found at once."""
    with pytest.raises(
        ArmConfigurationError, match=r"unknown operation 'get_costumer'; the operations are .*get_customer"
    ) as caught:
        make_driver("https://api.amili.no").call("get_costumer")
    assert isinstance(caught.value, ArmError)


def test_token_is_requested_before_the_call(start_server, make_driver) -> None:
    """The call then carries it."""
    api = start_server([HttpReply({})])
    tokens = start_server([HttpReply({"access_token": "t"})])
    make_driver(api.url, ClientCredentials(tokens.url, "i", "s")).call(**CALL)
    assert api.requests[0].headers["authorization"] == "Bearer t"


MISSING = HttpReply({"status": "FAILED", "message": "Customer not found"}, 404)
HTML_404 = HttpReply("<html>404</html>", 404, {"Content-Type": "text/html"})


@pytest.mark.parametrize(
    ("before", "last", "is_deleted"),
    [
        ([], MISSING, False),
        ([HttpReply(b"", 429)], MISSING, False),
        ([HttpReply(b"", 429)] * 3, MISSING, False),
        ([ResetConnection()], MISSING, True),
        ([CloseConnection()], MISSING, True),
        ([PARTIAL_BODY], MISSING, True),
        ([NeverReply()], MISSING, True),
        ([HttpReply(b"", 500)], MISSING, True),
        ([HttpReply(b"", 503)], MISSING, True),
        ([HTML], MISSING, True),
        ([EMPTY, HttpReply(b"", 429)], MISSING, True),
        ([ResetConnection()], HTML_404, False),
        ([ResetConnection()], HttpReply("404 page not found", 404), False),
        ([ResetConnection()], HttpReply(b"", 404), True),
    ],
)
def test_404_for_a_delete_is_success_only_after_an_attempt_that_may_have_deleted(
    before, last, is_deleted, start_server, make_driver, caplog
) -> None:
    """A first 404 is an error, and so is one that is an HTML page or other text."""
    server = start_server([*before, last])
    driver = make_driver(server.url, transport=SHORT_TIMEOUT)
    if is_deleted:
        result = driver.call("delete_customer", path={"customerno": "1"})
        assert (result["status"], result["result"]) == ("PROCESSED", "DELETED")
        assert "response was lost" in result["warnings"][0]["message"]
        assert "response was lost, has deleted it" in caplog.text
    else:
        with pytest.raises(ArmNotFoundError):
            driver.call("delete_customer", path={"customerno": "1"})
    assert server.attempts == len(before) + 1


def test_404_for_a_read_is_never_a_success(start_server, make_driver) -> None:
    """Whatever happened before it."""
    server = start_server([ResetConnection(), MISSING])
    with pytest.raises(ArmNotFoundError):
        make_driver(server.url).call(**CALL)
