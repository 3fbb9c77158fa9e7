"""``NewArItemsEventTrigger``: what is new is told once, whatever happens in between."""

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
from tests.unit.airflow.invoices import documents
from tests.unit.airflow.watching import AssetStore, StoppedClock, Triggerer

INTERVAL = 300.0
#: Longer than a poll interval, so that a look comes for certain.
ROUND = INTERVAL + 1
only_shared = pytest.mark.skipif(not CAN_SHARE, reason="this Airflow has no shared streams")


@pytest.fixture
def clock(arm_sandbox, arm_connection, monkeypatch):
    """Give the time of watcher and sandbox."""
    return StoppedClock(arm_sandbox, monkeypatch)


class Invoices:
    """Makes new AR items of 125.00 each."""

    def __init__(self):
        self.made = 0

    def make(self, count, currency="NOK"):
        new = [{**one, "currency": currency} for one in documents(count, 70001 + self.made)]
        self.made += count
        client = ArmHook().client
        # The look lets the sandbox process it now.
        client.get_batch(client.submit_batch("create_document_batch", new).batch_uuid)


def looks(box):
    """Count the calls of the list."""
    return len([call for call in box.requests() if call["path"].endswith("/aritems")])


def counts(payloads):
    """Count what was told."""
    return [payload["count"] for payload in payloads]


def run(story):
    """Run a story on an event loop."""
    asyncio.run(asyncio.wait_for(story, 60))


def test_nothing_new_is_no_event(arm_sandbox, clock):
    """Looks at a ledger in which nothing appears send nothing, whatever it held before."""

    async def story():
        triggerer = Triggerer(clock, stores=[AssetStore()])
        await triggerer.start(NewArItemsEventTrigger())
        await clock.pass_by(5 * ROUND)
        await triggerer.stop()
        assert triggerer.all_payloads == []
        assert looks(arm_sandbox) >= 5

    run(story())


@pytest.fixture(params=["shared", "alone"])
def way(request, monkeypatch):
    """Run on a shared stream where there is one, and as on an Airflow that has none."""
    if request.param == "alone":
        for module in ("airflow_provider_arm.triggers.event_stream", "tests.unit.airflow.watching"):
            monkeypatch.setattr(f"{module}.CAN_SHARE", False)
    elif not CAN_SHARE:
        pytest.skip("this Airflow has no shared streams")
    return request.param


def test_new_items_are_one_event_with_their_count_span_and_totals(arm_sandbox, clock, way):
    """Items that appear between two looks are one event, counted and added up by currency, and told once."""

    async def story():
        triggerer = Triggerer(clock, stores=[AssetStore()])
        invoices = Invoices()
        await triggerer.start(NewArItemsEventTrigger())
        await clock.pass_by(ROUND)
        invoices.make(3)
        invoices.make(2, "EUR")
        await clock.pass_by(4 * ROUND)
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

    run(story())


@only_shared
def test_a_restart_in_between_loses_nothing_and_tells_nothing_twice(arm_sandbox, clock):
    """With Airflow's state store every item is told once, also those that appear while no triggerer runs."""

    async def story():
        store, told, invoices = AssetStore(), [], Invoices()
        for new in (2, 0, 3, 1, 4):
            triggerer = Triggerer(clock, stores=[store])
            await triggerer.start(NewArItemsEventTrigger())
            await clock.pass_by(ROUND)
            await triggerer.stop()
            told += counts(triggerer.all_payloads)
            invoices.make(new) if new else None
            await clock.pass_by_alone(5 * ROUND)
        triggerer = Triggerer(clock, stores=[store])
        await triggerer.start(NewArItemsEventTrigger())
        await clock.pass_by(2 * ROUND)
        await triggerer.stop()
        assert told + counts(triggerer.all_payloads) == [2, 3, 1, 4]

    run(story())


@only_shared
def test_an_event_that_dies_with_the_triggerer_comes_again(arm_sandbox, clock):
    """What Airflow has not stored counts as not told: the next triggerer tells it."""

    async def story():
        store = AssetStore()
        first = Triggerer(clock, stores=[store])
        await first.start(NewArItemsEventTrigger())
        await clock.pass_by(ROUND)
        Invoices().make(3)
        first.stores_no_event = True
        await clock.pass_by(ROUND)
        await first.stop()
        second = Triggerer(clock, stores=[store])
        await second.start(NewArItemsEventTrigger())
        await clock.pass_by(3 * ROUND)
        await second.stop()
        assert (counts(first.all_payloads), counts(second.all_payloads)) == ([], [3])

    run(story())


