"""Detection of duplicate keys, in memory that does not grow with the number of records."""

from __future__ import annotations

import tempfile
from array import array
from bisect import bisect_right
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Keys per run: more than ARM returns for one query (10,000), so that most queries are one run, checked when written.
RUN = 16_384
#: Slices per run, by the last bits of a hash. One slice of all runs is in memory at a time: 160,000 of ten million
#: keys. Putting each key into its slice takes half the time of sorting them.
SLICES = 64
#: Python's hashes of text have 64 bits and a random key per process. Among a million keys two different ones have the
#: same hash once in forty million exports; such an export fails, and its retry has another random key.
_BYTES = 8


class KeySet:
    """Set of keys as 64-bit hashes, in sliced runs in a temporary file.

    Keys are added query by query; those of a query that is restarted are removed. Use it in a ``with`` block.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        #: For each run, where each of its slices begins, in keys from the start of the file.
        self._runs: list[array[int]] = []
        self._written = 0
        self._begin_run()
        #: Runs and keys at the start of the current query.
        self._query = (0, 0)
        #: For each committed query, the number of runs up to its end.
        self._ends: list[int] = []

    def _begin_run(self) -> None:
        self._buffer: list[list[int]] = [[] for _ in range(SLICES)]
        self._buffered = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.close()

    def add(self, keys: Sequence[Any]) -> bool:
        """Add keys; ``False`` if a duplicate was found. Some are found only by :meth:`commit_query`."""
        if set(map(type, keys)) - {str}:  # whole numbers are their own hash, and -1 has that of -2
            keys = [key if isinstance(key, str) else f"#{key}" for key in keys]
        slices = self._buffer
        for key in map(hash, keys):
            slices[key % SLICES].append(key)
        self._buffered += len(keys)
        return self._buffered < RUN or self._flush()

    def commit_query(self) -> bool:
        """End a query that is complete; ``False`` if one of its keys is a duplicate within the query."""
        if self._buffered and not self._flush():
            return False
        is_unique = self._is_unique_from(self._query[0])
        self._query = (len(self._runs), self._written)
        self._ends.append(len(self._runs))
        return is_unique

    def rollback_query(self) -> None:
        """Remove the keys added since the last committed query."""
        runs, self._written = self._query
        del self._runs[runs:]
        self._begin_run()
        self._file.seek(self._written * _BYTES)
        self._file.truncate()

    def all_unique(self) -> bool:
        """Return whether no key of all committed queries is a duplicate."""
        return self._is_unique_from(0)

    def find_shared_key(self) -> tuple[int, int] | None:
        """Return the numbers of two committed queries, counted from 0, that have a key in common, or ``None``."""
        for number in range(SLICES):
            owner: dict[int, int] = {}
            for run, starts in enumerate(self._runs):
                query = bisect_right(self._ends, run)
                for key in self._read_slice(starts, number):
                    if (first := owner.setdefault(key, query)) != query:
                        return first, query
        return None

    def _flush(self) -> bool:
        slices = self._buffer
        self._begin_run()
        self._runs.append(array("q", accumulate(map(len, slices), initial=self._written)))
        self._written = self._runs[-1][-1]
        for keys in slices:
            array("q", keys).tofile(self._file)
        return all(len(set(keys)) == len(keys) for keys in slices)

    def _is_unique_from(self, first_run: int) -> bool:
        runs = self._runs[first_run:]
        if len(runs) < 2:  # noqa: PLR2004 - a run was checked when it was written
            return True
        for number in range(SLICES):
            unique: set[int] = set()
            for starts in runs:
                unique.update(self._read_slice(starts, number))
            if len(unique) < sum(starts[number + 1] - starts[number] for starts in runs):
                return False
        return True

    def _read_slice(self, starts: array[int], number: int) -> array[int]:
        start, count = starts[number], starts[number + 1] - starts[number]
        self._file.seek(start * _BYTES)
        keys = array("q")
        keys.frombytes(self._file.read(count * _BYTES))
        self._file.seek(self._written * _BYTES)
        return keys
