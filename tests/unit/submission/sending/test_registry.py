"""What runs tell each other: no document is submitted by two of them unless ARM refused it the first time."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.errors import ArmNotFoundError, ArmUnavailableError
from airflow_provider_arm.submission.errors import AlreadySubmittedError, ConcurrentSubmissionError, JournalError
from airflow_provider_arm.submission.journal.checksummed_folder import ChecksummedFolder
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, MemoryJournal, PlanEntry
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sending.registry import SubmissionRegistry
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.records import DOCUMENTS, document, failed_answer, finished_batch
from tests.unit.submission.records import write_answer as processed

BOOKS = "https://arm.example.com 2218"


class Batches(dict[str, BatchStatus]):
    """What ARM says of batches by their uuid."""

    def poll(self, uuid: str) -> BatchStatus:
        """Look at one."""
        return self[uuid]


@pytest.fixture
def batches() -> Batches:
    """An ARM that has processed every batch."""
    return Batches()


class Run:
    """One run of a task that submits documents, two to a chunk."""

    def __init__(self, path, numbers, batches: Any, owner="run 1", books=BOOKS, **more: Any) -> None:
        records = [document(number, **more) for number in numbers]
        self.prepared = prepare(ListSource(records), DOCUMENTS, 2, "documentNo")
        self.plan = self.prepared.plan
        self.ledger = SubmissionRegistry(path, owner, books, "documentNo", batches.poll)
        self.journal = MemoryJournal()
        self.batches = batches

    def claim(self):
        """Claim."""
        return self.ledger.claim(self.plan, self.prepared.chunks())

    def submit(self, *states: ChunkState, refused: tuple[int, ...] = ()) -> list[str]:
        """Claim, send and note; gives the batchUuids. ARM refuses the records at the places of each batch."""
        assert self.claim() is None
        self.journal.write_plan(PlanEntry(self.plan.sha256, len(self.plan.chunks), 0))
        uuids = []
        for chunk in self.plan.chunks:
            state = states[chunk.index] if chunk.index < len(states) else ChunkState.ACCEPTED
            uuid = f"B{len(self.batches)}" if state is ChunkState.ACCEPTED else None
            missing = refused if state is ChunkState.RECOVERED else None
            self.journal.write(ChunkEntry(chunk.index, chunk.sha256, state, 0, uuid, missing=missing))
            if uuid:
                uuids.append(uuid)
                answers = [
                    failed_answer(("a", "b")) if n in refused else processed() for n in range(1, chunk.records + 1)
                ]
                self.batches[uuid] = finished_batch(*answers)
        self.ledger.note(self.plan, self.journal)
        return uuids


def test_the_very_same_records_are_given_the_earlier_runs_batches(tmp_path, batches):
    """A second run with the same file sends nothing and follows what the first one sent."""
    uuids = Run(tmp_path, range(5), batches).submit(ChunkState.ACCEPTED, ChunkState.RECOVERED, refused=(2,))
    earlier = Run(tmp_path, range(5), batches, "run 2").claim()
    assert (earlier.owner, earlier.batch_uuids) == ("run 1", uuids)
    assert [each.as_json() for each in earlier.recovered] == [{"chunk": 2, "records": 2, "missing": [2]}]


def test_its_own_later_tries_go_on(tmp_path, batches):
    """The journal decides about what the same task instance has sent; also after a try that ended half-way."""
    assert Run(tmp_path, range(4), batches).claim() is None
    assert Run(tmp_path, range(4), batches).claim() is None
    Run(tmp_path, range(4), batches).submit()
    assert Run(tmp_path, range(4), batches).claim() is None
    assert Run(tmp_path, range(2, 6), batches).claim() is None


def test_some_records_of_another_run_are_named_and_nothing_is_sent(tmp_path, batches):
    """A file that overlaps with an earlier one is refused whole; the refused run holds nobody up afterwards."""
    Run(tmp_path, range(4), batches).submit()
    with pytest.raises(AlreadySubmittedError, match=r"2 of these 4 records .* by run 1 \(documentNo 2, 3\): nothing"):
        Run(tmp_path, range(2, 6), batches, "run 2").claim()
    assert Run(tmp_path, (4, 5), batches, "run 3").claim() is None


def test_letters_and_books_tell_records_apart_as_arm_does(tmp_path, batches):
    """Capital letters are no other document; another client's ledger is."""
    Run(tmp_path, ["a1"], batches).submit()
    with pytest.raises(AlreadySubmittedError):
        Run(tmp_path, ["A1", "b2"], batches, "run 2").claim()
    assert Run(tmp_path, ["A1"], batches, "run 3", books="https://arm.example.com 2219").claim() is None


