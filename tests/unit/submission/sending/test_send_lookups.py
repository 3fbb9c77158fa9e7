"""Chunks of documents whose answer was lost, looked for in ARM: found, sent, or a question, each by itself."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.submission.errors import OutcomePendingError, PlanChangedError, ResolutionRequiredError
from airflow_provider_arm.submission.journal.entries import ChunkState
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sending.send import Sender, SentChunk
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.fake_arm import FakeArm, FakeJournal
from tests.unit.submission.records import DOCUMENTS
from tests.unit.submission.sending.world import SETTLE, World, invoice

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState
SIX = list(map(invoice, range(1, 7)))


class Task:
    """A task with its journal and its ARM."""

    def __init__(self) -> None:
        self.journal = FakeJournal(FakeArm())
        self.world = World(lines=self.lines)
        self.assume_absent_after: float | None = SETTLE

    def lines(self) -> list[Any]:
        """The journal's lines."""
        return [line for index in range(9) if (line := self.journal.read(index)) is not None]

    def states(self) -> list[ChunkState]:
        """Their states."""
        return [line.state for line in self.lines()]

    def run(
        self, lost: str = "", records: Any = SIX, *, size: int = 2, clear_count: int = 0, resend: bool = False
    ) -> Any:
        """Run once; the answers of the chunks that begin with these documents are lost. Gives its error, if any."""
        self.world.endings = dict.fromkeys(lost, "answer lost")
        sender = Sender(
            DOCUMENTS,
            self.journal,
            clear_count,
            self.world.submit,
            self.world.poll,
            resend,
            look_up=self.world.look_up,
            key="documentNo",
            assume_absent_after=self.assume_absent_after,
            now=lambda: self.world.clock,
        )
        with prepare(ListSource(records), DOCUMENTS, size, "documentNo") as prepared:
            try:
                return sender.send_all(prepared.plan, prepared.chunks())
            except ArmError as error:
                return error


@pytest.fixture
def task() -> Task:
    """A task that has sent nothing."""
    return Task()


def test_what_arm_has_at_once_is_found_in_the_same_try(task, caplog):
    """The answer is lost, the documents are there: the try goes on, and says what it has found."""
    task.world.at_once = True
    sent = task.run(lost="3")
    assert sent == [SentChunk(0, 2, "Batch-1-2.0"), SentChunk(1, 2, None), SentChunk(2, 2, "Batch-5-6.0")]
    assert task.states() == [ACCEPTED, FOUND, ACCEPTED]
    assert "chunk 2 (rows 3 to 4): lost; ARM has its records all the same, not sent again" in caplog.text


def test_what_is_lost_now_stops_what_was_not_sent_yet(task):
    """Whatever has lost this answer would lose the next too."""
    assert isinstance(task.run(lost="3"), OutcomePendingError)
    assert task.states() == [ACCEPTED, UNKNOWN]


def test_what_was_lost_before_stops_only_itself(task):
    """The other chunks are sent; then every open one is named, and handed over as a case."""
    task.run(lost="1")
    task.run(lost="3")
    error = task.run()
    assert task.states() == [UNKNOWN, UNKNOWN, ACCEPTED]
    assert [case["what"] for case in error.unresolved_chunks] == ["chunk 1 (rows 1 to 2)", "chunk 2 (rows 3 to 4)"]
    assert [case["chunk_id"] for case in error.unresolved_chunks] == [line.chunk_id for line in task.lines()[:2]]
    assert str(error).count("may or may not have reached ARM") == 2
    task.world.finish(task.world.unfinished())
    assert [each.batch_uuid for each in task.run()] == [None, None, "Batch-5-6.0"]
    assert set(task.world.effects().values()) == {1}


def test_a_message_names_the_first_and_counts_the_rest(task):
    """Seven open chunks are too many to read; all of them are cases."""
    records = list(map(invoice, range(1, 8)))
    for lost in "1234567":
        task.run(lost=lost, records=records, size=1)
    error = task.run(records=records, size=1)
    assert len(error.unresolved_chunks) == 7
    assert str(error).endswith("; and 2 more chunks")
    assert "documentNo 5," in str(error)
    assert "documentNo 6," not in str(error)


