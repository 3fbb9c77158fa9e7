"""Which journal a task keeps: a file, Airflow's task state store, or none that outlives the try."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_arm.submission.file_journal import FileJournal
    from airflow_provider_arm.submission.journal import Journal

#: A folder's name has at most 255 bytes; a longer id is cut and told apart by its hash.
_LONGEST_NAME = 200


@contextmanager
def open_journal(context: Context, journal_path: str | None, *, durable: bool) -> Iterator[Journal]:
    """Open the journal of the task instance in *context*, for this try.

    :param journal_path: where file journals are kept; ``None`` for none.
    :param durable: without *journal_path*: use Airflow's task state store where there is one.
    :raises ArmConfigurationError: *journal_path* cannot be.
    :raises JournalError: the file journal is in use by another runner, or cannot be read or written.
    """
    if journal_path is not None:
        journal = _file_journal(context["ti"], journal_path)
        try:
            yield journal
        finally:
            journal.release()
        return
    from airflow_provider_arm.operators.journal import TaskStateJournal
    from airflow_provider_arm.submission.journal import MemoryJournal

    store = context.get("task_state_store") if durable else None
    yield MemoryJournal() if store is None else TaskStateJournal(store)


def task_folder(journal_path: str, dag_id: str, run_id: str, task_id: str, map_index: int) -> Any:
    """Give the folder of one task instance's journal, an ``ObjectStoragePath``.

    :raises ArmConfigurationError: *journal_path* is empty, or on a local disk and not absolute.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    if not isinstance(journal_path, str) or not journal_path.strip():
        msg = "journal_path is empty: give a folder, or leave it out"
        raise ArmConfigurationError(msg)
    path = ObjectStoragePath(journal_path)
    if "://" not in journal_path and not journal_path.startswith("/"):
        msg = f"journal_path must be absolute, not {journal_path!r}: each try may start in another folder"
        raise ArmConfigurationError(msg)
    for part in (dag_id, run_id, task_id, str(map_index)):
        path /= _folder_name(part)
    return path


def _folder_name(name: str) -> str:
    quoted = quote(name, safe="").replace(".", "%2E") if name.strip(".") == "" else quote(name, safe="")
    if len(quoted) <= _LONGEST_NAME:
        return quoted
    import hashlib

    return f"{quoted[: _LONGEST_NAME - 65]}-{hashlib.sha256(name.encode()).hexdigest()}"


def _file_journal(ti: Any, journal_path: str) -> FileJournal:
    from airflow_provider_arm.submission.file_journal import FileJournal, Runner

    map_index = -1 if ti.map_index is None else ti.map_index
    words = f"DAG {ti.dag_id}, run {ti.run_id}, task {ti.task_id}" + (
        f", map index {map_index}" if map_index >= 0 else ""
    )
    path = task_folder(journal_path, ti.dag_id, ti.run_id, ti.task_id, map_index)
    return FileJournal(path, Runner(words, ti.try_number))
