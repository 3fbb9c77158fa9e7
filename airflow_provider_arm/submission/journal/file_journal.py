"""The journal of a submission in files: on a local disk or in an object store, for any version of Airflow.

**Layout.** One folder per task instance::

    runners/000002-<token>.json          who works, or worked, on it: one file per runner
    lines/plan.000002-<token>.json       the plan, as that runner wrote it
    lines/chunk-000004.000002-<token>.json   the chunk's last line, as that runner wrote it

A file is small, holds a sha256 of itself, is written under a passing name and then renamed. Object stores cannot append
and a local disk can tear what is appended; this layout asks neither: a reader meets a file as it was before a step or
as it is after it, and one that is neither is an error. The price is a file per chunk instead of one in all.

**One runner.** A runner announces itself with a file of its own and then looks who else is there; the highest number
works, at equal numbers the greater token. It writes only files with its own number and token, so two never overwrite
each other, and looks again after each line and before it acts on it. Whoever takes over announces itself first and
reads the lines after that. So of two runners at least one sees the other: either the old one finds the new number and
stops before it sends, or the new one finds the old one's line and treats the chunk as sent.

This needs no file that only one can make (few object stores have that), only that a listing shows every file written
before it: so it is on local disks, S3, Google Cloud Storage and Azure (not on an NFS mount that caches listings). It
says nothing of a request that the old runner has sent already: that chunk is in SENDING and decided as after a crash.

**Who may take over.** A later try of the same task instance, at once; anybody, when the runner has ended in an orderly
way or was not heard of for :data:`TAKEOVER_TIMEOUT` seconds. Everybody else is refused.
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

#: Seconds of silence after which a runner is taken for dead: longer than a plan over a million rows takes, and than
#: the client tries one request.
TAKEOVER_TIMEOUT = 3600.0
#: Seconds after which a line's writing also renews the runner's sign of life.
HEARTBEAT_INTERVAL = 60.0

_RUNNER_NAME = re.compile(r"(?P<number>\d{6,})-(?P<token>[0-9a-f]{16})\.json")


@dataclass(frozen=True, slots=True)
class JournalWriter:
    """Who works on a journal, for the message to somebody else who wants to.

    :param task_instance: in words: DAG, run, task and map index.
    :param try_number: Airflow's.
    """

    task_instance: str
    try_number: int
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)


class _Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a runner's file says."""

    runner: JournalWriter
    #: Unix seconds of its last sign of life.
    renewed: float
    #: It has ended in an orderly way and writes nothing more.
    released: bool


class _TakenOverError(JournalError):
    """A runner of a higher rank works on the journal."""


