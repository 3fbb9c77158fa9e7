"""What is kept between runs: the mark before and after the latest increment, and whose it is. Pure."""

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
    """Which run of which task makes an increment. A retry and a cleared task are the same run."""

    task: str
    run: str

    @classmethod
    def of(cls, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskRunKey:
        """Name a task instance, whichever of its tries."""
        return cls(f"{dag_id}/{task_id}/{map_index}", f"{dag_id}/{run_id}/{task_id}/{map_index}")


def query_fingerprint(
    base_url: str, client_no: Any, list_: str, filters: Mapping[str, Any], split_by: Iterable[str]
) -> str:
    """Say what a list is asked for as a checksum: filters may hold people's numbers."""
    asked = [base_url, str(client_no), list_, {name: str(value) for name, value in filters.items()}, sorted(split_by)]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class _SerializedState(msgspec.Struct):
    """The types of a state as JSON."""

    asks: str
    task: str
    run: str
    number: int
    file: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class IncrementState:
    """What one increment leaves behind for the next.

    :param asks: checksum of what was asked for; see :func:`query_fingerprint`.
    :param task: the task whose watermark it is.
    :param run: the run that made the increment.
    :param number: which increment it is, counted from 1.
    :param file: where it is.
    :param before: the mark it began from, from which a retry of the same run begins again.
    :param after: the mark from which the next run begins.
    """

    asks: str
    task: str
    run: str
    number: int
    file: str
    before: Watermark
    after: Watermark

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        plain = {name: getattr(self, name) for name in ("asks", "task", "run", "number", "file")}
        return {**plain, "before": self.before.as_json(), "after": self.after.as_json()}

    @classmethod
    def from_json(cls, kept: Any) -> IncrementState:
        """Read what :meth:`as_json` gave.

        :raises ArmWatermarkError: it is something else.
        """
        try:
            read = msgspec.convert(kept, _SerializedState)
            before, after = Watermark.from_json(read.before), Watermark.from_json(read.after)
        except ValueError:
            msg = (
                "the watermark cannot be read as one: put back an older copy of it, or delete it, and the next run "
                "exports everything anew"
            )
            raise ArmWatermarkError(msg) from None
        return cls(read.asks, read.task, read.run, read.number, read.file, before, after)


@dataclass(frozen=True, slots=True)
class IncrementStart:
    """Where a run begins, and which increment it makes."""

    asks: str
    name: TaskRunKey
    number: int
    before: Watermark

    def left_behind(self, file: str, after: Watermark) -> IncrementState:
        """Give the state after it."""
        return IncrementState(self.asks, self.name.task, self.name.run, self.number, file, self.before, after)


def start_increment(state: IncrementState | None, asks: str, name: TaskRunKey) -> IncrementStart:
    """Decide where a run begins.

    :raises ArmWatermarkError: the watermark is another task's, or of another list than is asked for now.
    """
    if state is None:
        return IncrementStart(asks, name, 1, Watermark())
    if state.task != name.task:
        msg = (
            f"the watermark belongs to the task {state.task} (DAG, task, map index), and this is {name.task}: two "
            "tasks would each get a part of what is new. Give another watermark_path, or delete the watermark, and the "
            "next run exports everything anew"
        )
        raise ArmWatermarkError(msg)
    if state.asks != asks:
        msg = (
            "filters, split_by, client or base URL changed since the watermark was made, so it does not say what of "
            "this list is new. Give the task another task_id, or another watermark_path, or delete the watermark: then "
            "the next run exports everything"
        )
        raise ArmWatermarkError(msg)
    if state.run == name.run:
        # A retry, or the latest run cleared: the same again, so that nothing is lost where the file is written over.
        return IncrementStart(asks, name, state.number, state.before)
    return IncrementStart(asks, name, state.number + 1, state.after)
