"""Both clients behind one face, so that every scenario runs through both: they must decide the same."""

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

#: For servers that hang: every such attempt costs it for real; nothing is asserted about it.
IMPATIENT = Transport(timeout=0.1)
#: For servers that answer, however busy the machine is.
PATIENT = Transport(timeout=30.0)
TOKEN = "eyJhbGciOiJSUzI1NiJ9.secret-canary-of-a-token.c2ln"


class ManualClock:
    """Time that moves only when somebody waits."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.wall, self.ticks = wall, 1_000.0
        self.waits: list[float] = []

    def time(self) -> float:
        """Unix seconds."""
        return self.wall

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return self.ticks

    def sleep(self, seconds: float) -> None:
        """Advance, at once."""
        self.waits.append(seconds)
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """Advance, at once, after letting other coroutines run."""
        self.sleep(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move both clocks on."""
        self.wall += seconds
        self.ticks += seconds


def quick(**settings: Any) -> RetryPolicy:
    """Make a policy without pauses of its own."""
    return RetryPolicy(**{"uniform": lambda: 0.0, **settings})


class Blocking:
    """The synchronous client."""

    kind = ArmClient

    def __init__(self, base_url: str, credentials: Any, **settings: Any) -> None:
        self.client = ArmClient(base_url, credentials, **settings)

    def call(self, name: str, **arguments: Any) -> Any:
        """Make a reading call."""
        return self.client.call(name, **arguments)

    def get_batch(self, batch_uuid: str) -> Any:
        """GET one batch."""
        return self.client.get_batch(batch_uuid)

    def send(self, request: Request, read: Callable[[Any], Any] = read_json) -> Any:
        """Make any call from a ready request."""
        return self.client._call(request, read)

    def together(self, times: int, name: str, **arguments: Any) -> list[Any]:
        """Make the same call many times at once; results or the errors."""
        start = Barrier(times)

        def one(_: int) -> Any:
            start.wait()
            try:
                return self.call(name, **arguments)
            except Exception as error:  # noqa: BLE001 - the test looks at it
                return error

        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(one, range(times)))

    def close(self) -> None:
        """Close the client."""
        self.client.close()


class Awaiting:
    """The asynchronous client on a loop of its own."""

    kind = AsyncArmClient

    def __init__(self, base_url: str, credentials: Any, **settings: Any) -> None:
        self.runner = asyncio.Runner()

        async def make() -> AsyncArmClient:
            return AsyncArmClient(base_url, credentials, **settings)

        self.client = self.runner.run(make())

    def call(self, name: str, **arguments: Any) -> Any:
        """Make a reading call."""
        return self.runner.run(self.client.call(name, **arguments))

    def get_batch(self, batch_uuid: str) -> Any:
        """GET one batch."""
        return self.runner.run(self.client.get_batch(batch_uuid))

    def send(self, request: Request, read: Callable[[Any], Any] = read_json) -> Any:
        """Make any call from a ready request."""
        return self.runner.run(self.client._call(request, read))

    def together(self, times: int, name: str, **arguments: Any) -> list[Any]:
        """Make the same call many times at once; results or the errors."""

        async def all_of_them() -> list[Any]:
            calls = (self.client.call(name, **arguments) for _ in range(times))
            return await asyncio.gather(*calls, return_exceptions=True)

        return self.runner.run(all_of_them())

    def close(self) -> None:
        """Close the client and the loop."""
        self.runner.run(self.client.close())
        self.runner.close()


Driver = Blocking | Awaiting
STATIC = StaticToken(TOKEN)
