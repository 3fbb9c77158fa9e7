"""Every night what is new in the ledger since the night before, each in a file of its own, and nothing twice.

``export_new`` notes in a file how far it has come; a night that fails is made up for by its retry or by the next one.
(On Airflow 3.3, with an asset as its outlet and without ``watermark_path``, Airflow itself keeps the note.) Where
nothing is new, what follows is skipped. Needs the connection ``arm_default``.
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
    description="Export the AR items that are new since the last run, and go on only where there are any",
    schedule="0 4 * * *",
    catchup=False,
    # Two runs at once would both take the same items.
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
        # A run never writes over another's rows, so each has a file of its own.
        path=f"{FOLDER}/aritems-{{{{ run_id | replace(':', '') }}}}.jsonl",
        incremental=True,
        overlap=timedelta(hours=2),
        watermark_path=f"{FOLDER}/aritems.watermark.json",
        outlets=[Asset("arm_new_aritems")],
        retries=3,
    )

    @task.short_circuit
    def is_news(exported: Any) -> bool:
        """Go on only where something is new."""
        return bool(exported["rows"])

    @task
    def load(exported: Any) -> str:
        """Stand for what takes the file into a warehouse: by the key, the later text of an item wins."""
        logging.getLogger(__name__).info("%d AR items to load from %s", exported["rows"], exported["uri"])
        return str(exported["uri"])

    is_news(export_new.output) >> load(export_new.output)
