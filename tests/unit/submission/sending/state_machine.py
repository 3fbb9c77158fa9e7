"""State machine: DAG author, Airflow, manual resolutions, ARM and failures against real sender and file journal."""

from __future__ import annotations

import random
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmError
from airflow_provider_arm.submission.errors import PlanChangedError, UnresolvedChunksError
from airflow_provider_arm.submission.journal import resolution
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, Resolution, Verdict
from airflow_provider_arm.submission.journal.file_entries import FileEntries
from airflow_provider_arm.submission.journal.file_journal import FileJournal, JournalWriter
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sending import send
from airflow_provider_arm.submission.sending.send import Sender, SentChunk
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.fake_arm import SUBMIT_OUTCOMES
from tests.unit.submission.journal.memory_disk import FAILURES, Killed, MemoryPath, Process
from tests.unit.submission.records import DOCUMENTS
from tests.unit.submission.sending.delayed_arm import ASSUME_ABSENT_AFTER, READ_ERRORS, UNRESOLVED, DelayedArm, invoice
from tests.unit.submission.sending.lazy_pool import LazyPool

#: Upper limit of the chunks of any plan here.
MAX_CHUNKS = 6
WRITER = JournalWriter("DAG d, run r, task t", 1, "here", 11)

numbers = st.integers(1, 6)
sources = st.lists(numbers, min_size=1, max_size=5, unique=True)
refusals = st.sets(numbers.map(str), max_size=3)
#: Outcomes of submits that leave the chunk unresolved.
LOST = [name for name, (_, _, state) in SUBMIT_OUTCOMES.items() if state in UNRESOLVED]
#: Outcome of the submit of the chunk that begins with each document; half of them are lost responses.
outcome_lists = st.lists(
    st.none() | st.sampled_from(LOST) | st.sampled_from(list(SUBMIT_OUTCOMES)), min_size=6, max_size=6
)
Outcomes = list[str | None]
#: Exceptions that end a try: the task fails, or its process is killed.
TRY_ERRORS = (ArmError, KeyboardInterrupt, SystemExit, RuntimeError, Killed)


