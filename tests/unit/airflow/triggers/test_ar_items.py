"""Tests of ``NewArItemsEventTrigger``: every new item is reported once, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger
from airflow_provider_arm.triggers.event_stream import CAN_SHARE
from airflow_provider_arm.triggers.polling import item_pages
from tests.unit.airflow.fake_triggerer import FakeAssetStore, FakeTriggerer, SteppedClock
from tests.unit.airflow.invoices import documents

INTERVAL = 300.0
#: Seconds in which at least one poll is certain: the poll interval and one more.
OVER_AN_INTERVAL = INTERVAL + 1
only_shared = pytest.mark.skipif(not CAN_SHARE, reason="this Airflow has no shared streams")


@pytest.fixture
def clock(arm_sandbox, arm_connection, monkeypatch):
    """Return the clock of trigger and sandbox."""
    return SteppedClock(arm_sandbox, monkeypatch)


class InvoiceFactory:
    """Creates invoices at the sandbox; each becomes an AR item of 125.00."""

    def __init__(self):
        self.created = 0

    def create(self, count, currency="NOK"):
        new = [{**document, "currency": currency} for document in documents(count, 70001 + self.created)]
        self.created += count
        client = ArmHook().client
        # The poll lets the sandbox process the batch now.
        client.get_batch(client.submit_batch("create_document_batch", new).batch_uuid)


def count_list_requests(sandbox):
    """Return the number of requests for the list."""
    return len([call for call in sandbox.requests() if call["path"].endswith("/aritems")])


def counts(payloads):
    """Return the number of items in each event."""
    return [payload["count"] for payload in payloads]


def run(scenario):
    """Run a coroutine on a new event loop, for at most 60 seconds."""
    asyncio.run(asyncio.wait_for(scenario, 60))


def test_no_event_without_new_items(arm_sandbox, clock):
    """Items from before the first poll send no event."""

    async def scenario():
        triggerer = FakeTriggerer(clock, stores=[FakeAssetStore()])
        await triggerer.start(NewArItemsEventTrigger())
        await clock.advance(5 * OVER_AN_INTERVAL)
        await triggerer.stop()
        assert triggerer.all_payloads == []
        assert count_list_requests(arm_sandbox) >= 5

    run(scenario())


@pytest.fixture(params=["shared", "alone"])
def stream_mode(request, monkeypatch):
    """Run the test on a shared stream if this Airflow has them, and as on an Airflow without them."""
    if request.param == "alone":
        for module in ("airflow_provider_arm.triggers.event_stream", "tests.unit.airflow.fake_triggerer"):
            monkeypatch.setattr(f"{module}.CAN_SHARE", False)
    elif not CAN_SHARE:
        pytest.skip("this Airflow has no shared streams")
    return request.param


def test_new_items_are_reported_once_with_count_times_and_totals(arm_sandbox, clock, stream_mode):
    """The items that appear between two polls are one event with their count, and totals by currency."""

    async def scenario():
        triggerer = FakeTriggerer(clock, stores=[FakeAssetStore()])
        invoices = InvoiceFactory()
        await triggerer.start(NewArItemsEventTrigger())
        await clock.advance(OVER_AN_INTERVAL)
        invoices.create(3)
        invoices.create(2, "EUR")
        await clock.advance(4 * OVER_AN_INTERVAL)
        await triggerer.stop()
        (event,) = triggerer.all_payloads
        assert event["count"] == 5
        assert event["totals"] == {
            "EUR": {"currencyAmount": "250", "currencyBalance": "250"},
            "NOK": {"currencyAmount": "375", "currencyBalance": "375"},
        }
        created = [
            item.created_time.isoformat(timespec="milliseconds")
            for item in ArmHook().client.list_ar_items({"fromcreatedtime": event["from"]}).items()
        ]
        assert (len(created), min(created), max(created)) == (5, event["from"], event["to"])

    run(scenario())


@only_shared
def test_restarts_neither_lose_nor_repeat_items(arm_sandbox, clock):
    """With Airflow's state store every item is reported once, also one that appears while no triggerer runs."""

    async def scenario():
        store, reported, invoices = FakeAssetStore(), [], InvoiceFactory()
        for new in (2, 0, 3, 1, 4):
            triggerer = FakeTriggerer(clock, stores=[store])
            await triggerer.start(NewArItemsEventTrigger())
            await clock.advance(OVER_AN_INTERVAL)
            await triggerer.stop()
            reported += counts(triggerer.all_payloads)
            invoices.create(new) if new else None
            clock.advance_without_triggerer(5 * OVER_AN_INTERVAL)
        triggerer = FakeTriggerer(clock, stores=[store])
        await triggerer.start(NewArItemsEventTrigger())
        await clock.advance(2 * OVER_AN_INTERVAL)
        await triggerer.stop()
        assert reported + counts(triggerer.all_payloads) == [2, 3, 1, 4]

    run(scenario())


