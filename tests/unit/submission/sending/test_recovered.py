"""A chunk that was found by its records counts and is judged like a batch, each record under its own row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.batch_state import BatchState
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.submission.results.outcome import count_outcomes, find_rejects, rejected_positions
from airflow_provider_arm.submission.sending.recovered import RecoveredChunk, in_chunk_order, read_recovered
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.records import document, failed_answer, finished_batch, write_answer

SIZE = 3


def places(records: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Some of the places of so many records."""
    return st.lists(st.integers(1, records), unique=True, max_size=records).map(sorted).map(tuple)


chunks = st.integers(1, 20).flatmap(
    lambda size: st.builds(RecoveredChunk, st.integers(1, 99), st.just(size), places(size))
)


@given(chunk=chunks)
def test_its_status_counts_what_is_missing_as_refused(chunk):
    """Total, failed, state and each record's answer agree; the reason says what was lost."""
    status = chunk.status()
    missing = len(chunk.missing)
    assert (status.total, status.failed, len(status.records)) == (chunk.records, missing, chunk.records)
    assert rejected_positions(status) == frozenset(chunk.missing)
    states = {0: BatchState.SUCCEEDED, chunk.records: BatchState.REJECTED}
    assert status.state is states.get(missing, BatchState.PARTIAL)
    assert f"{chunk.records - missing} of {chunk.records}; its batchUuid is lost" in status.reason


@given(found=st.lists(chunks, max_size=4))
def test_what_one_task_hands_to_another_comes_back(found):
    """Through JSON, as XCom keeps it."""
    assert read_recovered(json.loads(json.dumps([each.as_json() for each in found]))) == found


def test_nothing_found_is_nothing():
    """A submission of which every batch is known may leave it out."""
    assert read_recovered(None) == read_recovered([]) == []


@pytest.mark.parametrize(
    "value", ["x", 7, [7], [{}], [{"chunk": "1", "records": 2}], [{"chunk": 1, "records": 2, "missing": "1"}], {"a": 1}]
)
def test_what_is_no_found_chunk_is_an_error(value):
    """Something else in its place is told, and not taken for nothing."""
    with pytest.raises(ArmConfigurationError, match='"recovered" of the submission must be'):
        read_recovered(value)


# ---- beside batches

#: Of each chunk of a submission: the places of its refused records, and whether its batchUuid is lost.
outcomes = st.lists(st.tuples(places(SIZE), st.booleans()), min_size=1, max_size=7)


def batch(refused: tuple[int, ...]) -> Any:
    """Make the status of a batch of which ARM refused these."""
    return finished_batch(
        *(failed_answer(("", "bad")) if place in refused else write_answer() for place in range(1, SIZE + 1))
    )


@given(outcomes=outcomes, shuffled=st.randoms())
def test_every_refused_record_is_found_under_its_own_row(outcomes, shuffled):
    """Whichever chunks were found and in whatever order they come, each reject has its row, key and batchUuid."""
    batches = [(f"B{index}", batch(refused)) for index, (refused, lost) in enumerate(outcomes) if not lost]
    found = [RecoveredChunk(index + 1, SIZE, refused) for index, (refused, lost) in enumerate(outcomes) if lost]
    shuffled.shuffle(found)
    ordered = in_chunk_order(batches, found)
    assert [uuid for uuid, _ in ordered] == [None if lost else f"B{n}" for n, (_, lost) in enumerate(outcomes)]
    source = ListSource([document(1000 + number) for number in range(SIZE * len(outcomes))])
    rejects = list(find_rejects(source, SIZE, ordered, "documentNo"))
    expected = [
        (SIZE * index + place, str(999 + SIZE * index + place), None if lost else f"B{index}")
        for index, (refused, lost) in enumerate(outcomes)
        for place in refused
    ]
    assert [(each.row, each.key, each.batch_uuid) for each in rejects] == expected
    totals = count_outcomes([status for _, status in ordered], SIZE * len(outcomes))
    assert (totals.submitted, totals.rejected) == (SIZE * len(outcomes), len(expected))


def test_the_reason_says_why_there_is_none():
    """A person who reads the rejects file learns that ARM's own reason is lost."""
    source = ListSource([document(number) for number in range(1, 4)])
    [reject] = find_rejects(source, 3, in_chunk_order([], [RecoveredChunk(1, 3, (2,))]), "documentNo")
    assert reject.reasons == ("ARM does not have it; the answer that would have said why is lost",)
