"""Several requests in flight at once, in real threads: how many, in what order, and the state after a failure."""

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

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState
#: Seconds to wait for another thread; reached only if there is a bug.
THREAD_TIMEOUT = 30
LOST = ArmUnknownOutcomeError("lost", phase=Phase.MAYBE_SENT)


def send(journal: FakeJournal, submit: Callable[[str], str], *, chunks: int, max_in_flight: int) -> list[str | None]:
    """Send chunks of one document each; return the batchUuids.

    :param submit: called with the documentNo.
    """

    def submit_records(records: bytes) -> str:
        return submit(json.loads(records)[0]["documentNo"])

    sender = Sender(DOCUMENTS, journal, 0, submit_records, FakeArm().poll, max_in_flight=max_in_flight)
    with prepare(ListSource([document(n) for n in range(chunks)]), DOCUMENTS, 1, "documentNo") as prepared:
        return [each.batch_uuid for each in sender.send_all(prepared.plan, prepared.chunks())]


@pytest.fixture
def journal() -> FakeJournal:
    """Return an empty journal."""
    return FakeJournal(FakeArm())


@pytest.mark.parametrize("size", [2, 3, 7])
def test_max_in_flight_requests_run_at_once(journal, size):
    """Each request waits for the others, so they run at once; the batchUuids are in the order of the chunks."""
    barrier = threading.Barrier(size)

    def submit(number: str) -> str:
        barrier.wait(THREAD_TIMEOUT)
        return f"Batch-{number}"

    uuids = send(journal, submit, chunks=2 * size, max_in_flight=size)
    assert uuids == [f"Batch-{number}" for number in range(2 * size)]
    assert journal.states() == [ACCEPTED] * (2 * size)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_each_request_in_flight_has_its_entry_and_limit_is_kept(journal, size):
    """Each request is sent after its entry in SENDING is written, and never more than max_in_flight at once."""
    in_flight: list[int] = []

    def submit(number: str) -> str:
        states = journal.states()
        assert states[int(number)] is SENDING
        in_flight.append(states.count(SENDING))
        return number

    send(journal, submit, chunks=10, max_in_flight=size)
    assert max(in_flight) <= size
    assert len(in_flight) == 10


def test_one_request_at_a_time_runs_in_the_same_thread(journal):
    """With max_in_flight=1 a stack trace shows the whole call."""
    threads: set[int] = set()

    def submit(number: str) -> str:
        threads.add(threading.get_ident())
        return number

    send(journal, submit, chunks=3, max_in_flight=1)
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("failure", [LOST, RuntimeError("bug"), KeyboardInterrupt()])
def test_requests_in_flight_are_awaited_and_journalled_when_one_fails(journal, failure):
    """The first failure is raised, the batchUuids of the others are journalled, and nothing more is sent."""
    barrier = threading.Barrier(3)

    def submit(number: str) -> str:
        barrier.wait(THREAD_TIMEOUT)
        if number == "0":
            raise failure
        return f"Batch-{number}"

    with pytest.raises((ResolutionRequiredError, RuntimeError, KeyboardInterrupt)):
        send(journal, submit, chunks=9, max_in_flight=3)
    assert journal.states() == [UNKNOWN if failure is LOST else SENDING, ACCEPTED, ACCEPTED]
    assert [journal.read(index).batch_uuid for index in (1, 2)] == ["Batch-1", "Batch-2"]


def test_every_failure_is_journalled_when_several_fail_at_once(journal, caplog):
    """The first failure is raised and the others are logged; the error of the next try names all of them."""
    barrier = threading.Barrier(3)

    def submit(number: str) -> str:
        barrier.wait(THREAD_TIMEOUT)
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


def test_nothing_more_is_sent_when_journal_fails(journal):
    """Requests in flight are awaited; the chunk whose entry could not be written is not sent."""
    journal.fail_at = 3  # the plan, two entries in SENDING, then the third
    sent: list[str] = []

    def submit(number: str) -> str:
        sent.append(number)
        return number

    with pytest.raises(ArmError, match="disk full"):
        send(journal, submit, chunks=9, max_in_flight=3)
    assert sorted(sent) == ["0", "1"]
    assert journal.states() == [ACCEPTED, ACCEPTED]
