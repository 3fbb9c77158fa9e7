"""``BatchSensor`` and ``BatchTrigger``: three ways to wait, one result."""

from __future__ import annotations

import asyncio
import json
import logging
import time

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperator,
    TaskDeferred,
)

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.exceptions import ArmBatchFailedException, ArmFailException, ArmTransientException
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.sensors.batch import BatchSensor
from airflow_provider_arm.triggers.batch import BatchTrigger
from airflow_provider_arm.triggers.events import check_event

GOOD = {"customerNo": "80001", "name": "Canary One"}
BAD = {"customerNo": "80002", "name": "Canary Two", "organizationNo": "312345678"}


@pytest.fixture
def client(arm_sandbox, arm_connection):
    """Give a client for the sandbox."""
    return ArmHook(arm_connection).client


def submit(client, *records):
    """Submit a batch; gives its uuid."""
    return client.submit_batch("create_customer_batch", records).batch_uuid


def wait(mode, batch_uuid, context, **arguments):
    """Wait in one of the modes and give what the task would return; the trigger runs in this process."""
    arguments = {"poke_interval": 0.01, "timeout": 5, **arguments}
    if mode != "deferred":
        return BatchSensor(task_id="wait", batch_uuid=batch_uuid, mode=mode, **arguments).execute(context)
    sensor = BatchSensor(task_id="wait", batch_uuid=batch_uuid, deferrable=True, **arguments)
    try:
        return sensor.execute(context)
    except TaskDeferred as deferral:
        (event,) = events_of(deferral.trigger)
        resumed = BatchSensor(task_id="wait", batch_uuid=batch_uuid, deferrable=True, **arguments)
        return resumed.resume_execution(deferral.method_name, {"event": event, **(deferral.kwargs or {})}, context)


def events_of(trigger):
    """Run a trigger as the triggerer does: made anew from what it serializes to; gives the payloads."""
    path, arguments = trigger.serialize()
    assert path == "airflow_provider_arm.triggers.batch.BatchTrigger"
    again = BatchTrigger(**json.loads(json.dumps(arguments)))

    async def run():
        return [json.loads(json.dumps(event.payload)) async for event in again.run()]

    return asyncio.run(run())


MODES = ("poke", "deferred")


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_same_result(client, first_try, mode):
    """Poke and deferred give the same summary of several batches."""
    uuids = [submit(client, GOOD), submit(client, {**GOOD, "customerNo": "80003"})]
    assert wait(mode, uuids, first_try) == {
        "batch_uuids": uuids,
        "submitted": 2,
        "accepted": 2,
        "rejected": 0,
        "rejects_uri": None,
    }


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_in_work_is_waited_for(arm_sandbox, client, first_try, monkeypatch, mode):
    """A batch that is not finished at the first look is looked at again until it is."""
    arm_sandbox.behave(batch_delay=60)
    uuid = submit(client, GOOD)
    looks = []
    monkeypatch.setattr("time.sleep", lambda _: looks.append(arm_sandbox.advance(61)))

    async def asleep(*_):
        looks.append(arm_sandbox.advance(61))

    monkeypatch.setattr(SystemClock, "asleep", asleep)
    assert wait(mode, uuid, first_try)["accepted"] == 1
    assert looks


def test_a_rescheduled_wait_gives_its_slot_back(arm_sandbox, client, first_try):
    """In reschedule mode a pending batch frees the worker, and a later process, which remembers nothing, finishes."""
    arm_sandbox.behave(batch_delay=60)
    uuid = submit(client, GOOD)
    with pytest.raises(AirflowRescheduleException):
        wait("reschedule", uuid, first_try)
    arm_sandbox.advance(61)
    assert wait("reschedule", uuid, first_try)["accepted"] == 1


def test_a_rescheduled_wait_fails_as_the_others_do(client, first_try):
    """In reschedule mode a batch with refused records is red too."""
    with pytest.raises(ArmBatchFailedException, match="refused 1 of 2 records"):
        wait("reschedule", submit(client, GOOD, BAD), first_try)


@pytest.mark.parametrize("mode", MODES)
def test_refused_records_fail_in_every_mode(client, first_try, mode, tmp_path):
    """A batch with a refused record is red by default, and the rejects file names it."""
    uuid = submit(client, GOOD, BAD)
    path = tmp_path / "rejects.jsonl"
    with pytest.raises(ArmBatchFailedException, match="refused 1 of 2 records"):
        wait(mode, uuid, first_try, rejects_path=f"file://{path}")
    (line,) = path.read_text(encoding="utf-8").splitlines()
    reject = json.loads(line)
    assert (reject["_row"], reject["_batch_uuid"], reject["customerNo"]) == (2, uuid, "80002")


@pytest.mark.parametrize("mode", MODES)
def test_the_policy_is_the_operators(client, first_try, mode):
    """The author's policy turns the same batch green, in every mode."""
    uuid = submit(client, GOOD, BAD)
    assert wait(mode, uuid, first_try, max_rejected="50%")["rejected"] == 1


