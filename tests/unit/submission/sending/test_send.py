from __future__ import annotations

import itertools
import logging
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import (
    ArmConfigurationError,
    ArmError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmUnavailableError,
    ArmUnknownOutcomeError,
    ArmValidationError,
    InvalidRecordError,
    Phase,
)
from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import JournalError, PlanChangedError, ResolutionRequiredError
from airflow_provider_arm.submission.journal.entries import ChunkState, MemoryJournal
from airflow_provider_arm.submission.sending.transitions import state_after
from tests.unit.submission.fake_arm import (
    JOURNAL_FAILURES,
    SUBMIT_OUTCOMES,
    FakeArm,
    FakeJournal,
    assert_journaled_before_each_submit,
    attempt_result,
    run_attempt,
)
from tests.unit.submission.records import CANARY, DOCUMENTS, document

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState
#: The same records by an operation that may be repeated, and by one that must never be.
SAFE = replace(DOCUMENTS, replay=Replay.SAFE)
NEVER = replace(DOCUMENTS, replay=Replay.NEVER)
THREE = [document(number) for number in (1, 2, 3)]


@pytest.fixture
def arm() -> FakeArm:
    """An ARM that has seen nothing."""
    return FakeArm()


@pytest.fixture
def journal(arm: FakeArm) -> FakeJournal:
    """An empty journal."""
    return FakeJournal(arm)


# ---- one attempt


def test_every_chunk_is_sent_once_in_order(arm, journal):
    """The batchUuids come back in the order of the chunks, and each line says so."""
    assert run_attempt(arm, journal, THREE) == ["Batch-0", "Batch-1", "Batch-2"]
    assert arm.submits() == [{"1"}, {"2"}, {"3"}]
    assert journal.states() == [ACCEPTED] * 3
    assert [journal.read(index).batch_uuid for index in range(3)] == ["Batch-0", "Batch-1", "Batch-2"]
    assert_journaled_before_each_submit(arm)


def test_a_retry_of_a_success_sends_nothing(arm, journal):
    """The same wish finds its batches again, without a look at ARM."""
    uuids = run_attempt(arm, journal, THREE)
    events = len(arm.events)
    assert run_attempt(arm, journal, THREE) == uuids
    assert len(arm.events) == events


def test_a_journal_in_memory_does_as_well_within_one_attempt(arm):
    """Without a store the first attempt is the same."""
    assert run_attempt(arm, MemoryJournal(), THREE) == ["Batch-0", "Batch-1", "Batch-2"]


def test_nothing_of_a_record_is_kept_or_logged(arm, journal, caplog):
    """Journal and log have numbers, hashes and batchUuids only."""
    caplog.set_level(logging.DEBUG)
    arm.outcomes = [None, "answer lost"]
    blocked = attempt_result(arm, journal, [document(n, customerNo=CANARY, ledgerNote=CANARY) for n in (1, 2)])
    assert isinstance(blocked, ResolutionRequiredError)
    assert CANARY not in "".join([*journal.stored.values(), caplog.text, str(blocked)])


# ---- the journal fails


@settings(max_examples=120, deadline=None)
@given(
    fail_at=st.integers(0, 9),
    failure=st.sampled_from(JOURNAL_FAILURES),
    endings=st.lists(st.sampled_from([None, *SUBMIT_OUTCOMES]), max_size=3),
    size=st.integers(1, 3),
)
def test_nothing_is_sent_that_the_journal_does_not_know(fail_at, failure, endings, size):
    """Wherever a write fails or kills the process: a submit follows its kept line, and no chunk goes twice."""
    arm = FakeArm(outcomes=list(endings))
    journal = FakeJournal(arm, fail_at=fail_at, failure=failure)
    for _ in range(6):
        attempt_result(arm, journal, THREE, size=size)
        assert_journaled_before_each_submit(arm)
    assert all(count == 1 for count in arm.effects().values())


@pytest.mark.parametrize("fail_at", range(7))
def test_a_journal_that_cannot_be_written_stops_before_the_next_chunk(arm, journal, fail_at):
    """Writes are plan, then sending and accepted of each chunk: those before the failure are sent and none after."""
    journal.fail_at = fail_at
    result = attempt_result(arm, journal, THREE)
    assert isinstance(result, JournalError)
    assert len(arm.submits()) == fail_at // 2


