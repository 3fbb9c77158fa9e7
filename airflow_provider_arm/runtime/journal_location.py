"""Which journal a task keeps: a file, Airflow's task state store, or none that outlives the try."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.files import check_absolute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_arm.submission.journal.entries import Journal
    from airflow_provider_arm.submission.journal.file_journal import FileJournal

#: A folder's name has at most 255 bytes; a longer id is cut and told apart by its hash.
_LONGEST_NAME = 200


class JournalKey(NamedTuple):
    """The task instance that a journal belongs to."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @classmethod
    def own(cls, ti: Any, continue_from: str | None = None) -> JournalKey:
        """Name the task instance's own, or that of the task which it continues."""
        map_index = -1 if ti.map_index is None else ti.map_index
        return cls(ti.dag_id, ti.run_id, continue_from or ti.task_id, map_index)

    def __str__(self) -> str:
        mapped = f", map index {self.map_index}" if self.map_index >= 0 else ""
        return f"DAG {self.dag_id}, run {self.run_id}, task {self.task_id}{mapped}"


@contextmanager
def open_journal(
    context: Context, journal_path: str | None, *, durable: bool, continue_from: str | None = None
) -> Iterator[Journal]:
    """Open the journal of the task instance in *context*, for this try.

    :param journal_path: where file journals are kept; ``None`` for none.
    :param durable: without *journal_path*: use Airflow's task state store where there is one.
    :param continue_from: the task of this DAG run whose journal is continued; default the task's own.
    :raises ArmConfigurationError: *journal_path* cannot be, or is missing where *continue_from* needs it.
    :raises JournalError: the file journal is in use by another writer, or cannot be read or written.
    """
    if journal_path is not None:
        with open_files(journal_path, JournalKey.own(context["ti"], continue_from), context["ti"]) as journal:
            yield journal
        return
    if continue_from:
        msg = "continue_from needs journal_path: Airflow's task state store gives no task the journal of another"
        raise ArmConfigurationError(msg)
    from airflow_provider_arm.runtime.task_state_journal import TaskStateJournal
    from airflow_provider_arm.submission.journal.entries import MemoryJournal

    store = context.get("task_state_store") if durable else None
    yield MemoryJournal() if store is None else TaskStateJournal(store)


@contextmanager
def open_files(journal_path: str, owner: JournalKey, ti: Any) -> Iterator[FileJournal]:
    """Open the file journal of *owner* for the task instance *ti*. Raises as :func:`open_journal`."""
    from airflow_provider_arm.submission.journal.file_journal import FileJournal, JournalWriter

    path = task_folder(journal_path, owner)
    journal = FileJournal(path, JournalWriter(str(JournalKey.own(ti)), ti.try_number))
    try:
        yield journal
    finally:
        journal.release()


def task_folder(journal_path: str, owner: JournalKey) -> Any:
    """Give the folder of one task instance's journal, an ``ObjectStoragePath``.

    :raises ArmConfigurationError: *journal_path* is empty, or on a local disk and not absolute.
    """
    path = folder_at(journal_path, "journal_path")
    for part in owner:
        path /= _folder_name(str(part))
    return path


def folder_at(address: str, argument: str) -> Any:
    """Give a folder that every try finds in the same place, an ``ObjectStoragePath``.

    :param argument: names it in messages.
    :raises ArmConfigurationError: it is empty, or on a local disk and not absolute.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    if not isinstance(address, str) or not address.strip():
        msg = f"{argument} is empty: give a folder, or leave it out"
        raise ArmConfigurationError(msg)
    path = ObjectStoragePath(address)
    check_absolute(address, argument)
    return path


def _folder_name(name: str) -> str:
    quoted = quote(name, safe="").replace(".", "%2E") if name.strip(".") == "" else quote(name, safe="")
    if len(quoted) <= _LONGEST_NAME:
        return quoted
    import hashlib

    return f"{quoted[: _LONGEST_NAME - 65]}-{hashlib.sha256(name.encode()).hexdigest()}"
