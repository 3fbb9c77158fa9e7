"""One DAG per way to wait: a submission of documents whose process says its number, so that the test can kill it."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG
from invoices import documents  # type: ignore[import-not-found]  # Airflow puts the DAGs folder on the path

from airflow_provider_arm.operators.batch import BatchSubmitOperator


class Told(BatchSubmitOperator):
    """Writes the number of its process into a file before it does anything."""

    def execute(self, context):
        """Tell, then submit."""
        (Path(os.environ["AIRFLOW_HOME"]) / f"{self.dag_id}.pid").write_text(str(os.getpid()), encoding="utf-8")
        return super().execute(context)


for _name, _prefix, _deferrable in (("kill_held", "71", False), ("kill_deferred", "72", True)):
    with DAG(_name, schedule=None, catchup=False) as _dag:
        Told(
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
