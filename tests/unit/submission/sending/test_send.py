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
from airflow_provider_arm.submission.sending.transitions import state_after_failure
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

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState
#: The same records by an operation that may be repeated, and by one that must never be.
SAFE = replace(DOCUMENTS, replay=Replay.SAFE)
NEVER = replace(DOCUMENTS, replay=Replay.NEVER)
THREE = [document(number) for number in (1, 2, 3)]


@pytest.fixture
def arm() -> FakeArm:
    """Return an ARM without batches."""
    return FakeArm()


@pytest.fixture
def journal(arm: FakeArm) -> FakeJournal:
    """Return an empty journal."""
    return FakeJournal(arm)


# ---- one attempt


def test_every_chunk_is_sent_once_in_order(arm, journal):
    """The batchUuids are returned in the order of the chunks, and each entry has its own."""
    assert run_attempt(arm, journal, THREE) == ["Batch-0", "Batch-1", "Batch-2"]
    assert arm.submits() == [{"1"}, {"2"}, {"3"}]
    assert journal.states() == [ACCEPTED] * 3
    assert [journal.read(index).batch_uuid for index in range(3)] == ["Batch-0", "Batch-1", "Batch-2"]
    assert_journaled_before_each_submit(arm)


def test_retry_after_success_sends_nothing(arm, journal):
    """A retry returns the batches of the journal, without a request to ARM."""
    uuids = run_attempt(arm, journal, THREE)
    events = len(arm.events)
    assert run_attempt(arm, journal, THREE) == uuids
    assert len(arm.events) == events


def test_memory_journal_is_sufficient_within_one_try(arm):
    """Without a store the first try is the same."""
    assert run_attempt(arm, MemoryJournal(), THREE) == ["Batch-0", "Batch-1", "Batch-2"]


def test_journal_log_and_error_contain_nothing_of_a_record(arm, journal, caplog):
    """They contain only numbers, hashes and batchUuids."""
    caplog.set_level(logging.DEBUG)
    arm.outcomes = [None, "response lost"]
    blocked = attempt_result(arm, journal, [document(n, customerNo=CANARY, ledgerNote=CANARY) for n in (1, 2)])
    assert isinstance(blocked, ResolutionRequiredError)
    assert CANARY not in "".join([*journal.stored.values(), caplog.text, str(blocked)])


# ---- the journal fails


@settings(max_examples=120, deadline=None)
@given(
    fail_at=st.integers(0, 9),
    failure=st.sampled_from(JOURNAL_FAILURES),
    outcomes=st.lists(st.sampled_from([None, *SUBMIT_OUTCOMES]), max_size=3),
    size=st.integers(1, 3),
)
def test_no_chunk_is_sent_without_journal_entry(fail_at, failure, outcomes, size):
    """Wherever a write fails or the process dies: each submit follows its written entry, and no chunk is sent twice."""
    arm = FakeArm(outcomes=list(outcomes))
    journal = FakeJournal(arm, fail_at=fail_at, failure=failure)
    for _ in range(6):
        attempt_result(arm, journal, THREE, size=size)
        assert_journaled_before_each_submit(arm)
    assert all(count == 1 for count in arm.effects().values())


@pytest.mark.parametrize("fail_at", range(7))
def test_journal_failure_stops_before_the_next_chunk(arm, journal, fail_at):
    """The writes are the plan, then SENDING and ACCEPTED per chunk: chunks before the failure are sent, none after."""
    journal.fail_at = fail_at
    result = attempt_result(arm, journal, THREE)
    assert isinstance(result, JournalError)
    assert len(arm.submits()) == fail_at // 2


def test_retries_send_nothing_while_journal_cannot_be_written(arm):
    """Every retry stops at the journal."""
    for _ in range(3):
        journal = FakeJournal(arm, fail_at=0)
        assert isinstance(attempt_result(arm, journal, THREE), JournalError)
    assert arm.submits() == []


