"""What was submitted before, by any run: natural keys in a folder that runs share, so that none is submitted twice.

A journal knows one task instance. Another run with the same input knows nothing of it; this does. **Layout**, one pair
of files per submission, named after the task instance and its plan::

    <name>.keys.json     who, which plan, and a digest of each record's key, in the order of the chunks
    <name>.state.json    where each chunk stands

A submission claims its keys first and looks at the others' claims after that: of two that begin at once at least one
sees the other and stops, perhaps both, and a later try of either goes on. No record and no key is kept in plain text.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.client.batch_state import BatchState
from airflow_provider_arm.client.errors import ArmError, ArmNotFoundError
from airflow_provider_arm.client.keys import fold
from airflow_provider_arm.submission.errors import AlreadySubmittedError, ConcurrentSubmissionError, JournalError
from airflow_provider_arm.submission.journal.checksummed_folder import ChecksummedFolder
from airflow_provider_arm.submission.journal.entries import ChunkState
from airflow_provider_arm.submission.results.outcome import rejected_positions
from airflow_provider_arm.submission.sending.recovered import RecoveredChunk
from airflow_provider_arm.submission.sending.unknown_outcome import format_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.submission.journal.checksummed_folder import FolderPath
    from airflow_provider_arm.submission.journal.entries import Journal
    from airflow_provider_arm.submission.planning.plan import ChunkPlan, SubmissionPlan

log = logging.getLogger(__name__)

#: Bytes of a key's digest: no two of any number of documents that there will ever be are alike.
_DIGEST_BYTES = 16
_KEYS, _STATE = ".keys.json", ".state.json"


class ClaimState(StrEnum):
    """Where a claimed chunk stands, as its own run last wrote it."""

    #: Being sent, or nobody knows.
    OPEN = "open"
    #: With ARM under a batchUuid.
    BATCH = "batch"
    #: With ARM; the batchUuid is lost.
    RECOVERED = "recovered"
    #: ARM has certainly not taken it.
    FREE = "free"


_WITH_ARM = (ClaimState.BATCH, ClaimState.RECOVERED)


class _Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    records: int
    standing: ClaimState = ClaimState.OPEN
    batch_uuid: str | None = None
    missing: tuple[int, ...] = ()


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    #: It has looked at the others' claims and found no reason to stop.
    is_checked: bool
    chunks: tuple[_Chunk, ...]


class _Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    owner: str
    operation: str
    plan_sha256: str
    #: Records of each chunk.
    sizes: tuple[int, ...]
    #: Digests in hexadecimal, one after another.
    digests: str

    def places(self) -> Iterator[tuple[int, str]]:
        """Give each digest with its place."""
        size = 2 * _DIGEST_BYTES
        for place in range(len(self.digests) // size):
            yield place, self.digests[place * size : (place + 1) * size]


@dataclass(frozen=True, slots=True)
class EarlierSubmission:
    """A submission of the very same records by another run."""

    owner: str
    batch_uuids: list[str]
    recovered: list[RecoveredChunk]


class SubmissionRegistry:
    """The claims of all submissions under one folder, seen by one of them.

    :param path: need not exist; all runs that may submit the same documents share it.
    :param owner: names this task instance, the same on every try.
    :param scope: what the keys belong to: ARM's address and the client number.
    :param key: wire name of the natural key.
    :param poll: gives a batch's status; raises :class:`ArmError`.
    """

    def __init__(self, path: FolderPath, owner: str, scope: str, key: str, poll: Callable[[str], BatchStatus]) -> None:
        self._folder = ChecksummedFolder(path)
        self._owner = owner
        self._scope = scope
        self._key = key
        self._poll = poll

    def claim(self, plan: SubmissionPlan, chunks: Iterable[tuple[ChunkPlan, bytes]]) -> EarlierSubmission | None:
        """Claim the records of a plan before any of them is sent; gives the run that has submitted the very same.

        What ARM refused of another run is free.

        :raises AlreadySubmittedError: another run has submitted some of them.
        :raises ConcurrentSubmissionError: another run is submitting some of them, or they are still in work.
        :raises JournalError: the folder cannot be read or written. Nothing may be sent.
        """
        self._folder.make()
        own = self._name(plan)
        names = set(self._folder.names())
        if own + _STATE in names and self._state(own).is_checked:
            return None
        keys = {self._digest(value): value for _, records in chunks for value in self._values(records)}
        sizes = tuple(chunk.records for chunk in plan.chunks)
        claim = _Keys(self._owner, plan.operation, plan.sha256, sizes, "".join(keys))
        self._folder.put(own + _KEYS, msgspec.to_builtins(claim))
        self._write(own, [_Chunk(chunk.records) for chunk in plan.chunks], is_checked=False)
        try:
            earlier = self._check(plan, own, keys)
        except BaseException:
            self._give_up(own, plan)
            raise
        if earlier is not None:
            self._give_up(own, plan)
        else:
            self._write(own, [_Chunk(chunk.records) for chunk in plan.chunks], is_checked=True)
        return earlier

    def note(self, plan: SubmissionPlan, journal: Journal) -> None:
        """Write down where the chunks stand, as the journal has it."""
        self._write(self._name(plan), [_standing(journal, chunk) for chunk in plan.chunks], is_checked=True)

    # ---- what others have

    def _check(self, plan: SubmissionPlan, own: str, keys: dict[str, str]) -> EarlierSubmission | None:
        files = self._folder.names()
        for name in sorted({file.partition(".")[0] for file in files if file.endswith((_KEYS, _STATE))} - {own}):
            state = self._state(name) if name + _STATE in files else None
            if state is not None and all(chunk.standing is ClaimState.FREE for chunk in state.chunks):
                continue
            claim: _Keys = self._get(name + _KEYS, _Keys)
            if claim.owner == self._owner:
                continue  # the journal of this task instance decides about its own
            if state is None:  # it has come no further, or part of it is gone
                state = _State(False, tuple(_Chunk(records) for records in claim.sizes))  # noqa: FBT003
            shared = {place: keys[digest] for place, digest in claim.places() if digest in keys}
            if shared and (earlier := self._compare(plan, claim, state, shared)) is not None:
                return earlier
        return None

    def _compare(
        self, plan: SubmissionPlan, claim: _Keys, state: _State, shared: dict[int, str]
    ) -> EarlierSubmission | None:
        """Decide about records that another run has claimed, by their place in its plan."""
        standings = self._standings(state, shared)
        counts = Counter(standings.values())
        if counts["in work"]:
            named = format_keys(
                self._key, [shared[place] for place, is_now in standings.items() if is_now == "in work"]
            )
            msg = (
                f"{named} are being submitted by another run ({claim.owner}), or that run ended before it knew: "
                "nothing was sent. Let it finish, or clear it; then run this again"
            )
            raise ConcurrentSubmissionError(msg)
        if not counts["taken"]:
            log.info("ARM refused %d of these records in %s, so they are sent again", len(shared), claim.owner)
            return None
        if claim.plan_sha256 == plan.sha256 and all(chunk.standing in _WITH_ARM for chunk in state.chunks):
            return _earlier(claim, state)
        named = format_keys(self._key, [shared[place] for place, is_now in standings.items() if is_now == "taken"])
        msg = (
            f"{counts['taken']} of these {plan.records} records were submitted before by {claim.owner} ({named}): "
            "nothing was sent. Take them out of the source; where that run stopped half-way, clear it instead"
        )
        raise AlreadySubmittedError(msg)

    def _standings(self, state: _State, shared: dict[int, str]) -> dict[int, str]:
        """Say of each shared record whether ARM has it: ``taken``, ``free`` or ``in work``."""
        found: dict[int, str] = {}
        first = 0
        for chunk in state.chunks:
            places = [place for place in range(first, first + chunk.records) if place in shared]
            if places:
                refused = self._refused(chunk)
                for place in places:
                    is_free = refused is not None and place - first + 1 in refused
                    found[place] = "in work" if refused is None else "free" if is_free else "taken"
            first += chunk.records
        return found

    def _refused(self, chunk: _Chunk) -> frozenset[int] | None:
        """Give the places of the chunk's records that ARM does not have; ``None`` where that is not settled."""
        everything = frozenset(range(1, chunk.records + 1))
        if chunk.standing is ClaimState.FREE:
            return everything
        if chunk.standing is ClaimState.RECOVERED:
            return frozenset(chunk.missing)
        if chunk.standing is ClaimState.OPEN or chunk.batch_uuid is None:
            return None
        try:
            status = self._poll(chunk.batch_uuid)
        except ArmNotFoundError:
            return frozenset()  # ARM has forgotten the batch, not its records
        if not status.state.finished:
            return None
        if status.state is BatchState.REJECTED:
            return everything
        return rejected_positions(status)

    # ---- files

    def _name(self, plan: SubmissionPlan) -> str:
        return hashlib.sha256(f"{self._owner}\0{self._scope}\0{plan.sha256}".encode()).hexdigest()[: 2 * _DIGEST_BYTES]

    def _digest(self, value: str) -> str:
        text = f"{self._scope}\0{fold(value)}"
        return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()

    def _values(self, records: bytes) -> list[str]:
        return [str(record[self._key]) for record in money.decode(records)]

    def _give_up(self, name: str, plan: SubmissionPlan) -> None:
        free = [_Chunk(chunk.records, ClaimState.FREE) for chunk in plan.chunks]
        self._write(name, free, is_checked=False)

    def _write(self, name: str, chunks: list[_Chunk], *, is_checked: bool) -> None:
        self._folder.put(name + _STATE, msgspec.to_builtins(_State(is_checked, tuple(chunks)), str_keys=True))

    def _state(self, name: str) -> _State:
        state: _State = self._get(name + _STATE, _State)
        return state

    def _get(self, name: str, kind: type[Any]) -> Any:
        try:
            return msgspec.convert(self._folder.get(name), kind)
        except msgspec.ValidationError:
            msg = f"the ledger's file {name} is of another version of this provider: nothing is sent"
            raise JournalError(msg) from None


