"""One timer for thousands of triggers: a cheap implementation of :func:`repeat`.

A sleeping coroutine consists of a dozen objects that Python's garbage collector has to visit, created anew for each
sleep. Five thousand of them make the collector pause the triggerer for a fifth of a second every few seconds. An entry
of this timer is one small object.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_provider_arm.client.http.retry import Clock

    #: Does one step; returns the seconds until the next one, ``None`` for the last.
    Step = Callable[[], Awaitable[float | None]]


async def repeat(step: Step, first: float, clock: Clock) -> None:
    """Call *step* after *first* seconds, then after the seconds that it returns, until it returns ``None``.

    Equivalent to::

        await clock.asleep(first)
        while (seconds := await step()) is not None:
            await clock.asleep(seconds)

    Raises what *step* raises. *step* runs in a separate task with the caller's context variables, by which Airflow
    assigns log lines to triggers.
    """
    loop = asyncio.get_running_loop()
    timer = _timers.get(loop)
    if timer is None:
        timer = _timers[loop] = SharedTimer(clock)
    entry = _TimerEntry(step)
    timer.schedule(entry, first)
    try:
        await entry.done
    finally:
        entry.cancel()


class _TimerEntry:
    """Entry of one caller of :func:`repeat`."""

    __slots__ = ("context", "done", "step", "task")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.context = contextvars.copy_context()
        self.task: asyncio.Task[None] | None = None

    def fail(self, error: Exception) -> None:
        """Raise *error* in the caller, unless it no longer waits."""
        if not self.done.done():
            self.done.set_exception(error)

    def cancel(self) -> None:
        """Cancel the running step; a scheduled entry is skipped."""
        if self.task is not None:
            self.task.cancel()
            self.task = None


class SharedTimer:
    """Scheduled entries of one event loop, by due time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: A heap; the number prevents a comparison of two entries with one due time.
        self._scheduled: list[tuple[float, int, _TimerEntry]] = []
        self._numbers = itertools.count()
        self._sleeper: asyncio.Task[None] | None = None
        self._sleeps_until = math.inf

    def schedule(self, entry: _TimerEntry, seconds: float) -> None:
        """Schedule an entry, due in *seconds*."""
        due = self._clock.monotonic() + seconds
        heapq.heappush(self._scheduled, (due, next(self._numbers), entry))
        if self._sleeper is None or self._sleeper.done() or due < self._sleeps_until:
            if self._sleeper is not None:
                self._sleeper.cancel()
            self._sleeps_until = due
            # An empty context: the task serves all callers.
            self._sleeper = asyncio.create_task(self._run_due(), context=contextvars.Context())

    async def _run_due(self) -> None:
        """Start the step of each entry when it is due, until none is scheduled. Only sleep is awaited."""
        try:
            while self._scheduled:
                self._sleeps_until = self._scheduled[0][0]
                left = self._sleeps_until - self._clock.monotonic()
                if left > 0:
                    await self._clock.asleep(left)
                _, _, entry = heapq.heappop(self._scheduled)
                if not entry.done.done():
                    entry.task = asyncio.create_task(self._run_step(entry), context=entry.context)
            self._sleeps_until = math.inf
        except Exception as error:  # noqa: BLE001 - otherwise thousands of callers would wait for ever
            scheduled, self._scheduled = self._scheduled, []
            for _, _, entry in scheduled:
                entry.fail(error)

    async def _run_step(self, entry: _TimerEntry) -> None:
        try:
            seconds = await entry.step()
        except asyncio.CancelledError:
            entry.done.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - raised in the caller of repeat
            entry.fail(error)
            return
        entry.task = None
        if entry.done.done():
            return
        if seconds is None:
            entry.done.set_result(None)
        else:
            self.schedule(entry, seconds)


_timers: WeakKeyDictionary[asyncio.AbstractEventLoop, SharedTimer] = WeakKeyDictionary()
