"""A resolution changes the one chunk that it names, while that is unresolved, and nothing else."""

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

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState
RESOLUTION = Resolution("sending-1", Verdict.ABSENT, "Controller", "Amili has checked")


def make_entries(states: list[ChunkState | None]) -> list[ChunkEntry | None]:
    """Build an entry per state; each sending has a chunk id of its own."""
    return [
        ChunkEntry(
            index,
            f"{index:064}",
            state,
            0,
            "B" if state is ACCEPTED else None,
            chunk_id=f"sending-{index}",
            missing_since=7.0,
        )
        if state
        else None
        for index, state in enumerate(states)
    ]


def make_journal(entries: list[ChunkEntry | None]) -> FakeJournal:
    """Build a journal that stores JSON text."""
    journal = FakeJournal(FakeArm())
    journal.write_plan(PlanEntry("p", len(entries), 0))
    for entry in filter(None, entries):
        journal.write(entry)
    return journal


states = st.lists(st.none() | st.sampled_from(ChunkState), min_size=1, max_size=6)
resolutions = st.builds(
    Resolution,
    chunk_id=st.integers(0, 7).map(lambda number: f"sending-{number}"),
    verdict=st.sampled_from(Verdict),
    by=st.sampled_from(["Controller", " ", ""]),
    why=st.sampled_from(["checked", "\t", ""]),
    batch_uuid=st.none() | st.just("Ab-cd"),
    at=st.none() | st.just(1.5),
)


def try_apply(journal: FakeJournal, resolution: Resolution) -> Any:
    """Apply the resolution; return the entry, or the error if it is refused."""
    try:
        return apply_resolution(journal, resolution)
    except ArmConfigurationError as error:
        return error


@given(states=states, resolution=resolutions)
def test_resolution_changes_only_the_unresolved_chunk_that_it_names(states, resolution):
    """At most the entry with its chunk id changes, and only by a complete resolution without contradiction.

    If a lookup has had the same result before, the resolution is added and nothing else changes.
    """
    journal = make_journal(make_entries(states))
    before = dict(journal.stored)
    result = try_apply(journal, resolution)
    changed = {key for key in journal.stored if journal.stored[key] != before.get(key)}
    index = int(resolution.chunk_id.removeprefix("sending-"))
    state = states[index] if index < len(states) else None
    is_valid = (
        resolution.by.strip()
        and resolution.why.strip()
        and not (resolution.verdict is Verdict.ABSENT and resolution.batch_uuid)
    )
    if state is None:
        assert result is None
    elif state in (SENDING, UNKNOWN) and is_valid:
        assert result == journal.read(index)
    elif is_valid and state in ((PLANNED, REFUSED) if resolution.verdict is Verdict.ABSENT else (ACCEPTED, RECOVERED)):
        assert result == make_entries(states)[index].with_state(state, resolutions=(resolution,))
    else:
        assert isinstance(result, ArmConfigurationError)
        assert resolution.chunk_id in str(result)
    assert changed == ({index} if isinstance(result, ChunkEntry) else set())


@given(
    state=st.sampled_from([SENDING, UNKNOWN]),
    resolution=resolutions.filter(lambda each: each.by.strip() and each.why.strip()),
)
def test_state_after_resolution(state, resolution):
    """Absent: it may be sent. Accepted: it is followed, with or without batchUuid. The resolution is stored."""
    journal = make_journal(make_entries([None, state]))
    resolution = Resolution(
        "sending-1", resolution.verdict, resolution.by, resolution.why, resolution.batch_uuid, resolution.at
    )
    entry = try_apply(journal, resolution)
    if isinstance(entry, ArmConfigurationError):
        assert (resolution.verdict, resolution.batch_uuid) == (Verdict.ABSENT, "Ab-cd")
        return
    expected = PLANNED if resolution.verdict is Verdict.ABSENT else ACCEPTED if resolution.batch_uuid else RECOVERED
    assert (entry.state, entry.batch_uuid, entry.missing_since, entry.missing) == (
        expected,
        resolution.batch_uuid,
        None,
        None,
    )
    assert entry.resolutions == (resolution,)
    assert journal.read(1) == entry
    step = next_step(entry, Replay.NEVER, 0)
    assert step is (NextStep.SEND if resolution.verdict is Verdict.ABSENT else NextStep.FOLLOW)


def test_resolution_is_applied_once():
    """A list that stays in a DAG's arguments does not resolve a later unknown outcome of the same chunk."""
    journal = make_journal(make_entries([None, UNKNOWN]))
    entry = apply_resolution(journal, RESOLUTION)
    later = entry.with_state(UNKNOWN, chunk_id="sending-new")
    journal.write(later)
    assert apply_resolution(journal, RESOLUTION) == later
    assert journal.read(1) == later
    again = Resolution("sending-new", Verdict.ABSENT, "Controller", "checked again")
    assert apply_resolution(journal, again).resolutions == (RESOLUTION, again)


def test_entry_without_chunk_id_is_never_resolved():
    """No resolution can name it, so none changes it by accident."""
    journal = make_journal([ChunkEntry(0, "f", UNKNOWN, 0), *make_entries([None, UNKNOWN])[1:]])
    assert apply_resolution(journal, RESOLUTION).index == 1
    assert journal.read(0).state is UNKNOWN


def test_chunk_stays_unresolved_when_resolution_cannot_be_written():
    """The next try finds the chunk as unresolved as before."""
    journal = make_journal(make_entries([None, UNKNOWN]))
    journal.fail_at = 0
    with pytest.raises(JournalError):
        apply_resolution(journal, RESOLUTION)
    assert journal.read(1).state is UNKNOWN


@given(states=states)
def test_read_entries_yields_the_entries_of_the_plan(states):
    """It yields written entries in order; those in SENDING and UNKNOWN are unresolved."""
    entries = make_entries(states)
    found = list(read_entries(make_journal(entries)))
    assert found == [entry for entry in entries if entry is not None]
    assert [entry.state for entry in found if is_unresolved(entry)] == [
        state for state in states if state in (SENDING, UNKNOWN)
    ]


def test_journal_without_plan_has_no_entries():
    """Without a plan nothing was sent, so there is nothing to resolve."""
    assert list(read_entries(FakeJournal(FakeArm()))) == []
    assert apply_resolution(FakeJournal(FakeArm()), RESOLUTION) is None
