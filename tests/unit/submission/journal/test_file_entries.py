"""Entries that several writers wrote one after another: the valid entry of each chunk, for any reader."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, PlanEntry
from airflow_provider_arm.submission.journal.file_entries import FileEntries, WriterId
from tests.unit.submission.journal.memory_disk import MemoryPath, Process

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState
WRITERS = [WriterId(number, f"{token:016x}") for number in (1, 2) for token in (1, 2)]

writes = st.lists(
    st.tuples(st.sampled_from(WRITERS), st.sampled_from(ChunkState), st.sampled_from("ab")), min_size=1, max_size=8
)


def open_entries(files: dict[str, bytes]) -> FileEntries:
    """Open the entries that exist now."""
    entries = FileEntries(MemoryPath(files, Process()))
    entries.refresh()
    return entries


def make_entry(state: ChunkState, chunk_id: str) -> ChunkEntry:
    """Build an entry of the chunk with index 3."""
    return ChunkEntry(3, "f", state, 0, "B" if state is ACCEPTED else None, chunk_id=chunk_id)


@given(writes=writes)
def test_latest_writers_entry_is_read_unless_unknown_but_accepted_earlier(writes):
    """In any order of writes the latest writer's entry counts, but the sender's ACCEPTED replaces an UNKNOWN."""
    files: dict[str, bytes] = {}
    for writer, state, chunk_id in writes:
        open_entries(files).write(make_entry(state, chunk_id), writer)
    last = {writer: make_entry(state, chunk_id) for writer, state, chunk_id in writes}
    expected = last[max(last)]
    earlier = [entry for writer, entry in sorted(last.items()) if writer != max(last)]
    if expected.state is UNKNOWN:
        accepted = (entry for entry in earlier if (entry.state, entry.chunk_id) == (ACCEPTED, expected.chunk_id))
        expected = next(accepted, expected)
    assert open_entries(files).read(3) == expected


def test_accepted_entry_without_chunk_id_does_not_replace_unknown():
    """Without chunk ids it is not known that both entries belong to the same sending."""
    files: dict[str, bytes] = {}
    open_entries(files).write(ChunkEntry(3, "f", ACCEPTED, 0, "B"), WRITERS[0])
    open_entries(files).write(ChunkEntry(3, "f", UNKNOWN, 0), WRITERS[1])
    assert open_entries(files).read(3).state is UNKNOWN


@given(writers=st.lists(st.sampled_from(WRITERS), min_size=1, unique=True))
def test_latest_writers_plan_is_read(writers):
    """Of several plans, that of the latest writer counts."""
    files: dict[str, bytes] = {}
    for writer in writers:
        open_entries(files).write_plan(PlanEntry(str(writer), 1, 0), writer)
    assert open_entries(files).read_plan() == PlanEntry(str(max(writers)), 1, 0)


def test_reading_writes_no_file():
    """A reader is no writer: it creates no file, and an empty folder has no entries."""
    files: dict[str, bytes] = {}
    entries = open_entries(files)
    assert (entries.is_empty, entries.read_plan(), entries.read(3), files) == (True, None, None, {})
