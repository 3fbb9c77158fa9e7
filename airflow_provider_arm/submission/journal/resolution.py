"""Manual resolution of a chunk with an unknown outcome, and the journal entry that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, Resolution, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.submission.journal.entries import Journal, ReadableJournal

_UNRESOLVED = (ChunkState.SENDING, ChunkState.UNKNOWN)
_ACCEPTED = (ChunkState.ACCEPTED, ChunkState.RECOVERED)
_NOT_ACCEPTED = (ChunkState.PLANNED, ChunkState.REFUSED)


def read_entries(journal: ReadableJournal) -> Iterator[ChunkEntry]:
    """Yield the entry of each chunk of the journal's plan, as far as they were written."""
    plan = journal.read_plan()
    for index in range(plan.chunks if plan is not None else 0):
        entry = journal.read(index)
        if entry is not None:
            yield entry


def is_unresolved(entry: ChunkEntry) -> bool:
    """Return whether the journal does not show if ARM accepted the chunk. A later lookup may find out."""
    return entry.state in _UNRESOLVED


def apply_resolution(journal: Journal, resolution: Resolution) -> ChunkEntry | None:
    """Write a resolution, and the state that follows from it: the next try follows the chunk or sends it.

    The journal must be open for writing. A resolution that confirms what a lookup has found since is only added.

    :return: the entry afterwards; ``None`` if no sending of this journal, past or present, has that id.
    :raises ArmConfigurationError: the resolution contradicts itself or the journal. Nothing is changed.
    :raises JournalError: it could not be written.
    """
    for entry in read_entries(journal):
        if any(earlier.chunk_id == resolution.chunk_id for earlier in entry.resolutions):
            return entry
        if entry.chunk_id == resolution.chunk_id:
            resolved = _resolve(entry, resolution)
            journal.write(resolved)
            return resolved
    return None


def _resolve(entry: ChunkEntry, resolution: Resolution) -> ChunkEntry:
    chunk_id = resolution.chunk_id
    if not (resolution.by.strip() and resolution.why.strip()):
        msg = f"the resolution of chunk_id {chunk_id} needs an author and a reason: set both by and why"
        raise ArmConfigurationError(msg)
    is_absent = resolution.verdict is Verdict.ABSENT
    if is_absent and resolution.batch_uuid:
        msg = f"the resolution of chunk_id {chunk_id} is contradictory: what ARM has not accepted has no batch_uuid"
        raise ArmConfigurationError(msg)
    resolutions = (*entry.resolutions, resolution)
    if entry.state in (_NOT_ACCEPTED if is_absent else _ACCEPTED):
        return entry.with_state(entry.state, resolutions=resolutions)  # a later lookup has come to the same result
    if not is_unresolved(entry):
        raise ArmConfigurationError(
            f"chunk_id {chunk_id} (chunk {entry.index + 1}) cannot be resolved as {resolution.verdict}: its state is "
            f"known to be {entry.state} by now. Nothing is changed; check the task's log"
        )
    # Records that were missing while ARM was still processing say nothing about what it has refused in the end.
    changes = {"resolutions": resolutions, "missing_since": None, "missing": None}
    if is_absent:
        return entry.with_state(ChunkState.PLANNED, **changes)
    if resolution.batch_uuid:
        return entry.with_state(ChunkState.ACCEPTED, batch_uuid=resolution.batch_uuid, **changes)
    return entry.with_state(ChunkState.RECOVERED, **changes)
