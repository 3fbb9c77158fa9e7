"""Registry of submitted documents: their keys in a folder that DAG runs share, so that no key is submitted twice.

The journal covers one task instance. Another run with the same input does not know it, but shares the registry.
**Layout**, one pair of files per submission, named after the task instance and its plan::

    <name>.keys.json     owner, plan, and a digest of each record's key, in the order of the chunks
    <name>.state.json    state of each chunk

A submission writes its own claim first and reads the claims of the others afterwards. So of two that begin at the same
moment at least one sees the other and stops, perhaps both, and a later try of either one continues. No record and no
key is stored in plain text.
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

#: Bytes of a key's digest: enough that no two of all documents that will ever exist have the same.
_DIGEST_BYTES = 16
_KEYS, _STATE = ".keys.json", ".state.json"


class ClaimState(StrEnum):
    """State of a claimed chunk, as its own run last wrote it."""

    #: It is being sent, or its outcome is unknown.
    UNRESOLVED = "unresolved"
    #: ARM has accepted it under a batchUuid.
    ACCEPTED = "accepted"
    #: ARM has accepted it; the batchUuid is lost.
    RECOVERED = "recovered"
    #: ARM has certainly not accepted it.
    FREE = "free"


class RecordState(StrEnum):
    """Whether a record that another run has claimed may be submitted."""

    #: ARM has it.
    ACCEPTED = "accepted"
    #: It is not known yet whether ARM will have it.
    IN_PROGRESS = "in progress"
    #: ARM does not have it: it may be submitted.
    FREE = "free"


class _ClaimedChunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    records: int
    state: ClaimState = ClaimState.UNRESOLVED
    batch_uuid: str | None = None
    missing: tuple[int, ...] = ()


class _ClaimStates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``<name>.state.json``."""

    #: Whether the run has compared its keys with the other claims and found no reason to stop.
    is_checked: bool
    chunks: tuple[_ClaimedChunk, ...]


