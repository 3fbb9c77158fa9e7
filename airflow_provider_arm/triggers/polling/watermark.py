"""Watermark of one watcher: which records it has reported, and where the next poll starts. Without clock or I/O.

Times are unix milliseconds. A record may become visible after its created time, so each poll starts some time before
the end of the previous one (the overlap), and the records of that time are remembered. A poll may consist of several
parts; a part counts only if it adjoins the parts before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.export.incremental.watermark import decode_digests, encode_digests

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Maximum number of remembered records: 5,000 take 55 KB, and Airflow's state store warns above 64 KB. If more were
#: created within the overlap, the overlap is shortened: older records are not read again.
MAX_SEEN = 5000


@dataclass(frozen=True, slots=True)
class PollSpan:
    """Period of one part of a poll.

    :param poll_number: of the poll; parts of different polls do not adjoin.
    :param started: start of that poll.
    :param first: first created time.
    :param last: last created time; ``None``: no upper bound.
    """

    poll_number: int
    started: int
    first: int
    last: int | None = None


@dataclass(eq=False, slots=True, weakref_slot=True)
class WatcherWatermark:
    """Detects which records are new.

    :param low: records created before this time are not read again.
    :param overlap: time after its created time until a record is visible at the latest.
    :param seen: digest and created time of each known record created at or after *low*.
    """

    low: int
    overlap: int
    seen: dict[int, int] = field(default_factory=dict)
    _poll_number: int | None = None
    _joined_until: int = 0

    def add(self, span: PollSpan, records: Iterable[tuple[int, int]]) -> list[int] | None:
        """Add the records of one part of a poll, and return the digests of the new ones, in order.

        :param records: digest and created time of every record in *span*.
        :return: ``None`` if the part does not adjoin the previous ones: it is ignored, and a later poll starts early
            enough.
        """
        if span.poll_number != self._poll_number:
            self._poll_number, self._joined_until = span.poll_number, self.low
        if span.first > max(self._joined_until, self.low):
            return None
        new = {digest: created for digest, created in records if created >= self.low and digest not in self.seen}
        self.seen |= new
        # Records within the overlap may still become visible. It is measured from the start of the poll, when its
        # first part was requested.
        settled = span.started - self.overlap
        if span.last is not None:
            self._joined_until = max(self._joined_until, span.last + 1)
            settled = min(settled, span.last + 1)
        self._advance(max(self.low, settled))
        return list(new)

    def _advance(self, low: int) -> None:
        """Set *low*, and forget the records created before it, and the oldest ones above ``MAX_SEEN``."""
        self.low = low
        self.seen = {digest: created for digest, created in self.seen.items() if created >= low}
        if len(self.seen) > MAX_SEEN:
            newest = sorted(self.seen.values(), reverse=True)
            # All records of one created time are remembered, or none of them.
            self._advance(newest[MAX_SEEN] + 1)

    def as_json(self) -> dict[str, Any]:
        """Return the watermark as small JSON: digests by created time."""
        return {"low": self.low, "seen": encode_digests(self.seen)}

    @classmethod
    def from_json(cls, stored: Any, overlap: int) -> WatcherWatermark | None:
        """Return the watermark of :meth:`as_json`; ``None`` for any other value."""
        try:
            return cls(int(stored["low"]), overlap, decode_digests(stored["seen"]))
        except (TypeError, KeyError, ValueError):
            return None
