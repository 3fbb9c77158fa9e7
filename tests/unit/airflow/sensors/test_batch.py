"""``BatchSensor`` in each mode, and its trigger."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from functools import partial

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperator,
    TaskDeferred,
)

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.exceptions import (
    ArmBatchFailedException,
    ArmFailException,
    ArmTransientException,
    ArmWaitError,
)
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.sensors.batch import BatchSensor
from airflow_provider_arm.triggers.batch import BatchTrigger
from airflow_provider_arm.triggers.events import check_event

GOOD = {"customerNo": "80001", "name": "Canary One"}
BAD = {"customerNo": "80002", "name": "Canary Two", "organizationNo": "312345678"}


@pytest.fixture
def client(arm_sandbox, arm_connection):
    """Return a client for the sandbox."""
    return ArmHook(arm_connection).client


def submit(client, *records):
    """Submit a batch and return its uuid."""
    return client.submit_batch("create_customer_batch", records).batch_uuid


def wait(mode, batch_uuid, context, **arguments):
    """Wait in one of the modes and return the task's result; the trigger runs in this process."""
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
    """Run a trigger as the triggerer does, rebuilt from its serialized form, and return the payloads."""
    path, arguments = trigger.serialize()
    assert path == "airflow_provider_arm.triggers.batch.BatchTrigger"
    rebuilt = BatchTrigger(**json.loads(json.dumps(arguments)))

    async def run():
        return [json.loads(json.dumps(event.payload)) async for event in rebuilt.run()]

    return asyncio.run(run())


MODES = ("poke", "deferred")


@pytest.mark.parametrize("mode", MODES)
def test_result_is_the_same_in_every_mode(client, first_try, mode):
    """For several batches."""
    uuids = [submit(client, GOOD), submit(client, {**GOOD, "customerNo": "80003"})]
    assert wait(mode, uuids, first_try) == {
        "batch_uuids": uuids,
        "submitted": 2,
        "accepted": 2,
        "rejected": 0,
        "rejects_uri": None,
        "warnings": 0,
        "warnings_uri": None,
        "summary": "2 of 2 records accepted, 0 rejected: success",
    }


@pytest.mark.parametrize("mode", MODES)
def test_pending_batch_is_polled_until_it_is_finished(arm_sandbox, client, first_try, monkeypatch, mode):
    """With a pause between polls."""
    arm_sandbox.behave(batch_delay=60)
    uuid = submit(client, GOOD)
    pauses = []
    monkeypatch.setattr("time.sleep", lambda _: pauses.append(arm_sandbox.advance(61)))

    async def asleep(*_):
        pauses.append(arm_sandbox.advance(61))

    monkeypatch.setattr(SystemClock, "asleep", asleep)
    assert wait(mode, uuid, first_try)["accepted"] == 1
    assert pauses


def test_reschedule_mode_frees_the_worker_and_finishes_in_a_later_process(arm_sandbox, client, first_try):
    """The later process has no state of the first one."""
    arm_sandbox.behave(batch_delay=60)
    uuid = submit(client, GOOD)
    with pytest.raises(AirflowRescheduleException):
        wait("reschedule", uuid, first_try)
    arm_sandbox.advance(61)
    assert wait("reschedule", uuid, first_try)["accepted"] == 1


def test_rejects_fail_the_task_in_reschedule_mode(client, first_try):
    """As in the other modes."""
    with pytest.raises(ArmBatchFailedException, match="1 of 2 records accepted, 1 rejected"):
        wait("reschedule", submit(client, GOOD, BAD), first_try)


@pytest.mark.parametrize("mode", MODES)
def test_rejects_fail_the_task_and_are_in_the_rejects_file(client, first_try, mode, tmp_path):
    """The default policy allows no rejects."""
    uuid = submit(client, GOOD, BAD)
    path = tmp_path / "rejects.jsonl"
    with pytest.raises(ArmBatchFailedException, match="1 of 2 records accepted, 1 rejected"):
        wait(mode, uuid, first_try, rejects_path=f"file://{path}")
    (line,) = path.read_text(encoding="utf-8").splitlines()
    reject = json.loads(line)
    assert (reject["_row"], reject["_batch_uuid"], reject["customerNo"]) == (2, uuid, "80002")


