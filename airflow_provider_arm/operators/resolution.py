"""Operator that resolves chunks with an unknown outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_arm.argument_readers import Reader, may_be_empty, path, text, whole_number
from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.runtime.arguments import check_arguments, read_arguments, read_resolution_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

#: Airflow's database stores the index of a mapped task in 32 bits.
MAX_MAP_INDEX = 2**31 - 1


class SubmissionResolveOperator(BaseOperator):
    """Resolve chunks with an unknown outcome in another task's journal, with author and reason.

    A task that submits fails if the outcome of a chunk, or of a single write, stays unknown, and names its chunk_id (in
    the error message and in the XCom ``unresolved_chunks``). This operator writes the manual resolution into that
    task's journal; its next try, or a task that continues it (``continue_from``), polls the batch or sends the chunk.
    No call is made to ARM. The journal must be in files; if it is in Airflow's task state store, give ``resolutions``
    to the submitting task itself.

    :param journal_path: that of the other task. Templated.
    :param submit_task_id: id of the other task. Templated.
    :param resolutions: a list of ``{"chunk_id", "verdict", "by", "why"}``, one of them, or JSON text of either;
        ``verdict`` is ``"accepted"`` (with ``"batch_uuid"`` if it is known) or ``"absent"`` (ARM does not have it and
        will not: it is sent). Templated.
    :param submit_run_id: id of its DAG run. Default: this run. Templated.
    :param submit_dag_id: id of its DAG. Default: this DAG. Templated.
    :param submit_map_index: its map index. Default -1: not mapped.
    :return: a list of ``{"chunk_id", "chunk", "verdict", "state"}``; ``chunk`` from 1.
    :raises ArmFailException: a resolution is invalid, or its chunk is unknown there or already decided. Resolutions
        before it in the list are kept.
    """

    template_fields: Sequence[str] = ("journal_path", "submit_task_id", "resolutions", "submit_run_id", "submit_dag_id")
    ui_color = "#dcebf7"
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        "journal_path": path(absolute=True),
        "submit_task_id": text,
        "resolutions": read_resolution_list,
        "submit_run_id": may_be_empty(text),
        "submit_dag_id": may_be_empty(text),
        "submit_map_index": whole_number(-1, MAX_MAP_INDEX),
    }

    def __init__(
        self,
        *,
        journal_path: str,
        submit_task_id: str,
        resolutions: Sequence[Mapping[str, Any]] | Mapping[str, Any] | str | XComArg,
        submit_run_id: str | None = None,
        submit_dag_id: str | None = None,
        submit_map_index: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.journal_path = journal_path
        self.submit_task_id = submit_task_id
        self.resolutions = resolutions
        self.submit_run_id = submit_run_id
        self.submit_dag_id = submit_dag_id
        self.submit_map_index = submit_map_index
        check_arguments(self)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Write the resolutions."""
        from airflow_provider_arm.runtime.journal_location import JournalKey, open_file_journal
        from airflow_provider_arm.runtime.resolutions import read_resolutions, resolve_chunk

        ti = context["ti"]
        with translate_arm_errors():
            read_arguments(self)
        dag_id, run_id = self.submit_dag_id or ti.dag_id, self.submit_run_id or ti.run_id
        owner = JournalKey(dag_id, run_id, self.submit_task_id, self.submit_map_index)
        with translate_arm_errors(), open_file_journal(self.journal_path, owner, ti) as journal:
            return [resolve_chunk(journal, resolution) for resolution in read_resolutions(self.resolutions)]
