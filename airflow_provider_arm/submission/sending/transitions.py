"""One chunk, one step at a time, each journalled: about to send, taken, failed, looked for.

A batch and a single write take the same steps; only what is sent, and what a success brings, differ.
"""

from __future__ import annotations

import logging
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

log = logging.getLogger(__name__)

#: Bytes of a chunk_id: enough that no two of a journal are alike, short enough to be typed.
_CHUNK_ID_BYTES = 4
ENDED_WHILE_SENDING = "the task ended while it was being sent"


@dataclass(frozen=True, slots=True)
class ChunkTransitions:
    """The steps of one attempt, and by which rules they are taken.

    :param clear_count: of this attempt.
    :param resend_unknown: the author has chosen to send again what may have arrived (``on_unknown_outcome="resend"``).
    :param assume_absent_after: seconds after a look that missed records, when nobody was sending them, after which the author
        takes what is absent for not taken; ``None``: never.
    :param now: gives unix seconds.
    """

    operation: Operation
    journal: Journal
    clear_count: int
    resend_unknown: bool = False
    assume_absent_after: float | None = None
    now: Callable[[], float] = time.time

    def next(self, entry: ChunkEntry | None) -> NextStep:
        """Say what to do with a chunk."""
        return next_step(entry, self.operation.replay, self.clear_count)

    def begin(self, entry: ChunkEntry | None, index: int, sha256: str) -> ChunkEntry:
        """Note that it is about to be sent.

        :param entry: its line so far.
        """
        resolutions = entry.resolutions if entry is not None else ()
        chunk_id = secrets.token_hex(_CHUNK_ID_BYTES)
        line = ChunkEntry(
            index, sha256, ChunkState.SENDING, self.clear_count, chunk_id=chunk_id, resolutions=resolutions
        )
        self.journal.write(line)
        return line

    def taken(
        self, line: ChunkEntry, *, batch_uuid: str | None = None, answer: dict[str, Any] | None = None
    ) -> ChunkEntry:
        """Note that ARM has taken it."""
        return self._write(line.to(ChunkState.ACCEPTED, batch_uuid=batch_uuid, answer=answer))

    def failed(self, line: ChunkEntry, error: ArmError) -> ChunkEntry:
        """Note that its sending ended in *error*."""
        return self._write(line.to(state_after(error), reason=error.summary))

    def raise_failed(self, line: ChunkEntry, error: ArmError, unresolved: UnresolvedChunk) -> None:
        """Raise what a failed sending, noted in *line*, means for the task."""
        if line.state is not ChunkState.UNKNOWN or self.operation.replay is Replay.SAFE:
            raise error
        if self.resend_unknown and not unresolved.is_there:
            msg = f'{error}. The next try sends it again, as on_unknown_outcome="resend" says'
            raise ResendOnRetryError(msg, phase=error.phase) from None
        raise unresolved.error() from None

    def reconcile(
        self, line: ChunkEntry, look: Callable[[], LookupResult] | None, what: str, keys: str = ""
    ) -> UnresolvedChunk:
        """Look for a chunk of which nobody knows, and note what that decides.

        :param look: looks for its records; ``None`` where ARM cannot be asked for them.
        :param what: names it in messages.
        :param keys: names its records.
        """
        if line.state is ChunkState.SENDING:
            line = self._write(line.to(ChunkState.UNKNOWN, reason=ENDED_WHILE_SENDING))
        if look is None:
            return UnresolvedChunk(line, what, keys)
        try:
            seen = look()
        except ArmError as error:
            return UnresolvedChunk(line, what, keys, trouble=error)
        finding = decide(seen, settled=self._settled(line), was_there=line.missing is not None)
        if finding is LookupDecision.TAKEN:
            line = self._write(line.to(ChunkState.RECOVERED, clear_count=self.clear_count, missing=seen.absent))
        elif finding is LookupDecision.NOT_TAKEN:
            line = self._write(line.to(ChunkState.PLANNED, missed_since=None))
        elif finding is LookupDecision.UNDECIDED:
            line = self._note_look(line, seen)
        return UnresolvedChunk(line, what, keys, seen=seen, assume_absent_after=self.assume_absent_after)

    def note_missing(self, line: ChunkEntry, look: Callable[[], LookupResult] | None) -> ChunkEntry:
        """Look which records are absent of a chunk that ARM has by a person's word."""
        if line.missing is not None:
            return line
        seen = look() if look is not None else LookupResult()
        return self._write(line.to(ChunkState.RECOVERED, missing=tuple(sorted(seen.absent + seen.other))))

    def may_send_again(self, unresolved: UnresolvedChunk) -> bool:
        """Whether a chunk that was looked for may be sent."""
        return unresolved.line.state is ChunkState.PLANNED or (
            self.resend_unknown and unresolved.line.state is ChunkState.UNKNOWN and not unresolved.is_there
        )

    def _note_look(self, line: ChunkEntry, seen: LookupResult) -> ChunkEntry:
        """Note the first look that missed records, and the first that found some: what was there once was taken."""
        since = self.now() if line.missed_since is None else line.missed_since
        missing = seen.absent if seen.same else line.missing
        after = line.to(ChunkState.UNKNOWN, missed_since=since, missing=missing)
        return line if after == line else self._write(after)

    def _settled(self, line: ChunkEntry) -> bool:
        if self.assume_absent_after is None or line.missed_since is None:
            return False
        return self.now() - line.missed_since >= self.assume_absent_after

    def _write(self, line: ChunkEntry) -> ChunkEntry:
        self.journal.write(line)
        return line


def state_after(error: ArmError) -> ChunkState:
    """Say what is known of a chunk whose sending ended in *error*. What is not proved to be unsent is unknown."""
    if isinstance(error, ArmUnknownOutcomeError | ArmInvalidResponseError):
        return ChunkState.UNKNOWN
    if error.phase is Phase.NOT_SENT or error.phase is None or error.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return ChunkState.PLANNED
    if error.phase is Phase.ANSWERED and error.permanent:
        return ChunkState.REFUSED
    return ChunkState.UNKNOWN