@only_shared
def test_event_lost_with_the_triggerer_is_sent_again(arm_sandbox, clock):
    """Items whose event Airflow has not stored count as not reported: the next triggerer reports them."""

    async def scenario():
        store = FakeAssetStore()
        first = FakeTriggerer(clock, stores=[store])
        await first.start(NewArItemsEventTrigger())
        await clock.advance(OVER_AN_INTERVAL)
        InvoiceFactory().create(3)
        first.loses_events = True
        await clock.advance(OVER_AN_INTERVAL)
        await first.stop()
        second = FakeTriggerer(clock, stores=[store])
        await second.start(NewArItemsEventTrigger())
        await clock.advance(3 * OVER_AN_INTERVAL)
        await second.stop()
        assert (counts(first.all_payloads), counts(second.all_payloads)) == ([], [3])

    run(scenario())


def test_restart_without_store_reports_items_within_look_back(arm_sandbox, clock, stream_mode):
    """On an Airflow without a state store, a restart reports the items of the last ``look_back`` seconds."""

    async def scenario():
        reported, invoices = [], InvoiceFactory()
        for look_back in (0.0, 2 * INTERVAL):
            invoices.create(2)
            clock.advance_without_triggerer(INTERVAL)
            triggerer = FakeTriggerer(clock)
            await triggerer.start(NewArItemsEventTrigger(look_back=look_back))
            await clock.advance(OVER_AN_INTERVAL)
            await triggerer.stop()
            reported.append(counts(triggerer.all_payloads))
        assert reported == [[], [2]]

    run(scenario())


@pytest.mark.parametrize("outage", ["status", "reset", "html"])
def test_items_of_an_outage_are_reported_afterwards(arm_sandbox, clock, outage, stream_mode):
    """After ARM was down for 40 minutes, one event reports all items of that time, and polling continues."""

    async def scenario():
        triggerer, invoices = FakeTriggerer(clock, stores=[FakeAssetStore()]), InvoiceFactory()
        await triggerer.start(NewArItemsEventTrigger())
        await clock.advance(OVER_AN_INTERVAL)
        fault = {"match": {"path": "*/aritems"}, "do": outage, "times": 0}
        arm_sandbox.fault(fault | ({"status": 503} if outage == "status" else {}))
        invoices.create(2)
        await clock.advance(2400)
        assert triggerer.all_payloads == []
        arm_sandbox.clear_faults()
        invoices.create(1)
        await clock.advance(OVER_AN_INTERVAL)
        assert counts(triggerer.all_payloads) == [3]
        invoices.create(4)
        await clock.advance(OVER_AN_INTERVAL)
        await triggerer.stop()
        assert counts(triggerer.all_payloads) == [3, 4]

    run(scenario())


