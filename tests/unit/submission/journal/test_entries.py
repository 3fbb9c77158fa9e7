from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import JournalError
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
PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState
SEND, FOLLOW, RECONCILE, SEND_IF_FINISHED, SEND_IF_UNTAKEN = NextStep

GENERATION = 3
SAME, OTHER = GENERATION, GENERATION - 1


def entry(state: ChunkState = SENDING, clear_count: int = SAME) -> ChunkEntry:
    """Make a line."""
    return ChunkEntry(4, "f" * 64, state, clear_count, "Ab-cd" if state is ACCEPTED else None)


#: What follows by state and clear_count; where it depends on more, by replay class.
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
    (FOUND, SAME): FOLLOW,
    (FOUND, OTHER): FOLLOW,
}
OF_UNKNOWN = {SAFE: SEND, BY_KEY: RECONCILE, NEVER: RECONCILE}

#: What follows for a batch that a cleared task finds, by replay class.
OF_CLEARED = {SAFE: SEND_IF_FINISHED, BY_KEY: SEND_IF_UNTAKEN, NEVER: SEND_IF_UNTAKEN}


@pytest.mark.parametrize(
    ("state", "clear_count", "replay"), list(itertools.product([None, *ChunkState], [SAME, OTHER], Replay))
)
def test_the_next_step_is_decided_for_every_line(state, clear_count, replay):
    """Each state, of this wish or an earlier one, for each class of operation."""
    line = None if state is None else entry(state, clear_count)
    expected = STEPS[state, clear_count]
    if expected is None:
        expected = OF_CLEARED[replay] if state is ACCEPTED else OF_UNKNOWN[replay]
    assert next_step(line, replay, GENERATION) is expected


@given(
    state=st.sampled_from([SENDING, UNKNOWN]), clear_count=st.integers(0, 9), replay=st.sampled_from([BY_KEY, NEVER])
)
def test_what_may_have_arrived_is_never_sent_again_unasked(state, clear_count, replay):
    """No clear_count turns an unknown outcome into a send: a clear is a wish, not a proof."""
    assert next_step(entry(state, clear_count), replay, GENERATION) is RECONCILE


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
    missed_since=st.none() | st.floats(0, 2e9),
    missing=st.none() | st.lists(st.integers(1, 1000), min_size=1).map(tuple),
    answer=st.none() | st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.none())),
    resolutions=st.lists(resolutions, max_size=3).map(tuple),
)
plans = st.builds(PlanEntry, sha256=st.text(max_size=64), chunks=st.integers(0, 10**6), clear_count=st.integers(0, 100))


@given(entries)
def test_a_line_comes_back_from_json(line):
    """Through JSON text, as any store keeps it, nothing changes; a batchUuid keeps its letters."""
    assert ChunkEntry.from_json(json.loads(json.dumps(line.as_json()))) == line


@given(plans)
def test_the_plans_line_comes_back_from_json(line):
    """The same for the plan's line."""
    assert PlanEntry.from_json(json.loads(json.dumps(line.as_json()))) == line


def test_lines_hold_plain_values_and_no_record():
    """A line is small JSON: no key and no value of anybody's record."""
    assert entry(ACCEPTED).as_json() == {
        "index": 4,
        "sha256": "f" * 64,
        "state": "accepted",
        "clear_count": 3,
        "batch_uuid": "Ab-cd",
    }
    assert PlanEntry("f", 2, 0).as_json() == {"sha256": "f", "chunks": 2, "clear_count": 0}


def test_a_line_of_an_older_package_is_read():
    """Fields that a line has only for some states may be missing."""
    assert ChunkEntry.from_json({"index": 1, "sha256": "f", "state": "sending", "clear_count": 0}) == ChunkEntry(
        1, "f", SENDING, 0
    )


GOOD, GOOD_PLAN = entry(ACCEPTED).as_json(), PlanEntry("f", 2, 0).as_json()


def spoiled(good: dict[str, Any], optional: frozenset[str] = frozenset()) -> list[Any]:
    """Make everything that a line must not be from one that is good."""
    wrong: list[Any] = ["", "text", 7, True, [], [good], {}, {**good, "more": 1}, json.dumps(good), None]
    wrong += [{key: value for key, value in good.items() if key != gone} for gone in good if gone not in optional]
    wrong += [
        {**good, key: value} for key in good for value in ([], {}, 1.5, True, "7" if isinstance(good[key], int) else 7)
    ]
    wrong += [{**good, key: None} for key in good if key not in optional]
    return wrong


@pytest.mark.parametrize("data", spoiled(GOOD, frozenset({"batch_uuid", "reason"})), ids=repr)
def test_what_is_no_line_is_an_error_and_no_guess(data):
    """A torn, cut or foreign value in the store stops the task: what was sent before is not known."""
    with pytest.raises(
        JournalError, match=r"the journal of this task cannot be read, .* nothing more is sent$"
    ) as caught:
        ChunkEntry.from_json(data)
    assert caught.value.permanent


@pytest.mark.parametrize("data", spoiled(GOOD_PLAN), ids=repr)
def test_what_is_no_plan_is_an_error_and_no_guess(data):
    """The same for the plan's line."""
    with pytest.raises(JournalError, match="cannot be read"):
        PlanEntry.from_json(data)


@pytest.mark.parametrize("state", ["", "Sending", "SENDING", "completed", "unknown ", None, 3])
def test_an_unknown_state_is_an_error(state):
    """A state that a newer package wrote is not guessed at."""
    with pytest.raises(JournalError):
        ChunkEntry.from_json({**GOOD, "state": state})


def test_the_journal_in_memory_keeps_the_last_line_of_each_chunk():
    """And says that it does not outlive the process."""
    journal = MemoryJournal()
    assert (journal.durable, journal.read_plan(), journal.read(4)) == (False, None, None)
    journal.write_plan(PlanEntry("f", 2, 0))
    journal.write(entry(SENDING))
    journal.write(entry(ACCEPTED))
    assert journal.read_plan() == PlanEntry("f", 2, 0)
    assert journal.read(4) == entry(ACCEPTED)
    assert journal.read(5) is None
