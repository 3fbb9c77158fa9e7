"""A limit on how long calls may last, kept by one timer for all of them."""

from __future__ import annotations

import asyncio

#: Looks at the calls within one limit: a call is ended at most a quarter of it late.
CHECKS_PER_LIMIT = 4


class TimeLimit:
    """Ends the calls of one event loop that last too long.

    A timer for each call would be eight objects more that live as long as the call does, which is most of what an
    answer in good time needs it for::

        task = limit.begin()
        try:
            ...
        except asyncio.CancelledError:
            if not limit.has_ended(task):
                raise
            ...  # it took too long
        finally:
            limit.finish(task)

    A task has one call under way at a time.

    :param seconds: how long a call may last.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: dict[asyncio.Task[object], float] = {}
        self._ended: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> asyncio.Task[object]:
        """Note that the running task begins a call; gives the task."""
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - a caller's programming error
            msg = "a call is made in a task"
            raise RuntimeError(msg)
        loop = asyncio.get_running_loop()
        self._began[task] = loop.time()
        if self._timer is None:
            self._plan(loop)
        return task

    def has_ended(self, task: asyncio.Task[object]) -> bool:
        """Whether the call was cancelled because it took too long, and by nobody else besides."""
        return task in self._ended and task.uncancel() == 0

    def finish(self, task: asyncio.Task[object]) -> None:
        """Note that the task's call is over."""
        self._began.pop(task, None)
        self._ended.discard(task)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._seconds / CHECKS_PER_LIMIT, self._check, loop)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        latest = loop.time() - self._seconds
        for task, began in self._began.items():
            if began < latest and task not in self._ended:
                self._ended.add(task)
                task.cancel()
        if self._began:
            self._plan(loop)
