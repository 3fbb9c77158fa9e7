"""``BatchTrigger``: one event whatever happens, nothing lost by a restart, nothing shown."""

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
UNKNOWN = "00000000-0000-4000-8000-000000000000"
PEOPLE = [
    {"customerNo": str(81000 + n), "name": "Canary Person", "emailAddressDocument": ["canary@example.com"]}
    for n in range(3)
]


@pytest.fixture
def client(arm_sandbox, arm_connection):
    """Give a client for the sandbox."""
    return ArmHook(arm_connection).client


def submit(client, *records):
    """Submit a batch; gives its uuid."""
    return client.submit_batch("create_customer_batch", records or PEOPLE).batch_uuid


def make(uuids, timeout=30.0, **arguments):
    """Make a trigger that looks often."""
    now = time.time()
    usual = {"arm_conn_id": "arm_default", "client_no": None, "poll_interval": 0.01, "started": now}
    return BatchTrigger(batch_uuids=uuids, deadline=now + timeout, **(usual | arguments))


async def events_of(trigger):
    """Run a trigger as the triggerer does, made anew from what it serializes to; gives the payloads as stored."""
    _, arguments = trigger.serialize()
    again = BatchTrigger(**json.loads(json.dumps(arguments)))
    return [json.loads(json.dumps(event.payload)) async for event in again.run()]


def broken(*_, **__):
    """Fail as a fault of ours would, quoting what it was given."""
    raise KeyError(PEOPLE[0]["name"])


def finishes(box, uuid, monkeypatch):
    """The batch is finished."""
    return make([uuid])


def is_refused(box, uuid, monkeypatch):
    """ARM does not know the batch."""
    return make([UNKNOWN])


def times_out(box, uuid, monkeypatch):
    """The deadline has passed and the batch is in work."""
    box.behave(batch_delay=3600)
    pending = ArmHook().client.submit_batch("create_customer_batch", PEOPLE).batch_uuid
    return make([pending], timeout=-1)


def has_no_connection(box, uuid, monkeypatch):
    """Airflow has no connection of that name."""
    return make([uuid], arm_conn_id="not_there")


def has_a_wrong_secret(box, uuid, monkeypatch):
    """The token service refuses the credentials."""
    connection = json.dumps(box.connection() | {"password": "canary-secret"})
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", connection)
    return make([uuid])


def meets_a_fault_in_a_look(box, uuid, monkeypatch):
    """Our own code breaks after an answer."""
    monkeypatch.setattr(BatchWait, "record_poll", broken)
    return make([uuid])


def meets_a_fault_at_its_start(box, uuid, monkeypatch):
    """Our own code breaks before the first look."""
    monkeypatch.setattr(BatchWait, "__post_init__", broken)
    return make([uuid])


PATHS = [
    (finishes, "finished", None),
    (is_refused, "failed", True),
    (times_out, "timeout", None),
    (has_no_connection, "failed", True),
    (has_a_wrong_secret, "failed", True),
    (meets_a_fault_in_a_look, "failed", False),
    (meets_a_fault_at_its_start, "failed", False),
]


@pytest.mark.parametrize(("path", "status", "permanent"), PATHS, ids=[path[0].__name__ for path in PATHS])
def test_every_path_ends_with_one_event_that_shows_nothing(
    arm_sandbox, client, monkeypatch, caplog, path, status, permanent
):
    """Exactly one event, small, with no secret and no person in it, in the stored arguments or in the log."""
    caplog.set_level(logging.DEBUG)
    trigger = path(arm_sandbox, submit(client), monkeypatch)
    monkeypatch.setattr("airflow_provider_arm.client.http.auth.REJECTION_COOLDOWN", 0.0)
    (event,) = asyncio.run(events_of(trigger))
    assert (event["status"], event.get("permanent")) == (status, permanent)
    shown = json.dumps(trigger.serialize()) + json.dumps(event) + caplog.text
    assert len(json.dumps(event)) < 1000
    for canary in ("canary", arm_sandbox.client_secret, arm_sandbox.client_id, "Bearer ey", 'access_token":'):
        assert canary.lower() not in shown.lower()


