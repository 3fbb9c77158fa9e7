"""A sandbox that follows another readings profile, seen from a DAG: the log names the entry, and the entry mends it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred

from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sensors.batch import BatchSensor
from airflow_provider_arm.submission.batch_receipts import write_receipt
from airflow_provider_arm.triggers.batch_finished import BatchFinishedEventTrigger
from airflow_provider_arm.triggers.polling.finished_batches_poller import ReceiptFolder

GOOD = {"customerNo": "80001", "name": "Canary One"}
WORD = "unknown status COMPLETED (add it to one of batch.pending_words, success_words, partial_words, failure_words)"
PROFILE = {"batch": {"success_words": ["COMPLETED"]}}


@pytest.fixture
def arm(monkeypatch):
    """Start a sandbox whose finished batches are COMPLETED; yield a function that sets the connection's profile."""
    with ArmSandbox(ar_items=30, customers=5, batch_delay=0, readings=PROFILE) as box:

        def connect(readings=None):
            connection = box.connection()
            if readings is not None:
                connection["extra"]["readings"] = readings
            monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(connection))
            return ArmHook().client

        connect()
        yield connect


def submit(client):
    """Submit a batch and return its uuid."""
    return client.submit_batch("create_customer_batch", [GOOD]).batch_uuid


def run_trigger(trigger):
    """Run a trigger as the triggerer does; return the only payload."""

    async def run():
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(run())
    return payload


def wait(mode, uuid, context):
    """Wait in a mode, until a short timeout."""
    arguments = {"task_id": "wait", "batch_uuid": uuid, "poke_interval": 0.05, "timeout": 0.3}
    if mode == "deferred":
        sensor = BatchSensor(deferrable=True, **arguments)
        try:
            return sensor.execute(context)
        except TaskDeferred as deferral:
            event = run_trigger(deferral.trigger)
            return sensor.resume_execution(deferral.method_name, {"event": event, **(deferral.kwargs or {})}, context)
    return BatchSensor(mode=mode, **arguments).execute(context)


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_wait_that_ends_by_its_timeout_has_named_the_entry(arm, first_try, caplog, mode):
    """The first response is logged at once; with the entry the same batch succeeds."""
    uuid = submit(arm())
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises((ArmTransientException, AirflowSensorTimeout, ArmFailException)),
    ):
        wait(mode, uuid, first_try)
    assert f"200 with the {WORD}" in caplog.text
    arm(PROFILE)
    assert wait(mode, uuid, first_try)["accepted"] == 1


def test_quickstart_is_red_within_its_timeout_and_mended_from_the_log(
    arm, run_dag, load_dags, tmp_path, monkeypatch, caplog
):
    """Word and entry are taken from the log and set on the connection; then the same DAG succeeds."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path))
    arm()
    path = Path(__file__).parents[3] / "example_dags" / "arm_quickstart.py"
    dag = load_dags(path)["arm_quickstart"]
    dag.get_task("wait").timeout = 2
    with caplog.at_level(logging.WARNING):
        assert str(run_dag(dag).state) == "failed"
    found = re.search(r"unknown status (\w+) \(add it to one of ([\w.]+)_words, (\w+),", caplog.text)
    assert found is not None
    section, entry = found[2].split(".")[0], found[3]
    arm({section: {entry: [found[1]]}})
    dag.get_task("wait").timeout = 60
    assert str(run_dag(dag).state) == "success"


def test_reschedule_mode_logs_the_entry_in_each_process(arm, first_try, caplog):
    """Each poke is a process of its own."""
    uuid = submit(arm())
    with caplog.at_level(logging.WARNING), pytest.raises(AirflowRescheduleException):
        wait("reschedule", uuid, first_try)
    assert WORD in caplog.text


def test_operator_that_waits_on_the_worker_names_the_entry(arm, first_try, caplog):
    """The error repeats what the log had first, and does not claim that ARM is still processing."""
    operator = BatchSubmitOperator(
        task_id="submit",
        resource="customers",
        records=[GOOD],
        wait_for_completion=True,
        deferrable=False,
        poll_interval=0.05,
        timeout=0.3,
    )
    with caplog.at_level(logging.WARNING), pytest.raises(ArmTransientException) as caught:
        operator.execute(first_try)
    for text in (caplog.text, str(caught.value)):
        assert WORD in text
    assert "continues to process" not in str(caught.value)


def test_event_trigger_names_the_entry(arm, tmp_path, caplog):
    """The receipt stays, so the next poll with the profile reports it."""
    write_receipt(tmp_path, [submit(arm())])
    folder = ReceiptFolder(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))

    async def poll():
        async with await ArmHook().get_async_client() as client:
            return [result.payloads async for result in folder.poll(client)]

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(poll()) == [{}]
    assert WORD in caplog.text
    arm(PROFILE)
    ((payload,),) = [result.values() for result in asyncio.run(poll())]
    assert payload["succeeded"] == 1


def test_profile_that_changes_between_tries_stops_the_task_before_it_sends(arm, make_context, store):
    """The message names the entry; a clear continues with the new profile."""

    def submit_in(**ti):
        context = make_context(store, **ti)
        return BatchSubmitOperator(task_id="submit", resource="customers", records=[GOOD]).execute(context)

    arm(PROFILE)
    first = submit_in(try_number=1)
    arm()
    with pytest.raises(ArmFailException, match=r"\(batch\.success_words\).*clear the task"):
        submit_in(try_number=2)
    arm(PROFILE)
    assert submit_in(try_number=2)["batch_uuids"] == first["batch_uuids"]


def test_window_of_the_profile_exports_by_its_filters(monkeypatch, first_try, tmp_path):
    """``DateWindow(by=...)`` takes any date of the profile; another one is refused before anything is sent."""
    profile = {"filters": {"windows": {"bookingdate": {"first": "bookedfrom", "last": "bookedto"}}}}
    with ArmSandbox(ar_items=30, customers=5, batch_delay=0, readings=profile) as box:
        connection = box.connection()
        connection["extra"]["readings"] = profile
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(connection))

        def export(by):
            window = DateWindow("2024-01-01", "2026-12-31", by=by)
            path = str(tmp_path / f"{by}.jsonl")
            return ArItemExportOperator(task_id="export", path=path, window=window).execute(first_try)

        assert export("bookingdate")["rows"] == export("voucherdate")["rows"] == 30
        sent = len(box.requests())
        with pytest.raises(ArmFailException, match=r"by must be one of voucherdate, .*bookingdate, not 'paiddate'"):
            export("paiddate")
        assert len(box.requests()) == sent