class FileJournal:
    """Keeps the plan and one line per chunk in a folder; see the module for how, and why it can be trusted.

    No record and no key of one is kept, only hashes, counts, batchUuids and ARM's reasons with personal data masked.
    Files on a local disk are readable by their owner only. Nothing is ever removed: a journal may go when its task
    instance will neither be retried nor cleared any more.

    :param path: the task instance's own folder; need not exist.
    :param runner: who wants to work on it.
    :param now: unix seconds.
    :raises JournalError: another runner works on it, or it cannot be read or written.
    """

    durable = True

    def __init__(self, path: FolderPath, runner: JournalWriter, *, now: Callable[[], float] = time.time) -> None:
        self._runner = runner
        self._now = now
        self._name = str(path)
        self._runners = ChecksummedFolder(path / "writers")
        self._lines = FileEntries(path)
        self.is_local = self._runners.is_local
        self._runners.make()
        self._lines.make()
        self._rank = WriterId(self._next_number(), secrets.token_hex(8))
        self._renew()
        self._check_held()
        # After the announcement: what an earlier runner has not written by now, it will not act on.
        self._lines.refresh()
        first = min(self._ranks())
        #: The try that began it. What tries before that one did is not known here.
        self.first_try_number = self._claim(first).runner.try_number
        if first == self._rank and not self._lines.is_empty:
            self._check_held()  # somebody who began since then may have written them
            msg = (
                f"the journal {self._name} has lines but no file of who wrote them: parts of it are gone, so what was "
                "sent before is not known: nothing is sent. Restore it, or look in ARM and remove the folder"
            )
            raise JournalError(msg)

    def read_plan(self) -> PlanEntry | None:
        """Give the plan's line, or ``None``."""
        return self._lines.read_plan()

    def write_plan(self, entry: PlanEntry) -> None:
        """Keep the plan's line. Raises as :meth:`write`."""
        self._lines.write_plan(entry, self._rank)
        self._check_held()
        self._renew_if_due()

    def read(self, index: int) -> ChunkEntry | None:
        """Give the chunk's line, or ``None``."""
        return self._lines.read(index)

    def write(self, entry: ChunkEntry) -> None:
        """Keep the chunk's line.

        :raises JournalError: it could not be kept; or another runner has taken over, and nothing may be sent.
        """
        self._lines.write(entry, self._rank)
        try:
            self._check_held()
        except _TakenOverError as error:
            if entry.state is ChunkState.SENDING:
                # It is certainly not sent, which nobody should have to wonder about.
                self._lines.write(entry.to(ChunkState.PLANNED, reason=str(error)), self._rank)
            raise
        self._renew_if_due()

    def release(self) -> None:
        """Say that this runner writes nothing more, so that anybody may follow. A failure is only logged."""
        try:
            self._renew(released=True)
        except JournalError as error:
            log.warning("The next runner may have to wait for %.0f minutes: %s", TAKEOVER_TIMEOUT / 60, error)

    # ---- runners

    def _ranks(self) -> list[WriterId]:
        """List all runners there ever were."""
        found = (_RUNNER_NAME.fullmatch(name) for name in self._runners.names())
        return [WriterId(int(each["number"]), each["token"]) for each in found if each]

    def _next_number(self) -> int:
        """Give the number after the one that works on it now, if it is right to take over."""
        holder = max(self._ranks(), default=None)
        if holder is None:
            return 1
        claim = self._claim(holder)
        later = claim.runner.task_instance == self._runner.task_instance and (
            claim.runner.try_number < self._runner.try_number
        )
        if not claim.released and not later and self._now() - claim.renewed <= TAKEOVER_TIMEOUT:
            raise JournalError(self._in_use(claim))
        if not claim.released:
            log.info("The journal is taken over from %s, try %d", claim.runner.task_instance, claim.runner.try_number)
        return holder.number + 1

    def _check_held(self) -> None:
        """Raise if this runner is not, or no longer, the one that works."""
        ranks = self._ranks()
        if self._rank not in ranks:
            msg = f"the journal {self._name} has vanished while it was in use: nothing more is sent"
            raise JournalError(msg)
        if (holder := max(ranks)) != self._rank:
            raise _TakenOverError(self._in_use(self._claim(holder)))

    def _claim(self, rank: WriterId) -> _Claim:
        try:
            return msgspec.convert(self._runners.get(f"{rank}.json"), _Claim)
        except msgspec.ValidationError:
            msg = f"the journal {self._name} is of another version of this provider: nothing is sent"
            raise JournalError(msg) from None

    def _renew_if_due(self) -> None:
        if self._now() - self._renewed >= HEARTBEAT_INTERVAL:
            self._renew()

    def _renew(self, *, released: bool = False) -> None:
        self._renewed = self._now()
        claim = {"runner": asdict(self._runner), "renewed": self._renewed, "released": released}
        self._runners.put(f"{self._rank}.json", claim)

    def _in_use(self, claim: _Claim) -> str:
        runner = claim.runner
        heard = datetime.fromtimestamp(claim.renewed, tz=UTC).isoformat(timespec="seconds")
        return (
            f"the journal {self._name} is in use by another runner ({runner.task_instance}, try {runner.try_number}, "
            f"host {runner.host}, process {runner.pid}, last heard of at {heard}): this one sends nothing. Let "
            f"that one end; if it is dead, a later try of that task may follow at once, others "
            f"{TAKEOVER_TIMEOUT / 60:.0f} minutes after it was last heard of"
        )
