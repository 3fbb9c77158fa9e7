"""What the event triggers share: one poll for many watchers where Airflow can, and no event lost on the way.

In Airflow 3.3 and later watchers with the same key share one poll, and what they have reported is written down only
when Airflow has stored their events. Before that each watcher polls for itself. Importing this loads nothing heavy.
"""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from contextlib import aclosing
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Mapping

    from airflow.triggers.shared_stream import SharedStreamProducer

#: Whether this Airflow says when an event is stored. A shared poll that cannot know it would lose events.
CAN_SHARE = hasattr(BaseEventTrigger, "create_shared_stream_producer")


class ArmEventTrigger(BaseEventTrigger):
    """Base of the triggers for an ``AssetWatcher``: they run for ever, and only read from ARM.

    :param arm_conn_id: connection of type ``arm``.
    :param client_no: the ARM client; ``None`` for the connection's.
    :param poll_interval: seconds between two looks.
    """

    #: The module that does the work, loaded in the triggerer only: it has ``rounds(trigger)``, which looks for ever and
    #: gives raw events, and ``events(trigger, raw)``, which makes one watcher's payloads of them.
    worker: ClassVar[str]

    def __init__(self, *, arm_conn_id: str, client_no: int | None, poll_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if poll_interval <= 0:
            msg = "poll_interval must be more than 0 seconds"
            raise ValueError(msg)
        self.arm_conn_id = arm_conn_id
        self.client_no = client_no
        # One type, whatever the author wrote: Airflow knows a trigger by its arguments' text.
        self.poll_interval = float(poll_interval)

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Give the arguments as text, numbers and None, the same however the author wrote them."""

    @abstractmethod
    def stream_key(self) -> tuple[str, ...]:
        """Name the poll that this watcher needs; watchers of the same name share it."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give class path and arguments. By them Airflow knows the trigger again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments()

    def shared_stream_key(self) -> Hashable | None:
        """Name the shared poll; ``None`` where this Airflow has none that is safe."""
        return self.stream_key() if CAN_SHARE else None

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Make the one poll of a group of watchers."""
        from airflow_provider_arm.triggers.event_producer import Producer

        return Producer(cls(**kwargs).open_rounds)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Make this watcher's events of what the shared poll gives."""
        working = await self.load()
        async with aclosing(working.events(self, shared_stream)) as payloads:
            async for payload in payloads:
                yield TriggerEvent(payload)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for this watcher alone, as Airflow before 3.3 wants it."""
        async with aclosing(self._alone()) as raw, aclosing(self.filter_shared_stream(raw)) as events:  # type: ignore[type-var]
            async for event in events:
                yield event

    async def load(self) -> Any:
        """Load the module that does the work, in a thread: every trigger would else stand still for it."""
        return await asyncio.to_thread(import_module, self.worker)

    async def open_rounds(self) -> AsyncGenerator[Any, None]:
        """Begin to poll; each round is one poll's raw events."""
        return (await self.load()).rounds(self)  # type: ignore[no-any-return]

    async def _alone(self) -> AsyncIterator[Any]:
        """Look for ever; what one look brought counts as stored at the next, which comes long after Airflow's loop."""
        earlier = None
        async with aclosing(await self.open_rounds()) as rounds:
            async for each in rounds:
                if earlier is not None:
                    await earlier.confirm()
                yield each
                earlier = each


def as_text(value: Any) -> str:
    """Give JSON as text, equal for what is equal."""
    return json.dumps(value, sort_keys=True, default=str)


def as_mapping(value: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Read a mapping that may have become text: Airflow 3.1 does not know a stored trigger again that has one."""
    return json.loads(value) if isinstance(value, str) else json.loads(as_text(value or {}))  # type: ignore[no-any-return]
