"""Tests of ``BatchTrigger``: exactly one event, no wait lost by a restart, no data of a record in event and log."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred

from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.hooks import shared
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.sensors.batch import BatchSensor
from airflow_provider_arm.submission.results.batch_wait import BatchWait
from airflow_provider_arm.triggers.batch import BatchTrigger

BENCHMARK = Path(__file__).parents[4] / "benchmarks" / "bench_waiting.py"
UNKNOWN_BATCH = "00000000-0000-4000-8000-000000000000"
CUSTOMERS = [
    {"customerNo": str(81000 + n), "name": "Canary Person", "emailAddressDocument": ["canary@example.com"]}
    for n in range(3)
]


@pytest.fixture
def client(arm_sandbox, arm_connection):
    """Return a client of the sandbox."""
    return ArmHook(arm_connection).client


def submit(client, *records):
    """Submit a batch of customers; return its batchUuid."""
    return client.submit_batch("create_customer_batch", records or CUSTOMERS).batch_uuid


def build_trigger(uuids, timeout=30.0, **arguments):
    """Return a trigger with a short poll interval."""
    now = time.time()
    defaults = {"arm_conn_id": "arm_default", "client_no": None, "poll_interval": 0.01, "started": now}
    return BatchTrigger(batch_uuids=uuids, deadline=now + timeout, **(defaults | arguments))


async def events_of(trigger):
    """Run a trigger as the triggerer does, created from its serialized arguments; return the payloads as stored."""
    _, arguments = trigger.serialize()
    deserialized = BatchTrigger(**json.loads(json.dumps(arguments)))
    return [json.loads(json.dumps(event.payload)) async for event in deserialized.run()]


def raise_defect(*_, **__):
    """Raise an error as a defect of the provider would, with a record's data in its message."""
    raise KeyError(CUSTOMERS[0]["name"])


def finished(sandbox, uuid, monkeypatch):
    """Return a trigger whose batch is finished."""
    return build_trigger([uuid])


def unknown_batch(sandbox, uuid, monkeypatch):
    """Return a trigger whose batch ARM does not find."""
    return build_trigger([UNKNOWN_BATCH])


def deadline_passed(sandbox, uuid, monkeypatch):
    """Return a trigger whose deadline has passed while its batch is pending."""
    sandbox.behave(batch_delay=3600)
    pending = ArmHook().client.submit_batch("create_customer_batch", CUSTOMERS).batch_uuid
    return build_trigger([pending], timeout=-1)


def missing_connection(sandbox, uuid, monkeypatch):
    """Return a trigger whose connection is not defined."""
    return build_trigger([uuid], arm_conn_id="not_there")


def wrong_secret(sandbox, uuid, monkeypatch):
    """Return a trigger whose credentials the token service rejects."""
    connection = json.dumps(sandbox.connection() | {"password": "canary-secret"})
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", connection)
    return build_trigger([uuid])


def defect_in_a_poll(sandbox, uuid, monkeypatch):
    """Return a trigger for which the provider's own code fails after a response."""
    monkeypatch.setattr(BatchWait, "record_poll", raise_defect)
    return build_trigger([uuid])


def defect_at_the_start(sandbox, uuid, monkeypatch):
    """Return a trigger for which the provider's own code fails before the first poll."""
    monkeypatch.setattr(BatchWait, "__post_init__", raise_defect)
    return build_trigger([uuid])


ENDINGS = [
    (finished, "finished", None),
    (unknown_batch, "failed", True),
    (deadline_passed, "timeout", None),
    (missing_connection, "failed", True),
    (wrong_secret, "failed", True),
    (defect_in_a_poll, "failed", False),
    (defect_at_the_start, "failed", False),
]


@pytest.mark.parametrize(("ending", "status", "permanent"), ENDINGS, ids=[ending[0].__name__ for ending in ENDINGS])
def test_every_ending_sends_one_event_without_secrets_or_records(
    arm_sandbox, client, monkeypatch, caplog, ending, status, permanent
):
    """There is exactly one small event, and no secret or personal data in it, in the stored arguments or in the log."""
    caplog.set_level(logging.DEBUG)
    trigger = ending(arm_sandbox, submit(client), monkeypatch)
    monkeypatch.setattr("airflow_provider_arm.client.http.auth.REJECTION_COOLDOWN", 0.0)
    (event,) = asyncio.run(events_of(trigger))
    assert (event["status"], event.get("permanent")) == (status, permanent)
    shown = json.dumps(trigger.serialize()) + json.dumps(event) + caplog.text
    assert len(json.dumps(event)) < 1000
    for canary in ("canary", arm_sandbox.client_secret, arm_sandbox.client_id, "Bearer ey", 'access_token":'):
        assert canary.lower() not in shown.lower()


