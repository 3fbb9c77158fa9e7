"""Where checked chunks stay between the plan and the sending: in memory, and beyond a limit in a nameless file."""

from __future__ import annotations

import tempfile
from typing import Self

from airflow_provider_arm.submission.errors import SourceError

#: Bytes that stay in memory: a hundred thousand customers. Beside many tasks on one worker this must stay small.
SPOOL_MEMORY = 32 * 1024 * 1024


class Spool:
    """Keeps pieces of bytes in order.

    Beyond :data:`SPOOL_MEMORY` they lie in a file in the temporary folder (``TMPDIR``) that has no name and that only
    this user could open (mode 0600): it is gone with the process, however that ends.

    :param name: of the source, for messages.
    """

    def __init__(self, name: str, memory: int = SPOOL_MEMORY) -> None:
        self._name = name
        self._file = tempfile.SpooledTemporaryFile(max_size=memory)  # noqa: SIM115 - closed by close()
        self._places: list[tuple[int, int]] = []
        self._end = 0

    def append(self, piece: bytes) -> None:
        """Keep one more piece.

        :raises SourceError: the temporary folder takes no more.
        """
        try:
            self._file.seek(self._end)
            self._file.write(piece)
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
        start, length = self._places[index]
        self._file.seek(start)
        return self._file.read(length)

    def close(self) -> None:
        """Forget all pieces."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
