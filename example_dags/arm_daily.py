"""Export the vouchers of the day before, each day into a file of its own.

``DateWindow.before_run`` is the day that ended before the run, in the time zone of the DAG: Norway's. A retry or a
backfill of the run exports the same day. Needs the connection ``arm_default``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Param

from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.operators.ar_item import ArItemExportOperator

with DAG(
    dag_id="arm_daily",
    description="Export the vouchers of the day before",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Oslo"),
    catchup=False,
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
    ArItemExportOperator(
        task_id="export",
        path="{{ params.output }}/aritems-{{ ts_nodash }}.parquet",
        window=DateWindow.before_run(days=1, by="voucherdate"),
        # No file and no task after it for a day without vouchers.
        on_empty="skip",
        retries=3,
    )
