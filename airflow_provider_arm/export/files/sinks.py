"""Where an export's pages are written: a file whose end can be taken back until a query is whole."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Bytes of a query that are held in memory where the file cannot be cut; more of them lie in a temporary file.
HELD_IN_MEMORY = 4 * 2**20
#: Bytes that are gathered for one write: with each write the thread gives up Python's lock, and waits for it again.
WRITTEN_AT_ONCE = 2**20
#: Rows of one row group: readers skip and share work by it, and its columns pack the better the longer they are.
ROW_GROUP = 50_000


class Sink(Protocol):
    """Takes what the pages were made into, query by query."""

    def write(self, chunk: Any) -> None:
        """Take a page."""

    def commit(self) -> None:
        """The query is whole: what was written stays."""

    def rollback(self) -> bool:
        """Take back what was written since the last :meth:`commit`; ``False`` where that cannot be done any more."""

    def finish(self) -> None:
        """Write what is still held. The file stays open."""

    def close(self) -> None:
        """Free what the sink has, finished or not; nothing is written any more."""


class ChecksumFile:
    """Passes bytes on to a file and keeps their checksum and size; as much of a file as pyarrow asks for."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file: IO[bytes] | None = file
        self._sum = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        """Write."""
        if self._file is None:
            return len(data)
        self._sum.update(data)
        self._file.write(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        """Say where the next byte goes."""
        return self.size

    def flush(self) -> None:
        """Whoever opened the file closes it."""

    def close(self) -> None:
        """Whoever opened the file closes it."""

    @property
    def sha256(self) -> str:
        """Checksum of all that was written."""
        return self._sum.hexdigest()

    @property
    def can_be_cut(self) -> bool:
        """Whether the end can be taken back: a local file's can, an object store's cannot."""
        return self._file is not None and self._file.seekable()

    def mark(self) -> tuple[int, Any]:
        """Give what :meth:`cut` goes back to."""
        return self.size, self._sum.copy()

    def cut(self, mark: tuple[int, Any]) -> None:
        """Go back to a mark."""
        self.size, checksum = mark
        self._sum = checksum.copy()
        if self._file is not None:
            self._file.seek(self.size)
            self._file.truncate()

    def detach(self) -> None:
        """Pass nothing on any more: pyarrow writes a footer also for a file that is given up, and that is closed."""
        self._file = None


class BytesSink:
    """Writes pages of bytes."""

    def __init__(self, file: ChecksumFile, header: bytes) -> None:
        self._file = file
        self._held: Any = None
        self._gathered: list[bytes] = []
        self._size = 0
        if header:
            file.write(header)
        if not file.can_be_cut:
            self._held = tempfile.SpooledTemporaryFile(HELD_IN_MEMORY)  # noqa: SIM115 - closed by close()
        self._mark = file.mark()

    def write(self, chunk: bytes) -> None:
        """Take a page."""
        self._gathered.append(chunk)
        self._size += len(chunk)
        if self._size >= WRITTEN_AT_ONCE:
            self._put()

    def commit(self) -> None:
        """What was written stays."""
        self._put()
        if self._held is None:
            self._mark = self._file.mark()
            return
        self._held.seek(0)
        shutil.copyfileobj(self._held, self._file, HELD_IN_MEMORY)
        self.rollback()

    def rollback(self) -> bool:
        """Take back what was written since."""
        self._gathered, self._size = [], 0
        if self._held is None:
            self._file.cut(self._mark)
        else:
            self._held.seek(0)
            self._held.truncate()
        return True

    def finish(self) -> None:
        """Nothing is held: every query was kept."""

    def close(self) -> None:
        """Close the temporary file."""
        if self._held is not None:
            self._held.close()

    def _put(self) -> None:
        (self._file if self._held is None else self._held).write(b"".join(self._gathered))
        self._gathered, self._size = [], 0


class ParquetSink:
    """Writes record batches in large row groups.

    :param dictionary: the columns whose values repeat.
    """

    def __init__(self, file: ChecksumFile, schema: Any, compression: str, dictionary: Sequence[str]) -> None:
        import pyarrow.parquet

        self._file = file
        self._writer = pyarrow.parquet.ParquetWriter(
            file, schema, compression=compression, use_dictionary=list(dictionary), version="2.6"
        )
        self._held: list[Any] = []
        self._rows = 0
        #: How many of the held batches belong to whole queries; ``None`` once a part of the query is written.
        self._kept: int | None = 0

    def write(self, chunk: Any) -> None:
        """Take a page."""
        self._held.append(chunk)
        self._rows += chunk.num_rows
        if self._rows >= ROW_GROUP:
            # A query is at most 10,000 records, as documented: only a larger one is written before it is whole.
            whole = self._kept and sum(batch.num_rows for batch in self._held[: self._kept])
            self._put(self._kept if whole else None)

    def commit(self) -> None:
        """What was written stays."""
        self._kept = len(self._held)

    def rollback(self) -> bool:
        """Take back what was written since, unless a part of it is in the file."""
        if self._kept is None:
            return False
        del self._held[self._kept :]
        self._rows = sum(batch.num_rows for batch in self._held)
        return True

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._put(None)
        self._writer.close()

    def close(self) -> None:
        """Close the writer."""
        self._file.detach()
        self._writer.close()

    def _put(self, count: int | None) -> None:
        import pyarrow as pa

        batches = self._held[:count]
        if batches:
            table = pa.Table.from_batches(batches)
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        del self._held[:count]
        self._rows -= sum(batch.num_rows for batch in batches)
        self._kept = None if count is None else 0
