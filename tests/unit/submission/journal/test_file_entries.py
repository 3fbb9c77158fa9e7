"""The lines that several runners wrote one after another: the last word on each chunk, for anybody who reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, PlanEntry
from airflow_provider_arm.submission.journal.file_entries import FileEntries, WriterId
from tests.unit.submission.journal.memory_disk import MemoryPath, Process

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState
RANKS = [WriterId(number, f"{token:016x}") for number in (1, 2) for token in (1, 2)]

written = st.lists(
    st.tuples(st.sampled_from(RANKS), st.sampled_from(ChunkState), st.sampled_from("ab")), min_size=1, max_size=8
)


def lines_on(files: dict[str, bytes]) -> FileEntries:
    """Read what is there now."""
    lines = FileEntries(MemoryPath(files, Process()))
    lines.refresh()
    return lines


def line(state: ChunkState, case: str) -> ChunkEntry:
    """Make a line of chunk 3."""
    return ChunkEntry(3, "f", state, 0, "B" if state is ACCEPTED else None, chunk_id=case)


@given(written=written)
def test_the_highest_runner_has_the_last_word_unless_it_only_wonders(written):
    """In whatever order runners write: the highest one's line, but the sender's answer outweighs a doubt about it."""
    files: dict[str, bytes] = {}
    for rank, state, case in written:
        lines_on(files).write(line(state, case), rank)
    last = {rank: line(state, case) for rank, state, case in written}
    word = last[max(last)]
    answers = [each for rank, each in sorted(last.items()) if rank != max(last)]
    if word.state is UNKNOWN:
        word = next((each for each in answers if (each.state, each.chunk_id) == (ACCEPTED, word.chunk_id)), word)
    assert lines_on(files).read(3) == word


def test_a_line_of_an_older_package_is_no_answer_to_another():
    """Where neither names its case, nobody knows that they speak of the same sending."""
    files: dict[str, bytes] = {}
    lines_on(files).write(ChunkEntry(3, "f", ACCEPTED, 0, "B"), RANKS[0])
    lines_on(files).write(ChunkEntry(3, "f", UNKNOWN, 0), RANKS[1])
    assert lines_on(files).read(3).state is UNKNOWN


@given(ranks=st.lists(st.sampled_from(RANKS), min_size=1, unique=True))
def test_the_highest_runners_plan_stands(ranks):
    """The same for the plan's line."""
    files: dict[str, bytes] = {}
    for rank in ranks:
        lines_on(files).write_plan(PlanEntry(str(rank), 1, 0), rank)
    assert lines_on(files).read_plan() == PlanEntry(str(max(ranks)), 1, 0)


def test_who_only_reads_leaves_no_trace():
    """Somebody who looks is no runner: no file is written, and an empty folder is empty."""
    files: dict[str, bytes] = {}
    lines = lines_on(files)
    assert (lines.is_empty, lines.read_plan(), lines.read(3), files) == (True, None, None, {})
