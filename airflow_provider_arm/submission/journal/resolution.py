"""A person's word on a chunk of which nobody knows whether ARM took it, and what it changes in the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.submission.journal.entries import (
    ChunkEntry,
    ChunkState,
    Journal,
    PlanEntry,
    Resolution,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN = (ChunkState.SENDING, ChunkState.UNKNOWN)
_TAKEN = (ChunkState.ACCEPTED, ChunkState.RECOVERED)
_NOT_TAKEN = (ChunkState.PLANNED, ChunkState.REFUSED)


class ReadableJournal(Protocol):
    """Whatever a journal can be read from."""

    def read_plan(self) -> PlanEntry | None:
        """Give the plan's line, or ``None``."""

    def read(self, index: int) -> ChunkEntry | None:
        """Give the chunk's line, or ``None``."""


def read_entries(journal: ReadableJournal) -> Iterator[ChunkEntry]:
    """Give every line of the journal's plan that was written."""
    plan = journal.read_plan()
    for index in range(plan.chunks if plan is not None else 0):
        entry = journal.read(index)
        if entry is not None:
            yield entry


def is_unresolved(entry: ChunkEntry) -> bool:
    """Whether nobody knows if ARM took it, as far as the journal tells: a later look may."""
    return entry.state in _OPEN


def apply_resolution(journal: Journal, resolution: Resolution) -> ChunkEntry | None:
    """Note a person's word and what follows from it: the chunk is followed, or sent by the next try.

    The journal must be this runner's own. A word that comes after a look has found the same is only noted.

    :return: the line after it; ``None`` where no chunk of this journal is about that case, now or before.
    :raises ArmConfigurationError: the word contradicts itself, or what is known by now. Nothing is changed.
    :raises JournalError: it could not be noted.
    """
    for entry in read_entries(journal):
        if any(earlier.chunk_id == resolution.chunk_id for earlier in entry.resolutions):
            return entry
        if entry.chunk_id == resolution.chunk_id:
            after = _after(entry, resolution)
            journal.write(after)
            return after
    return None


def _after(entry: ChunkEntry, resolution: Resolution) -> ChunkEntry:
    if not (resolution.by.strip() and resolution.why.strip()):
        msg = f"case {resolution.chunk_id} is released by somebody and for a reason: give both by and why"
        raise ArmConfigurationError(msg)
    is_absent = resolution.verdict is Verdict.ABSENT
    if is_absent and resolution.batch_uuid:
        msg = f"case {resolution.chunk_id}: what ARM has not taken has no batch_uuid"
        raise ArmConfigurationError(msg)
    words = (*entry.resolutions, resolution)
    if entry.state in (_NOT_TAKEN if is_absent else _TAKEN):
        return entry.to(entry.state, resolutions=words)  # a later look has found the same
    if not is_unresolved(entry):
        msg = (
            f"case {resolution.chunk_id} (chunk {entry.index + 1}) cannot be {resolution.verdict}: it is known to be "
            f"{entry.state} by now. Nothing is changed; look into the task's log"
        )
        raise ArmConfigurationError(msg)
    # What was missing at a look while ARM was at work says nothing of what it has refused in the end.
    noted = {"resolutions": words, "missed_since": None, "missing": None}
    if is_absent:
        return entry.to(ChunkState.PLANNED, **noted)
    if resolution.batch_uuid:
        return entry.to(ChunkState.ACCEPTED, batch_uuid=resolution.batch_uuid, **noted)
    return entry.to(ChunkState.RECOVERED, **noted)
