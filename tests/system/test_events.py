"""Kill the triggerer of a live Airflow that starts DAGs on events of ARM: no event is lost or sent twice."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from urllib.error import HTTPError

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
#: Polls, one a second, after which the items of an event are stored as reported.
POLLS_UNTIL_STORED = 8
WATCHED = ("arm_all_items", "arm_invoices", "arm_payments", "arm_batches")


class Arm:
    """The sandbox with a client."""

    def __init__(self, box):
        self.box = box
        credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
        self.client = ArmClient(box.base_url, credentials, client_no=box.client_no)
        self.created = 0

    def invoice(self, count):
        """Create new AR items and return the batchUuid."""
        new = documents(count, 71001 + self.created)
        self.created += count
        uuid = self.client.submit_batch("create_document_batch", new).batch_uuid
        self.client.get_batch(uuid)
        return uuid

    def lists(self):
        """Return the number of calls of the list of AR items."""
        return len([call for call in self.box.requests() if call["path"].endswith("/aritems")])


def test_killed_triggerer_sends_each_event_once(tmp_path):
    """New items and finished batches start DAGs once each, before and after SIGKILL of the triggerer."""
    receipts = tmp_path / "receipts"
    dags = [Path(__file__).parent / "event_dags"]
    with (
        ArmSandbox(batch_delay=0) as box,
        LocalDeployment(tmp_path, dags, box.connection(), {"ARM_RECEIPTS": str(receipts)}) as airflow,
    ):
        arm = Arm(box)

        def payloads(asset):
            found = airflow.call("GET", "/api/v2/assets?limit=100")["assets"]
            numbers = [one["id"] for one in found if one["name"] == asset]
            events = []

            def read_events():
                path = f"/api/v2/assets/events?order_by=timestamp&asset_id={numbers[0]}"
                try:
                    events[:] = airflow.call("GET", path)["asset_events"]
                except HTTPError:  # Airflow returns 500 while a DAG run that an event created has no start date
                    return False
                return True

            if numbers:
                airflow.until(read_events, SECONDS, "the events cannot be read")
            return [event["extra"]["payload"] for event in events]

        def items(asset):
            return sum(payload["count"] for payload in payloads(asset))

        # Each trigger stores its first watermark before it polls.
        airflow.until(lambda: arm.lists() > 3, SECONDS, "the list is not polled")
        write_receipt(receipts, arm.invoice(3))
        airflow.until(lambda: items("arm_all_items") >= 3, SECONDS, "the first items are not reported")
        airflow.until(lambda: payloads("arm_batches"), SECONDS, "the first batch is not reported")
        # A second or two after Airflow has stored an event, the trigger stores it as reported. From then on a kill
        # repeats no event: the receipt is removed, and after some more polls the items are stored, too.
        airflow.until(lambda: not any(receipts.iterdir()), SECONDS, "the receipt is not removed")
        stored = arm.lists() + POLLS_UNTIL_STORED
        airflow.until(lambda: arm.lists() > stored, SECONDS, "the list is no longer polled")
        airflow.kill("triggerer")
        second = arm.invoice(4)
        write_receipt(receipts, second)
        airflow.start("triggerer")
        airflow.until(lambda: items("arm_all_items") >= 7, SECONDS, "items created meanwhile are not reported")
        airflow.until(lambda: len(payloads("arm_batches")) > 1, SECONDS, "the second batch is not reported")
        before = arm.lists()
        airflow.until(lambda: arm.lists() > before + 3, SECONDS, "the list is no longer polled")
        assert [items(asset) for asset in WATCHED[:3]] == [7, 7, 0]
        assert [payload["batch_uuids"] for payload in payloads("arm_batches")][1:] == [[second]]
        airflow.until(lambda: not any(receipts.iterdir()), SECONDS, "the second receipt is not removed")
        for asset in ("arm_all_items", "arm_batches"):
            runs = airflow.call("GET", f"/api/v2/dags/on_{asset}/dagRuns")["dag_runs"]
            reported = []
            for run in runs:
                airflow.wait_for_success(f"on_{asset}", run["dag_run_id"], SECONDS)
                reported += airflow.returned(f"on_{asset}", run["dag_run_id"], "reported")
            assert sorted(map(str, reported)) == sorted(map(str, payloads(asset)))
