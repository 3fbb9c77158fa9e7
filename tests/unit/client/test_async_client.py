from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aiohttp
import pytest

from airflow_provider_arm.client import AsyncArmClient, ClientCredentials, StaticToken, Transport, async_client
from airflow_provider_arm.client.async_client import classify_error
from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmNotFoundError,
    ArmRateLimitError,
    ArmUnavailableError,
    Phase,
)
from tests.unit.client.drivers import LONG_TIMEOUT, ManualClock, no_delay
from tests.unit.client.scripted_server import CloseConnection, HttpReply, RecordedRequest, Reply

FINISHED = HttpReply({"status": "PROCESSED", "totalCount": 1, "failedCount": 0})


def within(base_url: str, work, **settings: Any) -> Any:
    """Run *work* with a client on a loop of its own."""

    async def run() -> Any:
        usual = {"client_no": 2218, "transport": LONG_TIMEOUT, "clock": ManualClock(), "retry": no_delay()}
        async with AsyncArmClient(base_url, StaticToken("t"), **(usual | settings)) as client:
            return await work(client)

    return asyncio.run(run())


def test_batches_of_several_clients_share_a_client(start_server) -> None:
    """One client polls for all ARM clients of a connection; the connection's own number is the default."""
    server = start_server([FINISHED])

    async def work(client: AsyncArmClient) -> list[str]:
        seen = [await client.get_batch("a-B"), await client.get_batch("c", client_no=77)]
        return [status.state for status in seen]

    assert within(f"{server.url}/arm/v1", work) == ["succeeded"] * 2
    assert [seen.path for seen in server.requests] == [
        "/arm/v1/clients/2218/batches/a-B",
        "/arm/v1/clients/77/batches/c",
    ]


def test_a_batch_needs_a_client_number(start_server) -> None:
    """Without one in the connection the call must name it."""
    server = start_server([FINISHED])
    assert within(server.url, lambda client: client.get_batch("c", client_no=77), client_no=None).state == "succeeded"
    with pytest.raises(ArmConfigurationError, match="client_no is missing"):
        within(server.url, lambda client: client.get_batch("c"), client_no=None)


def test_a_batch_that_is_not_known_is_not_found(start_server) -> None:
    """404 is an error of its own, so that a grace period can pass over it (Q4)."""
    server = start_server([HttpReply(b"", 404)])
    with pytest.raises(ArmNotFoundError):
        within(server.url, lambda client: client.get_batch("c"))


def test_connections_are_kept_and_closed(start_server) -> None:
    """Polls go over one connection; a closed client opens a new one when it is used again."""
    server = start_server([HttpReply(FINISHED.body, keep_alive=True)])

    async def work(client: AsyncArmClient) -> int:
        for _ in range(3):
            await client.get_batch("a")
        before = server.connections
        await client.close()
        await client.close()
        await client.get_batch("a")
        return before

    assert within(server.url, work) == 1
    assert server.connections == 2


def test_a_kept_connection_that_dies_costs_one_attempt(start_server) -> None:
    """A server that closes a kept connection instead of answering sees each of the five attempts once."""
    answers = iter([HttpReply({}, keep_alive=True), *[CloseConnection()] * 4, HttpReply({"late": 1})])
    server = start_server(lambda _: next(answers))

    async def work(client: AsyncArmClient) -> list[Any]:
        return [await client.call("get_gl_item", path={"glitemid": 1}) for _ in range(2)]

    assert within(server.url, work) == [{}, {"late": 1}]
    assert len(server.requests) == 6


@pytest.mark.parametrize("status", [429, 503])
def test_a_rest_that_one_call_is_asked_for_holds_back_all(start_server, status) -> None:
    """After a ``Retry-After`` nothing is sent for any batch until it is over; then everything is."""
    clock = ManualClock()
    answers = iter([HttpReply({}, status, headers={"Retry-After": "120"})])
    server = start_server(lambda _: next(answers, FINISHED))

    async def work(client: AsyncArmClient) -> tuple[list[Any], list[Any]]:
        with pytest.raises((ArmRateLimitError, ArmUnavailableError)):
            await client.get_batch("first")
        clock.advance(119)
        held = await asyncio.gather(*(client.get_batch(f"{n}") for n in range(50)), return_exceptions=True)
        clock.advance(1)
        return held, await asyncio.gather(*(client.get_batch(f"{n}") for n in range(50)))

    held, seen = within(server.url, work, clock=clock)
    assert {(type(error), error.phase, error.retry_after) for error in held} == {(ArmRateLimitError, Phase.NOT_SENT, 1)}
    assert "wants 1 seconds of rest" in str(held[0])
    assert len(seen) == 50
    assert len(server.requests) == 51