def test_finished_when_the_batch_is_finished_at_the_deadline(client):
    """A triggerer that restarts after the deadline polls once before it sends a timeout."""
    assert asyncio.run(events_of(build_trigger([submit(client)], timeout=0.0))) == [{"status": "finished"}]


def test_cancelled_wait_sends_no_event_and_closes_its_client(client, arm_sandbox):
    """No event, task or client remains when Airflow cancels a trigger to move it to another triggerer."""
    arm_sandbox.behave(batch_delay=3600)
    uuid, events = submit(client), []

    async def run():
        task = asyncio.create_task(events_of(build_trigger([uuid])))
        while not any(uuid in call["path"] for call in arm_sandbox.requests()):  # noqa: ASYNC110 - the sandbox runs in a thread
            await asyncio.sleep(0.01)
        task.cancel()
        events.append(await asyncio.gather(task, return_exceptions=True))
        (shared_client,) = shared._clients[asyncio.get_running_loop()].values()
        return shared_client.client

    client_of_loop = asyncio.run(run())
    assert isinstance(events[0][0], asyncio.CancelledError)
    assert client_of_loop._http is None  # closed with its event loop, before its linger time ended


def test_wait_continues_when_the_connection_is_unreadable_for_a_while(client, monkeypatch):
    """The connection is read again if the secrets backend is down when the triggerer starts."""
    uuid, tries, read = submit(client), [], ArmHook.aread_settings

    async def fail_three_times(hook):
        tries.append(1)
        if len(tries) < 4:
            raise ConnectionError("canary")
        return await read(hook)

    monkeypatch.setattr(ArmHook, "aread_settings", fail_three_times)
    assert asyncio.run(events_of(build_trigger([uuid]))) == [{"status": "finished"}]
    assert len(tries) == 4


def test_wait_continues_when_the_secret_changes(arm_sandbox, client, monkeypatch):
    """If ARM rejects the credentials, the connection is read again, and the wait continues if it has changed."""
    uuid, read, good = submit(client), ArmHook.aread_settings, arm_sandbox.connection()
    old = good | {"extra": json.loads(good["extra"]) if isinstance(good["extra"], str) else dict(good["extra"])}
    old["extra"] = old["extra"] | {"access_token": "an-old-token"}
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(old))

    async def read_then_change(hook):
        settings = await read(hook)
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(good))
        return settings

    monkeypatch.setattr(ArmHook, "aread_settings", read_then_change)
    assert asyncio.run(events_of(build_trigger([uuid]))) == [{"status": "finished"}]


def test_on_kill_logs_the_batches_and_sends_no_request(arm_sandbox, client, caplog):
    """``on_kill`` sends no request, because ARM cannot cancel a batch, and logs this."""
    uuid = submit(client)
    before = len(arm_sandbox.requests())
    asyncio.run(build_trigger([uuid]).on_kill())
    assert "cannot cancel" in caplog.text
    assert uuid in caplog.text
    assert len(arm_sandbox.requests()) == before


def test_no_records_stay_in_the_triggerers_memory(client, arm_sandbox, monkeypatch):
    """The triggerer keeps only the state of a finished batch, not its records."""
    recorded, record_poll = [], BatchWait.record_poll

    def spy(wait, uuid, result, now):
        recorded.append(result)
        return record_poll(wait, uuid, result, now)

    monkeypatch.setattr(BatchWait, "record_poll", spy)
    asyncio.run(events_of(build_trigger([submit(client), submit(client)])))
    assert [(len(status.records), status.total) for status in recorded] == [(0, 3)] * 2


def test_concurrent_polls_of_one_wait_are_limited(client, monkeypatch):
    """A wait for many batches polls each of them, and at most eight at the same time."""
    from airflow_provider_arm.client.async_client import AsyncArmClient
    from airflow_provider_arm.triggers.polling.batch_poller import MAX_CONCURRENT_POLLS

    in_flight, concurrency, get = [], [], AsyncArmClient.get_batch

    async def count_in_flight(client, uuid, **arguments):
        in_flight.append(uuid)
        concurrency.append(len(in_flight))
        try:
            return await get(client, uuid, **arguments)
        finally:
            in_flight.remove(uuid)

    monkeypatch.setattr(AsyncArmClient, "get_batch", count_in_flight)
    uuids = [submit(client, CUSTOMERS[0]) for _ in range(3 * MAX_CONCURRENT_POLLS)]
    assert asyncio.run(events_of(build_trigger(uuids))) == [{"status": "finished"}]
    assert (max(concurrency), len(concurrency)) == (MAX_CONCURRENT_POLLS, len(uuids))


