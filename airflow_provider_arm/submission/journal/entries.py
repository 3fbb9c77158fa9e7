"""What is known of each chunk, written down before each step, and the decision that follows from it. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import msgspec

from airflow_provider_arm.client.operations import Replay
from airflow_provider_arm.submission.errors import JournalError

T = TypeVar("T")

_UNREADABLE = "the journal of this task cannot be read, so what was sent before is not known: nothing more is sent"


class ChunkState(StrEnum):
    """Where one chunk stands."""

    #: Not sent, or certainly not taken.
    PLANNED = "planned"
    #: About to be put on the wire; found after a restart, it may have reached ARM.
    SENDING = "sending"
    #: ARM gave a batchUuid.
    ACCEPTED = "accepted"
    #: ARM answered 4xx: nothing happened.
    REFUSED = "refused"
    #: It may or may not have reached ARM.
    UNKNOWN = "unknown"
    #: Its records are with ARM; the answer that held their batchUuid is lost.
    RECOVERED = "recovered"


class Verdict(StrEnum):
    """What a person has found out about a chunk of which nobody knew."""

    #: ARM has taken it.
    ACCEPTED = "accepted"
    #: ARM has not taken it and will not: it may be sent.
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Resolution:
    """A person's word on one case, kept with the chunk for good."""

    #: The case it is about: that of the sending whose outcome nobody knew.
    chunk_id: str
    verdict: Verdict
    #: Who says so, and on what ground.
    by: str
    why: str
    #: Where the person knows it, from the task's log or from Amili.
    batch_uuid: str | None = None
    #: Unix seconds.
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """The journal's line for one chunk."""

    index: int
    sha256: str
    state: ChunkState
    #: Which wish of a person this belongs to: an Airflow retry keeps it, a clear begins a new one.
    clear_count: int
    batch_uuid: str | None = None
    #: Why, where that is not plain.
    reason: str | None = None
    #: Names one sending of the chunk, so that a person's word on an earlier one releases nothing.
    chunk_id: str | None = None
    #: Unix seconds of the first look that did not find all of its records in ARM, when nobody was sending them.
    missed_since: float | None = None
    #: Of a chunk that was found: the places, from 1, of the records that ARM does not have; ``None`` before a look. Of
    #: one that is unknown: what an earlier look missed that found others.
    missing: tuple[int, ...] | None = None
    #: ARM's answer to a single write.
    answer: dict[str, Any] | None = None
    resolutions: tuple[Resolution, ...] = ()

    def to(self, state: ChunkState, **changes: Any) -> ChunkEntry:
        """Give the line after a step."""
        return replace(self, state=state, **changes)

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON values; what is not set is left out."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return {
            name: _as_list(value) for name, value in values.items() if value is not None and (name, value) != _NO_WORD
        }

    @classmethod
    def from_json(cls, data: Any) -> ChunkEntry:
        """Read :meth:`as_json` back.

        :raises JournalError: it is no line of a journal.
        """
        return _read(data, cls)


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """The journal's line for the plan."""

    sha256: str
    chunks: int
    clear_count: int

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> PlanEntry:
        """Read :meth:`as_json` back.

        :raises JournalError: it is no such line.
        """
        return _read(data, cls)


#: What a line without a person's word has; an empty list of missing records says something.
_NO_WORD = ("resolutions", ())


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _read(data: Any, kind: type[T]) -> T:
    """Read a line strictly: one that a newer package wrote with more in it is not known to mean the same."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(data, dict) or not known.issuperset(data):
        raise JournalError(_UNREADABLE)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError:
        raise JournalError(_UNREADABLE) from None


class Journal(Protocol):
    """Keeps the plan and one line per chunk. A write that returns is kept, or it raises."""

    #: Whether it outlives the process.
    durable: bool

    def read_plan(self) -> PlanEntry | None:
        """Give the plan's line, or ``None``."""

    def write_plan(self, entry: PlanEntry) -> None:
        """Keep the plan's line. Raises as :meth:`write`."""

    def read(self, index: int) -> ChunkEntry | None:
        """Give the chunk's line, or ``None``."""

    def write(self, entry: ChunkEntry) -> None:
        """Keep the chunk's line.

        :raises JournalError: it could not be kept.
        """


class MemoryJournal:
    """A journal that ends with the process: enough within one attempt, no help in the next."""

    durable = False

    def __init__(self) -> None:
        self._plan: PlanEntry | None = None
        self._entries: dict[int, ChunkEntry] = {}

    def read_plan(self) -> PlanEntry | None:
        """Give the plan's line, or ``None``."""
        return self._plan

    def write_plan(self, entry: PlanEntry) -> None:
        """Keep the plan's line."""
        self._plan = entry

    def read(self, index: int) -> ChunkEntry | None:
        """Give the chunk's line, or ``None``."""
        return self._entries.get(index)

    def write(self, entry: ChunkEntry) -> None:
        """Keep the chunk's line."""
        self._entries[entry.index] = entry


class NextStep(StrEnum):
    """What to do with a chunk."""

    SEND = "send"
    #: It is with ARM under a batchUuid.
    FOLLOW = "follow"
    #: Nobody knows whether ARM took it: look for its records there; what that does not decide is for a person.
    RECONCILE = "reconcile"
    #: A cleared task, and a repeat changes nothing: send if the old batch is finished, else follow it.
    SEND_IF_FINISHED = "send if finished"
    #: A cleared task, and a repeat would book twice: send if ARM took nothing of the old batch, else follow it.
    SEND_IF_UNTAKEN = "send if untaken"


def next_step(entry: ChunkEntry | None, replay: Replay, clear_count: int) -> NextStep:
    """Decide what to do with a chunk.

    :param entry: its line in the journal, of this attempt or an earlier one.
    :param clear_count: of this attempt.
    """
    if entry is None or entry.state in (ChunkState.PLANNED, ChunkState.REFUSED):
        return NextStep.SEND
    if entry.state is ChunkState.RECOVERED:
        return NextStep.FOLLOW
    if entry.state is ChunkState.ACCEPTED:
        if entry.clear_count == clear_count:
            return NextStep.FOLLOW
        return NextStep.SEND_IF_FINISHED if replay is Replay.SAFE else NextStep.SEND_IF_UNTAKEN
    # SENDING or UNKNOWN: a repeat that changes nothing is the proof that none was needed.
    return NextStep.SEND if replay is Replay.SAFE else NextStep.RECONCILE
