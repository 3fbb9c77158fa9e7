"""Folder of small JSON files with checksums, the storage of a file journal. A file is intact or reading it raises."""

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

#: On a local disk only the account that runs the tasks can read a journal.
FOLDER_MODE, FILE_MODE = 0o700, 0o600
_LOCAL_PROTOCOLS = ("", "file", "local")


class FolderPath(WritablePath, Protocol):
    """Path of a folder, or of a prefix in an object store: ``ObjectStoragePath``, ``UPath``, ``pathlib.Path``."""

    def __truediv__(self, name: str) -> Self:
        """Return the path of an entry of the folder."""

    def iterdir(self) -> Iterable[Self]:
        """List the folder."""


class ChecksummedFolder:
    """JSON objects under names, each with its own sha256, so that a truncated or changed file is detected.

    Every failure of the store is a :class:`JournalUnavailableError`: a later try may succeed. On a local disk the
    content is on the disk when :meth:`write` returns (``fsync`` of file and folder); in an object store, when the store
    has confirmed the write.

    :param path: need not exist; :meth:`create` creates it.
    """

    def __init__(self, path: FolderPath) -> None:
        # A UPath has a protocol; those of Airflow 3.1 are also instances of pathlib.Path, wherever they lead.
        protocol = getattr(path, "protocol", None)
        self.is_local = isinstance(path, Path) if protocol is None else protocol in _LOCAL_PROTOCOLS
        self._path: Any = path
        if self.is_local and protocol is not None:
            # As a pathlib path: with file modes and fsync, and without an entry in Airflow's lineage.
            self._path = Path(str(getattr(path, "path")))  # noqa: B009 - not every path has one

    def __str__(self) -> str:
        return str(self._path)

    def create(self) -> None:
        """Create the folder, in stores that have folders."""
        with self._translate_errors("created", self):
            if not self.is_local:
                return
            missing = [folder for folder in (self._path, *self._path.parents) if not folder.exists()]
            for folder in reversed(missing):
                folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
                _sync_folder(folder.parent)

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Write *content* under *name*. An existing file is replaced only once the new one is complete.

        :raises JournalError: it could not be written. It may have been written nevertheless.
        """
        path = self._path / name
        with self._translate_errors("written", path):
            with atomic_write(path) as file:
                if self.is_local:
                    os.fchmod(file.fileno(), FILE_MODE)
                file.write(_encode(content))
                if self.is_local:
                    file.flush()
                    os.fsync(file.fileno())
            if self.is_local:
                _sync_folder(self._path)

    def read(self, name: str) -> dict[str, Any]:
        """Return the content under *name*.

        :raises JournalError: there is no such file, or it is not byte for byte what was written.
        """
        path = self._path / name
        with self._translate_errors("read", path), path.open("rb") as file:
            data = file.read()
        with suppress(ValueError, RecursionError):
            content = json.loads(data).get("content") if data[:1] == b"{" else None
            if isinstance(content, dict) and _encode(content) == data:
                return content
        raise JournalError(
            f"the journal file {path} is truncated or was changed, so what was sent is not known: nothing more is sent"
        )

    def list_names(self) -> list[str]:
        """List the names of the files that exist now; none if the folder does not exist."""
        with self._translate_errors("listed", self):
            forget_listings(self._path)
            try:
                return [path.name for path in self._path.iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                return []

    @contextmanager
    def _translate_errors(self, action: str, path: Any) -> Iterator[None]:
        """Raise any error of the store as a :class:`JournalUnavailableError` with a one-sentence message."""
        try:
            yield
        except JournalError:
            raise
        except Exception as error:  # each object store has exceptions of its own
            # strerror is a text such as "No space left on device", without a path.
            reason = getattr(error, "strerror", None) or type(error).__name__
            msg = f"the journal {path} cannot be {action} ({reason}), so nothing more is sent; a later try continues"
            raise JournalUnavailableError(msg) from error


def _encode(content: dict[str, Any]) -> bytes:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{{"sha256":"{digest}","content":{text}}}\n'.encode()


def _sync_folder(folder: Path) -> None:
    """Write the folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