def test_rejects_of_a_submitted_file_have_the_record(client, first_try, tmp_path):
    """With what the submitting task returned, the sensor's rejects are whole records and a valid source."""
    from airflow_provider_arm.operators.batch import BatchSubmitOperator

    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in (GOOD, BAD)), encoding="utf-8")
    submitted = BatchSubmitOperator(task_id="s", resource="customers", source=str(source)).execute(first_try)
    rejects = tmp_path / "rejects.jsonl"
    wait("poke", submitted, first_try, on_rejected="warn", rejects_path=str(rejects))
    reject = json.loads(rejects.read_text(encoding="utf-8"))
    assert {key: value for key, value in reject.items() if not key.startswith("_")} == BAD
    again = BatchSubmitOperator(task_id="s", resource="customers", source=str(rejects), plan_only=True)
    assert again.execute(first_try)["records"] == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_that_takes_too_long_times_out(arm_sandbox, client, first_try, mode):
    """The deadline ends the wait with Airflow's own sensor timeout."""
    arm_sandbox.behave(batch_delay=3600)
    with pytest.raises(AirflowSensorTimeout):
        wait(mode, submit(client, GOOD), first_try, timeout=0)


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_skips(client, first_try, mode):
    """With soft_fail a failed batch skips the task, in every mode."""
    with pytest.raises(AirflowSkipException):
        wait(mode, submit(client, BAD), first_try, soft_fail=True)


@pytest.mark.parametrize("mode", MODES)
def test_an_unknown_batch_fails_at_once(client, first_try, mode):
    """A batchUuid that ARM does not know is no wait but a mistake."""
    with pytest.raises(ArmFailException, match="404"):
        wait(mode, "00000000-0000-4000-8000-000000000000", first_try)


@pytest.mark.parametrize("kind", ["status", "html", "close", "empty"])
@pytest.mark.parametrize("mode", MODES)
def test_an_outage_ends_no_wait(arm_sandbox, client, first_try, monkeypatch, mode, kind):
    """Looks that fail for a while, whatever way, do not end the wait."""
    uuid = submit(client, GOOD)
    monkeypatch.setattr("time.sleep", lambda _: None)

    async def asleep(*_):
        return None

    monkeypatch.setattr(SystemClock, "asleep", asleep)
    arm_sandbox.fault({"match": {"method": "GET", "path": "*/batches/*"}, "do": kind, "times": 12})
    assert wait(mode, uuid, first_try)["accepted"] == 1


@pytest.mark.parametrize("arguments", [{"max_rejected": "few"}, {"on_rejected": "x"}, {"rejects_path": "a.txt"}])
def test_a_wrong_argument_is_told_at_the_first_look(client, first_try, arguments):
    """A policy that cannot be is told now, not after the wait."""
    with pytest.raises((ArmFailException, ArmConfigurationError)):
        wait("poke", submit(client, GOOD), first_try, **arguments)


def test_the_trigger_holds_no_secret(arm_sandbox, arm_connection):
    """What Airflow stores of a trigger is plain JSON without credential or token."""
    trigger = make_trigger(["u1"])
    stored = json.dumps(trigger.serialize()[1])
    assert arm_sandbox.client_secret not in stored
    assert arm_sandbox.client_id not in stored


def make_trigger(uuids, deadline=None, client_no=None):
    """Make a trigger that waits five seconds."""
    now = time.time()
    return BatchTrigger(
        batch_uuids=uuids,
        arm_conn_id="arm_default",
        client_no=client_no,
        poll_interval=0.01,
        started=now,
        deadline=deadline or now + 5,
    )


def test_the_trigger_sends_exactly_one_small_event(client):
    """A finished wait is one event, small however many records there are."""
    uuids = [submit(client, *({"customerNo": str(90000 + n), "name": "C"} for n in range(50))) for _ in range(3)]
    assert events_of(make_trigger(uuids)) == [{"status": "finished"}]


def test_the_trigger_tells_a_wrong_connection(monkeypatch):
    """A connection that cannot work is one event that says so, not a crash of the triggerer."""
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({"conn_type": "arm", "host": ""}))
    (event,) = events_of(make_trigger(["u1"]))
    assert (event["status"], event["permanent"]) == ("failed", True)
    assert "host" in event["message"]


def test_the_trigger_asks_for_the_given_client(arm_sandbox, arm_connection):
    """The client number of the task stands above the connection's also in the triggerer."""
    (event,) = events_of(make_trigger(["00000000-0000-4000-8000-000000000000"], client_no=4711))
    assert event["status"] == "failed"
    assert any("/clients/4711/" in call["path"] for call in arm_sandbox.requests())


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (None, ArmFailException),
        ({}, ArmFailException),
        ({"status": "success"}, ArmFailException),
        ({"status": "failed", "message": "m", "permanent": True}, ArmFailException),
        ({"status": "failed", "message": "m"}, ArmFailException),
        ({"status": "failed", "message": "m", "permanent": False}, ArmTransientException),
        ({"status": "timeout", "message": "m"}, ArmTransientException),
    ],
)
def test_only_a_finished_event_goes_on(event, error):
    """Any event but a finished one raises; one that is not known never passes for success."""
    with pytest.raises(error):
        check_event(event)


def test_no_log_line_of_a_wait_shows_a_person_or_a_secret(arm_sandbox, client, first_try, caplog):
    """With everything logged, neither the records nor the credentials nor the token appear."""
    caplog.set_level(logging.DEBUG)
    uuid = submit(client, GOOD, {**BAD, "emailAddressDocument": ["canary@example.com"]})
    for mode in MODES:
        wait(mode, uuid, first_try, on_rejected="warn")
    text = caplog.text
    assert "80002" in text
    assert arm_sandbox.client_secret not in text
    assert "Bearer ey" not in text
    assert "canary" not in text.lower().replace("canaries", "")


def test_the_sensor_is_an_operator_with_templates():
    """The arguments that come from other tasks are templated."""
    assert issubclass(BatchSensor, BaseOperator)
    assert {"batch_uuid", "arm_conn_id", "client_no", "max_rejected", "rejects_path"} <= set(
        BatchSensor.template_fields
    )
