"""Single write: whatever happens, it takes effect at most once unless the user chose to send it again."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmError, ArmPermissionError, ArmUnavailableError, InvalidRecordError
from airflow_provider_arm.client.operations import OPERATIONS, Replay
from airflow_provider_arm.submission.errors import (
    JournalError,
    OutcomePendingError,
    PlanChangedError,
    ResendOnRetryError,
    ResolutionRequiredError,
)
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, MemoryJournal, PlanEntry
from airflow_provider_arm.submission.sending.lookup import LookupResult
from airflow_provider_arm.submission.sending.single_write import SingleWrite, fingerprint
from tests.unit.submission.fake_arm import (
    JOURNAL_FAILURES,
    SUBMIT_OUTCOMES,
    FakeArm,
    FakeJournal,
    assert_journaled_before_each_submit,
)
from tests.unit.submission.records import CANARY

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState
BY_KEY = OPERATIONS["create_document"]
NEVER = OPERATIONS["create_auto_postings"]
SAFE = replace(NEVER, replay=Replay.SAFE)
REPLAY_CLASSES = pytest.mark.parametrize("operation", [BY_KEY, NEVER, SAFE], ids=["by key", "never", "safe"])
RESPONSE = {"status": "PROCESSED", "result": "CREATED", "document_no": "1"}


@pytest.fixture
def arm() -> FakeArm:
    """Return an ARM without batches."""
    return FakeArm()


@pytest.fixture
def journal(arm: FakeArm) -> FakeJournal:
    """Return an empty journal."""
    return FakeJournal(arm)


def write(arm, journal, content="1", *, operation=BY_KEY, clear_count=0, resend=False) -> Any:
    """Run one try of the task; return the response."""

    def send() -> dict[str, Any]:
        arm.submit(json.dumps([{"documentNo": content}]).encode())
        return RESPONSE | {"document_no": content}

    sha256 = fingerprint(operation, {}, {"documentNo": content, "ledgerNote": CANARY})
    return SingleWrite(operation, journal, clear_count, f"document {content}", sha256, send, resend).run()


def attempt(*args: Any, **more: Any) -> Any:
    """Run one try; return the response, or the error that ended it."""
    try:
        return write(*args, **more)
    except (ArmError, KeyboardInterrupt, SystemExit, RuntimeError) as error:
        return error


# ---- one try, and its retries


def test_write_is_journalled_before_it_is_sent(arm, journal):
    """The order is: plan, entry in SENDING, request, entry in ACCEPTED with ARM's response."""
    assert write(arm, journal) == RESPONSE
    assert_journaled_before_each_submit(arm)
    entry = journal.read(0)
    assert (entry.state, entry.response) == (ACCEPTED, RESPONSE)
    assert journal.read_plan() == PlanEntry(entry.sha256, 1, 0, {})


@REPLAY_CLASSES
def test_retry_returns_the_stored_response(arm, journal, operation):
    """A retry returns the response of the journal, without a request to ARM."""
    first = write(arm, journal, operation=operation)
    assert [write(arm, journal, operation=operation) for _ in range(3)] == [first] * 3
    assert arm.effects() == {"1": 1}


def test_accepted_entry_without_response_is_not_sent_again(arm, journal):
    """Nothing is sent, and the response is ``None``."""
    write(arm, journal)
    journal.write(journal.read(0).with_state(ACCEPTED, response=None))
    assert write(arm, journal) is None
    assert arm.effects() == {"1": 1}


def test_memory_journal_is_sufficient_within_one_try(arm):
    """Without a store the first try is the same."""
    assert write(arm, MemoryJournal()) == RESPONSE


def test_journal_log_and_error_contain_nothing_of_the_record(arm, journal, caplog):
    """They contain only the name, the hash and the response."""
    caplog.set_level(logging.DEBUG)
    write(arm, journal)
    other = FakeJournal(arm)
    arm.outcomes = ["response lost"]
    blocked = attempt(arm, other)
    assert isinstance(blocked, ResolutionRequiredError)
    assert CANARY not in "".join([*journal.stored.values(), *other.stored.values(), caplog.text, str(blocked)])


# ---- state after an error


