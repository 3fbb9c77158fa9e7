"""Hypothesis plays author, Airflow, a person, ARM and bad luck against the real sender and the real file journal."""

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
from tests.unit.submission.sending.lazy_pool import LazyPool
from tests.unit.submission.sending.world import DOWN, OPEN, SETTLE, World, invoice

#: More chunks than any plan here has.
CHUNKS = 6
RUNNER = JournalWriter("DAG d, run r, task t", 1, "here", 11)

numbers = st.integers(1, 6)
sources = st.lists(numbers, min_size=1, max_size=5, unique=True)
refusals = st.sets(numbers.map(str), max_size=3)
#: How the submit of the chunk that begins with each document ends; the interesting half are lost answers.
LOST = [name for name, (_, _, state) in SUBMIT_OUTCOMES.items() if state in OPEN]
endings = st.lists(st.none() | st.sampled_from(LOST) | st.sampled_from(list(SUBMIT_OUTCOMES)), min_size=6, max_size=6)
Endings = list[str | None]
#: How a process may end of its own: a task that fails, and one that is killed.
ENDS = (ArmError, KeyboardInterrupt, SystemExit, RuntimeError, Killed)


class Submissions(RuleBasedStateMachine):
    """One task with its journal: run, killed, overtaken, retried, cleared, released, in any order."""

    def __init__(self) -> None:
        super().__init__()
        # Which of two runners has the greater token, and so goes on, must be the same when an example is played again.
        dice = random.Random(7)
        tokens = mock.patch.object(secrets, "token_hex", lambda size: dice.randbytes(size).hex())
        tokens.start()
        self.teardown = tokens.stop
        self.size = self.in_flight = 1
        #: Whether a request goes out when its answer is awaited, and not when it is handed over.
        self.late = False
        self.source: list[int] = []
        self.new_run()

    def new_run(self) -> None:
        """A run of the DAG: a journal and documents of its own."""
        self.files: dict[str, bytes] = {}
        self.world = World(lines=self.lines)
        self.clear_count = self.tries = 0
        #: Every case that there ever was.
        self.cases: dict[str, None] = {}
        self.planned = self.source
        #: Whether a try has ended in such a way that no later one is likely to do anything else.
        self.over = False

    @initialize(source=sources, size=st.integers(1, 3), settle=st.booleans())
    def begin(self, source: list[int], size: int, settle: bool) -> None:
        """The author writes a file and a DAG."""
        self.source = self.planned = source
        self.size, self.world.settle = size, settle

    @initialize(in_flight=st.integers(1, 3), late=st.booleans())
    def choose_the_pace(self, in_flight: int, late: bool) -> None:
        """The author chooses max_in_flight; the worker is as slow as it likes."""
        self.in_flight, self.late = in_flight, late

    @initialize(refused=refusals, foreign=st.sampled_from([None, None, None, "1", "2"]))
    def prepare_arm(self, refused: set[str], foreign: str | None) -> None:
        """ARM will refuse some documents, and may have one of that number already."""
        self.world.refused, self.world.foreign = refused, {foreign} - {None}

    @rule(source=sources, settle=st.booleans(), refused=refusals)
    @precondition(lambda self: self.over)
    def run_anew(self, source: list[int], settle: bool, refused: set[str]) -> None:
        """The next run of the DAG."""
        self.source = source
        self.new_run()
        self.world.settle, self.world.refused = settle, refused

    # ---- tries

    @rule(endings=endings)
    def run(self, endings: Endings) -> None:
        """Airflow runs the task; submits end as they will."""
        self.attempt(endings)

    @rule(endings=endings)
    def retry_after_the_delay(self, endings: Endings) -> None:
        """ARM has worked on; Airflow runs the task again."""
        self.world.passes(120)
        self.attempt(endings)

    @rule(endings=endings, fail_at=st.integers(0, 14), failure=st.sampled_from(list(FAILURES)))
    def run_on_a_failing_disk(self, endings: Endings, fail_at: int, failure: str) -> None:
        """One write of the journal fails, or kills the process."""
        self.attempt(endings, Process(fail_at, failure))

    @rule(endings=endings, others=endings, moment=st.integers(0, 80), fail_at=st.none() | st.integers(0, 9))
    def run_past(self, endings: Endings, others: Endings, moment: int, fail_at: int | None) -> None:
        """The process stands still at some moment, the next try runs past it, then it goes on."""

        def meanwhile() -> None:
            left = self.world.endings
            self.attempt(others, Process(fail_at, "killed before"))
            self.world.endings = left

        self.attempt(endings, Process(meanwhile_at=moment, meanwhile=meanwhile))

    @rule(endings=endings, how=st.sampled_from(list(DOWN)))
    def run_while_arm_cannot_be_asked(self, endings: Endings, how: str) -> None:
        """Submits may go through, looks do not."""
        self.world.down = how
        self.attempt(endings)
        self.world.down = None

    @rule()
    @precondition(lambda self: self.unresolved_chunks())
    def a_good_day(self) -> None:
        """Nothing fails, ARM is done, a person releases what is open: then the task succeeds. Nothing is for ever."""
        self.world.finish(self.world.unfinished())
        words = [self.truth(line, with_uuid=True) for line in self.lines() if line.state in OPEN]
        result = self.attempt([None] * 6, words=words)
        assert isinstance(result, list | PlanChangedError), f"stuck: {result!r}"

    def attempt(self, endings: Endings, process: Process | None = None, words: list[Resolution] | None = None) -> Any:
        """Run one try, and look at how it ends."""
        self.tries += 1
        self.world.endings = {str(number): ending for number, ending in enumerate(endings, 1) if ending}
        result = self.execute(process or Process(), words or [])
        self.world.endings = {}
        self.cases.update(dict.fromkeys(line.chunk_id for line in self.lines() if line.chunk_id))
        self.over = isinstance(result, list | PlanChangedError)
        if isinstance(result, list):
            self.check_success(result)
        elif isinstance(result, UnresolvedChunksError):
            unclear = {line.chunk_id for line in self.lines() if line.state in OPEN}
            assert unclear.issuperset(case["chunk_id"] for case in result.unresolved_chunks), (
                "stopped for what is not open"
            )
        assert "parts of it are gone" not in str(result), "a whole journal is called torn"
        return result

    def execute(self, process: Process, words: list[Resolution]) -> Any:
        """Do what the operator does; gives its end."""
        try:
            journal = self.open_journal(process)
            for word in words:
                resolution.apply_resolution(journal, word)
            with prepare(ListSource(list(map(invoice, self.source))), DOCUMENTS, self.size, "documentNo") as prepared:
                pool = LazyPool(late=self.late, is_dead=lambda: process.dead)
                with mock.patch.object(send, "ThreadPoolExecutor", pool):
                    return self.sender(journal).send_all(prepared.plan, prepared.chunks())
        except ENDS as error:
            return error

    def open_journal(self, process: Process) -> FileJournal:
        """Open the journal for the next try."""
        runner = replace(RUNNER, try_number=self.tries)
        return FileJournal(MemoryPath(self.files, process), runner, now=lambda: self.world.clock)

    def sender(self, journal: FileJournal) -> Sender:
        """Make the sender of this try."""
        world = self.world
        return Sender(
            DOCUMENTS,
            journal,
            self.clear_count,
            world.submit,
            world.poll,
            look_up=world.look_up,
            key="documentNo",
            max_in_flight=self.in_flight,
            assume_absent_after=SETTLE if world.settle else None,
            now=lambda: world.clock,
        )

    def check_success(self, sent: list[SentChunk]) -> None:
        """Every document once: in a batch, or in a chunk that was found, with those missing that ARM refused."""
        keys = [str(number) for number in self.source]
        chunks = [tuple(keys[at : at + self.size]) for at in range(0, len(keys), self.size)]
        assert [each.index for each in sent] == list(range(len(chunks)))
        for each, chunk in zip(sent, chunks, strict=True):
            if each.batch_uuid:
                assert self.world.batches[each.batch_uuid].keys == chunk, "another batch"
                continue
            missing = {chunk[place - 1] for place in each.missing}
            shown = [self.world.shown(batch) for batch in self.world.batches.values() if batch.keys == chunk]
            booked = [self.world.booked(batch) for batch in self.world.batches.values() if batch.keys == chunk]
            assert set(chunk) - missing in map(set, shown), "wrongly found"
            assert set(chunk) - missing in map(set, booked), "found before ARM was done"

    # ---- the world

    @rule(seconds=st.sampled_from([1, 50, 120]))
    def time_passes(self, seconds: float) -> None:
        """ARM works on."""
        self.world.passes(seconds)

    @rule(data=st.data())
    @precondition(lambda self: self.world.unfinished())
    def arm_finishes_a_batch(self, data: st.DataObject) -> None:
        """ARM has processed a batch."""
        self.world.finish([data.draw(st.sampled_from(self.world.unfinished()))])

    @rule()
    @precondition(lambda self: self.world.unfinished())
    def arm_begins(self) -> None:
        """ARM has processed half of each batch."""
        for batch in self.world.unfinished():
            batch.begun = True

    @rule()
    @precondition(lambda self: self.world.unfinished())
    def arm_finishes_all(self) -> None:
        """A night passes."""
        self.world.finish(self.world.unfinished())

    @rule(data=st.data())
    @precondition(lambda self: any(not batch.begun for batch in self.world.unfinished()))
    def arm_rejects_a_batch(self, data: st.DataObject) -> None:
        """ARM has processed a batch and took nothing of it: none of its documents was ever there."""
        batch = data.draw(st.sampled_from([batch for batch in self.world.unfinished() if not batch.begun]))
        batch.finished = batch.rejected = True

    # ---- people

    @rule()
    def clear(self) -> None:
        """A person clears the task: a new wish."""
        self.clear_count += 1

    @rule(source=sources, clear=st.booleans())
    def change_the_source(self, source: list[int], clear: bool) -> None:
        """The author replaces the file, and may clear the task."""
        self.source = source
        self.clear_count += clear

    @rule()
    @precondition(lambda self: self.source != self.planned)
    def restore_the_source(self) -> None:
        """The author puts the file back that was there first."""
        self.source = self.planned

    @rule(size=st.integers(1, 3))
    def change_the_chunk_size(self, size: int) -> None:
        """The author deploys another chunk_size."""
        self.size = size

    @rule(in_flight=st.integers(1, 3), late=st.booleans())
    def change_the_pace(self, in_flight: int, late: bool) -> None:
        """The author deploys another max_in_flight; the worker is as slow as it likes."""
        self.in_flight, self.late = in_flight, late

    @rule(data=st.data(), endings=endings, with_uuid=st.booleans())
    @precondition(lambda self: any(line.state in OPEN for line in self.lines()))
    def a_person_knows(self, data: st.DataObject, endings: Endings, with_uuid: bool) -> None:
        """Somebody has found out about a case and says the truth."""
        unclear = [line for line in self.lines() if line.state in OPEN]
        self.attempt(endings, words=[self.truth(data.draw(st.sampled_from(unclear)), with_uuid=with_uuid)])

    def truth(self, line: ChunkEntry, *, with_uuid: bool) -> Resolution:
        """Say what became of a case; without the batchUuid it can only be seen when ARM is done with it."""
        batch = self.world.of_case(line)
        verdict = Verdict.ABSENT if batch is None else Verdict.ACCEPTED
        uuid = batch.uuid if batch is not None and (with_uuid or not batch.finished) else None
        return Resolution(str(line.chunk_id), verdict, "Controller", "looked in ARM", uuid)

    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    @precondition(lambda self: self.cases.keys() - self.unresolved_chunks())
    def a_person_names_a_stale_case(self, data: st.DataObject, verdict: Verdict) -> None:
        """A word on a sending that is over releases nothing, whatever it says."""
        case = data.draw(st.sampled_from([case for case in self.cases if case not in self.unresolved_chunks()]))
        self.tries += 1
        journal = self.open_journal(Process())
        before = [replace(line, resolutions=()) for line in self.lines()]
        with suppress(ArmConfigurationError):
            resolution.apply_resolution(journal, Resolution(case, verdict, "Controller", "an old list"))
        after = [replace(line, resolutions=()) for line in self.lines()]
        assert after == before, "a stale word released something"

    def unresolved_chunks(self) -> set[str | None]:
        """The cases that a person may be asked about."""
        return {line.chunk_id for line in self.lines() if line.state in OPEN}

    # ---- what must hold

    def lines(self) -> list[ChunkEntry]:
        """The last word of the journal on each chunk, as somebody reads it who does not work on it."""
        journal = FileEntries(MemoryPath(self.files, Process()))
        journal.refresh()
        return [line for index in range(CHUNKS) if (line := journal.read(index)) is not None]

    @invariant()
    def no_document_takes_effect_twice(self) -> None:
        """Nor is anything sent that the journal does not know, or over something in work."""
        assert not self.world.violations, self.world.violations[0]
        assert set(self.world.effects().values()) <= {1}, "booked twice"

    @invariant()
    def no_batch_of_arm_is_forgotten(self) -> None:
        """What takes effect is followed, found, or a question, under the very sending that brought it."""
        lines = self.lines()
        followed = {line.batch_uuid for line in lines}
        known = {line.chunk_id for line in lines if line.state in (*OPEN, ChunkState.RECOVERED)}
        for batch in self.world.batches.values():
            if self.world.booked(batch):
                assert batch.uuid in followed or batch.chunk_id in known, "forgotten"
