"""Send the planned chunks, several at a time if wished, each step journalled before it is taken."""

from __future__ import annotations

import logging
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.batch_state import BatchState
from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.submission.errors import OutcomePendingError, PlanChangedError, ResolutionRequiredError
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, Journal, NextStep, PlanEntry
from airflow_provider_arm.submission.sending.transitions import ChunkTransitions
from airflow_provider_arm.submission.sending.unknown_outcome import MAX_NAMED, UnresolvedChunk, format_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.planning.plan import ChunkPlan, SubmissionPlan
    from airflow_provider_arm.submission.sending.lookup import LookupResult

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SentChunk:
    """A chunk that is with ARM.

    :param batch_uuid: ``None`` where the answer that held it is lost and the chunk was found by its records.
    :param missing: of a chunk that was found: the places, from 1, of the records that ARM does not have.
    """

    index: int
    records: int
    batch_uuid: str | None
    missing: tuple[int, ...] = ()


class _Flight:
    """Requests that are on their way: handed over in order, landed in order, never more than a few."""

    def __init__(self, submit: Callable[[bytes], str], size: int) -> None:
        self._submit = submit
        self._size = size
        # One at a time needs no thread: a stack trace, a signal, a debugger show the whole of it.
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="arm-submit") if size > 1 else None
        self._open: deque[tuple[ChunkPlan, ChunkEntry, bytes, Future[str]]] = deque()

    @property
    def is_full(self) -> bool:
        return len(self._open) >= self._size

    def __len__(self) -> int:
        return len(self._open)

    def start(self, chunk: ChunkPlan, line: ChunkEntry, records: bytes) -> None:
        if self._pool is not None:
            future = self._pool.submit(self._submit, records)
        else:
            future = Future()
            try:
                future.set_result(self._submit(records))
            except ArmError as error:
                future.set_exception(error)
        self._open.append((chunk, line, records, future))

    def land(self) -> tuple[ChunkPlan, ChunkEntry, bytes, Future[str]]:
        return self._open.popleft()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=False)