def test_batch_uuid_is_logged_when_its_entry_cannot_be_written(arm, journal, caplog):
    """ARM lists no batches: without the log, a manual resolution could not find the batchUuid."""
    caplog.set_level(logging.INFO, "airflow_provider_arm")
    journal.fail_at = 2
    assert isinstance(attempt_result(arm, journal, THREE), JournalError)
    assert "Batch-0" in caplog.text
    assert isinstance(attempt_result(arm, journal, THREE), ResolutionRequiredError)
    assert arm.submits() == [{"1"}, {"2"}, {"3"}]


@pytest.mark.parametrize("damaged", ["plan", 0, 1])
def test_damaged_entry_stops_the_try(arm, journal, damaged):
    """What was sent before is not known, so nothing more is sent."""
    arm.outcomes = [None, None, "not sent"]
    attempt_result(arm, journal, THREE)
    journal.stored[damaged] = "[]"
    before = len(arm.submits())
    assert isinstance(attempt_result(arm, journal, THREE), JournalError)
    assert len(arm.submits()) == before


# ---- state after an error


@pytest.mark.parametrize(
    "outcome", [name for name, (error, _, _) in SUBMIT_OUTCOMES.items() if isinstance(error, ArmError)]
)
@pytest.mark.parametrize("operation", [DOCUMENTS, NEVER, SAFE], ids=["by key", "never", "safe"])
def test_entry_after_error_has_known_state_and_reason(arm, journal, outcome, operation):
    """Each error at the second chunk: its state, the raised error, and that later chunks are not sent."""
    error, _, state = SUBMIT_OUTCOMES[outcome]
    arm.outcomes = [None, outcome]
    raised = attempt_result(arm, journal, THREE, operation=operation)
    assert journal.states() == [ACCEPTED, state]
    assert journal.read(1).reason == str(error)
    assert len(arm.submits()) == 2
    if state is UNKNOWN and operation is not SAFE:
        assert isinstance(raised, ResolutionRequiredError)
        assert str(error) in str(raised)
    else:
        assert raised is error


@pytest.mark.parametrize("outcome", SUBMIT_OUTCOMES)
@pytest.mark.parametrize("operation", [DOCUMENTS, NEVER, SAFE], ids=["by key", "never", "safe"])
def test_retry_sends_only_chunks_that_certainly_did_not_arrive(arm, journal, outcome, operation):
    """After any outcome of the second chunk, later tries send it if that is safe, else they always fail."""
    _, _, state = SUBMIT_OUTCOMES[outcome]
    arm.outcomes = [None, outcome]
    attempt_result(arm, journal, THREE, operation=operation)
    results = [attempt_result(arm, journal, THREE, operation=operation) for _ in range(3)]
    if state in (SENDING, UNKNOWN) and operation is not SAFE:
        assert [type(result) for result in results] == [ResolutionRequiredError] * 3
        assert arm.submits() == [{"1"}, {"2"}, {"3"}]  # an unresolved chunk does not stop the others
        assert "rows 2 to 2" in str(results[0])
    else:
        assert results[0] == results[1] == results[2]
        assert len(results[0]) == 3
        assert arm.submits() == [{"1"}, {"2"}, {"2"}, {"3"}]


@pytest.mark.parametrize("outcome", ["response lost", "unreadable", "killed after"])
def test_resend_sends_unknown_chunk_once_more(arm, journal, outcome):
    """on_unknown_outcome="resend" sends a chunk with an unknown outcome once more, and no other chunk."""
    arm.outcomes = [None, outcome]
    attempt_result(arm, journal, THREE)
    assert len(run_attempt(arm, journal, THREE, resend=True)) == 3
    assert arm.effects() == {"1": 1, "2": 2, "3": 1}
    assert len(run_attempt(arm, journal, THREE, resend=True)) == 3
    assert arm.effects() == {"1": 1, "2": 2, "3": 1}


PHASES = [None, *Phase]
#: Without InvalidRecordError: it is raised before anything is sent, and has other arguments.
ERROR_TYPES = [
    error_type
    for error_type in ArmError.__subclasses__()
    if error_type.__module__.endswith("client.errors") and error_type is not InvalidRecordError
]


