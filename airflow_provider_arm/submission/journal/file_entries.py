"""The lines of a journal in files, as several runners wrote them one after another; anybody may read them.

See ``file_journal`` for the layout and who may write.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_arm.submission.errors import JournalError
from airflow_provider_arm.submission.journal.checksummed_folder import ChecksummedFolder
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, PlanEntry

if TYPE_CHECKING:
    from airflow_provider_arm.submission.journal.checksummed_folder import FolderPath

_LINE_NAME = re.compile(r"(?P<what>plan|chunk-\d{6,})\.(?P<number>\d{6,})-(?P<token>[0-9a-f]{16})\.json")
_PLAN = "plan"


class WriterId(NamedTuple):
    """Of two runners the greater one works."""

    number: int
    token: str

    def __str__(self) -> str:
        return f"{self.number:06d}-{self.token}"


class FileEntries:
    """Reads what the runners wrote, the last word on each chunk; writes only under the rank that it is given.

    :param path: the task instance's own folder.
    """

    def __init__(self, path: FolderPath) -> None:
        self._name = str(path)
        self._folder = ChecksummedFolder(path / "entries")
        #: Who wrote each line, in the order of ranks.
        self._writers: dict[str, list[WriterId]] = {}

    def make(self) -> None:
        """Make the folder, where the store has folders."""
        self._folder.make()

    def refresh(self) -> None:
        """Look what there is now."""
        self._writers = {}
        for name in self._folder.names():
            if found := _LINE_NAME.fullmatch(name):
                self._writers.setdefault(found["what"], []).append(WriterId(int(found["number"]), found["token"]))
        for ranks in self._writers.values():
            ranks.sort()

    @property
    def is_empty(self) -> bool:
        """Whether nobody has written a line."""
        return not self._writers

    def read_plan(self) -> PlanEntry | None:
        """Give the plan's line, or ``None``."""
        writers = self._writers.get(_PLAN)
        return PlanEntry.from_json(self._get(_PLAN, writers[-1])) if writers else None

    def read(self, index: int) -> ChunkEntry | None:
        """Give the last word on a chunk, or ``None``."""
        what = _chunk(index)
        writers = self._writers.get(what)
        if not writers:
            return None
        entry = ChunkEntry.from_json(self._get(what, writers[-1]))
        if entry.index != index:
            msg = f"the journal {self._name} has another chunk's line for chunk {index + 1}: nothing is sent"
            raise JournalError(msg)
        return self._word_of_the_sender(entry, writers[:-1])

    def write_plan(self, entry: PlanEntry, rank: WriterId) -> None:
        """Keep the plan's line as that runner's."""
        self._put(_PLAN, rank, entry.as_json())

    def write(self, entry: ChunkEntry, rank: WriterId) -> None:
        """Keep a chunk's line as that runner's."""
        self._put(_chunk(entry.index), rank, entry.as_json())

    def _word_of_the_sender(self, entry: ChunkEntry, earlier: list[WriterId]) -> ChunkEntry:
        """Give what the runner that sent it has noted since another one, which took it for dead, began to wonder."""
        if entry.state is not ChunkState.UNKNOWN or entry.chunk_id is None:
            return entry
        for rank in earlier:
            line = ChunkEntry.from_json(self._get(_chunk(entry.index), rank))
            if line.chunk_id == entry.chunk_id and line.state is ChunkState.ACCEPTED:
                return line
        return entry

    def _get(self, what: str, rank: WriterId) -> dict[str, Any]:
        return self._folder.get(f"{what}.{rank}.json")

    def _put(self, what: str, rank: WriterId, content: dict[str, Any]) -> None:
        # First remembered: a write that fails may have arrived.
        writers = self._writers.setdefault(what, [])
        if rank not in writers:
            writers.append(rank)
        self._folder.put(f"{what}.{rank}.json", content)


def _chunk(index: int) -> str:
    return f"chunk-{index:06d}"