@dataclass(frozen=True, slots=True)
class Sender:
    """How chunks reach ARM, and by which rules.

    :param submit: sends a JSON list of records, gives the batchUuid; raises :class:`ArmError`. Called from several
        threads where *max_in_flight* is more than 1.
    :param poll: what a batch of an earlier wish is; raises :class:`ArmError`.
    :param look_up: looks for records in ARM by their natural key; ``None`` where ARM has no way to. Raises
        :class:`ArmError`.
    :param key: wire name of the natural key.
    :param max_in_flight: how many requests may be on their way at once.
    :param resend_unknown: see ``ChunkTransitions``, as *assume_absent_after* and *now*.
    """

    operation: Operation
    journal: Journal
    clear_count: int
    submit: Callable[[bytes], str]
    poll: Callable[[str], BatchState]
    resend_unknown: bool = False
    look_up: Callable[[list[dict[str, Any]]], LookupResult] | None = None
    key: str | None = None
    max_in_flight: int = 1
    assume_absent_after: float | None = None
    now: Callable[[], float] = time.time

    def send_all(self, plan: SubmissionPlan, chunks: Iterable[tuple[ChunkPlan, bytes]]) -> list[SentChunk]:
        """Bring every chunk to ARM, or find that it is there; gives them in order.

        A chunk of which nobody knows since an earlier try stops only itself: the others are sent, then it is named. One
        that is lost now stops those that were not sent yet: whatever lost it would lose them too.

        :raises ResolutionRequiredError: a chunk may or may not have reached ARM, and only a person can tell.
        :raises OutcomePendingError: a chunk may or may not have reached ARM, and a later look may tell.
        :raises PlanChangedError: the journal knows other content.
        :raises ArmError: ARM refused a chunk, or cannot be reached.
        """
        self._take_up(plan)
        sent: dict[int, SentChunk] = {}
        unresolved_chunks: list[UnresolvedChunk] = []
        with self._flight(sent) as flight:
            for chunk, records in chunks:
                known = self._find_out(chunk, records)
                if isinstance(known, UnresolvedChunk):
                    log.error("%s", known.error())
                    unresolved_chunks.append(known)
                elif known is not None:
                    sent[chunk.index] = known
                else:
                    if flight.is_full:
                        self._land(flight, sent)
                    line = self._steps.begin(self.journal.read(chunk.index), chunk.index, chunk.sha256)
                    flight.start(chunk, line, records)
                    if self.max_in_flight == 1:
                        self._land(flight, sent)
        if unresolved_chunks:
            raise _all_of(unresolved_chunks)
        return [sent[index] for index in sorted(sent)]

    @property
    def _steps(self) -> ChunkTransitions:
        return ChunkTransitions(
            self.operation, self.journal, self.clear_count, self.resend_unknown, self.assume_absent_after, self.now
        )

    @contextmanager
    def _flight(self, sent: dict[int, SentChunk]) -> Iterator[_Flight]:
        """Give the requests on their way; however it ends, what they bring is awaited and noted."""
        flight = _Flight(self.submit, self.max_in_flight)
        try:
            yield flight
            while flight:
                self._land(flight, sent)
        except BaseException:
            while flight:
                try:
                    self._land(flight, sent)
                except Exception as error:  # noqa: BLE001 - the first failure is the one that is raised
                    log.error("%s", error)  # noqa: TRY400
            raise
        finally:
            flight.close()

    def _take_up(self, plan: SubmissionPlan) -> None:
        """Note the plan.

        Where an earlier one put other records into a chunk, that chunk must not be open: some of them may stand in any
        chunk of the new plan, and would be sent while they are in work or unknown.
        """
        new = PlanEntry(plan.sha256, len(plan.chunks), self.clear_count)
        old = self.journal.read_plan()
        if old is not None and old.clear_count == self.clear_count and old.sha256 != plan.sha256:
            raise PlanChangedError(_changed("the records"))
        for index in range(old.chunks if old is not None and old.sha256 != plan.sha256 else 0):
            entry = self.journal.read(index)
            step = self._steps.next(entry)
            if entry is None or step is NextStep.SEND:
                continue
            if index < len(plan.chunks) and entry.sha256 == plan.chunks[index].sha256:
                continue  # the same records: decided when it is their turn
            if not (entry.batch_uuid and _leaves_room(step, self.poll(entry.batch_uuid))):
                raise PlanChangedError(_changed("the records"))
        if old != new:
            self.journal.write_plan(new)

    def _find_out(self, chunk: ChunkPlan, records: bytes) -> SentChunk | UnresolvedChunk | None:
        """Find out where a chunk stands; ``None`` if it is to be sent."""
        entry = self.journal.read(chunk.index)
        step = self._steps.next(entry)
        if entry is None or step is NextStep.SEND:
            return None
        changed = entry.sha256 != chunk.sha256
        if changed and step in (NextStep.FOLLOW, NextStep.RECONCILE):
            raise PlanChangedError(_changed(_rows(chunk)))
        if step is NextStep.RECONCILE:
            return self._reconcile(chunk, entry, records)
        if entry.state is ChunkState.RECOVERED:
            line = self._steps.note_missing(entry, self._looker(records))
            log.info("%s: already with ARM, its batchUuid lost; not sent again", _name(chunk))
            return _found(chunk, line)
        if not entry.batch_uuid:
            return UnresolvedChunk(entry.to(entry.state, reason="its line has no batchUuid"), _name(chunk))
        if step is NextStep.FOLLOW:
            log.info("%s: already with ARM as batch %s, not sent again", _name(chunk), entry.batch_uuid)
            return SentChunk(chunk.index, chunk.records, entry.batch_uuid)
        return self._after_a_clear(chunk, entry, step, changed=changed)

    def _after_a_clear(self, chunk: ChunkPlan, entry: ChunkEntry, step: NextStep, *, changed: bool) -> SentChunk | None:
        uuid = str(entry.batch_uuid)
        state = self.poll(uuid)
        if _leaves_room(step, state):
            log.info("%s: the task was cleared and batch %s is done with; sent anew", _name(chunk), uuid)
            return None
        if changed:
            raise PlanChangedError(_changed(_rows(chunk)))
        why = "ARM has taken it, and a repeat would book twice" if state.finished else "it is still in work"
        log.info("%s: the task was cleared, but batch %s is followed: %s", _name(chunk), uuid, why)
        self.journal.write(entry.to(ChunkState.ACCEPTED, clear_count=self.clear_count))
        return SentChunk(chunk.index, chunk.records, uuid)

    def _reconcile(self, chunk: ChunkPlan, line: ChunkEntry, records: bytes) -> SentChunk | UnresolvedChunk | None:
        unresolved = self._steps.reconcile(line, self._looker(records), _name(chunk), self._keys(records))
        if unresolved.line.state is ChunkState.RECOVERED:
            log.warning(
                "%s: ARM has %d of its %d records, so it was taken; its batchUuid is lost. Not sent again",
                _name(chunk),
                chunk.records - len(unresolved.line.missing or ()),
                chunk.records,
            )
            return _found(chunk, unresolved.line)
        if self._steps.may_send_again(unresolved):
            log.warning("%s: ARM has none of its records; sent again, as the author has chosen", _name(chunk))
            return None
        return unresolved

    def _land(self, flight: _Flight, sent: dict[int, SentChunk]) -> None:
        """Take what the oldest request on its way has brought, and note it."""
        chunk, line, records, future = flight.land()
        try:
            batch_uuid = future.result()
        except ArmError as error:
            after = self._steps.failed(line, error)
            unresolved = UnresolvedChunk(after, _name(chunk))
            if self._steps.next(after) is NextStep.RECONCILE:
                unresolved = self._steps.reconcile(after, self._looker(records), _name(chunk), self._keys(records))
                if unresolved.line.state is ChunkState.RECOVERED:
                    log.warning("%s: %s; ARM has its records all the same, not sent again", _name(chunk), error)
                    sent[chunk.index] = _found(chunk, unresolved.line)
                    return
            self._steps.raise_failed(unresolved.line, error, unresolved)
        else:
            # First the log: ARM lists no batches, so a batchUuid that the journal cannot keep would be lost.
            log.info("%s is batch %s", _name(chunk), batch_uuid)
            self._steps.taken(line, batch_uuid=batch_uuid)
            sent[chunk.index] = SentChunk(chunk.index, chunk.records, batch_uuid)

    def _looker(self, records: bytes) -> Callable[[], LookupResult] | None:
        look_up = self.look_up
        return None if look_up is None else lambda: look_up(money.decode(records))

    def _keys(self, records: bytes) -> str:
        if self.key is None:
            return ""
        return format_keys(self.key, [str(record.get(self.key)) for record in money.decode(records)])