def test_what_arm_refused_may_go_again(tmp_path, batches):
    """The corrected rejects of a run are submitted by another one; what was taken beside them is not."""
    Run(tmp_path, range(4), batches).submit(refused=(2,))
    assert Run(tmp_path, (1, 3), batches, "run 2").submit() == ["B2"]
    with pytest.raises(AlreadySubmittedError, match=r"documentNo 0\)"):
        Run(tmp_path, (0, 9), batches, "run 3").claim()
    with pytest.raises(AlreadySubmittedError, match=r"by run 2 \(documentNo 1\)"):
        Run(tmp_path, (1, 9), batches, "run 4").claim()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (BatchStatus(BatchState.REJECTED, "no", total=2), None),
        (BatchStatus(BatchState.PENDING, "in work"), ConcurrentSubmissionError),
        (BatchStatus(BatchState.INVALID_RESPONSE, "html"), ConcurrentSubmissionError),
        # It says that some failed and not which: none of them may go again.
        (BatchStatus(BatchState.PARTIAL, "some", total=2, failed=1), AlreadySubmittedError),
        (ArmNotFoundError("forgotten"), AlreadySubmittedError),
        (ArmUnavailableError("down"), ArmUnavailableError),
    ],
)
def test_the_batch_decides(tmp_path, batches, monkeypatch, status, expected):
    """A record of another run is free only where ARM says that it refused it."""
    Run(tmp_path, (1, 2), batches).submit()

    def poll(_self, _uuid):
        if isinstance(status, Exception):
            raise status
        return status

    monkeypatch.setattr(Batches, "poll", poll)
    later = Run(tmp_path, (1, 9), batches, "run 2")
    if expected is None:
        assert later.claim() is None
    else:
        with pytest.raises(expected):
            later.claim()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ChunkState.SENDING, ConcurrentSubmissionError),
        (ChunkState.UNKNOWN, ConcurrentSubmissionError),
        (ChunkState.PLANNED, None),
        (ChunkState.REFUSED, None),
        (ChunkState.RECOVERED, AlreadySubmittedError),
    ],
)
def test_a_chunk_of_a_run_that_stopped_holds_as_much_as_is_known_of_it(tmp_path, batches, state, expected):
    """What was certainly not taken is free, what nobody knows is not."""
    Run(tmp_path, (1, 2), batches).submit(state)
    later = Run(tmp_path, (1, 9), batches, "run 2")
    if expected is None:
        assert later.claim() is None
    else:
        with pytest.raises(expected, match="documentNo 1"):
            later.claim()


def test_a_run_that_stopped_half_way_is_not_taken_for_the_whole(tmp_path, batches):
    """The same file again, where the first run sent only a part: it must be cleared, or the rest would be forgotten."""
    Run(tmp_path, range(4), batches).submit(ChunkState.ACCEPTED, ChunkState.PLANNED)
    with pytest.raises(AlreadySubmittedError, match="stopped half-way, clear it"):
        Run(tmp_path, range(4), batches, "run 2").claim()


def test_a_run_that_was_killed_holds_its_records(tmp_path, batches):
    """Claimed and never noted: nobody knows, so nobody else sends."""
    Run(tmp_path, range(4), batches).claim()
    with pytest.raises(ConcurrentSubmissionError, match=r"documentNo 2, 3 .* by another run \(run 1\)"):
        Run(tmp_path, range(2, 6), batches, "run 2").claim()


def test_no_key_and_no_record_is_kept(tmp_path, batches):
    """The folder has digests, counts and batchUuids only."""
    Run(tmp_path, ["Kanarifugl1", "Kanarifugl2"], batches, ledgerNote="Kanarifugl").submit()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"anarifugl" not in kept
    assert b"B0" in kept


@pytest.mark.parametrize("what", ["keys", "state"])
@pytest.mark.parametrize("spoil", ["cut", "gone", "foreign"])
def test_a_spoiled_ledger_sends_nothing(tmp_path, batches, what, spoil):
    """A file that is torn, of another version, or missing beside its other half stops every run that shares it."""
    Run(tmp_path, (1, 2), batches).submit()
    (path,) = tmp_path.glob(f"*.{what}.json")
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif spoil == "foreign":
        ChecksummedFolder(tmp_path).put(path.name, {"more": 1})
    else:
        path.unlink()
    # Without its state it may have sent everything.
    error = ConcurrentSubmissionError if (what, spoil) == ("state", "gone") else JournalError
    with pytest.raises(error):
        Run(tmp_path, (1, 9), batches, "run 2").claim()


class Turns:
    """Lets two threads take their steps in the order that is drawn."""

    def __init__(self, order: list[int]) -> None:
        self._order = list(order)
        self._ended: set[int] = set()
        self._change = threading.Condition()

    def step(self, who: int) -> None:
        """Wait for the turn."""
        with self._change:
            while self._order and self._order[0] != who and 1 - who not in self._ended:
                assert self._change.wait(10)
            if self._order and self._order[0] == who:
                self._order.pop(0)
            self._change.notify_all()

    def end(self, who: int) -> None:
        """Take no more turns."""
        with self._change:
            self._ended.add(who)
            self._change.notify_all()


@settings(max_examples=60, deadline=None)
@given(order=st.lists(st.integers(0, 1), max_size=14), shared=st.integers(1, 3))
def test_of_two_that_begin_at_once_at_most_one_sends(tmp_path_factory, order, shared):
    """Whatever the order of their reads and writes: both may stop, but never do both go on."""
    path, turns, batches = tmp_path_factory.mktemp("ledger"), Turns(order), Batches()
    runs = [Run(path, range(3), batches, "run 0"), Run(path, range(3 - shared, 6 - shared), batches, "run 1")]
    went_on: list[int] = []

    def act(who: int) -> None:
        folder = runs[who].ledger._folder
        for name in ("put", "get", "names"):
            real = getattr(folder, name)
            setattr(folder, name, lambda *args, real=real: (turns.step(who), real(*args))[1])
        try:
            if runs[who].claim() is None:
                went_on.append(who)
        except (AlreadySubmittedError, ConcurrentSubmissionError):
            pass
        finally:
            turns.end(who)

    threads = [threading.Thread(target=act, args=(who,)) for who in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(went_on) <= 1
    if not went_on:  # a later try of either goes on
        again = Run(path, range(3), batches, "run 0")
        assert again.claim() is None
