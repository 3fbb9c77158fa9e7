"""``BatchFinishedEventTrigger``: a receipt is told once its batches are finished, and stands until Airflow knows."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.submission.batch_receipts import write_receipt
from airflow_provider_arm.triggers.batch_finished import BatchFinishedEventTrigger
from airflow_provider_arm.triggers.event_stream import CAN_SHARE
from airflow_provider_arm.triggers.polling.finished_batches_poller import NOT_FOUND_POLLS
from tests.unit.airflow.watching import StoppedClock, Triggerer

ROUND = 61.0
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def clock(arm_sandbox, arm_connection, monkeypatch):
    """Give the time of watcher and sandbox."""
    return StoppedClock(arm_sandbox, monkeypatch)


@pytest.fixture(params=["shared", "alone"])
def way(request, monkeypatch):
    """Run on a shared stream where there is one, and as on an Airflow that has none."""
    if request.param == "alone":
        for module in ("airflow_provider_arm.triggers.event_stream", "tests.unit.airflow.watching"):
            monkeypatch.setattr(f"{module}.CAN_SHARE", False)
    elif not CAN_SHARE:
        pytest.skip("this Airflow has no shared streams")
    return request.param


def submit(*names):
    """Submit a batch of customers; a number for a name is refused by ARM."""
    people = [{"customerNo": str(81000 + place), "name": name} for place, name in enumerate(names)]
    return ArmHook().client.submit_batch("create_customer_batch", people).batch_uuid


def refused():
    """Submit a batch of which ARM refuses one record of two."""
    people = [{"customerNo": "81000", "name": "A"}, {"customerNo": "81001", "name": "B", "organizationNo": "312345678"}]
    return ArmHook().client.submit_batch("create_customer_batch", people).batch_uuid


def run(story):
    """Run a story on an event loop."""
    asyncio.run(asyncio.wait_for(story, 60))


def test_a_receipt_is_told_once_when_its_last_batch_is_finished(arm_sandbox, clock, tmp_path, way):
    """No event while a batch is in work; then one with counts, and the receipt is removed."""
    arm_sandbox.behave(batch_delay=600)

    async def story():
        triggerer = Triggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.pass_by(ROUND)
        uuids = [submit("A", "B", "C"), refused()]
        write_receipt(tmp_path, {"batch_uuids": uuids, "submitted": 5})
        await clock.pass_by(500)
        assert triggerer.all_payloads == []
        await clock.pass_by(200 + 3 * ROUND)
        await triggerer.stop()
        ended = {"succeeded": 1, "partial": 1, "refused": 0, "unknown": 0}
        assert triggerer.all_payloads == [{"batch_uuids": uuids, "submitted": 5, "rejected": 1, **ended}]
        assert list(tmp_path.iterdir()) == []

    run(story())


def test_each_receipt_is_told_by_itself(arm_sandbox, clock, tmp_path, way):
    """Receipts of one folder do not wait for each other, and several that are done at once are several events."""
    arm_sandbox.behave(batch_delay=600)

    async def story():
        triggerer = Triggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        early = [submit("A"), submit("B")]
        for uuid in early:
            write_receipt(tmp_path, uuid)
        await clock.pass_by(550)
        write_receipt(tmp_path, submit("C"))
        await clock.pass_by(3 * ROUND)
        assert sorted(payload["batch_uuids"][0] for payload in triggerer.all_payloads) == sorted(early)
        await clock.pass_by(600)
        await triggerer.stop()
        assert len(triggerer.all_payloads) == 3

    run(story())


@pytest.mark.skipif(not CAN_SHARE, reason="this Airflow does not say when an event is stored")
def test_an_event_that_airflow_did_not_store_leaves_the_receipt(arm_sandbox, clock, tmp_path):
    """A triggerer that dies before its event is stored leaves the receipt; the next one sends it and removes it."""

    async def story():
        write_receipt(tmp_path, submit("A"))
        first, second = Triggerer(clock), Triggerer(clock)
        first.stores_no_event = True
        await first.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.pass_by(3 * ROUND)
        await first.stop()
        assert len(list(tmp_path.iterdir())) == 1
        await second.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.pass_by(3 * ROUND)
        await second.stop()
        assert [payload["succeeded"] for payload in second.all_payloads] == [1]
        assert list(tmp_path.iterdir()) == []

    run(story())


@pytest.mark.parametrize("outage", ["status", "reset", "html"])
def test_an_outage_ends_nothing(arm_sandbox, clock, tmp_path, outage, way):
    """ARM is away for ten minutes: the receipt is told afterwards, once."""

    async def story():
        uuid = submit("A")
        write_receipt(tmp_path, uuid)
        down = {"match": {"path": "*/batches/*"}, "do": outage, "times": 0}
        arm_sandbox.fault(down | ({"status": 503} if outage == "status" else {}))
        triggerer = Triggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.pass_by(600)
        assert triggerer.all_payloads == []
        arm_sandbox.clear_faults()
        await clock.pass_by(3 * ROUND)
        await triggerer.stop()
        assert [payload["batch_uuids"] for payload in triggerer.all_payloads] == [[uuid]]

    run(story())


def test_a_batch_that_arm_does_not_know_is_told_as_unknown(arm_sandbox, clock, tmp_path, way):
    """A wrong batchUuid is believed only after several looks, then told, and holds up no other receipt."""

    async def story():
        write_receipt(tmp_path, [UNKNOWN])
        write_receipt(tmp_path, submit("A"))
        triggerer = Triggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.pass_by((NOT_FOUND_POLLS - 3) * 54)
        assert [payload["unknown"] for payload in triggerer.all_payloads] == [0]
        await clock.pass_by(6 * ROUND)
        await triggerer.stop()
        last = triggerer.all_payloads[1:]
        assert [(payload["batch_uuids"], payload["unknown"]) for payload in last] == [([UNKNOWN], 1)]
        assert (last[0]["submitted"], last[0]["rejected"]) == (None, None)

    run(story())


def test_a_file_that_is_no_receipt_holds_up_nothing(arm_sandbox, clock, tmp_path, way, caplog):
    """What is no receipt is named in the log once and stays; a receipt that somebody takes away is forgotten."""
    arm_sandbox.behave(batch_delay=600)

    async def story():
        (tmp_path / "notes.json").write_text("canary", encoding="utf-8")
        uuid = submit("A")
        write_receipt(tmp_path, uuid)
        taken = write_receipt(tmp_path, submit("B"))
        triggerer = Triggerer(clock)
        await triggerer.start(BatchFinishedEventTrigger(receipts_path=str(tmp_path)))
        await clock.pass_by(4 * ROUND)
        (tmp_path / taken).unlink()
        await clock.pass_by(800)
        await triggerer.stop()
        assert [payload["batch_uuids"] for payload in triggerer.all_payloads] == [[uuid]]
        assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]

    run(story())
    assert caplog.text.count("notes.json is not a batch receipt") == 1
    assert "canary" not in caplog.text


def test_the_arguments_are_plain_and_checked():
    """The trigger is made anew from its arguments; a folder that each process would find elsewhere is refused."""
    trigger = BatchFinishedEventTrigger(receipts_path="s3://b/receipts", client_no=5, poll_interval=9)
    path, arguments = trigger.serialize()
    again = BatchFinishedEventTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert path == "airflow_provider_arm.triggers.batch_finished.BatchFinishedEventTrigger"
    with pytest.raises(ValueError, match="absolute"):
        BatchFinishedEventTrigger(receipts_path="receipts")
