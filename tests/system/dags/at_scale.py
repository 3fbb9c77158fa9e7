"""DAGs with many mapped tasks: submissions, exports by window, and hundreds of deferred waits."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task
from invoices import documents  # type: ignore[import-not-found]  # Airflow puts the DAGs folder on the path

from airflow_provider_arm.export import plan_windows
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.export_merge import ExportMergeOperator
from airflow_provider_arm.sensors.batch import BatchSensor

HOME = Path(os.environ["AIRFLOW_HOME"])
#: Each task that a killed worker ran needs another try; the tests kill at most three times.
RETRIES: dict[str, Any] = {"retries": 5, "retry_delay": timedelta(seconds=1)}

#: The sandbox's items have dates in 2024 and 2025, the invoices in January 2026.
YEARS = {"start": "2024-01-01", "end": "2026-12-31"}

with DAG("mapped", schedule=None, catchup=False) as mapped:
    submit = BatchSubmitOperator.partial(
        task_id="submit",
        resource="documents",
        chunk_size=10,
        wait_for_completion=True,
        deferrable=True,
        poll_interval=1,
        timeout=3600,
        **RETRIES,
    ).expand(records=[documents(f"8{number}", 30) for number in range(8)])
    export = ArItemExportOperator.partial(
        task_id="export", path=str(HOME / "out" / "{{ ti.map_index }}.jsonl"), **RETRIES
    ).expand(window=plan_windows(**YEARS, parts=12))
    merge = ExportMergeOperator(
        task_id="merge", exports=export.output, path=str(HOME / "out" / "all.jsonl"), window=YEARS, **RETRIES
    )
    submit >> export

with DAG("many_waits", schedule=None, catchup=False) as many_waits:

    @task(**RETRIES)
    def batch_uuids(submitted):
        """Return the batchUuids."""
        return submitted["batch_uuids"]

    @task(**RETRIES)
    def add_up(results):
        """Return totals of the waits, each for one batch of one invoice."""
        found = [result["batch_uuids"] for result in results]
        return {
            "waits": len(found),
            "batches": len({uuid for (uuid,) in found}),
            "accepted": sum(result["accepted"] for result in results),
        }

    all_of_them = BatchSubmitOperator(
        task_id="submit", resource="documents", source=str(HOME / "invoices.jsonl"), chunk_size=1, **RETRIES
    )
    wait = BatchSensor.partial(task_id="wait", deferrable=True, poke_interval=10, timeout=3600, **RETRIES).expand(
        batch_uuid=batch_uuids(all_of_them.output)
    )
    add_up(wait.output)