def _leaves_room(step: NextStep, state: BatchState) -> bool:
    """Whether a cleared task may send in the place of a batch: it is finished, and a repeat books nothing twice."""
    if step is NextStep.SEND_IF_FINISHED:
        return state.finished
    return step is NextStep.SEND_IF_UNTAKEN and state is BatchState.REJECTED


def _found(chunk: ChunkPlan, line: ChunkEntry) -> SentChunk:
    return SentChunk(chunk.index, chunk.records, None, line.missing or ())


def _all_of(unresolved_chunks: list[UnresolvedChunk]) -> ResolutionRequiredError | OutcomePendingError:
    """Make one error of all: a later try can help only if it can help each."""
    errors = [unresolved.error() for unresolved in unresolved_chunks]
    more = f"; and {len(errors) - MAX_NAMED} more chunks" if len(errors) > MAX_NAMED else ""
    message = "; ".join(map(str, errors[:MAX_NAMED])) + more
    blocked = any(isinstance(error, ResolutionRequiredError) for error in errors)
    shown = [unresolved.as_json() for unresolved in unresolved_chunks]
    return ResolutionRequiredError(message, shown) if blocked else OutcomePendingError(message, shown)


def _name(chunk: ChunkPlan) -> str:
    return f"chunk {chunk.index + 1} ({_rows(chunk)})"


def _rows(chunk: ChunkPlan) -> str:
    return f"rows {chunk.first_row} to {chunk.last_row}"


def _changed(what: str) -> str:
    return (
        f"{what} differ from what this task has already planned or sent: nothing more is sent. "
        "Restore the source, or trigger a new run for the new content"
    )
