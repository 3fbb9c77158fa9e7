"""Tests of ``BatchFinishedEventTrigger``: a receipt is reported once, and removed after its event is stored."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.submission.batch_receipts import write_receipt
from airflow_provider_arm.triggers.batch_finished import BatchFinishedEventTrigger
from airflow_provider_arm.triggers.event_stream import CAN_SHARE
from airflow_provider_arm.triggers.polling.finished_batches_poller import UNDECIDED_POLLS
from tests.unit.airflow.fake_triggerer import FakeTriggerer, SteppedClock

OVER_AN_INTERVAL = 61.0
UNKNOWN_BATCH = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def clock(arm_sandbox, arm_connection, monkeypatch):
    """Return the clock of trigger and sandbox."""
    return SteppedClock(arm_sandbox, monkeypatch)


@pytest.fixture(params=["shared", "alone"])
def stream_mode(request, monkeypatch):
    """Run the test on a shared stream if this Airflow has them, and as on an Airflow without them."""
    if request.param == "alone":
        for module in ("airflow_provider_arm.triggers.event_stream", "tests.unit.airflow.fake_triggerer"):
            monkeypatch.setattr(f"{module}.CAN_SHARE", False)
    elif not CAN_SHARE:
        pytest.skip("this Airflow has no shared streams")
    return request.param


def submit(*names):
    """Submit a batch of customers with these names; return its batchUuid."""
    customers = [{"customerNo": str(81000 + position), "name": name} for position, name in enumerate(names)]
    return ArmHook().client.submit_batch("create_customer_batch", customers).batch_uuid


def submit_partly_rejected():
    """Submit a batch of two records, of which ARM rejects one; return its batchUuid."""
    customers = [
        {"customerNo": "81000", "name": "A"},
        {"customerNo": "81001", "name": "B", "organizationNo": "312345678"},
    ]
    return ArmHook().client.submit_batch("create_customer_batch", customers).batch_uuid


def run(scenario):
    """Run a coroutine on a new event loop, for at most 60 seconds."""
    asyncio.run(asyncio.wait_for(scenario, 60))


def test_receipt_is_reported_once_when_its_last_batch_is_finished(arm_sandbox, clock, tmp_path, stream_mode):
    """No event is sent while a batch is pending; then one with counts is sent, and the receipt is removed."""
    arm_sandbox.behave(batch_delay=600)

    async def scenario():
        triggerer = FakeTriggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.advance(OVER_AN_INTERVAL)
        uuids = [submit("A", "B", "C"), submit_partly_rejected()]
        write_receipt(tmp_path, {"batch_uuids": uuids, "submitted": 5})
        await clock.advance(500)
        assert triggerer.all_payloads == []
        await clock.advance(200 + 3 * OVER_AN_INTERVAL)
        await triggerer.stop()
        outcomes = {"succeeded": 1, "partial": 1, "refused": 0, "unknown": 0}
        assert triggerer.all_payloads == [{"batch_uuids": uuids, "submitted": 5, "rejected": 1, **outcomes}]
        assert list(tmp_path.iterdir()) == []

    run(scenario())


def test_receipts_are_reported_separately(arm_sandbox, clock, tmp_path, stream_mode):
    """Receipts do not wait for each other, and several that are finished at the same time are several events."""
    arm_sandbox.behave(batch_delay=600)

    async def scenario():
        triggerer = FakeTriggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        early = [submit("A"), submit("B")]
        for uuid in early:
            write_receipt(tmp_path, uuid)
        await clock.advance(550)
        write_receipt(tmp_path, submit("C"))
        await clock.advance(3 * OVER_AN_INTERVAL)
        assert sorted(payload["batch_uuids"][0] for payload in triggerer.all_payloads) == sorted(early)
        await clock.advance(600)
        await triggerer.stop()
        assert len(triggerer.all_payloads) == 3

    run(scenario())


@pytest.mark.skipif(not CAN_SHARE, reason="this Airflow does not confirm that an event is stored")
def test_receipt_remains_when_its_event_is_not_stored(arm_sandbox, clock, tmp_path):
    """If the triggerer is killed before the event is stored, the next one sends the event and removes the receipt."""

    async def scenario():
        write_receipt(tmp_path, submit("A"))
        first, second = FakeTriggerer(clock), FakeTriggerer(clock)
        first.loses_events = True
        await first.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.advance(3 * OVER_AN_INTERVAL)
        await first.stop()
        assert len(list(tmp_path.iterdir())) == 1
        await second.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.advance(3 * OVER_AN_INTERVAL)
        await second.stop()
        assert [payload["succeeded"] for payload in second.all_payloads] == [1]
        assert list(tmp_path.iterdir()) == []

    run(scenario())


@pytest.mark.parametrize("outage", ["status", "reset", "html"])
def test_receipt_is_reported_after_an_outage(arm_sandbox, clock, tmp_path, outage, stream_mode):
    """If ARM is down for ten minutes, the receipt is reported afterwards, once."""

    async def scenario():
        uuid = submit("A")
        write_receipt(tmp_path, uuid)
        fault = {"match": {"path": "*/batches/*"}, "do": outage, "times": 0}
        arm_sandbox.fault(fault | ({"status": 503} if outage == "status" else {}))
        triggerer = FakeTriggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.advance(600)
        assert triggerer.all_payloads == []
        arm_sandbox.clear_faults()
        await clock.advance(3 * OVER_AN_INTERVAL)
        await triggerer.stop()
        assert [payload["batch_uuids"] for payload in triggerer.all_payloads] == [[uuid]]

    run(scenario())


def test_batch_that_arm_does_not_find_is_reported_as_unknown(arm_sandbox, clock, tmp_path, stream_mode):
    """A wrong batchUuid is reported after several polls, and does not delay another receipt."""

    async def scenario():
        write_receipt(tmp_path, [UNKNOWN_BATCH])
        write_receipt(tmp_path, submit("A"))
        triggerer = FakeTriggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.advance((UNDECIDED_POLLS - 3) * 54)
        assert [payload["unknown"] for payload in triggerer.all_payloads] == [0]
        await clock.advance(6 * OVER_AN_INTERVAL)
        await triggerer.stop()
        last = triggerer.all_payloads[1:]
        assert [(payload["batch_uuids"], payload["unknown"]) for payload in last] == [([UNKNOWN_BATCH], 1)]
        assert (last[0]["submitted"], last[0]["rejected"]) == (None, None)

    run(scenario())


def test_invalid_receipt_file_does_not_block_others(arm_sandbox, clock, tmp_path, stream_mode, caplog):
    """A file that is not a receipt is logged once and left in the folder; a deleted receipt is no longer polled."""
    arm_sandbox.behave(batch_delay=600)

    async def scenario():
        (tmp_path / "notes.json").write_text("canary", encoding="utf-8")
        uuid = submit("A")
        write_receipt(tmp_path, uuid)
        deleted = write_receipt(tmp_path, submit("B"))
        triggerer = FakeTriggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.advance(4 * OVER_AN_INTERVAL)
        (tmp_path / deleted).unlink()
        await clock.advance(800)
        await triggerer.stop()
        assert [payload["batch_uuids"] for payload in triggerer.all_payloads] == [[uuid]]
        assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]

    run(scenario())
    assert caplog.text.count("notes.json is not a batch receipt") == 1
    assert "canary" not in caplog.text


def test_arguments_survive_serialization_and_relative_folder_raises():
    """A trigger created from the serialized arguments is equal; a relative folder raises."""
    trigger = BatchFinishedEventTrigger(receipts_path="s3://b/receipts", client_no=5, poll_interval=9)
    path, arguments = trigger.serialize()
    deserialized = BatchFinishedEventTrigger(**json.loads(json.dumps(arguments)))
    assert deserialized.serialize() == (path, arguments)
    assert path == "airflow_provider_arm.triggers.batch_finished.BatchFinishedEventTrigger"
    with pytest.raises(ValueError, match="absolute"):
        BatchFinishedEventTrigger(receipts_path="receipts")


def test_batch_that_counts_other_records_than_were_sent_is_unknown(arm_sandbox, clock, tmp_path, stream_mode):
    """It is neither a success nor a reason to wait for ever, and the other batch is counted as it ended."""

    async def scenario():
        triggerer = FakeTriggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        uuids = [submit("A", "B"), submit("C")]
        write_receipt(tmp_path, {"batch_uuids": uuids, "batch_records": {uuids[0]: 3, uuids[1]: 1}})
        await clock.advance((UNDECIDED_POLLS + 3) * OVER_AN_INTERVAL)
        await triggerer.stop()
        outcomes = {"succeeded": 1, "partial": 0, "refused": 0, "unknown": 1}
        assert triggerer.all_payloads == [{"batch_uuids": uuids, "submitted": 1, "rejected": 0, **outcomes}]

    run(scenario())
