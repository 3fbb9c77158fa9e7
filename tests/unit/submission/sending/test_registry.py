"""Registry that runs share: no document is submitted by two of them unless ARM refused it the first time."""

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

SCOPE = "https://arm.example.com 2218"


class Batches(dict[str, BatchStatus]):
    """Fake ARM: the status of each batch by its uuid."""

    def poll(self, uuid: str, _records: int | None = None) -> BatchStatus:
        """Return the status of a batch."""
        return self[uuid]


@pytest.fixture
def batches() -> Batches:
    """Return an ARM that has processed every batch."""
    return Batches()


class Run:
    """One run of a task that submits documents, two per chunk."""

    def __init__(self, path, numbers, batches: Any, owner="run 1", scope=SCOPE, **more: Any) -> None:
        records = [document(number, **more) for number in numbers]
        self.prepared = prepare(ListSource(records), DOCUMENTS, 2, "documentNo")
        self.plan = self.prepared.plan
        self.registry = SubmissionRegistry(path, owner, scope, "documentNo", batches.poll)
        self.journal = MemoryJournal()
        self.batches = batches

    def claim(self):
        """Claim the records of the run's plan."""
        return self.registry.claim(self.plan, self.prepared.chunks())

    def submit(self, *states: ChunkState, refused: tuple[int, ...] = ()) -> list[str]:
        """Claim, send and write the states; return the batchUuids.

        :param states: of the chunks; default accepted.
        :param refused: positions of the records that ARM refuses in each batch.
        """
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
                responses = [
                    failed_answer(("a", "b")) if n in refused else processed() for n in range(1, chunk.records + 1)
                ]
                self.batches[uuid] = finished_batch(*responses)
        self.registry.write_states(self.plan, self.journal)
        return uuids


def test_claim_of_the_very_same_records_reinterleaving_batches_of_the_earlier_run(tmp_path, batches):
    """A second run with the same file sends nothing and follows the batches of the first."""
    uuids = Run(tmp_path, range(5), batches).submit(ChunkState.ACCEPTED, ChunkState.RECOVERED, refused=(2,))
    earlier = Run(tmp_path, range(5), batches, "run 2").claim()
    assert (earlier.owner, earlier.batch_records) == ("run 1", dict(zip(uuids, (2, 1), strict=True)))
    assert [each.as_json() for each in earlier.recovered] == [{"chunk": 2, "records": 2, "missing": [2]}]


def test_later_tries_of_the_same_task_instance_may_send(tmp_path, batches):
    """The journal decides about chunks of the same task instance, also after a try that ended half-way."""
    assert Run(tmp_path, range(4), batches).claim() is None
    assert Run(tmp_path, range(4), batches).claim() is None
    Run(tmp_path, range(4), batches).submit()
    assert Run(tmp_path, range(4), batches).claim() is None
    assert Run(tmp_path, range(2, 6), batches).claim() is None


def test_claim_raises_when_another_run_has_submitted_some_records(tmp_path, batches):
    """A file that overlaps with an earlier one is refused completely, and its claim does not block other runs."""
    Run(tmp_path, range(4), batches).submit()
    with pytest.raises(AlreadySubmittedError, match=r"2 of these 4 records .* by run 1 \(documentNo 2, 3\): nothing"):
        Run(tmp_path, range(2, 6), batches, "run 2").claim()
    assert Run(tmp_path, (4, 5), batches, "run 3").claim() is None


def test_keys_ignore_case_and_belong_to_a_scope(tmp_path, batches):
    """Upper case does not make another document; another client number does."""
    Run(tmp_path, ["a1"], batches).submit()
    with pytest.raises(AlreadySubmittedError):
        Run(tmp_path, ["A1", "b2"], batches, "run 2").claim()
    assert Run(tmp_path, ["A1"], batches, "run 3", scope="https://arm.example.com 2219").claim() is None


def test_refused_records_may_be_claimed_by_another_run(tmp_path, batches):
    """Another run may submit the corrected rejects of a run, but not the records that ARM accepted."""
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
        (BatchStatus(BatchState.PENDING, "processing"), ConcurrentSubmissionError),
        (BatchStatus(BatchState.INVALID_RESPONSE, "html"), ConcurrentSubmissionError),
        # The response says that some failed and not which: none of them may be sent again.
        (BatchStatus(BatchState.PARTIAL, "some", total=2, failed=1), AlreadySubmittedError),
        (ArmNotFoundError("forgotten"), AlreadySubmittedError),
        (ArmUnavailableError("down"), ArmUnavailableError),
    ],
)
def test_status_of_the_earlier_batch_decides(tmp_path, batches, monkeypatch, status, expected):
    """A record of another run is free only if ARM reports that it refused it."""
    Run(tmp_path, (1, 2), batches).submit()

    def poll(_self, _uuid, _records=None):
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
def test_journal_state_of_stopped_run_decides(tmp_path, batches, state, expected):
    """A chunk that ARM certainly did not accept is free, one with an unknown outcome is not."""
    Run(tmp_path, (1, 2), batches).submit(state)
    later = Run(tmp_path, (1, 9), batches, "run 2")
    if expected is None:
        assert later.claim() is None
    else:
        with pytest.raises(expected, match="documentNo 1"):
            later.claim()


