"""Hypothesis plays author, Airflow, ARM and bad luck against the real journal and sender."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.submission import step
from airflow_provider_arm.submission.journal import ChunkState, NextStep

from .fake_arm import ENDINGS, JOURNAL_FAILURES, DiskJournal, FakeArm, attempt, check_order
from .records import document

numbers = st.integers(1, 6)


class Submissions(RuleBasedStateMachine):
    """One task with its journal, run, killed, retried and cleared in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.arm = FakeArm()
        self.journal = DiskJournal(self.arm)
        self.generation = 0
        self.size = 1
        self.source: list[int] = []
        self.checked = 0

    @initialize(source=st.lists(numbers, min_size=1, max_size=5, unique=True), size=st.integers(1, 3))
    def begin(self, source: list[int], size: int) -> None:
        """The author writes a file."""
        self.source, self.size = source, size

    # ---- attempts

    @rule(endings=st.lists(st.none() | st.sampled_from(list(ENDINGS)), max_size=3))
    def run(self, endings: list[str | None]) -> None:
        """Airflow runs the task; submits end as they will."""
        self.attempt(endings)

    @rule(
        endings=st.lists(st.none() | st.sampled_from(list(ENDINGS)), max_size=2),
        fail_at=st.integers(0, 8),
        failure=st.sampled_from(JOURNAL_FAILURES),
    )
    def run_with_a_failing_journal(self, endings: list[str | None], fail_at: int, failure: str) -> None:
        """Airflow runs the task, and one write of the journal fails or kills the process."""
        self.journal.fail_at, self.journal.failure = fail_at, failure
        self.attempt(endings)
        self.journal.fail_at = None

    @rule()
    def run_while_arm_cannot_be_asked(self) -> None:
        """Submits would go through, looks do not."""
        self.arm.down = True
        self.attempt([])
        self.arm.down = False

    def attempt(self, endings: list[str | None]) -> None:
        """Run once, and look at the result."""
        self.arm.endings = list(endings)
        records = [document(number) for number in self.source]
        result = attempt(self.arm, self.journal, records, generation=self.generation, size=self.size)
        self.arm.endings = []
        if isinstance(result, list):
            # A success is one: every document is with ARM in a batch that is given back.
            held = set().union(*(self.arm.batches[uuid].keys for uuid in result))
            assert held == {str(number) for number in self.source}
        else:
            assert isinstance(result, ArmError | KeyboardInterrupt | SystemExit | RuntimeError)

    # ---- the world

    @rule(data=st.data())
    @precondition(lambda self: any(not batch.finished for batch in self.arm.batches.values()))
    def arm_finishes_a_batch(self, data: st.DataObject) -> None:
        """ARM has processed a batch."""
        waiting = [batch for batch in self.arm.batches.values() if not batch.finished]
        data.draw(st.sampled_from(waiting)).finished = True

    @rule()
    def arm_finishes_all(self) -> None:
        """A night passes."""
        for batch in self.arm.batches.values():
            batch.finished = True

    @rule(data=st.data())
    @precondition(lambda self: any(not batch.finished for batch in self.arm.batches.values()))
    def arm_rejects_a_batch(self, data: st.DataObject) -> None:
        """ARM has processed a batch and took nothing of it."""
        waiting = [batch for batch in self.arm.batches.values() if not batch.finished]
        batch = data.draw(st.sampled_from(waiting))
        batch.finished = batch.rejected = True

    @rule()
    def clear(self) -> None:
        """A person clears the task: a new wish."""
        self.generation += 1

    @rule(source=st.lists(numbers, min_size=1, max_size=5, unique=True), clear=st.booleans())
    def change_the_source(self, source: list[int], clear: bool) -> None:
        """The author replaces the file, and may clear the task."""
        self.source = source
        self.generation += clear

    @rule(size=st.integers(1, 3))
    def change_the_chunk_size(self, size: int) -> None:
        """The author deploys another chunk_size."""
        self.size = size

    # ---- what must hold

    @invariant()
    def a_line_is_kept_before_every_submit(self) -> None:
        """Nothing goes out that the journal does not know."""
        check_order(self.arm)

    @invariant()
    def no_document_is_doubled(self) -> None:
        """A document goes again only after ARM was seen to have taken nothing of its batch, for a new wish."""
        batches = list(self.arm.batches.values())
        for later in batches[self.checked :]:
            for earlier in batches[: batches.index(later)]:
                if earlier.keys & later.keys:
                    assert earlier.generation != later.generation, "twice for one wish"
                    # It was looked at, found finished, and so known, before the later was sent.
                    assert ("look", earlier.uuid) in self.arm.events, "sent again without a look"
                    assert earlier.uuid in self.journal.uuids, "sent again although nobody knew what became of it"
                    assert earlier.finished, "sent again while in work"
                    assert earlier.rejected, "sent again although ARM has taken it"
        self.checked = len(batches)

    @invariant()
    def no_batch_of_arm_is_forgotten(self) -> None:
        """What ARM took is accepted, unknown or being sent in some line, until a new wish has gone over it."""
        lines = [self.journal.read(index) for index in range(10)]
        current = [line for line in lines if line and line.generation == self.generation]
        open_lines = {line.index for line in current if line.state in (ChunkState.SENDING, ChunkState.UNKNOWN)}
        followed = {line.batch_uuid for line in current if line.batch_uuid}
        for batch in self.arm.batches.values():
            if batch.generation == self.generation:
                assert batch.uuid in followed or open_lines, "forgotten"


Submissions.TestCase.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
TestSubmissions = Submissions.TestCase
TestSubmissions.__doc__ = "In any order of events no document takes effect twice."


def test_the_machine_can_tell(monkeypatch):
    """A sender that forgot what an unknown chunk means is caught: the oracle is not blind."""
    monkeypatch.setattr(step, "next_step", lambda *_: NextStep.SEND)
    few = settings(max_examples=200, deadline=None, database=None, report_multiple_bugs=False, phases=[Phase.generate])
    with pytest.raises(AssertionError, match=r"twice for one wish|sent again|forgotten"):
        run_state_machine_as_test(Submissions, settings=few)