def test_without_a_store_a_restart_begins_so_far_back_as_the_author_says(arm_sandbox, clock, way):
    """On an Airflow that keeps nothing, items of the last ``look_back`` seconds are told after a restart."""

    async def story():
        told, invoices = [], Invoices()
        for look_back in (0.0, 2 * INTERVAL):
            invoices.make(2)
            await clock.pass_by_alone(INTERVAL)
            triggerer = Triggerer(clock)
            await triggerer.start(NewArItemsEventTrigger(look_back=look_back))
            await clock.pass_by(ROUND)
            await triggerer.stop()
            told.append(counts(triggerer.all_payloads))
        assert told == [[], [2]]

    run(story())


@pytest.mark.parametrize("outage", ["status", "reset", "html"])
def test_an_outage_ends_nothing_and_loses_nothing(arm_sandbox, clock, outage, way):
    """ARM is away for 40 minutes: one event afterwards with all that appeared, and the watcher still watches."""

    async def story():
        triggerer, invoices = Triggerer(clock, stores=[AssetStore()]), Invoices()
        await triggerer.start(NewArItemsEventTrigger())
        await clock.pass_by(ROUND)
        down = {"match": {"path": "*/aritems"}, "do": outage, "times": 0} | (
            {"status": 503} if outage == "status" else {}
        )
        arm_sandbox.fault(down)
        invoices.make(2)
        await clock.pass_by(2400)
        assert triggerer.all_payloads == []
        arm_sandbox.clear_faults()
        invoices.make(1)
        await clock.pass_by(ROUND)
        assert counts(triggerer.all_payloads) == [3]
        invoices.make(4)
        await clock.pass_by(ROUND)
        await triggerer.stop()
        assert counts(triggerer.all_payloads) == [3, 4]

    run(story())


@only_shared
def test_watchers_of_the_same_list_share_one_poll(arm_sandbox, clock):
    """Watchers that differ only in what counts are served by one look each interval, and each is told its own."""

    async def story():
        wheres = [None, {"currency": ["NOK"]}, {"currency": ["EUR", "SEK"]}, {"voucherType": [1]}]
        triggerer, invoices = Triggerer(clock, stores=[AssetStore() for _ in wheres]), Invoices()
        await triggerer.start(*(NewArItemsEventTrigger(where=where) for where in wheres))
        await clock.pass_by(ROUND)
        invoices.make(3)
        invoices.make(2, "EUR")
        before = looks(arm_sandbox)
        await clock.pass_by(4 * INTERVAL)
        await triggerer.stop()
        assert 4 <= looks(arm_sandbox) - before <= 5
        assert [counts(payloads) for payloads in triggerer.payloads.values()] == [[5], [3], [2], []]

    run(story())


@only_shared
def test_the_shared_poll_begins_where_the_last_watcher_stands(arm_sandbox, clock):
    """A watcher that comes late and has been away for long is told all that it missed; the others nothing twice."""

    async def story():
        invoices, away = Invoices(), AssetStore()
        one, other = NewArItemsEventTrigger(), NewArItemsEventTrigger(where={"currency": ["NOK"]})
        first = Triggerer(clock, stores=[away])
        await first.start(other)
        await clock.pass_by(ROUND)
        await first.stop()
        second = Triggerer(clock, stores=[AssetStore(), away])
        await second.start(one)
        invoices.make(2)
        await clock.pass_by(10 * ROUND)
        await second.start_more(other)
        await clock.pass_by(2 * ROUND)
        await second.stop()
        assert [counts(payloads) for payloads in second.payloads.values()] == [[2], [2]]

    run(story())


def test_a_store_that_cannot_be_read_is_waited_for(arm_sandbox, clock):
    """A watcher that cannot tell what it has told begins no count of its own: it asks again, and loses nothing."""

    async def story():
        store, invoices = AssetStore(), Invoices()
        first = Triggerer(clock, stores=[store])
        await first.start(NewArItemsEventTrigger())
        await clock.pass_by(ROUND)
        await first.stop()
        invoices.make(2)
        store.is_away = True
        second = Triggerer(clock, stores=[store])
        await second.start(NewArItemsEventTrigger())
        await clock.pass_by(ROUND)
        assert second.all_payloads == []
        store.is_away = False
        await clock.pass_by(2 * ROUND)
        await second.stop()
        assert counts(second.all_payloads) == [2]

    run(story())


