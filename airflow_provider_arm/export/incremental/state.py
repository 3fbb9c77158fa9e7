"""State that is stored between runs: the watermarks before and after the latest increment, and their owner. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from airflow_provider_arm.export.incremental.errors import ArmWatermarkError
from airflow_provider_arm.export.incremental.watermark import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class TaskRunKey(NamedTuple):
    """Task and DAG run of an increment. A retry and a cleared task instance have the same key."""

    task: str
    run: str

    @classmethod
    def of(cls, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskRunKey:
        """Return the key of a task instance, whatever its try."""
        return cls(f"{dag_id}/{task_id}/{map_index}", f"{dag_id}/{run_id}/{task_id}/{map_index}")


def fingerprint_query(
    base_url: str, client_no: Any, list_name: str, filters: Mapping[str, Any], split_by: Iterable[str]
) -> str:
    """Return a checksum of what is requested of a list. It hides the filters' values, which may identify people."""
    texts = {name: str(value) for name, value in filters.items()}
    query = [base_url, str(client_no), list_name, texts, sorted(split_by)]
    return hashlib.sha256(json.dumps(query, sort_keys=True).encode()).hexdigest()


class _SerializedState(msgspec.Struct):
    """Types of a state in JSON."""

    query_fingerprint: str
    task: str
    run: str
    number: int
    file: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class IncrementState:
    """State after an increment.

    :param query_fingerprint: checksum of the request; see :func:`fingerprint_query`.
    :param task: the task that owns the watermark.
    :param run: the run that exported the increment.
    :param number: number of the increment, counted from 1.
    :param file: path of the increment.
    :param before: the watermark from which the increment started, and from which a retry of the same run starts again.
    :param after: the watermark from which the next run starts.
    """

    query_fingerprint: str
    task: str
    run: str
    number: int
    file: str
    before: Watermark
    after: Watermark

    def as_json(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        values = {name: getattr(self, name) for name in ("query_fingerprint", "task", "run", "number", "file")}
        return {**values, "before": self.before.as_json(), "after": self.after.as_json()}

    @classmethod
    def from_json(cls, value: Any) -> IncrementState:
        """Read a state from the result of :meth:`as_json`.

        :raises ArmWatermarkError: *value* is something else.
        """
        try:
            state = msgspec.convert(value, _SerializedState)
            before, after = Watermark.from_json(state.before), Watermark.from_json(state.after)
        except ValueError:
            raise ArmWatermarkError(
                "the watermark has an invalid content: restore an older copy of it, or delete it; the next run then "
                "exports everything"
            ) from None
        return cls(state.query_fingerprint, state.task, state.run, state.number, state.file, before, after)


@dataclass(frozen=True, slots=True)
class IncrementStart:
    """Number of an increment, and the watermark from which it starts."""

    query_fingerprint: str
    run_key: TaskRunKey
    number: int
    before: Watermark

    def next_state(self, file: str, after: Watermark) -> IncrementState:
        """Return the state after the increment."""
        task, run = self.run_key
        return IncrementState(self.query_fingerprint, task, run, self.number, file, self.before, after)


def start_increment(state: IncrementState | None, query_fingerprint: str, run_key: TaskRunKey) -> IncrementStart:
    """Decide from which watermark a run starts.

    :param state: the stored state; ``None`` before the first run.
    :raises ArmWatermarkError: the watermark belongs to another task, or to another request.
    """
    if state is None:
        return IncrementStart(query_fingerprint, run_key, 1, Watermark())
    if state.task != run_key.task:
        raise ArmWatermarkError(
            f"the watermark belongs to the task {state.task} (DAG, task, map index), not to {run_key.task}: if two "
            "tasks shared a watermark, each would miss records. Set another watermark_path, or delete the watermark; "
            "the next run then exports everything"
        )
    if state.query_fingerprint != query_fingerprint:
        raise ArmWatermarkError(
            "filters, split_by, client or base URL changed since the watermark was written, so it does not show which "
            "records are new. Set another task_id or another watermark_path, or delete the watermark; the next run "
            "then exports everything"
        )
    if state.run == run_key.run:
        # A retry, or the latest run cleared: it exports the same increment again, so overwriting its file loses no row.
        return IncrementStart(query_fingerprint, run_key, state.number, state.before)
    return IncrementStart(query_fingerprint, run_key, state.number + 1, state.after)
