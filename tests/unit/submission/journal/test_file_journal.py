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

PLANNED, SENDING, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState
PLAN = PlanEntry("f" * 64, 3, 0)
WORD = Resolution("0a1b2c3d", Verdict.ABSENT, "Controller", "looked in ARM", at=1_799_000_000.5)
LINE = ChunkEntry(1, "e" * 64, SENDING, 0, chunk_id="4e5f6071", resolutions=(WORD,))
#: Every field that a line can have.
KEPT = LINE.to(
    ACCEPTED, batch_uuid="Ab-cd", reason="why", missed_since=1.5, missing=(2, 3), answer={"result": "CREATED"}
)
FIRST = JournalWriter("DAG d, run r, task t", 1, "here", 11)
RETRY = replace(FIRST, try_number=2, pid=12)
OTHER = replace(RETRY, task_instance="DAG d, run r, task other")


class Clock:
    """Unix time that a test moves."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture(scope="module", autouse=True)
def _memory() -> None:
    """Airflow does not know memory:// by itself."""
    attach("memory", fs=MemoryFileSystem())


@pytest.fixture(params=["pathlib", "file", "memory"])
def folder(request, tmp_path) -> Any:
    """Give a folder that does not exist yet, in each kind of store."""
    return {
        "pathlib": lambda: tmp_path / "journal",
        "file": lambda: ObjectStoragePath(f"file://{tmp_path}/journal"),
        "memory": lambda: ObjectStoragePath(f"memory://{uuid4().hex}/journal"),
    }[request.param]()


@pytest.fixture
def local(tmp_path) -> Path:
    """Give a folder on the local disk that does not exist yet."""
    return tmp_path / "journal"


def follow(folder: Any, runner: JournalWriter = RETRY) -> FileJournal:
    """Open the journal as the next try does."""
    return FileJournal(folder, runner)


def only_file(folder: Path, pattern: str) -> Path:
    """Find the one file of that name."""
    (found,) = folder.glob(pattern)
    return found


# ---- it keeps


def test_a_new_journal_is_empty_and_outlives_its_process(folder):
    """Nothing is known of a plan and a chunk that nobody wrote, and the journal says that it is durable."""
    journal = FileJournal(folder, FIRST)
    assert (journal.durable, journal.read_plan(), journal.read(0), journal.first_try_number) == (True, None, None, 1)


def test_the_last_lines_are_there_for_the_next_try(folder):
    """A later try reads the plan and the last line of each chunk, and adds its own."""
    journal = FileJournal(folder, FIRST)
    journal.write_plan(PLAN)
    for line in (LINE, KEPT, replace(LINE, index=2)):
        journal.write(line)
    second = follow(folder)
    assert [second.read_plan(), *map(second.read, range(4))] == [PLAN, None, KEPT, replace(LINE, index=2), None]
    second.write(replace(KEPT, index=2))
    second.write_plan(replace(PLAN, clear_count=1))
    third = follow(folder, replace(RETRY, try_number=3))
    assert [third.read_plan(), third.read(1), third.read(2)] == [
        replace(PLAN, clear_count=1),
        KEPT,
        replace(KEPT, index=2),
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
    missed_since=st.none() | st.floats(0, 2e9),
    missing=st.none() | st.lists(st.integers(1, 1000), min_size=1).map(tuple),
    answer=st.none() | st.dictionaries(st.text(), st.text() | st.integers()),
    resolutions=st.lists(st.just(WORD), max_size=2).map(tuple),
)


@given(lines=st.lists(entries, max_size=4), plan=st.builds(PlanEntry, st.text(), st.integers(0), st.integers(0)))
def test_whatever_is_written_is_read(lines, plan):
    """Any line and any plan come back as they were, to the runner that wrote them and to the next."""
    folder = ObjectStoragePath(f"memory://{uuid4().hex}/journal")
    journal = FileJournal(folder, FIRST)
    journal.write_plan(plan)
    for line in lines:
        journal.write(line)
    for reader in (journal, follow(folder)):
        assert reader.read_plan() == plan
        assert {line.index: reader.read(line.index) for line in lines} == {line.index: line for line in lines}


def test_the_local_files_are_for_their_owner_only_and_hold_no_record(local):
    """Files have mode 0600, folders 0700, whatever the umask; a file is JSON with a sha256 of itself."""
    before = os.umask(0)
    try:
        FileJournal(local, FIRST).write(KEPT)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in local.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (local, local / "writers", local / "entries")} == {0o700}
    content = json.loads(only_file(local, "entries/chunk-000001.*").read_bytes())
    assert content["content"] == KEPT.as_json()


