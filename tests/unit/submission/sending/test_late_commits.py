"""ARM commits a batch after the connection was closed, at any time before or after ``assume_absent_after``."""

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

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState
#: Seconds.
ASSUME_ABSENT_AFTER = 600.0
#: Seconds after which the sandbox commits nothing any more.
LATEST_COMMIT = 3600.0
#: How often documents may take effect: each once, or those of one chunk twice.
ONCE, TWICE = {1}, {1, 2}


@pytest.fixture(scope="module")
def running() -> Iterator[ArmSandbox]:
    """Run one server for the tests of this module."""
    with ArmSandbox(seed=7, ar_items=1, batch_delay=0) as box:
        yield box


def submit_late(box: ArmSandbox, seconds: float | None, nth: int, assume_absent_after: float | None) -> Task:
    """Run one try whose *nth* batch ARM commits so many seconds after closing its connection, or never."""
    box.reset()
    # The sandbox's clock must stand still, and a second posting of a document must be visible.
    box.set_time(box.now())
    box.behave(q15_duplicate_document="accept")
    rule = {"do": "close"} if seconds is None else {"do": "late_commit", "seconds": seconds}
    box.fault({"match": BATCHES, "nth": nth, **rule})
    task = Task(
        box, "documents", ListSource(documents(SIZE * 3)), looks_up=True, assume_absent_after=assume_absent_after
    )
    assert isinstance(task.retry(), OutcomePendingError)
    return task


def effects(box: ArmSandbox) -> set[int]:
    """Return how often documents took effect, as the set of their counts."""
    return {entry["effects"] for entry in box.ledger()["documents"].values()}


pauses = st.lists(st.floats(0, 2 * ASSUME_ABSENT_AFTER), min_size=1, max_size=5)
sweep = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@sweep
@given(seconds=st.floats(1, ASSUME_ABSENT_AFTER - 1), nth=st.integers(1, 3), pauses=pauses)
def test_commit_before_assume_absent_after_is_recovered_and_never_sent_twice(running, seconds, nth, pauses):
    """Whenever ARM commits before assume_absent_after, and whenever lookups run: sent once, recovered in the end."""
    with submit_late(running, seconds, nth, ASSUME_ABSENT_AFTER) as task:
        for pause in [*pauses, ASSUME_ABSENT_AFTER]:
            running.advance(pause)
            task.retry()
        assert (effects(running), running.ledger()["documents"].keys()) == (ONCE, {f"7700{n:04}" for n in range(6)})
        assert task.journal.states() == [RECOVERED if index == nth else ACCEPTED for index in (1, 2, 3)]


@sweep
@given(seconds=st.floats(1, LATEST_COMMIT), nth=st.integers(1, 3), pauses=pauses)
def test_commit_at_any_time_is_recovered_without_assume_absent_after(running, seconds, nth, pauses):
    """However late ARM commits: unresolved until then, recovered from then on, never sent again."""
    with submit_late(running, seconds, nth, None) as task:
        passed = 0.0
        for pause in [*pauses, LATEST_COMMIT]:
            running.advance(pause)
            passed += pause
            recovered = not isinstance(task.retry(), OutcomePendingError)
            # The sandbox rounds to milliseconds.
            assert recovered == (passed >= seconds) or abs(passed - seconds) < 0.01
            assert effects(running) <= ONCE
        assert task.journal.states() == [RECOVERED if index == nth else ACCEPTED for index in (1, 2, 3)]


def test_chunk_that_never_arrived_is_sent_once_after_assume_absent_after(running):
    """It is not sent before that, and only once."""
    with submit_late(running, None, 2, ASSUME_ABSENT_AFTER) as task:
        for pause, state in (
            (0, UNKNOWN),
            (ASSUME_ABSENT_AFTER - 1, UNKNOWN),
            (1, ACCEPTED),
            (ASSUME_ABSENT_AFTER, ACCEPTED),
        ):
            running.advance(pause)
            task.retry()
            assert task.journal.states()[1] is state
        assert (effects(running), len(running.ledger()["documents"])) == (ONCE, 3 * SIZE)


def test_commit_after_assume_absent_after_takes_effect_twice(running):
    """The limit of assume_absent_after: if ARM commits later than that, the effect log shows the documents twice."""
    with submit_late(running, 2 * ASSUME_ABSENT_AFTER, 2, ASSUME_ABSENT_AFTER) as task:
        for _ in range(3):
            running.advance(ASSUME_ABSENT_AFTER)
            task.retry()
        assert effects(running) == TWICE
