"""Sinks of an export's pages: what is written can be rolled back until its query is complete."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Bytes of a query in memory if the output cannot be truncated; above that they are in a temporary file.
SPOOL_MEMORY = 4 * 2**20
#: Bytes per write to the file: each write releases the GIL and has to wait for it again.
WRITE_SIZE = 2**20
#: Rows per row group: readers skip and parallelize by row groups, and longer columns compress better.
ROW_GROUP = 50_000


class Sink(Protocol):
    """Output of encoded pages, query by query."""

    def write(self, chunk: Any) -> None:
        """Write an encoded page."""

    def commit(self) -> None:
        """Keep what was written, because its query is complete."""

    def rollback(self) -> bool:
        """Discard what was written since the last :meth:`commit`; ``False`` if that is no longer possible."""

    def finish(self) -> None:
        """Write what is still buffered. The file stays open."""

    def close(self) -> None:
        """Release all resources, whether finished or not, without writing anything."""


class ChecksumFile:
    """Wrapper of an output file with its checksum and size. It has the methods that pyarrow calls."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file: IO[bytes] | None = file
        self._sum = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        """Write *data*, unless detached."""
        if self._file is not None:
            self._sum.update(data)
            self._file.write(data)
            self.size += len(data)
        return len(data)

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self.size

    def close(self) -> None:
        """Ignore the call: who opened the file closes it."""

    flush = close

    @property
    def sha256(self) -> str:
        """The checksum of everything written, in hexadecimal."""
        return self._sum.hexdigest()

    @property
    def can_truncate(self) -> bool:
        """Whether the file can be truncated: a local file can, an object in a store cannot."""
        return self._file is not None and self._file.seekable()

    def position(self) -> tuple[int, Any]:
        """Return the current position for :meth:`truncate_to`."""
        return self.size, self._sum.copy()

    def truncate_to(self, position: tuple[int, Any]) -> None:
        """Truncate the file to an earlier position."""
        self.size, checksum = position
        self._sum = checksum.copy()
        if self._file is not None:
            self._file.seek(self.size)
            self._file.truncate()

    def detach(self) -> None:
        """Discard all further bytes: pyarrow also writes a footer to a file of a failed export, which is closed."""
        self._file = None


class BytesSink:
    """Sink of text formats. If the file cannot be truncated, the current query is spooled."""

    def __init__(self, file: ChecksumFile, header: bytes) -> None:
        self._file = file
        self._spool: Any = None
        self._chunks: list[bytes] = []
        self._size = 0
        if header:
            file.write(header)
        if not file.can_truncate:
            self._spool = tempfile.SpooledTemporaryFile(SPOOL_MEMORY)  # noqa: SIM115 - closed by close()
        self._committed = file.position()

    def write(self, chunk: bytes) -> None:
        """Write a page."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size >= WRITE_SIZE:
            self._flush()

    def commit(self) -> None:
        """Keep what was written."""
        self._flush()
        if self._spool is None:
            self._committed = self._file.position()
            return
        self._spool.seek(0)
        shutil.copyfileobj(self._spool, self._file, SPOOL_MEMORY)
        self.rollback()

    def rollback(self) -> bool:
        """Discard what was written since the last commit."""
        self._chunks, self._size = [], 0
        if self._spool is None:
            self._file.truncate_to(self._committed)
        else:
            self._spool.seek(0)
            self._spool.truncate()
        return True

    def finish(self) -> None:
        """Return at once: every query was committed."""

    def close(self) -> None:
        """Close the spool."""
        if self._spool is not None:
            self._spool.close()

    def _flush(self) -> None:
        (self._file if self._spool is None else self._spool).write(b"".join(self._chunks))
        self._chunks, self._size = [], 0


class ParquetSink:
    """Sink of record batches, which are written in large row groups.

    :param dictionary: names of the columns that are dictionary-encoded.
    """

    def __init__(self, file: ChecksumFile, schema: Any, compression: str, dictionary: Sequence[str]) -> None:
        import pyarrow.parquet

        self._file = file
        self._writer = pyarrow.parquet.ParquetWriter(
            file, schema, compression=compression, use_dictionary=list(dictionary), version="2.6"
        )
        self._batches: list[Any] = []
        self._rows = 0
        #: Number of buffered batches of complete queries; ``None`` once a part of the current query is written.
        self._committed: int | None = 0

    def write(self, chunk: Any) -> None:
        """Write a page."""
        self._batches.append(chunk)
        self._rows += chunk.num_rows
        if self._rows >= ROW_GROUP:
            # A query has at most 10,000 records, as documented: only a larger one is written before it is complete.
            has_committed = self._committed and sum(batch.num_rows for batch in self._batches[: self._committed])
            self._flush(self._committed if has_committed else None)

    def commit(self) -> None:
        """Keep what was written."""
        self._committed = len(self._batches)

    def rollback(self) -> bool:
        """Discard what was written since the last commit, unless a part of it is in the file."""
        if self._committed is None:
            return False
        del self._batches[self._committed :]
        self._rows = sum(batch.num_rows for batch in self._batches)
        return True

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._flush(None)
        self._writer.close()

    def close(self) -> None:
        """Close the writer."""
        self._file.detach()
        self._writer.close()

    def _flush(self, count: int | None) -> None:
        import pyarrow as pa

        batches = self._batches[:count]
        if batches:
            table = pa.Table.from_batches(batches)
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        del self._batches[:count]
        self._rows -= sum(batch.num_rows for batch in batches)
        self._committed = None if count is None else 0