def test_a_full_disk_sends_nothing_however_often_it_is_tried(arm):
    """No retry gets around it."""
    for _ in range(3):
        journal = FakeJournal(arm, fail_at=0)
        assert isinstance(attempt_result(arm, journal, THREE), JournalError)
    assert arm.submits() == []


def test_a_batch_whose_line_cannot_be_kept_is_still_named_in_the_log(arm, journal, caplog):
    """ARM lists no batches: a batchUuid that nobody wrote down is lost for the person who has to look."""
    caplog.set_level(logging.INFO, "airflow_provider_arm")
    journal.fail_at = 2
    assert isinstance(attempt_result(arm, journal, THREE), JournalError)
    assert "Batch-0" in caplog.text
    assert isinstance(attempt_result(arm, journal, THREE), ResolutionRequiredError)
    assert arm.submits() == [{"1"}, {"2"}, {"3"}]


@pytest.mark.parametrize("spoiled", ["plan", 0, 1])
def test_a_spoiled_line_stops_before_anything_is_sent_that_it_tells_of(arm, journal, spoiled):
    """What was sent before is not known, so nothing is."""
    arm.outcomes = [None, None, "not sent"]
    attempt_result(arm, journal, THREE)
    journal.stored[spoiled] = "[]"
    before = len(arm.submits())
    assert isinstance(attempt_result(arm, journal, THREE), JournalError)
    assert len(arm.submits()) == before


# ---- what an error tells of a chunk


@pytest.mark.parametrize(
    "ending", [name for name, (error, _, _) in SUBMIT_OUTCOMES.items() if isinstance(error, ArmError)]
)
@pytest.mark.parametrize("operation", [DOCUMENTS, NEVER, SAFE], ids=["by key", "never", "safe"])
def test_after_an_error_the_line_says_what_is_known(arm, journal, ending, operation):
    """Each kind of error at the second chunk: its state, what is raised, and that later chunks wait."""
    error, _, state = SUBMIT_OUTCOMES[ending]
    arm.outcomes = [None, ending]
    raised = attempt_result(arm, journal, THREE, operation=operation)
    assert journal.states() == [ACCEPTED, state]
    assert journal.read(1).reason == str(error)
    assert len(arm.submits()) == 2
    if state is UNKNOWN and operation is not SAFE:
        assert isinstance(raised, ResolutionRequiredError)
        assert str(error) in str(raised)
    else:
        assert raised is error


@pytest.mark.parametrize("ending", SUBMIT_OUTCOMES)
@pytest.mark.parametrize("operation", [DOCUMENTS, NEVER, SAFE], ids=["by key", "never", "safe"])
def test_a_restart_sends_only_what_is_known_not_to_have_arrived(arm, journal, ending, operation):
    """After any end of the second chunk the next attempts send it if that is safe, and else end blocked, for good."""
    _, _, state = SUBMIT_OUTCOMES[ending]
    arm.outcomes = [None, ending]
    attempt_result(arm, journal, THREE, operation=operation)
    results = [attempt_result(arm, journal, THREE, operation=operation) for _ in range(3)]
    if state in (SENDING, UNKNOWN) and operation is not SAFE:
        assert [type(result) for result in results] == [ResolutionRequiredError] * 3
        assert arm.submits() == [{"1"}, {"2"}, {"3"}]  # what is open holds up nobody else
        assert "rows 2 to 2" in str(results[0])
    else:
        assert results[0] == results[1] == results[2]
        assert len(results[0]) == 3
        assert arm.submits() == [{"1"}, {"2"}, {"2"}, {"3"}]


@pytest.mark.parametrize("ending", ["answer lost", "unreadable", "killed after"])
def test_the_author_may_have_it_sent_again(arm, journal, ending):
    """on_unknown_outcome="resend" is asked for by a person, and sends what is unknown once more, not the rest."""
    arm.outcomes = [None, ending]
    attempt_result(arm, journal, THREE)
    assert len(run_attempt(arm, journal, THREE, resend=True)) == 3
    assert arm.effects() == {"1": 1, "2": 2, "3": 1}
    assert len(run_attempt(arm, journal, THREE, resend=True)) == 3
    assert arm.effects() == {"1": 1, "2": 2, "3": 1}