@pytest.mark.parametrize("mode", MODES)
def test_reject_policy_decides_task_outcome(client, first_try, mode):
    """A policy that allows the rejects lets the task succeed, in every mode."""
    uuid = submit(client, GOOD, BAD)
    assert wait(mode, uuid, first_try, max_rejected="50%")["rejected"] == 1


def test_rejects_file_has_whole_records_when_the_source_is_known(client, first_try, tmp_path):
    """With the result of the submitting task, the rejects file is a valid source."""
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


@pytest.mark.parametrize("known", [False, True], ids=["batchUuid", "result"])
@pytest.mark.parametrize("mode", MODES)
def test_batch_refused_as_a_whole_names_arms_reason_and_no_file(arm_sandbox, client, first_try, mode, known, tmp_path):
    """ARM names no record, so that there is nothing to write without the source."""
    arm_sandbox.behave(q03_reject_batches=True)
    submitted = submit(client, GOOD, BAD)
    if known:
        submitted = {"batch_uuids": [submitted], "batch_records": {submitted: 2}, "submitted": 2}
    path = tmp_path / "rejects.jsonl"
    with pytest.raises(ArmBatchFailedException) as caught:
        wait(mode, submitted, first_try, rejects_path=str(path))
    assert "ARM: rejected as a whole" in str(caught.value)
    assert "ARM names no rejected record, so there is no rejects file" in str(caught.value)
    assert "0 of 2 records accepted, 2 rejected (100 %, limit 0): failed" in str(caught.value)
    assert not path.exists()
    with pytest.raises(ArmBatchFailedException, match=r"limit 0\): failed; ARM: rejected as a whole[^;]*$"):
        wait(mode, submitted, first_try)