@only_shared
def test_watchers_of_one_list_share_one_poll(arm_sandbox, clock):
    """Watchers that differ only in ``where`` share one request per interval, and each reports its own items."""

    async def scenario():
        wheres = [None, {"currency": ["NOK"]}, {"currency": ["EUR", "SEK"]}, {"voucherType": [1]}]
        triggerer, invoices = FakeTriggerer(clock, stores=[FakeAssetStore() for _ in wheres]), InvoiceFactory()
        await triggerer.start(*(NewArItemsEventTrigger(where=where) for where in wheres))
        await clock.advance(OVER_AN_INTERVAL)
        invoices.create(3)
        invoices.create(2, "EUR")
        before = count_list_requests(arm_sandbox)
        await clock.advance(4 * INTERVAL)
        await triggerer.stop()
        assert 4 <= count_list_requests(arm_sandbox) - before <= 5
        assert [counts(payloads) for payloads in triggerer.payloads.values()] == [[5], [3], [2], []]

    run(scenario())


@only_shared
def test_shared_poll_starts_at_the_lowest_watermark(arm_sandbox, clock):
    """A watcher that joins late reports all items since its stored watermark; the others report none twice."""

    async def scenario():
        invoices, late_store = InvoiceFactory(), FakeAssetStore()
        early, late = NewArItemsEventTrigger(), NewArItemsEventTrigger(where={"currency": ["NOK"]})
        first = FakeTriggerer(clock, stores=[late_store])
        await first.start(late)
        await clock.advance(OVER_AN_INTERVAL)
        await first.stop()
        second = FakeTriggerer(clock, stores=[FakeAssetStore(), late_store])
        await second.start(early)
        invoices.create(2)
        await clock.advance(10 * OVER_AN_INTERVAL)
        await second.start_more(late)
        await clock.advance(2 * OVER_AN_INTERVAL)
        await second.stop()
        assert [counts(payloads) for payloads in second.payloads.values()] == [[2], [2]]

    run(scenario())


def test_unreadable_store_delays_the_first_poll(arm_sandbox, clock):
    """A watcher whose reported items cannot be read does not start anew: it reads the store again and loses no item."""

    async def scenario():
        store, invoices = FakeAssetStore(), InvoiceFactory()
        first = FakeTriggerer(clock, stores=[store])
        await first.start(NewArItemsEventTrigger())
        await clock.advance(OVER_AN_INTERVAL)
        await first.stop()
        invoices.create(2)
        store.is_unavailable = True
        second = FakeTriggerer(clock, stores=[store])
        await second.start(NewArItemsEventTrigger())
        await clock.advance(OVER_AN_INTERVAL)
        assert second.all_payloads == []
        store.is_unavailable = False
        await clock.advance(2 * OVER_AN_INTERVAL)
        await second.stop()
        assert counts(second.all_payloads) == [2]

    run(scenario())


def test_many_items_are_reported_in_parts(arm_sandbox, clock, monkeypatch):
    """After downtime the period is split until each part is small; every item is in exactly one part."""
    monkeypatch.setattr(item_pages, "MAX_ITEMS_PER_READ", 4)

    async def scenario():
        store, invoices = FakeAssetStore(), InvoiceFactory()
        triggerer = FakeTriggerer(clock, stores=[store])
        await triggerer.start(NewArItemsEventTrigger(overlap=0))
        await clock.advance(OVER_AN_INTERVAL)
        await triggerer.stop()
        for _ in range(8):
            invoices.create(3)
            clock.advance_without_triggerer(60)
        triggerer = FakeTriggerer(clock, stores=[store])
        await triggerer.start(NewArItemsEventTrigger(overlap=0))
        await clock.advance(2 * OVER_AN_INTERVAL)
        await triggerer.stop()
        reported = counts(triggerer.all_payloads)
        assert sum(reported) == 24
        assert max(reported) <= 4
        spans = [(payload["from"], payload["to"]) for payload in triggerer.all_payloads]
        assert spans == sorted(spans)

    run(scenario())


