"""One chunk's steps: what is written before and after each, and what a look may change."""

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

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState
GENERATION, SETTLE, WHAT = 4, 100.0, "chunk 1 (rows 1 to 2)"
LOST = ArmUnknownOutcomeError("lost", phase=Phase.MAYBE_SENT)
WORD = Resolution("old", Verdict.ABSENT, "Controller", "looked")


@dataclass
class World:
    """Steps on a journal of JSON text, with a clock that the test moves."""

    journal: FakeJournal = field(default_factory=lambda: FakeJournal(FakeArm()))
    clock: float = 1000.0

    def steps(self, *, assume_absent_after: float | None = SETTLE, resend: bool = False) -> ChunkTransitions:
        """Make the steps of an attempt."""
        return ChunkTransitions(DOCUMENTS, self.journal, GENERATION, resend, assume_absent_after, lambda: self.clock)

    def lost(self, **more) -> ChunkEntry:
        """A chunk whose answer is lost."""
        line = replace(self.steps().begin(None, 0, "f" * 64), **more)
        return self.steps().failed(line, LOST)


@pytest.fixture
def world() -> World:
    """A journal in which nothing is written."""
    return World()


# ---- about to send


def test_each_sending_is_a_case_of_its_own(world):
    """The line is kept, names one sending, and keeps people's words; what was seen of an earlier sending is gone."""
    steps = world.steps()
    first = steps.begin(None, 0, "a")
    earlier = first.to(
        PLANNED, resolutions=(WORD,), missed_since=5.0, missing=(1,), reason="r", batch_uuid="B", answer={"a": 1}
    )
    second = steps.begin(earlier, 0, "a")
    assert second == ChunkEntry(0, "a", SENDING, GENERATION, chunk_id=second.chunk_id, resolutions=(WORD,))
    assert world.journal.read(0) == second
    assert None is not first.chunk_id != second.chunk_id


def test_what_cannot_be_written_is_not_begun(world):
    """The error comes before anything could be sent."""
    world.journal.fail_at = 0
    with pytest.raises(JournalError):
        world.steps().begin(None, 0, "a")


def test_what_arm_gave_is_kept_with_the_case(world):
    """The batchUuid of a batch, the answer of a single write."""
    line = world.steps().begin(None, 0, "a")
    after = world.steps().taken(line, batch_uuid="Ab-cd", answer={"result": "CREATED"})
    assert after == line.to(ACCEPTED, batch_uuid="Ab-cd", answer={"result": "CREATED"}) == world.journal.read(0)


# ---- looks

looks = st.one_of(
    st.sampled_from([ArmUnavailableError("down"), ArmPermissionError("403")]),
    st.lists(st.sampled_from(["same", "absent", "other"]), min_size=2, max_size=2).map(tuple),
)
moments = st.lists(st.tuples(st.floats(0, 150), looks), min_size=1, max_size=6)


def seen(words: tuple[str, ...]) -> LookupResult:
    """Make a look from one word per record."""
    return LookupResult(**{word: tuple(n for n, each in enumerate(words, 1) if each == word) for word in set(words)})


@given(moments=moments, assume_absent_after=st.none() | st.just(SETTLE), killed=st.booleans())
def test_looks_decide_only_what_they_prove(moments, assume_absent_after, killed):
    """Any row of looks over time: when it is decided, by which look, and what is kept of it."""
    world = World()
    line = world.lost()
    if killed:
        world.journal.write(line := line.to(SENDING, reason=None))
    first_miss: float | None = None
    was_there = False
    for pause, shown in moments:
        world.clock += pause

        def look(shown=shown) -> LookupResult:
            if isinstance(shown, ArmError):
                raise shown
            return seen(shown)

        case = world.steps(assume_absent_after=assume_absent_after).reconcile(line, look, WHAT)
        kept = world.journal.read(0)
        settled = (
            assume_absent_after is not None
            and first_miss is not None
            and world.clock - first_miss >= assume_absent_after
        )
        if isinstance(shown, ArmError):
            assert (case.trouble, case.seen, kept.state) == (shown, None, UNKNOWN)
        elif "other" in shown or (was_there and "same" not in shown):
            assert kept.state is UNKNOWN
            assert isinstance(case.error(), ResolutionRequiredError)
        elif shown == ("same", "same") or ("same" in shown and settled):
            assert (kept.state, case.line.missing) == (FOUND, seen(shown).absent)
            return
        elif settled:
            assert (kept.state, kept.missed_since) == (PLANNED, None)
            return
        else:
            first_miss = world.clock if first_miss is None else first_miss
            was_there |= "same" in shown
            assert (kept.state, kept.missed_since) == (UNKNOWN, first_miss)
        assert (kept.missing is not None) == was_there
        assert kept.chunk_id == line.chunk_id
        assert kept.reason == (ENDED_WHILE_SENDING if killed else "lost")
        line = kept