@pytest.mark.parametrize(
    "outcome", [name for name, (error, _, _) in SUBMIT_OUTCOMES.items() if isinstance(error, ArmError)]
)
@REPLAY_CLASSES
def test_entry_after_error_has_known_state_and_reason(arm, journal, outcome, operation):
    """Each error: its state, and the raised error."""
    error, _, state = SUBMIT_OUTCOMES[outcome]
    arm.outcomes = [outcome]
    raised = attempt(arm, journal, operation=operation)
    assert (journal.read(0).state, journal.read(0).reason) == (state, str(error))
    if state is UNKNOWN and operation is not SAFE:
        assert isinstance(raised, ResolutionRequiredError)
        assert "document 1 may or may not have reached ARM" in str(raised)
        assert str(error) in str(raised)
    else:
        assert raised is error


@pytest.mark.parametrize("outcome", SUBMIT_OUTCOMES)
@REPLAY_CLASSES
def test_retry_sends_only_write_that_certainly_did_not_arrive(arm, journal, outcome, operation):
    """After any outcome, later tries and clears send it if that is safe, else they always fail."""
    _, _, state = SUBMIT_OUTCOMES[outcome]
    arm.outcomes = [outcome]
    attempt(arm, journal, operation=operation)
    results = [attempt(arm, journal, operation=operation) for _ in range(2)]
    results.append(attempt(arm, journal, operation=operation, clear_count=1 if state in (SENDING, UNKNOWN) else 0))
    if state in (SENDING, UNKNOWN) and operation is not SAFE:
        assert [type(result) for result in results] == [ResolutionRequiredError] * 3
        assert len(arm.submits()) == 1
    else:
        assert results[:2] == [RESPONSE] * 2
        assert not isinstance(results[2], BaseException)


@pytest.mark.parametrize("outcome", ["response lost", "unreadable", "killed after", "503"])
@pytest.mark.parametrize("operation", [BY_KEY, NEVER], ids=["by key", "never"])
def test_resend_sends_unknown_write_once_more(arm, journal, outcome, operation):
    """on_unknown_outcome="resend" sends it once more, and not again after ARM has answered."""
    arm.outcomes = [outcome]
    attempt(arm, journal, operation=operation)
    assert [write(arm, journal, operation=operation, resend=True) for _ in range(2)] == [RESPONSE] * 2
    assert arm.effects() == {"1": 2}


def test_resend_happens_in_the_next_try(arm, journal):
    """With resend, a lost response raises a retryable error that announces the resend."""
    arm.outcomes = ["response lost"]
    raised = attempt(arm, journal, resend=True)
    assert isinstance(raised, ResendOnRetryError)
    assert "next try sends it again" in str(raised)
    assert not raised.permanent


# ---- lookup


def write_with_lookup(arm, journal, result, *, now=0.0, clear_count=0, resend=False) -> Any:
    """Run one try with a lookup; return the response, or the error that ended it.

    :param result: of the lookup: a ``LookupResult``, or the error that it raises.
    """

    def send() -> dict[str, Any]:
        arm.submit(json.dumps([{"documentNo": "1"}]).encode())
        return RESPONSE

    def look_up() -> LookupResult:
        if isinstance(result, ArmError):
            raise result
        arm.events.append(("lookup", result))
        return result

    sha256 = fingerprint(BY_KEY, {}, {"documentNo": "1"})
    single = SingleWrite(
        BY_KEY,
        journal,
        clear_count,
        "document 1",
        sha256,
        send,
        resend,
        look_up,
        assume_absent_after=10.0,
        now=lambda: now,
    )
    try:
        return single.run()
    except ArmError as error:
        return error


MATCHING, ABSENT, CONFLICTING = LookupResult(matching=(1,)), LookupResult(absent=(1,)), LookupResult(conflicting=(1,))


@pytest.mark.parametrize("clear_count", [0, 1])
def test_write_is_recovered_in_the_same_try_when_arm_has_it(arm, journal, clear_count, caplog):
    """The try that lost the response recovers it: no error, no response, and no further lookup or send."""
    arm.outcomes = ["response lost"]
    assert write_with_lookup(arm, journal, MATCHING) is None
    assert "ARM has it nevertheless, not sent again" in caplog.text
    assert journal.states() == [RECOVERED]
    assert write_with_lookup(arm, journal, CONFLICTING, clear_count=clear_count) is None
    assert [kind for kind, _ in arm.events if kind != "written"] == ["submit", "lookup"]