@pytest.mark.parametrize("clock_error", [-1800, 1800])
def test_many_items_of_one_millisecond_are_reported(arm_sandbox, clock, monkeypatch, clock_error):
    """Items of one millisecond, which cannot be split, are reported, also if ARM's clock is half an hour off."""
    monkeypatch.setattr(item_pages, "MAX_ITEMS_PER_READ", 4)

    async def scenario():
        from datetime import UTC, datetime, timedelta

        from airflow_provider_arm.triggers.polling.poll_loop import CLOCK

        triggerer, invoices = FakeTriggerer(clock, stores=[FakeAssetStore()]), InvoiceFactory()
        await triggerer.start(NewArItemsEventTrigger(overlap=3600))
        await clock.advance(3600)
        arm_sandbox.core.clock.set(datetime.fromtimestamp(CLOCK.time(), UTC) + timedelta(seconds=clock_error))
        invoices.create(9)
        arm_sandbox.core.clock.run()
        before = count_list_requests(arm_sandbox)
        await clock.advance(OVER_AN_INTERVAL)
        await triggerer.stop()
        assert sum(counts(triggerer.all_payloads)) == 9
        assert count_list_requests(arm_sandbox) - before < 100

    run(scenario())


READINGS = [
    {"q08_plural_key": "records"},
    {"q10_next_page": "absent"},
    {"q10_next_page": "same"},
    {"q09_total": "true"},
]


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_every_reading_of_the_list_reports_the_same_items(arm_sandbox, clock, monkeypatch, reading):
    """New items on several pages are reported once, whatever key and paging the list has."""
    monkeypatch.setattr(item_pages, "PAGE_SIZE", 10)
    arm_sandbox.behave(**reading)

    async def scenario():
        triggerer = FakeTriggerer(clock, stores=[FakeAssetStore()])
        await triggerer.start(NewArItemsEventTrigger())
        await clock.advance(OVER_AN_INTERVAL)
        InvoiceFactory().create(25)
        await clock.advance(3 * OVER_AN_INTERVAL)
        await triggerer.stop()
        assert counts(triggerer.all_payloads) == [25]

    run(scenario())


def test_rejected_secret_is_retried_rarely_until_it_is_corrected(arm_sandbox, clock, monkeypatch):
    """Rejected credentials do not end the poll, and the token service gets few requests; a corrected secret is used."""
    good = arm_sandbox.connection()

    async def scenario():
        triggerer = FakeTriggerer(clock, stores=[FakeAssetStore()])
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(good | {"password": "wrong"}))
        await triggerer.start(NewArItemsEventTrigger(poll_interval=60))
        await clock.advance(3600)
        token_requests = [call for call in arm_sandbox.requests() if call["path"].endswith("/token")]
        assert 2 <= len(token_requests) <= 5
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(good))
        InvoiceFactory().create(1)
        await clock.advance(1800)
        await triggerer.stop()
        assert counts(triggerer.all_payloads) == [1]

    run(scenario())


def test_client_no_argument_when_the_connection_has_none(arm_sandbox, clock, monkeypatch):
    """The trigger's ``client_no`` is used if the connection has none."""
    extra = arm_sandbox.connection()["extra"]
    extra = {**(json.loads(extra) if isinstance(extra, str) else extra)}
    number = extra.pop("client_no")

    async def scenario():
        triggerer = FakeTriggerer(clock, stores=[FakeAssetStore()])
        with_client_no = json.dumps(arm_sandbox.connection())
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(arm_sandbox.connection() | {"extra": extra}))
        await triggerer.start(NewArItemsEventTrigger(client_no=number))
        await clock.advance(OVER_AN_INTERVAL)
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", with_client_no)
        InvoiceFactory().create(2)
        await clock.advance(OVER_AN_INTERVAL)
        await triggerer.stop()
        assert counts(triggerer.all_payloads) == [2]

    run(scenario())


def test_no_record_data_in_events_store_arguments_and_log(arm_sandbox, clock, caplog):
    """No key, number or text of an item is in an event, the state store, the stored arguments or the log."""
    caplog.set_level(logging.DEBUG)

    async def scenario():
        store = FakeAssetStore()
        triggerer = FakeTriggerer(clock, stores=[store])
        trigger = NewArItemsEventTrigger()
        await triggerer.start(trigger)
        await clock.advance(OVER_AN_INTERVAL)
        InvoiceFactory().create(2)
        arm_sandbox.fault({"match": {"path": "*/aritems"}, "do": "status", "status": 500, "times": 9})
        await clock.advance(3 * OVER_AN_INTERVAL)
        await triggerer.stop()
        (event,) = triggerer.all_payloads
        items = list(ArmHook().client.list_ar_items({"fromcreatedtime": event["from"]}).items())
        shown = json.dumps([event, store.values, trigger.serialize()]) + caplog.text
        assert len(items) == 2
        for item in items:
            for secret in (item.ar_item_id, item.document_no, item.customer_no, item.kid, arm_sandbox.client_secret):
                assert str(secret) not in shown

    run(scenario())


