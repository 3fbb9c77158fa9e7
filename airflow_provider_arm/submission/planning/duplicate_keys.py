"""Natural keys that a source contains more than once."""

from __future__ import annotations

from array import array
from collections import Counter
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.keys import fold

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The longest digest for which a ``bytes`` object takes 48 bytes. Two of a million keys have the same digest with a
#: probability below 10**-23.
_DIGEST_BYTES = 15


class DuplicateKeyIndex:
    """Index from each key to the row in which it came first.

    It contains digests, because the keys themselves would take more memory: a million keys take less than 125 MiB.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}

    def first_row(self, key: str, row: int) -> int:
        """Return the first row with this key: *row* if the key is new."""
        digest = blake2b(fold(key).encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).digest()
        return self._rows.setdefault(digest, row)


class DoubledKeyCounter:
    """Counter of keys that come again in an upsert, of which the last record wins.

    It keeps eight bytes for each key. Which keys are repeated is read from the chunks, if there are any.

    :param key: wire name of the natural key.
    :param is_active: the records are an upsert. Otherwise a second record with the same key is invalid.
    """

    def __init__(self, key: str, *, is_active: bool = True) -> None:
        self._key = key
        self._is_active = is_active
        self._get = attrgetter(key)
        self._hashes = array("q")

    def add(self, records: Iterable[Any]) -> None:
        """Add validated records: structs or dicts."""
        if not self._is_active:
            return
        try:
            keys = list(map(self._get, records))  # structs, in nearly all blocks
        except AttributeError:
            keys = [record[self._key] if type(record) is dict else self._get(record) for record in records]
        joined = "".join(keys)
        folded = keys if joined.isascii() and joined.encode().isdigit() else map(fold, keys)
        self._hashes.extend(map(hash, folded))

    def find_doubled(self, chunks: Iterable[bytes]) -> dict[str, int]:
        """Return how often each repeated key comes, by the key as it comes first.

        :param chunks: JSON lists of all records that were added.
        """
        if len(set(self._hashes)) == len(self._hashes):
            return {}
        repeated = {number for number, count in Counter(self._hashes).items() if count > 1}
        counts: Counter[str] = Counter()
        shown: dict[str, str] = {}
        for chunk in chunks:
            for record in money.decode(chunk):
                folded = fold(record[self._key])
                if hash(folded) in repeated:
                    counts[folded] += 1
                    shown.setdefault(folded, record[self._key])
        return {shown[folded]: count for folded, count in counts.items() if count > 1}