def test_write_is_recovered_by_the_next_try_after_a_kill(arm, journal):
    """A killed try leaves the outcome unknown, and the lookup of the next try decides it."""
    arm.outcomes = ["killed after"]
    with pytest.raises(SystemExit):
        write_with_lookup(arm, journal, MATCHING)
    assert write_with_lookup(arm, journal, MATCHING) is None
    assert (journal.states(), len(arm.submits())) == ([RECOVERED], 1)


def test_absent_document_is_sent_again_after_assume_absent_after(arm, journal):
    """It is unresolved until then and sent once after it; resend does not wait."""
    arm.outcomes = ["request lost"]
    for now in (0.0, 5.0, 9.9):
        assert isinstance(write_with_lookup(arm, journal, ABSENT, now=now), OutcomePendingError)
    assert write_with_lookup(arm, journal, ABSENT, now=10.0) == RESPONSE
    other = FakeJournal(arm)
    arm.outcomes = ["request lost"]
    assert isinstance(write_with_lookup(arm, other, ABSENT, resend=True), ResendOnRetryError)
    assert write_with_lookup(arm, other, ABSENT, resend=True) == RESPONSE


@pytest.mark.parametrize(
    ("result", "error_type"),
    [
        (CONFLICTING, ResolutionRequiredError),
        (ArmUnavailableError("down"), OutcomePendingError),
        (ArmPermissionError("403"), ResolutionRequiredError),
    ],
)
def test_write_stays_unresolved_when_lookup_conflicts_or_fails(arm, journal, result, error_type):
    """With another document under the number, or a failed lookup, it is not sent, however much time passes."""
    arm.outcomes = ["response lost"]
    for now in (0.0, 1e6):
        assert type(write_with_lookup(arm, journal, result, now=now)) is error_type
    assert len(arm.submits()) == 1


# ---- the journal fails


@settings(max_examples=200, deadline=None)
@given(
    fail_at=st.integers(0, 5),
    failure=st.sampled_from(JOURNAL_FAILURES),
    outcomes=st.lists(st.sampled_from([None, *SUBMIT_OUTCOMES]), max_size=3),
    operation=st.sampled_from([BY_KEY, NEVER]),
    clear_counts=st.lists(st.integers(0, 1), min_size=5, max_size=5).map(sorted),
)
def test_write_takes_effect_at_most_once(fail_at, failure, outcomes, operation, clear_counts):
    """Wherever a journal write fails or the process dies: the request follows its written entry, and is sent once."""
    arm = FakeArm(outcomes=list(outcomes))
    journal = FakeJournal(arm, fail_at=fail_at, failure=failure)
    for clear_count in clear_counts:
        arm.clear_count = clear_count
        attempt(arm, journal, operation=operation, clear_count=clear_count)
        assert_journaled_before_each_submit(arm)
    assert len(arm.batches) <= 1


@pytest.mark.parametrize("fail_at", [0, 1])
def test_nothing_is_sent_when_journal_cannot_be_written(arm, journal, fail_at):
    """Plan and entry are written first."""
    journal.fail_at = fail_at
    assert isinstance(attempt(arm, journal), JournalError)
    assert arm.submits() == []


def test_response_is_logged_when_its_entry_cannot_be_written(arm, journal, caplog):
    """The next try stops, and the log has ARM's response for a manual resolution."""
    caplog.set_level(logging.INFO, "airflow_provider_arm")
    journal.fail_at = 2
    assert isinstance(attempt(arm, journal), JournalError)
    assert "document 1: ARM has accepted it" in caplog.text
    assert isinstance(attempt(arm, journal), ResolutionRequiredError)
    assert arm.effects() == {"1": 1}


# ---- a cleared task, other content