def test_equal_arguments_have_equal_hashes():
    """Two watchers with equal arguments in different spelling have the same hash in Airflow."""
    first = NewArItemsEventTrigger(filters={"a": 1, "b": 2}, where={"y": [1], "x": (2,)}, poll_interval=60, overlap=5)
    same = NewArItemsEventTrigger(filters={"b": 2, "a": 1}, where={"x": [2], "y": [1]}, poll_interval=60.0, overlap=5.0)
    other = NewArItemsEventTrigger(filters={"b": 2, "a": 1}, poll_interval=60, overlap=5)
    hashes = [airflow_hash(trigger) for trigger in (first, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert first.stream_key() == other.stream_key()
    assert first.store_key() != other.store_key()
    slower = NewArItemsEventTrigger(**first.serialize()[1] | {"poll_interval": 90})
    assert first.stream_key() != slower.stream_key()
    assert first.store_key() == slower.store_key()


def airflow_hash(trigger):
    """Serialize a trigger as Airflow does for the watcher of a DAG file, and return the hash that Airflow computes."""
    from airflow.models.trigger import Trigger

    try:
        from airflow.serialization.decoders import smart_decode_trigger_kwargs
        from airflow.serialization.encoders import encode_trigger
    except ImportError:  # Airflow 3.1
        from airflow.serialization.serialized_objects import (  # type: ignore[attr-defined]
            _encode_trigger as encode_trigger,
        )
        from airflow.serialization.serialized_objects import (  # type: ignore[attr-defined]
            smart_decode_trigger_kwargs,
        )

    encoded = encode_trigger(trigger)
    trigger_hash = BaseEventTrigger.hash(encoded["classpath"], encoded["kwargs"])
    parsed = encode_trigger(json.loads(json.dumps(encoded)))
    row = Trigger(parsed["classpath"], parsed["kwargs"])
    assert BaseEventTrigger.hash(row.classpath, row.kwargs) == trigger_hash
    decoded = {name: smart_decode_trigger_kwargs(value) for name, value in row.kwargs.items()}
    assert NewArItemsEventTrigger(**decoded).serialize() == trigger.serialize()
    return trigger_hash


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": {"pagesize": 5}}, "pagesize"),
        ({"where": {"currency": "NOK"}}, "list of values"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"overlap": -1}, "overlap"),
        ({"look_back": -1}, "look_back"),
    ],
)
def test_invalid_arguments_fail_when_the_dag_is_parsed(arguments, message):
    """Invalid arguments raise in the DAG file, not in the triggerer."""
    with pytest.raises(ValueError, match=message):
        NewArItemsEventTrigger(**arguments)


@only_shared
def test_poll_is_confirmed_only_if_every_event_is_stored():
    """A poll of which one watcher's event is not stored is not confirmed; the next one is."""
    from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome

    from airflow_provider_arm.triggers.event_producer import EventProducer
    from airflow_provider_arm.triggers.polling.new_items_poller import ItemsPoll
    from airflow_provider_arm.triggers.polling.watermark import PollSpan

    confirmed = []

    def build_poll(number):
        async def record():
            confirmed.append(number)

        poll = ItemsPoll(PollSpan(number, 0, 0), [])
        poll.on_stored(record)
        return poll

    outcomes = [AdvanceOutcome(2, 0), AdvanceOutcome(1, 1), AdvanceOutcome(0, 2), AdvanceOutcome(2, 0)]
    batch = [AdvanceItem(build_poll(number), outcome) for number, outcome in enumerate(outcomes)]
    run(EventProducer(NewArItemsEventTrigger()).advance(batch))
    assert confirmed == [0, 3]
