"""One journalled write: whatever becomes of it, ARM takes it at most as often as a person has wished."""

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

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState
BY_KEY = OPERATIONS["create_document"]
NEVER = OPERATIONS["create_auto_postings"]
SAFE = replace(NEVER, replay=Replay.SAFE)
CLASSES = pytest.mark.parametrize("operation", [BY_KEY, NEVER, SAFE], ids=["by key", "never", "safe"])
ANSWER = {"status": "PROCESSED", "result": "CREATED", "document_no": "1"}


@pytest.fixture
def arm() -> FakeArm:
    """An ARM that has seen nothing."""
    return FakeArm()


@pytest.fixture
def journal(arm: FakeArm) -> FakeJournal:
    """An empty journal."""
    return FakeJournal(arm)


def write(arm, journal, content="1", *, operation=BY_KEY, clear_count=0, resend=False) -> Any:
    """Run one attempt of the task."""

    def send() -> dict[str, Any]:
        arm.submit(json.dumps([{"documentNo": content}]).encode())
        return ANSWER | {"document_no": content}

    sha256 = fingerprint(operation, {}, {"documentNo": content, "ledgerNote": CANARY})
    return SingleWrite(operation, journal, clear_count, f"document {content}", sha256, send, resend).run()


def attempt(*args: Any, **more: Any) -> Any:
    """Run one attempt; gives its error, as a process that ends."""
    try:
        return write(*args, **more)
    except (ArmError, KeyboardInterrupt, SystemExit, RuntimeError) as error:
        return error


# ---- one attempt, and its retries


def test_a_write_is_journalled_before_it_is_sent(arm, journal):
    """Plan, line in sending, send, line in accepted with ARM's answer."""
    assert write(arm, journal) == ANSWER
    assert_journaled_before_each_submit(arm)
    line = journal.read(0)
    assert (line.state, line.answer) == (ACCEPTED, ANSWER)
    assert journal.read_plan() == PlanEntry(line.sha256, 1, 0)


@CLASSES
def test_a_retry_gives_the_stored_answer(arm, journal, operation):
    """The same wish finds what ARM has answered, and ARM hears nothing."""
    first = write(arm, journal, operation=operation)
    assert [write(arm, journal, operation=operation) for _ in range(3)] == [first] * 3
    assert arm.effects() == {"1": 1}


def test_an_accepted_line_without_an_answer_is_still_accepted(arm, journal):
    """Nothing is sent and nothing made up."""
    write(arm, journal)
    journal.write(journal.read(0).to(ACCEPTED, answer=None))
    assert write(arm, journal) is None
    assert arm.effects() == {"1": 1}


def test_a_journal_in_memory_does_as_well_within_one_attempt(arm):
    """Without a store the first attempt is the same."""
    assert write(arm, MemoryJournal()) == ANSWER


def test_nothing_of_the_record_is_kept_or_logged(arm, journal, caplog):
    """Journal, log and errors have its name, hash and answer only."""
    caplog.set_level(logging.DEBUG)
    write(arm, journal)
    other = FakeJournal(arm)
    arm.outcomes = ["answer lost"]
    blocked = attempt(arm, other)
    assert isinstance(blocked, ResolutionRequiredError)
    assert CANARY not in "".join([*journal.stored.values(), *other.stored.values(), caplog.text, str(blocked)])


# ---- what an error tells


@pytest.mark.parametrize(
    "ending", [name for name, (error, _, _) in SUBMIT_OUTCOMES.items() if isinstance(error, ArmError)]
)
@CLASSES
def test_after_an_error_the_line_says_what_is_known(arm, journal, ending, operation):
    """Each kind of error: its state, and what is raised."""
    error, _, state = SUBMIT_OUTCOMES[ending]
    arm.outcomes = [ending]
    raised = attempt(arm, journal, operation=operation)
    assert (journal.read(0).state, journal.read(0).reason) == (state, str(error))
    if state is UNKNOWN and operation is not SAFE:
        assert isinstance(raised, ResolutionRequiredError)
        assert "document 1 may or may not have reached ARM" in str(raised)
        assert str(error) in str(raised)
    else:
        assert raised is error


@pytest.mark.parametrize("ending", SUBMIT_OUTCOMES)
@CLASSES
def test_a_restart_sends_only_what_is_known_not_to_have_arrived(arm, journal, ending, operation):
    """After any end the next attempts send it if that is safe, and else end blocked; a clear too."""
    _, _, state = SUBMIT_OUTCOMES[ending]
    arm.outcomes = [ending]
    attempt(arm, journal, operation=operation)
    results = [attempt(arm, journal, operation=operation) for _ in range(2)]
    results.append(attempt(arm, journal, operation=operation, clear_count=1 if state in (SENDING, UNKNOWN) else 0))
    if state in (SENDING, UNKNOWN) and operation is not SAFE:
        assert [type(result) for result in results] == [ResolutionRequiredError] * 3
        assert len(arm.submits()) == 1
    else:
        assert results[:2] == [ANSWER] * 2
        assert not isinstance(results[2], BaseException)