class AutoClock:
    """Clock of this process and of the sandbox. Each sleep advances it by the time slept."""

    def __init__(self, sandbox, monkeypatch):
        self.sandbox, self.elapsed, self.actions = sandbox, 0.0, []
        started = time.time()
        monkeypatch.setattr(SystemClock, "monotonic", lambda _: self.elapsed)
        monkeypatch.setattr(SystemClock, "time", lambda _: started + self.elapsed)

        async def asleep(_, seconds):
            await asyncio.sleep(0.002)
            self.advance(seconds)

        monkeypatch.setattr(SystemClock, "asleep", asleep)

    def schedule(self, seconds, action):
        """Call *action* when this number of seconds has elapsed."""
        self.actions.append((seconds, action))
        self.actions.sort(key=lambda entry: entry[0])

    def advance(self, seconds):
        """Advance the time, and call the actions that are due."""
        self.elapsed += seconds
        self.sandbox.advance(seconds)
        while self.actions and self.actions[0][0] <= self.elapsed:
            self.actions.pop(0)[1]()


@pytest.mark.parametrize("outage", ["status", "reset", "html"])
def test_wait_survives_an_outage_and_two_restarts(
    arm_sandbox, arm_connection, make_context, store, monkeypatch, outage
):
    """A batch of two hours succeeds, submitted once, with ARM down for 15 minutes and the triggerer restarted twice."""
    arm_sandbox.behave(batch_delay=7200)
    clock = AutoClock(arm_sandbox, monkeypatch)
    started = time.time()
    monkeypatch.setattr("airflow_provider_arm.operators.batch.time.time", lambda: started + clock.elapsed)

    def operator():
        arguments = {"wait_for_completion": True, "deferrable": True, "timeout": 3 * 3600, "poll_interval": 30}
        return BatchSubmitOperator(task_id="s", resource="customers", records=CUSTOMERS, **arguments)

    with pytest.raises(TaskDeferred) as deferred:
        operator().execute(make_context(store))
    restarts, tasks = [], []
    fault = {"match": {"method": "GET", "path": "*/batches/*"}, "do": outage, "times": 0}
    clock.schedule(2400, lambda: arm_sandbox.fault(fault | ({"status": 503} if outage == "status" else {})))
    clock.schedule(2400 + 900, arm_sandbox.clear_faults)
    for seconds in (1800, 2700):
        clock.schedule(seconds, lambda: tasks[-1].cancel())  # noqa: PLW0108 - the last task at that time

    async def triggerer():
        tasks.append(asyncio.current_task())
        return await events_of(deferred.value.trigger)

    while True:
        try:
            events = asyncio.run(triggerer())
            break
        except asyncio.CancelledError:
            restarts.append(clock.elapsed)
    assert events == [{"status": "finished"}]
    assert len(restarts) == 2
    assert clock.elapsed < 7200 * 1.06  # detected at most a twentieth of its age late
    result = operator().execute_complete(make_context(store), events[0], **deferred.value.kwargs)
    assert (result["accepted"], result["rejected"]) == (3, 0)
    effects = {
        key: entry["effects"] for key, entry in arm_sandbox.ledger()["customers"].items() if key.startswith("81")
    }
    assert effects == {customer["customerNo"]: 1 for customer in CUSTOMERS}
    posts = [call["path"] for call in arm_sandbox.requests(method="POST") if call["path"].endswith("/batches")]
    assert len(posts) == 1


def test_deadline_is_unchanged_after_restarts(arm_sandbox, client, monkeypatch):
    """The wait ends at the deadline that was set at its start, however often the triggerer restarts."""
    arm_sandbox.behave(batch_delay=10**6)
    trigger = build_trigger([submit(client)], timeout=3600.0, poll_interval=30.0)
    clock = AutoClock(arm_sandbox, monkeypatch)
    for seconds in (1000, 2000, 3000):
        clock.schedule(seconds, lambda: tasks[-1].cancel())  # noqa: PLW0108 - the last task at that time
    tasks: list[asyncio.Task[Any]] = []
    events = None

    async def triggerer():
        tasks.append(asyncio.current_task())
        return await events_of(trigger)

    while events is None:
        try:
            events = asyncio.run(triggerer())
        except asyncio.CancelledError:
            continue
    assert [event["status"] for event in events] == ["timeout"]
    assert len(tasks) == 4
    assert clock.elapsed == pytest.approx(3600, abs=1)  # one second of tolerance for the start of the test


