"""A person's word changes the one chunk that it is about, while that is open, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import JournalError
from airflow_provider_arm.submission.journal.entries import (
    ChunkEntry,
    ChunkState,
    NextStep,
    PlanEntry,
    Resolution,
    Verdict,
    next_step,
)
from airflow_provider_arm.submission.journal.resolution import apply_resolution, is_unresolved, read_entries
from tests.unit.submission.fake_arm import FakeArm, FakeJournal

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState
ACCEPTED_WORD, ABSENT_WORD = Verdict
WORD = Resolution("case-1", ABSENT_WORD, "Controller", "Amili has looked")


def lines_of(states: list[ChunkState | None]) -> list[ChunkEntry | None]:
    """Make lines; each chunk has a case of its own."""
    return [
        ChunkEntry(
            index,
            f"{index:064}",
            state,
            0,
            "B" if state is ACCEPTED else None,
            chunk_id=f"case-{index}",
            missed_since=7.0,
        )
        if state
        else None
        for index, state in enumerate(states)
    ]


def journal_of(lines: list[ChunkEntry | None]) -> FakeJournal:
    """Make a journal, which keeps JSON text as a store does."""
    journal = FakeJournal(FakeArm())
    journal.write_plan(PlanEntry("p", len(lines), 0))
    for line in filter(None, lines):
        journal.write(line)
    return journal


states = st.lists(st.none() | st.sampled_from(ChunkState), min_size=1, max_size=6)
words = st.builds(
    Resolution,
    chunk_id=st.integers(0, 7).map(lambda number: f"case-{number}"),
    verdict=st.sampled_from(Verdict),
    by=st.sampled_from(["Controller", " ", ""]),
    why=st.sampled_from(["looked", "\t", ""]),
    batch_uuid=st.none() | st.just("Ab-cd"),
    at=st.none() | st.just(1.5),
)


def try_release(journal: FakeJournal, word: Resolution) -> Any:
    """Release; gives the error where it is refused."""
    try:
        return apply_resolution(journal, word)
    except ArmConfigurationError as error:
        return error


@given(states=states, word=words)
def test_a_word_changes_the_open_chunk_of_its_case_or_nothing(states, word):
    """Of all lines at most one changes, of that very case, by a word that is whole and contradicts nothing.

    Where a look has settled the case in the same way before, the word is kept and nothing else.
    """
    journal = journal_of(lines_of(states))
    before = dict(journal.stored)
    result = try_release(journal, word)
    changed = {key for key in journal.stored if journal.stored[key] != before.get(key)}
    index = int(word.chunk_id.removeprefix("case-"))
    state = states[index] if index < len(states) else None
    sound = word.by.strip() and word.why.strip() and not (word.verdict is ABSENT_WORD and word.batch_uuid)
    if state is None:
        assert result is None
    elif state in (SENDING, UNKNOWN) and sound:
        assert result == journal.read(index)
    elif sound and state in ((PLANNED, REFUSED) if word.verdict is ABSENT_WORD else (ACCEPTED, FOUND)):
        assert result == lines_of(states)[index].to(state, resolutions=(word,))
    else:
        assert isinstance(result, ArmConfigurationError)
        assert word.chunk_id in str(result)
    assert changed == ({index} if isinstance(result, ChunkEntry) else set())


@given(state=st.sampled_from([SENDING, UNKNOWN]), word=words.filter(lambda each: each.by.strip() and each.why.strip()))
def test_what_follows_from_a_word(state, word):
    """Absent: it may be sent. Accepted: it is followed, by its batchUuid or by its records. The word is kept whole."""
    journal = journal_of(lines_of([None, state]))
    word = Resolution("case-1", word.verdict, word.by, word.why, word.batch_uuid, word.at)
    line = try_release(journal, word)
    if isinstance(line, ArmConfigurationError):
        assert (word.verdict, word.batch_uuid) == (ABSENT_WORD, "Ab-cd")
        return
    expected = PLANNED if word.verdict is ABSENT_WORD else ACCEPTED if word.batch_uuid else FOUND
    assert (line.state, line.batch_uuid, line.missed_since, line.missing) == (expected, word.batch_uuid, None, None)
    assert line.resolutions == (word,)
    assert journal.read(1) == line
    step = next_step(line, Replay.NEVER, 0)
    assert step is (NextStep.SEND if word.verdict is ABSENT_WORD else NextStep.FOLLOW)


def test_a_word_that_was_taken_is_taken_once():
    """A list that stays in a DAG's arguments releases no later doubt of the same chunk."""
    journal = journal_of(lines_of([None, UNKNOWN]))
    line = apply_resolution(journal, WORD)
    later = line.to(UNKNOWN, chunk_id="case-new")
    journal.write(later)
    assert apply_resolution(journal, WORD) == later
    assert journal.read(1) == later
    again = Resolution("case-new", ABSENT_WORD, "Controller", "looked again")
    assert apply_resolution(journal, again).resolutions == (WORD, again)


def test_lines_of_an_older_package_have_no_case_and_are_passed_over():
    """Nobody can name them, so nothing releases them by accident."""
    journal = journal_of([ChunkEntry(0, "f", UNKNOWN, 0), *lines_of([None, UNKNOWN])[1:]])
    assert apply_resolution(journal, WORD).index == 1
    assert journal.read(0).state is UNKNOWN


def test_a_word_that_cannot_be_kept_releases_nothing():
    """The next try finds the case as open as before."""
    journal = journal_of(lines_of([None, UNKNOWN]))
    journal.fail_at = 0
    with pytest.raises(JournalError):
        apply_resolution(journal, WORD)
    assert journal.read(1).state is UNKNOWN


@given(states=states)
def test_the_lines_of_a_journal_are_those_of_its_plan(states):
    """In order, those that were written; open are those of which nobody knows."""
    lines = lines_of(states)
    found = list(read_entries(journal_of(lines)))
    assert found == [line for line in lines if line is not None]
    assert [line.state for line in found if is_unresolved(line)] == [
        each for each in states if each in (SENDING, UNKNOWN)
    ]


def test_a_journal_without_a_plan_has_no_lines():
    """Nothing was sent, so nothing is asked."""
    assert list(read_entries(FakeJournal(FakeArm()))) == []
    assert apply_resolution(FakeJournal(FakeArm()), WORD) is None