@pytest.mark.parametrize("ending", ["answer lost", "unreadable", "killed after", "503"])
@pytest.mark.parametrize("operation", [BY_KEY, NEVER], ids=["by key", "never"])
def test_the_author_may_have_it_sent_again(arm, journal, ending, operation):
    """on_unknown_outcome="resend" sends it once more, and no more once ARM has answered."""
    arm.outcomes = [ending]
    attempt(arm, journal, operation=operation)
    assert [write(arm, journal, operation=operation, resend=True) for _ in range(2)] == [ANSWER] * 2
    assert arm.effects() == {"1": 2}


def test_a_chosen_resend_is_left_to_the_next_try(arm, journal):
    """A lost answer is worth a retry then, and says so."""
    arm.outcomes = ["answer lost"]
    raised = attempt(arm, journal, resend=True)
    assert isinstance(raised, ResendOnRetryError)
    assert "next try sends it again" in str(raised)
    assert not raised.permanent


# ---- looked for


def looked_for(arm, journal, seen, *, now=0.0, clear_count=0, resend=False) -> Any:
    """Run one attempt that may look for the document; gives its error where it ends with one."""

    def send() -> dict[str, Any]:
        arm.submit(json.dumps([{"documentNo": "1"}]).encode())
        return ANSWER

    def look() -> LookupResult:
        if isinstance(seen, ArmError):
            raise seen
        arm.events.append(("looked", seen))
        return seen

    sha256 = fingerprint(BY_KEY, {}, {"documentNo": "1"})
    single = SingleWrite(
        BY_KEY,
        journal,
        clear_count,
        "document 1",
        sha256,
        send,
        resend,
        look,
        assume_absent_after=10.0,
        now=lambda: now,
    )
    try:
        return single.run()
    except ArmError as error:
        return error


THERE, ABSENT, OTHER = LookupResult(same=(1,)), LookupResult(absent=(1,)), LookupResult(other=(1,))


@pytest.mark.parametrize("clear_count", [0, 1])
def test_a_document_that_is_there_was_taken(arm, journal, clear_count, caplog):
    """Found in the try that lost the answer: no error, no answer, and no later try or clear looks or sends again."""
    arm.outcomes = ["answer lost"]
    assert looked_for(arm, journal, THERE) is None
    assert "ARM has it all the same, not sent again" in caplog.text
    assert journal.states() == [FOUND]
    assert looked_for(arm, journal, OTHER, clear_count=clear_count) is None
    assert [kind for kind, _ in arm.events if kind != "written"] == ["submit", "looked"]


def test_a_document_that_is_found_later_was_taken(arm, journal):
    """A killed try left the question, and the next one answers it."""
    arm.outcomes = ["killed after"]
    with pytest.raises(SystemExit):
        looked_for(arm, journal, THERE)
    assert looked_for(arm, journal, THERE) is None
    assert (journal.states(), len(arm.submits())) == ([FOUND], 1)


def test_a_document_that_is_absent_waits_for_the_authors_time(arm, journal):
    """Open until then, sent once after it; leave to send it again does not wait."""
    arm.outcomes = ["request lost"]
    for now in (0.0, 5.0, 9.9):
        assert isinstance(looked_for(arm, journal, ABSENT, now=now), OutcomePendingError)
    assert looked_for(arm, journal, ABSENT, now=10.0) == ANSWER
    other = FakeJournal(arm)
    arm.outcomes = ["request lost"]
    assert isinstance(looked_for(arm, other, ABSENT, resend=True), ResendOnRetryError)
    assert looked_for(arm, other, ABSENT, resend=True) == ANSWER


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (OTHER, ResolutionRequiredError),
        (ArmUnavailableError("down"), OutcomePendingError),
        (ArmPermissionError("403"), ResolutionRequiredError),
    ],
)
def test_a_look_that_does_not_tell_releases_nothing(arm, journal, seen, kind):
    """Another document under the number, or no answer to the question: it is not sent, whatever time passes."""
    arm.outcomes = ["answer lost"]
    for now in (0.0, 1e6):
        assert type(looked_for(arm, journal, seen, now=now)) is kind
    assert len(arm.submits()) == 1


# ---- the journal fails


@settings(max_examples=200, deadline=None)
@given(
    fail_at=st.integers(0, 5),
    failure=st.sampled_from(JOURNAL_FAILURES),
    endings=st.lists(st.sampled_from([None, *SUBMIT_OUTCOMES]), max_size=3),
    operation=st.sampled_from([BY_KEY, NEVER]),
    generations=st.lists(st.integers(0, 1), min_size=5, max_size=5).map(sorted),
)
def test_arm_takes_it_at_most_once(fail_at, failure, endings, operation, generations):
    """Wherever a write fails or kills the process: a send follows its kept line, and it is booked once at most."""
    arm = FakeArm(outcomes=list(endings))
    journal = FakeJournal(arm, fail_at=fail_at, failure=failure)
    for clear_count in generations:
        arm.clear_count = clear_count
        attempt(arm, journal, operation=operation, clear_count=clear_count)
        assert_journaled_before_each_submit(arm)
    assert len(arm.batches) <= 1


