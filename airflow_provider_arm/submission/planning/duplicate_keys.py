"""Index of the natural keys in a source."""

from __future__ import annotations

from hashlib import blake2b

from airflow_provider_arm.client.keys import fold

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
