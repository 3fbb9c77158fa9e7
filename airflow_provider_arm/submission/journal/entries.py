"""Entries of the journal, written before each step, and the decision that follows from an entry. No I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import msgspec

from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import JournalError, PlanChangedError

T = TypeVar("T")

_UNREADABLE = "the journal of this task cannot be read, so what was sent before is not known: nothing more is sent"


class ChunkState(StrEnum):
    """State of one chunk."""

    #: Not sent, or certainly not accepted by ARM.
    PLANNED = "planned"
    #: About to be sent. An entry that is still in this state after a restart may have reached ARM.
    SENDING = "sending"
    #: ARM returned a batchUuid.
    ACCEPTED = "accepted"
    #: ARM answered 4xx: nothing took effect.
    REFUSED = "refused"
    #: It may or may not have reached ARM.
    UNKNOWN = "unknown"
    #: ARM has its records; the response with their batchUuid is lost.
    RECOVERED = "recovered"


class Verdict(StrEnum):
    """Result of a manual check of a chunk with an unknown outcome."""

    #: ARM has accepted it.
    ACCEPTED = "accepted"
    #: ARM has not accepted it and will not: it may be sent.
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Resolution:
    """Manual resolution of one sending of a chunk. It stays in the chunk's entry for good."""

    #: Id of the sending that it resolves: the one with the unknown outcome.
    chunk_id: str
    verdict: Verdict
    #: Who resolved it, and for which reason.
    by: str
    why: str
    #: Where it is known, from the task's log or from Amili.
    batch_uuid: str | None = None
    #: Unix seconds.
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """Journal entry of one chunk."""

    index: int
    sha256: str
    state: ChunkState
    #: Clear count of the attempt that the state belongs to: an Airflow retry keeps it, a clear raises it.
    clear_count: int
    batch_uuid: str | None = None
    #: Why it is in this state, where that is not obvious.
    reason: str | None = None
    #: Id of one sending of the chunk, so that a resolution of an earlier sending does not apply to a later one.
    chunk_id: str | None = None
    #: Unix seconds of the first lookup that did not find all of its records in ARM, at a time when nothing was sending
    #: them.
    missing_since: float | None = None
    #: Positions, from 1, of records that ARM does not have. Of a recovered chunk: all of them; ``None`` before the
    #: lookup. Of an unknown chunk: those that an earlier lookup did not find while it found others.
    missing: tuple[int, ...] | None = None
    #: ARM's response to a single write.
    response: dict[str, Any] | None = None
    resolutions: tuple[Resolution, ...] = ()

    def with_state(self, state: ChunkState, **changes: Any) -> ChunkEntry:
        """Return a copy in another state.

        :param changes: other fields that change with it.
        """
        return replace(self, state=state, **changes)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values, without the fields that are not set."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return {
            name: _as_list(value)
            for name, value in values.items()
            if value is not None and (name, value) != _NO_RESOLUTIONS
        }

    @classmethod
    def from_json(cls, data: Any) -> ChunkEntry:
        """Parse the output of :meth:`as_json`.

        :raises JournalError: *data* is not the entry of a chunk.
        """
        return _parse(data, cls)


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """Journal entry of the plan."""

    sha256: str
    chunks: int
    clear_count: int
    #: Entries of the readings profile that differ from the defaults; ``None`` in a journal of an earlier version.
    profile: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values, without a profile that is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def check_profile(self, earlier: PlanEntry | None) -> None:
        """Check that the profile is that of an earlier try of the same attempt.

        :raises PlanChangedError: it is not, so what was sent before would be read, or the rest sent, in another way.
        """
        if earlier is None or earlier.clear_count != self.clear_count or earlier.profile is None:
            return
        old, new = earlier.profile, self.profile or {}
        if changed := sorted(name for name in {*old, *new} if old.get(name) != new.get(name)):
            raise PlanChangedError(
                f"the readings of the connection have changed since an earlier try ({', '.join(changed)}): nothing "
                "is sent. Restore it, or clear the task to continue with the new profile"
            )

    @classmethod
    def from_json(cls, data: Any) -> PlanEntry:
        """Parse the output of :meth:`as_json`.

        :raises JournalError: *data* is not the entry of a plan.
        """
        return _parse(data, cls)