@pytest.mark.parametrize("mode", MODES)
def test_timeout_raises_airflows_sensor_timeout(arm_sandbox, client, first_try, mode):
    """In every mode."""
    arm_sandbox.behave(batch_delay=3600)
    with pytest.raises(AirflowSensorTimeout):
        wait(mode, submit(client, GOOD), first_try, timeout=0)


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_skips_the_task(client, first_try, mode):
    """In every mode."""
    with pytest.raises(AirflowSkipException):
        wait(mode, submit(client, BAD), first_try, soft_fail=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("when", ["before", "while deferred"])
@pytest.mark.parametrize("broken", ["connection", "credentials", "batch"])
def test_soft_fail_does_not_skip_a_broken_wait(arm_sandbox, client, first_try, monkeypatch, mode, when, broken):
    """A wrong connection or a batch that ARM does not have must not be hidden."""
    uuid = submit(client, GOOD)
    sensor = BatchSensor(task_id="wait", batch_uuid=uuid, poke_interval=0.01, timeout=5, soft_fail=True)
    if broken == "connection":
        monkeypatch.delenv("AIRFLOW_CONN_ARM_DEFAULT")
    elif broken == "credentials":
        arm_sandbox.fault({"match": {"method": "POST", "path": "*/token"}, "do": "status", "status": 401, "times": 99})
    else:
        sensor.batch_uuid = "unknown"
    sensor.deferrable = mode == "deferred"
    resume = partial(sensor.resume_execution, "execute_complete", {"event": {"status": "finished"}})
    with pytest.raises((ArmWaitError, ArmFailException, AirflowException)) as caught:
        (sensor.execute if when == "before" else resume)(first_try)
    assert not isinstance(caught.value, AirflowSkipException)


def test_timeout_in_mode_poke_has_the_reason(arm_sandbox, client, first_try):
    """Not only the seconds that Airflow's own message has."""
    submitted = {"batch_uuids": [submit(client, GOOD)], "submitted": 2}
    with pytest.raises(AirflowSensorTimeout, match="200 with 1 record in a batch of 2"):
        wait("poke", submitted, first_try, timeout=0.2)


@pytest.mark.parametrize("mode", MODES)
def test_unknown_batch_uuid_fails_at_once(client, first_try, mode):
    """ARM answers 404."""
    with pytest.raises(ArmFailException, match="404"):
        wait(mode, "00000000-0000-4000-8000-000000000000", first_try)


@pytest.mark.parametrize("kind", ["status", "html", "close", "empty"])
@pytest.mark.parametrize("mode", MODES)
def test_wait_continues_during_an_outage(arm_sandbox, client, first_try, monkeypatch, mode, kind):
    """Failed polls of any kind do not end the wait."""
    uuid = submit(client, GOOD)
    monkeypatch.setattr("time.sleep", lambda _: None)

    async def asleep(*_):
        return None

    monkeypatch.setattr(SystemClock, "asleep", asleep)
    arm_sandbox.fault({"match": {"method": "GET", "path": "*/batches/*"}, "do": kind, "times": 12})
    assert wait(mode, uuid, first_try)["accepted"] == 1


@pytest.mark.parametrize("arguments", [{"max_rejected": "few"}, {"on_rejected": "x"}, {"rejects_path": "a.txt"}])
def test_invalid_argument_fails_at_the_first_poll(client, first_try, arguments):
    """Not only after the wait."""
    with pytest.raises((ArmFailException, ArmConfigurationError)):
        wait("poke", submit(client, GOOD), first_try, **arguments)


def test_serialized_trigger_contains_no_credentials(arm_sandbox, arm_connection):
    """Airflow stores it as plain JSON."""
    trigger = make_trigger(["u1"])
    stored = json.dumps(trigger.serialize()[1])
    assert arm_sandbox.client_secret not in stored
    assert arm_sandbox.client_id not in stored


def make_trigger(uuids, deadline=None, client_no=None):
    """Return a trigger that waits five seconds."""
    now = time.time()
    return BatchTrigger(
        batch_uuids=uuids,
        arm_conn_id="arm_default",
        client_no=client_no,
        poll_interval=0.01,
        started=now,
        deadline=deadline or now + 5,
    )


def test_trigger_sends_one_small_event(client):
    """Its size does not depend on the number of records."""
    uuids = [submit(client, *({"customerNo": str(90000 + n), "name": "C"} for n in range(50))) for _ in range(3)]
    assert events_of(make_trigger(uuids)) == [{"status": "finished"}]


def test_trigger_sends_an_event_when_the_connection_is_invalid(monkeypatch):
    """The triggerer does not crash."""
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({"conn_type": "arm", "host": ""}))
    (event,) = events_of(make_trigger(["u1"]))
    assert (event["status"], event["permanent"]) == ("failed", True)
    assert "host" in event["message"]


def test_trigger_polls_for_the_tasks_client_number(arm_sandbox, arm_connection):
    """It overrides that of the connection."""
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
def test_check_event_raises_for_any_event_but_finished(event, error):
    """An unknown event never counts as success."""
    with pytest.raises(error):
        check_event(event)


def test_log_of_a_wait_has_no_personal_data_and_no_secret(arm_sandbox, client, first_try, caplog):
    """At level DEBUG, neither records nor credentials nor the token are logged."""
    caplog.set_level(logging.DEBUG)
    uuid = submit(client, GOOD, {**BAD, "emailAddressDocument": ["canary@example.com"]})
    for mode in MODES:
        wait(mode, uuid, first_try, on_rejected="warn")
    text = caplog.text
    assert "80002" in text
    assert arm_sandbox.client_secret not in text
    assert "Bearer ey" not in text
    assert "canary" not in text.lower().replace("canaries", "")


def test_arguments_from_other_tasks_are_templated():
    """The sensor is an operator for Airflow."""
    assert issubclass(BatchSensor, BaseOperator)
    assert {"batch_uuid", "arm_conn_id", "client_no", "max_rejected", "rejects_path"} <= set(
        BatchSensor.template_fields
    )
