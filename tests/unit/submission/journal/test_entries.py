from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import JournalError, PlanChangedError
from airflow_provider_arm.submission.journal.entries import (
    ChunkEntry,
    ChunkState,
    MemoryJournal,
    NextStep,
    PlanEntry,
    Resolution,
    Verdict,
    next_step,
)

SAFE, BY_KEY, NEVER = Replay
PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState
SEND, FOLLOW, LOOK_UP, SEND_IF_FINISHED, SEND_IF_REJECTED = NextStep

CLEAR_COUNT = 3
SAME, OTHER = CLEAR_COUNT, CLEAR_COUNT - 1


def make_entry(state: ChunkState = SENDING, clear_count: int = SAME) -> ChunkEntry:
    """Build the entry of chunk 5."""
    return ChunkEntry(4, "f" * 64, state, clear_count, "Ab-cd" if state is ACCEPTED else None)


#: Expected next step by state and clear count; ``None`` where it also depends on the replay class.
STEPS: dict[tuple[ChunkState | None, int], NextStep | None] = {
    (None, SAME): SEND,
    (None, OTHER): SEND,
    (PLANNED, SAME): SEND,
    (PLANNED, OTHER): SEND,
    (REFUSED, SAME): SEND,
    (REFUSED, OTHER): SEND,
    (ACCEPTED, SAME): FOLLOW,
    (ACCEPTED, OTHER): None,
    (SENDING, SAME): None,
    (SENDING, OTHER): None,
    (UNKNOWN, SAME): None,
    (UNKNOWN, OTHER): None,
    (RECOVERED, SAME): FOLLOW,
    (RECOVERED, OTHER): FOLLOW,
}
#: Expected next step if the outcome is unknown, by replay class.
STEPS_IF_UNKNOWN = {SAFE: SEND, BY_KEY: LOOK_UP, NEVER: LOOK_UP}
#: Expected next step for a batch that a cleared task has accepted, by replay class.
STEPS_IF_CLEARED = {SAFE: SEND_IF_FINISHED, BY_KEY: SEND_IF_REJECTED, NEVER: SEND_IF_REJECTED}


@pytest.mark.parametrize(
    ("state", "clear_count", "replay"), list(itertools.product([None, *ChunkState], [SAME, OTHER], Replay))
)
def test_next_step_for_every_entry(state, clear_count, replay):
    """Each state, of this clear count or an earlier one, has a step for each replay class."""
    entry = None if state is None else make_entry(state, clear_count)
    expected = STEPS[state, clear_count]
    if expected is None:
        expected = STEPS_IF_CLEARED[replay] if state is ACCEPTED else STEPS_IF_UNKNOWN[replay]
    assert next_step(entry, replay, CLEAR_COUNT) is expected


@given(
    state=st.sampled_from([SENDING, UNKNOWN]), clear_count=st.integers(0, 9), replay=st.sampled_from([BY_KEY, NEVER])
)
def test_unknown_outcome_is_looked_up_whatever_the_clear_count(state, clear_count, replay):
    """A clear proves nothing: it never turns an unknown outcome into a send."""
    assert next_step(make_entry(state, clear_count), replay, CLEAR_COUNT) is LOOK_UP


# ---- as JSON

resolutions = st.builds(
    Resolution,
    chunk_id=st.text(max_size=8),
    verdict=st.sampled_from(Verdict),
    by=st.text(max_size=9),
    why=st.text(max_size=9),
    batch_uuid=st.none() | st.text(max_size=36),
    at=st.none() | st.floats(0, 2e9),
)
entries = st.builds(
    ChunkEntry,
    index=st.integers(0, 10**6),
    sha256=st.text(max_size=64),
    state=st.sampled_from(ChunkState),
    clear_count=st.integers(0, 100),
    batch_uuid=st.none() | st.text(max_size=36),
    reason=st.none() | st.text(),
    chunk_id=st.none() | st.text(max_size=8),
    missing_since=st.none() | st.floats(0, 2e9),
    missing=st.none() | st.lists(st.integers(1, 1000), min_size=1).map(tuple),
    response=st.none() | st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.none())),
    resolutions=st.lists(resolutions, max_size=3).map(tuple),
)
plans = st.builds(PlanEntry, sha256=st.text(max_size=64), chunks=st.integers(0, 10**6), clear_count=st.integers(0, 100))


