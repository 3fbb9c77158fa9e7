"""Start when ARM has new AR items, and export the days on which they were created.

The watcher polls ARM every five minutes in the triggerer. Its events contain the number of new items, their first and
last created time, and their totals; ``window`` reads the days from the events that started the run. A run that is
started manually exports the days of its params. A file is named after its days and replaced by each run for them, so
that a repeated event changes nothing. Needs the connection ``arm_default``.
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
    description="Start on new AR items and export the days on which they were created",
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
        "start": Param("2025-01-01", type="string", description="First day of a run without an event"),
        "end": Param("2025-12-31", type="string", description="Last day of a run without an event"),
    },
    doc_md=__doc__,
) as dag:

    @task
    def window(triggering_asset_events: Any = None, params: Any = None) -> dict[str, str]:
        """Return the days from the first to the last created time in the events."""
        events = [event for of_asset in (triggering_asset_events or {}).values() for event in of_asset]
        payloads = [event.extra.get("payload") for event in events]
        spans = [(payload["from"], payload["to"]) for payload in payloads if payload]
        if not spans:
            return {"start": params["start"], "end": params["end"]}
        # The day in ARM's time zone is the text before the T, and timestamps sort as text.
        return {"start": min(first for first, _ in spans)[:10], "end": max(last for _, last in spans)[:10]}

    days = window()

    export = ArItemExportOperator(
        task_id="export",
        path="{{ params.output }}/aritems-created-{{ ti.xcom_pull('window').values() | join('-to-') }}.jsonl",
        window=DateWindow(
            start="{{ ti.xcom_pull('window')['start'] }}", end="{{ ti.xcom_pull('window')['end'] }}", by="createdtime"
        ),
    )

    days >> export