def test_absence_counts_from_a_look_and_not_from_the_sending(world):
    """However long ago it was sent: the first look only begins the time."""
    line = world.lost()
    world.clock += 100 * SETTLE
    for pause, state in ((0, UNKNOWN), (SETTLE - 1, UNKNOWN), (1, PLANNED)):
        world.clock += pause
        line = world.steps().reconcile(line, lambda: LookupResult(absent=(1, 2)), WHAT).line
        assert line.state is state


def test_what_has_vanished_is_never_sent_again(world):
    """A look has found some of it; once none is there, neither time nor the author's leave sends it over that."""
    line = world.lost()
    line = world.steps().reconcile(line, lambda: LookupResult(same=(1,), absent=(2,)), WHAT).line
    world.clock += 2 * SETTLE
    steps = world.steps(resend=True)

    def down() -> LookupResult:
        raise ArmUnavailableError("down")

    for look in (lambda: LookupResult(absent=(1, 2)), down, None):
        case = steps.reconcile(line, look, WHAT)
        assert case.line.state is UNKNOWN
        assert not steps.may_send_again(case)
    assert steps.reconcile(line, lambda: LookupResult(same=(1,), absent=(2,)), WHAT).line.state is FOUND


def test_a_chunk_that_cannot_be_looked_for_waits_for_a_person(world):
    """Where ARM has no way to be asked, no time decides."""
    line = world.lost(missed_since=0.0)
    case = world.steps().reconcile(line, None, WHAT)
    assert (case.line.state, type(case.error())) == (UNKNOWN, ResolutionRequiredError)


def test_a_look_that_cannot_be_noted_decides_nothing(world):
    """What was seen and not kept is seen again by the next try."""
    line = world.lost()
    world.journal.fail_at = 0
    with pytest.raises(JournalError):
        world.steps().reconcile(line, lambda: LookupResult(same=(1, 2)), WHAT)
    assert world.journal.read(0).state is UNKNOWN


# ---- what may be sent


@given(state=st.sampled_from([UNKNOWN, PLANNED, FOUND]), words=st.none() | looks, resend=st.booleans())
def test_only_proof_or_the_authors_leave_sends_again(state, words, resend):
    """Decided not to be there; or with leave, where ARM has nothing of it."""
    shown = seen(words) if isinstance(words, tuple) else None
    case = UnresolvedChunk(ChunkEntry(0, "f", state, 0), WHAT, seen=shown)
    there = shown is not None and bool(shown.same or shown.other)
    allowed = World().steps(resend=resend).may_send_again(case)
    assert allowed == (state is PLANNED or (resend and state is UNKNOWN and not there))


# ---- after a person's word


def test_what_is_missing_of_a_released_chunk_is_looked_for_once(world):
    """Absent and other records of a chunk that ARM has by a person's word count as refused; the look is kept."""
    line = ChunkEntry(0, "f", FOUND, 0)
    noted = world.steps().note_missing(line, lambda: LookupResult(same=(1,), absent=(4, 2), other=(3,)))
    assert noted.missing == (2, 3, 4) == world.journal.read(0).missing
    assert world.steps().note_missing(noted, None) is noted


def test_a_released_chunk_that_cannot_be_looked_for_counts_as_whole(world):
    """Where ARM has no way to be asked, the person's word is all there is."""
    assert world.steps().note_missing(ChunkEntry(0, "f", FOUND, 0), None).missing == ()


# ---- what a failure means for the task


@pytest.mark.parametrize("replay", Replay)
@pytest.mark.parametrize("state", [PLANNED, REFUSED, UNKNOWN])
@pytest.mark.parametrize("resend", [False, True])
@pytest.mark.parametrize("words", [None, ("absent", "absent"), ("same", "absent"), ("other", "same")])
def test_what_is_raised(world, replay, state, resend, words):
    """The error itself, unless nobody knows: then the case, or that the next try sends again by the author's leave."""
    steps = replace(world.steps(resend=resend), operation=replace(DOCUMENTS, replay=replay))
    case = UnresolvedChunk(
        ChunkEntry(0, "f", state, 0, chunk_id="c"), WHAT, seen=None if words is None else seen(words)
    )
    with pytest.raises(ArmError) as caught:
        steps.raise_failed(case.line, LOST, case)
    there = words is not None and words != ("absent", "absent")
    if state is not UNKNOWN or replay is Replay.SAFE:
        assert caught.value is LOST
    elif resend and not there:
        assert isinstance(caught.value, ResendOnRetryError)
        assert caught.value.phase is LOST.phase
    elif words is None or "other" in words:
        assert isinstance(caught.value, ResolutionRequiredError)
    else:
        assert isinstance(caught.value, OutcomePendingError)