@pytest.mark.parametrize(
    ("error_type", "phase", "code"), list(itertools.product(ERROR_TYPES, PHASES, [None, 400, 422, 429, 503]))
)
def test_chunk_is_planned_or_refused_only_with_proof(error_type, phase, code):
    """For every error: PLANNED needs proof that nothing was sent, REFUSED ARM's response; all else is UNKNOWN."""
    error = error_type("x", phase=phase, status_code=code)
    state = state_after_failure(error)
    if issubclass(error_type, ArmUnknownOutcomeError | ArmInvalidResponseError) or (
        phase is Phase.MAYBE_SENT and code != 429
    ):
        assert state is UNKNOWN
    elif phase in (None, Phase.NOT_SENT) or code == 429:
        assert state is PLANNED
    else:
        assert state is (REFUSED if error_type.permanent else UNKNOWN)


# ---- killed


@pytest.mark.parametrize("failure", ["killed before", "killed after"])
@pytest.mark.parametrize("fail_at", range(7))
def test_no_chunk_is_sent_twice_when_killed_in_any_write(arm, journal, fail_at, failure):
    """After a kill in any write and restarts, every document takes effect at most once, and none is forgotten."""
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


def test_clear_follows_pending_batches_and_sends_finished_customers_again(arm, journal):
    """After a clear, finished batches that may be repeated are sent again, a pending batch never."""
    first = run_attempt(arm, journal, THREE, operation=SAFE)
    arm.batches["Batch-0"].finished = arm.batches["Batch-2"].finished = True
    second = run_attempt(arm, journal, THREE, clear_count=1, operation=SAFE)
    assert second == ["Batch-3", "Batch-1", "Batch-4"]
    assert first[1] == second[1]
    assert run_attempt(arm, journal, THREE, clear_count=1, operation=SAFE) == second
    assert len(arm.submits()) == 5


@pytest.mark.parametrize("operation", [DOCUMENTS, NEVER])
def test_clear_never_sends_accepted_documents_again(arm, journal, operation, caplog):
    """However often it is cleared, a finished submission of documents is only followed; the log has the reason."""
    caplog.set_level(logging.INFO)
    first = run_attempt(arm, journal, THREE, operation=operation)
    for batch in arm.batches.values():
        batch.finished = True
    for clear_count in (1, 2, 3):
        assert run_attempt(arm, journal, THREE, clear_count=clear_count, operation=operation) == first
    assert arm.effects() == {"1": 1, "2": 1, "3": 1}
    assert "a repeat would book twice" in caplog.text


def test_clear_sends_a_wholly_rejected_batch_again(arm, journal):
    """A batch that ARM rejected as a whole is sent again, and only that one."""
    run_attempt(arm, journal, THREE)
    for batch in arm.batches.values():
        batch.finished = True
    arm.batches["Batch-1"].rejected = True
    assert run_attempt(arm, journal, THREE, clear_count=1) == ["Batch-0", "Batch-3", "Batch-2"]
    assert arm.effects() == {"1": 1, "2": 1, "3": 1}


def test_batch_followed_after_clear_belongs_to_the_new_clear_count(arm, journal):
    """Once the cleared task follows a batch, its retries do too, also when the batch has finished since."""
    run_attempt(arm, journal, THREE)
    run_attempt(arm, journal, THREE, clear_count=1)
    for batch in arm.batches.values():
        batch.finished = True
    assert run_attempt(arm, journal, THREE, clear_count=1) == ["Batch-0", "Batch-1", "Batch-2"]
    assert len(arm.submits()) == 3


def test_clear_does_not_resolve_unknown_chunk(arm, journal):
    """No number of clears sends a chunk with an unknown outcome again."""
    arm.outcomes = [None, "response lost"]
    attempt_result(arm, journal, THREE)
    arm.batches["Batch-0"].finished = True
    for clear_count in (1, 2, 3):
        assert isinstance(attempt_result(arm, journal, THREE, clear_count=clear_count), ResolutionRequiredError)
        arm.batches[journal.read(0).batch_uuid].finished = True
    assert arm.effects()["2"] == 1


