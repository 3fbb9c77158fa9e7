"""Chunk with an unknown outcome: what its lookup showed, and the error that names the next step."""

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

#: Keys, positions or chunks that a message lists; it counts the others.
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class UnresolvedChunk:
    """What is known of a chunk after its lookup.

    :param entry: its journal entry after the lookup.
    :param name: of the chunk, for messages.
    :param keys: natural keys of its records, for messages.
    :param lookup: what ARM has of it; ``None`` if there was no lookup, or it failed.
    :param lookup_error: why the lookup failed.
    :param assume_absent_after: see ``ChunkTransitions``.
    """

    entry: ChunkEntry
    name: str
    keys: str = ""
    lookup: LookupResult | None = None
    lookup_error: ArmError | None = None
    assume_absent_after: float | None = None

    @property
    def has_records_in_arm(self) -> bool:
        """Whether ARM has or had some of its records, or other records under its keys: it must not be sent again."""
        if self.entry.missing is not None:
            return True
        return self.lookup is not None and bool(self.lookup.matching or self.lookup.conflicting)

    @property
    def _has_disappeared(self) -> bool:
        """Whether an earlier lookup found some of its records, and this one none."""
        return self.entry.missing is not None and self.lookup is not None and not self.lookup.matching

    def error(self) -> ResolutionRequiredError | OutcomePendingError:
        """Build the error that stops the task: retryable if a later lookup may decide, else permanent."""
        subject = f"{self.name}, {self.keys}," if self.keys else self.name
        reason = self.entry.reason or "the journal has no reason"
        msg = (
            f"{subject} may or may not have reached ARM ({reason}). It is not sent again. "
            f"{self._lookup_text()}{self._resolution_text()}"
        )
        is_temporary = self.lookup_error is not None and not self.lookup_error.permanent
        is_undecided = self.lookup is not None and not self.lookup.conflicting and not self._has_disappeared
        if is_temporary or is_undecided:
            return OutcomePendingError(msg, [self.as_json()])
        return ResolutionRequiredError(msg, [self.as_json()])

    def as_json(self) -> dict[str, Any]:
        """Return what a manual resolution needs to know, as plain JSON values."""
        # "records", not "keys": in a template, chunk.keys is a method of the mapping.
        return {"chunk_id": self.entry.chunk_id, "what": self.name, "records": self.keys, "reason": self.entry.reason}

    def _lookup_text(self) -> str:
        if self.lookup_error is not None:
            return f"The lookup of its records in ARM failed ({self.lookup_error}). "
        if self.lookup is None:
            return "Check in ARM whether its records are there. "
        lookup = self.lookup
        total = len(lookup.matching) + len(lookup.absent) + len(lookup.conflicting)
        if lookup.conflicting:
            return (
                f"What ARM has under the key of {_format_positions(lookup.conflicting)} (of {total}) differs from "
                "what was sent, or cannot be compared: compare them. "
            )
        if self._has_disappeared:
            return f"ARM has none of its {total} records, although an earlier lookup found some: find out why. "
        if not lookup.matching:
            return (
                f"ARM has none of its {total} records, which proves nothing while it may still be processing them. "
                f"{self._next_lookup_text()}"
            )
        return (
            f"ARM has {len(lookup.matching)} of its {total} records; {_format_positions(lookup.absent)} may have "
            f"been refused, or may still be processing. {self._next_lookup_text()}"
        )

    def _next_lookup_text(self) -> str:
        if self.assume_absent_after is None or self.entry.missing_since is None:
            return "A later try repeats the lookup. "
        moment = datetime.fromtimestamp(self.entry.missing_since + self.assume_absent_after, tz=UTC)
        return (
            f"A try after {moment.isoformat(timespec='seconds')} assumes that ARM has not accepted what is still "
            "absent (assume_absent_after). "
        )

    def _resolution_text(self) -> str:
        resend = "" if self.has_records_in_arm else ', or set on_unknown_outcome="resend" to send it again'
        return (
            f'Once the outcome is known, resolve chunk_id {self.entry.chunk_id} as "accepted" or "absent" '
            f"(resolutions){resend}"
        )


def format_keys(key: str, values: Sequence[str]) -> str:
    """Format natural keys for a message: the name of the key and the first :data:`MAX_NAMED` values."""
    more = f" and {len(values) - MAX_NAMED} more" if len(values) > MAX_NAMED else ""
    return f"{key} {', '.join(values[:MAX_NAMED])}{more}"


def _format_positions(positions: Sequence[int]) -> str:
    more = f" and {len(positions) - MAX_NAMED} more" if len(positions) > MAX_NAMED else ""
    return f"record {', '.join(map(str, positions[:MAX_NAMED]))}{more}"