@pytest.mark.parametrize("operation", [BY_KEY, NEVER], ids=["by key", "never"])
def test_clear_never_sends_accepted_write_again(arm, journal, operation, caplog):
    """However often it is cleared, the task returns the first response, and logs that nothing was sent."""
    caplog.set_level(logging.INFO, "airflow_provider_arm")
    first = write(arm, journal, operation=operation)
    for clear_count in (1, 2, 3):
        assert write(arm, journal, operation=operation, clear_count=clear_count) == first
    assert "document 1: ARM has already accepted it; not sent again" in caplog.text
    assert arm.effects() == {"1": 1}


def test_clear_sends_safe_write_again(arm, journal, caplog):
    """If a repeat changes nothing, a clear sends the write again."""
    caplog.set_level(logging.INFO, "airflow_provider_arm")
    for clear_count in (0, 1, 1):
        assert write(arm, journal, operation=SAFE, clear_count=clear_count) == RESPONSE
    assert "the task was cleared and ARM has accepted it before; sent again" in caplog.text
    assert len(arm.submits()) == 2


@pytest.mark.parametrize("outcome", [None, "response lost", "killed before"])
@pytest.mark.parametrize("resend", [False, True])
@pytest.mark.parametrize("clear_count", [0, 1])
def test_changed_content_raises_when_first_content_may_have_arrived(arm, journal, outcome, resend, clear_count):
    """Neither resend nor a clear applies to changed content; new content needs a new run."""
    arm.outcomes = [outcome]
    attempt(arm, journal)
    result = attempt(arm, journal, "2", clear_count=clear_count, resend=resend)
    assert isinstance(result, PlanChangedError)
    assert "nothing more is sent" in str(result)
    assert "2" not in arm.effects()


@pytest.mark.parametrize("outcome", ["refused", "not sent", "throttled"])
def test_changed_content_is_sent_when_first_content_was_not_accepted(arm, journal, outcome):
    """A write that ARM refused may be corrected, also without a clear."""
    arm.outcomes = [outcome]
    attempt(arm, journal)
    assert write(arm, journal, "2")["document_no"] == "2"
    assert arm.effects() == {"2": 1}


def test_fingerprint_differs_by_operation_path_and_record():
    """Operation, path and record are part of it; so is the order of a mapping's keys, as on the wire."""
    fingerprints = {
        fingerprint(NEVER, {"autopostingmethod": "a"}, [1]),
        fingerprint(NEVER, {"autopostingmethod": "b"}, [1]),
        fingerprint(NEVER, {"autopostingmethod": "a"}, [2]),
        fingerprint(BY_KEY, {"autopostingmethod": "a"}, [1]),
    }
    assert len(fingerprints) == 4
    assert fingerprint(NEVER, {"autopostingmethod": "a"}, [1]) in fingerprints


def test_fingerprint_raises_when_record_has_a_float():
    """A float is refused before anything is journalled."""
    with pytest.raises(InvalidRecordError, match="float"):
        fingerprint(BY_KEY, {}, {"amount": 0.1})


def test_damaged_entry_sends_nothing(arm, journal):
    """What was sent before is not known, so nothing more is sent."""
    write(arm, journal)
    journal.stored[0] = "[]"
    assert isinstance(attempt(arm, journal), JournalError)
    assert len(arm.submits()) == 1


def test_entry_left_in_sending_gets_a_reason(arm, journal):
    """A killed task has left no reason, so the message names the kill."""
    sha256 = fingerprint(BY_KEY, {}, {"documentNo": "1", "ledgerNote": CANARY})
    journal.write(ChunkEntry(0, sha256, SENDING, 0))
    assert "the task ended while it was being sent" in str(attempt(arm, journal))


@REPLAY_CLASSES
def test_changed_profile_stops_a_retry_before_anything_is_sent(arm, journal, operation):
    """The first try may have been sent under other names; a clear continues with the new profile."""

    def run(profile: dict[str, Any], clear_count: int = 0) -> Any:
        sha256 = fingerprint(operation, {}, {"documentNo": "1"})
        send = lambda: arm.submit(b'[{"documentNo":"1"}]') and RESPONSE  # noqa: E731
        return SingleWrite(operation, journal, clear_count, "document 1", sha256, send, profile=profile).run()

    first = run({"write.user_key": "user"})
    with pytest.raises(PlanChangedError, match=r"\(write\.user_key\)"):
        run({})
    assert arm.effects() == {"1": 1}
    assert run({"write.user_key": "user"}) == first
