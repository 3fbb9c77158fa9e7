"""One timer for thousands of triggers. It is what ``repeat`` says, made cheap.

A sleeping coroutine is a dozen objects that Python's garbage collector has to visit, made anew at each pause; five
thousand of them make the collector stop the triggerer for a fifth of a second every few seconds. A turn in a timetable
is one small object.
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

    #: Does one piece of work; gives the seconds until the next, or ``None`` when there is none.
    Step = Callable[[], Awaitable[float | None]]


async def repeat(step: Step, first: float, clock: Clock) -> None:
    """Call *step* in *first* seconds, and again as it says, until it gives ``None``.

    The same as::

        await clock.asleep(first)
        while (seconds := await step()) is not None:
            await clock.asleep(seconds)

    It raises what *step* raises. *step* runs in a task of its own with the caller's context variables: by them Airflow
    tells whose log a line belongs to.
    """
    loop = asyncio.get_running_loop()
    timetable = _timetables.get(loop)
    if timetable is None:
        timetable = _timetables[loop] = SharedTimer(clock)
    turn = _Turn(step)
    timetable.plan(turn, first)
    try:
        await turn.done
    finally:
        turn.end()


class _Turn:
    """One caller of :func:`repeat`."""

    __slots__ = ("context", "done", "step", "task")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.context = contextvars.copy_context()
        self.task: asyncio.Task[None] | None = None

    def fail(self, error: Exception) -> None:
        """Raise *error* in the caller, unless it has gone."""
        if not self.done.done():
            self.done.set_exception(error)

    def end(self) -> None:
        """Stop what is under way; a turn that is planned yet is passed over."""
        if self.task is not None:
            self.task.cancel()
            self.task = None


class SharedTimer:
    """The turns of one event loop, by the time at which they are due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: A heap; the number keeps two turns of one moment from being compared.
        self._planned: list[tuple[float, int, _Turn]] = []
        self._numbers = itertools.count()
        self._sleeper: asyncio.Task[None] | None = None
        self._sleeps_until = math.inf

    def plan(self, turn: _Turn, seconds: float) -> None:
        """Let *turn* be due in so many seconds."""
        due = self._clock.monotonic() + seconds
        heapq.heappush(self._planned, (due, next(self._numbers), turn))
        if self._sleeper is None or self._sleeper.done() or due < self._sleeps_until:
            if self._sleeper is not None:
                self._sleeper.cancel()
            self._sleeps_until = due
            # No caller's context: it serves them all.
            self._sleeper = asyncio.create_task(self._serve(), context=contextvars.Context())

    async def _serve(self) -> None:
        """Begin each turn when it is due, until none is planned. Nothing is awaited but sleep."""
        try:
            while self._planned:
                self._sleeps_until = self._planned[0][0]
                left = self._sleeps_until - self._clock.monotonic()
                if left > 0:
                    await self._clock.asleep(left)
                _, _, turn = heapq.heappop(self._planned)
                if not turn.done.done():
                    turn.task = asyncio.create_task(self._take(turn), context=turn.context)
            self._sleeps_until = math.inf
        except Exception as error:  # noqa: BLE001 - else thousands would wait for ever for their turns
            planned, self._planned = self._planned, []
            for _, _, turn in planned:
                turn.fail(error)

    async def _take(self, turn: _Turn) -> None:
        try:
            seconds = await turn.step()
        except asyncio.CancelledError:
            turn.done.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - the caller of repeat gets it
            turn.fail(error)
            return
        turn.task = None
        if turn.done.done():
            return
        if seconds is None:
            turn.done.set_result(None)
        else:
            self.plan(turn, seconds)


_timetables: WeakKeyDictionary[asyncio.AbstractEventLoop, SharedTimer] = WeakKeyDictionary()