@pytest.mark.parametrize("fail_at", [0, 1])
def test_a_journal_that_cannot_be_written_sends_nothing(arm, journal, fail_at):
    """Plan and line come first."""
    journal.fail_at = fail_at
    assert isinstance(attempt(arm, journal), JournalError)
    assert arm.submits() == []


def test_an_answer_that_cannot_be_kept_is_still_in_the_log(arm, journal, caplog):
    """The next try stops, and the person who looks finds ARM's answer."""
    caplog.set_level(logging.INFO, "airflow_provider_arm")
    journal.fail_at = 2
    assert isinstance(attempt(arm, journal), JournalError)
    assert "document 1: ARM has taken it" in caplog.text
    assert isinstance(attempt(arm, journal), ResolutionRequiredError)
    assert arm.effects() == {"1": 1}


# ---- a cleared task, other content


@pytest.mark.parametrize("operation", [BY_KEY, NEVER], ids=["by key", "never"])
def test_a_clear_never_books_again_what_arm_has_taken(arm, journal, operation, caplog):
    """However often it is cleared, the task gives ARM's first answer, and the log says that nothing was sent."""
    caplog.set_level(logging.INFO, "airflow_provider_arm")
    first = write(arm, journal, operation=operation)
    for clear_count in (1, 2, 3):
        assert write(arm, journal, operation=operation, clear_count=clear_count) == first
    assert "document 1: ARM has taken it already, not sent again" in caplog.text
    assert arm.effects() == {"1": 1}


def test_a_clear_sends_anew_what_may_be_repeated(arm, journal, caplog):
    """Where a repeat changes nothing, a clear is a wish for a new run."""
    caplog.set_level(logging.INFO, "airflow_provider_arm")
    for clear_count in (0, 1, 1):
        assert write(arm, journal, operation=SAFE, clear_count=clear_count) == ANSWER
    assert "the task was cleared and ARM has taken it before; sent anew" in caplog.text
    assert len(arm.submits()) == 2


@pytest.mark.parametrize("ending", [None, "answer lost", "killed before"])
@pytest.mark.parametrize("resend", [False, True])
@pytest.mark.parametrize("clear_count", [0, 1])
def test_other_content_is_not_sent_beside_what_may_be_booked(arm, journal, ending, resend, clear_count):
    """Leave to send something again is no leave for something else; new content is for a new run."""
    arm.outcomes = [ending]
    attempt(arm, journal)
    result = attempt(arm, journal, "2", clear_count=clear_count, resend=resend)
    assert isinstance(result, PlanChangedError)
    assert "nothing more is sent" in str(result)
    assert "2" not in arm.effects()


@pytest.mark.parametrize("ending", ["refused", "not sent", "throttled"])
def test_other_content_is_sent_where_nothing_happened(arm, journal, ending):
    """What ARM refused may be corrected, also within one wish."""
    arm.outcomes = [ending]
    attempt(arm, journal)
    assert write(arm, journal, "2")["document_no"] == "2"
    assert arm.effects() == {"2": 1}


def test_the_fingerprint_tells_content_apart():
    """Operation, path and record are the content; the order of a mapping's keys is too, as it is on the wire."""
    prints = {
        fingerprint(NEVER, {"autopostingmethod": "a"}, [1]),
        fingerprint(NEVER, {"autopostingmethod": "b"}, [1]),
        fingerprint(NEVER, {"autopostingmethod": "a"}, [2]),
        fingerprint(BY_KEY, {"autopostingmethod": "a"}, [1]),
    }
    assert len(prints) == 4
    assert fingerprint(NEVER, {"autopostingmethod": "a"}, [1]) in prints


def test_a_float_has_no_fingerprint():
    """It is refused before anything is journalled."""
    with pytest.raises(InvalidRecordError, match="float"):
        fingerprint(BY_KEY, {}, {"amount": 0.1})


def test_a_spoiled_line_sends_nothing(arm, journal):
    """What was sent before is not known."""
    write(arm, journal)
    journal.stored[0] = "[]"
    assert isinstance(attempt(arm, journal), JournalError)
    assert len(arm.submits()) == 1


def test_a_line_in_sending_blocks_without_a_reason(arm, journal):
    """A killed task has left none, and the message says that."""
    sha256 = fingerprint(BY_KEY, {}, {"documentNo": "1", "ledgerNote": CANARY})
    journal.write(ChunkEntry(0, sha256, SENDING, 0))
    assert "the task ended while it was being sent" in str(attempt(arm, journal))
