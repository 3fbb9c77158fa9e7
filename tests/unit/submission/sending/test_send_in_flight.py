"""Several requests on their way at once, in real threads: how many, in what order, and what a failure leaves behind."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from airflow_provider_arm.client.errors import ArmError, ArmUnknownOutcomeError, Phase
from airflow_provider_arm.submission.errors import ResolutionRequiredError
from airflow_provider_arm.submission.journal.entries import ChunkState
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sending.send import Sender
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.fake_arm import FakeArm, FakeJournal
from tests.unit.submission.records import DOCUMENTS, document

if TYPE_CHECKING:
    from collections.abc import Callable

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState
#: Seconds after which a test gives up on another thread: met only by a defect.
PATIENCE = 30
LOST = ArmUnknownOutcomeError("lost", phase=Phase.MAYBE_SENT)


def send(journal: FakeJournal, submit: Callable[[str], str], *, chunks: int, max_in_flight: int) -> list[str | None]:
    """Send so many chunks of one document; *submit* gets its number."""

    def submit_records(records: bytes) -> str:
        return submit(json.loads(records)[0]["documentNo"])

    sender = Sender(DOCUMENTS, journal, 0, submit_records, FakeArm().poll, max_in_flight=max_in_flight)
    with prepare(ListSource([document(n) for n in range(chunks)]), DOCUMENTS, 1, "documentNo") as prepared:
        return [each.batch_uuid for each in sender.send_all(prepared.plan, prepared.chunks())]


@pytest.fixture
def journal() -> FakeJournal:
    """An empty journal."""
    return FakeJournal(FakeArm())


@pytest.mark.parametrize("size", [2, 3, 7])
def test_so_many_are_on_their_way_at_once(journal, size):
    """Each of them waits for the others, so they are; and the batchUuids come back in the order of the chunks."""
    together = threading.Barrier(size)

    def submit(number: str) -> str:
        together.wait(PATIENCE)
        return f"Batch-{number}"

    uuids = send(journal, submit, chunks=2 * size, max_in_flight=size)
    assert uuids == [f"Batch-{number}" for number in range(2 * size)]
    assert journal.states() == [ACCEPTED] * (2 * size)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_never_more_are_on_their_way_and_each_has_its_line(journal, size):
    """A line in SENDING stands in the journal before its request goes out, and no more lines than were allowed."""
    seen: list[int] = []

    def submit(number: str) -> str:
        states = journal.states()
        assert states[int(number)] is SENDING
        seen.append(states.count(SENDING))
        return number

    send(journal, submit, chunks=10, max_in_flight=size)
    assert max(seen) <= size
    assert len(seen) == 10


def test_one_at_a_time_needs_no_thread(journal):
    """With max_in_flight=1 a stack trace shows the whole of it."""
    threads: set[int] = set()

    def submit(number: str) -> str:
        threads.add(threading.get_ident())
        return number

    send(journal, submit, chunks=3, max_in_flight=1)
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("failure", [LOST, RuntimeError("a bug of ours"), KeyboardInterrupt()])
def test_what_is_on_its_way_when_one_fails_is_awaited_and_noted(journal, failure):
    """The first failure is raised, the batchUuids of the others are kept, and nothing more is sent."""
    together = threading.Barrier(3)

    def submit(number: str) -> str:
        together.wait(PATIENCE)
        if number == "0":
            raise failure
        return f"Batch-{number}"

    with pytest.raises((ResolutionRequiredError, RuntimeError, KeyboardInterrupt)):
        send(journal, submit, chunks=9, max_in_flight=3)
    assert journal.states() == [UNKNOWN if failure is LOST else SENDING, ACCEPTED, ACCEPTED]
    assert [journal.read(index).batch_uuid for index in (1, 2)] == ["Batch-1", "Batch-2"]


def test_several_that_fail_at_once_are_each_noted(journal, caplog):
    """The first is raised, the others are in the log; the next try asks about all of them."""
    together = threading.Barrier(3)

    def submit(number: str) -> str:
        together.wait(PATIENCE)
        raise LOST

    with pytest.raises(ResolutionRequiredError, match=r"^chunk 1 "):
        send(journal, submit, chunks=9, max_in_flight=3)
    assert journal.states() == [UNKNOWN] * 3
    assert "chunk 2 (rows 2 to 2)" in caplog.text
    assert "chunk 3 (rows 3 to 3)" in caplog.text
    with pytest.raises(ResolutionRequiredError) as caught:
        send(journal, lambda number: number, chunks=9, max_in_flight=3)
    assert len(caught.value.unresolved_chunks) == 3
    assert journal.states() == [UNKNOWN] * 3 + [ACCEPTED] * 6


def test_a_journal_that_fails_lets_nothing_more_out(journal):
    """Those on their way are awaited; what could not be written is not sent."""
    journal.fail_at = 3  # the plan, two lines in SENDING, then the third
    sent: list[str] = []

    def submit(number: str) -> str:
        sent.append(number)
        return number

    with pytest.raises(ArmError, match="disk full"):
        send(journal, submit, chunks=9, max_in_flight=3)
    assert sorted(sent) == ["0", "1"]
    assert journal.states() == [ACCEPTED, ACCEPTED]