def test_a_batch_that_is_finished_at_the_deadline_is_no_timeout(client):
    """A triggerer that comes back after the deadline looks once before it says that the time is up."""
    assert asyncio.run(events_of(make([submit(client)], timeout=0.0))) == [{"status": "finished"}]


def test_a_cancelled_wait_sends_nothing_and_leaves_nothing(client, arm_sandbox):
    """No event, no task, no client: Airflow cancels triggers when it moves them to another triggerer."""
    arm_sandbox.behave(batch_delay=3600)
    uuid, events = submit(client), []

    async def run():
        task = asyncio.create_task(events_of(make([uuid])))
        while not any(uuid in call["path"] for call in arm_sandbox.requests()):  # noqa: ASYNC110 - it is a thread's
            await asyncio.sleep(0.01)
        task.cancel()
        events.append(await asyncio.gather(task, return_exceptions=True))
        (kept,) = shared._clients[asyncio.get_running_loop()].values()
        return kept.client

    client_of_loop = asyncio.run(run())
    assert isinstance(events[0][0], asyncio.CancelledError)
    assert client_of_loop._http is None  # closed with its loop, although it would have lingered


def test_a_connection_that_cannot_be_read_for_a_while_ends_no_wait(client, monkeypatch):
    """A secrets backend that is away when the triggerer starts is asked again."""
    uuid, tries, read = submit(client), [], ArmHook.aread_settings

    async def stumbling(hook):
        tries.append(1)
        if len(tries) < 4:
            raise ConnectionError("canary")
        return await read(hook)

    monkeypatch.setattr(ArmHook, "aread_settings", stumbling)
    assert asyncio.run(events_of(make([uuid]))) == [{"status": "finished"}]
    assert len(tries) == 4


def test_a_secret_that_changes_in_a_long_wait_ends_it_not(arm_sandbox, client, monkeypatch):
    """When ARM refuses the credentials, the connection is read again, and the wait goes on with what it has now."""
    uuid, read, good = submit(client), ArmHook.aread_settings, arm_sandbox.connection()
    old = good | {"extra": json.loads(good["extra"]) if isinstance(good["extra"], str) else dict(good["extra"])}
    old["extra"] = old["extra"] | {"access_token": "an-old-token"}
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(old))

    async def then_changed(hook):
        settings = await read(hook)
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(good))
        return settings

    monkeypatch.setattr(ArmHook, "aread_settings", then_changed)
    assert asyncio.run(events_of(make([uuid]))) == [{"status": "finished"}]


def test_a_kill_is_told_and_changes_nothing_at_arm(arm_sandbox, client, caplog):
    """Airflow's kill of the waiting task makes no call: ARM cannot cancel a batch, and the log says so."""
    uuid = submit(client)
    before = len(arm_sandbox.requests())
    asyncio.run(make([uuid]).on_kill())
    assert "cannot cancel" in caplog.text
    assert uuid in caplog.text
    assert len(arm_sandbox.requests()) == before


def test_records_are_not_kept_in_the_triggerer(client, arm_sandbox, monkeypatch):
    """Of a finished batch the waiting process keeps the state only, however many records it has."""
    kept, record_poll = [], BatchWait.record_poll

    def note(wait, uuid, seen, now):
        kept.append(seen)
        return record_poll(wait, uuid, seen, now)

    monkeypatch.setattr(BatchWait, "record_poll", note)
    asyncio.run(events_of(make([submit(client), submit(client)])))
    assert [(len(status.records), status.total) for status in kept] == [(0, 3)] * 2


