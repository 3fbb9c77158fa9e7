"""The plan of a submission: which rows go into which chunk, fixed before the first is sent."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.endpoints import to_wire
from airflow_provider_arm.client.errors import ArmConfigurationError, FieldIssue, InvalidRecordError
from airflow_provider_arm.client.operations import Operation, Replay
from airflow_provider_arm.submission.errors import PlanChangedError, SourceError
from airflow_provider_arm.submission.source import Row, Source, chunked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Records in one batch that ARM is taken to accept; more is answered 422.
MAX_CHUNK_SIZE = 1000  # assumed (Q16)
#: Wrong rows that a message lists; it says how many more there are.
SHOWN_ROWS = 20


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """One batch to be."""

    index: int
    #: Number of the first and the last row.
    first_row: int
    last_row: int
    records: int
    #: Of the records as they go on the wire.
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All batches to be."""

    operation: str
    chunk_size: int
    chunks: tuple[ChunkPlan, ...]

    @property
    def records(self) -> int:
        """How many records there are in all."""
        return sum(chunk.records for chunk in self.chunks)

    @property
    def sha256(self) -> str:
        """One name for the whole plan: the same input gives the same."""
        return hashlib.sha256(money.encode(asdict(self))).hexdigest()


def make_plan(source: Source, operation: Operation, chunk_size: int, key: str) -> Plan:
    """Read the source once, check every record against its model, and cut it into chunks.

    :param key: wire name of the natural key. Where a second record of one key would book twice, it is refused.
    :raises SourceError: rows are wrong; all of them are counted and the first are named. Or there is no row.
    :raises ArmConfigurationError: *chunk_size* is out of range.
    """
    if not 1 <= chunk_size <= MAX_CHUNK_SIZE:
        msg = f"chunk_size must be from 1 to {MAX_CHUNK_SIZE}, not {chunk_size}"
        raise ArmConfigurationError(msg)
    wrong = _WrongRows(source.name, key if operation.replay is not Replay.SAFE else None)
    chunks: list[ChunkPlan] = []
    for rows in chunked(source.rows(), chunk_size):
        wires = [wire for row in rows if (wire := wrong.check(row, operation)) is not None]
        chunks.append(_chunk(len(chunks), rows, wires))
    wrong.raise_if_any()
    if not chunks:
        msg = f"{source.name}: has no records, so there is nothing to submit"
        raise SourceError(msg)
    return Plan(operation.name, chunk_size, tuple(chunks))


def read_chunks(source: Source, operation: Operation, plan: Plan) -> Iterator[tuple[ChunkPlan, bytes]]:
    """Read the source again and give each planned chunk with its records as they go on the wire: a JSON list.

    :raises PlanChangedError: the source gives other records than were planned.
    """
    chunks = chunked(source.rows(), plan.chunk_size)
    for planned in plan.chunks:
        rows = next(chunks, [])
        try:
            wires = [to_wire(operation.record, row.record) for row in rows]
            money.refuse_inexact(wires)
        except (InvalidRecordError, money.InexactNumberError):
            wires = []
        longer = planned is plan.chunks[-1] and next(chunks, None) is not None
        if longer or _chunk(planned.index, rows, wires) != planned:
            msg = (
                f"{source.name}: rows {planned.first_row} to {planned.last_row} have changed since they were planned; "
                "nothing more is sent. Restore the source, or clear the task for a new plan"
            )
            raise PlanChangedError(msg)
        yield planned, money.encode(wires)


def _chunk(index: int, rows: Sequence[Row], wires: list[dict[str, Any]]) -> ChunkPlan:
    first, last = (rows[0].number, rows[-1].number) if rows else (0, 0)
    return ChunkPlan(index, first, last, len(rows), hashlib.sha256(money.encode(wires)).hexdigest())


class _WrongRows:
    """Collects what is wrong with rows, so that a person mends the file once."""

    def __init__(self, name: str, unique_key: str | None) -> None:
        self._name = name
        self._unique_key = unique_key
        self._seen: dict[str, int] = {}
        self._shown: list[FieldIssue] = []
        self._rows = 0

    def check(self, row: Row, operation: Operation) -> dict[str, Any] | None:
        """Give the record as it goes on the wire, or ``None`` where it is wrong."""
        try:
            wire = to_wire(operation.record, row.record)
            money.refuse_inexact(wire)
        except InvalidRecordError as error:
            issues = list(error.errors)
        except money.InexactNumberError as error:
            issues = [FieldIssue("", str(error))]
        else:
            issues = self._doubled(row, wire)
            if not issues:
                return wire
        self._rows += 1
        if self._rows <= SHOWN_ROWS:
            self._shown += [FieldIssue(_place(row, issue), issue.message) for issue in issues]
        return None

    def _doubled(self, row: Row, wire: dict[str, Any]) -> list[FieldIssue]:
        if self._unique_key is None:
            return []
        # ARM tells no capital letters apart (documented).
        first = self._seen.setdefault(str(wire[self._unique_key]).casefold(), row.number)
        if first == row.number:
            return []
        return [FieldIssue(self._unique_key, f"is the same as in row {first}, which would book it twice")]

    def raise_if_any(self) -> None:
        if self._rows:
            more = f"; and {self._rows - SHOWN_ROWS} more rows" if self._rows > SHOWN_ROWS else ""
            listed = "; ".join(str(issue) for issue in self._shown)
            msg = f"{self._name}: {self._rows} rows do not fit and nothing was sent: {listed}{more}"
            raise SourceError(msg, errors=self._shown)


def _place(row: Row, issue: FieldIssue) -> str:
    return f"row {row.number}, column {issue.field}" if issue.field else f"row {row.number}"
