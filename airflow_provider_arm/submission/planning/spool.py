"""Where checked chunks stay between the plan and the sending: in memory, and beyond a limit in a nameless file."""

from __future__ import annotations

import tempfile
from typing import IO, Self

from airflow_provider_arm.submission.errors import SourceError

#: Bytes that stay in memory: over a hundred thousand customers. Beside many tasks on one worker this must stay small.
SPOOL_MEMORY = 64 * 1024 * 1024


class Spool:
    """Keeps pieces of bytes in order.

    The first, up to :data:`SPOOL_MEMORY`, stay in memory as they are. The others lie in a file in the temporary folder
    (``TMPDIR``) that has no name and that only this user could open (mode 0600): it is gone with the process, however
    that ends.

    :param name: of the source, for messages.
    """

    def __init__(self, name: str, memory: int = SPOOL_MEMORY) -> None:
        self._name = name
        self._room = memory
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._places: list[tuple[int, int]] = []
        self._end = 0

    def append(self, piece: bytes) -> None:
        """Keep one more piece.

        :raises SourceError: the temporary folder takes no more.
        """
        self._room -= len(piece)
        if self._room >= 0:
            self._pieces.append(piece)
            return
        try:
            if self._file is None:
                self._file = self._make_file()
            self._file.seek(self._end)
            self._file.write(piece)
            self._file.flush()
        except OSError as error:
            msg = (
                f"{self._name}: its records cannot be kept in the temporary folder ({type(error).__name__}) and "
                "nothing was sent: make room there, or set TMPDIR to a folder with more"
            )
            raise SourceError(msg) from None
        self._places.append((self._end, len(piece)))
        self._end += len(piece)

    def __getitem__(self, index: int) -> bytes:
        """Give a piece."""
        if index < len(self._pieces):
            return self._pieces[index]
        start, length = self._places[index - len(self._pieces)]
        file: IO[bytes] = self._file  # type: ignore[assignment]
        file.seek(start)
        return file.read(length)

    def close(self) -> None:
        """Forget all pieces."""
        self._pieces.clear()
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _make_file() -> IO[bytes]:
        return tempfile.TemporaryFile()