def test_a_wait_for_many_batches_does_not_crowd_out_the_others(client, monkeypatch):
    """Of one wait's batches eight are looked at in the same moment, and each is looked at."""
    from airflow_provider_arm.client.async_client import AsyncArmClient
    from airflow_provider_arm.triggers.polling.batch_poller import MAX_CONCURRENT_POLLS

    under_way, most, get = [], [], AsyncArmClient.get_batch

    async def counted(client, uuid, **arguments):
        under_way.append(uuid)
        most.append(len(under_way))
        try:
            return await get(client, uuid, **arguments)
        finally:
            under_way.remove(uuid)

    monkeypatch.setattr(AsyncArmClient, "get_batch", counted)
    uuids = [submit(client, PEOPLE[0]) for _ in range(3 * MAX_CONCURRENT_POLLS)]
    assert asyncio.run(events_of(make(uuids))) == [{"status": "finished"}]
    assert (max(most), len(most)) == (MAX_CONCURRENT_POLLS, len(uuids))


class MovedClock:
    """The time of this process and of the sandbox in one hand: it moves when everybody waits."""

    def __init__(self, box, monkeypatch):
        self.box, self.moved, self.plans = box, 0.0, []
        begun = time.time()
        monkeypatch.setattr(SystemClock, "monotonic", lambda _: self.moved)
        monkeypatch.setattr(SystemClock, "time", lambda _: begun + self.moved)

        async def asleep(_, seconds):
            await asyncio.sleep(0.002)
            self.move(seconds)

        monkeypatch.setattr(SystemClock, "asleep", asleep)

    def at(self, seconds, action):
        """Do *action* when so many seconds have passed."""
        self.plans.append((seconds, action))
        self.plans.sort(key=lambda plan: plan[0])

    def move(self, seconds):
        """Let time pass, and what was planned happen."""
        self.moved += seconds
        self.box.advance(seconds)
        while self.plans and self.plans[0][0] <= self.moved:
            self.plans.pop(0)[1]()


@pytest.mark.parametrize("outage", ["status", "reset", "html"])
def test_an_outage_and_two_restarts_lose_no_wait(arm_sandbox, arm_connection, make_context, store, monkeypatch, outage):
    """A two-hour batch, ARM away for 15 minutes of it, the triggerer restarted twice: success, and sent once."""
    arm_sandbox.behave(batch_delay=7200)
    clock = MovedClock(arm_sandbox, monkeypatch)
    begun = time.time()
    monkeypatch.setattr("airflow_provider_arm.operators.batch.time.time", lambda: begun + clock.moved)

    def operator():
        arguments = {"wait_for_completion": True, "deferrable": True, "timeout": 3 * 3600, "poll_interval": 30}
        return BatchSubmitOperator(task_id="s", resource="customers", records=PEOPLE, **arguments)

    with pytest.raises(TaskDeferred) as deferred:
        operator().execute(make_context(store))
    restarts, loops = [], []
    down = {"match": {"method": "GET", "path": "*/batches/*"}, "do": outage, "times": 0}
    clock.at(2400, lambda: arm_sandbox.fault(down | ({"status": 503} if outage == "status" else {})))
    clock.at(2400 + 900, arm_sandbox.clear_faults)
    for moment in (1800, 2700):
        clock.at(moment, lambda: loops[-1].cancel())  # noqa: PLW0108 - the last one by then

    async def triggerer():
        loops.append(asyncio.current_task())
        return await events_of(deferred.value.trigger)

    while True:
        try:
            events = asyncio.run(triggerer())
            break
        except asyncio.CancelledError:
            restarts.append(clock.moved)
    assert events == [{"status": "finished"}]
    assert len(restarts) == 2
    assert clock.moved < 7200 * 1.06  # noticed within a twentieth of its age
    result = operator().execute_complete(make_context(store), events[0], **deferred.value.kwargs)
    assert (result["accepted"], result["rejected"]) == (3, 0)
    effects = {
        key: entry["effects"] for key, entry in arm_sandbox.ledger()["customers"].items() if key.startswith("81")
    }
    assert effects == {person["customerNo"]: 1 for person in PEOPLE}
    posts = [call["path"] for call in arm_sandbox.requests(method="POST") if call["path"].endswith("/batches")]
    assert len(posts) == 1