PHASES = [None, *Phase]
#: An invalid record is found before anything is sent, and its error takes other arguments.
KINDS = [
    kind
    for kind in ArmError.__subclasses__()
    if kind.__module__.endswith("client.errors") and kind is not InvalidRecordError
]


@pytest.mark.parametrize(("kind", "phase", "code"), list(itertools.product(KINDS, PHASES, [None, 400, 422, 429, 503])))
def test_only_proof_makes_a_chunk_unsent_or_refused(kind, phase, code):
    """For every error there is: planned needs proof that nothing left, refused ARM's word; all else is unknown."""
    error = kind("x", phase=phase, status_code=code)
    state = state_after(error)
    if issubclass(kind, ArmUnknownOutcomeError | ArmInvalidResponseError) or (
        phase is Phase.MAYBE_SENT and code != 429
    ):
        assert state is UNKNOWN
    elif phase in (None, Phase.NOT_SENT) or code == 429:
        assert state is PLANNED
    else:
        assert state is (REFUSED if kind.permanent else UNKNOWN)


# ---- killed


@pytest.mark.parametrize("failure", ["killed before", "killed after"])
@pytest.mark.parametrize("fail_at", range(7))
def test_killed_in_any_write_no_chunk_goes_twice(arm, journal, fail_at, failure):
    """A process that ends in any write and is started again: every document at most once, and none forgotten."""
    journal.fail_at, journal.failure = fail_at, failure
    assert isinstance(attempt_result(arm, journal, THREE), KeyboardInterrupt | SystemExit)
    results = [attempt_result(arm, journal, THREE) for _ in range(3)]
    assert set(arm.effects().values()) <= {1}
    if isinstance(results[-1], list):
        assert arm.effects() == {"1": 1, "2": 1, "3": 1}
    else:
        assert [type(result) for result in results] == [ResolutionRequiredError] * 3
        assert UNKNOWN in journal.states()


# ---- a cleared task


def test_a_clear_follows_what_is_in_work_and_sends_customers_anew(arm, journal):
    """A person's wish for a new run: finished batches of what may be repeated go again, one in flight never."""
    first = run_attempt(arm, journal, THREE, operation=SAFE)
    arm.batches["Batch-0"].finished = arm.batches["Batch-2"].finished = True
    second = run_attempt(arm, journal, THREE, clear_count=1, operation=SAFE)
    assert second == ["Batch-3", "Batch-1", "Batch-4"]
    assert first[1] == second[1]
    assert run_attempt(arm, journal, THREE, clear_count=1, operation=SAFE) == second
    assert len(arm.submits()) == 5


@pytest.mark.parametrize("operation", [DOCUMENTS, NEVER])
def test_a_clear_never_posts_again_what_arm_has_taken(arm, journal, operation, caplog):
    """However often a finished submission of documents is cleared, it is followed and not sent; the log says why."""
    caplog.set_level(logging.INFO)
    first = run_attempt(arm, journal, THREE, operation=operation)
    for batch in arm.batches.values():
        batch.finished = True
    for clear_count in (1, 2, 3):
        assert run_attempt(arm, journal, THREE, clear_count=clear_count, operation=operation) == first
    assert arm.effects() == {"1": 1, "2": 1, "3": 1}
    assert "a repeat would book twice" in caplog.text


def test_a_clear_sends_anew_what_arm_rejected_as_a_whole(arm, journal):
    """A batch of which ARM took nothing may go again, and only that one."""
    run_attempt(arm, journal, THREE)
    for batch in arm.batches.values():
        batch.finished = True
    arm.batches["Batch-1"].rejected = True
    assert run_attempt(arm, journal, THREE, clear_count=1) == ["Batch-0", "Batch-3", "Batch-2"]
    assert arm.effects() == {"1": 1, "2": 1, "3": 1}


def test_a_batch_that_was_taken_over_belongs_to_the_new_wish(arm, journal):
    """Once followed by the cleared run it is that run's own, also when it has finished since."""
    run_attempt(arm, journal, THREE)
    run_attempt(arm, journal, THREE, clear_count=1)
    for batch in arm.batches.values():
        batch.finished = True
    assert run_attempt(arm, journal, THREE, clear_count=1) == ["Batch-0", "Batch-1", "Batch-2"]
    assert len(arm.submits()) == 3


