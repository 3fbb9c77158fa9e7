"""Storage of encoded chunks between planning and sending: in memory, and above a limit in a temporary file."""

from __future__ import annotations

import tempfile
from typing import IO

from airflow_provider_arm.submission.errors import SourceError

#: Bytes in memory, enough for more than a hundred thousand customers. A worker may run many tasks at once.
SPOOL_MEMORY = 64 * 1024 * 1024


class Spool:
    """Ordered storage of chunks: in memory up to a limit, above it in a file in the temporary folder (``TMPDIR``).

    The file has no name and mode 0600, and it disappears when the process ends, whatever ends it.

    :param name: the source's name in messages.
    """

    def __init__(self, name: str, memory: int = SPOOL_MEMORY) -> None:
        self._name = name
        self._memory = memory
        #: The first chunks.
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None
        #: Where each of the other chunks starts in the file, and where the last one ends.
        self._bounds = [0]

    def append(self, chunk: bytes) -> None:
        """Store one more chunk.

        :raises SourceError: the temporary folder cannot be written.
        """
        self._memory -= len(chunk)
        if self._memory >= 0:
            self._chunks.append(chunk)
            return
        try:
            if self._file is None:
                self._file = self._open_file()
            self._file.seek(self._bounds[-1])
            self._file.write(chunk)
            self._file.flush()
        except OSError as error:
            raise SourceError(
                f"{self._name}: the records cannot be written to the temporary folder ({type(error).__name__}); nothing"
                " was sent. Free space there, or set TMPDIR to another folder"
            ) from None
        self._bounds.append(self._bounds[-1] + len(chunk))

    def __getitem__(self, index: int) -> bytes:
        """Return a chunk by its position, from 0."""
        if index < len(self._chunks) or self._file is None:
            return self._chunks[index]
        start, end = self._bounds[index - len(self._chunks) :][:2]
        self._file.seek(start)
        return self._file.read(end - start)

    def close(self) -> None:
        """Discard all chunks."""
        self._chunks.clear()
        if self._file is not None:
            self._file.close()

    @staticmethod
    def _open_file() -> IO[bytes]:
        return tempfile.TemporaryFile()
