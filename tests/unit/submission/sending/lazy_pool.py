"""A pool of threads without threads: what is handed to it is done at once or as late as can be, as the test says."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class _Late(Future[Any]):
    """Work that is done when somebody asks for its result."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        """Do it, once."""
        if not self.done():
            try:
                self.set_result(self._work())
            except BaseException as error:  # noqa: BLE001 - as the standard library's pool does
                self.set_exception(error)

    def result(self, timeout: float | None = None) -> Any:
        """Do it if it is not done, and give what it gives."""
        self.run()
        return super().result(timeout)


class LazyPool:
    """Takes the place of ``ThreadPoolExecutor``, with an order that can be played again.

    :param late: work is done when its result is asked for, at the latest when the pool is shut down.
    :param is_dead: whether the process has died: then nothing is done any more.
    """

    def __init__(self, *, late: bool, is_dead: Callable[[], bool]) -> None:
        self._late, self._is_dead = late, is_dead
        self._all: list[_Late] = []

    def __call__(self, size: int, **_: Any) -> LazyPool:
        """Be made, as the class is."""
        return self

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Take work."""
        work = _Late(lambda: function(*arguments))
        if not self._late:
            work.run()
        self._all.append(work)
        return work

    def shutdown(self, **_: Any) -> None:
        """Do what is left."""
        for work in self._all:
            if not self._is_dead():
                work.run()
