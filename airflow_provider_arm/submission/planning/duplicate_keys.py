"""Which natural keys a source has had, and in which row: 24 bytes a key and no text, for sources of millions."""

from __future__ import annotations

from array import array
from hashlib import blake2b

from airflow_provider_arm.client.keys import fold

#: Bytes of a key's digest: two keys in a million million sources would share one.
DIGEST_BYTES = 16
_HALF = 8
_FIRST_SLOTS = 1 << 12
#: Beyond this share of filled slots the search from slot to slot becomes long.
_FULLEST = 2 / 3


class DuplicateKeyIndex:
    """A table from keys to the first row of each, open addressed in flat arrays.

    A dict of a million keys takes over a hundred megabytes.
    """

    def __init__(self) -> None:
        self._count = 0
        self._make(_FIRST_SLOTS)

    def first_row(self, key: str, row: int) -> int:
        """Give the row in which *key* came first, which is *row* if it has not come before.

        :param row: from 1.
        """
        digest = blake2b(fold(key).encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()
        high, low = int.from_bytes(digest[:_HALF], "big"), int.from_bytes(digest[_HALF:], "big")
        slot = self._find(high, low)
        if self._rows[slot]:
            return self._rows[slot]
        self._highs[slot], self._lows[slot], self._rows[slot] = high, low, row
        self._count += 1
        if self._count > len(self._rows) * _FULLEST:
            self._grow()
        return row

    def _find(self, high: int, low: int) -> int:
        """Find the slot of a digest, or the free one where it goes."""
        rows, lows, highs, last = self._rows, self._lows, self._highs, len(self._rows) - 1
        slot = low & last
        while rows[slot] and (lows[slot] != low or highs[slot] != high):
            slot = (slot + 1) & last
        return slot

    def _make(self, slots: int) -> None:
        self._highs, self._lows, self._rows = (array("Q", bytes(slots * _HALF)) for _ in range(3))

    def _grow(self) -> None:
        highs, lows, rows = self._highs, self._lows, self._rows
        self._make(len(rows) * 2)
        for high, low, row in zip(highs, lows, rows, strict=True):
            if row:
                slot = self._find(high, low)
                self._highs[slot], self._lows[slot], self._rows[slot] = high, low, row