class _ClaimedKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``<name>.keys.json``."""

    owner: str
    operation: str
    plan_sha256: str
    #: Number of records of each chunk.
    sizes: tuple[int, ...]
    #: Digests in hexadecimal, concatenated.
    digests: str

    def positions(self) -> Iterator[tuple[int, str]]:
        """Yield the position of each digest in the plan, from 0, and the digest."""
        size = 2 * _DIGEST_BYTES
        for position in range(len(self.digests) // size):
            yield position, self.digests[position * size : (position + 1) * size]


@dataclass(frozen=True, slots=True)
class EarlierSubmission:
    """Submission of the very same records by another run."""

    owner: str
    #: Number of records of each batch, by its batchUuid.
    batch_records: dict[str, int]
    recovered: list[RecoveredChunk]


class SubmissionRegistry:
    """Claims of all submissions in one folder, from the view of one of them.

    :param path: need not exist; all runs that may submit the same documents share it.
    :param owner: name of this task instance, the same in every try.
    :param scope: what the keys belong to: ARM's base URL and the client number.
    :param key: wire name of the natural key.
    :param poll: returns the status of a batch, from its batchUuid and number of records; raises :class:`ArmError`.
    """

    def __init__(
        self, path: FolderPath, owner: str, scope: str, key: str, poll: Callable[[str, int], BatchStatus]
    ) -> None:
        self._folder = ChecksummedFolder(path)
        self._owner = owner
        self._scope = scope
        self._key = key
        self._poll = poll

    def claim(self, plan: SubmissionPlan, chunks: Iterable[tuple[ChunkPlan, bytes]]) -> EarlierSubmission | None:
        """Claim the records of a plan, before any of them is sent.

        Records of another run that ARM has refused may be claimed.

        :return: the submission of another run if it has submitted the very same records; ``None`` if this run may send.
        :raises AlreadySubmittedError: another run has submitted some of them.
        :raises ConcurrentSubmissionError: another run is submitting some of them, or ARM is still processing them.
        :raises JournalError: the folder cannot be read or written. Nothing may be sent.
        """
        self._folder.create()
        own_name = self._claim_name(plan)
        names = set(self._folder.list_names())
        if own_name + _STATE in names and self._read_states(own_name).is_checked:
            return None
        keys = {self._digest(value): value for _, records in chunks for value in self._key_values(records)}
        sizes = tuple(chunk.records for chunk in plan.chunks)
        claim = _ClaimedKeys(self._owner, plan.operation, plan.sha256, sizes, "".join(keys))
        self._folder.write(own_name + _KEYS, msgspec.to_builtins(claim))
        self._write_states(own_name, [_ClaimedChunk(chunk.records) for chunk in plan.chunks], is_checked=False)
        try:
            earlier = self._find_earlier(plan, own_name, keys)
        except BaseException:
            self._withdraw(own_name, plan)
            raise
        if earlier is not None:
            self._withdraw(own_name, plan)
        else:
            self._write_states(own_name, [_ClaimedChunk(chunk.records) for chunk in plan.chunks], is_checked=True)
        return earlier

    def write_states(self, plan: SubmissionPlan, journal: Journal) -> None:
        """Write the states of the plan's chunks, as the journal has them."""
        self._write_states(
            self._claim_name(plan), [_claimed_chunk(journal, chunk) for chunk in plan.chunks], is_checked=True
        )

    # ---- claims of other runs

    def _find_earlier(self, plan: SubmissionPlan, own_name: str, keys: dict[str, str]) -> EarlierSubmission | None:
        """Compare the keys with the claims of all other runs. Raises, and returns, as :meth:`claim`.

        :param keys: natural keys by digest.
        """
        files = self._folder.list_names()
        for name in sorted({file.partition(".")[0] for file in files if file.endswith((_KEYS, _STATE))} - {own_name}):
            states = self._read_states(name) if name + _STATE in files else None
            if states is not None and all(chunk.state is ClaimState.FREE for chunk in states.chunks):
                continue
            claim: _ClaimedKeys = self._read(name + _KEYS, _ClaimedKeys)
            if claim.owner == self._owner:
                continue  # the journal of this task instance decides about its own claims
            if states is None:  # the run has come no further, or the file is missing
                states = _ClaimStates(is_checked=False, chunks=tuple(_ClaimedChunk(records) for records in claim.sizes))
            shared = {position: keys[digest] for position, digest in claim.positions() if digest in keys}
            if shared and (earlier := self._compare(plan, claim, states, shared)) is not None:
                return earlier
        return None

    def _compare(
        self, plan: SubmissionPlan, claim: _ClaimedKeys, states: _ClaimStates, shared: dict[int, str]
    ) -> EarlierSubmission | None:
        """Decide about records that another run has claimed too.

        :param shared: their natural keys, by the position in the other run's plan.
        """
        record_states = self._classify(states, shared)
        counts = Counter(record_states.values())

        def keys_in(state: RecordState) -> str:
            return format_keys(
                self._key, [shared[position] for position, each in record_states.items() if each is state]
            )

        if counts[RecordState.IN_PROGRESS]:
            raise ConcurrentSubmissionError(
                f"{keys_in(RecordState.IN_PROGRESS)} are being submitted by another run ({claim.owner}), or that run "
                "ended with an unknown outcome: nothing was sent. Let it finish, or clear it; then run this again"
            )
        if not counts[RecordState.ACCEPTED]:
            log.info("ARM refused %d of these records in %s, so they are sent again", len(shared), claim.owner)
            return None
        if claim.plan_sha256 == plan.sha256 and all(
            chunk.state in (ClaimState.ACCEPTED, ClaimState.RECOVERED) for chunk in states.chunks
        ):
            return _earlier_submission(claim, states)
        raise AlreadySubmittedError(
            f"{counts[RecordState.ACCEPTED]} of these {plan.records} records were submitted before by {claim.owner} "
            f"({keys_in(RecordState.ACCEPTED)}): nothing was sent. Remove them from the source; if that run stopped "
            "half-way, clear it instead"
        )

    def _classify(self, states: _ClaimStates, shared: dict[int, str]) -> dict[int, RecordState]:
        """Return the state of each shared record, by its position in the other run's plan."""
        classified: dict[int, RecordState] = {}
        first = 0
        for chunk in states.chunks:
            positions = [position for position in range(first, first + chunk.records) if position in shared]
            if positions:
                rejected = self._rejected_positions(chunk)
                for position in positions:
                    if rejected is None:
                        classified[position] = RecordState.IN_PROGRESS
                    elif position - first + 1 in rejected:
                        classified[position] = RecordState.FREE
                    else:
                        classified[position] = RecordState.ACCEPTED
            first += chunk.records
        return classified

    def _rejected_positions(self, chunk: _ClaimedChunk) -> frozenset[int] | None:
        """Return the positions, from 1, of records of the chunk that ARM does not have; ``None`` while undecided."""
        all_positions = frozenset(range(1, chunk.records + 1))
        if chunk.state is ClaimState.FREE:
            return all_positions
        if chunk.state is ClaimState.RECOVERED:
            return frozenset(chunk.missing)
        if chunk.state is ClaimState.UNRESOLVED or chunk.batch_uuid is None:
            return None
        try:
            status = self._poll(chunk.batch_uuid, chunk.records)
        except ArmNotFoundError:
            return frozenset()  # ARM no longer has the batch, but still has its records
        if not status.state.finished:
            return None
        if status.state is BatchState.REJECTED:
            return all_positions
        return rejected_positions(status)

    # ---- files

    def _claim_name(self, plan: SubmissionPlan) -> str:
        return hashlib.sha256(f"{self._owner}\0{self._scope}\0{plan.sha256}".encode()).hexdigest()[: 2 * _DIGEST_BYTES]

    def _digest(self, value: str) -> str:
        text = f"{self._scope}\0{fold(value)}"
        return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()

    def _key_values(self, records: bytes) -> list[str]:
        return [str(record[self._key]) for record in money.decode(records)]

    def _withdraw(self, name: str, plan: SubmissionPlan) -> None:
        """Mark all chunks of an own claim as free."""
        free = [_ClaimedChunk(chunk.records, ClaimState.FREE) for chunk in plan.chunks]
        self._write_states(name, free, is_checked=False)

    def _write_states(self, name: str, chunks: list[_ClaimedChunk], *, is_checked: bool) -> None:
        self._folder.write(name + _STATE, msgspec.to_builtins(_ClaimStates(is_checked, tuple(chunks)), str_keys=True))

    def _read_states(self, name: str) -> _ClaimStates:
        states: _ClaimStates = self._read(name + _STATE, _ClaimStates)
        return states

    def _read(self, name: str, content_type: type[Any]) -> Any:
        try:
            return msgspec.convert(self._folder.read(name), content_type)
        except msgspec.ValidationError:
            msg = f"the registry file {name} was written by another version of this provider: nothing is sent"
            raise JournalError(msg) from None


