"""Entries of a file journal, written by one writer after another. Any process may read them.

See ``file_journal`` for the layout and for who may write.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_arm.submission.errors import JournalError
from airflow_provider_arm.submission.journal.checksummed_folder import ChecksummedFolder
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, PlanEntry

if TYPE_CHECKING:
    from airflow_provider_arm.submission.journal.checksummed_folder import FolderPath

_FILE_NAME = re.compile(r"(?P<subject>plan|chunk-\d{6,})\.(?P<number>\d{6,})-(?P<token>[0-9a-f]{16})\.json")
_PLAN = "plan"


class WriterId(NamedTuple):
    """Id of a writer. The writer with the greatest id is the latest one, and the only one that may send."""

    number: int
    token: str

    def __str__(self) -> str:
        return f"{self.number:06d}-{self.token}"


class FileEntries:
    """Reads the latest entry of each chunk, whoever wrote it. Writes only files of the given writer.

    :param path: the task instance's own folder.
    """

    def __init__(self, path: FolderPath) -> None:
        self._name = str(path)
        self._folder = ChecksummedFolder(path / "entries")
        #: By subject (the plan or a chunk): who wrote an entry, in ascending order.
        self._writers: dict[str, list[WriterId]] = {}

    def create(self) -> None:
        """Create the folder, in stores that have folders."""
        self._folder.create()

    def refresh(self) -> None:
        """List the files that exist now. Entries written by others since the last call become visible."""
        self._writers = {}
        for name in self._folder.list_names():
            if match := _FILE_NAME.fullmatch(name):
                writer = WriterId(int(match["number"]), match["token"])
                self._writers.setdefault(match["subject"], []).append(writer)
        for writers in self._writers.values():
            writers.sort()

    @property
    def is_empty(self) -> bool:
        """Whether there is no entry."""
        return not self._writers

    def read_plan(self) -> PlanEntry | None:
        """Return the plan's entry, or ``None`` if there is none."""
        writers = self._writers.get(_PLAN)
        return PlanEntry.from_json(self._read(_PLAN, writers[-1])) if writers else None

    def read(self, index: int) -> ChunkEntry | None:
        """Return the latest entry of a chunk, or ``None`` if there is none."""
        subject = _chunk_subject(index)
        writers = self._writers.get(subject)
        if not writers:
            return None
        entry = ChunkEntry.from_json(self._read(subject, writers[-1]))
        if entry.index != index:
            msg = f"the journal {self._name} has another chunk's entry for chunk {index + 1}: nothing is sent"
            raise JournalError(msg)
        return self._prefer_accepted(entry, writers[:-1])

    def write_plan(self, entry: PlanEntry, writer: WriterId) -> None:
        """Write the plan's entry into the file of *writer*."""
        self._write(_PLAN, writer, entry.as_json())

    def write(self, entry: ChunkEntry, writer: WriterId) -> None:
        """Write a chunk's entry into the file of *writer*."""
        self._write(_chunk_subject(entry.index), writer, entry.as_json())

    def _prefer_accepted(self, entry: ChunkEntry, earlier: list[WriterId]) -> ChunkEntry:
        """Return the sender's entry in ACCEPTED instead of a later writer's entry in UNKNOWN for the same sending.

        A later writer marks a chunk as UNKNOWN if it considers the sender dead. The sender may still have received the
        response and written it since.
        """
        if entry.state is not ChunkState.UNKNOWN or entry.chunk_id is None:
            return entry
        for writer in earlier:
            sent = ChunkEntry.from_json(self._read(_chunk_subject(entry.index), writer))
            if sent.chunk_id == entry.chunk_id and sent.state is ChunkState.ACCEPTED:
                return sent
        return entry

    def _read(self, subject: str, writer: WriterId) -> dict[str, Any]:
        return self._folder.read(f"{subject}.{writer}.json")

    def _write(self, subject: str, writer: WriterId, content: dict[str, Any]) -> None:
        # Registered before the write: a write that fails may have been stored.
        writers = self._writers.setdefault(subject, [])
        if writer not in writers:
            writers.append(writer)
        self._folder.write(f"{subject}.{writer}.json", content)


def _chunk_subject(index: int) -> str:
    return f"chunk-{index:06d}"
