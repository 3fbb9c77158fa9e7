"""The journal of a submission in Airflow's task state store (Airflow 3.3 and later)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_arm.submission.errors import JournalUnavailableError
from airflow_provider_arm.submission.journal.entries import ChunkEntry, PlanEntry

if TYPE_CHECKING:
    from collections.abc import Callable

#: Keys in the store, one per chunk: a value may have 64 kB, and a line is rewritten at each step.
_PLAN_KEY = "arm.plan"
_CHUNK_KEY = "arm.chunk.{index}"

T = TypeVar("T")


class TaskStateJournal:
    """Keeps the journal where Airflow's own resumable jobs keep theirs: per DAG run, task and map index.

    It outlives workers and retries. Lines never expire: a late retry must still know what was sent.

    :param store: ``context["task_state_store"]``.
    """

    durable = True

    def __init__(self, store: Any) -> None:
        self._store = store

    def read_plan(self) -> PlanEntry | None:
        """Give the plan's line, or ``None``."""
        return self._read(_PLAN_KEY, PlanEntry.from_json)

    def write_plan(self, entry: PlanEntry) -> None:
        """Keep the plan's line."""
        self._write(_PLAN_KEY, entry.as_json())

    def read(self, index: int) -> ChunkEntry | None:
        """Give the chunk's line, or ``None``."""
        return self._read(_CHUNK_KEY.format(index=index), ChunkEntry.from_json)

    def write(self, entry: ChunkEntry) -> None:
        """Keep the chunk's line."""
        self._write(_CHUNK_KEY.format(index=entry.index), entry.as_json())

    def _read(self, key: str, parse: Callable[[Any], T]) -> T | None:
        try:
            data = self._store.get(key)
        except Exception as error:
            msg = f"Airflow's task state store cannot be read ({type(error).__name__}), so nothing more is sent"
            raise JournalUnavailableError(msg) from error
        return None if data is None else parse(data)

    def _write(self, key: str, value: dict[str, Any]) -> None:
        try:
            self._store.set(key, value, retention=_never_expire())
        except Exception as error:
            msg = f"Airflow's task state store cannot be written ({type(error).__name__}), so nothing more is sent"
            raise JournalUnavailableError(msg) from error


def _never_expire() -> timedelta:
    """Give Airflow's mark for a value that is kept for good; it knows it by identity."""
    try:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE
    except ImportError:  # an Airflow without a store of its own, given one by somebody else
        return timedelta.max
    return NEVER_EXPIRE