@contextmanager
def record_outcome(registry: SubmissionRegistry | None, plan: SubmissionPlan, journal: Journal) -> Iterator[None]:
    """Write the chunks' states to the registry when the block ends, whether it succeeds or fails."""
    try:
        yield
    except BaseException:
        if registry is not None:
            with suppress(ArmError):  # the error that ended the block is more important
                registry.write_states(plan, journal)
        raise
    if registry is not None:
        registry.write_states(plan, journal)


def _claimed_chunk(journal: Journal, chunk: ChunkPlan) -> _ClaimedChunk:
    entry = journal.read(chunk.index)
    if entry is None or entry.state in (ChunkState.PLANNED, ChunkState.REFUSED):
        return _ClaimedChunk(chunk.records, ClaimState.FREE)
    if entry.state is ChunkState.RECOVERED:
        return _ClaimedChunk(chunk.records, ClaimState.RECOVERED, missing=entry.missing or ())
    if entry.state is ChunkState.ACCEPTED and entry.batch_uuid:
        return _ClaimedChunk(chunk.records, ClaimState.ACCEPTED, entry.batch_uuid)
    return _ClaimedChunk(chunk.records)


def _earlier_submission(claim: _ClaimedKeys, states: _ClaimStates) -> EarlierSubmission:
    batch_records = {chunk.batch_uuid: chunk.records for chunk in states.chunks if chunk.batch_uuid}
    recovered = [
        RecoveredChunk(number, chunk.records, chunk.missing)
        for number, chunk in enumerate(states.chunks, 1)
        if chunk.state is ClaimState.RECOVERED
    ]
    return EarlierSubmission(claim.owner, batch_records, recovered)