def test_clear_sends_nothing_when_poll_fails(arm, journal):
    """Whether the old batch is finished is not known, so it is not sent again."""
    run_attempt(arm, journal, THREE)
    arm.is_down = True
    assert isinstance(attempt_result(arm, journal, THREE, clear_count=1), ArmUnavailableError)
    assert len(arm.submits()) == 3


def test_accepted_entry_without_batch_uuid_requires_resolution(arm, journal):
    """There is no batch to follow, so it needs a manual resolution."""
    run_attempt(arm, journal, THREE)
    journal.write(replace(journal.read(1), batch_uuid=None))
    assert isinstance(attempt_result(arm, journal, THREE), ResolutionRequiredError)
    assert len(arm.submits()) == 3


# ---- a source that changed


@pytest.mark.parametrize("records", [THREE[:2], [*THREE, document(4)], [THREE[0], document(9), THREE[2]], THREE[::-1]])
@pytest.mark.parametrize("outcome", [None, "not sent", "response lost", "killed before"])
def test_retry_raises_when_records_changed(arm, journal, records, outcome):
    """Until a clear the plan is fixed, whatever became of its chunks."""
    arm.outcomes = [None, outcome]
    attempt_result(arm, journal, THREE)
    before = len(arm.submits())
    assert isinstance(attempt_result(arm, journal, records), PlanChangedError)
    assert len(arm.submits()) == before


def test_clear_sends_changed_customers_when_all_batches_are_finished(arm, journal):
    """After a clear the content may be new, and have fewer chunks, if the old batches are finished."""
    run_attempt(arm, journal, THREE, operation=SAFE)
    for batch in arm.batches.values():
        batch.finished = True
    assert len(run_attempt(arm, journal, [document(8), document(9)], clear_count=1, operation=SAFE)) == 2
    assert arm.effects() == {"1": 1, "2": 1, "3": 1, "8": 1, "9": 1}


@pytest.mark.parametrize("records", [[document(8), document(9)], THREE[::-1], [document(9), *THREE], THREE[:2]])
def test_clear_raises_when_documents_changed_after_some_were_accepted(arm, journal, records):
    """Some of them may have been sent in another chunk: new content needs a new run."""
    run_attempt(arm, journal, THREE)
    for batch in arm.batches.values():
        batch.finished = True
    assert isinstance(attempt_result(arm, journal, records, clear_count=1), PlanChangedError)
    assert arm.effects() == {"1": 1, "2": 1, "3": 1}


@pytest.mark.parametrize("unfinished", [0, 1, 2])
@pytest.mark.parametrize("kind", ["pending", "unknown"])
@pytest.mark.parametrize(
    "records",
    [THREE[:1], THREE[1:], THREE[2:], THREE[::-1], [document(9), *THREE], [THREE[2], THREE[0], THREE[1]]],
    ids=lambda records: "-".join(record["documentNo"] for record in records),
)
def test_clear_raises_when_records_of_an_unfinished_chunk_moved(arm, journal, records, kind, unfinished):
    """A record that an unfinished or unknown batch may contain is not sent in another chunk."""
    arm.outcomes = ["response lost" if kind == "unknown" and index == unfinished else None for index in range(3)]
    attempt_result(arm, journal, THREE)
    if kind == "unknown" and unfinished < 2:  # the chunks after it are sent by the next try
        arm.outcomes = []
    for batch in arm.batches.values():
        batch.finished = next(iter(batch.keys)) != str(unfinished + 1)
    result = attempt_result(arm, journal, records, clear_count=1)
    assert set(arm.effects().values()) == {1}
    assert isinstance(result, ResolutionRequiredError | PlanChangedError)


