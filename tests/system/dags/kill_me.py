"""Submissions of documents that wait on the worker or deferred, and store their process id for the test."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG
from invoices import documents  # type: ignore[import-not-found]  # Airflow puts the DAGs folder on the path

from airflow_provider_arm.operators.batch import BatchSubmitOperator


class KillableSubmitOperator(BatchSubmitOperator):
    """BatchSubmitOperator that writes its process id to a file first."""

    def execute(self, context):
        """Write the process id, then submit."""
        (Path(os.environ["AIRFLOW_HOME"]) / f"{self.dag_id}.pid").write_text(str(os.getpid()), encoding="utf-8")
        return super().execute(context)


for _name, _prefix, _deferrable in (("kill_held", "71", False), ("kill_deferred", "72", True)):
    with DAG(_name, schedule=None, catchup=False) as _dag:
        KillableSubmitOperator(
            task_id="submit",
            resource="documents",
            records=documents(_prefix),
            chunk_size=10,
            wait_for_completion=True,
            deferrable=_deferrable,
            poll_interval=0.5,
            timeout=300,
            retries=3,
            retry_delay=timedelta(seconds=1),
        )
    globals()[_name] = _dag
