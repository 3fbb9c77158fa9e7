from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io.store import attach
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.submission.errors import JournalError
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, PlanEntry, Resolution, Verdict
from airflow_provider_arm.submission.journal.file_journal import (
    HEARTBEAT_INTERVAL,
    TAKEOVER_TIMEOUT,
    FileJournal,
    JournalWriter,
)
from tests.unit.submission.journal.memory_disk import MemoryPath, Process

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState
PLAN = PlanEntry("f" * 64, 3, 0)
RESOLUTION = Resolution("0a1b2c3d", Verdict.ABSENT, "Controller", "checked in ARM", at=1_799_000_000.5)
ENTRY = ChunkEntry(1, "e" * 64, SENDING, 0, chunk_id="4e5f6071", resolutions=(RESOLUTION,))
#: Entry with every field that an entry can have.
FULL_ENTRY = ENTRY.with_state(
    ACCEPTED, batch_uuid="Ab-cd", reason="why", missing_since=1.5, missing=(2, 3), response={"result": "CREATED"}
)
FIRST = JournalWriter("DAG d, run r, task t", 1, "here", 11)
RETRY = replace(FIRST, try_number=2, pid=12)
OTHER = replace(RETRY, task_instance="DAG d, run r, task other")


class Clock:
    """Clock in unix seconds that a test sets."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture(scope="module", autouse=True)
def _memory() -> None:
    """Register memory://, which Airflow does not support by default."""
    attach("memory", fs=MemoryFileSystem())


@pytest.fixture(params=["pathlib", "file", "memory"])
def folder(request, tmp_path) -> Any:
    """Return a folder that does not exist yet, in each kind of store."""
    return {
        "pathlib": lambda: tmp_path / "journal",
        "file": lambda: ObjectStoragePath(f"file://{tmp_path}/journal"),
        "memory": lambda: ObjectStoragePath(f"memory://{uuid4().hex}/journal"),
    }[request.param]()


@pytest.fixture
def local(tmp_path) -> Path:
    """Return a folder on the local disk that does not exist yet."""
    return tmp_path / "journal"


def open_next(folder: Any, writer: JournalWriter = RETRY) -> FileJournal:
    """Open the journal as the next try does, or as *writer*."""
    return FileJournal(folder, writer)


def only_file(folder: Path, pattern: str) -> Path:
    """Return the only file that matches *pattern*."""
    (path,) = folder.glob(pattern)
    return path


# ---- reading and writing


def test_new_journal_is_empty_and_durable(folder):
    """It has neither plan nor entries, and it is durable."""
    journal = FileJournal(folder, FIRST)
    assert (journal.durable, journal.read_plan(), journal.read(0), journal.first_try_number) == (True, None, None, 1)


def test_next_try_reads_last_entries_and_adds_its_own(folder):
    """A later try reads the plan and the last entry of each chunk, and writes further ones."""
    journal = FileJournal(folder, FIRST)
    journal.write_plan(PLAN)
    for entry in (ENTRY, FULL_ENTRY, replace(ENTRY, index=2)):
        journal.write(entry)
    second = open_next(folder)
    assert [second.read_plan(), *map(second.read, range(4))] == [PLAN, None, FULL_ENTRY, replace(ENTRY, index=2), None]
    second.write(replace(FULL_ENTRY, index=2))
    second.write_plan(replace(PLAN, clear_count=1))
    third = open_next(folder, replace(RETRY, try_number=3))
    assert [third.read_plan(), third.read(1), third.read(2)] == [
        replace(PLAN, clear_count=1),
        FULL_ENTRY,
        replace(FULL_ENTRY, index=2),
    ]
    assert third.first_try_number == 1


