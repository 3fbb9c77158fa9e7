"""``triggers.watermark``: told once, however late a record appears, however a look is cut, whenever one starts anew."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.triggers.polling import watermark
from airflow_provider_arm.triggers.polling.watermark import PollSpan, WatcherWatermark

OVERLAP = 20
#: Moments of a story.
END = 200

records = st.lists(
    st.tuples(st.integers(0, END), st.integers(0, OVERLAP)).map(lambda pair: (pair[0], sum(pair))), max_size=30
)
#: When a look is taken, at which moments it is cut in parts, after how many parts ARM fails, whether what was told is
#: noted, and whether the watcher starts anew before it.
look = st.tuples(
    st.integers(1, 40),
    st.lists(st.integers(0, END + OVERLAP), max_size=3),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
)


def parts_of(since, cuts):
    """Cut the span from *since* on."""
    firsts = [since, *sorted({cut + 1 for cut in cuts if cut >= since})]
    return [*zip(firsts, [first - 1 for first in firsts[1:]], strict=False), (firsts[-1], None)]


@settings(deadline=None, max_examples=400)
@given(records, st.lists(look, max_size=20))
def test_every_record_is_told_and_only_what_was_not_noted_is_told_twice(ledger, story):
    """Records appear up to the overlap after their created time; looks are cut, fail and lose what was not noted.

    At the end each record of the watched time was told, and one that was told twice was not noted the first time.
    """
    mark = WatcherWatermark(0, OVERLAP)
    kept, noted, known, told, now = json.dumps(mark.as_json()), set(), set(), set(), 0
    for turn, (passed, cuts, whole_parts, is_noted, anew) in enumerate(
        [*story, (END + OVERLAP + 1, [], 9, True, True)]
    ):
        now += passed
        if anew:
            mark, known = WatcherWatermark.from_json(json.loads(kept), OVERLAP), set(noted)
        for first, last in parts_of(mark.low, cuts)[:whole_parts]:
            visible = [
                (str(number), created)
                for number, (created, appears) in enumerate(ledger)
                if appears <= now and created >= first and (last is None or created <= last)
            ]
            fresh = mark.add(PollSpan(turn, now, first, last), visible)
            assert fresh is not None
            assert not known & set(fresh)
            known |= set(fresh)
            told |= set(fresh)
            if is_noted:
                kept = json.dumps(mark.as_json())
                noted = set(known)
    assert told == {str(number) for number in range(len(ledger))}


@settings(deadline=None)
@given(st.integers(0, 50), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100), st.integers(0, 30)), max_size=12))
def test_a_part_that_leaves_a_gap_is_passed_over(low, parts):
    """For any parts in any order: what is taken joins on to what was taken, and nothing in between is skipped."""
    mark, joined, turn_now = WatcherWatermark(low, OVERLAP), low, None
    for turn, since, length in parts:
        if turn != turn_now:
            turn_now, joined = turn, mark.low
        taken = mark.add(PollSpan(turn, 0, since, since + length), [])
        assert (taken is None) == (since > max(joined, mark.low))
        if taken is not None:
            joined = max(joined, since + length + 1)


def test_what_lies_before_the_beginning_is_never_told():
    """A watcher that begins now tells nothing of what was created before, also where a look begins earlier."""
    assert WatcherWatermark(100, OVERLAP).add(PollSpan(1, 130, 0), [("old", 99), ("new", 100)]) == ["new"]


def test_a_record_that_is_met_twice_in_one_part_is_told_once():
    """The digest tells records apart, and nothing else."""
    assert WatcherWatermark(0, OVERLAP).add(PollSpan(1, 9, 0), [("a", 1), ("a", 1), ("b", 1)]) == ["a", "b"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(1, 9))
def test_what_is_remembered_stays_small(created, most):
    """However many are created within the overlap, so many are remembered, by whole moments, and none is told twice."""
    before, watermark.MAX_SEEN = watermark.MAX_SEEN, most
    try:
        mark = WatcherWatermark(0, 1000)
        met = [(str(number), moment) for number, moment in enumerate(created)]
        assert mark.add(PollSpan(1, 12, 0), met) == [digest for digest, _ in met]
        assert len(mark.seen) <= most
        assert set(mark.seen) == {digest for digest, moment in met if moment >= mark.low}
        assert mark.add(PollSpan(2, 12, mark.low), met) == []
    finally:
        watermark.MAX_SEEN = before


def test_the_largest_memory_fits_in_airflows_store():
    """As many records as are remembered take less than the 64 KB at which Airflow warns."""
    mark = WatcherWatermark(0, OVERLAP)
    mark.add(PollSpan(1, 0, 0), [(f"{number:011d}", 1_700_000_000_000) for number in range(watermark.MAX_SEEN)])
    assert len(mark.seen) == watermark.MAX_SEEN
    assert len(json.dumps(mark.as_json())) < 64 * 1024


@pytest.mark.parametrize(
    "kept", [None, 5, {}, {"low": "x", "seen": {}}, {"low": 1, "seen": {"x": "a"}}, {"low": 1, "seen": 2}]
)
def test_what_is_no_watermark_is_none(kept):
    """Something else under the key, of a person or another version, is told from a watermark."""
    assert WatcherWatermark.from_json(kept, OVERLAP) is None
