"""No response of ARM lets a task succeed whose batch has failed records, unless the reject policy allows it."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.runtime.submitted import Submitted
from airflow_provider_arm.sensors.batch import BatchSensor
from airflow_provider_arm.triggers.batch import BatchTrigger

FAILURE_WORDS = {"FAILED", "REJECTED"}
EVENT = {"status": "finished"}


class StateServer:
    """Server that accepts every batch, and answers every poll with the same response."""

    def __init__(self):
        self.code, self.body = 200, b""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.reply(outer.code, outer.body)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.reply(202, b'{"batchUuid": "u"}')

            def reply(self, code, body):
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Log nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def server():
    """Serve batch states for this module."""
    state_server = StateServer()
    yield state_server
    state_server.http.shutdown()
    state_server.http.server_close()


@pytest.fixture
def arm(server, monkeypatch):
    """Set the connection to the server, and let no retry wait."""
    extra = {"access_token": "a-token", "client_no": 2218}
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({"conn_type": "arm", "host": server.url, "extra": extra}))
    monkeypatch.setattr(SystemClock, "sleep", lambda *_: None)
    logging.disable(logging.CRITICAL)
    yield server
    logging.disable(logging.NOTSET)


words = st.sampled_from(
    ["PROCESSED", "processed", "PARTIAL", "FAILED", "REJECTED", "rejected", "PROCESSING", "DONE", "", None]
)
numbers = st.sampled_from([0, 1, 2, 3, "0", "2", -1, None, 1.5, "x"])
issues = st.sampled_from([[], None, [{"field": "Name", "message": "is missing"}]])
good = st.just({"status": "PROCESSED", "result": "CREATED", "customerNo": "1"})
records = good | st.fixed_dictionaries({}, optional={"status": words, "customerNo": st.just("2"), "errors": issues})
bodies = st.fixed_dictionaries(
    {},
    optional={
        "status": words,
        "totalCount": numbers,
        "processedCount": numbers,
        "failedCount": numbers,
        "errors": issues,
        "customers": st.lists(records, max_size=4),
        "kunder": st.lists(records, max_size=2),
    },
)
finished = st.builds(
    lambda made, total: {"status": "PROCESSED", "totalCount": total or len(made), "customers": made},
    st.lists(good | st.just({"status": "FAILED", "result": "REJECTED", "customerNo": "2"}), min_size=1, max_size=5),
    st.none() | st.integers(0, 6),
)
codes = st.sampled_from([200, 202, 206, 406, 200, 206, 201, 404, 500])
policies = st.tuples(st.sampled_from(["fail", "warn"]), st.sampled_from([0, 1, 2, "0%", "40%", "50%", "100%"]))


def failed_records(body):
    """Return the number of failed records by their own status, or ARM's count if that is higher."""
    lists = [value for value in body.values() if isinstance(value, list)]
    named = sum(str(one.get("status")).upper() in FAILURE_WORDS for some in lists for one in some)
    count = body.get("failedCount")
    return max(named, int(count) if str(count).isdigit() else 0)


def has_failure(code, body):
    """Return whether anything in the response indicates a failure."""
    return (
        code == 406
        or failed_records(body) > 0
        or str(body.get("status")).upper() in FAILURE_WORDS | {"PARTIAL"}
        or bool(body.get("errors"))
    )


def allows(policy, rejected, total):
    """Return whether the reject policy allows this many rejects."""
    on_rejected, allowed = policy
    if on_rejected == "warn":
        return True
    if rejected is None or total is None:
        return False
    share = total * int(allowed[:-1]) // 100 if isinstance(allowed, str) else allowed
    return rejected <= share


def poke(policy, context):
    """Wait with a sensor in mode poke."""
    return BatchSensor(task_id="w", batch_uuid="u", timeout=0, **policy).execute(context)


def resume_sensor(policy, context):
    """Resume a deferred sensor."""
    return BatchSensor(task_id="w", batch_uuid="u", deferrable=True, **policy).execute_complete(context, EVENT)


def submit_and_wait(policy, context):
    """Submit two records and wait for them on the worker."""
    two = [{"customerNo": "1", "name": "A"}, {"customerNo": "2", "name": "B"}]
    arguments = {"records": two, "durable": False, "wait_for_completion": True, "timeout": 0, **policy}
    return BatchSubmitOperator(task_id="s", resource="customers", **arguments).execute(context)


