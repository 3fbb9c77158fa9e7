"""What one watcher has reported and where it looks on from. Pure: no clock, no I/O. Times are unix milliseconds.

A list that is asked "what was created since" has two traps. A record may become visible after its own created time, so
each look begins a while before the last one's end (the overlap), and what was met there is remembered. And a look may
have to be taken in parts, so that a part counts only where it joins on to what was looked at before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Records that are remembered at most: 5,000 take 55 KB, and Airflow's state store warns above 64 KB. Where more were
#: created within the overlap, it is cut short: what was created longer ago is not looked at again.
MAX_REMEMBERED = 5000


@dataclass(frozen=True, slots=True)
class Span:
    """What one part of a look covers.

    :param turn: tells the look that it is a part of; parts of different looks do not join.
    :param began: when that look began.
    :param since: the first moment.
    :param until: the last moment; ``None``: all that there is.
    """

    turn: int
    began: int
    since: int
    until: int | None = None


@dataclass(eq=False, slots=True, weakref_slot=True)
class WatchedRange:
    """Tells new records from those that were met before.

    :param low: what was created before this is not asked for again.
    :param overlap: how long after its created time a record may become visible.
    :param seen: digest and created time of each record that was met at or after *low*.
    """

    low: int
    overlap: int
    seen: dict[str, int] = field(default_factory=dict)
    _turn: int | None = None
    _joined: int = 0

    def take(self, span: Span, met: Iterable[tuple[str, int]]) -> list[str] | None:
        """Take what one part of a look met; gives what of it is new, in the order given.

        :param met: digest and created time of every record in *span*.
        :return: ``None`` where the part does not join on to what was looked at: it is passed over, and a later look
            begins early enough.
        """
        if span.turn != self._turn:
            self._turn, self._joined = span.turn, self.low
        if span.since > max(self._joined, self.low):
            return None
        fresh = {digest: created for digest, created in met if created >= self.low and digest not in self.seen}
        self.seen |= fresh
        # Of what the overlap has not passed by yet, some may still become visible: measured from the look's beginning,
        # because its first part was asked then.
        settled = span.began - self.overlap
        if span.until is not None:
            self._joined = max(self._joined, span.until + 1)
            settled = min(settled, span.until + 1)
        self._forget(max(self.low, settled))
        return list(fresh)

    def _forget(self, low: int) -> None:
        """Let go of what was created before *low*, and of the oldest where too much is remembered."""
        self.low = low
        self.seen = {digest: created for digest, created in self.seen.items() if created >= low}
        if len(self.seen) > MAX_REMEMBERED:
            newest = sorted(self.seen.values(), reverse=True)
            # Whole moments: of one moment's records none may be remembered and another not.
            self._forget(newest[MAX_REMEMBERED] + 1)

    def as_json(self) -> dict[str, Any]:
        """Give it as small JSON: digests by created time."""
        by_moment: dict[str, list[str]] = {}
        for digest, created in self.seen.items():
            by_moment.setdefault(str(created), []).append(digest)
        return {"low": self.low, "seen": {moment: " ".join(digests) for moment, digests in by_moment.items()}}

    @classmethod
    def from_json(cls, kept: Any, overlap: int) -> WatchedRange | None:
        """Read what :meth:`as_json` gave; ``None`` where it is something else."""
        try:
            seen = {digest: int(moment) for moment, text in kept["seen"].items() for digest in text.split()}
            return cls(int(kept["low"]), overlap, seen)
        except (TypeError, KeyError, ValueError, AttributeError):
            return None
