"""In-memory folder for the real file journal, and processes on it that fail, die or are overtaken."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: How a write can fail: whether it is stored, and whether the process dies in it.
FAILURES = {
    "refused": (False, False),
    "killed before": (False, True),
    "killed after": (True, True),
    "stored but reported as failed": (True, False),
}


class Killed(BaseException):
    """The process has been killed. Its further operations on the disk have no effect."""


@dataclass(slots=True)
class Process:
    """Process that uses the disk.

    :param fail_at: number of the write that fails, from 0; ``None`` for no failure.
    :param failure: a key of :data:`FAILURES`.
    :param meanwhile_at: number of the disk operation, from 0, before which *meanwhile* runs: what other processes do.
    """

    fail_at: int | None = None
    failure: str = "refused"
    meanwhile_at: int | None = None
    meanwhile: Callable[[], None] | None = None
    is_dead: bool = False

    def before_operation(self) -> None:
        """Run *meanwhile* if it is due."""
        if self.is_dead:
            raise Killed
        if self.meanwhile is None or self.meanwhile_at is None:
            return
        if self.meanwhile_at == 0:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        self.meanwhile_at -= 1

    def run_write(self, write: Callable[[], None]) -> None:
        """Run a write, or fail in it if it is the chosen one."""
        if self.fail_at is None:
            write()
            return
        self.fail_at -= 1
        if self.fail_at >= 0:
            write()
            return
        self.fail_at = None
        is_stored, is_killed = FAILURES[self.failure]
        if is_stored:
            write()
        if is_killed:
            self.is_dead = True
            raise Killed
        raise OSError(28, "No space left on device")


@dataclass(frozen=True, slots=True)
class MemoryPath:
    """``FolderPath`` in a dictionary of files."""

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
        """Last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> Self:
        """Path of the folder."""
        return self._at(self.path.rpartition("/")[0])

    def with_name(self, name: str) -> Self:
        """Return the path of another name in the same folder."""
        return self.parent / name

    def mkdir(self, *_: object, **__: object) -> None:
        """Do nothing: as in an object store, there are no folders to create."""

    def open(self, mode: str) -> IO[bytes]:
        """Open for reading or writing."""
        self.process.before_operation()
        if "w" in mode:
            return _NewFile(self)
        if self.path not in self.files:
            raise FileNotFoundError(2, "No such file or directory")
        return io.BytesIO(self.files[self.path])

    def replace(self, target: MemoryPath) -> None:
        """Rename: from now on the content is visible under its final name."""
        self.process.before_operation()

        def rename() -> None:
            self.files[target.path] = self.files.pop(self.path)

        self.process.run_write(rename)
        self.process.before_operation()

    def unlink(self) -> None:
        """Remove."""
        self.process.before_operation()
        self.files.pop(self.path, None)

    def iterdir(self) -> Iterator[Self]:
        """List the files that exist now, not those that other processes write while the list is read."""
        self.process.before_operation()
        names = [path for path in list(self.files) if path.rpartition("/")[0] == self.path]
        self.process.before_operation()
        return iter([self._at(path) for path in names])


class _NewFile(io.BytesIO):
    """File that exists once it is closed."""

    def __init__(self, path: MemoryPath) -> None:
        super().__init__()
        self._path = path

    def close(self) -> None:
        """Store the content, once."""
        if not self.closed:
            self._path.files[self._path.path] = self.getvalue()
        super().close()