@pytest.mark.parametrize("wait", [poke, resume_sensor, submit_and_wait])
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(code=codes, body=finished | bodies, policy=policies)
@example(code=200, body={"status": "PROCESSED", "customers": [{"status": "FAILED"}]}, policy=("fail", 0))
@example(code=206, body={"status": "PARTIAL"}, policy=("fail", "100%"))
@example(code=406, body={}, policy=("fail", 2))
@example(code=200, body={"totalCount": -1, "status": "FAILED"}, policy=("fail", 0))
@example(code=200, body={"totalCount": 0, "status": "FAILED", "customers": []}, policy=("fail", 0))
def test_task_succeeds_only_if_the_policy_allows_the_failures(arm, first_try, wait, code, body, policy):
    """For any status code, body and policy, in each way to wait."""
    arm.code, arm.body = code, json.dumps(body).encode()
    try:
        result = wait({"on_rejected": policy[0], "max_rejected": policy[1]}, first_try)
    except (AirflowException, TaskDeferred):
        return
    if not has_failure(code, body):
        assert result["rejected"] in (0, None)
        return
    assert allows(policy, result["rejected"], result["submitted"])
    assert result["rejected"] is None or result["rejected"] >= max(1, failed_records(body))


def test_task_succeeds_with_a_clean_batch_and_fails_with_a_failed_record(arm, first_try):
    """So that the property above does not hold for lack of successes."""
    arm.code, clean = 200, {"status": "PROCESSED", "totalCount": 2, "processedCount": 2, "failedCount": 0}
    for wait in (poke, resume_sensor, submit_and_wait):
        arm.body = json.dumps(clean).encode()
        assert wait({}, first_try)["rejected"] == 0
        arm.body = json.dumps(clean | {"failedCount": 1}).encode()
        with pytest.raises(AirflowException):
            wait({}, first_try)


#: Result of the submission of two records in one batch.
SUBMITTED = Submitted(["u"], {"u": 2}, records=2).as_json()
LAX = {"on_rejected": "warn", "max_rejected": "100%"}


def poke_result(context):
    """Wait for the result of a submission in mode poke."""
    return BatchSensor(task_id="w", batch_uuid=SUBMITTED, timeout=0, **LAX).execute(context)


def reschedule_result(context):
    """Poke once for the result of a submission in mode reschedule, which Airflow then repeats in a new process."""
    return BatchSensor(task_id="w", batch_uuid=SUBMITTED, mode="reschedule", **LAX).execute(context)


def resume_result(context):
    """Resume a sensor that was deferred for the result of a submission."""
    return BatchSensor(task_id="w", batch_uuid=SUBMITTED, deferrable=True, **LAX).execute_complete(context, EVENT)


def wait_in_triggerer(_context):
    """Wait for the batch in the triggerer, and return the counts if it reports the batch as finished."""
    now = time.time()
    trigger = BatchTrigger(
        batch_uuids=["u"],
        arm_conn_id="arm_default",
        client_no=None,
        poll_interval=0,
        started=now,
        deadline=now,
        batch_records={"u": 2},
    )

    async def run():
        return [event.payload async for event in trigger.run()]

    (event,) = asyncio.run(run())
    if event != EVENT:
        raise AirflowException(event["message"])
    return {"submitted": 2}


@pytest.mark.parametrize(
    "wait",
    [poke_result, reschedule_result, resume_result, wait_in_triggerer, lambda context: submit_and_wait(LAX, context)],
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=finished)
@example(body={"status": "PROCESSED", "totalCount": 0, "customers": []})
@example(body={"status": "PROCESSED", "totalCount": None, "customers": [{"status": "PROCESSED"}]})
@example(body={"status": "PROCESSED", "totalCount": 3, "customers": [{"status": "PROCESSED"}] * 3})
@example(body={"status": "PROCESSED", "totalCount": 1, "processedCount": 1, "failedCount": 0})
def test_counts_that_contradict_the_submission_never_succeed(arm, first_try, wait, body):
    """Whatever the reject policy allows, and wherever the batch is judged."""
    arm.code, arm.body = 200, json.dumps(body).encode()
    try:
        result = wait(first_try)
    except (AirflowException, TaskDeferred):
        return
    assert result["submitted"] == 2
    assert body["totalCount"] in (2, None)
    assert len(body.get("customers") or "12") == 2


def test_matching_counts_succeed_wherever_the_batch_is_judged(arm, first_try):
    """So that the property above does not hold for lack of successes."""
    arm.code, arm.body = 200, json.dumps({"status": "PROCESSED", "customers": [{"status": "PROCESSED"}] * 2}).encode()
    for wait in (poke_result, reschedule_result, resume_result, wait_in_triggerer):
        assert wait(first_try)["submitted"] == 2