def test_a_clear_does_not_release_what_is_unknown(arm, journal):
    """No number of clears makes an unknown chunk go again."""
    arm.outcomes = [None, "answer lost"]
    attempt_result(arm, journal, THREE)
    arm.batches["Batch-0"].finished = True
    for clear_count in (1, 2, 3):
        assert isinstance(attempt_result(arm, journal, THREE, clear_count=clear_count), ResolutionRequiredError)
        arm.batches[journal.read(0).batch_uuid].finished = True
    assert arm.effects()["2"] == 1


def test_a_clear_while_arm_cannot_be_asked_sends_nothing(arm, journal):
    """Whether the old batch is finished is not known, so it is not sent anew."""
    run_attempt(arm, journal, THREE)
    arm.is_down = True
    assert isinstance(attempt_result(arm, journal, THREE, clear_count=1), ArmUnavailableError)
    assert len(arm.submits()) == 3


def test_an_accepted_line_without_a_batch_blocks(arm, journal):
    """There is nothing to follow, so a person looks."""
    run_attempt(arm, journal, THREE)
    journal.write(replace(journal.read(1), batch_uuid=None))
    assert isinstance(attempt_result(arm, journal, THREE), ResolutionRequiredError)
    assert len(arm.submits()) == 3


# ---- a source that changed


@pytest.mark.parametrize("records", [THREE[:2], [*THREE, document(4)], [THREE[0], document(9), THREE[2]], THREE[::-1]])
@pytest.mark.parametrize("ending", [None, "not sent", "answer lost", "killed before"])
def test_other_records_in_a_retry_are_an_error(arm, journal, records, ending):
    """Within one wish the plan is fixed, whatever became of its chunks."""
    arm.outcomes = [None, ending]
    attempt_result(arm, journal, THREE)
    before = len(arm.submits())
    assert isinstance(attempt_result(arm, journal, records), PlanChangedError)
    assert len(arm.submits()) == before


def test_a_clear_with_other_records_sends_them_once_all_is_finished(arm, journal):
    """A new wish may have new content when the old batches are done with; fewer chunks too."""
    run_attempt(arm, journal, THREE, operation=SAFE)
    for batch in arm.batches.values():
        batch.finished = True
    assert len(run_attempt(arm, journal, [document(8), document(9)], clear_count=1, operation=SAFE)) == 2
    assert arm.effects() == {"1": 1, "2": 1, "3": 1, "8": 1, "9": 1}


@pytest.mark.parametrize("records", [[document(8), document(9)], THREE[::-1], [document(9), *THREE], THREE[:2]])
def test_a_clear_with_other_documents_is_an_error_once_some_were_taken(arm, journal, records):
    """Some of them may have been posted under another chunk: a new run is for new content, a clear is not."""
    run_attempt(arm, journal, THREE)
    for batch in arm.batches.values():
        batch.finished = True
    assert isinstance(attempt_result(arm, journal, records, clear_count=1), PlanChangedError)
    assert arm.effects() == {"1": 1, "2": 1, "3": 1}


@pytest.mark.parametrize("open_at", [0, 1, 2])
@pytest.mark.parametrize("kind", ["in work", "unknown"])
@pytest.mark.parametrize(
    "records",
    [THREE[:1], THREE[1:], THREE[2:], THREE[::-1], [document(9), *THREE], [THREE[2], THREE[0], THREE[1]]],
    ids=lambda records: "-".join(record["documentNo"] for record in records),
)
def test_a_clear_with_moved_records_doubles_none_that_is_open(arm, journal, records, kind, open_at):
    """A record that another chunk's open batch may hold is not sent under a new chunk's number."""
    arm.outcomes = ["answer lost" if kind == "unknown" and index == open_at else None for index in range(3)]
    attempt_result(arm, journal, THREE)
    if kind == "unknown" and open_at < 2:  # what comes after waits; let it be sent by itself
        arm.outcomes = []
    for batch in arm.batches.values():
        batch.finished = next(iter(batch.keys)) != str(open_at + 1)
    result = attempt_result(arm, journal, records, clear_count=1)
    assert set(arm.effects().values()) == {1}
    assert isinstance(result, ResolutionRequiredError | PlanChangedError)