@contextmanager
def record_outcome(ledger: SubmissionRegistry | None, plan: SubmissionPlan, journal: Journal) -> Iterator[None]:
    """Write down where the chunks stand once the sending has ended, however it ended."""
    try:
        yield
    except BaseException:
        if ledger is not None:
            with suppress(ArmError):  # what ended the sending says more
                ledger.note(plan, journal)
        raise
    if ledger is not None:
        ledger.note(plan, journal)


def _standing(journal: Journal, chunk: ChunkPlan) -> _Chunk:
    entry = journal.read(chunk.index)
    if entry is None or entry.state in (ChunkState.PLANNED, ChunkState.REFUSED):
        return _Chunk(chunk.records, ClaimState.FREE)
    if entry.state is ChunkState.RECOVERED:
        return _Chunk(chunk.records, ClaimState.RECOVERED, missing=entry.missing or ())
    if entry.state is ChunkState.ACCEPTED and entry.batch_uuid:
        return _Chunk(chunk.records, ClaimState.BATCH, entry.batch_uuid)
    return _Chunk(chunk.records)


def _earlier(claim: _Keys, state: _State) -> EarlierSubmission:
    uuids = [chunk.batch_uuid for chunk in state.chunks if chunk.batch_uuid]
    recovered = [
        RecoveredChunk(number, chunk.records, chunk.missing)
        for number, chunk in enumerate(state.chunks, 1)
        if chunk.standing is ClaimState.RECOVERED
    ]
    return EarlierSubmission(claim.owner, uuids, recovered)