entries = st.builds(
    ChunkEntry,
    index=st.integers(0, 10**7),
    sha256=st.text(max_size=64),
    state=st.sampled_from(ChunkState),
    clear_count=st.integers(0, 100),
    batch_uuid=st.none() | st.text(max_size=36),
    reason=st.none() | st.text(st.characters()),
    chunk_id=st.none() | st.text(max_size=8),
    missing_since=st.none() | st.floats(0, 2e9),
    missing=st.none() | st.lists(st.integers(1, 1000), min_size=1).map(tuple),
    response=st.none() | st.dictionaries(st.text(), st.text() | st.integers()),
    resolutions=st.lists(st.just(RESOLUTION), max_size=2).map(tuple),
)


@given(written=st.lists(entries, max_size=4), plan=st.builds(PlanEntry, st.text(), st.integers(0), st.integers(0)))
def test_written_entries_are_read_unchanged(written, plan):
    """The writer and the next writer read any entry and any plan as they were written."""
    folder = ObjectStoragePath(f"memory://{uuid4().hex}/journal")
    journal = FileJournal(folder, FIRST)
    journal.write_plan(plan)
    for entry in written:
        journal.write(entry)
    for reader in (journal, open_next(folder)):
        assert reader.read_plan() == plan
        expected = {entry.index: entry for entry in written}
        assert {index: reader.read(index) for index in expected} == expected


def test_local_files_are_readable_by_owner_only(local):
    """Files have mode 0600 and folders 0700, whatever the umask; a file contains the entry and no record."""
    before = os.umask(0)
    try:
        FileJournal(local, FIRST).write(FULL_ENTRY)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in local.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (local, local / "writers", local / "entries")} == {0o700}
    content = json.loads(only_file(local, "entries/chunk-000001.*").read_bytes())
    assert content["content"] == FULL_ENTRY.as_json()


# ---- damaged files


@pytest.mark.parametrize("what", ["plan", "chunk-000001"])
def test_read_raises_when_entry_is_truncated_at_any_byte(local, what):
    """The rest of a truncated entry is never read as another entry, nor as none: what was sent is not known."""
    journal = FileJournal(local, FIRST)
    journal.write_plan(PLAN)
    journal.write(ENTRY)
    journal.write(FULL_ENTRY)
    path = only_file(local, f"entries/{what}.*")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(JournalError, match=r"is truncated or was changed, .* nothing more is sent"):
            _ = journal.read_plan() if what == "plan" else journal.read(1)
    path.write_bytes(whole)
    assert (journal.read_plan(), journal.read(1)) == (PLAN, FULL_ENTRY)


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_read_raises_when_entry_is_changed_at_any_byte(local, flip):
    """A single flipped bit stops the task, also in an entry that was written before others."""
    journal = FileJournal(local, FIRST)
    journal.write(FULL_ENTRY)
    journal.write(replace(ENTRY, index=2))
    path = only_file(local, "entries/chunk-000001.*")
    whole = path.read_bytes()
    for offset, byte in enumerate(whole):
        path.write_bytes(whole[:offset] + bytes([byte ^ flip]) + whole[offset + 1 :])
        with pytest.raises(JournalError, match="is truncated or was changed"):
            journal.read(1)


@pytest.mark.parametrize("tail", [b" ", b"\n", b"{}", b"\0"])
def test_read_raises_when_bytes_are_appended(local, tail):
    """Nothing may follow what was written."""
    journal = FileJournal(local, FIRST)
    journal.write(FULL_ENTRY)
    path = only_file(local, "entries/chunk-000001.*")
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(JournalError, match="is truncated or was changed"):
        journal.read(1)


def test_partial_file_of_killed_writer_is_ignored(local):
    """Until the new entry has its final name, the previous one is read, wherever the write was interrupted."""
    FileJournal(local, FIRST).write(ENTRY)
    path = only_file(local, "entries/chunk-000001.*")
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.with_name(f".{path.name}.0a1b2c3d.part").write_bytes(whole[:length])
        assert open_next(local, replace(RETRY, try_number=length + 2)).read(1) == ENTRY


