"""Send the chunks of a plan, optionally several at a time. Each step is journalled before it is taken."""

from __future__ import annotations

import logging
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.batch_state import BatchState
from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.submission.errors import OutcomePendingError, PlanChangedError, ResolutionRequiredError
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, Journal, NextStep, PlanEntry
from airflow_provider_arm.submission.sending.transitions import ChunkTransitions
from airflow_provider_arm.submission.sending.unknown_outcome import MAX_NAMED, UnresolvedChunk, format_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.planning.plan import ChunkPlan, SubmissionPlan
    from airflow_provider_arm.submission.sending.lookup import LookupResult

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SentChunk:
    """Chunk that ARM has accepted.

    :param batch_uuid: ``None`` for a recovered chunk: the response with its batchUuid is lost.
    :param missing: of a recovered chunk: positions, from 1, of the records that ARM does not have.
    """

    index: int
    records: int
    batch_uuid: str | None
    missing: tuple[int, ...] = ()


class _RequestsInFlight:
    """Requests that have been started and not completed, oldest first, at most *size* of them."""

    def __init__(self, submit: Callable[[bytes], str], size: int) -> None:
        self._submit = submit
        self._size = size
        # One request at a time needs no thread: stack traces, signals and debuggers then show the whole of it.
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="arm-submit") if size > 1 else None
        self._requests: deque[tuple[ChunkPlan, ChunkEntry, bytes, Future[str]]] = deque()

    @property
    def is_full(self) -> bool:
        return len(self._requests) >= self._size

    def __len__(self) -> int:
        return len(self._requests)

    def start(self, chunk: ChunkPlan, entry: ChunkEntry, records: bytes) -> None:
        if self._pool is not None:
            future = self._pool.submit(self._submit, records)
        else:
            future = Future()
            try:
                future.set_result(self._submit(records))
            except ArmError as error:
                future.set_exception(error)
        self._requests.append((chunk, entry, records, future))

    def pop_oldest(self) -> tuple[ChunkPlan, ChunkEntry, bytes, Future[str]]:
        return self._requests.popleft()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=False)


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends the chunks of a plan to ARM.

    :param submit: sends a JSON list of records and returns the batchUuid; raises :class:`ArmError`. Called from several
        threads if *max_in_flight* is more than 1.
    :param poll: returns the state of a batch that was sent before a clear, from its batchUuid and, where it is known,
        the number of its records; raises :class:`ArmError`.
    :param look_up: looks up records in ARM by their natural key; ``None`` where ARM has no operation for that. Raises
        :class:`ArmError`.
    :param key: wire name of the natural key.
    :param max_in_flight: how many requests may be in flight at once.
    :param profile: entries of the readings profile that differ from the defaults; they must not change between tries.
    :param resend_unknown: see ``ChunkTransitions``, as *assume_absent_after* and *now*.
    """

    operation: Operation
    journal: Journal
    clear_count: int
    submit: Callable[[bytes], str]
    poll: Callable[[str, int | None], BatchState]
    resend_unknown: bool = False
    look_up: Callable[[list[dict[str, Any]]], LookupResult] | None = None
    key: str | None = None
    max_in_flight: int = 1
    assume_absent_after: float | None = None
    profile: Mapping[str, Any] = field(default_factory=dict)
    now: Callable[[], float] = time.time

    def send_all(self, plan: SubmissionPlan, chunks: Iterable[tuple[ChunkPlan, bytes]]) -> list[SentChunk]:
        """Send every chunk that ARM does not have yet. Return all chunks in order.

        A chunk whose outcome is unknown since an earlier try stops only itself: the others are sent, then it is
        reported. A chunk whose response is lost now stops those that are not sent yet: the cause would affect them too.

        :raises ResolutionRequiredError: a chunk may or may not have reached ARM; it needs a manual resolution.
        :raises OutcomePendingError: a chunk may or may not have reached ARM; a later lookup may decide.
        :raises PlanChangedError: the journal has other content.
        :raises ArmError: ARM refused a chunk, or is not available.
        """
        self._record_plan(plan)
        sent: dict[int, SentChunk] = {}
        unresolved_chunks: list[UnresolvedChunk] = []
        with self._requests_in_flight(sent) as in_flight:
            for chunk, records in chunks:
                existing = self._find_existing(chunk, records)
                if isinstance(existing, UnresolvedChunk):
                    log.error("%s", existing.error())
                    unresolved_chunks.append(existing)
                elif existing is not None:
                    sent[chunk.index] = existing
                else:
                    if in_flight.is_full:
                        self._complete_oldest(in_flight, sent)
                    previous = self.journal.read(chunk.index)
                    entry = self._transitions.record_sending(previous, chunk.index, chunk.sha256)
                    in_flight.start(chunk, entry, records)
                    if self.max_in_flight == 1:
                        self._complete_oldest(in_flight, sent)
        if unresolved_chunks:
            raise _combine_errors(unresolved_chunks)
        return [sent[index] for index in sorted(sent)]

    @property
    def _transitions(self) -> ChunkTransitions:
        return ChunkTransitions(
            self.operation, self.journal, self.clear_count, self.resend_unknown, self.assume_absent_after, self.now
        )

    @contextmanager
    def _requests_in_flight(self, sent: dict[int, SentChunk]) -> Iterator[_RequestsInFlight]:
        """Yield the requests in flight. When the block ends, however it ends, complete and journal all of them."""
        in_flight = _RequestsInFlight(self.submit, self.max_in_flight)
        try:
            yield in_flight
            while in_flight:
                self._complete_oldest(in_flight, sent)
        except BaseException:
            while in_flight:
                try:
                    self._complete_oldest(in_flight, sent)
                except Exception as error:  # noqa: BLE001 - the first failure is the one that is raised
                    log.error("%s", error)  # noqa: TRY400
            raise
        finally:
            in_flight.close()

    def _record_plan(self, plan: SubmissionPlan) -> None:
        """Write the plan to the journal.

        If an earlier plan had other records in a chunk, that chunk must be finished. Otherwise some of its records,
        which may be in any chunk of the new plan, would be sent while they are processing or their outcome is unknown.

        :raises PlanChangedError: such a chunk is not finished; or the plan differs and the task was not cleared.
        """
        new = PlanEntry(plan.sha256, len(plan.chunks), self.clear_count, dict(self.profile))
        old = self.journal.read_plan()
        new.check_profile(old)
        if old is not None and old.clear_count == self.clear_count and old.sha256 != plan.sha256:
            raise PlanChangedError(_plan_changed_message("the records"))
        for index in range(old.chunks if old is not None and old.sha256 != plan.sha256 else 0):
            entry = self.journal.read(index)
            step = self._transitions.next_step(entry)
            if entry is None or step is NextStep.SEND:
                continue
            if index < len(plan.chunks) and entry.sha256 == plan.chunks[index].sha256:
                continue  # the same records: decided when this chunk is sent
            if not (entry.batch_uuid and _may_replace_batch(step, self.poll(entry.batch_uuid, None))):
                raise PlanChangedError(_plan_changed_message("the records"))
        if old != new:
            self.journal.write_plan(new)

    def _find_existing(self, chunk: ChunkPlan, records: bytes) -> SentChunk | UnresolvedChunk | None:
        """Return the chunk as far as an earlier try has sent it; ``None`` if it is to be sent."""
        entry = self.journal.read(chunk.index)
        step = self._transitions.next_step(entry)
        if entry is None or step is NextStep.SEND:
            return None
        changed = entry.sha256 != chunk.sha256
        if changed and step in (NextStep.FOLLOW, NextStep.LOOK_UP):
            raise PlanChangedError(_plan_changed_message(_row_range(chunk)))
        if step is NextStep.LOOK_UP:
            return self._look_up_chunk(chunk, entry, records)
        if entry.state is ChunkState.RECOVERED:
            entry = self._transitions.record_missing(entry, self._lookup_of(records))
            log.info("%s: ARM has already accepted it, its batchUuid is lost; not sent again", _chunk_name(chunk))
            return _recovered(chunk, entry)
        if not entry.batch_uuid:
            incomplete = entry.with_state(entry.state, reason="its journal entry has no batchUuid")
            return UnresolvedChunk(incomplete, _chunk_name(chunk))
        if step is NextStep.FOLLOW:
            log.info(
                "%s: ARM has already accepted it as batch %s; not sent again", _chunk_name(chunk), entry.batch_uuid
            )
            return SentChunk(chunk.index, chunk.records, entry.batch_uuid)
        return self._decide_after_clear(chunk, entry, step, changed=changed)

    def _decide_after_clear(
        self, chunk: ChunkPlan, entry: ChunkEntry, step: NextStep, *, changed: bool
    ) -> SentChunk | None:
        """Return the chunk if a cleared task follows its old batch; ``None`` if it is to be sent again."""
        uuid = str(entry.batch_uuid)
        state = self.poll(uuid, None if changed else chunk.records)
        if _may_replace_batch(step, state):
            log.info("%s: the task was cleared and batch %s is finished; sent again", _chunk_name(chunk), uuid)
            return None
        if changed:
            raise PlanChangedError(_plan_changed_message(_row_range(chunk)))
        reason = "ARM has accepted it, and a repeat would book twice" if state.finished else "it is still processing"
        log.info("%s: the task was cleared, but batch %s is followed: %s", _chunk_name(chunk), uuid, reason)
        self.journal.write(entry.with_state(ChunkState.ACCEPTED, clear_count=self.clear_count))
        return SentChunk(chunk.index, chunk.records, uuid)

    def _look_up_chunk(self, chunk: ChunkPlan, entry: ChunkEntry, records: bytes) -> SentChunk | UnresolvedChunk | None:
        """Run the lookup of a chunk with an unknown outcome. Return ``None`` if it is to be sent again."""
        unresolved = self._transitions.look_up_chunk(
            entry, self._lookup_of(records), _chunk_name(chunk), self._format_keys(records)
        )
        if unresolved.entry.state is ChunkState.RECOVERED:
            log.warning(
                "%s: ARM has %d of its %d records, so it was accepted; its batchUuid is lost. Not sent again",
                _chunk_name(chunk),
                chunk.records - len(unresolved.entry.missing or ()),
                chunk.records,
            )
            return _recovered(chunk, unresolved.entry)
        if self._transitions.may_resend(unresolved):
            log.warning(
                "%s: not found in ARM; sent again, because of assume_absent_after or on_unknown_outcome",
                _chunk_name(chunk),
            )
            return None
        return unresolved

    def _complete_oldest(self, in_flight: _RequestsInFlight, sent: dict[int, SentChunk]) -> None:
        """Wait for the oldest request in flight, and journal its outcome."""
        chunk, entry, records, future = in_flight.pop_oldest()
        try:
            batch_uuid = future.result()
        except ArmError as error:
            failed = self._transitions.record_failure(entry, error)
            unresolved = UnresolvedChunk(failed, _chunk_name(chunk))
            if self._transitions.next_step(failed) is NextStep.LOOK_UP:
                unresolved = self._transitions.look_up_chunk(
                    failed, self._lookup_of(records), _chunk_name(chunk), self._format_keys(records)
                )
                if unresolved.entry.state is ChunkState.RECOVERED:
                    log.warning("%s: %s; ARM has its records nevertheless, not sent again", _chunk_name(chunk), error)
                    sent[chunk.index] = _recovered(chunk, unresolved.entry)
                    return
            self._transitions.raise_failure(unresolved.entry, error, unresolved)
        else:
            # Logged first: ARM does not list batches, so a batchUuid that cannot be journalled would be lost.
            log.info("%s is batch %s", _chunk_name(chunk), batch_uuid)
            self._transitions.record_accepted(entry, batch_uuid=batch_uuid)
            sent[chunk.index] = SentChunk(chunk.index, chunk.records, batch_uuid)

    def _lookup_of(self, records: bytes) -> Callable[[], LookupResult] | None:
        look_up = self.look_up
        return None if look_up is None else lambda: look_up(money.decode(records))

    def _format_keys(self, records: bytes) -> str:
        if self.key is None:
            return ""
        return format_keys(self.key, [str(record.get(self.key)) for record in money.decode(records)])


def _may_replace_batch(step: NextStep, state: BatchState) -> bool:
    """Return whether a cleared task may send instead of a batch: it is finished, and a repeat books nothing twice."""
    if step is NextStep.SEND_IF_FINISHED:
        return state.finished
    return step is NextStep.SEND_IF_REJECTED and state is BatchState.REJECTED


def _recovered(chunk: ChunkPlan, entry: ChunkEntry) -> SentChunk:
    return SentChunk(chunk.index, chunk.records, None, entry.missing or ())


def _combine_errors(unresolved_chunks: list[UnresolvedChunk]) -> ResolutionRequiredError | OutcomePendingError:
    """Build one error of all: retryable only if a later try may decide every chunk."""
    errors = [unresolved.error() for unresolved in unresolved_chunks]
    more = f"; and {len(errors) - MAX_NAMED} more chunks" if len(errors) > MAX_NAMED else ""
    message = "; ".join(map(str, errors[:MAX_NAMED])) + more
    is_permanent = any(isinstance(error, ResolutionRequiredError) for error in errors)
    details = [unresolved.as_json() for unresolved in unresolved_chunks]
    return ResolutionRequiredError(message, details) if is_permanent else OutcomePendingError(message, details)


def _chunk_name(chunk: ChunkPlan) -> str:
    return f"chunk {chunk.index + 1} ({_row_range(chunk)})"


def _row_range(chunk: ChunkPlan) -> str:
    return f"rows {chunk.first_row} to {chunk.last_row}"


def _plan_changed_message(what: str) -> str:
    return (
        f"{what} differ from what this task has already planned or sent: nothing more is sent. "
        "Restore the source, or trigger a new run for the new content"
    )
