"""One write that ARM answers at once, journalled like a chunk: the same states, the same decisions, one line.

What differs from a batch: there is nothing to wait for, so the line keeps ARM's answer where a chunk's keeps its
batchUuid, and what ARM has taken is finished.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmError, FieldIssue, InvalidRecordError
from airflow_provider_arm.submission.errors import PlanChangedError
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, Journal, NextStep, PlanEntry
from airflow_provider_arm.submission.sending.transitions import ChunkTransitions
from airflow_provider_arm.submission.sending.unknown_outcome import UnresolvedChunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.sending.lookup import LookupResult

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

    :param name: names it in log and errors (``document 88776655``); no personal data.
    :param sha256: of its content (:func:`fingerprint`).
    :param send: sends it and gives ARM's answer, small, of plain JSON values and without personal data, because the
        journal keeps it; raises :class:`ArmError`.
    :param look_up: looks for it in ARM by its natural key; ``None`` where ARM has no way to. Raises :class:`ArmError`.
    :param resend_unknown: see ``ChunkTransitions``, as *assume_absent_after* and *now*.
    """

    operation: Operation
    journal: Journal
    clear_count: int
    name: str
    sha256: str
    send: Callable[[], dict[str, Any]] = field(repr=False)
    resend_unknown: bool = False
    look_up: Callable[[], LookupResult] | None = None
    assume_absent_after: float | None = None
    now: Callable[[], float] = time.time

    def run(self) -> dict[str, Any] | None:
        """Bring it to ARM, or find that it is there; gives ARM's answer, ``None`` where that is lost.

        :raises ResolutionRequiredError: it may or may not have reached ARM, and only a person can tell.
        :raises OutcomePendingError: it may or may not have reached ARM, and a later look may tell.
        :raises PlanChangedError: other content of this task has reached ARM, or may have.
        :raises ArmError: ARM refused it, or cannot be reached.
        """
        entry = self.journal.read(_INDEX)
        step = self._steps.next(entry)
        if entry is None or step is NextStep.SEND:
            return self._send(entry)
        if step is NextStep.SEND_IF_FINISHED:
            log.info("%s: the task was cleared and ARM has taken it before; sent anew", self.name)
            return self._send(entry)
        if entry.sha256 != self.sha256:
            raise PlanChangedError(self._changed(entry))
        if step is NextStep.RECONCILE:
            unresolved = self._steps.reconcile(entry, self.look_up, self.name)
            if self._steps.may_send_again(unresolved):
                log.warning("%s: not in ARM; sent again, as the author has chosen", self.name)
                return self._send(unresolved.line)
            if unresolved.line.state is not ChunkState.RECOVERED:
                raise unresolved.error()
            entry = unresolved.line
        # Also after a clear: what ARM answered at once it has taken, and a repeat would book twice.
        log.info("%s: ARM has taken it already, not sent again", self.name)
        return entry.answer

    @property
    def _steps(self) -> ChunkTransitions:
        return ChunkTransitions(
            self.operation, self.journal, self.clear_count, self.resend_unknown, self.assume_absent_after, self.now
        )

    def _send(self, entry: ChunkEntry | None) -> dict[str, Any] | None:
        plan = PlanEntry(self.sha256, 1, self.clear_count)
        if self.journal.read_plan() != plan:
            self.journal.write_plan(plan)
        line = self._steps.begin(entry, _INDEX, self.sha256)
        try:
            answer = self.send()
        except ArmError as error:
            self._failed(line, error)
            return None
        # First the log: should the journal not keep the answer, this is what the person finds who looks.
        log.info("%s: ARM has taken it (%s)", self.name, answer)
        self._steps.taken(line, answer=answer)
        return answer

    def _failed(self, line: ChunkEntry, error: ArmError) -> None:
        """Note the failure and raise what it means, unless ARM has it all the same."""
        after = self._steps.failed(line, error)
        unresolved = UnresolvedChunk(after, self.name)
        if self._steps.next(after) is NextStep.RECONCILE:
            unresolved = self._steps.reconcile(after, self.look_up, self.name)
            if unresolved.line.state is ChunkState.RECOVERED:
                log.warning("%s: %s; ARM has it all the same, not sent again", self.name, error)
                return
        self._steps.raise_failed(unresolved.line, error, unresolved)

    def _changed(self, entry: ChunkEntry) -> str:
        taken = entry.state in (ChunkState.ACCEPTED, ChunkState.RECOVERED)
        reached = "has reached ARM" if taken else "may or may not have reached ARM"
        return (
            f"{self.name} differs from what this task has sent before, which {reached}: nothing more is sent. "
            "Restore the content, or trigger a new run for the new content"
        )
