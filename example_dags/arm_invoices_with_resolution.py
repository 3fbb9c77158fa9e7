"""Submit invoices, and ask for a manual resolution of batches with an unknown outcome.

Each try of ``submit`` looks up the invoices of a batch whose response was lost. If ARM does not have them, ``ask``
requests a decision (Required Actions in Airflow's UI), ``resolve`` writes it into the journal with author and reason,
and ``submit_rest`` continues where ``submit`` stopped. Needs the connection ``arm_default``.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.resolution import SubmissionResolveOperator

DATA = Path(__file__).parent / "data"
#: A folder that all workers share.
JOURNAL = "{{ params.output }}/journal"

#: Arguments of both submitting tasks: the second continues with the journal of the first.
INVOICES: dict[str, Any] = {
    "resource": "documents",
    "source": str(DATA / "invoices.jsonl"),
    "chunk_size": 10,
    "journal_path": JOURNAL,
    "wait_for_completion": True,
    "deferrable": True,
    "poll_interval": 2,
    "max_rejected": "2%",
    "rejects_path": "{{ params.output }}/invoices.rejects.jsonl",
}

#: Markdown template.
QUESTION = """It is not known whether ARM accepted these documents: the response was lost. Search for them in ARM.

{% for chunk in ti.xcom_pull('unresolved_chunks') %}
- {{ chunk.what }}, {{ chunk.records }}: {{ chunk.reason }}
{% endfor %}
"""

with DAG(
    dag_id="arm_invoices_with_resolution",
    description="Submit invoices, and ask for a manual resolution of batches with an unknown outcome",
    schedule=None,
    catchup=False,
    tags=["arm", "example"],
    params={"output": Param(os.environ.get("ARM_OUTPUT", str(Path.home() / "arm")), type="string")},
    doc_md=__doc__,
) as dag:
    submit = BatchSubmitOperator(task_id="submit", retries=2, retry_delay=timedelta(seconds=5), **INVOICES)

    @task(trigger_rule="all_failed")
    def unresolved_chunks(ti: Any = None) -> list[dict[str, Any]]:
        """Return the chunks that need a manual resolution; fail if *submit* failed for another reason."""
        chunks = ti.xcom_pull(task_ids="submit", key="unresolved_chunks")
        if not chunks:
            message = "submit failed without an unresolved chunk: see its log"
            raise AirflowFailException(message)
        return list(chunks)

    ask = HITLOperator(
        task_id="ask",
        subject="Did ARM accept these invoices?",
        body=QUESTION,
        options=["accepted", "absent"],
        params={"why": Param("Checked in ARM", type="string", minLength=1, description="Reason, for the journal")},
        response_timeout=timedelta(days=2),
    )

    @task
    def build_resolutions(chunks: Any, answer: Any) -> list[dict[str, Any]]:
        """Build one resolution per chunk."""
        user = answer.get("responded_by_user") or {}
        decision = {
            "verdict": answer["chosen_options"][0],
            "by": user.get("name") or user.get("id") or "unknown",
            "why": answer["params_input"]["why"],
        }
        return [{"chunk_id": chunk["chunk_id"], **decision} for chunk in chunks]

    resolve = SubmissionResolveOperator(
        task_id="resolve",
        journal_path=JOURNAL,
        submit_task_id="submit",
        resolutions=build_resolutions(unresolved_chunks(), ask.output),
    )

    submit_rest = BatchSubmitOperator(task_id="submit_rest", continue_from="submit", **INVOICES)

    submit >> dag.get_task("unresolved_chunks") >> ask
    resolve >> submit_rest
