"""A folder of small JSON files that are whole or an error: what a journal in a file is made of."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from airflow_provider_arm.files import WritablePath, atomic_write, forget_listings
from airflow_provider_arm.submission.errors import JournalError, JournalUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Only the account that runs the tasks reads a journal on a local disk.
FOLDER_MODE, FILE_MODE = 0o700, 0o600
_LOCAL_PROTOCOLS = ("", "file", "local")


class FolderPath(WritablePath, Protocol):
    """A folder, or what acts as one: ``ObjectStoragePath``, ``UPath``, ``pathlib.Path``."""

    def __truediv__(self, name: str) -> Self:
        """Give what is in the folder."""

    def iterdir(self) -> Iterable[Self]:
        """List the folder."""


class ChecksummedFolder:
    """Keeps each content under a name, with a sha256 of itself, so that a torn or changed one is told from a whole one.

    Any failure of the store is a :class:`JournalUnavailableError`: a later try may find it mended. On a local disk a
    content is on the disk when :meth:`put` returns (``fsync`` of file and folder); an object store has it when it has
    answered.

    :param path: need not exist; :meth:`make` makes it.
    """

    def __init__(self, path: FolderPath) -> None:
        # A UPath has a protocol; those of Airflow 3.1 are instances of pathlib.Path too, wherever they lead.
        protocol = getattr(path, "protocol", None)
        self.is_local = isinstance(path, Path) if protocol is None else protocol in _LOCAL_PROTOCOLS
        self._path: Any = path
        if self.is_local and protocol is not None:
            # As pathlib has it: with file modes, fsync, and no entry in Airflow's lineage.
            self._path = Path(str(getattr(path, "path")))  # noqa: B009 - not every path has one

    def __str__(self) -> str:
        return str(self._path)

    def make(self) -> None:
        """Make the folder, where the store has folders."""
        with self._failing("made", self):
            if not self.is_local:
                return
            missing = [folder for folder in (self._path, *self._path.parents) if not folder.exists()]
            for folder in reversed(missing):
                folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
                _sync(folder.parent)

    def put(self, name: str, content: dict[str, Any]) -> None:
        """Keep *content* under *name*; what stood there before stands there until the new is whole.

        :raises JournalError: it could not be kept. It may be there nevertheless.
        """
        path = self._path / name
        with self._failing("written", path):
            with atomic_write(path) as file:
                if self.is_local:
                    os.fchmod(file.fileno(), FILE_MODE)
                file.write(_encode(content))
                if self.is_local:
                    file.flush()
                    os.fsync(file.fileno())
            if self.is_local:
                _sync(self._path)

    def get(self, name: str) -> dict[str, Any]:
        """Give the content under *name*.

        :raises JournalError: it is not there, or is not byte for byte what was put.
        """
        path = self._path / name
        with self._failing("read", path), path.open("rb") as file:
            data = file.read()
        with suppress(ValueError, RecursionError):
            content = json.loads(data).get("content") if data[:1] == b"{" else None
            if isinstance(content, dict) and _encode(content) == data:
                return content
        msg = f"the journal's file {path} is torn or was changed, so what was sent is not known: nothing more is sent"
        raise JournalError(msg)

    def names(self) -> list[str]:
        """List what is there now; nothing where there is no folder."""
        with self._failing("listed", self):
            forget_listings(self._path)
            try:
                return [path.name for path in self._path.iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                return []

    @contextmanager
    def _failing(self, what: str, path: Any) -> Iterator[None]:
        """Turn whatever the store raises into one sentence."""
        try:
            yield
        except JournalError:
            raise
        except Exception as error:  # each object store has exceptions of its own
            # strerror says "No space left on device" and has no path in it.
            why = getattr(error, "strerror", None) or type(error).__name__
            msg = f"the journal {path} cannot be {what} ({why}), so nothing more is sent; a later try goes on"
            raise JournalUnavailableError(msg) from error


def _encode(content: dict[str, Any]) -> bytes:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{{"sha256":"{digest}","content":{text}}}\n'.encode()


def _sync(folder: Path) -> None:
    """Bring the folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
