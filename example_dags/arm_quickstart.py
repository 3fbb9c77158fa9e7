"""Quickstart: upsert a customer, submit a file of customers in batches, wait in the triggerer, export the AR items.

Needs the connection ``arm_default``. It runs unchanged against the sandbox (``make demo``, ``make up``).
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.customer import CustomerUpsertOperator
from airflow_provider_arm.sensors.batch import BatchSensor

DATA = Path(__file__).parent / "data"

with DAG(
    dag_id="arm_quickstart",
    description="Upsert a customer, submit a file of customers, wait deferred, export the AR items",
    schedule=None,
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
    customer = CustomerUpsertOperator(task_id="customer", customer=str(DATA / "customer.json"))

    submit = BatchSubmitOperator(
        task_id="submit", resource="customers", source=str(DATA / "customers.csv"), chunk_size=400
    )

    wait = BatchSensor(
        task_id="wait",
        batch_uuid=submit.output,
        deferrable=True,
        poke_interval=2,
        timeout=3600,
        on_rejected="fail",
        max_rejected="1%",
        rejects_path="{{ params.output }}/customers.rejects.jsonl",
    )

    export = ArItemExportOperator(
        task_id="export",
        path="{{ params.output }}/aritems.jsonl",
        window=DateWindow(start="2020-01-01", end="2030-12-31", by="voucherdate"),
    )

    customer >> submit >> wait >> export