@given(entries)
def test_entry_survives_json_round_trip(entry):
    """JSON text, as any store holds it, changes nothing; a batchUuid keeps its case."""
    assert ChunkEntry.from_json(json.loads(json.dumps(entry.as_json()))) == entry


@given(plans)
def test_plan_entry_survives_json_round_trip(entry):
    """JSON text changes nothing in the plan's entry."""
    assert PlanEntry.from_json(json.loads(json.dumps(entry.as_json()))) == entry


def test_entry_as_json_has_plain_values_and_no_record():
    """An entry is small JSON without a key or value of any record."""
    assert make_entry(ACCEPTED).as_json() == {
        "index": 4,
        "sha256": "f" * 64,
        "state": "accepted",
        "clear_count": 3,
        "batch_uuid": "Ab-cd",
    }
    assert PlanEntry("f", 2, 0).as_json() == {"sha256": "f", "chunks": 2, "clear_count": 0}


def test_entry_with_required_fields_only_is_read():
    """Fields that only some states have may be missing, as in journals of earlier versions."""
    assert ChunkEntry.from_json({"index": 1, "sha256": "f", "state": "sending", "clear_count": 0}) == ChunkEntry(
        1, "f", SENDING, 0
    )


GOOD, GOOD_PLAN = make_entry(ACCEPTED).as_json(), PlanEntry("f", 2, 0).as_json()


def corrupted(good: dict[str, Any], optional: frozenset[str] = frozenset()) -> list[Any]:
    """Build every kind of invalid value from a valid one."""
    wrong: list[Any] = ["", "text", 7, True, [], [good], {}, {**good, "more": 1}, json.dumps(good), None]
    wrong += [{key: value for key, value in good.items() if key != gone} for gone in good if gone not in optional]
    wrong += [
        {**good, key: value} for key in good for value in ([], {}, 1.5, True, "7" if isinstance(good[key], int) else 7)
    ]
    wrong += [{**good, key: None} for key in good if key not in optional]
    return wrong


@pytest.mark.parametrize("data", corrupted(GOOD, frozenset({"batch_uuid", "reason"})), ids=repr)
def test_from_json_raises_when_entry_is_corrupted(data):
    """A truncated or foreign value in the store stops the task: what was sent before is not known."""
    with pytest.raises(
        JournalError, match=r"the journal of this task cannot be read, .* nothing more is sent$"
    ) as caught:
        ChunkEntry.from_json(data)
    assert caught.value.permanent


@pytest.mark.parametrize("data", corrupted(GOOD_PLAN), ids=repr)
def test_from_json_raises_when_plan_entry_is_corrupted(data):
    """A truncated or foreign plan stops the task, too."""
    with pytest.raises(JournalError, match="cannot be read"):
        PlanEntry.from_json(data)


@pytest.mark.parametrize("state", ["", "Sending", "SENDING", "completed", "unknown ", None, 3])
def test_from_json_raises_when_state_is_unknown(state):
    """A state that a newer version of the package wrote is not interpreted."""
    with pytest.raises(JournalError):
        ChunkEntry.from_json({**GOOD, "state": state})


def test_memory_journal_keeps_last_entry_of_each_chunk():
    """It is not durable: it does not outlive the process."""
    journal = MemoryJournal()
    assert (journal.durable, journal.read_plan(), journal.read(4)) == (False, None, None)
    journal.write_plan(PlanEntry("f", 2, 0))
    journal.write(make_entry(SENDING))
    journal.write(make_entry(ACCEPTED))
    assert journal.read_plan() == PlanEntry("f", 2, 0)
    assert journal.read(4) == make_entry(ACCEPTED)
    assert journal.read(5) is None


def test_changed_profile_of_a_retry_raises_with_its_entries():
    """A clear continues with the new profile, and so does a journal that does not have the earlier one."""
    earlier = PlanEntry("f", 2, 0, {"batch.success_words": ["DONE"], "write.user_key": "user"})
    same, changed = replace(earlier), replace(earlier, profile={"write.user_key": "user", "paths.list_documents": "/x"})
    same.check_profile(earlier)
    replace(changed, clear_count=1).check_profile(earlier)
    changed.check_profile(None)
    changed.check_profile(PlanEntry.from_json({"sha256": "f", "chunks": 2, "clear_count": 0}))
    with pytest.raises(PlanChangedError, match=r"\(batch\.success_words, paths\.list_documents\).*clear the task"):
        changed.check_profile(PlanEntry.from_json(earlier.as_json()))
