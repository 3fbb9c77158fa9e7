"""Journal of a submission in files, on a local disk or in an object store. Works with every version of Airflow.

**Layout.** One folder per task instance::

    writers/000002-<token>.json                  a writer: its task, host, process and last heartbeat
    entries/plan.000002-<token>.json             the plan's entry, as that writer wrote it
    entries/chunk-000004.000002-<token>.json     the chunk's last entry, as that writer wrote it

Each file is small, contains its own sha256, is written under a temporary name and then renamed. Object stores cannot
append, and an append on a local disk can be cut off half-way. This layout needs no append: a reader sees a file as it
was before a step or as it is after it, and anything else is an error. The price is one file per chunk instead of one
for all.

**One writer.** A writer first registers itself with a file of its own, then lists the writers. The one with the highest
number is the latest writer; if numbers are equal, the one with the greater token. Only the latest writer may send. A
writer writes only files with its own number and token, so two writers never overwrite each other's files. After each
entry, and before it acts on it, it lists the writers again. A writer that takes over registers itself first and reads
the entries afterwards. So of two writers at least one notices the other: either the old one sees the new number and
stops before it sends, or the new one sees the old one's entry and handles the chunk as sent.

This needs no exclusive creation of a file, which few object stores offer. It only needs a listing that shows every file
written before it. Local disks, S3, Google Cloud Storage and Azure have that; an NFS mount that caches listings does
not. A request that the old writer has already sent is not covered: its chunk is in SENDING, and is handled as after a
crash.

**Takeover.** A later try of the same task instance may take over at once. Any other task may take over once the writer
has released the journal, or has had no heartbeat for :data:`TAKEOVER_TIMEOUT` seconds. Everything else is refused.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_arm.submission.errors import JournalError
from airflow_provider_arm.submission.journal.checksummed_folder import ChecksummedFolder, FolderPath
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, PlanEntry
from airflow_provider_arm.submission.journal.file_entries import FileEntries, WriterId

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

#: Seconds without a heartbeat after which a writer is considered dead: longer than planning a million rows takes, and
#: than the client attempts one request.
TAKEOVER_TIMEOUT = 3600.0
#: Seconds after which writing an entry also renews the writer's heartbeat.
HEARTBEAT_INTERVAL = 60.0

_WRITER_FILE = re.compile(r"(?P<number>\d{6,})-(?P<token>[0-9a-f]{16})\.json")


@dataclass(frozen=True, slots=True)
class JournalWriter:
    """Process that opens a journal for writing, as messages to other writers describe it.

    :param task_instance: DAG, run, task and map index, as text.
    :param try_number: Airflow's.
    """

    task_instance: str
    try_number: int
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)


class _WriterRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of a writer's file."""

    writer: JournalWriter
    #: Unix seconds of its last heartbeat.
    heartbeat_at: float
    #: Whether it has ended in an orderly way and writes nothing more.
    released: bool


class _WriterReplacedError(JournalError):
    """A later writer has taken over the journal."""


