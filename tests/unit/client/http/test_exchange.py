from __future__ import annotations

import logging

import pytest

from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS
from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmError,
    ArmInvalidResponseError,
    ArmRateLimitError,
    ArmUnavailableError,
)
from airflow_provider_arm.client.http import exchange
from airflow_provider_arm.client.http.auth import ClientCredentials
from airflow_provider_arm.client.http.exchange import CallPolicy, NeedToken, Pause, Send
from airflow_provider_arm.client.http.messages import Request, Response
from airflow_provider_arm.client.http.retry import RetryBudget, RetryPolicy
from airflow_provider_arm.client.operations import OPERATIONS
from tests.unit.client.driving import quick
from tests.unit.client.scripted_server import Reset, Say

CALL = {"name": "get_customer", "path": {"customerno": "1"}}


@pytest.mark.parametrize(
    ("header", "waits"),
    [
        (None, [0.0] * 4),
        ("3", [3.0] * 4),
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
def test_the_servers_wait_is_kept_within_a_minute(header, waits, serve, connect, clock) -> None:
    """Retry-After as seconds or a date is waited for, rubbish is not, and no attempt starts after 60 s (Q14)."""
    server = serve([Say(b"", 503, {"Retry-After": header} if header else {})])
    with pytest.raises(ArmUnavailableError):
        connect(server.url).call(**CALL)
    assert clock.waits == waits
    assert server.tries == len(waits) + 1


def test_the_wait_that_was_asked_for_is_told(serve, connect) -> None:
    """Airflow may want to come back then."""
    server = serve([Say(b"", 429, {"Retry-After": "300"})])
    with pytest.raises(ArmRateLimitError) as caught:
        connect(server.url).call(**CALL)
    assert caught.value.retry_after == 300


def test_an_outage_is_not_multiplied(serve, connect) -> None:
    """100 calls at once against a server that is down: at most 1.2 requests each, beyond the shared budget."""
    server = serve([Say(b"", 503)])
    errors = connect(server.url, retry=quick(budget=RetryBudget(100))).together(100, **CALL)
    assert all(isinstance(error, ArmUnavailableError) for error in errors)
    assert 100 + 100 / 5 <= server.tries <= 100 * 1.2 + 100 / 5


def test_the_budget_of_a_client_is_bounded(serve, connect) -> None:
    """With the budget as it ships, an outage gets one request per call and a hundred more in all."""
    server = serve([Say(b"", 503)])
    driver = connect(server.url)
    for _ in range(150):
        with pytest.raises(ArmUnavailableError):
            driver.call(**CALL)
    assert server.tries == 150 + 100


def test_success_earns_retries_back(serve, connect) -> None:
    """Five good calls pay for one retry."""
    script = [Say(b"", 503), *[Say({})] * 6, Say(b"", 503), Say({}), Say(b"", 503)]
    server = serve(script)
    driver = connect(server.url, retry=quick(budget=RetryBudget(5)))
    for _ in range(7):
        assert driver.call(**CALL) == {}
    with pytest.raises(ArmUnavailableError):
        driver.call(**CALL)
    assert server.tries == len(script)


def test_jitter_spreads_the_attempts(serve, connect, clock) -> None:
    """The pauses are the jitter's draws of a ceiling that doubles."""
    server = serve([Reset()])
    with pytest.raises(ArmUnavailableError):
        connect(server.url, retry=RetryPolicy(uniform=lambda: 0.5)).call(**CALL)
    assert clock.waits == [0.25, 0.5, 1.0, 2.0]


def test_a_retry_is_logged_without_the_address(serve, connect, caplog) -> None:
    """The log says which operation, why, and when it goes on, and no value of a path or query."""
    caplog.set_level(logging.INFO)
    server = serve([Say(b"", 503), Reset(), Say({})])
    assert connect(server.url).call("get_customer", path={"customerno": "canary-1"}, params={"x": "canary-2"}) == {}
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider_arm")]
    assert ours == [
        "GET /clients/{clientno}/customers/{customerno}: 503; attempt 2 of 5 in 0.0 s",
        "GET /clients/{clientno}/customers/{customerno}: the connection was lost; attempt 3 of 5 in 0.0 s",
    ]
    assert "canary" not in caplog.text


def test_a_redirect_is_not_followed(serve, connect) -> None:
    """Neither the token nor the record goes where a redirect points, also on the same host."""
    elsewhere = serve([Say({})])
    for status in (301, 302, 303, 307, 308):
        server = serve([Say(b"", status, {"Location": f"{elsewhere.url}/x"})])
        with pytest.raises(ArmInvalidResponseError, match="a redirect, which is not followed"):
            connect(server.url).call(**CALL)
        assert server.tries == 1
    assert elsewhere.connections == 0


def test_a_cookie_is_not_kept(serve, connect) -> None:
    """No state of one call reaches another."""
    server = serve([Say({}, headers={"Set-Cookie": "session=1; Path=/"}), Say({})])
    # By name, because cookies of bare addresses are not kept by anybody.
    driver = connect(server.url.replace("127.0.0.1", "localhost"))
    driver.call(**CALL)
    driver.call(**CALL)
    assert [seen.headers.get("cookie") for seen in server.requests] == [None, None]


def test_no_netrc_replaces_the_token(serve, connect, tmp_path, monkeypatch) -> None:
    """What the machine keeps for a host is not used."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve([Say({})])
    connect(server.url).call(**CALL)
    assert server.requests[0].headers["authorization"].startswith("Bearer ")


def test_a_proxy_of_the_machine_is_used(serve, connect, monkeypatch) -> None:
    """HTTP_PROXY and NO_PROXY count, and a proxy that is not there means that nothing was sent."""
    server, proxy = serve([Say({"from": "server"})]), serve([Say({"from": "proxy"})])
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert connect(server.url).call(**CALL) == {"from": "proxy"}
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert connect(server.url).call(**CALL) == {"from": "server"}


def test_a_proxy_that_is_not_there_means_not_sent(serve, connect, monkeypatch, clock) -> None:
    """The proxy's refusal is one before ARM was reached."""
    proxy = serve([Say({})])
    proxy.close()
    monkeypatch.setenv("ALL_PROXY", proxy.url)
    with pytest.raises(ArmUnavailableError, match="could not be reached: the proxy did not connect") as caught:
        connect("https://api.amili.invalid").call(**CALL)
    assert caught.value.phase == "not sent"
    assert len(clock.waits) == 4


def drive(url: str, answers: list[Response]):
    """Let the generator decide about ready answers; no driver, so that the URL can be any."""
    rules = CallPolicy(quick(), _Frozen(), DEFAULT_ASSUMPTIONS)
    flow = exchange.call(Request(OPERATIONS["get_customer"], url, needs_token=False), lambda answer: answer.body, rules)
    outcome = None
    left = iter(answers)
    while True:
        try:
            step = flow.send(outcome)
        except StopIteration as done:
            return done.value
        assert isinstance(step, Send | Pause)
        outcome = next(left) if isinstance(step, Send) else None


class _Frozen:
    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0


@pytest.mark.parametrize("status", [200, 202, 401, 404, 422, 429, 500])
def test_nothing_that_a_sandbox_elsewhere_says_counts(status: int) -> None:
    """Whatever the status, an answer of a sandbox on another machine ends the call."""
    with pytest.raises(ArmConfigurationError, match="an ARM sandbox on another machine"):
        drive("https://sandbox.example/arm/v1", [Response(status, {"x-arm-sandbox": "1"}, b"{}")] * 9)


def test_a_sandbox_on_this_machine_counts(serve, connect) -> None:
    """That is what it is for."""
    server = serve([Say({"ok": 1}, headers={"X-Arm-Sandbox": "1"})])
    assert connect(server.url).call(**CALL) == {"ok": 1}
    assert drive("http://127.0.0.1:1/x", [Response(200, {"x-arm-sandbox": "1"}, b"x")]) == b"x"


def test_the_sandbox_of_another_machine_gets_no_second_token() -> None:
    """A 401 of such a sandbox is not a reason to send it a fresh token."""
    rules = CallPolicy(quick(), _Frozen(), DEFAULT_ASSUMPTIONS)
    flow = exchange.call(Request(OPERATIONS["get_customer"], "https://sandbox.example"), lambda answer: answer, rules)
    assert isinstance(next(flow), NeedToken)
    assert isinstance(flow.send("token"), Send)
    with pytest.raises(ArmConfigurationError):
        flow.send(Response(401, {"x-arm-sandbox": "1"}, b""))


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
def test_a_quoted_segment_stays_quoted_on_the_wire(given: str, sent: str, serve, connect) -> None:
    """Neither HTTP library unquotes or resolves what was quoted."""
    server = serve([Say({})])
    connect(f"{server.url}/arm/v1").call("get_customer", path={"customerno": given}, params={"expand": given})
    assert server.requests[0].path == f"/arm/v1/clients/2218/customers/{sent}"
    assert server.requests[0].query == {"expand": [given]}


def test_a_missing_client_number_is_told_before_anything_is_sent(serve, connect) -> None:
    """The error says where to put it."""
    server = serve([Say({})])
    with pytest.raises(ArmConfigurationError, match="client_no is missing: set it in the connection's extra"):
        connect(server.url, client_no=None).call(**CALL)
    assert server.connections == 0


def test_an_unknown_operation_is_told_with_the_known_ones(connect) -> None:
    """A typo is found at once."""
    with pytest.raises(ArmConfigurationError, match=r"no operation 'get_costumer'; there are .*get_customer") as caught:
        connect("https://api.amili.no").call("get_costumer")
    assert isinstance(caught.value, ArmError)


def test_the_token_service_comes_before_arm(serve, connect) -> None:
    """Without a token at hand a client asks for one, and the call carries it."""
    arm = serve([Say({})])
    tokens = serve([Say({"access_token": "t"})])
    connect(arm.url, ClientCredentials(tokens.url, "i", "s")).call(**CALL)
    assert arm.requests[0].headers["authorization"] == "Bearer t"
