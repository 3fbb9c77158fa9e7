"""Start when ARM has new AR items, and export the days that they were created on.

The watcher polls ARM every five minutes in the triggerer and tells how many items are new, from when to when and what
they add up to; ``window`` reads that from the events that started the run. Started by hand it exports the days of its
params. A file is named after its days and written anew by each run of them, so that an event that comes twice changes
nothing. Needs the connection ``arm_default``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, Param, task

from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger

new_items = Asset(
    "arm_new_items", watchers=[AssetWatcher(name="arm_new_items", trigger=NewArItemsEventTrigger(poll_interval=300))]
)

with DAG(
    dag_id="arm_on_new_items",
    description="Start on new AR items and export the days that they were created on",
    schedule=[new_items],
    catchup=False,
    max_active_runs=1,
    tags=["arm", "example"],
    params={
        "output": Param(
            os.environ.get("ARM_OUTPUT", str(Path.home() / "arm")),
            type="string",
            description="Folder for the results: a local path, s3://..., gs://...",
        ),
        "start": Param("2025-01-01", type="string", description="First day where no event says it"),
        "end": Param("2025-12-31", type="string", description="Last day where no event says it"),
    },
    doc_md=__doc__,
) as dag:

    @task
    def window(triggering_asset_events: Any = None, params: Any = None) -> dict[str, str]:
        """Give the days from the first to the last created time that the events name."""
        events = [event for of_asset in (triggering_asset_events or {}).values() for event in of_asset]
        told = [event.extra.get("payload") for event in events]
        spans = [(payload["from"], payload["to"]) for payload in told if payload]
        if not spans:
            return {"start": params["start"], "end": params["end"]}
        # ARM's own day is the text before the T; a moment's text sorts as its day does.
        return {"start": min(first for first, _ in spans)[:10], "end": max(last for _, last in spans)[:10]}

    days = window()

    export = ArItemExportOperator(
        task_id="export",
        path="{{ params.output }}/aritems-created-{{ ti.xcom_pull('window').values() | join('-to-') }}.jsonl",
        window=DateWindow(
            start="{{ ti.xcom_pull('window')['start'] }}",
            end="{{ ti.xcom_pull('window')['end'] }}",
            by="createdtime",
        ),
    )

    days >> export