@pytest.mark.parametrize("ending", ["answer lost", "killed after"])
@pytest.mark.parametrize("records", [THREE[1:], [THREE[1], THREE[0], THREE[2]], [document(9), *THREE]])
def test_leave_to_send_again_is_no_leave_for_something_else(arm, journal, records, ending):
    """With the author's leave an unknown chunk goes again as it was; moved into another chunk it does not."""
    arm.outcomes = [None, ending]
    attempt_result(arm, journal, THREE)
    for batch in arm.batches.values():
        batch.finished = batch.rejected = "2" not in batch.keys
    assert isinstance(attempt_result(arm, journal, records, clear_count=1, resend=True), PlanChangedError)
    assert arm.effects() == {"2": 1}
    assert len(run_attempt(arm, journal, THREE, clear_count=1, resend=True)) == 3


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_clear_with_another_chunk_size_doubles_none_that_is_open(arm, journal, size):
    """Cut otherwise, the same records are still in flight."""
    run_attempt(arm, journal, THREE, size=2)
    result = attempt_result(arm, journal, THREE, clear_count=1, size=size)
    assert result == ["Batch-0", "Batch-1"] if size == 2 else isinstance(result, PlanChangedError)
    assert set(arm.effects().values()) == {1}


@pytest.mark.parametrize("kind", ["in work", "unknown"])
def test_a_plan_that_shrinks_leaves_no_open_chunk_behind(arm, journal, kind):
    """The chunks that there are no more must be finished, or the new plan does not begin."""
    arm.outcomes = [None, None, "answer lost" if kind == "unknown" else None]
    attempt_result(arm, journal, THREE)
    arm.batches["Batch-0"].finished = arm.batches["Batch-1"].finished = True
    for _ in range(2):
        assert isinstance(attempt_result(arm, journal, THREE[:2], clear_count=1), PlanChangedError)
    assert len(arm.submits()) == 3
    if kind == "in work":
        arm.batches["Batch-2"].finished = arm.batches["Batch-2"].rejected = True
        assert run_attempt(arm, journal, THREE[:2], clear_count=1) == ["Batch-0", "Batch-1"]


def test_chunks_that_were_never_sent_do_not_hold_a_smaller_plan(arm, journal):
    """Refused and planned chunks are no one's debt."""
    arm.outcomes = [None, None, "refused"]
    attempt_result(arm, journal, THREE)
    arm.batches["Batch-0"].finished = arm.batches["Batch-1"].finished = True
    assert len(run_attempt(arm, journal, THREE[:2], clear_count=1)) == 2


def test_an_operation_that_may_be_repeated_is_not_held_by_what_is_unknown(arm, journal):
    """A customer may be written again: an unknown chunk that is no longer planned is passed over."""
    arm.outcomes = [None, "answer lost"]
    assert isinstance(attempt_result(arm, journal, THREE, operation=SAFE), ArmUnknownOutcomeError)
    arm.batches["Batch-0"].finished = True
    assert len(run_attempt(arm, journal, THREE[:1], clear_count=1, operation=SAFE)) == 1


def test_the_messages_say_what_to_do(arm, journal):
    """A person reads which rows, why, and what the two ways out are."""
    arm.outcomes = ["answer lost"]
    blocked = str(attempt_result(arm, journal, THREE, size=2))
    assert blocked.startswith("chunk 1 (rows 1 to 2) may or may not have reached ARM (lost). It is not sent again.")
    assert 'on_unknown_outcome="resend"' in blocked
    changed = str(attempt_result(arm, journal, THREE[1:], size=2))
    assert "nothing more is sent. Restore the source, or trigger a new run" in changed
    assert {ArmConfigurationError, ArmValidationError, ArmNotFoundError} <= set(KINDS)


@pytest.mark.parametrize("clear_count", [0, 1])
@pytest.mark.parametrize("state", [ACCEPTED, SENDING, UNKNOWN])
def test_lines_without_their_plan_still_stop_other_content(arm, journal, clear_count, state):
    """Where somebody has removed the plan's line, each chunk's own line is enough not to send over it."""
    run_attempt(arm, journal, THREE)
    journal.write(journal.read(0).to(state))
    del journal.stored["plan"]
    result = attempt_result(arm, journal, [document(8), document(9)], clear_count=clear_count)
    assert isinstance(result, PlanChangedError)
    assert len(arm.submits()) == 3