def test_read_raises_when_file_belongs_to_another_chunk(local):
    """A file that was renamed to another chunk's name is not read as that chunk's entry."""
    FileJournal(local, FIRST).write(ENTRY)
    path = only_file(local, "entries/chunk-000001.*")
    path.rename(path.with_name(path.name.replace("000001", "000002", 1)))
    with pytest.raises(JournalError, match="another chunk's entry for chunk 3"):
        open_next(local).read(2)


def test_read_raises_when_listed_file_is_missing(local):
    """A chunk whose entry was listed and can no longer be read does not count as never sent."""
    journal = FileJournal(local, FIRST)
    journal.write(ENTRY)
    only_file(local, "entries/chunk-000001.*").unlink()
    with pytest.raises(JournalError, match=r"cannot be read \(No such file or directory\)"):
        journal.read(1)


def test_open_raises_when_writer_file_is_truncated(local):
    """The latest writer's file must be intact before another writer may take over."""
    FileJournal(local, FIRST)
    path = only_file(local, "writers/*")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(JournalError, match="is truncated or was changed"):
            open_next(local)


def test_open_raises_when_writer_files_are_missing(local):
    """A journal of which a part is missing does not start again from nothing."""
    FileJournal(local, FIRST).write(ENTRY)
    only_file(local, "writers/*").unlink()
    with pytest.raises(JournalError, match="parts of it are missing"):
        open_next(local)


# ---- writes that fail


class FailingPath(type(Path())):  # type: ignore[misc]  # before 3.12 Path itself cannot be subclassed
    """Real path that cannot be written while it fails, as on a full or a read-only disk."""

    failure: OSError | None = None

    def open(self, mode: str = "r", *args: Any, **more: Any) -> Any:
        """Open; while it fails, raise or return a file that fails half-way."""
        if self.failure is None or "w" not in mode:
            return super().open(mode, *args, **more)
        if self.failure.errno == errno.EROFS:
            raise self.failure
        return FullFile(super().open(mode, *args, **more), self.failure)


