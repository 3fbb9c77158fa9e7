"""Send the planned chunks one after another, each step journalled before it is taken."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_arm.client.batch_state import BatchState
from airflow_provider_arm.client.errors import ArmError, ArmUnknownOutcomeError, ArmUnreadableAnswerError, Phase
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.plan import ChunkPlan, Plan

log = logging.getLogger(__name__)

_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Sender:
    """How chunks reach ARM, and by which rules.

    :param submit: sends a JSON list of records, gives the batchUuid; raises :class:`ArmError`.
    :param look: what a batch of an earlier wish is; raises :class:`ArmError`.
    """

    operation: Operation
    journal: Journal
    generation: int
    submit: Callable[[bytes], str]
    look: Callable[[str], BatchState]
    resend_unknown: bool = False

    def send_all(self, plan: Plan, chunks: Iterable[tuple[ChunkPlan, bytes]]) -> list[str]:
        """Bring every chunk to ARM, or find that it is there; gives the batchUuids in order.

        A chunk that cannot be decided stops it: those after it wait for the person who looks.

        :raises BlockedError: a chunk may or may not have reached ARM.
        :raises PlanChangedError: the journal knows other content.
        :raises ArmError: ARM refused a chunk, or cannot be reached.
        """
        self._take_up(plan)
        return [self._send_one(chunk, records) for chunk, records in chunks]

    def _take_up(self, plan: Plan) -> None:
        """Note the plan.

        Where an earlier one put other records into a chunk, that chunk must not be open: some of them may stand in any
        chunk of the new plan, and would be sent while they are in work or unknown.
        """
        new = PlanEntry(plan.sha256, len(plan.chunks), self.generation)
        old = self.journal.read_plan()
        if old is not None and old.generation == self.generation and old.sha256 != plan.sha256:
            raise PlanChangedError(_changed("the records"))
        for index in range(old.chunks if old is not None and old.sha256 != plan.sha256 else 0):
            entry = self.journal.read(index)
            step = next_step(entry, self.operation.replay, self.generation, resend_unknown=self.resend_unknown)
            if entry is None or (step is NextStep.SEND and not may_be_booked(entry, self.operation.replay)):
                continue
            if index < len(plan.chunks) and entry.sha256 == plan.chunks[index].sha256:
                continue  # the same records: decided when it is their turn
            if not (entry.batch_uuid and self._leaves_room(step, self.look(entry.batch_uuid))):
                raise PlanChangedError(_changed("the records"))
        if old != new:
            self.journal.write_plan(new)

    def _send_one(self, chunk: ChunkPlan, records: bytes) -> str:
        entry = self.journal.read(chunk.index)
        step = next_step(entry, self.operation.replay, self.generation, resend_unknown=self.resend_unknown)
        changed = entry is not None and entry.sha256 != chunk.sha256
        if entry is None or (step is NextStep.SEND and not (changed and may_be_booked(entry, self.operation.replay))):
            return self._submit(chunk, records)
        if step in (NextStep.SEND, NextStep.FOLLOW, NextStep.BLOCK) and changed:
            raise PlanChangedError(_changed(_rows(chunk)))
        if step is NextStep.BLOCK or not entry.batch_uuid:
            raise BlockedError(_blocked(chunk, entry))
        if step is NextStep.FOLLOW:
            log.info("Chunk %d: already with ARM as batch %s, not sent again", chunk.index + 1, entry.batch_uuid)
            return entry.batch_uuid
        state = self.look(entry.batch_uuid)
        if self._leaves_room(step, state):
            log.info(
                "Chunk %d: the task was cleared and batch %s is done with; sent anew", chunk.index + 1, entry.batch_uuid
            )
            return self._submit(chunk, records)
        if changed:
            raise PlanChangedError(_changed(_rows(chunk)))
        why = "ARM has taken it, and a repeat would book twice" if state.finished else "it is still in work"
        log.info("Chunk %d: the task was cleared, but batch %s is followed: %s", chunk.index + 1, entry.batch_uuid, why)
        self.journal.write(entry.to(ChunkState.ACCEPTED, generation=self.generation))
        return entry.batch_uuid

    @staticmethod
    def _leaves_room(step: NextStep, state: BatchState) -> bool:
        """Whether a cleared task may send in the place of a batch: it is finished, and a repeat books nothing twice."""
        if step is NextStep.SEND_IF_FINISHED:
            return state.finished
        return step is NextStep.SEND_IF_UNTAKEN and state is BatchState.REJECTED

    def _submit(self, chunk: ChunkPlan, records: bytes) -> str:
        entry = Entry(chunk.index, chunk.sha256, ChunkState.SENDING, self.generation)
        self.journal.write(entry)
        try:
            batch_uuid = self.submit(records)
        except ArmError as error:
            state = state_after(error)
            after = entry.to(state, reason=str(error))
            self.journal.write(after)
            step = next_step(after, self.operation.replay, self.generation, resend_unknown=self.resend_unknown)
            if step is NextStep.BLOCK:
                raise BlockedError(_blocked(chunk, after)) from None
            if state is ChunkState.UNKNOWN and self.operation.replay is not Replay.SAFE:
                msg = f'{error}. The next try sends it again, as on_unknown_outcome="resend" says'
                raise SentAgainError(msg, phase=error.phase) from None
            raise
        # First the log: ARM lists no batches, so a batchUuid that the journal cannot keep would be lost.
        log.info("Chunk %d: rows %d to %d are batch %s", chunk.index + 1, chunk.first_row, chunk.last_row, batch_uuid)
        self.journal.write(entry.to(ChunkState.ACCEPTED, batch_uuid=batch_uuid))
        return batch_uuid


def state_after(error: ArmError) -> ChunkState:
    """Say what is known of a chunk whose sending ended in *error*. What is not proved to be unsent is unknown."""
    if isinstance(error, ArmUnknownOutcomeError | ArmUnreadableAnswerError):
        return ChunkState.UNKNOWN
    if error.phase is Phase.NOT_SENT or error.phase is None or error.status_code == _TOO_MANY:
        return ChunkState.PLANNED
    if error.phase is Phase.ANSWERED and error.permanent:
        return ChunkState.REFUSED
    return ChunkState.UNKNOWN


def _rows(chunk: ChunkPlan) -> str:
    return f"rows {chunk.first_row} to {chunk.last_row}"


def _changed(what: str) -> str:
    return (
        f"{what} differ from what this task has already planned or sent: nothing more is sent. "
        "Restore the source, or trigger a new run for the new content"
    )


def _blocked(chunk: ChunkPlan, entry: Entry) -> str:
    why = entry.reason or "the task ended while it was being sent"
    return (
        f"chunk {chunk.index + 1} ({_rows(chunk)}) may or may not have reached ARM ({why}). It is not sent again. "
        "Look in ARM whether its records are there; if they are not, "
        'on_unknown_outcome="resend" sends it'
    )
