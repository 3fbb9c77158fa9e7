"""Single write: one write that ARM answers at once, journalled like a chunk with the same states and decisions.

The differences to a batch: there is nothing to wait for, so the entry stores ARM's response where a chunk's entry has a
batchUuid, and what ARM has accepted is finished.
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

#: The write is the only chunk of its plan.
_INDEX = 0


def fingerprint(operation: Operation, path: Mapping[str, Any], record: Any) -> str:
    """Return the sha256 of a write's content: equal for the same call with the same record.

    :param record: as it is sent.
    :raises InvalidRecordError: it holds a float or another value that cannot be sent exactly.
    """
    try:
        content = money.encode([operation.name, dict(path), record])
    except money.InexactNumberError as error:
        raise InvalidRecordError([FieldIssue("", str(error))]) from None
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class SingleWrite:
    """Sends one write to ARM.

    :param name: of the write, for log and errors (``document 88776655``); no personal data.
    :param sha256: of its content (:func:`fingerprint`).
    :param send: sends it and returns ARM's response; raises :class:`ArmError`. The response is stored in the journal,
        so it must be small, of plain JSON values and without personal data.
    :param look_up: looks it up in ARM by its natural key; ``None`` where ARM has no operation for that. Raises
        :class:`ArmError`.
    :param profile: entries of the readings profile that differ from the defaults; they must not change between tries.
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
    profile: Mapping[str, Any] = field(default_factory=dict)
    now: Callable[[], float] = time.time

    def run(self) -> dict[str, Any] | None:
        """Send the write, unless ARM has it already. Return ARM's response, or ``None`` if that is lost.

        :raises ResolutionRequiredError: it may or may not have reached ARM; it needs a manual resolution.
        :raises OutcomePendingError: it may or may not have reached ARM; a later lookup may decide.
        :raises PlanChangedError: other content of this task has reached ARM, or may have.
        :raises ArmError: ARM refused it, or is not available.
        """
        PlanEntry(self.sha256, 1, self.clear_count, dict(self.profile)).check_profile(self.journal.read_plan())
        entry = self.journal.read(_INDEX)
        step = self._transitions.next_step(entry)
        if entry is None or step is NextStep.SEND:
            return self._send(entry)
        if step is NextStep.SEND_IF_FINISHED:
            log.info("%s: the task was cleared and ARM has accepted it before; sent again", self.name)
            return self._send(entry)
        if entry.sha256 != self.sha256:
            raise PlanChangedError(self._changed_message(entry))
        if step is NextStep.LOOK_UP:
            unresolved = self._transitions.look_up_chunk(entry, self.look_up, self.name)
            if self._transitions.may_resend(unresolved):
                log.warning(
                    "%s: not found in ARM; sent again, because of assume_absent_after or on_unknown_outcome", self.name
                )
                return self._send(unresolved.entry)
            if unresolved.entry.state is not ChunkState.RECOVERED:
                raise unresolved.error()
            entry = unresolved.entry
        # Also after a clear: ARM accepts a single write when it answers, and a repeat would book twice.
        log.info("%s: ARM has already accepted it; not sent again", self.name)
        return entry.response

    @property
    def _transitions(self) -> ChunkTransitions:
        return ChunkTransitions(
            self.operation, self.journal, self.clear_count, self.resend_unknown, self.assume_absent_after, self.now
        )

    def _send(self, entry: ChunkEntry | None) -> dict[str, Any] | None:
        plan, earlier = PlanEntry(self.sha256, 1, self.clear_count, dict(self.profile)), self.journal.read_plan()
        if earlier != plan:
            self.journal.write_plan(plan)
        sending = self._transitions.record_sending(entry, _INDEX, self.sha256)
        try:
            response = self.send()
        except ArmError as error:
            self._handle_failure(sending, error)
            return None
        # Logged first: if the journal cannot store the response, the log has it for the manual check.
        log.info("%s: ARM has accepted it (%s)", self.name, response)
        self._transitions.record_accepted(sending, response=response)
        return response

    def _handle_failure(self, entry: ChunkEntry, error: ArmError) -> None:
        """Record the failure and raise what it means, unless a lookup shows that ARM has accepted the write."""
        failed = self._transitions.record_failure(entry, error)
        unresolved = UnresolvedChunk(failed, self.name)
        if self._transitions.next_step(failed) is NextStep.LOOK_UP:
            unresolved = self._transitions.look_up_chunk(failed, self.look_up, self.name)
            if unresolved.entry.state is ChunkState.RECOVERED:
                log.warning("%s: %s; ARM has it nevertheless, not sent again", self.name, error)
                return
        self._transitions.raise_failure(unresolved.entry, error, unresolved)

    def _changed_message(self, entry: ChunkEntry) -> str:
        is_accepted = entry.state in (ChunkState.ACCEPTED, ChunkState.RECOVERED)
        reached = "has reached ARM" if is_accepted else "may or may not have reached ARM"
        return (
            f"{self.name} differs from what this task has sent before, which {reached}: nothing more is sent. "
            "Restore the content, or trigger a new run for the new content"
        )
