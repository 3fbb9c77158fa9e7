"""A limit on the duration of calls, enforced by one timer for all of them."""

from __future__ import annotations

import asyncio

#: Checks within one limit: a call is ended at most a quarter of the limit late.
CHECKS_PER_LIMIT = 4


class TimeLimit:
    """Limit on the duration of the calls of one event loop: a call that takes too long is cancelled.

    A timer per call would keep eight more objects alive during each call, although nearly all calls end in time::

        task = limit.start()
        try:
            ...
        except asyncio.CancelledError:
            if not limit.has_timed_out(task):
                raise
            ...  # it took too long
        finally:
            limit.finish(task)

    A task runs one call at a time.

    :param seconds: how long a call may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started: dict[asyncio.Task[object], float] = {}
        self._timed_out: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> asyncio.Task[object]:
        """Register a call of the running task and return the task."""
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - a caller's programming error
            raise RuntimeError("a call must be made in a task")
        loop = asyncio.get_running_loop()
        self._started[task] = loop.time()
        if self._timer is None:
            self._schedule(loop)
        return task

    def has_timed_out(self, task: asyncio.Task[object]) -> bool:
        """Return whether the call was cancelled because it took too long, and for no other reason as well."""
        return task in self._timed_out and task.uncancel() == 0

    def finish(self, task: asyncio.Task[object]) -> None:
        """Remove the call of *task*."""
        self._started.pop(task, None)
        self._timed_out.discard(task)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._seconds / CHECKS_PER_LIMIT, self._check, loop)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        latest = loop.time() - self._seconds
        for task, started in self._started.items():
            if started < latest and task not in self._timed_out:
                self._timed_out.add(task)
                task.cancel()
        if self._started:
            self._schedule(loop)