# ---- it is whole or an error


@pytest.mark.parametrize("what", ["plan", "chunk-000001"])
def test_a_line_cut_at_any_byte_is_an_error(local, what):
    """What is left of a torn line is never read as another line, nor as none: the truth is not known."""
    journal = FileJournal(local, FIRST)
    journal.write_plan(PLAN)
    journal.write(LINE)
    journal.write(KEPT)
    path = only_file(local, f"entries/{what}.*")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(JournalError, match=r"is torn or was changed, .* nothing more is sent"):
            _ = journal.read_plan() if what == "plan" else journal.read(1)
    path.write_bytes(whole)
    assert (journal.read_plan(), journal.read(1)) == (PLAN, KEPT)


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_a_line_changed_at_any_byte_is_an_error(local, flip):
    """One flipped bit anywhere, in an earlier line too, stops the task."""
    journal = FileJournal(local, FIRST)
    journal.write(KEPT)
    journal.write(replace(LINE, index=2))
    path = only_file(local, "entries/chunk-000001.*")
    whole = path.read_bytes()
    for place, byte in enumerate(whole):
        path.write_bytes(whole[:place] + bytes([byte ^ flip]) + whole[place + 1 :])
        with pytest.raises(JournalError, match="is torn or was changed"):
            journal.read(1)


@pytest.mark.parametrize("tail", [b" ", b"\n", b"{}", b"\0"])
def test_a_line_with_more_behind_it_is_an_error(local, tail):
    """Nor may anything follow what was written."""
    journal = FileJournal(local, FIRST)
    journal.write(KEPT)
    path = only_file(local, "entries/chunk-000001.*")
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(JournalError, match="is torn or was changed"):
        journal.read(1)


def test_what_a_killed_writer_left_behind_does_not_count(local):
    """A line that was cut before it got its name leaves the one before it, at every byte."""
    FileJournal(local, FIRST).write(LINE)
    path = only_file(local, "entries/chunk-000001.*")
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.with_name(f".{path.name}.0a1b2c3d.part").write_bytes(whole[:length])
        assert follow(local, replace(RETRY, try_number=length + 2)).read(1) == LINE


def test_a_line_under_another_chunks_name_is_an_error(local):
    """A file that somebody has renamed is not taken for another chunk's."""
    FileJournal(local, FIRST).write(LINE)
    path = only_file(local, "entries/chunk-000001.*")
    path.rename(path.with_name(path.name.replace("000001", "000002", 1)))
    with pytest.raises(JournalError, match="another chunk's line for chunk 3"):
        follow(local).read(2)


def test_a_line_that_is_gone_is_an_error(local):
    """A line that was listed and cannot be read any more is no chunk that was never sent."""
    journal = FileJournal(local, FIRST)
    journal.write(LINE)
    only_file(local, "entries/chunk-000001.*").unlink()
    with pytest.raises(JournalError, match=r"cannot be read \(No such file or directory\)"):
        journal.read(1)


def test_a_torn_runner_is_an_error(local):
    """Who works on the journal must be readable, at every byte, before anybody else may."""
    FileJournal(local, FIRST)
    path = only_file(local, "writers/*")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(JournalError, match="is torn or was changed"):
            follow(local)


def test_lines_without_a_runner_are_an_error(local):
    """A journal of which a part is gone does not begin anew."""
    FileJournal(local, FIRST).write(LINE)
    only_file(local, "writers/*").unlink()
    with pytest.raises(JournalError, match="parts of it are gone"):
        follow(local)


# ---- it cannot be written


class FailingPath(type(Path())):
    """A real path that takes no byte while it fails, as a full or a read-only disk."""

    failure: OSError | None = None

    def open(self, mode: str = "r", *args: Any, **more: Any) -> Any:
        """Open, or give a file that fails half-way, or fail."""
        if self.failure is None or "w" not in mode:
            return super().open(mode, *args, **more)
        if self.failure.errno == errno.EROFS:
            raise self.failure
        return FullFile(super().open(mode, *args, **more), self.failure)


