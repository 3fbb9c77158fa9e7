"""Triggerer, asset state store and clock for tests of event triggers. Shared streams are Airflow's own."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.triggers.event_stream import CAN_SHARE

#: Iterations of the event loop until a sent event counts as stored by Airflow.
_ITERATIONS_TO_STORE = 3
#: Iterations of the event loop after which every task waits for the clock or for I/O.
_ITERATIONS_TO_SETTLE = 50


class FakeAssetStore:
    """Store with the interface of ``trigger.asset_state_store``: JSON values by key. It survives the triggerer."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.is_unavailable = False

    async def aget(self, key: str, default: Any = None) -> Any:
        await asyncio.sleep(0)
        if self.is_unavailable:
            raise ConnectionError("canary")
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        await asyncio.sleep(0)
        if self.is_unavailable:
            raise ConnectionError("canary")
        assert value is not None
        self.values[key] = json.dumps(value)


class FakeTriggerer:
    """Triggerer that, like Airflow's, creates triggers from their serialized arguments and shares streams if possible.

    :param stores: one per trigger; ``None`` for an Airflow version without an asset state store.
    """

    def __init__(self, clock: SteppedClock, *, stores: list[FakeAssetStore] | None = None) -> None:
        self.clock = clock
        self.stores = stores
        self._polls: set[Any] = set()
        self.payloads: dict[int, list[Any]] = {}
        #: Whether sent events are lost before Airflow has stored them, as when the triggerer is killed.
        self.loses_events = False
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self, *triggers: Any) -> None:
        """Start the triggerer with these triggers."""
        if CAN_SHARE:
            from airflow.triggers.shared_stream import SharedStreamManager

            self.manager = SharedStreamManager()
        await self.start_more(*triggers)

    async def start_more(self, *triggers: Any) -> None:
        """Start more triggers."""
        for number, trigger in enumerate(triggers, len(self.payloads)):
            path, arguments = trigger.serialize()
            assert path == f"{type(trigger).__module__}.{type(trigger).__qualname__}"
            deserialized = type(trigger)(**json.loads(json.dumps(arguments)))
            if self.stores is not None:
                deserialized.asset_state_store = self.stores[number]
            self.payloads[number] = []
            self.tasks.append(asyncio.create_task(self._run(number, deserialized)))
        await asyncio.sleep(0)

    async def _run(self, number: int, trigger: Any) -> None:
        key = trigger.shared_stream_key()
        self._polls.add(number if key is None else key)
        self.clock.polls = len(self._polls)
        if key is None:
            async for event in trigger.run():
                self.payloads[number].append(json.loads(json.dumps(event.payload)))
            return
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                seq = self.manager.bind_pending_event(trigger_id=number, key=key)
                if not self.loses_events:
                    self.payloads[number].append(json.loads(json.dumps(event.payload)))
                    self.tasks.append(asyncio.create_task(self._confirm(seq)))
        finally:
            await self.manager.unsubscribe(number, key)

    async def _confirm(self, seq: int | None) -> None:
        for _ in range(_ITERATIONS_TO_STORE):
            await asyncio.sleep(0)
        self.manager.confirm_persisted([] if seq is None else [seq])

    async def stop(self) -> None:
        """Stop the triggerer as a deployment does, and check that no trigger has failed."""
        self.clock.polls = 0
        for task in self.tasks:
            task.cancel()
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        if CAN_SHARE:
            await self.manager.stop_all()
        for result in results:
            assert result is None or isinstance(result, asyncio.CancelledError), result

    @property
    def all_payloads(self) -> list[Any]:
        """Payloads of the first trigger."""
        return self.payloads[0]


class SteppedClock:
    """Clock of this process and of the sandbox. It advances only when the test advances it."""

    def __init__(self, sandbox: Any, monkeypatch: Any) -> None:
        self.sandbox, self.elapsed = sandbox, 0.0
        #: Number of running polls. Time stands still until each of them sleeps.
        self.polls = 0
        self._started = time.time()
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        monkeypatch.setattr(SystemClock, "monotonic", lambda _: self.elapsed)
        monkeypatch.setattr(SystemClock, "time", lambda _: self._started + self.elapsed)

        async def asleep(_: Any, seconds: float) -> None:
            wakeup = asyncio.get_running_loop().create_future()
            self._sleepers.append((self.elapsed + seconds, wakeup))
            await wakeup

        monkeypatch.setattr(SystemClock, "asleep", asleep)

    async def settle(self) -> None:
        """Wait until every poll sleeps and its events are stored."""
        while sum(not wakeup.done() for _, wakeup in self._sleepers) < self.polls:  # noqa: ASYNC110 - there are several
            await asyncio.sleep(0.001)
        for _ in range(_ITERATIONS_TO_SETTLE):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Advance the time, and wake every sleeper when it is due."""
        end = self.elapsed + seconds
        while True:
            await self.settle()
            self._sleepers = [(due, wakeup) for due, wakeup in self._sleepers if not wakeup.done()]
            next_due = min((due for due, _ in self._sleepers), default=end + 1)
            self._set_elapsed(max(self.elapsed, min(next_due, end)))
            if next_due > end:
                return
            for due, wakeup in self._sleepers:
                if due <= self.elapsed and not wakeup.done():
                    wakeup.set_result(None)

    def advance_without_triggerer(self, seconds: float) -> None:
        """Advance the time while no triggerer runs."""
        self._set_elapsed(self.elapsed + seconds)

    def _set_elapsed(self, elapsed: float) -> None:
        self.sandbox.advance(elapsed - self.elapsed)
        self.elapsed = elapsed