@contextmanager
def status_server():
    """Start the benchmark's server as another process; a batchUuid ends with the unix second of the batch's end."""
    with subprocess.Popen([sys.executable, str(BENCHMARK), "--serve"], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


@contextmanager
def slow_callbacks(monkeypatch, limit=0.05):
    """Collect the callbacks of event loops that take longer than *limit*, as asyncio's own check does."""
    slow, run = [], asyncio.events.Handle._run

    def timed(handle):
        started = time.perf_counter()
        run(handle)
        if time.perf_counter() - started > limit:
            slow.append(repr(handle))

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.events.Handle, "_run", timed)
        # Garbage collection of what pytest has loaded is not the triggers' doing.
        gc.collect()
        gc.freeze()
        try:
            yield slow
        finally:
            gc.unfreeze()


def test_slow_callbacks_detects_a_blocking_callback(monkeypatch):
    """The helper of the next test detects a coroutine that blocks for longer than the limit."""

    async def block():
        time.sleep(0.06)  # noqa: ASYNC251 - on purpose

    with slow_callbacks(monkeypatch) as slow:
        asyncio.run(block())
    assert slow


@pytest.mark.timed
def test_five_hundred_triggers_do_not_block_the_event_loop(monkeypatch):
    """No callback of 500 triggers takes 50 ms, with imports, certificates, token, polls and events.

    The machine may be busy otherwise, so one of five runs must be without slow callbacks.
    """
    runs = []
    for _ in range(5):
        with status_server() as url:
            extra = {"auth_url": f"{url}/token", "client_no": 2218}
            connection = {"conn_type": "arm", "host": url, "login": "id", "password": "secret", "extra": extra}
            monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(connection))
            end = time.time() + 1.5

            async def run_all(end=end):
                triggers = [build_trigger([f"{number}-{end:.3f}"], poll_interval=1.0) for number in range(500)]
                return await asyncio.gather(*(events_of(trigger) for trigger in triggers))

            with slow_callbacks(monkeypatch) as slow:
                events = asyncio.run(run_all())
        assert events == [[{"status": "finished"}]] * 500
        runs.append(slow)
        if not slow:
            return
    pytest.fail(f"each run had slow callbacks, such as {[slow[:2] for slow in runs]}")


def test_sensor_defers_again_when_arm_is_down_on_resume(arm_sandbox, client, first_try, monkeypatch):
    """A 503 in the poll after the event does not end the wait; the deadline is unchanged."""
    uuid = submit(client)
    monkeypatch.setattr("airflow_provider_arm.client.http.retry.MAX_ATTEMPTS", 1)
    monkeypatch.setattr(SystemClock, "sleep", lambda *_: None)
    arm_sandbox.fault({"match": {"path": "*/batches/*"}, "do": "status", "times": 0})
    sensor = BatchSensor(task_id="w", batch_uuid=uuid, deferrable=True, poke_interval=0.01, timeout=5)
    deadline = time.time() + 3
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute_complete(first_try, {"status": "finished"}, deadline=deadline)
    assert deferred.value.trigger.deadline == deadline
    assert deferred.value.kwargs == {"deadline": deadline}
    arm_sandbox.clear_faults()
    assert asyncio.run(events_of(deferred.value.trigger)) == [{"status": "finished"}]


@pytest.mark.parametrize("policy", [{}, {"on_rejected": "warn"}, {"max_rejected": "100%"}])
def test_sensor_defers_again_when_the_batch_is_still_pending(arm_sandbox, client, first_try, policy):
    """An event ``finished`` is not enough: the state in the poll afterwards decides, whatever the reject policy."""
    arm_sandbox.behave(batch_delay=3600)
    sensor = BatchSensor(task_id="w", batch_uuid=submit(client), deferrable=True, timeout=5, **policy)
    with pytest.raises(TaskDeferred):
        sensor.execute_complete(first_try, {"status": "finished"})


def test_max_wait_limits_the_poll_interval_of_a_deferred_sensor(arm_sandbox, client, first_try):
    """``max_wait`` is the maximum poll interval of a deferred sensor; its default is the trigger's."""
    arm_sandbox.behave(batch_delay=3600)
    uuid = submit(client)
    for arguments, maximum in (({}, None), ({"max_wait": 90}, 90.0)):
        with pytest.raises(TaskDeferred) as deferred:
            BatchSensor(task_id="w", batch_uuid=uuid, deferrable=True, timeout=5, **arguments).execute(first_try)
        assert deferred.value.trigger.max_poll_interval == maximum


def test_sensor_raises_sensor_timeout_on_a_timeout_event(client, first_try):
    """A timeout event raises Airflow's own sensor timeout, which is not retried."""
    event = {"status": "timeout", "message": "1 of 1 batches were not finished in time"}
    with pytest.raises(AirflowSensorTimeout, match="not finished in time"):
        BatchSensor(task_id="w", batch_uuid="u", deferrable=True).execute_complete(first_try, event)
