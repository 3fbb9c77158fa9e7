"""Operator that notes what a person has found out about a submission of which nobody knew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_arm.exceptions import translate_arm_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg


class SubmissionResolveOperator(BaseOperator):
    """Release open chunks in another task's journal: a person's word, with who and why, kept there for good.

    A task that submits stops where nobody knows whether ARM took a chunk, or a single write, and names a case (in its
    message and its XCom ``unresolved_chunks``). Once somebody has looked in ARM, this operator writes the answer into
    that task's journal; its next try, or a task that continues it (``continue_from``), follows the chunk or sends it.
    It makes no call to ARM. It needs a journal in files; for one in Airflow's task state store give ``resolutions`` to
    the submitting task itself.

    :param journal_path: that of the other task. Templated.
    :param submit_task_id: the other task. Templated.
    :param resolutions: a list of ``{"chunk_id", "verdict", "by", "why"}``, one of them, or JSON text of either;
        ``verdict`` is ``"accepted"`` (ARM has it; with ``"batch_uuid"`` where that is known) or ``"absent"`` (it has
        not and will not: it is sent). Templated.
    :param submit_run_id: its DAG run; default this one. Templated.
    :param submit_dag_id: its DAG; default this one. Templated.
    :param submit_map_index: where it is mapped; default -1, not mapped.
    :return: a list of ``{"chunk_id", "chunk", "verdict", "state"}``; ``chunk`` from 1.
    :raises ArmFailException: a case is not open or not known there, or the word cannot be read. Words before it stay.
    """

    template_fields: Sequence[str] = ("journal_path", "submit_task_id", "resolutions", "submit_run_id", "submit_dag_id")
    ui_color = "#dcebf7"

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

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Write the words down."""
        from airflow_provider_arm.runtime.journal_location import JournalKey, open_files

        ti = context["ti"]
        owner = JournalKey(
            self.submit_dag_id or ti.dag_id,
            self.submit_run_id or ti.run_id,
            self.submit_task_id,
            self.submit_map_index,
        )
        with translate_arm_errors(), open_files(self.journal_path, owner, ti) as journal:
            from airflow_provider_arm.runtime.resolutions import read_resolutions, resolve_chunk

            return [resolve_chunk(journal, word) for word in read_resolutions(self.resolutions)]