def test_claim_raises_when_earlier_run_sent_only_a_part(tmp_path, batches):
    """If the first run sent only a part of the same file, it must be cleared: its batches are not the whole file."""
    Run(tmp_path, range(4), batches).submit(ChunkState.ACCEPTED, ChunkState.PLANNED)
    with pytest.raises(AlreadySubmittedError, match="stopped half-way, clear it"):
        Run(tmp_path, range(4), batches, "run 2").claim()


def test_claim_raises_when_earlier_run_was_killed(tmp_path, batches):
    """Without written states the outcome of the claimed records is unknown, so no other run sends them."""
    Run(tmp_path, range(4), batches).claim()
    with pytest.raises(ConcurrentSubmissionError, match=r"documentNo 2, 3 .* by another run \(run 1\)"):
        Run(tmp_path, range(2, 6), batches, "run 2").claim()


def test_folder_contains_no_key_and_no_record(tmp_path, batches):
    """The folder contains only digests, counts and batchUuids."""
    Run(tmp_path, ["Kanarifugl1", "Kanarifugl2"], batches, ledgerNote="Kanarifugl").submit()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"anarifugl" not in content
    assert b"B0" in content


@pytest.mark.parametrize("file", ["keys", "state"])
@pytest.mark.parametrize("damage", ["truncated", "missing", "foreign"])
def test_claim_raises_when_registry_file_is_damaged(tmp_path, batches, file, damage):
    """A file that is truncated, of another version, or missing beside its pair stops every run that shares it."""
    Run(tmp_path, (1, 2), batches).submit()
    (path,) = tmp_path.glob(f"*.{file}.json")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "foreign":
        ChecksummedFolder(tmp_path).write(path.name, {"more": 1})
    else:
        path.unlink()
    # Without its state file the earlier run may have sent everything.
    error = ConcurrentSubmissionError if (file, damage) == ("state", "missing") else JournalError
    with pytest.raises(error):
        Run(tmp_path, (1, 9), batches, "run 2").claim()


class Interleaving:
    """Lets two threads run their steps in a given order."""

    def __init__(self, order: list[int]) -> None:
        self._order = list(order)
        self._ended: set[int] = set()
        self._change = threading.Condition()

    def step(self, who: int) -> None:
        """Wait until it is this thread's step."""
        with self._change:
            while self._order and self._order[0] != who and 1 - who not in self._ended:
                assert self._change.wait(10)
            if self._order and self._order[0] == who:
                self._order.pop(0)
            self._change.notify_all()

    def end(self, who: int) -> None:
        """Let the other thread run without waiting for this one."""
        with self._change:
            self._ended.add(who)
            self._change.notify_all()


@settings(max_examples=60, deadline=None)
@given(order=st.lists(st.integers(0, 1), max_size=14), shared=st.integers(1, 3))
def test_at_most_one_of_two_concurrent_claims_succeeds(tmp_path_factory, order, shared):
    """Whatever the order of their reads and writes, both may stop, but never do both continue."""
    path, interleaving, batches = tmp_path_factory.mktemp("registry"), Interleaving(order), Batches()
    runs = [Run(path, range(3), batches, "run 0"), Run(path, range(3 - shared, 6 - shared), batches, "run 1")]
    continued: list[int] = []

    def act(who: int) -> None:
        folder = runs[who].registry._folder
        for name in ("write", "read", "list_names"):
            real = getattr(folder, name)
            setattr(folder, name, lambda *args, real=real: (interleaving.step(who), real(*args))[1])
        try:
            if runs[who].claim() is None:
                continued.append(who)
        except (AlreadySubmittedError, ConcurrentSubmissionError):
            pass
        finally:
            interleaving.end(who)

    threads = [threading.Thread(target=act, args=(who,)) for who in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(continued) <= 1
    if not continued:  # a later try of either continues
        again = Run(path, range(3), batches, "run 0")
        assert again.claim() is None
