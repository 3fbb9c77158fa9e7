"""One write that ARM answers at once, journalled like a chunk: the same states, the same decisions, one line.

What differs from a batch: there is nothing to wait for, so the line keeps ARM's answer where a chunk's keeps its
batchUuid, and what ARM has taken is finished.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmError, FieldIssue, InvalidRecordError
from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import BlockedError, PlanChangedError, SentAgainError
from airflow_provider_arm.submission.journal import (
    ChunkState,
    Entry,
    Journal,
    NextStep,
    PlanEntry,
    may_be_booked,
    next_step,
)
from airflow_provider_arm.submission.send import state_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_arm.client.operations import Operation

log = logging.getLogger(__name__)

#: The write is the one chunk of its plan.
_INDEX = 0


def fingerprint(operation: Operation, path: Mapping[str, Any], record: Any) -> str:
    """Name the content of a write: the same call with the same record gives the same.

    :param record: as it goes on the wire.
    :raises InvalidRecordError: it holds a float or another value that cannot go out exactly.
    """
    try:
        content = money.encode([operation.name, dict(path), record])
    except money.InexactNumberError as error:
        raise InvalidRecordError([FieldIssue("", str(error))]) from None
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class SingleWrite:
    """One write, and by which rules it reaches ARM.

    :param what: names it in log and errors (``document 88776655``); no personal data.
    :param sha256: of its content (:func:`fingerprint`).
    :param send: sends it and gives ARM's answer, small, of plain JSON values and without personal data, because the
        journal keeps it; raises :class:`ArmError`.
    """

    operation: Operation
    journal: Journal
    generation: int
    what: str
    sha256: str
    send: Callable[[], dict[str, Any]] = field(repr=False)
    resend_unknown: bool = False

    def run(self) -> dict[str, Any] | None:
        """Bring it to ARM, or find that it is there; gives ARM's answer, ``None`` where the journal has not kept it.

        :raises BlockedError: it may or may not have reached ARM.
        :raises PlanChangedError: other content of this task has reached ARM, or may have.
        :raises ArmError: ARM refused it, or cannot be reached.
        """
        entry = self.journal.read(_INDEX)
        step = self._step(entry)
        changed = entry is not None and entry.sha256 != self.sha256
        if entry is None or (step is NextStep.SEND and not (changed and may_be_booked(entry, self.operation.replay))):
            return self._send()
        if step is NextStep.SEND_IF_FINISHED:
            log.info("%s: the task was cleared and ARM has taken it before; sent anew", self.what)
            return self._send()
        if changed:
            raise PlanChangedError(self._changed(entry))
        if step is NextStep.BLOCK:
            raise BlockedError(self._blocked(entry))
        # Also after a clear: what ARM answered at once it has taken, and a repeat would book twice.
        log.info("%s: ARM has taken it already, not sent again", self.what)
        return _answer(entry)

    def _step(self, entry: Entry | None) -> NextStep:
        return next_step(entry, self.operation.replay, self.generation, resend_unknown=self.resend_unknown)

    def _send(self) -> dict[str, Any]:
        plan = PlanEntry(self.sha256, 1, self.generation)
        if self.journal.read_plan() != plan:
            self.journal.write_plan(plan)
        entry = Entry(_INDEX, self.sha256, ChunkState.SENDING, self.generation)
        self.journal.write(entry)
        try:
            answer = self.send()
        except ArmError as error:
            after = entry.to(state_after(error), reason=str(error))
            self.journal.write(after)
            if self._step(after) is NextStep.BLOCK:
                raise BlockedError(self._blocked(after)) from None
            if after.state is ChunkState.UNKNOWN and self.operation.replay is not Replay.SAFE:
                msg = f'{error}. The next try sends it again, as on_unknown_outcome="resend" says'
                raise SentAgainError(msg, phase=error.phase) from None
            raise
        # First the log: should the journal not keep the answer, this is what the person finds who looks.
        log.info("%s: ARM has taken it (%s)", self.what, answer)
        # The one field of a line that may hold words; every journal keeps it in the same write as the state.
        self.journal.write(entry.to(ChunkState.ACCEPTED, reason=msgspec.json.encode(answer).decode()))
        return answer

    def _changed(self, entry: Entry) -> str:
        reached = "has reached ARM" if entry.state is ChunkState.ACCEPTED else "may or may not have reached ARM"
        return (
            f"{self.what} differs from what this task has sent before, which {reached}: nothing more is sent. "
            "Restore the content, or trigger a new run for the new content"
        )

    def _blocked(self, entry: Entry) -> str:
        why = entry.reason or "the task ended while it was being sent"
        return (
            f"{self.what} may or may not have reached ARM ({why}). It is not sent again. "
            'Look in ARM whether it is there; if it is not, on_unknown_outcome="resend" sends it'
        )


def _answer(entry: Entry) -> dict[str, Any] | None:
    """Give the answer that an accepted line keeps; ``None`` where it has words of another kind, or none."""
    try:
        return msgspec.json.decode(entry.reason or "", type=dict[str, Any])
    except msgspec.DecodeError:
        return None
