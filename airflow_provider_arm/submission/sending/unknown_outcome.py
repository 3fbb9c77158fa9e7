"""A chunk of which nobody knows whether ARM took it: what the looks showed, in the words that a person needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.submission.errors import OutcomePendingError, ResolutionRequiredError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_arm.client.errors import ArmError
    from airflow_provider_arm.submission.journal.entries import ChunkEntry
    from airflow_provider_arm.submission.sending.lookup import LookupResult

#: Keys, or places of records, that a message names; it says how many more there are.
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class UnresolvedChunk:
    """What is known of the chunk now.

    :param line: its line in the journal after the look.
    :param what: names the chunk.
    :param keys: names its records.
    :param seen: what ARM has of it; ``None`` where it was not asked.
    :param trouble: why it could not be asked.
    :param assume_absent_after: see ``Steps``.
    """

    line: ChunkEntry
    what: str
    keys: str = ""
    seen: LookupResult | None = None
    trouble: ArmError | None = None
    assume_absent_after: float | None = None

    @property
    def is_there(self) -> bool:
        """Whether ARM has, or has had, some of it, or something else under its keys: it must not be sent over that."""
        return self.line.missing is not None or (self.seen is not None and bool(self.seen.same or self.seen.other))

    @property
    def _has_vanished(self) -> bool:
        """Whether an earlier look has found some of it, and this one none."""
        return self.line.missing is not None and self.seen is not None and not self.seen.same

    def error(self) -> ResolutionRequiredError | OutcomePendingError:
        """Make the error that stops the task: one that a later look may mend, or one for a person."""
        named = f"{self.what}, {self.keys}," if self.keys else self.what
        why = self.line.reason or "the journal does not say why"
        msg = f"{named} may or may not have reached ARM ({why}). It is not sent again. {self._shown()}{self._release()}"
        later = self.trouble is not None and not self.trouble.permanent
        if later or (self.seen is not None and not self.seen.other and not self._has_vanished):
            return OutcomePendingError(msg, [self.as_json()])
        return ResolutionRequiredError(msg, [self.as_json()])

    def as_json(self) -> dict[str, Any]:
        """Give what a person is asked about, plain JSON values."""
        # Not named keys: case.keys in a template is a method of the mapping.
        return {"chunk_id": self.line.chunk_id, "what": self.what, "records": self.keys, "reason": self.line.reason}

    def _shown(self) -> str:
        if self.trouble is not None:
            return f"ARM cannot be asked for its records now ({self.trouble}). "
        if self.seen is None:
            return "Look in ARM whether its records are there. "
        seen = self.seen
        records, later = len(seen.same) + len(seen.absent) + len(seen.other), self._later()
        if seen.other:
            return (
                f"Under the key of {_places(seen.other)} of its {records} records ARM has something that was not sent "
                "or cannot be compared: compare them. "
            )
        if self._has_vanished:
            return f"ARM has none of its {records} records, and an earlier look has found some: find out why. "
        if not seen.same:
            return f"ARM has none of its {records} records, which proves nothing while they may be in work. {later}"
        return (
            f"ARM has {len(seen.same)} of its {records} records; {_places(seen.absent)} may be refused, or still in "
            f"work. {later}"
        )

    def _later(self) -> str:
        if self.assume_absent_after is None or self.line.missed_since is None:
            return "A later try looks again. "
        moment = datetime.fromtimestamp(self.line.missed_since + self.assume_absent_after, tz=UTC)
        return f"A try after {moment.isoformat(timespec='seconds')} takes what is absent for not taken (assume_absent_after). "

    def _release(self) -> str:
        resend = "" if self.is_there else ', or let on_unknown_outcome="resend" send it again'
        return f'Somebody who knows releases case {self.line.chunk_id} as "accepted" or "absent" (resolutions){resend}'


def format_keys(key: str, values: Sequence[str]) -> str:
    """Name records by their natural keys."""
    more = f" and {len(values) - MAX_NAMED} more" if len(values) > MAX_NAMED else ""
    return f"{key} {', '.join(values[:MAX_NAMED])}{more}"


def _places(places: Sequence[int]) -> str:
    more = f" and {len(places) - MAX_NAMED} more" if len(places) > MAX_NAMED else ""
    return f"number {', '.join(map(str, places[:MAX_NAMED]))}{more}"
