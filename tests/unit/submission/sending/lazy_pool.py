"""Thread pool without threads: submitted work runs at once or as late as possible, as the test chooses."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class _LazyFuture(Future[Any]):
    """Future whose work runs when its result is requested."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        """Run the work, once."""
        if not self.done():
            try:
                self.set_result(self._work())
            except BaseException as error:  # noqa: BLE001 - as the standard library's pool does
                self.set_exception(error)

    def result(self, timeout: float | None = None) -> Any:
        """Run the work unless it has run, and return its result."""
        self.run()
        return super().result(timeout)


class LazyPool:
    """Stand-in for ``ThreadPoolExecutor`` with a reproducible order.

    :param late: run work when its result is requested, at the latest when the pool is shut down; else when it is
        submitted.
    :param is_dead: returns whether the process has been killed: then no more work runs.
    """

    def __init__(self, *, late: bool, is_dead: Callable[[], bool]) -> None:
        self._late, self._is_dead = late, is_dead
        self._submitted: list[_LazyFuture] = []

    def __call__(self, size: int, **_: Any) -> LazyPool:
        """Return this pool, where the code under test calls the class."""
        return self

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Accept work."""
        work = _LazyFuture(lambda: function(*arguments))
        if not self._late:
            work.run()
        self._submitted.append(work)
        return work

    def shutdown(self, **_: Any) -> None:
        """Run the work that has not run yet."""
        for work in self._submitted:
            if not self._is_dead():
                work.run()
