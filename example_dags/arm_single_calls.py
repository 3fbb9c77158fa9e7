"""One customer, invoice, payment reservation, change of an AR item and posting, each in a call of its own.

For a correction or an event of another system; many records belong in a batch (``arm_quickstart``). Each write is
journalled, so that a retry never books twice. Change the parameters to records of your client number. Needs the
connection ``arm_default``.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_arm.operators.ar_item import ArItemUpdateOperator
from airflow_provider_arm.operators.customer import CustomerDeleteOperator, CustomerUpsertOperator
from airflow_provider_arm.operators.document import DocumentCreateOperator
from airflow_provider_arm.operators.payment import PaymentReservationOperator
from airflow_provider_arm.operators.posting import AutoPostingOperator

#: Number of this run's invoice and reservation: a new run creates new ones, a retry of this run does not.
NUMBER = "{{ dag_run.run_after.strftime('%y%m%d%H%M%S') }}"

with DAG(
    dag_id="arm_single_calls",
    description="Write one customer, invoice, payment reservation, AR item and posting",
    schedule=None,
    catchup=False,
    tags=["arm", "example"],
    params={
        "output": Param(os.environ.get("ARM_OUTPUT", str(Path.home() / "arm")), type="string"),
        "customer_no": Param("543210", type="string", description="an existing customer"),
        "ar_item": Param("2218-500002-35078-0", type="string", description="an open AR item of that customer"),
    },
    default_args={"journal_path": "{{ params.output }}/journal"},
    doc_md=__doc__,
) as dag:
    upsert = CustomerUpsertOperator(task_id="upsert", customer={"customerNo": f"S{NUMBER}", "name": "Sample AS"})

    invoice = DocumentCreateOperator(
        task_id="invoice",
        document={
            "documentType": "IN",
            "customerNo": "{{ params.customer_no }}",
            "documentNo": f"S{NUMBER}",
            "documentDate": "2026-01-31",
            "dueDate": "2026-02-28",
            "currency": "NOK",
            # Text, whole numbers or Decimal, never floats.
            "currencyAmounts": {"exclVat": "100.40", "vat": "25.10", "inclVat": "125.50"},
        },
    )

    reserve = PaymentReservationOperator(
        task_id="reserve", payment_id=f"P{NUMBER}", reservation={"documentNo": f"S{NUMBER}", "currencyAmount": 25}
    )

    change = ArItemUpdateOperator(
        task_id="change", changes={"arItemId": "{{ params.ar_item }}", "transactionText": "Agreed by telephone"}
    )

    post = AutoPostingOperator(
        task_id="post",
        method="payment",
        postings=[{"arItemId": "{{ params.ar_item }}", "currencyAmount": 1, "externalId1": f"E{NUMBER}"}],
    )

    # Only a customer without documents and AR items can be deleted.
    delete = CustomerDeleteOperator(task_id="delete", customer_no=f"S{NUMBER}", ignore_if_missing=True)

    upsert >> invoice >> reserve >> change >> post >> delete