class Submissions(RuleBasedStateMachine):
    """One task with its journal: run, killed, overtaken, retried, cleared, resolved, in any order."""

    def __init__(self) -> None:
        super().__init__()
        # Which of two writers has the greater token, and so continues, must be the same when an example is repeated.
        rng = random.Random(7)
        tokens = mock.patch.object(secrets, "token_hex", lambda size: rng.randbytes(size).hex())
        tokens.start()
        self.teardown = tokens.stop
        self.size = self.in_flight = 1
        #: Whether a request is sent when its response is awaited, and not when it is submitted to the pool.
        self.late = False
        self.source: list[int] = []
        self.new_run()

    def new_run(self) -> None:
        """Start a DAG run with its own journal and its own documents."""
        self.files: dict[str, bytes] = {}
        self.arm = DelayedArm(read_entries=self.read_entries)
        self.clear_count = self.tries = 0
        #: Chunk ids of all sendings so far.
        self.chunk_ids: dict[str, None] = {}
        self.planned = self.source
        #: Whether the last try succeeded or found a changed plan: a later try would hardly do anything else.
        self.is_over = False

    @initialize(source=sources, size=st.integers(1, 3), finishes_in_time=st.booleans())
    def begin(self, source: list[int], size: int, finishes_in_time: bool) -> None:
        """Write the source and the DAG."""
        self.source = self.planned = source
        self.size, self.arm.finishes_in_time = size, finishes_in_time

    @initialize(in_flight=st.integers(1, 3), late=st.booleans())
    def choose_concurrency(self, in_flight: int, late: bool) -> None:
        """Choose max_in_flight, and when requests are sent."""
        self.in_flight, self.late = in_flight, late

    @initialize(refused=refusals, foreign=st.sampled_from([None, None, None, "1", "2"]))
    def prepare_arm(self, refused: set[str], foreign: str | None) -> None:
        """Choose which documents ARM refuses, and which number it already has."""
        self.arm.refused, self.arm.foreign = refused, {foreign} - {None}

    @rule(source=sources, finishes_in_time=st.booleans(), refused=refusals)
    @precondition(lambda self: self.is_over)
    def start_next_run(self, source: list[int], finishes_in_time: bool, refused: set[str]) -> None:
        """Start the next DAG run."""
        self.source = source
        self.new_run()
        self.arm.finishes_in_time, self.arm.refused = finishes_in_time, refused

    # ---- tries

    @rule(outcomes=outcome_lists)
    def run(self, outcomes: Outcomes) -> None:
        """Run the task; its submits have the drawn outcomes."""
        self.attempt(outcomes)

    @rule(outcomes=outcome_lists)
    def retry_after_the_delay(self, outcomes: Outcomes) -> None:
        """Advance the clock; run the task again."""
        self.arm.advance(120)
        self.attempt(outcomes)

    @rule(outcomes=outcome_lists, fail_at=st.integers(0, 14), failure=st.sampled_from(list(FAILURES)))
    def run_on_a_failing_disk(self, outcomes: Outcomes, fail_at: int, failure: str) -> None:
        """Run the task; one write to the journal fails, or the process is killed in it."""
        self.attempt(outcomes, Process(fail_at, failure))

    @rule(
        outcomes=outcome_lists,
        others=outcome_lists,
        operation=st.integers(0, 80),
        fail_at=st.none() | st.integers(0, 9),
    )
    def overtake(self, outcomes: Outcomes, others: Outcomes, operation: int, fail_at: int | None) -> None:
        """Suspend the process before a disk operation, run the next try to its end, then resume the process."""

        def meanwhile() -> None:
            remaining = self.arm.outcomes
            self.attempt(others, Process(fail_at, "killed before"))
            self.arm.outcomes = remaining

        self.attempt(outcomes, Process(meanwhile_at=operation, meanwhile=meanwhile))

    @rule(outcomes=outcome_lists, read_error=st.sampled_from(list(READ_ERRORS)))
    def run_while_reads_fail(self, outcomes: Outcomes, read_error: str) -> None:
        """Run the task; submits may succeed, polls and lookups fail."""
        self.arm.read_error = read_error
        self.attempt(outcomes)
        self.arm.read_error = None

    @rule()
    @precondition(lambda self: self.unresolved_ids())
    def run_without_failures(self) -> None:
        """Run the task without failures, after ARM has finished and all chunks are resolved: it must succeed."""
        self.arm.finish(self.arm.unfinished())
        resolutions = [
            self.true_resolution(entry, with_uuid=True) for entry in self.read_entries() if entry.state in UNRESOLVED
        ]
        result = self.attempt([None] * 6, resolutions=resolutions)
        assert isinstance(result, list | PlanChangedError), f"stuck: {result!r}"

    def attempt(
        self, outcomes: Outcomes, process: Process | None = None, resolutions: list[Resolution] | None = None
    ) -> Any:
        """Run one try, and check how it ends."""
        self.tries += 1
        self.arm.outcomes = {str(number): outcome for number, outcome in enumerate(outcomes, 1) if outcome}
        result = self.execute(process or Process(), resolutions or [])
        self.arm.outcomes = {}
        self.chunk_ids.update(dict.fromkeys(entry.chunk_id for entry in self.read_entries() if entry.chunk_id))
        self.is_over = isinstance(result, list | PlanChangedError)
        if isinstance(result, list):
            self.check_success(result)
        elif isinstance(result, UnresolvedChunksError):
            named = {chunk["chunk_id"] for chunk in result.unresolved_chunks}
            assert named <= self.unresolved_ids(), "stopped for a chunk that is not unresolved"
        assert "parts of it are missing" not in str(result), "an intact journal is reported as damaged"
        return result

    def execute(self, process: Process, resolutions: list[Resolution]) -> Any:
        """Do what the operator does; return its result, or the error that ended it."""
        try:
            journal = self.open_journal(process)
            for each in resolutions:
                resolution.apply_resolution(journal, each)
            with prepare(ListSource(list(map(invoice, self.source))), DOCUMENTS, self.size, "documentNo") as prepared:
                pool = LazyPool(late=self.late, is_dead=lambda: process.is_dead)
                with mock.patch.object(send, "ThreadPoolExecutor", pool):
                    return self.sender(journal).send_all(prepared.plan, prepared.chunks())
        except TRY_ERRORS as error:
            return error

    def open_journal(self, process: Process) -> FileJournal:
        """Open the journal for the next try."""
        writer = replace(WRITER, try_number=self.tries)
        return FileJournal(MemoryPath(self.files, process), writer, now=lambda: self.arm.clock)

    def sender(self, journal: FileJournal) -> Sender:
        """Build the sender of this try."""
        arm = self.arm
        return Sender(
            DOCUMENTS,
            journal,
            self.clear_count,
            arm.submit,
            arm.poll,
            look_up=arm.look_up,
            key="documentNo",
            max_in_flight=self.in_flight,
            assume_absent_after=ASSUME_ABSENT_AFTER if arm.finishes_in_time else None,
            now=lambda: arm.clock,
        )

    def check_success(self, sent: list[SentChunk]) -> None:
        """Check that ARM has every chunk once, as a batch or recovered, without the records that it refused."""
        keys = [str(number) for number in self.source]
        chunks = [tuple(keys[at : at + self.size]) for at in range(0, len(keys), self.size)]
        assert [each.index for each in sent] == list(range(len(chunks)))
        for each, chunk in zip(sent, chunks, strict=True):
            if each.batch_uuid:
                assert self.arm.batches[each.batch_uuid].keys == chunk, "wrong batch"
                continue
            missing = {chunk[position - 1] for position in each.missing}
            visible = [self.arm.visible(batch) for batch in self.arm.batches.values() if batch.keys == chunk]
            effective = [self.arm.effective(batch) for batch in self.arm.batches.values() if batch.keys == chunk]
            assert set(chunk) - missing in map(set, visible), "wrongly recovered"
            assert set(chunk) - missing in map(set, effective), "recovered before ARM was done"

    # ---- ARM

    @rule(seconds=st.sampled_from([1, 50, 120]))
    def advance_clock(self, seconds: float) -> None:
        """Advance the clock."""
        self.arm.advance(seconds)

    @rule(data=st.data())
    @precondition(lambda self: self.arm.unfinished())
    def finish_batch(self, data: st.DataObject) -> None:
        """Let ARM process a batch."""
        self.arm.finish([data.draw(st.sampled_from(self.arm.unfinished()))])

    @rule()
    @precondition(lambda self: self.arm.unfinished())
    def start_batches(self) -> None:
        """Let ARM process half of each batch."""
        for batch in self.arm.unfinished():
            batch.started = True

    @rule()
    @precondition(lambda self: self.arm.unfinished())
    def finish_all_batches(self) -> None:
        """Let ARM process all batches."""
        self.arm.finish(self.arm.unfinished())

    @rule(data=st.data())
    @precondition(lambda self: any(not batch.started for batch in self.arm.unfinished()))
    def reject_batch(self, data: st.DataObject) -> None:
        """Let ARM reject a whole batch of which no document was visible."""
        batch = data.draw(st.sampled_from([batch for batch in self.arm.unfinished() if not batch.started]))
        batch.finished = batch.rejected = True

    # ---- users

    @rule()
    def clear(self) -> None:
        """Clear the task."""
        self.clear_count += 1

    @rule(source=sources, clear=st.booleans())
    def change_the_source(self, source: list[int], clear: bool) -> None:
        """Replace the source, and clear the task or not."""
        self.source = source
        self.clear_count += clear

    @rule()
    @precondition(lambda self: self.source != self.planned)
    def restore_the_source(self) -> None:
        """Restore the first source."""
        self.source = self.planned

    @rule(size=st.integers(1, 3))
    def change_the_chunk_size(self, size: int) -> None:
        """Deploy another chunk_size."""
        self.size = size

    @rule(in_flight=st.integers(1, 3), late=st.booleans())
    def change_concurrency(self, in_flight: int, late: bool) -> None:
        """Deploy another max_in_flight, and change when requests are sent."""
        self.in_flight, self.late = in_flight, late

    @rule(data=st.data(), outcomes=outcome_lists, with_uuid=st.booleans())
    @precondition(lambda self: any(entry.state in UNRESOLVED for entry in self.read_entries()))
    def resolve_chunk(self, data: st.DataObject, outcomes: Outcomes, with_uuid: bool) -> None:
        """Run the task with a true resolution of an unresolved chunk."""
        unresolved = [entry for entry in self.read_entries() if entry.state in UNRESOLVED]
        entry = data.draw(st.sampled_from(unresolved))
        self.attempt(outcomes, resolutions=[self.true_resolution(entry, with_uuid=with_uuid)])

    def true_resolution(self, entry: ChunkEntry, *, with_uuid: bool) -> Resolution:
        """Build the true resolution of a sending. It may lack the batchUuid only when ARM has finished the batch."""
        batch = self.arm.batch_of(entry)
        verdict = Verdict.ABSENT if batch is None else Verdict.ACCEPTED
        uuid = batch.uuid if batch is not None and (with_uuid or not batch.finished) else None
        return Resolution(str(entry.chunk_id), verdict, "Controller", "checked in ARM", uuid)

    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    @precondition(lambda self: self.chunk_ids.keys() - self.unresolved_ids())
    def resolve_stale_chunk_id(self, data: st.DataObject, verdict: Verdict) -> None:
        """Apply a resolution of a sending that is not unresolved: it must not change any state."""
        stale = [chunk_id for chunk_id in self.chunk_ids if chunk_id not in self.unresolved_ids()]
        chunk_id = data.draw(st.sampled_from(stale))
        self.tries += 1
        journal = self.open_journal(Process())
        before = [replace(entry, resolutions=()) for entry in self.read_entries()]
        with suppress(ArmConfigurationError):
            resolution.apply_resolution(journal, Resolution(chunk_id, verdict, "Controller", "an old list"))
        after = [replace(entry, resolutions=()) for entry in self.read_entries()]
        assert after == before, "a stale resolution changed something"

    def unresolved_ids(self) -> set[str | None]:
        """Return the chunk ids of all unresolved chunks."""
        return {entry.chunk_id for entry in self.read_entries() if entry.state in UNRESOLVED}

    # ---- invariants

    def read_entries(self) -> list[ChunkEntry]:
        """Return the journal's entry of each chunk, as a reader sees it."""
        entries = FileEntries(MemoryPath(self.files, Process()))
        entries.refresh()
        return [entry for index in range(MAX_CHUNKS) if (entry := entries.read(index)) is not None]

    @invariant()
    def no_document_takes_effect_twice(self) -> None:
        """Nor is anything sent without a journal entry, or while ARM is processing it."""
        assert not self.arm.violations, self.arm.violations[0]
        assert set(self.arm.effects().values()) <= {1}, "took effect twice"

    @invariant()
    def no_batch_of_arm_is_forgotten(self) -> None:
        """Each effective batch is followed by its uuid, or its own sending is recovered or unresolved."""
        entries = self.read_entries()
        followed = {entry.batch_uuid for entry in entries}
        known = {entry.chunk_id for entry in entries if entry.state in (*UNRESOLVED, ChunkState.RECOVERED)}
        for batch in self.arm.batches.values():
            if self.arm.effective(batch):
                assert batch.uuid in followed or batch.chunk_id in known, "forgotten"
