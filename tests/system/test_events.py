"""A live Airflow starts DAGs on events of ARM, and a killed triggerer neither loses nor doubles one."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from airflow_provider_arm.client import ArmClient, ClientCredentials
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.submission.batch_receipts import write_receipt
from tests.system.local_deployment import LocalDeployment
from tests.unit.airflow.invoices import documents

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.metadata.version("apache-airflow-core") < "3.3", reason="the state store of 3.3 is what is tested"
    ),
]

SECONDS = 120
#: Looks, one a second, after which the items of an event are noted as told.
LOOKS_UNTIL_NOTED = 8
WATCHED = ("arm_all_items", "arm_invoices", "arm_payments", "arm_batches")


class Arm:
    """The sandbox, and a client that makes work there."""

    def __init__(self, box):
        self.box = box
        credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
        self.client = ArmClient(box.base_url, credentials, client_no=box.client_no)
        self.made = 0

    def invoice(self, count):
        """Let so many new AR items appear; gives the batch."""
        new = documents(count, 71001 + self.made)
        self.made += count
        uuid = self.client.submit_batch("create_document_batch", new).batch_uuid
        self.client.get_batch(uuid)
        return uuid

    def lists(self):
        """Count the calls of the list of AR items."""
        return len([call for call in self.box.requests() if call["path"].endswith("/aritems")])


def test_killed_triggerer_sends_each_event_once(tmp_path):
    """New items and finished batches start DAGs, before a kill -9 of the triggerer and after it, each told once."""
    receipts = tmp_path / "receipts"
    dags = [Path(__file__).parent / "event_dags"]
    with (
        ArmSandbox() as box,
        LocalDeployment(tmp_path, dags, box.connection(), {"ARM_RECEIPTS": str(receipts)}) as airflow,
    ):
        arm = Arm(box)

        def payloads(asset):
            found = airflow.call("GET", "/api/v2/assets?limit=100")["assets"]
            numbers = [one["id"] for one in found if one["name"] == asset]
            path = "/api/v2/assets/events?order_by=timestamp&asset_id="
            events = airflow.call("GET", f"{path}{numbers[0]}")["asset_events"] if numbers else []
            return [event["extra"]["payload"] for event in events]

        def items(asset):
            return sum(payload["count"] for payload in payloads(asset))

        # Each watcher notes where it begins; the list is looked at only once one has.
        airflow.until(lambda: arm.lists() > 3, SECONDS, "nobody looks at the list")
        write_receipt(receipts, arm.invoice(3))
        airflow.until(lambda: items("arm_all_items") >= 3, SECONDS, "the first items are not told")
        airflow.until(lambda: payloads("arm_batches"), SECONDS, "the first batch is not told")
        # Between Airflow's storing an event and its being noted as told lie a second or two, after which a kill
        # doubles nothing: the receipt has gone, and so many looks later the items are noted, too.
        airflow.until(lambda: not any(receipts.iterdir()), SECONDS, "the receipt is not removed")
        noted = arm.lists() + LOOKS_UNTIL_NOTED
        airflow.until(lambda: arm.lists() > noted, SECONDS, "nobody looks at the list any more")
        airflow.kill("triggerer")
        second = arm.invoice(4)
        write_receipt(receipts, second)
        airflow.start("triggerer")
        airflow.until(lambda: items("arm_all_items") >= 7, SECONDS, "what appeared meanwhile is not told")
        airflow.until(lambda: len(payloads("arm_batches")) > 1, SECONDS, "the second batch is not told")
        before = arm.lists()
        airflow.until(lambda: arm.lists() > before + 3, SECONDS, "nobody looks at the list any more")
        assert [items(asset) for asset in WATCHED[:3]] == [7, 7, 0]
        assert [payload["batch_uuids"] for payload in payloads("arm_batches")][1:] == [[second]]
        airflow.until(lambda: not any(receipts.iterdir()), SECONDS, "the second receipt is not removed")
        for asset in ("arm_all_items", "arm_batches"):
            runs = airflow.call("GET", f"/api/v2/dags/on_{asset}/dagRuns")["dag_runs"]
            told = []
            for run in runs:
                airflow.ends(f"on_{asset}", run["dag_run_id"], SECONDS)
                told += airflow.returned(f"on_{asset}", run["dag_run_id"], "told")
            assert sorted(map(str, told)) == sorted(map(str, payloads(asset)))