def test_a_rest_is_arms_own(start_server) -> None:
    """The token service's wish for a rest holds back no call to ARM, nor the other way round."""
    tokens = iter([HttpReply({}, 503, headers={"Retry-After": "5"})])
    service = start_server(lambda _: next(tokens, HttpReply({"access_token": "t", "expires_in": 3600})))
    server = start_server([FINISHED])
    credentials = ClientCredentials(f"{service.url}/token", "id", "secret")

    async def run() -> Any:
        settings = {"client_no": 2218, "transport": LONG_TIMEOUT, "clock": ManualClock(), "retry": no_delay()}
        async with AsyncArmClient(server.url, credentials, **settings) as client:
            return (await client.get_batch("a")).state

    assert asyncio.run(run()) == "succeeded"
    assert (service.attempts, server.attempts) == (2, 1)


class Drip(Reply):
    """Sends a byte now and then, for ever: never too late for the next, and never done."""

    def reply_on(self, connection: Any) -> None:
        """Send until the client has gone."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        connection.settimeout(0.02)
        try:
            while True:
                connection.sendall(b" ")
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(1):
                        return
        except OSError:
            return


def test_an_answer_that_comes_byte_by_byte_is_given_up(start_server) -> None:
    """A poll ends although no single byte is late: it must not outlive the deadline of its wait."""
    server = start_server([Drip()])

    async def work(client: AsyncArmClient) -> None:
        with pytest.raises(ArmUnavailableError, match="no answer in time"):
            await client.get_batch("a")

    within(server.url, work, transport=Transport(timeout=0.1), retry=no_delay(max_attempts=1))


def test_a_thousand_polls_read_the_machines_proxies_once(start_server, monkeypatch) -> None:
    """The environment is read once per host, and what it says is obeyed."""
    proxy, asked = start_server([FINISHED]), []
    monkeypatch.setattr(async_client, "proxies_for", lambda url: asked.append(url) or {"http": proxy.url})

    async def work(client: AsyncArmClient) -> None:
        for _ in range(20):
            await client.get_batch("a")

    within("http://127.0.0.1:9/arm/v1", work)
    assert asked == ["http://127.0.0.1:9"]
    assert len(proxy.requests) == 20


def test_a_token_that_ends_is_renewed_once_for_a_thousand_polls(start_server) -> None:
    """Whether it runs out or ARM refuses it in the middle: one call to the token service serves all who wait."""
    clock, made = ManualClock(), []

    def token(_: RecordedRequest) -> HttpReply:
        made.append(f"token-{len(made) + 1}")
        return HttpReply({"access_token": made[-1], "expires_in": 3600})

    refused = {"token-2"}

    def answer(seen: RecordedRequest) -> HttpReply:
        good = seen.headers["authorization"].removeprefix("Bearer ") not in refused
        return HttpReply(FINISHED.body, keep_alive=True) if good else HttpReply({}, 401, keep_alive=True)

    service, server = start_server(token), start_server(answer)
    credentials = ClientCredentials(f"{service.url}/token", "id", "secret")

    async def run() -> list[int]:
        settings = {"client_no": 2218, "transport": LONG_TIMEOUT, "clock": clock, "retry": no_delay()}
        calls = []
        async with AsyncArmClient(server.url, credentials, **settings) as client:
            for _ in range(2):
                await asyncio.gather(*(client.get_batch(str(number)) for number in range(1000)))
                calls.append(len(made))
                clock.advance(3600)
        return calls

    # The first thousand share a token; the second find it expired, get another, and have that one refused.
    assert asyncio.run(run()) == [1, 3]
    assert server.connections <= async_client.MAX_CONNECTIONS


def test_a_client_says_what_it_assumes(start_server) -> None:
    """Triggers read the assumptions of their client."""

    async def work(client: AsyncArmClient) -> Any:
        return client.assumptions.batch_not_found_grace

    assert within("https://api.amili.no", work) == 0.0


@pytest.mark.parametrize(
    "error", [Exception(), OSError(5, "x"), aiohttp.ServerDisconnectedError("canary"), ValueError("canary")]
)
def test_what_is_not_known_may_have_been_sent(error) -> None:
    """No error that nobody thought of is ever taken for not sent, and none is shown."""
    lost = classify_error(error)
    assert lost.phase is Phase.MAYBE_SENT
    assert "canary" not in lost.reason


@pytest.mark.parametrize(
    ("error", "phase", "why"),
    [
        (aiohttp.ConnectionTimeoutError(), Phase.NOT_SENT, "no connection in time"),
        (aiohttp.SocketTimeoutError(), Phase.MAYBE_SENT, "no answer in time"),
        (TimeoutError(), Phase.MAYBE_SENT, "no answer in time"),
        (aiohttp.ClientPayloadError(), Phase.MAYBE_SENT, "the answer broke off"),
        (aiohttp.ClientOSError(), Phase.MAYBE_SENT, "the connection was lost"),
    ],
)
def test_each_loss_is_named_with_its_phase(error: Exception, phase: Phase, why: str) -> None:
    """Losses that no socket here can bring about are told apart all the same."""
    assert (classify_error(error).phase, classify_error(error).reason) == (phase, why)
