"""Close a month: export both ledgers, reconcile them, ask for an approval if they differ, and publish.

``ar_items`` and ``gl_items`` export the month, ``reconcile`` compares them by currency and writes its report. If they
match, the month is published at once (unless ``always_ask`` is set); if they differ, ``approve`` shows the differences
(Required Actions in Airflow's UI), and the month is published only after an approval. ``publish`` writes
``closed.json`` with the checksums of the files and the approval. Needs the connection ``arm_default``.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.files import atomic_write
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.export import GlItemExportOperator
from airflow_provider_arm.operators.reconcile import LedgerReconcileOperator

FOLDER = "{{ params.output }}/{{ params.month }}"
#: A month has at most 31 days, so 32 days after its first day is the next month.
NEXT_MONTH = "{{ (macros.datetime.strptime(params.month, '%Y-%m') + macros.timedelta(days=32)).strftime('%Y-%m-01') }}"
MONTH = DateWindow("{{ params.month }}-01", NEXT_MONTH, by="voucherdate", end_exclusive=True)

#: Markdown template.
QUESTION = """{{ ti.xcom_pull('reconcile')['summary'] }}

Report: {{ ti.xcom_pull('reconcile')['report_uri'] }}
"""


def _name(answer: dict[str, Any]) -> str:
    """Return the name of the user who approved."""
    user = answer.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "unknown")


with DAG(
    dag_id="arm_month_end",
    description="Export both ledgers, reconcile them, ask for an approval if they differ, and publish the month",
    schedule=None,
    catchup=False,
    tags=["arm", "example"],
    params={
        "output": Param(os.environ.get("ARM_OUTPUT", str(Path.home() / "arm")), type="string"),
        "month": Param(
            "2025-02", type="string", pattern="^[0-9]{4}-(0[1-9]|1[0-2])$", description="The month to close"
        ),
        "receivables": Param("1500", type="string", description="Account of receivables in the general ledger"),
        "always_ask": Param(default=False, type="boolean", description="Ask for an approval even if the ledgers match"),
    },
    doc_md=__doc__,
) as dag:
    ar_items = ArItemExportOperator(task_id="ar_items", path=f"{FOLDER}/aritems.csv", window=MONTH)
    gl_items = GlItemExportOperator(task_id="gl_items", path=f"{FOLDER}/glitems.csv", window=MONTH)

    reconcile = LedgerReconcileOperator(
        task_id="reconcile",
        export=ar_items.output,
        against=gl_items.output,
        against_where={"glAccountNo": "{{ params.receivables }}"},
        periods=["{{ params.month }}"],
        path=f"{FOLDER}/reconciliation",
        on_difference="warn",
    )

    @task.branch
    def decide(result: Any, params: Any = None) -> str:
        """Return the next task."""
        return "publish" if result["matches"] and not params["always_ask"] else "approve"

    approve = ApprovalOperator(
        task_id="approve",
        subject="Close {{ params.month }}?",
        body=QUESTION,
        params={"why": Param("Checked", type="string", minLength=1, description="Reason, for closed.json")},
        response_timeout=timedelta(days=3),
    )

    @task(trigger_rule="none_failed_min_one_success")
    def publish(ar: Any, gl: Any, result: Any, params: Any = None, ti: Any = None) -> str:
        """Write the checksums of the month's files, and the approval."""
        answer = ti.xcom_pull(task_ids="approve")
        closed = {
            "month": params["month"],
            "files": {export["uri"]: export["sha256"] for export in (ar, gl)},
            "report": result["report_uri"],
            "agrees": result["matches"],
            "approved": answer and {"by": _name(answer), "why": answer["params_input"]["why"]},
        }
        target = ObjectStoragePath(f"{params['output']}/{params['month']}/closed.json")
        with atomic_write(target) as file:
            file.write(json.dumps(closed, indent=2).encode())
        return str(target)

    branch = decide(reconcile.output)
    published = publish(ar_items.output, gl_items.output, reconcile.output)
    branch >> [approve, published]
    approve >> published
