"""Location of a task's journal: files, Airflow's task state store, or memory for this try only."""

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

#: Characters of a folder name: most file systems allow 255 bytes. A longer id is cut and ends with its sha256.
_MAX_NAME_LENGTH = 200


class JournalKey(NamedTuple):
    """The task instance that a journal belongs to."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @classmethod
    def own(cls, ti: Any, continue_from: str | None = None) -> JournalKey:
        """Return the key of *ti*, or of the task whose submission it continues."""
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

    :param journal_path: folder of file journals; ``None`` for none.
    :param durable: without *journal_path*: use Airflow's task state store, if there is one.
    :param continue_from: task of this DAG run whose journal is continued. Default: the task itself.
    :raises ArmConfigurationError: *journal_path* is invalid, or is missing although *continue_from* needs it.
    :raises JournalError: the file journal is in use by another writer, or cannot be read or written.
    """
    if journal_path is not None:
        with open_file_journal(journal_path, JournalKey.own(context["ti"], continue_from), context["ti"]) as journal:
            yield journal
        return
    if continue_from:
        raise ArmConfigurationError(
            "continue_from needs journal_path: a task cannot read another task's journal in Airflow's task state store"
        )
    from airflow_provider_arm.runtime.task_state_journal import TaskStateJournal
    from airflow_provider_arm.submission.journal.entries import MemoryJournal

    store = context.get("task_state_store") if durable else None
    yield MemoryJournal() if store is None else TaskStateJournal(store)


@contextmanager
def open_file_journal(journal_path: str, owner: JournalKey, ti: Any) -> Iterator[FileJournal]:
    """Open the file journal of *owner*; the task instance *ti* is its writer. Raises as :func:`open_journal`."""
    from airflow_provider_arm.submission.journal.file_journal import FileJournal, JournalWriter

    path = task_folder(journal_path, owner)
    journal = FileJournal(path, JournalWriter(str(JournalKey.own(ti)), ti.try_number))
    try:
        yield journal
    finally:
        journal.release()


def task_folder(journal_path: str, owner: JournalKey) -> Any:
    """Return the folder of one task instance's journal. Raises as :func:`open_folder`."""
    path = open_folder(journal_path, "journal_path")
    for part in owner:
        path /= _folder_name(str(part))
    return path


def open_folder(address: str, argument: str) -> Any:
    """Return the ``ObjectStoragePath`` of a folder that every try finds in the same place.

    :param argument: name of the argument, for messages.
    :raises ArmConfigurationError: *address* is empty, or a relative local path.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    if not isinstance(address, str) or not address.strip():
        raise ArmConfigurationError(f"{argument} is empty: give a folder, or omit the argument")
    path = ObjectStoragePath(address)
    check_absolute(address, argument)
    return path


def _folder_name(name: str) -> str:
    quoted = quote(name, safe="").replace(".", "%2E") if name.strip(".") == "" else quote(name, safe="")
    if len(quoted) <= _MAX_NAME_LENGTH:
        return quoted
    import hashlib

    return f"{quoted[: _MAX_NAME_LENGTH - 65]}-{hashlib.sha256(name.encode()).hexdigest()}"
