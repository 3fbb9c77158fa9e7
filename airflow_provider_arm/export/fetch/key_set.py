"""Whether a record came twice, in memory that does not grow with the number of records."""

from __future__ import annotations

import tempfile
from array import array
from bisect import bisect_right
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

#: Keys in one run: more than one query gives (10,000), so that most queries are one run and seen at once.
RUN = 16_384
#: Slices of a run, by the last bits of a hash, that are looked at one after the other: of ten million keys, 160,000 at
#: a time. To put each key into its slice takes half the time of sorting them.
SLICES = 64
#: Python's hashes of text are 64 bits under a key that each process draws anew: among a million keys two different
#: ones meet once in forty million exports; such an export fails, and its retry draws another key.
_BYTES = 8


class KeySet:
    """Remembers keys as 64-bit hashes, in sliced runs in a temporary file.

    Keys are added query by query; those of a query that is begun again are forgotten. Use it in a ``with`` block.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        #: Of each run, where each of its slices begins, in keys from the start of the file.
        self._runs: list[array[int]] = []
        self._written = 0
        self._begin_run()
        self._query = (0, 0)
        #: Of each query that is whole, the run after its last.
        self._ends: list[int] = []

    def _begin_run(self) -> None:
        self._fresh: list[list[int]] = [[] for _ in range(SLICES)]
        self._fresh_count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._file.close()

    def add(self, keys: Sequence[Any]) -> bool:
        """Remember keys; ``False`` where one of them certainly came before. Not all such are seen here."""
        if set(map(type, keys)) - {str}:  # whole numbers are their own hash, and -1 has that of -2
            keys = [key if isinstance(key, str) else f"#{key}" for key in keys]
        slices = self._fresh
        for key in map(hash, keys):
            slices[key % SLICES].append(key)
        self._fresh_count += len(keys)
        return self._fresh_count < RUN or self._flush()

    def commit_query(self) -> bool:
        """Say that the query is whole; ``False`` where one of its keys came twice."""
        if self._fresh_count and not self._flush():
            return False
        alone = self._all_new(self._query[0])
        self._query = (len(self._runs), self._written)
        self._ends.append(len(self._runs))
        return alone

    def rollback_query(self) -> None:
        """Forget the keys since the last query that was whole."""
        runs, self._written = self._query
        del self._runs[runs:]
        self._begin_run()
        self._file.seek(self._written * _BYTES)
        self._file.truncate()

    def all_unique(self) -> bool:
        """Whether no key came twice, of all queries."""
        return self._all_new(0)

    def find_shared_key(self) -> tuple[int, int] | None:
        """Name two whole queries, counted from 0, that have a key in common; ``None`` where there are none."""
        for number in range(SLICES):
            owner: dict[int, int] = {}
            for run, starts in enumerate(self._runs):
                query = bisect_right(self._ends, run)
                for key in self._slice(starts, number):
                    if (first := owner.setdefault(key, query)) != query:
                        return first, query
        return None

    def _flush(self) -> bool:
        slices = self._fresh
        self._begin_run()
        self._runs.append(array("q", accumulate(map(len, slices), initial=self._written)))
        self._written = self._runs[-1][-1]
        for keys in slices:
            array("q", keys).tofile(self._file)
        return all(len(set(keys)) == len(keys) for keys in slices)

    def _all_new(self, first_run: int) -> bool:
        runs = self._runs[first_run:]
        if len(runs) < 2:  # noqa: PLR2004 - one run was looked at when it was written
            return True
        return all(self._slice_is_new(runs, number) for number in range(SLICES))

    def _slice_is_new(self, runs: list[array[int]], number: int) -> bool:
        seen: set[int] = set()
        total = 0
        for starts in runs:
            keys = self._slice(starts, number)
            seen.update(keys)
            total += len(keys)
        return len(seen) == total

    def _slice(self, starts: array[int], number: int) -> array[int]:
        """Read a slice of a run again."""
        start, count = starts[number], starts[number + 1] - starts[number]
        self._file.seek(start * _BYTES)
        keys = array("q")
        keys.frombytes(self._file.read(count * _BYTES))
        self._file.seek(self._written * _BYTES)
        return keys
