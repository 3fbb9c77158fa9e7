"""State transitions of one chunk, each journalled: about to be sent, accepted, failed, looked up.

A batch and a single write have the same transitions. They differ only in what is sent and in what a success returns.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmError, ArmInvalidResponseError, ArmUnknownOutcomeError, Phase
from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import ResendOnRetryError
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, NextStep, next_step
from airflow_provider_arm.submission.sending.lookup import LookupDecision, LookupResult, decide
from airflow_provider_arm.submission.sending.unknown_outcome import UnresolvedChunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.journal.entries import Journal

#: Bytes of a chunk_id: enough that no two of a journal are equal, short enough to be typed.
_CHUNK_ID_BYTES = 4
ENDED_WHILE_SENDING = "the task ended while it was being sent"


@dataclass(frozen=True, slots=True)
class ChunkTransitions:
    """State transitions of chunks in one attempt, and the options that they follow.

    :param clear_count: of this attempt.
    :param resend_unknown: the DAG author chose to send again what may have reached ARM
        (``on_unknown_outcome="resend"``).
    :param assume_absent_after: seconds after the first lookup that did not find all records, at a time when nothing was
        sending them. From then on, records that are absent are assumed not to have been accepted; ``None``: never.
    :param now: returns unix seconds.
    """

    operation: Operation
    journal: Journal
    clear_count: int
    resend_unknown: bool = False
    assume_absent_after: float | None = None
    now: Callable[[], float] = time.time

    def next_step(self, entry: ChunkEntry | None) -> NextStep:
        """Return what to do with a chunk."""
        return next_step(entry, self.operation.replay, self.clear_count)

    def record_sending(self, entry: ChunkEntry | None, index: int, sha256: str) -> ChunkEntry:
        """Write that a chunk is about to be sent, and return the new entry.

        :param entry: its entry so far.
        """
        resolutions = entry.resolutions if entry is not None else ()
        chunk_id = secrets.token_hex(_CHUNK_ID_BYTES)
        sending = ChunkEntry(
            index, sha256, ChunkState.SENDING, self.clear_count, chunk_id=chunk_id, resolutions=resolutions
        )
        return self._write(sending)

    def record_accepted(
        self, entry: ChunkEntry, *, batch_uuid: str | None = None, response: dict[str, Any] | None = None
    ) -> ChunkEntry:
        """Write that ARM has accepted the chunk, and return the new entry."""
        return self._write(entry.with_state(ChunkState.ACCEPTED, batch_uuid=batch_uuid, response=response))

    def record_failure(self, entry: ChunkEntry, error: ArmError) -> ChunkEntry:
        """Write that sending the chunk failed with *error*, and return the new entry."""
        return self._write(entry.with_state(state_after_failure(error), reason=error.summary))

    def raise_failure(self, entry: ChunkEntry, error: ArmError, unresolved: UnresolvedChunk) -> None:
        """Raise what a failed sending means for the task.

        :param entry: the chunk's entry after the failure.
        """
        if entry.state is not ChunkState.UNKNOWN or self.operation.replay is Replay.SAFE:
            raise error
        if self.resend_unknown and not unresolved.has_records_in_arm:
            msg = f'{error}. The next try sends it again, because of on_unknown_outcome="resend"'
            raise ResendOnRetryError(msg, phase=error.phase) from None
        raise unresolved.error() from None

    def look_up_chunk(
        self, entry: ChunkEntry, look_up: Callable[[], LookupResult] | None, name: str, keys: str = ""
    ) -> UnresolvedChunk:
        """Run the lookup of a chunk with an unknown outcome, and write what it proves.

        :param look_up: looks up its records; ``None`` where ARM has no operation for that. Its
            :class:`ArmError` leaves the outcome unknown.
        :param name: of the chunk, for messages.
        :param keys: natural keys of its records, for messages.
        """
        if entry.state is ChunkState.SENDING:
            entry = self._write(entry.with_state(ChunkState.UNKNOWN, reason=ENDED_WHILE_SENDING))
        if look_up is None:
            return UnresolvedChunk(entry, name, keys)
        try:
            result = look_up()
        except ArmError as error:
            return UnresolvedChunk(entry, name, keys, lookup_error=error)
        decision = decide(result, assume_absent=self._may_assume_absent(entry), found_before=entry.missing is not None)
        if decision is LookupDecision.ACCEPTED:
            entry = self._write(
                entry.with_state(ChunkState.RECOVERED, clear_count=self.clear_count, missing=result.absent)
            )
        elif decision is LookupDecision.ABSENT:
            entry = self._write(entry.with_state(ChunkState.PLANNED, missing_since=None))
        elif decision is LookupDecision.UNDECIDED:
            entry = self._record_undecided(entry, result)
        return UnresolvedChunk(entry, name, keys, lookup=result, assume_absent_after=self.assume_absent_after)

    def record_missing(self, entry: ChunkEntry, look_up: Callable[[], LookupResult] | None) -> ChunkEntry:
        """Run the lookup, once, of a chunk resolved as accepted; write the missing records, and return its entry."""
        if entry.missing is not None:
            return entry
        result = look_up() if look_up is not None else LookupResult()
        missing = tuple(sorted(result.absent + result.conflicting))
        return self._write(entry.with_state(ChunkState.RECOVERED, missing=missing))

    def may_resend(self, unresolved: UnresolvedChunk) -> bool:
        """Return whether a chunk may be sent again after its lookup."""
        return unresolved.entry.state is ChunkState.PLANNED or (
            self.resend_unknown and unresolved.entry.state is ChunkState.UNKNOWN and not unresolved.has_records_in_arm
        )

    def _record_undecided(self, entry: ChunkEntry, result: LookupResult) -> ChunkEntry:
        """Write the first lookup that missed records, and the first that found some: ARM has accepted those."""
        since = self.now() if entry.missing_since is None else entry.missing_since
        missing = result.absent if result.matching else entry.missing
        undecided = entry.with_state(ChunkState.UNKNOWN, missing_since=since, missing=missing)
        return entry if undecided == entry else self._write(undecided)

    def _may_assume_absent(self, entry: ChunkEntry) -> bool:
        if self.assume_absent_after is None or entry.missing_since is None:
            return False
        return self.now() - entry.missing_since >= self.assume_absent_after

    def _write(self, entry: ChunkEntry) -> ChunkEntry:
        self.journal.write(entry)
        return entry


def state_after_failure(error: ArmError) -> ChunkState:
    """Return what is known of a chunk whose sending failed with *error*. What is not proved to be unsent is unknown."""
    if isinstance(error, ArmUnknownOutcomeError | ArmInvalidResponseError):
        return ChunkState.UNKNOWN
    if error.phase is Phase.NOT_SENT or error.phase is None or error.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return ChunkState.PLANNED
    if error.phase is Phase.ANSWERED and error.permanent:
        return ChunkState.REFUSED
    return ChunkState.UNKNOWN
