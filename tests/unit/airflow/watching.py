"""A triggerer in small, for the tests of event triggers: Airflow's own shared streams, a store that outlives it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.triggers.event_stream import CAN_SHARE

#: Turns of the event loop after which an event that was sent counts as stored by Airflow.
_TURNS_TO_STORE = 3
#: Turns of the event loop in which everything that waits for nothing outside has come to rest.
_TURNS_TO_SETTLE = 50


class AssetStore:
    """What ``trigger.asset_state_store`` does: JSON values by key, outliving the triggerer."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.is_away = False

    async def aget(self, key: str, default: Any = None) -> Any:
        await asyncio.sleep(0)
        if self.is_away:
            raise ConnectionError("canary")
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise ConnectionError("canary")
        assert value is not None
        self.values[key] = json.dumps(value)


class Triggerer:
    """Runs triggers as Airflow's triggerer does: made anew from their arguments, on shared streams if it has them.

    :param stores: by watcher; ``None`` for an Airflow that has no such store.
    """

    def __init__(self, clock: StoppedClock, *, stores: list[AssetStore] | None = None) -> None:
        self.clock = clock
        self.stores = stores
        self._polls: set[Any] = set()
        self.payloads: dict[int, list[Any]] = {}
        #: Airflow stores no event any more: what dies with the triggerer.
        self.stores_no_event = False
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
            again = type(trigger)(**json.loads(json.dumps(arguments)))
            if self.stores is not None:
                again.asset_state_store = self.stores[number]
            self.payloads[number] = []
            self.tasks.append(asyncio.create_task(self._run(number, again)))
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
                if not self.stores_no_event:
                    self.payloads[number].append(json.loads(json.dumps(event.payload)))
                    self.tasks.append(asyncio.create_task(self._confirm(seq)))
        finally:
            await self.manager.unsubscribe(number, key)

    async def _confirm(self, seq: int | None) -> None:
        for _ in range(_TURNS_TO_STORE):
            await asyncio.sleep(0)
        self.manager.confirm_persisted([] if seq is None else [seq])

    async def stop(self) -> None:
        """End it, as a deployment does."""
        self.clock.polls = 0
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        if CAN_SHARE:
            await self.manager.stop_all()
        for one in ended:
            assert one is None or isinstance(one, asyncio.CancelledError), one

    @property
    def all_payloads(self) -> list[Any]:
        """The payloads of the one trigger that was started."""
        return self.payloads[0]


class StoppedClock:
    """The time of this process and of the sandbox in one hand. It moves when the test says, and looks come then."""

    def __init__(self, box: Any, monkeypatch: Any) -> None:
        self.box, self.moved = box, 0.0
        #: Polls that run: time stands still while one of them is at work.
        self.polls = 0
        self._begun = time.time()
        self._due: list[tuple[float, asyncio.Future[None]]] = []
        monkeypatch.setattr(SystemClock, "monotonic", lambda _: self.moved)
        monkeypatch.setattr(SystemClock, "time", lambda _: self._begun + self.moved)

        async def asleep(_: Any, seconds: float) -> None:
            turn = asyncio.get_running_loop().create_future()
            self._due.append((self.moved + seconds, turn))
            await turn

        monkeypatch.setattr(SystemClock, "asleep", asleep)

    async def settle(self) -> None:
        """Let every poll come to a sleep, and all that it brought be stored."""
        while sum(not turn.done() for _, turn in self._due) < self.polls:  # noqa: ASYNC110 - they are many
            await asyncio.sleep(0.001)
        for _ in range(_TURNS_TO_SETTLE):
            await asyncio.sleep(0)

    async def pass_by(self, seconds: float) -> None:
        """Let time pass, and everything happen that was due in it."""
        end = self.moved + seconds
        while True:
            await self.settle()
            self._due = [(due, turn) for due, turn in self._due if not turn.done()]
            due = min((due for due, _ in self._due), default=end + 1)
            self._move(max(self.moved, min(due, end)))
            if due > end:
                return
            for moment, turn in self._due:
                if moment <= self.moved and not turn.done():
                    turn.set_result(None)

    async def pass_by_alone(self, seconds: float) -> None:
        """Let time pass while no triggerer runs."""
        self._move(self.moved + seconds)

    def _move(self, to: float) -> None:
        self.box.advance(to - self.moved)
        self.moved = to
