"""Post invoices, and ask a person where nobody can know whether ARM took a batch.

``submit`` looks for a batch whose answer was lost, on each of its tries. If the invoices do not turn up, ``ask`` puts
the question to a person (Required Actions in Airflow's UI), ``release`` writes the answer into the journal with who and
why, and ``submit_rest`` goes on where ``submit`` stopped. Needs the connection ``arm_default``.
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

#: What both submitting tasks share: the second goes on with the first one's journal.
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

#: Markdown, filled in when the question is asked.
QUESTION = """Nobody knows whether ARM took these; its answer was lost. Look for the documents in ARM.

{% for chunk in ti.xcom_pull('unresolved_chunks') %}
- {{ chunk.what }}, {{ chunk.records }}: {{ chunk.reason }}
{% endfor %}
"""

with DAG(
    dag_id="arm_invoices_with_release",
    description="Post invoices; where nobody knows whether ARM took a batch, ask a person and go on",
    schedule=None,
    catchup=False,
    tags=["arm", "example"],
    params={"output": Param(os.environ.get("ARM_OUTPUT", str(Path.home() / "arm")), type="string")},
    doc_md=__doc__,
) as dag:
    submit = BatchSubmitOperator(task_id="submit", retries=2, retry_delay=timedelta(seconds=5), **INVOICES)

    @task(trigger_rule="all_failed")
    def unresolved_chunks(ti: Any = None) -> list[dict[str, Any]]:
        """Give what a person has to be asked; a submission that failed for another reason stays failed."""
        unresolved_chunks = ti.xcom_pull(task_ids="submit", key="unresolved_chunks")
        if not unresolved_chunks:
            message = "submit failed for a reason that nobody has to be asked about: see its log"
            raise AirflowFailException(message)
        return list(unresolved_chunks)

    ask = HITLOperator(
        task_id="ask",
        subject="Did ARM take these invoices?",
        body=QUESTION,
        options=["accepted", "absent"],
        params={"why": Param("Looked in ARM", type="string", minLength=1, description="For whoever asks later")},
        response_timeout=timedelta(days=2),
    )

    @task
    def answer(unresolved_chunks: Any, answered: Any) -> list[dict[str, Any]]:
        """Make one word of each case."""
        person = answered.get("responded_by_user") or {}
        word = {
            "verdict": answered["chosen_options"][0],
            "by": person.get("name") or person.get("id") or "unknown",
            "why": answered["params_input"]["why"],
        }
        return [{"chunk_id": unresolved["chunk_id"], **word} for unresolved in unresolved_chunks]

    release = SubmissionResolveOperator(
        task_id="release",
        journal_path=JOURNAL,
        submit_task_id="submit",
        resolutions=answer(unresolved_chunks(), ask.output),
    )

    submit_rest = BatchSubmitOperator(task_id="submit_rest", continue_from="submit", **INVOICES)

    submit >> dag.get_task("unresolved_chunks") >> ask
    release >> submit_rest
