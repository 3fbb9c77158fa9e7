"""Base class of the event triggers: one poll for many watchers where Airflow supports it, and no lost events.

In Airflow 3.3 and later watchers with the same key share one poll, and what they have reported is stored only after
Airflow has stored their events. Before 3.3 each watcher polls separately. Light to import.
"""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from contextlib import aclosing
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_arm.argument_readers import seconds, text
from airflow_provider_arm.hooks.settings import read_client_no

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Mapping

    from airflow.triggers.shared_stream import SharedStreamProducer

#: Whether this Airflow confirms that an event is stored. Without that a shared poll could lose events.
CAN_SHARE = hasattr(BaseEventTrigger, "create_shared_stream_producer")


class ArmEventTrigger(BaseEventTrigger):
    """Base class of triggers for an ``AssetWatcher``: they run without end, and only read from ARM.

    :param arm_conn_id: connection of type ``arm``.
    :param client_no: the ARM client; ``None`` for the connection's.
    :param poll_interval: seconds between polls.
    """

    #: Module with the implementation, imported in the triggerer only. ``poll_results(trigger)`` polls without end and
    #: yields results; ``payloads(trigger, results)`` yields the event payloads of one watcher.
    implementation_module: ClassVar[str]

    def __init__(self, *, arm_conn_id: str, client_no: int | None, poll_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.arm_conn_id = text("arm_conn_id", arm_conn_id)
        self.client_no = read_client_no("client_no", client_no)
        # Always a float: Airflow identifies a trigger by the text of its arguments.
        self.poll_interval = float(seconds(positive=True)("poll_interval", poll_interval))

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the arguments as text, numbers and None, in one spelling for equal values."""

    @abstractmethod
    def stream_key(self) -> tuple[str, ...]:
        """Return the key of the poll that this watcher needs; watchers with an equal key share it."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments, by which Airflow identifies the trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments()

    def shared_stream_key(self) -> Hashable | None:
        """Return the key of the shared poll; ``None`` if this Airflow cannot share one safely."""
        return self.stream_key() if CAN_SHARE else None

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Create the shared poll of a group of watchers."""
        from airflow_provider_arm.triggers.event_producer import EventProducer

        return EventProducer(cls(**kwargs).open_poll)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Yield this watcher's events from the results of the shared poll."""
        implementation = await self.load_implementation()
        async with aclosing(implementation.payloads(self, shared_stream)) as payloads:
            async for payload in payloads:
                yield TriggerEvent(payload)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for this watcher alone: the interface of Airflow before 3.3."""
        async with aclosing(self._poll_alone()) as results, aclosing(self.filter_shared_stream(results)) as events:  # type: ignore[type-var]
            async for event in events:
                yield event

    async def load_implementation(self) -> Any:
        """Import the implementation module in a thread: the import would block every trigger of the process."""
        return await asyncio.to_thread(import_module, self.implementation_module)

    async def open_poll(self) -> AsyncGenerator[Any, None]:
        """Start to poll; return the generator of the results."""
        return (await self.load_implementation()).poll_results(self)  # type: ignore[no-any-return]

    async def _poll_alone(self) -> AsyncIterator[Any]:
        """Poll without end. A result counts as stored at the next poll, when Airflow has long stored the event."""
        previous = None
        async with aclosing(await self.open_poll()) as poll_results:
            async for result in poll_results:
                if previous is not None:
                    await previous.confirm()
                yield result
                previous = result


def as_text(value: Any) -> str:
    """Return a value as JSON text; equal values have equal text."""
    return json.dumps(value, sort_keys=True, default=str)


def as_mapping(value: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Return a mapping that may be JSON text: Airflow 3.1 does not recognise a stored trigger with a mapping."""
    return json.loads(value) if isinstance(value, str) else json.loads(as_text(value or {}))  # type: ignore[no-any-return]