@pytest.mark.parametrize("outcome", ["response lost", "killed after"])
@pytest.mark.parametrize("records", [THREE[1:], [THREE[1], THREE[0], THREE[2]], [document(9), *THREE]])
def test_resend_does_not_apply_to_changed_content(arm, journal, records, outcome):
    """on_unknown_outcome="resend" sends an unknown chunk again as it was, but not its records in another chunk."""
    arm.outcomes = [None, outcome]
    attempt_result(arm, journal, THREE)
    for batch in arm.batches.values():
        batch.finished = batch.rejected = "2" not in batch.keys
    assert isinstance(attempt_result(arm, journal, records, clear_count=1, resend=True), PlanChangedError)
    assert arm.effects() == {"2": 1}
    assert len(run_attempt(arm, journal, THREE, clear_count=1, resend=True)) == 3


@pytest.mark.parametrize("size", [1, 2, 3])
def test_clear_raises_when_chunk_size_changed_and_batches_are_pending(arm, journal, size):
    """In chunks of another size the same records are still pending."""
    run_attempt(arm, journal, THREE, size=2)
    result = attempt_result(arm, journal, THREE, clear_count=1, size=size)
    assert result == ["Batch-0", "Batch-1"] if size == 2 else isinstance(result, PlanChangedError)
    assert set(arm.effects().values()) == {1}


@pytest.mark.parametrize("kind", ["pending", "unknown"])
def test_clear_raises_when_a_dropped_chunk_is_unfinished(arm, journal, kind):
    """Chunks that the new plan no longer has must be finished before it starts."""
    arm.outcomes = [None, None, "response lost" if kind == "unknown" else None]
    attempt_result(arm, journal, THREE)
    arm.batches["Batch-0"].finished = arm.batches["Batch-1"].finished = True
    for _ in range(2):
        assert isinstance(attempt_result(arm, journal, THREE[:2], clear_count=1), PlanChangedError)
    assert len(arm.submits()) == 3
    if kind == "pending":
        arm.batches["Batch-2"].finished = arm.batches["Batch-2"].rejected = True
        assert run_attempt(arm, journal, THREE[:2], clear_count=1) == ["Batch-0", "Batch-1"]


def test_clear_may_drop_chunks_that_were_never_sent(arm, journal):
    """Refused and planned chunks do not stop a smaller plan."""
    arm.outcomes = [None, None, "refused"]
    attempt_result(arm, journal, THREE)
    arm.batches["Batch-0"].finished = arm.batches["Batch-1"].finished = True
    assert len(run_attempt(arm, journal, THREE[:2], clear_count=1)) == 2


def test_clear_may_drop_unknown_chunk_of_customers(arm, journal):
    """Customers may be written again: an unknown chunk that is no longer planned is ignored."""
    arm.outcomes = [None, "response lost"]
    assert isinstance(attempt_result(arm, journal, THREE, operation=SAFE), ArmUnknownOutcomeError)
    arm.batches["Batch-0"].finished = True
    assert len(run_attempt(arm, journal, THREE[:1], clear_count=1, operation=SAFE)) == 1


def test_errors_name_rows_reason_and_next_step(arm, journal):
    """The messages name the rows, the reason and both options."""
    arm.outcomes = ["response lost"]
    blocked = str(attempt_result(arm, journal, THREE, size=2))
    assert blocked.startswith("chunk 1 (rows 1 to 2) may or may not have reached ARM (lost). It is not sent again.")
    assert 'on_unknown_outcome="resend"' in blocked
    changed = str(attempt_result(arm, journal, THREE[1:], size=2))
    assert "nothing more is sent. Restore the source, or trigger a new run" in changed
    assert {ArmConfigurationError, ArmValidationError, ArmNotFoundError} <= set(ERROR_TYPES)


@pytest.mark.parametrize("clear_count", [0, 1])
@pytest.mark.parametrize("state", [ACCEPTED, SENDING, UNKNOWN])
def test_entries_without_plan_still_stop_other_content(arm, journal, clear_count, state):
    """If the plan's entry was deleted, each chunk's own entry still prevents sending other content."""
    run_attempt(arm, journal, THREE)
    journal.write(journal.read(0).with_state(state))
    del journal.stored["plan"]
    result = attempt_result(arm, journal, [document(8), document(9)], clear_count=clear_count)
    assert isinstance(result, PlanChangedError)
    assert len(arm.submits()) == 3
