"""Local disk that fails at any step of any write: no chunk is sent without a journal entry."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

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
from tests.unit.submission.sending.delayed_arm import DelayedArm, invoice

WRITER = JournalWriter("DAG d, run r, task t", 1, "here", 11)
TWO_INVOICES = [invoice(1), invoice(2)]
#: Number of writes of a try: its writer file, the plan, and two entries for each of two chunks.
WRITES = 6
#: Numbers of the writes, from 0, of an entry in SENDING.
SENDING_WRITES = (2, 4)
FULL, READ_ONLY = OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EROFS, "Read-only file system")
#: Steps of a write at which the disk can fail, and the error: open, write, fsync, rename, fsync of the folder.
STEPS = {"open": READ_ONLY, "write": FULL, "fsync": FULL, "rename": FULL, "folder": FULL}


class Disk:
    """Disk that fails at one step of the *nth* write, from 0: once, or in every write from then on."""

    def __init__(self, step: str, nth: int, *, once: bool) -> None:
        self._step, self._left, self._once = step, nth, once

    def check(self, step: str) -> None:
        """Raise if it is the failing step of the failing write or, unless *once*, of a later one."""
        if step != self._step:
            return
        self._left -= 1
        if self._left == -1 or (self._left < -1 and not self._once):
            raise STEPS[step]


class DiskPath(type(Path())):  # type: ignore[misc]  # before 3.12 Path itself cannot be subclassed
    """Real path on the failing disk."""

    disk: Disk | None = None

    def open(self, mode: str = "r", *more: Any, **others: Any) -> Any:
        """Open; a file that is written may fail."""
        if "w" not in mode:
            return super().open(mode, *more, **others)
        self.disk.check("open")
        return DiskFile(super().open(mode, *more, **others), self.disk)

    def replace(self, target: Any) -> Any:
        """Rename."""
        self.disk.check("rename")
        return super().replace(target)


class DiskFile:
    """Open file on the failing disk."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Write half of *data*, fail if it is time to, write the rest."""
        self._file.write(data[: len(data) // 2])
        self._disk.check("write")
        self._file.write(data[len(data) // 2 :])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> DiskPath:
    """Return the journal's folder. Its disk works until a test replaces it."""
    monkeypatch.setattr(DiskPath, "disk", Disk("", 0, once=True))
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        DiskPath.disk.check("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return DiskPath(tmp_path / "journal")


def run(arm: DelayedArm, folder: Path, try_number: int) -> Any:
    """Run one try; return its result, or the error that ended it."""
    try:
        journal = FileJournal(folder, replace(WRITER, try_number=try_number))
        sender = Sender(DOCUMENTS, journal, 0, arm.submit, arm.poll, look_up=arm.look_up, key="documentNo")
        with prepare(ListSource(TWO_INVOICES), DOCUMENTS, 1, "documentNo") as prepared:
            return sender.send_all(prepared.plan, prepared.chunks())
    except ArmError as error:
        return error


def make_arm(folder: Path) -> DelayedArm:
    """Build an ARM whose checks read the journal from the disk."""

    def read_entries() -> list[Any]:
        entries = FileEntries(folder)
        entries.refresh()
        return [entry for index in range(len(TWO_INVOICES)) if (entry := entries.read(index)) is not None]

    return DelayedArm(read_entries=read_entries)


@pytest.mark.parametrize("once", [True, False], ids=["once", "for good"])
@pytest.mark.parametrize("nth", range(WRITES))
@pytest.mark.parametrize("step", STEPS)
def test_no_chunk_is_sent_without_entry_when_disk_fails(folder, monkeypatch, step, nth, once):
    """At each step of each write the try stops and sends nothing more; on a repaired disk each document is sent once.

    If the entry in SENDING already had its final name when the disk failed, the chunk was not sent, but the next try
    cannot know that.
    """
    (folder / "writers").mkdir(parents=True)
    (folder / "entries").mkdir()
    arm = make_arm(folder)
    monkeypatch.setattr(DiskPath, "disk", Disk(step, nth, once=once))
    error = run(arm, folder, 1)
    assert isinstance(error, JournalError)
    assert STEPS[step].strerror in str(error)
    # Writer file and plan come first; then each chunk is written before and after it is sent.
    assert len(arm.batches) == max(0, nth - 1) // 2
    monkeypatch.setattr(DiskPath, "disk", Disk("", 0, once=True))
    arm.finish(arm.unfinished())
    result = run(arm, folder, 2)
    if step == "folder" and nth in SENDING_WRITES:
        assert isinstance(result, OutcomePendingError)
        assert arm.effects() == {"2" if nth == SENDING_WRITES[0] else "1": 1}
    else:
        assert [chunk.index for chunk in result] == [0, 1]
        assert arm.effects() == {"1": 1, "2": 1}
    assert arm.violations == []


@pytest.mark.parametrize("nth", range(WRITES))
def test_retries_send_nothing_while_disk_stays_full(folder, monkeypatch, nth):
    """Every retry stops at the journal."""
    arm = make_arm(folder)
    monkeypatch.setattr(DiskPath, "disk", Disk("write", nth, once=False))
    errors = [run(arm, folder, number) for number in range(1, 5)]
    assert all(isinstance(error, JournalError) for error in errors)
    assert len(arm.batches) <= max(0, nth - 1) // 2


def test_nothing_is_sent_when_folder_cannot_be_created(tmp_path):
    """At a path where no folder can be created, as on a read-only mount, the try sends nothing."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    arm = DelayedArm(read_entries=list)
    error = run(arm, tmp_path / "file" / "journal", 1)
    assert isinstance(error, JournalError)
    assert arm.batches == {}


def test_check_detects_chunk_sent_without_entry(folder, monkeypatch):
    """The fake ARM detects a journal whose writes are silently lost: what it receives has no entry on the disk."""
    arm = make_arm(folder)
    monkeypatch.setattr(FileEntries, "write", lambda *_: None)
    run(arm, folder, 1)
    assert arm.violations
    assert ChunkState.SENDING not in {entry.state for entry in arm.read_entries()}
