"""A local disk that takes nothing more, at any step of any write: nothing is sent that the journal does not know."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Self

import pytest

from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.submission.errors import JournalError, OutcomePendingError
from airflow_provider_arm.submission.journal.entries import ChunkState
from airflow_provider_arm.submission.journal.file_entries import FileEntries
from airflow_provider_arm.submission.journal.file_journal import FileJournal, JournalWriter
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sending.send import Sender
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.records import DOCUMENTS
from tests.unit.submission.sending.world import World, invoice

RUNNER = JournalWriter("DAG d, run r, task t", 1, "here", 11)
TWO = [invoice(1), invoice(2)]
#: What a try writes: who it is, the plan, and two lines for each of two chunks.
WRITES = 6
#: Which of them say that a chunk is about to be sent.
SENDING_LINES = (2, 4)
FULL, READ_ONLY = OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EROFS, "Read-only file system")
#: Where in a write the disk fails: as the file is opened, written, brought to the disk, renamed, and named there.
STEPS = {"open": READ_ONLY, "write": FULL, "fsync": FULL, "rename": FULL, "folder": FULL}


class Disk:
    """Fails at one step of the *nth* write from now, from 0; for good, or once."""

    def __init__(self, step: str, nth: int, *, once: bool) -> None:
        self._step, self._left, self._once = step, nth, once

    def passes(self, step: str) -> None:
        """Fail, if it is that step of that write or, unless once, of a later one."""
        if step != self._step:
            return
        self._left -= 1
        if self._left == -1 or (self._left < -1 and not self._once):
            raise STEPS[step]


class DiskPath(type(Path())):
    """A real path on the disk."""

    disk: Disk | None = None

    def open(self, mode: str = "r", *more: Any, **others: Any) -> IO[Any]:
        """Open it; what is written goes to a file that may fail."""
        if "w" not in mode:
            return super().open(mode, *more, **others)
        self.disk.passes("open")
        return DiskFile(super().open(mode, *more, **others), self.disk)

    def replace(self, target: Any) -> Any:
        """Rename."""
        self.disk.passes("rename")
        return super().replace(target)


class DiskFile:
    """An open file on the disk."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Take half of it and fail, or all."""
        self._file.write(data[: len(data) // 2])
        self._disk.passes("write")
        self._file.write(data[len(data) // 2 :])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> DiskPath:
    """The journal's folder, whose disk works until a test says otherwise."""
    monkeypatch.setattr(DiskPath, "disk", Disk("", 0, once=True))
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        DiskPath.disk.passes("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return DiskPath(tmp_path / "journal")


def run(world: World, folder: Path, try_number: int) -> Any:
    """Run one try; gives its error where it ends with one."""
    try:
        journal = FileJournal(folder, replace(RUNNER, try_number=try_number))
        sender = Sender(DOCUMENTS, journal, 0, world.submit, world.poll, look_up=world.look_up, key="documentNo")
        with prepare(ListSource(TWO), DOCUMENTS, 1, "documentNo") as prepared:
            return sender.send_all(prepared.plan, prepared.chunks())
    except ArmError as error:
        return error


def world_of(folder: Path) -> World:
    """Make an ARM whose oracle reads the journal from the disk."""

    def lines() -> list[Any]:
        journal = FileEntries(folder)
        journal.refresh()
        return [line for index in range(len(TWO)) if (line := journal.read(index)) is not None]

    return World(lines=lines)


@pytest.mark.parametrize("once", [True, False], ids=["once", "for good"])
@pytest.mark.parametrize("nth", range(WRITES))
@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_fails_in_a_write_lets_nothing_out_unknown(folder, monkeypatch, step, nth, once):
    """At each step of each write: the try stops, nothing more goes out; on a mended disk each document goes once.

    Where the line in SENDING had its name already when the disk failed, the chunk was not sent, and nobody knows that.
    """
    (folder / "writers").mkdir(parents=True)
    (folder / "entries").mkdir()
    world = world_of(folder)
    monkeypatch.setattr(DiskPath, "disk", Disk(step, nth, once=once))
    error = run(world, folder, 1)
    assert isinstance(error, JournalError)
    assert STEPS[step].strerror in str(error)
    # Runner and plan come first; then each chunk is written before it is sent and after.
    assert len(world.batches) == max(0, nth - 1) // 2
    monkeypatch.setattr(DiskPath, "disk", Disk("", 0, once=True))
    world.finish(world.unfinished())
    end = run(world, folder, 2)
    if step == "folder" and nth in SENDING_LINES:
        assert isinstance(end, OutcomePendingError)
        assert world.effects() == {"2" if nth == SENDING_LINES[0] else "1": 1}
    else:
        assert [each.index for each in end] == [0, 1]
        assert world.effects() == {"1": 1, "2": 1}
    assert world.violations == []


@pytest.mark.parametrize("nth", range(WRITES))
def test_a_disk_that_stays_full_sends_nothing_more_however_often_it_is_tried(folder, monkeypatch, nth):
    """No retry gets around it."""
    world = world_of(folder)
    monkeypatch.setattr(DiskPath, "disk", Disk("write", nth, once=False))
    errors = [run(world, folder, number) for number in range(1, 5)]
    assert all(isinstance(error, JournalError) for error in errors)
    assert len(world.batches) <= max(0, nth - 1) // 2


def test_a_folder_that_may_not_be_written_sends_nothing(tmp_path):
    """A path where no folder can be made, as on a read-only mount."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    world = World(lines=list)
    error = run(world, tmp_path / "file" / "journal", 1)
    assert isinstance(error, JournalError)
    assert world.batches == {}


def test_the_oracle_sees_what_is_sent_without_a_line(folder, monkeypatch):
    """A journal whose writes are lost in silence is noticed: the disk has no line of what goes out."""
    world = world_of(folder)
    monkeypatch.setattr(FileEntries, "write", lambda *_: None)
    run(world, folder, 1)
    assert world.violations
    assert ChunkState.SENDING not in {line.state for line in world.lines()}
