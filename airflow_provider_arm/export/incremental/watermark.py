"""How far increments have come, and what of a list is new. Pure: no clock, no I/O. Times are unix milliseconds.

Two traps. A record may become visible after its own created time, or change: so each run asks from a while before the
last one's end (the overlap), and what was met there is remembered by its text. And clocks differ: so the mark goes by
the times that ARM wrote, and by our own clock only as far as two clocks may differ.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.export.fetch.time_range import CLOCK_SKEW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import msgspec

#: Bytes of a digest. With a million remembered and a million new ones, the chance that one is taken for another is one
#: in ten million, and they would have to be created in the same millisecond on top.
DIGEST_BYTES = 8
#: Records that are gathered before what can no longer matter is let go: a few hundred kilobytes.
_PRUNE_THRESHOLD = 10_000


def digest(text: bytes | msgspec.Raw) -> int:
    """Give a record's digest, by its text as ARM wrote it."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=DIGEST_BYTES).digest(), "big")


def _encode_digest(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(DIGEST_BYTES, "big")).decode().rstrip("=")


def _decode_digest(text: str) -> int:
    data = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    if len(data) != DIGEST_BYTES:
        raise ValueError
    return int.from_bytes(data, "big")


@dataclass(frozen=True, slots=True)
class Watermark:
    """Where the next increment begins, and what of it is known already.

    :param low: the first moment that is asked for; ``None``: the list is asked for from its beginning.
    :param latest: the latest created time that was ever met and had come when it was.
    :param seen: digest and created time of each record from *low* on, as it stood when it was met last.
    """

    low: int | None = None
    latest: int | None = None
    seen: Mapping[int, int] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Give it as small JSON: digests by created time."""
        by_moment: dict[str, list[str]] = {}
        for value, created in sorted(self.seen.items(), key=lambda one: (one[1], one[0])):
            by_moment.setdefault(str(created), []).append(_encode_digest(value))
        seen = {moment: " ".join(digests) for moment, digests in by_moment.items()}
        return {"low": self.low, "latest": self.latest, "seen": seen}

    @classmethod
    def from_json(cls, kept: Any) -> Watermark:
        """Read what :meth:`as_json` gave.

        :raises ValueError: it is something else.
        """
        try:
            low, latest = kept["low"], kept["latest"]
            seen = {_decode_digest(one): int(moment) for moment, text in kept["seen"].items() for one in text.split()}
        except (TypeError, KeyError, AttributeError):
            raise ValueError from None
        if not all(bound is None or type(bound) is int for bound in (low, latest)):
            raise ValueError
        return cls(low, latest, seen)


@dataclass(frozen=True, slots=True)
class PageDigests:
    """The records of a page: of each its digest and its created time, if it has one."""

    digests: Sequence[int] = field(repr=False)
    created: Sequence[int | None]
    #: How many of them were left out of the file.
    skipped: int = 0


class IncrementTracker:
    """What one run meets, query by query; gives the mark after it.

    What is remembered is what this run met, not what earlier ones did: a record that changed and changed back is new.

    :param before: the mark that the run began from.
    :param began: when it began, by our clock.
    :param overlap: milliseconds in which a record may still become visible or change.
    :param clock: tells the time, by our clock.
    """

    def __init__(self, before: Watermark, began: int, overlap: int, clock: Callable[[], int]) -> None:
        self.before = before
        self.began = began
        #: Records that were known and are not in the file.
        self.skipped = 0
        self._overlap = overlap
        self._clock = clock
        self._latest = before.latest
        #: Where ARM's clock certainly stood when the run began, or later.
        self._reached = began - CLOCK_SKEW if before.latest is None else max(began - CLOCK_SKEW, before.latest)
        self._met: dict[int, int] = {}
        self._any = False
        self._room = _PRUNE_THRESHOLD
        self._pending: list[PageDigests] = []

    def add(self, met: PageDigests) -> None:
        """Take a page of a query that may still be begun again."""
        self._pending.append(met)

    def forget(self) -> None:
        """The query is begun again: forget what came of it."""
        self._pending.clear()

    def keep(self) -> None:
        """The query is whole."""
        latest = None
        for met in self._pending:
            self.skipped += met.skipped
            for value, created in zip(met.digests, met.created, strict=True):
                if created is None:
                    continue
                self._any = True
                self._met[value] = created
                # A created time that has not come says nothing of how far ARM's clock is.
                if created <= self.began and (latest is None or created > latest):
                    latest = created
        self._pending.clear()
        if latest is not None:
            self._latest = latest if self._latest is None else max(self._latest, latest)
            # What was read an hour after the run began may be an hour newer, by ARM's clock too.
            self._reached = max(self._reached, latest - max(0, self._clock() - self.began))
        if len(self._met) > self._room:
            self._prune()
            self._room = max(_PRUNE_THRESHOLD, 2 * len(self._met))

    def after(self) -> Watermark:
        """Give the mark after all that was kept. It never moves back."""
        self._prune()
        return Watermark(self._low(), self._latest, dict(self._met))

    def _low(self) -> int | None:
        """Give what is old enough that nothing that was not met can show there any more."""
        if self.before.low is None and not self._any:
            return None
        low = min(self._reached, self.began) - self._overlap
        return low if self.before.low is None else max(low, self.before.low)

    def _prune(self) -> None:
        low = self._low()
        if low is not None:
            self._met = {value: created for value, created in self._met.items() if created >= low}
