"""``hooks.metrics``: what is counted and timed in Airflow's metrics."""

from __future__ import annotations

import asyncio
import time

import pytest

from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.exceptions import ArmFailException
from airflow_provider_arm.hooks import metrics
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.triggers.batch import BatchTrigger


class RecordedStats:
    """A replacement of Airflow's Stats that records the metrics."""

    def __init__(self):
        self.counted, self.timed = [], []

    def incr(self, name, count=1, *, tags):
        self.counted.append((name, tags["operation"], tags.get("status", count)))

    def timing(self, name, milliseconds, *, tags):
        self.timed.append((name, milliseconds, tags["outcome"]))


def test_each_attempt_is_counted_by_its_status(arm_sandbox, arm_connection, monkeypatch):
    """Retries, attempts without a response and token calls count one by one, for either client."""
    stats = RecordedStats()
    monkeypatch.setattr(metrics, "Stats", stats)
    monkeypatch.setattr(SystemClock, "sleep", lambda *_: None)
    client = ArmHook(arm_connection).client
    uuid = client.submit_batch("create_customer_batch", [{"customerNo": "1", "name": "A"}]).batch_uuid
    for nth, do in ((1, "status"), (2, "close")):
        arm_sandbox.fault({"match": {"method": "GET", "path": "*/batches/*"}, "nth": nth, "do": do})
    client.get_batch(uuid)
    polls = [("arm.request", "get_batch", status) for status in ("503", "no_response", "200")]
    assert stats.counted == [
        ("arm.request", "get_token", "200"),
        ("arm.request", "create_customer_batch", "202"),
        *polls,
    ]


def test_deferred_wait_is_timed_from_its_submission(arm_sandbox, arm_connection, monkeypatch):
    """Each wait has one time and its outcome, counted from the submission and not from the trigger's start."""
    stats = RecordedStats()
    monkeypatch.setattr(metrics, "Stats", stats)
    client = ArmHook(arm_connection).client
    uuid = client.submit_batch("create_customer_batch", [{"customerNo": "1", "name": "A"}]).batch_uuid
    now = time.time()
    arguments = {"arm_conn_id": arm_connection, "client_no": None, "poll_interval": 0.01, "started": now - 3600}

    async def run():
        for uuids, deadline in (([uuid], now + 60), (["00000000-0000-4000-8000-000000000000"], now + 60)):
            _ = [event async for event in BatchTrigger(batch_uuids=uuids, deadline=deadline, **arguments).run()]

    asyncio.run(run())
    assert [(name, outcome) for name, _, outcome in stats.timed] == [
        ("arm.batch.wait", "finished"),
        ("arm.batch.wait", "failed"),
    ]
    assert all(milliseconds >= 3_600_000 for _, milliseconds, _ in stats.timed)


def test_rows_of_an_export_are_counted_when_it_is_complete(
    arm_sandbox, arm_connection, first_try, monkeypatch, tmp_path
):
    """They are counted by the list that was read; a failed export counts none."""
    stats = RecordedStats()
    monkeypatch.setattr(metrics, "Stats", stats)
    export = ArItemExportOperator(task_id="export", path=str(tmp_path / "items.jsonl"))
    rows = export.execute(first_try)["rows"]
    arm_sandbox.fault({"match": {"path": "*/aritems"}, "do": "status", "status": 403})
    with pytest.raises(ArmFailException):
        ArItemExportOperator(task_id="export", path=str(tmp_path / "none.jsonl")).execute(first_try)
    counted = [each for each in stats.counted if each[0] == "arm.export.rows"]
    assert counted == [("arm.export.rows", "list_ar_items", rows)]
    assert rows > 0
