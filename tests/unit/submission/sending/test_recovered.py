"""A recovered chunk is counted and reported like a batch, each reject under its own row."""

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


def position_sets(records: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Return a strategy for some of the positions of so many records."""
    return st.lists(st.integers(1, records), unique=True, max_size=records).map(sorted).map(tuple)


chunks = st.integers(1, 20).flatmap(
    lambda size: st.builds(RecoveredChunk, st.integers(1, 99), st.just(size), position_sets(size))
)


@given(chunk=chunks)
def test_status_counts_missing_records_as_refused(chunk):
    """Total, failed, state and the responses agree; the reason names the lost batchUuid."""
    status = chunk.status()
    missing = len(chunk.missing)
    assert (status.total, status.failed, len(status.records)) == (chunk.records, missing, chunk.records)
    assert rejected_positions(status) == frozenset(chunk.missing)
    states = {0: BatchState.SUCCEEDED, chunk.records: BatchState.REJECTED}
    assert status.state is states.get(missing, BatchState.PARTIAL)
    assert f"ARM has {chunk.records - missing} of {chunk.records} records; its batchUuid is lost" in status.reason


@given(recovered=st.lists(chunks, max_size=4))
def test_recovered_chunks_survive_xcom(recovered):
    """JSON, as XCom stores it, changes nothing."""
    assert read_recovered(json.loads(json.dumps([each.as_json() for each in recovered]))) == recovered


def test_read_recovered_accepts_nothing():
    """A submission without recovered chunks may omit the key."""
    assert read_recovered(None) == read_recovered([]) == []


@pytest.mark.parametrize(
    "value", ["x", 7, [7], [{}], [{"chunk": "1", "records": 2}], [{"chunk": 1, "records": 2, "missing": "1"}], {"a": 1}]
)
def test_read_recovered_raises_when_value_is_invalid(value):
    """An invalid value is an error and does not count as an empty list."""
    with pytest.raises(ArmConfigurationError, match='"recovered" of the submission must be'):
        read_recovered(value)


# ---- beside batches

#: Of each chunk of a submission: positions of its refused records, and whether its batchUuid is lost.
outcomes = st.lists(st.tuples(position_sets(SIZE), st.booleans()), min_size=1, max_size=7)


def batch(refused: tuple[int, ...]) -> Any:
    """Build the status of a batch of which ARM refused the records at these positions."""
    return finished_batch(
        *(failed_answer(("", "bad")) if position in refused else write_answer() for position in range(1, SIZE + 1))
    )


@given(outcomes=outcomes, shuffled=st.randoms())
def test_rejects_of_batches_and_recovered_chunks_have_their_own_rows(outcomes, shuffled):
    """Whichever chunks are recovered, and in whatever order, each reject has its row, key and batchUuid."""
    batches = [(f"B{index}", batch(refused)) for index, (refused, lost) in enumerate(outcomes) if not lost]
    recovered = [RecoveredChunk(index + 1, SIZE, refused) for index, (refused, lost) in enumerate(outcomes) if lost]
    shuffled.shuffle(recovered)
    ordered = in_chunk_order(batches, recovered)
    assert [uuid for uuid, _ in ordered] == [None if lost else f"B{n}" for n, (_, lost) in enumerate(outcomes)]
    source = ListSource([document(1000 + number) for number in range(SIZE * len(outcomes))])
    rejects = list(find_rejects(source, SIZE, ordered, "documentNo"))
    expected = [
        (SIZE * index + position, str(999 + SIZE * index + position), None if lost else f"B{index}")
        for index, (refused, lost) in enumerate(outcomes)
        for position in refused
    ]
    assert [(each.row, each.key, each.batch_uuid) for each in rejects] == expected
    totals = count_outcomes([status for _, status in ordered])
    assert (totals.submitted, totals.rejected) == (SIZE * len(outcomes), len(expected))


def test_reason_of_missing_record_says_that_arms_reason_is_lost():
    """A reader of the rejects file learns that ARM's own reason is lost."""
    source = ListSource([document(number) for number in range(1, 4)])
    [reject] = find_rejects(source, 3, in_chunk_order([], [RecoveredChunk(1, 3, (2,))]), "documentNo")
    assert reject.reasons == ("ARM does not have it; the response with the reason is lost",)
