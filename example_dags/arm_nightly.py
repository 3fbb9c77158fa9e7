"""Export the AR items that are new since the previous night, each night into a file of its own.

``export_new`` stores its watermark in a file; after a failed run, a retry or the next run exports the same items. (On
Airflow 3.3, with an asset as outlet and without ``watermark_path``, Airflow stores the watermark.) If there are no new
items, the tasks after it are skipped. Needs the connection ``arm_default``.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, Param, task

from airflow_provider_arm.operators.ar_item import ArItemExportOperator

FOLDER = "{{ params.output }}/nightly"

with DAG(
    dag_id="arm_nightly",
    description="Export the AR items that are new since the last run, and load them if there are any",
    schedule="0 4 * * *",
    catchup=False,
    # Two runs at once would export the same items.
    max_active_runs=1,
    tags=["arm", "example"],
    params={
        "output": Param(
            os.environ.get("ARM_OUTPUT", str(Path.home() / "arm")),
            type="string",
            description="Folder for the results: a local path, s3://..., gs://...",
        )
    },
    doc_md=__doc__,
) as dag:
    export_new = ArItemExportOperator(
        task_id="export_new",
        # A run must not overwrite the file of another one.
        path=f"{FOLDER}/aritems-{{{{ run_id | replace(':', '') }}}}.jsonl",
        incremental=True,
        overlap=timedelta(hours=2),
        watermark_path=f"{FOLDER}/aritems.watermark.json",
        outlets=[Asset("arm_new_aritems")],
        retries=3,
    )

    @task.short_circuit
    def has_new_items(exported: Any) -> bool:
        """Return whether there is anything to load."""
        return bool(exported["rows"])

    @task
    def load(exported: Any) -> str:
        """Load the file into a warehouse (here: only log it). Of items with the same key, keep the later one."""
        logging.getLogger(__name__).info("%d AR items to load from %s", exported["rows"], exported["uri"])
        return str(exported["uri"])

    has_new_items(export_new.output) >> load(export_new.output)
