"""Lookup of document chunks whose response was lost: recovered, sent again or unresolved, each on its own."""

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
from tests.unit.submission.sending.delayed_arm import ASSUME_ABSENT_AFTER, DelayedArm, invoice

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState
SIX = list(map(invoice, range(1, 7)))


class Task:
    """Task with its journal and its fake ARM."""

    def __init__(self) -> None:
        self.journal = FakeJournal(FakeArm())
        self.arm = DelayedArm(read_entries=self.read_entries)
        self.assume_absent_after: float | None = ASSUME_ABSENT_AFTER

    def read_entries(self) -> list[Any]:
        """Return the journal's entries."""
        return [entry for index in range(9) if (entry := self.journal.read(index)) is not None]

    def states(self) -> list[ChunkState]:
        """Return the states of the entries."""
        return [entry.state for entry in self.read_entries()]

    def run(
        self, lost: str = "", records: Any = SIX, *, size: int = 2, clear_count: int = 0, resend: bool = False
    ) -> Any:
        """Run one try; return its result, or the error that ended it.

        :param lost: the responses of the chunks that begin with these documents are lost.
        """
        self.arm.outcomes = dict.fromkeys(lost, "response lost")
        sender = Sender(
            DOCUMENTS,
            self.journal,
            clear_count,
            self.arm.submit,
            self.arm.poll,
            resend,
            look_up=self.arm.look_up,
            key="documentNo",
            assume_absent_after=self.assume_absent_after,
            now=lambda: self.arm.clock,
        )
        with prepare(ListSource(records), DOCUMENTS, size, "documentNo") as prepared:
            try:
                return sender.send_all(prepared.plan, prepared.chunks())
            except ArmError as error:
                return error


@pytest.fixture
def task() -> Task:
    """Return a task that has sent nothing."""
    return Task()


def test_chunk_is_recovered_in_the_same_try_when_arm_has_its_records(task, caplog):
    """The response is lost, but ARM has the documents: the try continues and logs the recovered chunk."""
    task.arm.processes_at_once = True
    sent = task.run(lost="3")
    assert sent == [SentChunk(0, 2, "Batch-1-2.0"), SentChunk(1, 2, None), SentChunk(2, 2, "Batch-5-6.0")]
    assert task.states() == [ACCEPTED, RECOVERED, ACCEPTED]
    assert "chunk 2 (rows 3 to 4): lost; ARM has its records nevertheless, not sent again" in caplog.text


def test_chunk_lost_now_stops_chunks_that_were_not_sent_yet(task):
    """The cause of the lost response would affect the next chunks, too."""
    assert isinstance(task.run(lost="3"), OutcomePendingError)
    assert task.states() == [ACCEPTED, UNKNOWN]


def test_chunk_lost_in_earlier_try_stops_only_itself(task):
    """The other chunks are sent; then the error names every unresolved chunk."""
    task.run(lost="1")
    task.run(lost="3")
    error = task.run()
    assert task.states() == [UNKNOWN, UNKNOWN, ACCEPTED]
    assert [chunk["what"] for chunk in error.unresolved_chunks] == ["chunk 1 (rows 1 to 2)", "chunk 2 (rows 3 to 4)"]
    assert [chunk["chunk_id"] for chunk in error.unresolved_chunks] == [
        entry.chunk_id for entry in task.read_entries()[:2]
    ]
    assert str(error).count("may or may not have reached ARM") == 2
    task.arm.finish(task.arm.unfinished())
    assert [each.batch_uuid for each in task.run()] == [None, None, "Batch-5-6.0"]
    assert set(task.arm.effects().values()) == {1}


def test_error_names_first_chunks_and_counts_the_rest(task):
    """The message of seven unresolved chunks names five; the error's attribute has all."""
    records = list(map(invoice, range(1, 8)))
    for lost in "1234567":
        task.run(lost=lost, records=records, size=1)
    error = task.run(records=records, size=1)
    assert len(error.unresolved_chunks) == 7
    assert str(error).endswith("; and 2 more chunks")
    assert "documentNo 5," in str(error)
    assert "documentNo 6," not in str(error)