def test_the_deadline_is_the_same_after_a_restart(arm_sandbox, client, monkeypatch):
    """However often the triggerer restarts, the wait ends at the moment that was set at its start."""
    arm_sandbox.behave(batch_delay=10**6)
    trigger = make([submit(client)], timeout=3600.0, poll_interval=30.0)
    clock = MovedClock(arm_sandbox, monkeypatch)
    for moment in (1000, 2000, 3000):
        clock.at(moment, lambda: tasks[-1].cancel())  # noqa: PLW0108 - the last one by then
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
    assert clock.moved == pytest.approx(3600, abs=1)  # the second is what the test itself took to begin


@contextmanager
def status_server():
    """Start the benchmark's server, another process: a batch's name ends with the unix second of its end."""
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
        begun = time.perf_counter()
        run(handle)
        if time.perf_counter() - begun > limit:
            slow.append(repr(handle))

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.events.Handle, "_run", timed)
        # The collector's visits to all that pytest has loaded are not ours.
        gc.collect()
        gc.freeze()
        try:
            yield slow
        finally:
            gc.unfreeze()


def test_a_callback_that_blocks_is_seen(monkeypatch):
    """The check below can fail: a coroutine that blocks for longer than the limit is caught."""

    async def block():
        time.sleep(0.06)  # noqa: ASYNC251 - on purpose

    with slow_callbacks(monkeypatch) as slow:
        asyncio.run(block())
    assert slow


@pytest.mark.timed
def test_five_hundred_triggers_block_the_loop_nowhere(monkeypatch):
    """Loading, certificates, token, looks and events of 500 triggers: no callback takes 50 ms.

    The machine may be busy with something else, so one of five runs must be clean; what blocks, blocks in each.
    """
    runs = []
    for _ in range(5):
        with status_server() as url:
            extra = {"auth_url": f"{url}/token", "client_no": 2218}
            connection = {"conn_type": "arm", "host": url, "login": "id", "password": "secret", "extra": extra}
            monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(connection))
            end = time.time() + 1.5

            async def all_of_them(end=end):
                triggers = [make([f"{number}-{end:.3f}"], poll_interval=1.0) for number in range(500)]
                return await asyncio.gather(*(events_of(trigger) for trigger in triggers))

            with slow_callbacks(monkeypatch) as slow:
                events = asyncio.run(all_of_them())
        assert events == [[{"status": "finished"}]] * 500
        runs.append(slow)
        if not slow:
            return
    pytest.fail(f"slow callbacks in each run, such as {[slow[:2] for slow in runs]}")


def test_an_outage_at_the_moment_of_resuming_defers_again(arm_sandbox, client, first_try, monkeypatch):
    """A 503 at the one look after the event ends no wait of hours; the deadline stays what it was."""
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
def test_a_batch_that_is_pending_again_is_never_green(arm_sandbox, client, first_try, policy):
    """An event that says finished is no proof: the state at the look afterwards decides, whatever the policy."""
    arm_sandbox.behave(batch_delay=3600)
    sensor = BatchSensor(task_id="w", batch_uuid=submit(client), deferrable=True, timeout=5, **policy)
    with pytest.raises(TaskDeferred):
        sensor.execute_complete(first_try, {"status": "finished"})


def test_a_sensors_longest_pause_is_airflows_own_argument(arm_sandbox, client, first_try):
    """``max_wait`` bounds the pauses of a deferred sensor; without it the trigger's own default does."""
    arm_sandbox.behave(batch_delay=3600)
    uuid = submit(client)
    for arguments, ceiling in (({}, None), ({"max_wait": 90}, 90.0)):
        with pytest.raises(TaskDeferred) as deferred:
            BatchSensor(task_id="w", batch_uuid=uuid, deferrable=True, timeout=5, **arguments).execute(first_try)
        assert deferred.value.trigger.max_poll_interval == ceiling


def test_a_sensor_whose_time_is_up_says_so(client, first_try):
    """The trigger's timeout is Airflow's own sensor timeout, which no retry follows."""
    event = {"status": "timeout", "message": "1 of 1 batches were not finished in time"}
    with pytest.raises(AirflowSensorTimeout, match="not finished in time"):
        BatchSensor(task_id="w", batch_uuid="u", deferrable=True).execute_complete(first_try, event)