class FileJournal:
    """Journal in a folder. The module's docstring describes the layout, and why it is safe.

    It contains no record and no natural key, only hashes, counts, batchUuids and ARM's reasons with personal data
    masked. Files on a local disk are readable by their owner only. Nothing is ever deleted: a journal may be deleted
    once its task instance will neither be retried nor cleared any more.

    :param path: the task instance's own folder; need not exist.
    :param writer: the process that opens it.
    :param now: returns unix seconds.
    :raises JournalError: another writer uses it, or it cannot be read or written.
    """

    durable = True

    def __init__(self, path: FolderPath, writer: JournalWriter, *, now: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._now = now
        self._name = str(path)
        self._writers = ChecksummedFolder(path / "writers")
        self._entries = FileEntries(path)
        self.is_local = self._writers.is_local
        self._writers.create()
        self._entries.create()
        self._id = WriterId(self._next_number(), secrets.token_hex(8))
        self._send_heartbeat()
        self._check_is_latest()
        # After the registration: an earlier writer will not act on an entry that it has not written by now.
        self._entries.refresh()
        first = min(self._list_writers())
        #: Number of the try that created the journal. It does not know what earlier tries did.
        self.first_try_number = self._read_writer(first).writer.try_number
        if first == self._id and not self._entries.is_empty:
            self._check_is_latest()  # a writer that registered since then may have written them
            raise JournalError(
                f"the journal {self._name} has entries but no file of the writer that wrote them: parts of it are "
                "missing, so what was sent before is not known: nothing is sent. Restore it, or check in ARM what was "
                "sent and delete the folder"
            )

    def read_plan(self) -> PlanEntry | None:
        """Return the plan's entry, or ``None`` if there is none."""
        return self._entries.read_plan()

    def write_plan(self, entry: PlanEntry) -> None:
        """Write the plan's entry. Raises as :meth:`write`."""
        self._entries.write_plan(entry, self._id)
        self._check_is_latest()
        self._send_heartbeat_if_due()

    def read(self, index: int) -> ChunkEntry | None:
        """Return the chunk's entry, or ``None`` if there is none."""
        return self._entries.read(index)

    def write(self, entry: ChunkEntry) -> None:
        """Write the chunk's entry.

        :raises JournalError: it could not be stored; or another writer has taken over, and nothing may be sent.
        """
        self._entries.write(entry, self._id)
        try:
            self._check_is_latest()
        except _WriterReplacedError as error:
            if entry.state is ChunkState.SENDING:
                # It is certainly not sent: without this entry its outcome would be unknown to the other writer.
                self._entries.write(entry.with_state(ChunkState.PLANNED, reason=str(error)), self._id)
            raise
        self._send_heartbeat_if_due()

    def release(self) -> None:
        """Release the journal: this writer writes nothing more, and any other may take over. Failures are logged."""
        try:
            self._send_heartbeat(released=True)
        except JournalError as error:
            log.warning("The next writer may have to wait for %.0f minutes: %s", TAKEOVER_TIMEOUT / 60, error)

    # ---- writers

    def _list_writers(self) -> list[WriterId]:
        """List all writers that the journal has ever had."""
        matches = (_WRITER_FILE.fullmatch(name) for name in self._writers.list_names())
        return [WriterId(int(match["number"]), match["token"]) for match in matches if match]

    def _next_number(self) -> int:
        """Return the number after that of the latest writer, if this one may take over.

        :raises JournalError: it may not.
        """
        latest = max(self._list_writers(), default=None)
        if latest is None:
            return 1
        record = self._read_writer(latest)
        is_later_try = record.writer.task_instance == self._writer.task_instance and (
            record.writer.try_number < self._writer.try_number
        )
        if not record.released and not is_later_try and self._now() - record.heartbeat_at <= TAKEOVER_TIMEOUT:
            raise JournalError(self._in_use_message(record))
        if not record.released:
            log.info("Taking over the journal from %s, try %d", record.writer.task_instance, record.writer.try_number)
        return latest.number + 1

    def _check_is_latest(self) -> None:
        """Raise if this writer is not, or no longer, the latest one."""
        writers = self._list_writers()
        if self._id not in writers:
            raise JournalError(f"the journal {self._name} was deleted while it was in use: nothing more is sent")
        if (latest := max(writers)) != self._id:
            raise _WriterReplacedError(self._in_use_message(self._read_writer(latest)))

    def _read_writer(self, writer: WriterId) -> _WriterRecord:
        try:
            return msgspec.convert(self._writers.read(f"{writer}.json"), _WriterRecord)
        except msgspec.ValidationError:
            msg = f"the journal {self._name} was written by another version of this provider: nothing is sent"
            raise JournalError(msg) from None

    def _send_heartbeat_if_due(self) -> None:
        if self._now() - self._heartbeat_at >= HEARTBEAT_INTERVAL:
            self._send_heartbeat()

    def _send_heartbeat(self, *, released: bool = False) -> None:
        self._heartbeat_at = self._now()
        record = {"writer": asdict(self._writer), "heartbeat_at": self._heartbeat_at, "released": released}
        self._writers.write(f"{self._id}.json", record)

    def _in_use_message(self, record: _WriterRecord) -> str:
        writer = record.writer
        heartbeat = datetime.fromtimestamp(record.heartbeat_at, tz=UTC).isoformat(timespec="seconds")
        return (
            f"the journal {self._name} is in use by another writer ({writer.task_instance}, try {writer.try_number}, "
            f"host {writer.host}, process {writer.pid}, last heartbeat at {heartbeat}): this process sends "
            f"nothing. Wait until the other writer ends; if it is dead, a later try of its task can take over at once, "
            f"any other task {TAKEOVER_TIMEOUT / 60:.0f} minutes after its last heartbeat"
        )