class FullFile:
    """Open file on a full disk."""

    def __init__(self, file: Any, failure: OSError) -> None:
        self._file, self._failure = file, failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Write the first half of *data*, then raise."""
        self._file.write(data[: len(data) // 2])
        raise self._failure


@pytest.fixture(params=["No space left on device", "Read-only file system"])
def fail(request, monkeypatch) -> Any:
    """Return a function that makes every later write fail, and returns the reason."""
    number = {"No space left on device": errno.ENOSPC, "Read-only file system": errno.EROFS}[request.param]

    def start() -> str:
        monkeypatch.setattr(FailingPath, "failure", OSError(number, request.param))
        return request.param

    return start


def test_failed_write_raises_and_keeps_previous_entry(local, fail):
    """On a full or read-only disk a write raises, and the previous entry is still read."""
    journal = FileJournal(FailingPath(local), FIRST)
    journal.write(ENTRY)
    reason = rf"cannot be written \({fail()}\), so nothing more is sent"
    with pytest.raises(JournalError, match=reason):
        journal.write(FULL_ENTRY)
    with pytest.raises(JournalError, match=reason):
        journal.write_plan(PLAN)
    with pytest.raises(JournalError, match=reason):
        open_next(FailingPath(local))
    assert open_next(local).read(1) == ENTRY
    assert not [path for path in local.rglob("*") if path.name.endswith(".part")]


def test_open_raises_when_disk_cannot_be_written(local, fail):
    """A journal that cannot be written raises when it is opened, before anything is sent."""
    reason = fail()
    with pytest.raises(JournalError, match=reason):
        FileJournal(FailingPath(local), FIRST)


def test_open_raises_when_path_is_a_file(local):
    """A path at which no folder can be created raises when the journal is opened."""
    local.write_text("", encoding="utf-8")
    with pytest.raises(JournalError, match="cannot be created"):
        FileJournal(local, FIRST)


def test_write_raises_when_folder_was_deleted(local):
    """An entry that was written into a new, empty folder is not enough to send the chunk."""
    journal = FileJournal(local, FIRST)
    journal.write(ENTRY)
    local.rename(local.with_name("elsewhere"))
    with pytest.raises(JournalError, match="was deleted while it was in use"):
        journal.write(replace(ENTRY, index=2))
    with pytest.raises(JournalError, match="parts of it are missing"):
        open_next(local)


# ---- one writer


def test_second_writer_is_refused_with_message_that_names_the_first(folder):
    """Neither the same try again nor another task can open a journal that is in use."""
    FileJournal(folder, FIRST)
    for writer in (FIRST, replace(FIRST, pid=99), OTHER):
        with pytest.raises(
            JournalError, match=r"in use by another writer .*try 1, host here, process 11, last heartbeat"
        ):
            FileJournal(folder, writer)


def test_refused_writer_does_not_affect_the_first(folder):
    """The first writer continues undisturbed."""
    journal = FileJournal(folder, FIRST)
    with pytest.raises(JournalError):
        FileJournal(folder, OTHER)
    journal.write(ENTRY)
    assert journal.read(1) == ENTRY


def test_earlier_try_cannot_take_over(folder):
    """Only a later try may take over at once; an earlier one that starts late may not."""
    FileJournal(folder, RETRY)
    with pytest.raises(JournalError, match="in use"):
        FileJournal(folder, FIRST)


def test_earlier_try_stops_before_sending_when_later_try_took_over(folder):
    """A try that Airflow wrongly considers dead stops at its next entry, before it sends, and leaves it PLANNED."""
    first = FileJournal(folder, FIRST)
    first.write(ENTRY)
    second = open_next(folder)
    with pytest.raises(JournalError, match=r"in use by another writer .*try 2"):
        first.write(replace(ENTRY, index=2))
    with pytest.raises(JournalError, match="in use"):
        first.write_plan(PLAN)
    second.release()
    third = open_next(folder, OTHER)
    assert third.read(1) == ENTRY
    assert third.read(2).state is PLANNED


def test_response_received_after_takeover_is_kept(folder):
    """The earlier try stops, but the batchUuid of the chunk that it had sent is not lost."""
    first = FileJournal(folder, FIRST)
    first.write(ENTRY)
    second = open_next(folder)
    with pytest.raises(JournalError, match="in use"):
        first.write(FULL_ENTRY)
    assert second.read(1) == FULL_ENTRY


def test_later_writers_entry_is_not_hidden_by_the_earlier_writer(folder):
    """An entry that the earlier try writes late does not hide the entry of the later one."""
    first = FileJournal(folder, FIRST)
    first.write(ENTRY)
    second = open_next(folder)
    second.write(replace(FULL_ENTRY, batch_uuid="New"))
    with pytest.raises(JournalError, match="in use"):
        first.write(FULL_ENTRY)
    assert open_next(folder, replace(RETRY, try_number=3)).read(1) == replace(FULL_ENTRY, batch_uuid="New")


def test_takeover_timeout_counts_from_last_heartbeat(folder):
    """Another task may take over only after the writer had no heartbeat for longer than the timeout."""
    clock = Clock()
    journal = FileJournal(folder, FIRST, now=clock)
    clock.time += TAKEOVER_TIMEOUT
    journal.write(ENTRY)
    clock.time += TAKEOVER_TIMEOUT
    with pytest.raises(JournalError, match="in use"):
        FileJournal(folder, OTHER, now=clock)
    clock.time += 1
    assert FileJournal(folder, OTHER, now=clock).read(1) == ENTRY


def test_heartbeat_is_renewed_by_writes_after_its_interval(local):
    """A write renews the heartbeat, but not more often than once per interval."""
    clock = Clock()
    journal = FileJournal(local, FIRST, now=clock)
    path = only_file(local, "writers/*")
    first = path.read_bytes()
    clock.time += HEARTBEAT_INTERVAL - 1
    journal.write(ENTRY)
    assert path.read_bytes() == first
    clock.time += 1
    journal.write_plan(PLAN)
    assert path.read_bytes() != first


def test_writer_with_clock_ahead_is_not_considered_dead(folder):
    """A heartbeat in the future does not allow a takeover."""
    clock = Clock()
    FileJournal(folder, FIRST, now=clock)
    clock.time -= 10 * TAKEOVER_TIMEOUT
    with pytest.raises(JournalError, match="in use"):
        FileJournal(folder, OTHER, now=clock)


def test_any_task_can_take_over_a_released_journal(folder):
    """Nothing waits for a writer that has released the journal."""
    journal = FileJournal(folder, FIRST)
    journal.write(ENTRY)
    journal.release()
    assert FileJournal(folder, OTHER).read(1) == ENTRY


def test_failed_release_is_logged_and_does_not_raise(local, fail, caplog):
    """Its only consequence is that the next writer may have to wait."""
    journal = FileJournal(FailingPath(local), FIRST)
    fail()
    journal.release()
    assert "may have to wait for 60 minutes" in caplog.text


@pytest.mark.parametrize("greater", [True, False])
def test_one_of_two_writers_that_open_at_once_continues(local, monkeypatch, greater):
    """Both list the writers before either registers: the one with the greater token continues, the other is refused."""
    tokens = iter(["5" * 16, ("9" if greater else "1") * 16])
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(tokens) if size == 8 else "0" * 2 * size)
    meanwhile: list[Any] = []
    send_heartbeat = FileJournal._send_heartbeat

    def register(self: FileJournal, **arguments: Any) -> None:
        # Between the outer writer's listing and its registration the inner one registers and writes an entry.
        if not meanwhile:
            meanwhile.append(self)
            try:
                meanwhile.append(FileJournal(local, replace(FIRST, pid=99)))
                meanwhile[1].write(ENTRY)
            except JournalError as error:
                meanwhile.append(error)
        send_heartbeat(self, **arguments)

    monkeypatch.setattr(FileJournal, "_send_heartbeat", register)
    if greater:  # the inner writer, which registered first, has the greater token
        with pytest.raises(JournalError, match="process 99"):
            FileJournal(local, FIRST)
        meanwhile[1].write(FULL_ENTRY)
    else:
        outer = FileJournal(local, FIRST)
        assert outer.read(1) == ENTRY
        with pytest.raises(JournalError, match="process 11"):
            meanwhile[1].write(replace(ENTRY, index=2))


@pytest.mark.parametrize("operation", range(12))
def test_writer_that_is_overtaken_while_opening_reports_the_other_writer(operation):
    """At whatever moment the next try takes over: the error names that writer, and never damaged files."""
    files: dict[str, bytes] = {}

    def overtake() -> None:
        open_next(MemoryPath(files, Process())).write(ENTRY)

    def open_and_write(process: Process) -> JournalError | None:
        try:
            FileJournal(MemoryPath(files, process), FIRST).write(replace(ENTRY, index=2))
        except JournalError as error:
            return error
        return None

    end = open_and_write(Process(meanwhile_at=operation, meanwhile=overtake))
    assert end is None or "in use by another writer" in str(end)
    assert open_next(MemoryPath(files, Process()), replace(RETRY, try_number=3)).read(1) == ENTRY


def test_first_try_number_is_that_of_the_try_that_created_the_journal(folder):
    """A journal that a second try created has no record of the first; every later try can read that."""
    open_next(folder)
    assert open_next(folder, replace(RETRY, try_number=3)).first_try_number == 2


def test_open_raises_when_writer_file_is_of_another_version(local):
    """A writer's file with an unknown field may have another meaning."""
    journal = FileJournal(local, FIRST)
    journal._writers.write(only_file(local, "writers/*").name, {"writer": {}, "more": 1})
    with pytest.raises(JournalError, match="another version"):
        open_next(local)


def test_other_files_in_the_folder_are_ignored(local):
    """Files of a desktop or of a store in the folder have no effect."""
    FileJournal(local, FIRST).write(ENTRY)
    for name in (".DS_Store", "entries/notes.txt", "writers/_SUCCESS"):
        (local / name).write_text("x", encoding="utf-8")
    assert open_next(local).read(1) == ENTRY
