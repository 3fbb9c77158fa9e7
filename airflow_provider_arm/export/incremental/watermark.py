"""Watermark of incremental exports. Pure: no clock, no I/O. Times are in unix milliseconds.

There are two difficulties. First, a record may become visible after its own created time, or change. Therefore each run
reads from some time before the end of the previous one (the overlap), and recognizes the records that it read there by
a digest of their text. Second, clocks differ. Therefore the watermark follows the times that ARM wrote, and this
machine's clock only within the largest expected difference of two clocks.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.export.fetch.time_range import MAX_CLOCK_SKEW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import msgspec

#: Bytes of a digest. With a million digests in the watermark and a million new records, the chance that two records
#: share a digest is one in ten million, and they would also have to be created in the same millisecond.
DIGEST_BYTES = 8
#: Digests after which those older than the next watermark are removed for the first time: a few hundred kilobytes.
_PRUNE_THRESHOLD = 10_000


def digest(text: bytes | msgspec.Raw) -> int:
    """Return the digest of a record's text as ARM wrote it."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=DIGEST_BYTES).digest(), "big")


def _encode_digest(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(DIGEST_BYTES, "big")).decode().rstrip("=")


def _decode_digest(text: str) -> int:
    data = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    if len(data) != DIGEST_BYTES:
        raise ValueError
    return int.from_bytes(data, "big")


def encode_digests(created_by_digest: Mapping[int, int]) -> dict[str, str]:
    """Return digests as small JSON values, grouped by the created time of their records."""
    by_time: dict[str, list[str]] = {}
    for value, created in sorted(created_by_digest.items(), key=lambda item: (item[1], item[0])):
        by_time.setdefault(str(created), []).append(_encode_digest(value))
    return {created: " ".join(digests) for created, digests in by_time.items()}


def decode_digests(value: Any) -> dict[int, int]:
    """Read digests and created times from the result of :func:`encode_digests`.

    :raises ValueError: *value* is something else.
    """
    try:
        return {_decode_digest(text): int(created) for created, texts in value.items() for text in texts.split()}
    except (TypeError, AttributeError):
        raise ValueError from None


@dataclass(frozen=True, slots=True)
class Watermark:
    """Time from which the next increment reads, and the records that are already exported from then on.

    :param low: first created time that the next increment requests; ``None``: it requests the whole list.
    :param latest: latest created time of any record so far, future times excluded; ``None``: there was no such record.
    :param seen: digest and created time of each record from *low* on, as it was when it was last read.
    """

    low: int | None = None
    latest: int | None = None
    seen: Mapping[int, int] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return the watermark as small JSON values, with the digests grouped by created time."""
        return {"low": self.low, "latest": self.latest, "seen": encode_digests(self.seen)}

    @classmethod
    def from_json(cls, value: Any) -> Watermark:
        """Read a watermark from the result of :meth:`as_json`.

        :raises ValueError: *value* is something else.
        """
        try:
            low, latest, seen = value["low"], value["latest"], decode_digests(value["seen"])
        except (TypeError, KeyError):
            raise ValueError from None
        if not all(bound is None or type(bound) is int for bound in (low, latest)):
            raise ValueError
        return cls(low, latest, seen)


@dataclass(frozen=True, slots=True)
class PageDigests:
    """Digest and created time of each record of a page; ``None`` for a record without a created time."""

    digests: Sequence[int] = field(repr=False)
    created: Sequence[int | None]
    #: How many of the records are not written to the file, because they were already exported.
    skipped: int = 0


class IncrementTracker:
    """Tracker of the records that one run reads, query by query, from which the next watermark follows.

    The next watermark contains the digests of this run's records, not those of earlier runs: a record that changed and
    changed back is new again.

    :param before: the watermark from which the run started.
    :param started: when the run started, by this machine's clock.
    :param overlap: milliseconds after its created time in which a record may still become visible or change.
    :param clock: returns the current time of this machine's clock.
    """

    def __init__(self, before: Watermark, started: int, overlap: int, clock: Callable[[], int]) -> None:
        self.before = before
        self.started = started
        #: Records that are not in the file, because they were already exported.
        self.skipped = 0
        self._overlap = overlap
        self._clock = clock
        self._latest = before.latest
        #: A time that ARM's clock had certainly reached when the run started.
        self._arm_time = started - MAX_CLOCK_SKEW
        if before.latest is not None:
            self._arm_time = max(self._arm_time, before.latest)
        self._created_by_digest: dict[int, int] = {}
        self._has_records = False
        self._prune_above = _PRUNE_THRESHOLD
        self._pending: list[PageDigests] = []

    def add(self, page: PageDigests) -> None:
        """Add a page of a query that may still be restarted."""
        self._pending.append(page)

    def rollback(self) -> None:
        """Discard the pages of the current query, because it is restarted."""
        self._pending.clear()

    def commit(self) -> None:
        """Count the records of the current query, because it is complete."""
        latest = None
        for page in self._pending:
            self.skipped += page.skipped
            for value, created in zip(page.digests, page.created, strict=True):
                if created is None:
                    continue
                self._has_records = True
                self._created_by_digest[value] = created
                # A created time in the future does not show how far ARM's clock is.
                if created <= self.started and (latest is None or created > latest):
                    latest = created
        self._pending.clear()
        if latest is not None:
            self._latest = latest if self._latest is None else max(self._latest, latest)
            # A record that was read an hour after the start may have been created an hour after it, by ARM's clock too.
            self._arm_time = max(self._arm_time, latest - max(0, self._clock() - self.started))
        if len(self._created_by_digest) > self._prune_above:
            self._prune()
            self._prune_above = max(_PRUNE_THRESHOLD, 2 * len(self._created_by_digest))

    def next_watermark(self) -> Watermark:
        """Return the watermark after all complete queries. It never moves back."""
        self._prune()
        return Watermark(self._next_low(), self._latest, dict(self._created_by_digest))

    def _next_low(self) -> int | None:
        """Return a time before which no record can appear any more that this run has not read."""
        if self.before.low is None and not self._has_records:
            return None
        low = min(self._arm_time, self.started) - self._overlap
        return low if self.before.low is None else max(low, self.before.low)

    def _prune(self) -> None:
        low = self._next_low()
        if low is not None:
            self._created_by_digest = {
                value: created for value, created in self._created_by_digest.items() if created >= low
            }
