"""Journal of a submission in Airflow's task state store (Airflow 3.3 and later)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_arm.submission.errors import JournalUnavailableError
from airflow_provider_arm.submission.journal.entries import ChunkEntry, PlanEntry

if TYPE_CHECKING:
    from collections.abc import Callable

#: Keys in the store. Each chunk has its own: a value is limited to 64 kB, and an entry is rewritten at each step.
_PLAN_KEY = "arm.plan"
_CHUNK_KEY = "arm.chunk.{index}"

T = TypeVar("T")


class TaskStateJournal:
    """Journal of one DAG run, task and map index, which outlives workers and retries.

    Its entries never expire: a late retry needs them, too.

    :param store: ``context["task_state_store"]``.
    """

    durable = True

    def __init__(self, store: Any) -> None:
        self._store = store

    def read_plan(self) -> PlanEntry | None:
        """Return the plan's entry, or ``None``."""
        return self._read(_PLAN_KEY, PlanEntry.from_json)

    def write_plan(self, entry: PlanEntry) -> None:
        """Store the plan's entry."""
        self._write(_PLAN_KEY, entry.as_json())

    def read(self, index: int) -> ChunkEntry | None:
        """Return the chunk's entry, or ``None``."""
        return self._read(_CHUNK_KEY.format(index=index), ChunkEntry.from_json)

    def write(self, entry: ChunkEntry) -> None:
        """Store the chunk's entry."""
        self._write(_CHUNK_KEY.format(index=entry.index), entry.as_json())

    def _read(self, key: str, parse: Callable[[Any], T]) -> T | None:
        try:
            data = self._store.get(key)
        except Exception as error:
            raise JournalUnavailableError(
                f"Airflow's task state store cannot be read ({type(error).__name__}), so nothing more is sent"
            ) from error
        return None if data is None else parse(data)

    def _write(self, key: str, value: dict[str, Any]) -> None:
        try:
            self._store.set(key, value, retention=_never_expire())
        except Exception as error:
            raise JournalUnavailableError(
                f"Airflow's task state store cannot be written ({type(error).__name__}), so nothing more is sent"
            ) from error


def _never_expire() -> timedelta:
    """Return Airflow's constant for values that are kept forever; Airflow compares it by identity."""
    try:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE
    except ImportError:  # Airflow before 3.3 has no store of its own
        return timedelta.max
    return NEVER_EXPIRE