class FullFile:
    """An open file on a disk that is full."""

    def __init__(self, file: Any, failure: OSError) -> None:
        self._file, self._failure = file, failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Take half of it."""
        self._file.write(data[: len(data) // 2])
        raise self._failure


@pytest.fixture(params=["No space left on device", "Read-only file system"])
def fail(request, monkeypatch) -> Any:
    """Give a function that lets every later write fail, and the reason."""
    number = {"No space left on device": errno.ENOSPC, "Read-only file system": errno.EROFS}[request.param]

    def begin() -> str:
        monkeypatch.setattr(FailingPath, "failure", OSError(number, request.param))
        return request.param

    return begin


def test_a_full_or_read_only_disk_is_told_and_the_line_before_stays(local, fail):
    """A write that fails raises, and what was known before is still known."""
    journal = FileJournal(FailingPath(local), FIRST)
    journal.write(LINE)
    why = rf"cannot be written \({fail()}\), so nothing more is sent"
    with pytest.raises(JournalError, match=why):
        journal.write(KEPT)
    with pytest.raises(JournalError, match=why):
        journal.write_plan(PLAN)
    with pytest.raises(JournalError, match=why):
        follow(FailingPath(local))
    assert follow(local).read(1) == LINE
    assert not [path for path in local.rglob("*") if path.name.endswith(".part")]


def test_a_disk_that_takes_nothing_is_told_before_anything_is_sent(local, fail):
    """A journal that cannot be written is told when it is opened."""
    why = fail()
    with pytest.raises(JournalError, match=why):
        FileJournal(FailingPath(local), FIRST)


def test_a_folder_that_is_a_file_is_told_at_once(local):
    """The same for a path that cannot be a folder."""
    local.write_text("", encoding="utf-8")
    with pytest.raises(JournalError, match="cannot be made"):
        FileJournal(local, FIRST)


def test_a_folder_that_vanishes_stops_the_run(local):
    """A line that was written into a new, empty folder is not enough to send."""
    journal = FileJournal(local, FIRST)
    journal.write(LINE)
    local.rename(local.with_name("elsewhere"))
    with pytest.raises(JournalError, match="has vanished while it was in use"):
        journal.write(replace(LINE, index=2))
    with pytest.raises(JournalError, match="parts of it are gone"):
        follow(local)


# ---- one runner


def test_a_second_runner_is_refused_and_told_who_the_first_is(folder):
    """The same try once more, or another task, cannot work on a journal in use."""
    FileJournal(folder, FIRST)
    for runner in (FIRST, replace(FIRST, pid=99), OTHER):
        with pytest.raises(JournalError, match=r"in use by another runner .*try 1, host here, process 11, last heard"):
            FileJournal(folder, runner)


def test_a_refused_runner_disturbs_nothing(folder):
    """The first goes on as if nobody had asked."""
    journal = FileJournal(folder, FIRST)
    with pytest.raises(JournalError):
        FileJournal(folder, OTHER)
    journal.write(LINE)
    assert journal.read(1) == LINE


def test_an_earlier_try_does_not_take_over(folder):
    """Only a later try may follow at once; one that comes late to life may not."""
    FileJournal(folder, RETRY)
    with pytest.raises(JournalError, match="in use"):
        FileJournal(folder, FIRST)


def test_a_later_try_takes_over_and_the_earlier_sends_nothing_more(folder):
    """A try that is dead only to Airflow finds out at its next line, before it sends, and leaves no doubt behind."""
    first = FileJournal(folder, FIRST)
    first.write(LINE)
    second = follow(folder)
    with pytest.raises(JournalError, match=r"in use by another runner .*try 2"):
        first.write(replace(LINE, index=2))
    with pytest.raises(JournalError, match="in use"):
        first.write_plan(PLAN)
    second.release()
    third = follow(folder, OTHER)
    assert third.read(1) == LINE
    assert third.read(2).state is PLANNED


def test_an_answer_that_comes_after_the_take_over_is_kept(folder):
    """The earlier try stops, but the batchUuid of what it had sent is not lost."""
    first = FileJournal(folder, FIRST)
    first.write(LINE)
    second = follow(folder)
    with pytest.raises(JournalError, match="in use"):
        first.write(KEPT)
    assert second.read(1) == KEPT


def test_the_later_runners_line_stands(folder):
    """What the earlier try writes late does not hide what the later one has written."""
    first = FileJournal(folder, FIRST)
    first.write(LINE)
    second = follow(folder)
    second.write(replace(KEPT, batch_uuid="New"))
    with pytest.raises(JournalError, match="in use"):
        first.write(KEPT)
    assert follow(folder, replace(RETRY, try_number=3)).read(1) == replace(KEPT, batch_uuid="New")


def test_silence_is_measured_from_the_last_sign_of_life(folder):
    """Another runner may follow only when the first was not heard of for longer than the limit."""
    clock = Clock()
    journal = FileJournal(folder, FIRST, now=clock)
    clock.time += TAKEOVER_TIMEOUT
    journal.write(LINE)
    clock.time += TAKEOVER_TIMEOUT
    with pytest.raises(JournalError, match="in use"):
        FileJournal(folder, OTHER, now=clock)
    clock.time += 1
    assert FileJournal(folder, OTHER, now=clock).read(1) == LINE


def test_a_sign_of_life_is_given_once_in_a_while(local):
    """Each line renews it, but not more often than it is worth a write."""
    clock = Clock()
    journal = FileJournal(local, FIRST, now=clock)
    path = only_file(local, "writers/*")
    began = path.read_bytes()
    clock.time += HEARTBEAT_INTERVAL - 1
    journal.write(LINE)
    assert path.read_bytes() == began
    clock.time += 1
    journal.write_plan(PLAN)
    assert path.read_bytes() != began


def test_a_runner_of_the_future_is_not_taken_for_dead(folder):
    """A host whose clock is ahead keeps its journal."""
    clock = Clock()
    FileJournal(folder, FIRST, now=clock)
    clock.time -= 10 * TAKEOVER_TIMEOUT
    with pytest.raises(JournalError, match="in use"):
        FileJournal(folder, OTHER, now=clock)


def test_after_an_orderly_end_anybody_may_follow_at_once(folder):
    """A runner that has released the journal is not waited for."""
    journal = FileJournal(folder, FIRST)
    journal.write(LINE)
    journal.release()
    assert FileJournal(folder, OTHER).read(1) == LINE


def test_a_release_that_fails_is_no_error(local, fail, caplog):
    """It only means that somebody may have to wait."""
    journal = FileJournal(FailingPath(local), FIRST)
    fail()
    journal.release()
    assert "may have to wait for 60 minutes" in caplog.text


@pytest.mark.parametrize("greater", [True, False])
def test_of_two_that_begin_at_the_same_moment_one_goes_on(local, monkeypatch, greater):
    """Both have looked and found nobody, both announce themselves: the greater token works, the other is refused."""
    tokens = iter(["5" * 16, ("9" if greater else "1") * 16])
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(tokens) if size == 8 else "0" * 2 * size)
    meanwhile: list[Any] = []
    put = FileJournal._renew

    def announce(self: FileJournal, **arguments: Any) -> None:
        # Between the second's look and its announcement the first announces itself and begins.
        if not meanwhile:
            meanwhile.append(self)
            try:
                meanwhile.append(FileJournal(local, replace(FIRST, pid=99)))
                meanwhile[1].write(LINE)
            except JournalError as error:
                meanwhile.append(error)
        put(self, **arguments)

    monkeypatch.setattr(FileJournal, "_renew", announce)
    if greater:  # the inner one, which came first, has the greater token
        with pytest.raises(JournalError, match="process 99"):
            FileJournal(local, FIRST)
        meanwhile[1].write(KEPT)
    else:
        outer = FileJournal(local, FIRST)
        assert outer.read(1) == LINE
        with pytest.raises(JournalError, match="process 11"):
            meanwhile[1].write(replace(LINE, index=2))


@pytest.mark.parametrize("moment", range(12))
def test_a_runner_that_is_overtaken_while_it_opens_says_so(moment):
    """Whenever the next try runs past one that is opening: it hears of that runner, and never of a torn journal."""
    files: dict[str, bytes] = {}

    def run_past() -> None:
        follow(MemoryPath(files, Process())).write(LINE)

    def work(process: Process) -> JournalError | None:
        try:
            FileJournal(MemoryPath(files, process), FIRST).write(replace(LINE, index=2))
        except JournalError as error:
            return error
        return None

    end = work(Process(meanwhile_at=moment, meanwhile=run_past))
    assert end is None or "in use by another runner" in str(end)
    assert follow(MemoryPath(files, Process()), replace(RETRY, try_number=3)).read(1) == LINE


def test_the_try_that_began_a_journal_is_known(folder):
    """A journal that a second try began knows nothing of the first, and says so to every later try."""
    follow(folder)
    assert follow(folder, replace(RETRY, try_number=3)).first_try_number == 2


def test_a_journal_of_a_newer_version_is_not_guessed_at(local):
    """A runner's file with more in it is not known to mean the same."""
    journal = FileJournal(local, FIRST)
    journal._runners.put(only_file(local, "writers/*").name, {"runner": {}, "more": 1})
    with pytest.raises(JournalError, match="another version"):
        follow(local)


def test_files_that_are_not_the_journals_are_left_alone(local):
    """A desktop's or a store's own files in the folder do not matter."""
    FileJournal(local, FIRST).write(LINE)
    for name in (".DS_Store", "entries/notes.txt", "writers/_SUCCESS"):
        (local / name).write_text("x", encoding="utf-8")
    assert follow(local).read(1) == LINE
