"""A common interface of both clients, so that each test runs with both: they must decide the same."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import ArmClient, AsyncArmClient, StaticToken, Transport
from airflow_provider_arm.client.endpoints import read_json
from airflow_provider_arm.client.http.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.client.http.messages import Request

#: For servers that never reply: each attempt really waits this long.
SHORT_TIMEOUT = Transport(timeout=0.1)
#: For servers that reply, however busy the machine is.
LONG_TIMEOUT = Transport(timeout=30.0)
TOKEN = "eyJhbGciOiJSUzI1NiJ9.secret-canary-of-a-token.c2ln"


class ManualClock:
    """A clock that advances only when a test or a wait advances it."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.wall, self.ticks = wall, 1_000.0
        #: Seconds of all waits so far.
        self.waits: list[float] = []

    def time(self) -> float:
        """Return unix seconds."""
        return self.wall

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        return self.ticks

    def sleep(self, seconds: float) -> None:
        """Advance the clock without waiting."""
        self.waits.append(seconds)
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """Advance the clock without waiting, then let other coroutines run."""
        self.sleep(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Advance unix time and monotonic time."""
        self.wall += seconds
        self.ticks += seconds


def no_delay(**settings: Any) -> RetryPolicy:
    """Return a retry policy without delays, except those that the server asks for."""
    return RetryPolicy(**{"uniform": lambda: 0.0, **settings})


class SyncDriver:
    """The synchronous client."""

    kind = ArmClient

    def __init__(self, base_url: str, credentials: Any, **settings: Any) -> None:
        self.client = ArmClient(base_url, credentials, **settings)

    def call(self, name: str, **arguments: Any) -> Any:
        """Make a read."""
        return self.client.call(name, **arguments)

    def get_batch(self, batch_uuid: str) -> Any:
        """GET one batch."""
        return self.client.get_batch(batch_uuid)

    def send(self, request: Request, read: Callable[[Any], Any] = read_json) -> Any:
        """Send a request that is already built."""
        return self.client._call(request, read)

    def call_concurrently(self, times: int, name: str, **arguments: Any) -> list[Any]:
        """Make the same call many times at once; return the results or errors."""
        start = Barrier(times)

        def call_once(_: int) -> Any:
            start.wait()
            try:
                return self.call(name, **arguments)
            except Exception as error:  # noqa: BLE001 - the test checks it
                return error

        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(call_once, range(times)))

    def close(self) -> None:
        """Close the client."""
        self.client.close()


class AsyncDriver:
    """The asynchronous client, with its own event loop."""

    kind = AsyncArmClient

    def __init__(self, base_url: str, credentials: Any, **settings: Any) -> None:
        self.runner = asyncio.Runner()

        async def make() -> AsyncArmClient:
            return AsyncArmClient(base_url, credentials, **settings)

        self.client = self.runner.run(make())

    def call(self, name: str, **arguments: Any) -> Any:
        """Make a read."""
        return self.runner.run(self.client.call(name, **arguments))

    def get_batch(self, batch_uuid: str) -> Any:
        """GET one batch."""
        return self.runner.run(self.client.get_batch(batch_uuid))

    def send(self, request: Request, read: Callable[[Any], Any] = read_json) -> Any:
        """Send a request that is already built."""
        return self.runner.run(self.client._call(request, read))

    def call_concurrently(self, times: int, name: str, **arguments: Any) -> list[Any]:
        """Make the same call many times at once; return the results or errors."""

        async def call_all() -> list[Any]:
            calls = (self.client.call(name, **arguments) for _ in range(times))
            return await asyncio.gather(*calls, return_exceptions=True)

        return self.runner.run(call_all())

    def close(self) -> None:
        """Close the client and the event loop."""
        self.runner.run(self.client.close())
        self.runner.close()


Driver = SyncDriver | AsyncDriver
STATIC_TOKEN = StaticToken(TOKEN)
