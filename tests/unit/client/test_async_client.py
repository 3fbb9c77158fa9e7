from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from airflow_provider_arm.client import AsyncArmClient, StaticToken
from airflow_provider_arm.client.async_client import classify
from airflow_provider_arm.client.errors import ArmConfigurationError, ArmNotFoundError, Phase

from .driving import PATIENT, ManualClock, quick
from .scripted_server import Close, Say

FINISHED = Say({"status": "PROCESSED", "totalCount": 1, "failedCount": 0})


def within(base_url: str, work, **settings: Any) -> Any:
    """Run *work* with a client on a loop of its own."""

    async def run() -> Any:
        usual = {"client_no": 2218, "transport": PATIENT, "clock": ManualClock(), "retry": quick()}
        async with AsyncArmClient(base_url, StaticToken("t"), **(usual | settings)) as client:
            return await work(client)

    return asyncio.run(run())


def test_batches_of_several_clients_share_a_client(serve) -> None:
    """One client polls for all ARM clients of a connection; the connection's own number is the default."""
    server = serve([FINISHED])

    async def work(client: AsyncArmClient) -> list[str]:
        seen = [await client.get_batch("a-B"), await client.get_batch("c", client_no=77)]
        return [status.state for status in seen]

    assert within(f"{server.url}/arm/v1", work) == ["succeeded"] * 2
    assert [seen.path for seen in server.requests] == [
        "/arm/v1/clients/2218/batches/a-B",
        "/arm/v1/clients/77/batches/c",
    ]


def test_a_batch_needs_a_client_number(serve) -> None:
    """Without one in the connection the call must name it."""
    server = serve([FINISHED])
    assert within(server.url, lambda client: client.get_batch("c", client_no=77), client_no=None).state == "succeeded"
    with pytest.raises(ArmConfigurationError, match="client_no is missing"):
        within(server.url, lambda client: client.get_batch("c"), client_no=None)


def test_a_batch_that_is_not_known_is_not_found(serve) -> None:
    """404 is an error of its own, so that a grace period can pass over it (Q4)."""
    server = serve([Say(b"", 404)])
    with pytest.raises(ArmNotFoundError):
        within(server.url, lambda client: client.get_batch("c"))


def test_connections_are_kept_and_closed(serve) -> None:
    """Polls go over one connection; a closed client opens a new one when it is used again."""
    server = serve([Say(FINISHED.body, keeps=True)])

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


def test_a_kept_connection_that_dies_costs_one_attempt(serve) -> None:
    """A server that closes a kept connection instead of answering sees each of the five attempts once."""
    answers = iter([Say({}, keeps=True), *[Close()] * 4, Say({"late": 1})])
    server = serve(lambda _: next(answers))

    async def work(client: AsyncArmClient) -> list[Any]:
        return [await client.call("get_gl_item", path={"glitemid": 1}) for _ in range(2)]

    assert within(server.url, work) == [{}, {"late": 1}]
    assert len(server.requests) == 6


def test_a_client_says_what_it_assumes(serve) -> None:
    """Triggers read the assumptions of their client."""

    async def work(client: AsyncArmClient) -> Any:
        return client.assumptions.batch_unknown_grace

    assert within("https://api.amili.no", work) == 0.0


@pytest.mark.parametrize(
    "error", [Exception(), OSError(5, "x"), aiohttp.ServerDisconnectedError("canary"), ValueError("canary")]
)
def test_what_is_not_known_may_have_been_sent(error) -> None:
    """No error that nobody thought of is ever taken for not sent, and none is shown."""
    lost = classify(error)
    assert lost.phase is Phase.MAYBE_SENT
    assert "canary" not in lost.why


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
    assert (classify(error).phase, classify(error).why) == (phase, why)
