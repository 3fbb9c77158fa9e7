from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from airflow_provider_arm.client import AsyncArmClient, ClientCredentials, StaticToken, Transport, async_client
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


def run_with_client(base_url: str, work, **settings: Any) -> Any:
    """Run the coroutine function *work* with a client, on its own event loop."""

    async def run() -> Any:
        defaults = {"client_no": 2218, "transport": LONG_TIMEOUT, "clock": ManualClock(), "retry": no_delay()}
        async with AsyncArmClient(base_url, StaticToken("t"), **(defaults | settings)) as client:
            return await work(client)

    return asyncio.run(run())


def test_one_client_polls_batches_of_several_client_numbers(start_server) -> None:
    """Any client number may be passed; the connection's is the default."""
    server = start_server([FINISHED])

    async def work(client: AsyncArmClient) -> list[str]:
        statuses = [await client.get_batch("a-B"), await client.get_batch("c", client_no=77)]
        return [status.state for status in statuses]

    assert run_with_client(f"{server.url}/arm/v1", work) == ["succeeded"] * 2
    assert [request.path for request in server.requests] == [
        "/arm/v1/clients/2218/batches/a-B",
        "/arm/v1/clients/77/batches/c",
    ]


def test_get_batch_without_a_client_number_raises(start_server) -> None:
    """If the connection has none, the call must pass one."""
    server = start_server([FINISHED])
    assert (
        run_with_client(server.url, lambda client: client.get_batch("c", client_no=77), client_no=None).state
        == "succeeded"
    )
    with pytest.raises(ArmConfigurationError, match="client_no is missing"):
        run_with_client(server.url, lambda client: client.get_batch("c"), client_no=None)


def test_unknown_batch_raises_not_found(start_server) -> None:
    """404 has its own error, so that a grace period can ignore it (Q4)."""
    server = start_server([HttpReply(b"", 404)])
    with pytest.raises(ArmNotFoundError):
        run_with_client(server.url, lambda client: client.get_batch("c"))


def test_connections_are_reused_and_closed(start_server) -> None:
    """Polls use one connection; a closed client opens a new one when it is used again."""
    server = start_server([HttpReply(FINISHED.body, keep_alive=True)])

    async def work(client: AsyncArmClient) -> int:
        for _ in range(3):
            await client.get_batch("a")
        before = server.connections
        await client.close()
        await client.close()
        await client.get_batch("a")
        return before

    assert run_with_client(server.url, work) == 1
    assert server.connections == 2


def test_lost_keep_alive_connection_is_one_attempt(start_server) -> None:
    """A server that closes such a connection instead of replying gets each of the five attempts once."""
    replies = iter([HttpReply({}, keep_alive=True), *[CloseConnection()] * 4, HttpReply({"late": 1})])
    server = start_server(lambda _: next(replies))

    async def work(client: AsyncArmClient) -> list[Any]:
        return [await client.call("get_gl_item", path={"glitemid": 1}) for _ in range(2)]

    assert run_with_client(server.url, work) == [{}, {"late": 1}]
    assert len(server.requests) == 6


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_of_one_call_starts_a_cooldown_for_all(start_server, status) -> None:
    """Until it ends, nothing is sent for any batch; then everything is."""
    clock = ManualClock()
    replies = iter([HttpReply({}, status, headers={"Retry-After": "120"})])
    server = start_server(lambda _: next(replies, FINISHED))

    async def work(client: AsyncArmClient) -> tuple[list[Any], list[Any]]:
        with pytest.raises((ArmRateLimitError, ArmUnavailableError)):
            await client.get_batch("first")
        clock.advance(119)
        held = await asyncio.gather(*(client.get_batch(f"{n}") for n in range(50)), return_exceptions=True)
        clock.advance(1)
        return held, await asyncio.gather(*(client.get_batch(f"{n}") for n in range(50)))

    held, statuses = run_with_client(server.url, work, clock=clock)
    assert {(type(error), error.phase, error.retry_after) for error in held} == {(ArmRateLimitError, Phase.NOT_SENT, 1)}
    assert "ARM asked to wait 1 more seconds (Retry-After)" in str(held[0])
    assert len(statuses) == 50
    assert len(server.requests) == 51


def test_cooldown_of_the_token_service_does_not_affect_arm(start_server) -> None:
    """Nor the other way round."""
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


class SlowReply(Reply):
    """An endless response of single bytes, none of which exceeds the timeout."""

    def reply_on(self, connection: Any) -> None:
        """Send until the client disconnects."""
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


def test_response_that_arrives_byte_by_byte_times_out(start_server) -> None:
    """The poll ends although no single byte is late: it must not exceed the deadline of its wait."""
    server = start_server([SlowReply()])

    async def work(client: AsyncArmClient) -> None:
        with pytest.raises(ArmUnavailableError, match="no response within the timeout"):
            await client.get_batch("a")

    run_with_client(server.url, work, transport=Transport(timeout=0.1), retry=no_delay(max_attempts=1))


def test_proxies_are_read_once_per_host(start_server, monkeypatch) -> None:
    """The environment is read once, and its proxy is used."""
    proxy, urls = start_server([FINISHED]), []
    monkeypatch.setattr(async_client, "proxies_for", lambda url: urls.append(url) or {"http": proxy.url})

    async def work(client: AsyncArmClient) -> None:
        for _ in range(20):
            await client.get_batch("a")

    run_with_client("http://127.0.0.1:9/arm/v1", work)
    assert urls == ["http://127.0.0.1:9"]
    assert len(proxy.requests) == 20


def test_token_is_renewed_once_for_a_thousand_polls(start_server) -> None:
    """Whether it expires or ARM rejects it: one call to the token service serves all waiting polls."""
    clock, tokens = ManualClock(), []

    def token(_: RecordedRequest) -> HttpReply:
        tokens.append(f"token-{len(tokens) + 1}")
        return HttpReply({"access_token": tokens[-1], "expires_in": 3600})

    rejected = {"token-2"}

    def reply(request: RecordedRequest) -> HttpReply:
        is_valid = request.headers["authorization"].removeprefix("Bearer ") not in rejected
        return HttpReply(FINISHED.body, keep_alive=True) if is_valid else HttpReply({}, 401, keep_alive=True)

    service, server = start_server(token), start_server(reply)
    credentials = ClientCredentials(f"{service.url}/token", "id", "secret")

    async def run() -> list[int]:
        settings = {"client_no": 2218, "transport": LONG_TIMEOUT, "clock": clock, "retry": no_delay()}
        calls = []
        async with AsyncArmClient(server.url, credentials, **settings) as client:
            for _ in range(2):
                await asyncio.gather(*(client.get_batch(str(number)) for number in range(1000)))
                calls.append(len(tokens))
                clock.advance(3600)
        return calls

    # The first thousand share a token. For the second it has expired, and ARM rejects its successor, too.
    assert asyncio.run(run()) == [1, 3]
    assert server.connections <= async_client.MAX_CONNECTIONS


def test_client_has_its_readings(start_server) -> None:
    """Triggers read them from their client."""

    async def work(client: AsyncArmClient) -> Any:
        return client.readings.batch.not_found_grace

    assert run_with_client("https://api.amili.no", work) == 0.0
