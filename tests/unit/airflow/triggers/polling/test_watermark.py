"""Tests of ``watermark``: every record is reported once, whatever its delay, the parts of a poll, and restarts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.triggers.polling import watermark as watermark_module
from airflow_provider_arm.triggers.polling.watermark import PollSpan, WatcherWatermark

OVERLAP = 20
#: Last created time in a generated ledger.
END = 200

ledgers = st.lists(
    st.tuples(st.integers(0, END), st.integers(0, OVERLAP)).map(lambda pair: (pair[0], sum(pair))), max_size=30
)
#: A poll: seconds since the previous one, times at which it is split into parts, number of parts before ARM fails,
#: whether the reported records are stored, and whether the watcher restarts before the poll.
polls = st.tuples(
    st.integers(1, 40),
    st.lists(st.integers(0, END + OVERLAP), max_size=3),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
)


def split_parts(since, splits):
    """Split the time from *since* on into parts."""
    firsts = [since, *sorted({split + 1 for split in splits if split >= since})]
    return [*zip(firsts, [first - 1 for first in firsts[1:]], strict=False), (firsts[-1], None)]


@settings(deadline=None, max_examples=400)
@given(ledgers, st.lists(polls, max_size=20))
def test_every_record_is_reported_and_repeated_only_if_not_stored(ledger, history):
    """Records become visible up to the overlap after their created time; polls are split, fail, and may not be stored.

    At the end every record was reported, and one that was reported twice was not stored the first time.
    """
    watermark = WatcherWatermark(0, OVERLAP)
    stored, stored_as_reported, known, reported, now = json.dumps(watermark.as_json()), set(), set(), set(), 0
    last_poll = (END + OVERLAP + 1, [], 9, True, True)
    for poll_number, (passed, splits, complete_parts, is_stored, restarts) in enumerate([*history, last_poll]):
        now += passed
        if restarts:
            watermark, known = WatcherWatermark.from_json(json.loads(stored), OVERLAP), set(stored_as_reported)
        for first, last in split_parts(watermark.low, splits)[:complete_parts]:
            visible = [
                (number, created)
                for number, (created, visible_from) in enumerate(ledger)
                if visible_from <= now and created >= first and (last is None or created <= last)
            ]
            new = watermark.add(PollSpan(poll_number, now, first, last), visible)
            assert new is not None
            assert not known & set(new)
            known |= set(new)
            reported |= set(new)
            if is_stored:
                stored = json.dumps(watermark.as_json())
                stored_as_reported = set(known)
    assert reported == set(range(len(ledger)))


@settings(deadline=None)
@given(st.integers(0, 50), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100), st.integers(0, 30)), max_size=12))
def test_part_after_a_gap_is_ignored(low, parts):
    """A part is added only if it adjoins the parts before it, whatever the parts and their order."""
    watermark, joined_until, current_poll = WatcherWatermark(low, OVERLAP), low, None
    for poll_number, since, length in parts:
        if poll_number != current_poll:
            current_poll, joined_until = poll_number, watermark.low
        new = watermark.add(PollSpan(poll_number, 0, since, since + length), [])
        assert (new is None) == (since > max(joined_until, watermark.low))
        if new is not None:
            joined_until = max(joined_until, since + length + 1)


def test_record_from_before_the_start_is_never_reported():
    """A watcher does not report records from before its start, also if a poll starts earlier."""
    assert WatcherWatermark(100, OVERLAP).add(PollSpan(1, 130, 0), [(1, 99), (2, 100)]) == [2]


def test_record_twice_in_one_part_is_reported_once():
    """Records with equal digests are one record."""
    assert WatcherWatermark(0, OVERLAP).add(PollSpan(1, 9, 0), [(1, 1), (1, 1), (2, 1)]) == [1, 2]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(1, 9))
def test_number_of_remembered_records_is_limited(created_times, limit):
    """However many records are created within the overlap, at most the limit is remembered, and none is reported twice.

    All records of one created time are remembered, or none of them.
    """
    original, watermark_module.MAX_SEEN = watermark_module.MAX_SEEN, limit
    try:
        watermark = WatcherWatermark(0, 1000)
        records = list(enumerate(created_times))
        assert watermark.add(PollSpan(1, 12, 0), records) == [digest for digest, _ in records]
        assert len(watermark.seen) <= limit
        assert set(watermark.seen) == {digest for digest, created in records if created >= watermark.low}
        assert watermark.add(PollSpan(2, 12, watermark.low), records) == []
    finally:
        watermark_module.MAX_SEEN = original


def test_largest_watermark_fits_in_the_state_store():
    """The maximum number of remembered records takes less than the 64 KB at which Airflow warns."""
    watermark = WatcherWatermark(0, OVERLAP)
    watermark.add(PollSpan(1, 0, 0), [(number, 1_700_000_000_000) for number in range(watermark_module.MAX_SEEN)])
    assert len(watermark.seen) == watermark_module.MAX_SEEN
    assert len(json.dumps(watermark.as_json())) < 64 * 1024


@pytest.mark.parametrize(
    "value", [None, 5, {}, {"low": "x", "seen": {}}, {"low": 1, "seen": {"x": "a"}}, {"low": 1, "seen": 2}]
)
def test_invalid_stored_value_is_no_watermark(value):
    """Another value under the key, written manually or by another version, is not read as a watermark."""
    assert WatcherWatermark.from_json(value, OVERLAP) is None