def test_more_than_is_read_at_once_is_told_in_parts(arm_sandbox, clock, monkeypatch):
    """After an absence the span is split until each part is small; the parts add up, and no item is in two."""
    monkeypatch.setattr(item_pages, "MAX_ITEMS_PER_READ", 4)

    async def story():
        store, invoices = AssetStore(), Invoices()
        triggerer = Triggerer(clock, stores=[store])
        await triggerer.start(NewArItemsEventTrigger(overlap=0))
        await clock.pass_by(ROUND)
        await triggerer.stop()
        for _ in range(8):
            invoices.make(3)
            await clock.pass_by_alone(60)
        triggerer = Triggerer(clock, stores=[store])
        await triggerer.start(NewArItemsEventTrigger(overlap=0))
        await clock.pass_by(2 * ROUND)
        await triggerer.stop()
        told = counts(triggerer.all_payloads)
        assert sum(told) == 24
        assert max(told) <= 4
        spans = [(payload["from"], payload["to"]) for payload in triggerer.all_payloads]
        assert spans == sorted(spans)

    run(story())


@pytest.mark.parametrize("clock_error", [-1800, 1800])
def test_a_moment_that_holds_more_than_is_read_at_once_is_read(arm_sandbox, clock, monkeypatch, clock_error):
    """Many items of one millisecond, which no split parts, are told; also where ARM's clock is half an hour off."""
    monkeypatch.setattr(item_pages, "MAX_ITEMS_PER_READ", 4)

    async def story():
        from datetime import UTC, datetime, timedelta

        from airflow_provider_arm.triggers.polling.poll_loop import CLOCK

        triggerer, invoices = Triggerer(clock, stores=[AssetStore()]), Invoices()
        await triggerer.start(NewArItemsEventTrigger(overlap=3600))
        await clock.pass_by(3600)
        arm_sandbox.core.clock.set(datetime.fromtimestamp(CLOCK.time(), UTC) + timedelta(seconds=clock_error))
        invoices.make(9)
        arm_sandbox.core.clock.run()
        before = looks(arm_sandbox)
        await clock.pass_by(ROUND)
        await triggerer.stop()
        assert sum(counts(triggerer.all_payloads)) == 9
        assert looks(arm_sandbox) - before < 100

    run(story())


VARIANTS = [
    {"q08_plural_key": "records"},
    {"q10_next_page": "absent"},
    {"q10_next_page": "same"},
    {"q09_total": "true"},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_reading_of_the_list_gives_the_same(arm_sandbox, clock, monkeypatch, variant):
    """However ARM names and pages the list, the new items are told once; several pages are read."""
    monkeypatch.setattr(item_pages, "PAGE_SIZE", 10)
    arm_sandbox.behave(**variant)

    async def story():
        triggerer = Triggerer(clock, stores=[AssetStore()])
        await triggerer.start(NewArItemsEventTrigger())
        await clock.pass_by(ROUND)
        Invoices().make(25)
        await clock.pass_by(3 * ROUND)
        await triggerer.stop()
        assert counts(triggerer.all_payloads) == [25]

    run(story())


def test_a_refused_secret_is_tried_rarely_and_a_new_one_is_taken(arm_sandbox, clock, monkeypatch):
    """Refused credentials end no watcher and are no storm on the token service; those that are mended are taken."""
    good = arm_sandbox.connection()

    async def story():
        triggerer = Triggerer(clock, stores=[AssetStore()])
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(good | {"password": "wrong"}))
        await triggerer.start(NewArItemsEventTrigger(poll_interval=60))
        await clock.pass_by(3600)
        refused = [call for call in arm_sandbox.requests() if call["path"].endswith("/token")]
        assert 2 <= len(refused) <= 5
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(good))
        Invoices().make(1)
        await clock.pass_by(1800)
        await triggerer.stop()
        assert counts(triggerer.all_payloads) == [1]

    run(story())


def test_a_watcher_may_name_the_client_that_the_connection_does_not(arm_sandbox, clock, monkeypatch):
    """``client_no`` stands in for the connection's where that has none."""
    extra = arm_sandbox.connection()["extra"]
    extra = {**(json.loads(extra) if isinstance(extra, str) else extra)}
    number = extra.pop("client_no")

    async def story():
        triggerer = Triggerer(clock, stores=[AssetStore()])
        with_it = json.dumps(arm_sandbox.connection())
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(arm_sandbox.connection() | {"extra": extra}))
        await triggerer.start(NewArItemsEventTrigger(client_no=number))
        await clock.pass_by(ROUND)
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", with_it)
        Invoices().make(2)
        await clock.pass_by(ROUND)
        await triggerer.stop()
        assert counts(triggerer.all_payloads) == [2]

    run(story())