#: Field and value of an entry without resolutions. An empty ``missing`` is written: it differs from no lookup.
_NO_RESOLUTIONS = ("resolutions", ())


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _parse(data: Any, entry_type: type[T]) -> T:
    """Parse an entry strictly: one with more fields, from a newer version of the package, may have another meaning."""
    known = {field.name for field in fields(entry_type)}  # type: ignore[arg-type]
    if not isinstance(data, dict) or not known.issuperset(data):
        raise JournalError(_UNREADABLE)
    try:
        return msgspec.convert(data, entry_type)
    except msgspec.ValidationError:
        raise JournalError(_UNREADABLE) from None


class ReadableJournal(Protocol):
    """Store of the plan's entry and of one entry per chunk, for reading."""

    def read_plan(self) -> PlanEntry | None:
        """Return the plan's entry, or ``None`` if there is none."""

    def read(self, index: int) -> ChunkEntry | None:
        """Return the chunk's entry, or ``None`` if there is none."""


class Journal(ReadableJournal, Protocol):
    """Journal that can be written. A write is stored when it returns, or it raises."""

    #: Whether it outlives the process.
    durable: bool

    def write_plan(self, entry: PlanEntry) -> None:
        """Write the plan's entry. Raises as :meth:`write`."""

    def write(self, entry: ChunkEntry) -> None:
        """Write the chunk's entry over its previous one.

        :raises JournalError: it could not be stored.
        """


class MemoryJournal:
    """Journal that ends with the process: sufficient within one try, of no use to the next."""

    durable = False

    def __init__(self) -> None:
        self._plan: PlanEntry | None = None
        self._entries: dict[int, ChunkEntry] = {}

    def read_plan(self) -> PlanEntry | None:
        """Return the plan's entry, or ``None`` if there is none."""
        return self._plan

    def write_plan(self, entry: PlanEntry) -> None:
        """Write the plan's entry."""
        self._plan = entry

    def read(self, index: int) -> ChunkEntry | None:
        """Return the chunk's entry, or ``None`` if there is none."""
        return self._entries.get(index)

    def write(self, entry: ChunkEntry) -> None:
        """Write the chunk's entry over its previous one."""
        self._entries[entry.index] = entry


class NextStep(StrEnum):
    """What to do with a chunk."""

    SEND = "send"
    #: ARM has it: do not send it; poll its batch, if the batchUuid is known.
    FOLLOW = "follow"
    #: The outcome is unknown: look up its records in ARM. If that does not decide, it needs a manual resolution.
    LOOK_UP = "look up"
    #: The task was cleared, and a repeat changes nothing: send if the old batch is finished, else follow it.
    SEND_IF_FINISHED = "send if finished"
    #: The task was cleared, and a repeat would book twice: send if ARM rejected the whole old batch, else follow it.
    SEND_IF_REJECTED = "send if rejected"


def next_step(entry: ChunkEntry | None, replay: Replay, clear_count: int) -> NextStep:
    """Decide what to do with a chunk.

    :param entry: its journal entry, from this attempt or an earlier one; ``None`` if there is none.
    :param clear_count: of this attempt.
    """
    if entry is None or entry.state in (ChunkState.PLANNED, ChunkState.REFUSED):
        return NextStep.SEND
    if entry.state is ChunkState.RECOVERED:
        return NextStep.FOLLOW
    if entry.state is ChunkState.ACCEPTED:
        if entry.clear_count == clear_count:
            return NextStep.FOLLOW
        return NextStep.SEND_IF_FINISHED if replay is Replay.SAFE else NextStep.SEND_IF_REJECTED
    # SENDING or UNKNOWN: a repeat that changes nothing needs no proof that it is necessary.
    return NextStep.SEND if replay is Replay.SAFE else NextStep.LOOK_UP
