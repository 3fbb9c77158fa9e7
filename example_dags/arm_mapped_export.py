"""Export a year of AR items in twelve mapped tasks, and merge their manifests into one.

``windows`` plans a window for each month, ``export`` runs once per window, and ``merge`` verifies every file: it fails
if a month is missing or doubled, a file was changed, or a record is in two files. Only then the asset ``arm_aritems``
gets its event, with rows, totals and the path of the manifest. Needs the connection ``arm_default``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, Param, task

from airflow_provider_arm.export import plan_windows
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.export_merge import ExportMergeOperator

FOLDER = "{{ params.output }}/{{ params.year }}"

with DAG(
    dag_id="arm_mapped_export",
    description="Export a year of AR items in twelve mapped tasks, and merge their manifests",
    schedule=None,
    catchup=False,
    tags=["arm", "example"],
    params={
        "output": Param(os.environ.get("ARM_OUTPUT", str(Path.home() / "arm")), type="string"),
        "year": Param(2025, type="integer", minimum=1900, maximum=2999, description="The year to export"),
    },
    doc_md=__doc__,
) as dag:

    @task
    def windows(params: Any = None) -> list[dict[str, str]]:
        """Plan a window for each month of the year."""
        return plan_windows(f"{params['year']}-01-01", f"{params['year']}-12-31", by="voucherdate", days="month")

    export = ArItemExportOperator.partial(
        task_id="export",
        path=f"{FOLDER}/aritems-{{{{ ti.map_index }}}}.jsonl",
        # More workers do not make ARM faster.
        max_active_tis_per_dagrun=4,
    ).expand(window=windows())

    merge = ExportMergeOperator(
        task_id="merge",
        exports=export.output,
        path=f"{FOLDER}/aritems.jsonl",
        window={"start": "{{ params.year }}-01-01", "end": "{{ params.year }}-12-31"},
        outlets=[Asset("arm_aritems")],
    )
