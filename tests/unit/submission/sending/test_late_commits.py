"""ARM commits a batch after the connection is gone: swept across the time that the author gives it to settle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.submission.errors import OutcomePendingError
from airflow_provider_arm.submission.journal.entries import ChunkState
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.sending.sandbox_task import BATCHES, SIZE, Task, documents

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState
SETTLE = 600.0
#: The sandbox commits nothing later.
LATEST = 3600.0
#: How often a chunk of documents may take effect at most, and where it was sent once more.
ONCE, TWICE = {1}, {1, 2}


@pytest.fixture(scope="module")
def running() -> Iterator[ArmSandbox]:
    """One server for the tests of this module."""
    with ArmSandbox(seed=7, ar_items=1) as box:
        yield box


def submit_late(box: ArmSandbox, seconds: float | None, nth: int, assume_absent_after: float | None) -> Task:
    """Let the *nth* batch be committed so many seconds after its connection was closed, or never; try once."""
    box.reset()
    # The sandbox's own seconds run too, and a second posting of a document must show.
    box.set_time(box.now())
    box.behave(q15_duplicate_document="accept")
    rule = {"do": "close"} if seconds is None else {"do": "late_commit", "seconds": seconds}
    box.fault({"match": BATCHES, "nth": nth, **rule})
    task = Task(box, "documents", ListSource(documents(SIZE * 3)), looks=True, assume_absent_after=assume_absent_after)
    assert isinstance(task.try_again(), OutcomePendingError)
    return task


def effects(box: ArmSandbox) -> set[int]:
    """How often the documents took effect, the often and the seldom."""
    return {entry["effects"] for entry in box.ledger()["documents"].values()}


pauses = st.lists(st.floats(0, 2 * SETTLE), min_size=1, max_size=5)
sweep = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@sweep
@given(seconds=st.floats(1, SETTLE - 1), nth=st.integers(1, 3), pauses=pauses)
def test_a_commit_within_the_authors_time_is_found_and_never_doubled(running, seconds, nth, pauses):
    """Whenever it comes before assume_absent_after is over, and whenever the tries look: sent once, found in the end."""
    with submit_late(running, seconds, nth, SETTLE) as task:
        for pause in [*pauses, SETTLE]:
            running.advance(pause)
            task.try_again()
        assert (effects(running), running.ledger()["documents"].keys()) == (ONCE, {f"7700{n:04}" for n in range(6)})
        assert task.journal.states() == [FOUND if index == nth else ACCEPTED for index in (1, 2, 3)]


@sweep
@given(seconds=st.floats(1, LATEST), nth=st.integers(1, 3), pauses=pauses)
def test_without_settle_after_no_commit_is_too_late(running, seconds, nth, pauses):
    """However late it comes: a question as long as ARM has nothing, found as soon as it has, never sent again."""
    with submit_late(running, seconds, nth, None) as task:
        passed = 0.0
        for pause in [*pauses, LATEST]:
            running.advance(pause)
            passed += pause
            found = not isinstance(task.try_again(), OutcomePendingError)
            # The sandbox counts milliseconds.
            assert found == (passed >= seconds) or abs(passed - seconds) < 0.01
            assert effects(running) <= ONCE
        assert task.journal.states() == [FOUND if index == nth else ACCEPTED for index in (1, 2, 3)]


def test_what_never_arrived_is_sent_once_the_authors_time_is_over(running):
    """Not before, and once."""
    with submit_late(running, None, 2, SETTLE) as task:
        for pause, state in ((0, UNKNOWN), (SETTLE - 1, UNKNOWN), (1, ACCEPTED), (SETTLE, ACCEPTED)):
            running.advance(pause)
            task.try_again()
            assert task.journal.states()[1] is state
        assert (effects(running), len(running.ledger()["documents"])) == (ONCE, 3 * SIZE)


def test_a_time_that_is_too_short_doubles(running):
    """What assume_absent_after rests on: where ARM commits later than the author said, the ledger shows it twice."""
    with submit_late(running, 2 * SETTLE, 2, SETTLE) as task:
        for _ in range(3):
            running.advance(SETTLE)
            task.try_again()
        assert effects(running) == TWICE