def test_nothing_of_a_record_is_shown(arm_sandbox, clock, caplog):
    """No key, number or text of an item is in an event, in what is kept, in the stored arguments or in the log."""
    caplog.set_level(logging.DEBUG)

    async def story():
        store = AssetStore()
        triggerer = Triggerer(clock, stores=[store])
        trigger = NewArItemsEventTrigger()
        await triggerer.start(trigger)
        await clock.pass_by(ROUND)
        Invoices().make(2)
        arm_sandbox.fault({"match": {"path": "*/aritems"}, "do": "status", "status": 500, "times": 9})
        await clock.pass_by(3 * ROUND)
        await triggerer.stop()
        (event,) = triggerer.all_payloads
        items = list(ArmHook().client.list_ar_items({"fromcreatedtime": event["from"]}).items())
        shown = json.dumps([event, store.values, trigger.serialize()]) + caplog.text
        assert len(items) == 2
        for item in items:
            for secret in (item.ar_item_id, item.document_no, item.customer_no, item.kid, arm_sandbox.client_secret):
                assert str(secret) not in shown

    run(story())


def test_triggers_that_say_the_same_are_one_to_airflow():
    """However the author wrote the arguments, two watchers that mean the same have one hash in Airflow."""
    one = NewArItemsEventTrigger(filters={"a": 1, "b": 2}, where={"y": [1], "x": (2,)}, poll_interval=60, overlap=5)
    same = NewArItemsEventTrigger(filters={"b": 2, "a": 1}, where={"x": [2], "y": [1]}, poll_interval=60.0, overlap=5.0)
    other = NewArItemsEventTrigger(filters={"b": 2, "a": 1}, poll_interval=60, overlap=5)
    hashes = [airflows_hash(trigger) for trigger in (one, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert one.stream_key() == other.stream_key()
    assert one.store_key() != other.store_key()
    slower = NewArItemsEventTrigger(**one.serialize()[1] | {"poll_interval": 90})
    assert one.stream_key() != slower.stream_key()
    assert one.store_key() == slower.store_key()


def airflows_hash(trigger):
    """Take a trigger through Airflow's database as a DAG file's watcher goes; gives the hash that it keeps."""
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
    found = BaseEventTrigger.hash(encoded["classpath"], encoded["kwargs"])
    parsed = encode_trigger(json.loads(json.dumps(encoded)))
    row = Trigger(parsed["classpath"], parsed["kwargs"])
    assert BaseEventTrigger.hash(row.classpath, row.kwargs) == found
    again = {name: smart_decode_trigger_kwargs(value) for name, value in row.kwargs.items()}
    assert NewArItemsEventTrigger(**again).serialize() == trigger.serialize()
    return found


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"filters": {"fromcreatedtime": "2026-01-01"}}, "fromcreatedtime"),
        ({"filters": {"pagesize": 5}}, "pagesize"),
        ({"where": {"currency": "NOK"}}, "list of values"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"overlap": -1}, "overlap"),
        ({"look_back": -1}, "look_back"),
    ],
)
def test_arguments_that_cannot_be_are_refused_in_the_dag_file(arguments, what):
    """What cannot work is said when the DAG file is read, and not in a triggerer's log."""
    with pytest.raises(ValueError, match=what):
        NewArItemsEventTrigger(**arguments)


@only_shared
def test_only_what_every_watcher_has_got_through_is_noted():
    """One watcher's event that Airflow did not store keeps all of that look unnoted; the next look notes more."""
    from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome

    from airflow_provider_arm.triggers.event_producer import EventProducer
    from airflow_provider_arm.triggers.polling.new_items_poller import ItemsPoll
    from airflow_provider_arm.triggers.polling.watermark import PollSpan

    noted = []

    def look(number):
        async def note():
            noted.append(number)

        made = ItemsPoll(PollSpan(number, 0, 0), [])
        made.on_stored(note)
        return made

    outcomes = [AdvanceOutcome(2, 0), AdvanceOutcome(1, 1), AdvanceOutcome(0, 2), AdvanceOutcome(2, 0)]
    batch = [AdvanceItem(look(number), outcome) for number, outcome in enumerate(outcomes)]
    run(EventProducer(NewArItemsEventTrigger()).advance(batch))
    assert noted == [0, 3]