def test_one_chunk_that_requires_resolution_makes_the_error_permanent(task):
    """A later try cannot decide all chunks, so the task is not retried."""
    task.run(lost="1")
    task.run(lost="3")
    assert isinstance(task.run(), OutcomePendingError)
    task.arm.foreign = {"3"}
    error = task.run()
    assert isinstance(error, ResolutionRequiredError)
    assert len(error.unresolved_chunks) == 2


@pytest.mark.parametrize(
    ("read_error", "error_type"), [("unavailable", OutcomePendingError), ("denied", ResolutionRequiredError)]
)
def test_chunk_stays_unresolved_when_lookup_fails(task, read_error, error_type):
    """After an outage a retry may help, without permission it cannot; either way the chunk stays unresolved."""
    task.run(lost="5")
    task.arm.advance(2 * ASSUME_ABSENT_AFTER)
    task.arm.read_error = read_error
    error = task.run()
    assert type(error) is error_type
    assert "The lookup of its records in ARM failed" in str(error)
    assert task.states() == [ACCEPTED, ACCEPTED, UNKNOWN]


def test_absent_chunk_is_sent_with_new_chunk_id_after_assume_absent_after(task, caplog):
    """Two lookups, assume_absent_after apart, miss it: it is sent again, under another chunk id."""
    caplog.set_level(logging.WARNING, "airflow_provider_arm")
    task.run(lost="3")
    task.arm.batches.clear()  # ARM never received it
    chunk_id = task.read_entries()[1].chunk_id
    task.arm.clock += ASSUME_ABSENT_AFTER - 1
    assert isinstance(task.run(), OutcomePendingError)
    task.arm.clock += 1
    assert len(task.run()) == 3
    assert "chunk 2 (rows 3 to 4): not found in ARM; sent again, because of" in caplog.text
    assert task.read_entries()[1].chunk_id != chunk_id
    assert task.states() == [ACCEPTED] * 3


def test_recovered_chunk_lists_positions_of_missing_records(task):
    """Records in ARM prove that it was accepted; after assume_absent_after, absent records count as refused."""
    task.arm.refused = {"4"}
    task.run(lost="3")
    task.arm.finish(task.arm.unfinished())
    assert isinstance(task.run(), OutcomePendingError)
    task.arm.clock += ASSUME_ABSENT_AFTER
    assert task.run()[1] == SentChunk(1, 2, None, missing=(2,))


def test_partly_found_chunk_stays_unresolved_without_assume_absent_after(task):
    """The rest may still be processing, and nothing limits for how long."""
    task.assume_absent_after = None
    task.arm.refused = {"4"}
    task.run(lost="3")
    task.arm.finish(task.arm.unfinished())
    for _ in range(3):
        task.arm.clock += 1000 * ASSUME_ABSENT_AFTER
        error = task.run()
        assert isinstance(error, OutcomePendingError)
        assert "ARM has 1 of its 2 records; record 2 may have been refused, or may still be processing." in str(error)


@pytest.mark.parametrize("found", ["matching", "conflicting"])
def test_resend_does_not_apply_when_arm_has_a_record(task, found):
    """With on_unknown_outcome="resend", a chunk with a document number that ARM has is not sent again."""
    task.run(lost="1")
    if found == "matching":
        task.arm.refused = {"2"}
        task.arm.finish(task.arm.unfinished())
    else:
        task.arm.foreign = {"1"}
    assert isinstance(task.run(resend=True), OutcomePendingError | ResolutionRequiredError)
    assert len(task.arm.batches) == 3
    assert task.states() == [UNKNOWN, ACCEPTED, ACCEPTED]


@pytest.mark.parametrize("clear_count", [0, 1])
def test_recovered_chunk_is_never_sent_again(task, clear_count):
    """Neither a retry nor a clear sends it; other records in its place are an error."""
    task.arm.processes_at_once = True
    first = task.run(lost="3")
    assert task.run(clear_count=clear_count) == first
    assert isinstance(task.run(records=SIX[::-1], clear_count=clear_count), PlanChangedError)
    assert set(task.arm.effects().values()) == {1}
