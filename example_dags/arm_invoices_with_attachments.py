"""Upload a file, and submit invoices that refer to it as their attachment.

ARM returns an identifier of each uploaded file. That ``attachmentFiles`` of a document takes these identifiers is
assumed: the reference shows an empty list. Needs the connection ``arm_default``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_arm.client import money
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.file import FileUploadOperator

DATA = Path(__file__).parent / "data"
#: Invoices that get the attachment.
COUNT = 2

with DAG(
    dag_id="arm_invoices_with_attachments",
    description="Upload a file, and submit invoices that refer to it",
    schedule=None,
    catchup=False,
    tags=["arm", "example"],
    params={"output": Param(os.environ.get("ARM_OUTPUT", str(Path.home() / "arm")), type="string")},
    doc_md=__doc__,
) as dag:
    upload = FileUploadOperator(task_id="upload", paths=[str(DATA / "payment_terms.pdf")])

    @task
    def write_invoices(uploaded: Any, output: str) -> str:
        """Write the invoices with their attachment to a file, so that no record is in Airflow's database."""
        lines = (DATA / "invoices.jsonl").read_bytes().splitlines()[:COUNT]
        records = [money.decode(line) for line in lines]  # exact amounts
        for record in records:
            record["documentNo"] = f"A{record['documentNo']}"
            record["attachmentFiles"] = [file["file_id"] for file in uploaded["files"]]
        path = ObjectStoragePath(f"{output}/invoices_with_attachments.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(money.encode(record) + b"\n" for record in records))
        return str(path)

    submit = BatchSubmitOperator(
        task_id="submit",
        resource="documents",
        source=write_invoices(upload.output, "{{ params.output }}"),
        journal_path="{{ params.output }}/journal",
        wait_for_completion=True,
        deferrable=True,
        poll_interval=2,
    )
