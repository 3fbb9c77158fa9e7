"""State transitions of one chunk: what is written before and after each, and what a lookup changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import (
    ArmError,
    ArmPermissionError,
    ArmUnavailableError,
    ArmUnknownOutcomeError,
    Phase,
)
from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import (
    JournalError,
    OutcomePendingError,
    ResendOnRetryError,
    ResolutionRequiredError,
)
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, Resolution, Verdict
from airflow_provider_arm.submission.sending.lookup import LookupResult
from airflow_provider_arm.submission.sending.transitions import ENDED_WHILE_SENDING, ChunkTransitions
from airflow_provider_arm.submission.sending.unknown_outcome import UnresolvedChunk
from tests.unit.submission.fake_arm import FakeArm, FakeJournal
from tests.unit.submission.records import DOCUMENTS

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState
CLEAR_COUNT, ASSUME_ABSENT_AFTER, NAME = 4, 100.0, "chunk 1 (rows 1 to 2)"
LOST = ArmUnknownOutcomeError("lost", phase=Phase.MAYBE_SENT)
RESOLUTION = Resolution("old", Verdict.ABSENT, "Controller", "checked")


@dataclass
class Attempt:
    """One attempt on a journal of JSON text, with a clock that the test sets."""

    journal: FakeJournal = field(default_factory=lambda: FakeJournal(FakeArm()))
    clock: float = 1000.0

    def transitions(
        self, *, assume_absent_after: float | None = ASSUME_ABSENT_AFTER, resend: bool = False
    ) -> ChunkTransitions:
        """Build the transitions of the attempt."""
        return ChunkTransitions(DOCUMENTS, self.journal, CLEAR_COUNT, resend, assume_absent_after, lambda: self.clock)

    def lost_chunk(self, **more) -> ChunkEntry:
        """Record a chunk whose response is lost; return its entry."""
        entry = replace(self.transitions().record_sending(None, 0, "f" * 64), **more)
        return self.transitions().record_failure(entry, LOST)


@pytest.fixture
def attempt() -> Attempt:
    """Return an attempt with an empty journal."""
    return Attempt()


# ---- sending


def test_each_sending_has_its_own_chunk_id(attempt):
    """The entry in SENDING is written with a new chunk id; of earlier sendings it keeps only the resolutions."""
    transitions = attempt.transitions()
    first = transitions.record_sending(None, 0, "a")
    earlier = first.with_state(
        PLANNED,
        resolutions=(RESOLUTION,),
        missing_since=5.0,
        missing=(1,),
        reason="r",
        batch_uuid="B",
        response={"a": 1},
    )
    second = transitions.record_sending(earlier, 0, "a")
    assert second == ChunkEntry(0, "a", SENDING, CLEAR_COUNT, chunk_id=second.chunk_id, resolutions=(RESOLUTION,))
    assert attempt.journal.read(0) == second
    assert None is not first.chunk_id != second.chunk_id


def test_record_sending_raises_when_entry_cannot_be_written(attempt):
    """The error is raised before anything could be sent."""
    attempt.journal.fail_at = 0
    with pytest.raises(JournalError):
        attempt.transitions().record_sending(None, 0, "a")


def test_record_accepted_writes_batch_uuid_and_response(attempt):
    """The entry has the batchUuid of a batch, or the response of a single write."""
    entry = attempt.transitions().record_sending(None, 0, "a")
    accepted = attempt.transitions().record_accepted(entry, batch_uuid="Ab-cd", response={"result": "CREATED"})
    assert (
        accepted
        == entry.with_state(ACCEPTED, batch_uuid="Ab-cd", response={"result": "CREATED"})
        == attempt.journal.read(0)
    )


# ---- lookups

#: Results of a lookup: an error, or the kind of each of two records.
lookups = st.one_of(
    st.sampled_from([ArmUnavailableError("down"), ArmPermissionError("403")]),
    st.lists(st.sampled_from(["matching", "absent", "conflicting"]), min_size=2, max_size=2).map(tuple),
)
#: Lookups, each after a pause in seconds.
lookup_series = st.lists(st.tuples(st.floats(0, 150), lookups), min_size=1, max_size=6)


def result_of(kinds: tuple[str, ...]) -> LookupResult:
    """Build the result of a lookup from the kind of each record."""
    return LookupResult(**{kind: tuple(n for n, each in enumerate(kinds, 1) if each == kind) for kind in set(kinds)})


@given(series=lookup_series, assume_absent_after=st.none() | st.just(ASSUME_ABSENT_AFTER), killed=st.booleans())
def test_series_of_lookups_decides_only_what_it_proves(series, assume_absent_after, killed):
    """For any series of lookups over time: which one decides, and what is written."""
    attempt = Attempt()
    entry = attempt.lost_chunk()
    if killed:
        attempt.journal.write(entry := entry.with_state(SENDING, reason=None))
    first_miss: float | None = None
    found_before = False
    for pause, outcome in series:
        attempt.clock += pause

        def look_up(outcome=outcome) -> LookupResult:
            if isinstance(outcome, ArmError):
                raise outcome
            return result_of(outcome)

        unresolved = attempt.transitions(assume_absent_after=assume_absent_after).look_up_chunk(entry, look_up, NAME)
        written = attempt.journal.read(0)
        may_assume_absent = (
            assume_absent_after is not None
            and first_miss is not None
            and attempt.clock - first_miss >= assume_absent_after
        )
        if isinstance(outcome, ArmError):
            assert (unresolved.lookup_error, unresolved.lookup, written.state) == (outcome, None, UNKNOWN)
        elif "conflicting" in outcome or (found_before and "matching" not in outcome):
            assert written.state is UNKNOWN
            assert isinstance(unresolved.error(), ResolutionRequiredError)
        elif outcome == ("matching", "matching") or ("matching" in outcome and may_assume_absent):
            assert (written.state, unresolved.entry.missing) == (RECOVERED, result_of(outcome).absent)
            return
        elif may_assume_absent:
            assert (written.state, written.missing_since) == (PLANNED, None)
            return
        else:
            first_miss = attempt.clock if first_miss is None else first_miss
            found_before |= "matching" in outcome
            assert (written.state, written.missing_since) == (UNKNOWN, first_miss)
        assert (written.missing is not None) == found_before
        assert written.chunk_id == entry.chunk_id
        assert written.reason == (ENDED_WHILE_SENDING if killed else "lost")
        entry = written


def test_assume_absent_after_counts_from_first_lookup(attempt):
    """However long ago it was sent, the time starts with the first lookup."""
    entry = attempt.lost_chunk()
    attempt.clock += 100 * ASSUME_ABSENT_AFTER
    for pause, state in ((0, UNKNOWN), (ASSUME_ABSENT_AFTER - 1, UNKNOWN), (1, PLANNED)):
        attempt.clock += pause
        entry = attempt.transitions().look_up_chunk(entry, lambda: LookupResult(absent=(1, 2)), NAME).entry
        assert entry.state is state


def test_chunk_whose_records_disappeared_is_never_sent_again(attempt):
    """After a lookup that found some of it, and one that finds none, neither time nor resend sends it again."""
    entry = attempt.lost_chunk()
    entry = attempt.transitions().look_up_chunk(entry, lambda: LookupResult(matching=(1,), absent=(2,)), NAME).entry
    attempt.clock += 2 * ASSUME_ABSENT_AFTER
    transitions = attempt.transitions(resend=True)

    def down() -> LookupResult:
        raise ArmUnavailableError("down")

    for look_up in (lambda: LookupResult(absent=(1, 2)), down, None):
        unresolved = transitions.look_up_chunk(entry, look_up, NAME)
        assert unresolved.entry.state is UNKNOWN
        assert not transitions.may_resend(unresolved)
    assert (
        transitions.look_up_chunk(entry, lambda: LookupResult(matching=(1,), absent=(2,)), NAME).entry.state
        is RECOVERED
    )


def test_chunk_without_lookup_requires_resolution(attempt):
    """If ARM has no operation for a lookup, time decides nothing."""
    entry = attempt.lost_chunk(missing_since=0.0)
    unresolved = attempt.transitions().look_up_chunk(entry, None, NAME)
    assert (unresolved.entry.state, type(unresolved.error())) == (UNKNOWN, ResolutionRequiredError)


def test_lookup_decides_nothing_when_entry_cannot_be_written(attempt):
    """The next try repeats a lookup whose result could not be written."""
    entry = attempt.lost_chunk()
    attempt.journal.fail_at = 0
    with pytest.raises(JournalError):
        attempt.transitions().look_up_chunk(entry, lambda: LookupResult(matching=(1, 2)), NAME)
    assert attempt.journal.read(0).state is UNKNOWN


# ---- resending


@given(state=st.sampled_from([UNKNOWN, PLANNED, RECOVERED]), kinds=st.none() | lookups, resend=st.booleans())
def test_chunk_may_be_resent_only_with_proof_or_by_choice(state, kinds, resend):
    """It is PLANNED; or, with resend, UNKNOWN and ARM has none of its records."""
    lookup = result_of(kinds) if isinstance(kinds, tuple) else None
    unresolved = UnresolvedChunk(ChunkEntry(0, "f", state, 0), NAME, lookup=lookup)
    has_records = lookup is not None and bool(lookup.matching or lookup.conflicting)
    allowed = Attempt().transitions(resend=resend).may_resend(unresolved)
    assert allowed == (state is PLANNED or (resend and state is UNKNOWN and not has_records))


# ---- after a resolution


def test_missing_records_of_a_resolved_chunk_are_looked_up_once(attempt):
    """Absent and conflicting records of a chunk resolved as accepted count as refused; the result is written."""
    entry = ChunkEntry(0, "f", RECOVERED, 0)
    written = attempt.transitions().record_missing(
        entry, lambda: LookupResult(matching=(1,), absent=(4, 2), conflicting=(3,))
    )
    assert written.missing == (2, 3, 4) == attempt.journal.read(0).missing
    assert attempt.transitions().record_missing(written, None) is written


def test_resolved_chunk_without_lookup_has_no_missing_records(attempt):
    """If ARM has no operation for a lookup, the resolution alone decides."""
    assert attempt.transitions().record_missing(ChunkEntry(0, "f", RECOVERED, 0), None).missing == ()


# ---- what a failure means for the task


@pytest.mark.parametrize("replay", Replay)
@pytest.mark.parametrize("state", [PLANNED, REFUSED, UNKNOWN])
@pytest.mark.parametrize("resend", [False, True])
@pytest.mark.parametrize("kinds", [None, ("absent", "absent"), ("matching", "absent"), ("conflicting", "matching")])
def test_raise_failure_raises_what_the_failure_means_for_the_task(attempt, replay, state, resend, kinds):
    """It raises the error itself, or for an unknown outcome one that names the chunk or announces the resend."""
    transitions = replace(attempt.transitions(resend=resend), operation=replace(DOCUMENTS, replay=replay))
    unresolved = UnresolvedChunk(
        ChunkEntry(0, "f", state, 0, chunk_id="c"), NAME, lookup=None if kinds is None else result_of(kinds)
    )
    with pytest.raises(ArmError) as caught:
        transitions.raise_failure(unresolved.entry, LOST, unresolved)
    has_records = kinds is not None and kinds != ("absent", "absent")
    if state is not UNKNOWN or replay is Replay.SAFE:
        assert caught.value is LOST
    elif resend and not has_records:
        assert isinstance(caught.value, ResendOnRetryError)
        assert caught.value.phase is LOST.phase
    elif kinds is None or "conflicting" in kinds:
        assert isinstance(caught.value, ResolutionRequiredError)
    else:
        assert isinstance(caught.value, OutcomePendingError)
