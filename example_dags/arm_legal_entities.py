"""Export and reconcile the ledgers of several legal entities: many client numbers, on more than one ARM account.

The task group ``entity`` is mapped over the param ``entities``: each element is a connection (an ARM account) and one
of its client numbers. For each entity, the group exports the AR items of a year by quarter, merges the quarters into
one manifest, exports the GL items, and reconciles both. An entity whose ledgers differ fails alone: the others are
completed. If all of them match, ``publish`` writes ``entities.json`` with the totals of each entity and their sums.
Needs the connections ``arm_default`` and ``arm_subsidiaries``.

The exports run in the pool that the environment variable ``ARM_POOL`` names, by default in ``default_pool``. A pool of
4 slots (``airflow pools set arm 4 "calls of ARM"``) lets at most 4 exports call ARM at the same time.
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk import DAG, Param, task, task_group

from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.files import atomic_write
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.export import GlItemExportOperator
from airflow_provider_arm.operators.export_merge import ExportMergeOperator
from airflow_provider_arm.operators.reconcile import LedgerReconcileOperator

POOL = os.environ.get("ARM_POOL", "default_pool")

QUARTERS = (("01-01", "03-31"), ("04-01", "06-30"), ("07-01", "09-30"), ("10-01", "12-31"))
YEAR = DateWindow("{{ params.year }}-01-01", "{{ params.year }}-12-31", by="voucherdate")

#: The entity of a task of the mapped group, such as ``arm_default-2218``.
ENTITY = "{{ params.entities[ti.map_index].arm_conn_id }}-{{ params.entities[ti.map_index].client_no }}"
FOLDER = f"{{{{ params.output }}}}/{{{{ params.year }}}}/{ENTITY}"

with DAG(
    dag_id="arm_legal_entities",
    description="Export and reconcile the ledgers of several legal entities on two ARM accounts",
    schedule=None,
    catchup=False,
    tags=["arm", "example"],
    params={
        "output": Param(os.environ.get("ARM_OUTPUT", str(Path.home() / "arm")), type="string"),
        "year": Param(2025, type="integer", minimum=1900, maximum=2999, description="The year to export"),
        "receivables": Param("1500", type="string", description="Account of receivables in the general ledger"),
        "entities": Param(
            [
                {"arm_conn_id": "arm_default", "client_no": 2218},
                {"arm_conn_id": "arm_default", "client_no": 2219},
                {"arm_conn_id": "arm_subsidiaries", "client_no": 3301},
                {"arm_conn_id": "arm_subsidiaries", "client_no": 3302},
            ],
            type="array",
            minItems=1,
            uniqueItems=True,
            items={
                "type": "object",
                "properties": {"arm_conn_id": {"type": "string"}, "client_no": {"type": "integer"}},
                "required": ["arm_conn_id", "client_no"],
                "additionalProperties": False,
            },
            description="Connection and client number of each legal entity",
        ),
    },
    doc_md=__doc__,
) as dag:

    @task
    def entities(params: Any = None) -> list[dict[str, Any]]:
        """Return the arguments of each mapped task group."""
        return list(params["entities"])

    @task_group
    def entity(arm_conn_id: str, client_no: int) -> None:
        """Export, merge and reconcile the ledgers of one legal entity."""
        of_entity: dict[str, Any] = {"arm_conn_id": arm_conn_id, "client_no": client_no, "pool": POOL}
        quarters = [
            ArItemExportOperator(
                task_id=f"ar_items_q{number}",
                path=f"{FOLDER}/aritems-q{number}.jsonl",
                window=DateWindow(f"{{{{ params.year }}}}-{first}", f"{{{{ params.year }}}}-{last}", by="voucherdate"),
                map_index_template=ENTITY,
                **of_entity,
            )
            for number, (first, last) in enumerate(QUARTERS, 1)
        ]
        ar_items = ExportMergeOperator(
            task_id="ar_items",
            exports=[quarter.output for quarter in quarters],
            path=f"{FOLDER}/aritems.jsonl",
            window=YEAR,
            map_index_template=ENTITY,
        )
        gl_items = GlItemExportOperator(
            task_id="gl_items", path=f"{FOLDER}/glitems.jsonl", window=YEAR, map_index_template=ENTITY, **of_entity
        )
        LedgerReconcileOperator(
            task_id="reconcile",
            export=ar_items.output,
            against=gl_items.output,
            against_where={"glAccountNo": "{{ params.receivables }}"},
            path=f"{FOLDER}/reconciliation",
            map_index_template=ENTITY,
        )

    @task
    def publish(params: Any = None, ti: Any = None) -> str:
        """Write the totals of each entity, and their sums by currency."""
        exports = ti.xcom_pull(task_ids="entity.ar_items")
        sums: dict[str, Decimal] = {}
        for export in exports:
            for currency, totals in export["totals"].items():
                sums[currency] = sums.get(currency, Decimal(0)) + Decimal(totals["currencyBalance"])
        summary = {
            "year": params["year"],
            "entities": [
                {**of_entity, **{key: export[key] for key in ("manifest_uri", "rows", "totals")}}
                for of_entity, export in zip(params["entities"], exports, strict=True)
            ],
            "currencyBalance": {currency: str(amount) for currency, amount in sorted(sums.items())},
        }
        target = ObjectStoragePath(f"{params['output']}/{params['year']}/entities.json")
        with atomic_write(target) as file:
            file.write(json.dumps(summary, indent=2).encode())
        return str(target)

    entity.expand_kwargs(entities()) >> publish()