def test_one_chunk_that_needs_a_person_makes_the_task_wait_for_one(task):
    """A later try cannot help all of them, so it is not left to one."""
    task.run(lost="1")
    task.run(lost="3")
    assert isinstance(task.run(), OutcomePendingError)
    task.world.foreign = {"3"}
    error = task.run()
    assert isinstance(error, ResolutionRequiredError)
    assert len(error.unresolved_chunks) == 2


@pytest.mark.parametrize(("down", "kind"), [("unavailable", OutcomePendingError), ("denied", ResolutionRequiredError)])
def test_while_arm_cannot_be_asked_nothing_is_decided(task, down, kind):
    """An outage is for a later try, a missing right for a person; either way the chunk stays open."""
    task.run(lost="5")
    task.world.passes(2 * SETTLE)
    task.world.down = down
    error = task.run()
    assert type(error) is kind
    assert "ARM cannot be asked for its records now" in str(error)
    assert task.states() == [ACCEPTED, ACCEPTED, UNKNOWN]


def test_what_is_absent_for_long_enough_is_sent_as_a_new_case(task, caplog):
    """Two looks, the author's time between them: then it goes again, and a word on the old case releases nothing."""
    caplog.set_level(logging.WARNING, "airflow_provider_arm")
    task.run(lost="3")
    task.world.batches.clear()  # ARM has never heard of it
    case = task.lines()[1].chunk_id
    task.world.clock += SETTLE - 1
    assert isinstance(task.run(), OutcomePendingError)
    task.world.clock += 1
    assert len(task.run()) == 3
    assert "chunk 2 (rows 3 to 4): ARM has none of its records; sent again, as the author has chosen" in caplog.text
    assert task.lines()[1].chunk_id != case
    assert task.states() == [ACCEPTED] * 3


def test_what_arm_refused_of_a_found_chunk_is_named_by_its_place(task):
    """What is there proves the chunk taken; after the author's time what is not there was refused."""
    task.world.refused = {"4"}
    task.run(lost="3")
    task.world.finish(task.world.unfinished())
    assert isinstance(task.run(), OutcomePendingError)
    task.world.clock += SETTLE
    assert task.run()[1] == SentChunk(1, 2, None, missing=(2,))


def test_without_a_time_what_is_partly_there_stays_a_question(task):
    """The rest may still be in work, for ever as far as anybody has said."""
    task.assume_absent_after = None
    task.world.refused = {"4"}
    task.run(lost="3")
    task.world.finish(task.world.unfinished())
    for _ in range(3):
        task.world.clock += 1000 * SETTLE
        error = task.run()
        assert isinstance(error, OutcomePendingError)
        assert "ARM has 1 of its 2 records; number 2 may be refused, or still in work." in str(error)


@pytest.mark.parametrize("there", ["same", "other"])
def test_leave_to_send_again_ends_where_something_is_there(task, there):
    """on_unknown_outcome="resend" sends nothing over a document that ARM has."""
    task.run(lost="1")
    if there == "same":
        task.world.refused = {"2"}
        task.world.finish(task.world.unfinished())
    else:
        task.world.foreign = {"1"}
    assert isinstance(task.run(resend=True), OutcomePendingError | ResolutionRequiredError)
    assert len(task.world.batches) == 3
    assert task.states() == [UNKNOWN, ACCEPTED, ACCEPTED]


@pytest.mark.parametrize("clear_count", [0, 1])
def test_a_found_chunk_is_followed_and_never_sent_again(task, clear_count):
    """By a retry and by a clear; other records in its place are an error."""
    task.world.at_once = True
    first = task.run(lost="3")
    assert task.run(clear_count=clear_count) == first
    assert isinstance(task.run(records=SIX[::-1], clear_count=clear_count), PlanChangedError)
    assert set(task.world.effects().values()) == {1}
