"""A folder in memory on which the real file journal works, and processes that fail, die or are overtaken on it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: How a write may fail: whether it is kept, and whether the process dies of it.
FAILURES = {
    "refused": (False, False),
    "killed before": (False, True),
    "killed after": (True, True),
    "kept and refused": (True, False),
}


class Killed(BaseException):
    """The process is gone; whatever it still tries to do on the disk does not happen."""


@dataclass(slots=True)
class Process:
    """One process that works on the disk.

    :param fail_at: the write that fails, from 0.
    :param meanwhile_at: the moment, counted in operations on the disk from 0, at which *meanwhile* is done by others.
    """

    fail_at: int | None = None
    failure: str = "refused"
    meanwhile_at: int | None = None
    meanwhile: Callable[[], None] | None = None
    dead: bool = False

    def moment(self) -> None:
        """Let others do what they do at this moment."""
        if self.dead:
            raise Killed
        if self.meanwhile is None or self.meanwhile_at is None:
            return
        if self.meanwhile_at == 0:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        self.meanwhile_at -= 1

    def writes(self, write: Callable[[], None]) -> None:
        """Do a write, or fail in it as told."""
        if self.fail_at is None:
            write()
            return
        self.fail_at -= 1
        if self.fail_at >= 0:
            write()
            return
        self.fail_at = None
        kept, dies = FAILURES[self.failure]
        if kept:
            write()
        if dies:
            self.dead = True
            raise Killed
        raise OSError(28, "No space left on device")


@dataclass(frozen=True, slots=True)
class MemoryPath:
    """What ``JournalPath`` asks of a path, in a dictionary of files."""

    files: dict[str, bytes]
    process: Process
    path: str = "journal"

    def __str__(self) -> str:
        return self.path

    def __truediv__(self, name: str) -> Self:
        return self._at(f"{self.path}/{name}")

    def _at(self, path: str) -> Self:
        return type(self)(self.files, self.process, path)

    @property
    def name(self) -> str:
        """The last part."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> Self:
        """The folder."""
        return self._at(self.path.rpartition("/")[0])

    def with_name(self, name: str) -> Self:
        """Give the neighbour."""
        return self.parent / name

    def mkdir(self, *_: object, **__: object) -> None:
        """Do nothing: as in an object store, there are no folders to make."""

    def open(self, mode: str) -> IO[bytes]:
        """Open for reading or writing."""
        self.process.moment()
        if "w" in mode:
            return _Written(self)
        if self.path not in self.files:
            raise FileNotFoundError(2, "No such file or directory")
        return io.BytesIO(self.files[self.path])

    def replace(self, target: MemoryPath) -> None:
        """Rename: the moment at which what was written counts."""
        self.process.moment()

        def rename() -> None:
            self.files[target.path] = self.files.pop(self.path)

        self.process.writes(rename)
        self.process.moment()

    def unlink(self) -> None:
        """Remove."""
        self.process.moment()
        self.files.pop(self.path, None)

    def iterdir(self) -> Iterator[Self]:
        """List; what others write after it is not in it."""
        self.process.moment()
        names = [path for path in list(self.files) if path.rpartition("/")[0] == self.path]
        self.process.moment()
        return iter([self._at(path) for path in names])


class _Written(io.BytesIO):
    """A file that is there when it is closed."""

    def __init__(self, where: MemoryPath) -> None:
        super().__init__()
        self._where = where

    def close(self) -> None:
        """Keep it."""
        if not self.closed:
            self._where.files[self._where.path] = self.getvalue()
        super().close()
