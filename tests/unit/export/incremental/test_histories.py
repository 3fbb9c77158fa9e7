"""Increments of any history of a ledger: together they equal the full export, without needless repetitions."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmIncompleteListError, ArmNotFoundError
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.export.fetch.time_range import MAX_CLOCK_SKEW
from airflow_provider_arm.export.incremental.state import IncrementState, TaskRunKey, start_increment
from airflow_provider_arm.export.incremental.watermark import IncrementTracker, PageDigests, Watermark, digest
from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX
from airflow_provider_arm.export.pages.timestamps import format_milliseconds
from airflow_provider_arm.export.run import run_export
from tests.unit.export.incremental.growing_ledger import (
    HOUR,
    NOON,
    GrowingLedger,
    InMemoryStore,
    ProcessKilled,
    export_new,
    make_plan,
)

#: Events between two exports. The numbers choose how much, or which item or run.
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["create", "create", "create", "change", "wait", "run", "run", "crash", "clear", "clear older"]
        ),
        st.integers(0, 100),
        st.integers(0, 100),
    ),
    max_size=40,
)
#: Where a run may fail: before its first page, in the middle of a query (twice, so that the restart fails too), between
#: writing the file and its manifest, and between writing the manifest and the watermark.
CRASHES = ["first page", "middle", "manifest", "watermark"]


class History:
    """Replay of events, with the content of the file of each completed run."""

    def __init__(self, folder: Path, skew: int, cap: int, pace: int) -> None:
        self.folder = folder
        self.ledger = GrowingLedger(cap)
        self.pace = pace
        self.ledger.before_page = self._advance
        self.store = InMemoryStore()
        self.skew = skew
        self.runs = 0
        #: Lines of the files of completed runs, by run, in the order of the runs.
        self.files: dict[str, list[bytes]] = {}

    def replay(self, event: str, amount: int, choice: int) -> None:
        """Perform one event."""
        getattr(self, event.replace(" ", "_"))(amount, choice)

    def create(self, amount: int, choice: int) -> None:
        """Create an item; every other one becomes visible later, within the overlap."""
        delay = HOUR * (choice % 101) // 100 if choice % 2 else 0
        self.ledger.add(self.ledger.now + self.skew, self.ledger.now + delay)
        # At most two items share a millisecond: with the smallest cap, more of them could not be split.
        self.ledger.now += max(amount % 3, len(self.ledger.items) % 2)

    def change(self, amount: int, choice: int) -> None:
        """Change an item that was created within the overlap; some items change back."""
        changeable = [item for item in self.ledger.items.values() if item.created + HOUR >= self.ledger.now + self.skew]
        if changeable:
            changeable[choice % len(changeable)].version = amount % 3

    def wait(self, amount: int, choice: int) -> None:
        """Advance the time by minutes, or by days."""
        self.ledger.now += 60_000 * amount * (30 if choice % 4 == 0 else 1)

    def run(self, _amount: int, _choice: int) -> None:
        """Complete the next run."""
        self.runs += 1
        self._export(f"r{self.runs}")

    def crash(self, amount: int, choice: int) -> None:
        """Let the next run fail; half of the failed runs are retried."""
        self.runs += 1
        name, crash = f"r{self.runs}", CRASHES[choice % len(CRASHES)]
        original_replace = Path.replace

        def before_page(number: int) -> None:
            if crash == "first page":
                raise ArmIncompleteListError(crash)
            if number > 1:
                raise ArmNotFoundError(crash, status_code=410)

        def before_save() -> None:
            raise ProcessKilled

        def replace(part: Path, target: Path) -> None:
            if target.name.endswith(MANIFEST_SUFFIX):
                raise ProcessKilled
            original_replace(part, target)

        if crash == "watermark":
            self.store.before_save = before_save
        elif crash != "manifest":
            self.ledger.before_page = before_page
        with (
            contextlib.suppress(ArmIncompleteListError, ProcessKilled),
            mock.patch.object(Path, "replace", replace) if crash == "manifest" else contextlib.nullcontext(),
        ):
            self._export(name)
        self.ledger.before_page, self.store.before_save = self._advance, lambda: None
        if name not in self.files and amount % 2:
            self.ledger.now += 60_000 * amount
            self._export(name)

    def clear(self, amount: int, _choice: int) -> None:
        """Clear the latest completed run, which exports its increment again."""
        if self.store.state is not None:
            self.ledger.now += 1000 * amount
            self._export(self.store.state["run"].split("/")[1])

    def clear_older(self, _amount: int, choice: int) -> None:
        """Clear an older run, which fails and leaves its file untouched."""
        latest = self.store.state and self.store.state["run"].split("/")[1]
        older = [name for name in self.files if name != latest]
        if older:
            path = self.folder / f"{older[choice % len(older)]}.jsonl"
            before = path.read_bytes()
            with pytest.raises(ArmConfigurationError):
                export_new(self.ledger, self.store, path, path.stem)
            assert path.read_bytes() == before

    def _advance(self, _number: int) -> None:
        """Advance the time: what becomes visible while a page is read is on later queries only."""
        self.ledger.now += self.pace

    def _export(self, name: str) -> None:
        path = self.folder / f"{name}.jsonl"
        export_new(self.ledger, self.store, path, name)
        self.files[name] = path.read_bytes().splitlines()

    def union(self) -> dict[str, bytes]:
        """Return the records of all increments by key; of each key the latest one."""
        return {json.loads(line)["arItemId"]: line for lines in self.files.values() for line in lines}


def export_full(history: History, **options: Any) -> dict[str, bytes]:
    """Export the whole list without a cap and return the records by key."""
    history.ledger.cap = 10_000
    path = history.folder / f"full{len(list(history.folder.iterdir()))}.jsonl"
    run_export(make_plan(path, **options), history.ledger.source(), lambda: dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
    return {json.loads(line)["arItemId"]: line for line in path.read_bytes().splitlines()}


@settings(max_examples=150, deadline=None)
@given(
    EVENTS,
    st.sampled_from([0, -15 * HOUR, -60_000, 60_000, 15 * HOUR]),
    st.sampled_from([4, 9, 10_000]),
    st.sampled_from([0, 200_000]),
)
def test_union_of_increments_equals_the_full_export(events, skew, cap, pace):
    """However late items become visible, whatever changes, and wherever runs fail."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder), skew, cap, pace)
        for event in events:
            history.replay(*event)
        history.ledger.now += 2 * HOUR
        history.run(0, 0)
        everything = export_full(history)
        assert history.union() == everything
        assert export_windows(history) == everything
        exported = Counter(line for lines in history.files.values() for line in lines)
        versions = Counter(json.loads(line)["arItemId"] for line in exported)
        # An unchanged item is in one increment only; an item that changed and changed back is new each time.
        assert all(times == 1 or versions[json.loads(line)["arItemId"]] > 1 for line, times in exported.items())


def export_windows(history: History) -> dict[str, bytes]:
    """Export the whole list in windows of created days and return the records by key."""
    start = dt.datetime.fromisoformat(format_milliseconds(NOON + history.skew)).date() - dt.timedelta(days=1)
    records: dict[str, bytes] = {}
    for number in range(0, 100, 25):
        first, last = start + dt.timedelta(days=number), start + dt.timedelta(days=number + 24)
        records |= export_full(history, window=DateWindow(first, last, by="createdtime").date_range())
    return records


# ---- watermark and tracker

created_times = st.integers(NOON - 100 * 24 * HOUR, NOON + 100 * 24 * HOUR)
watermarks = st.builds(
    Watermark,
    st.none() | created_times,
    st.none() | created_times,
    st.dictionaries(st.integers(0, 2**64 - 1), created_times),
)


@given(watermarks)
def test_watermark_is_equal_after_a_json_round_trip(watermark):
    """All digests and times are restored."""
    assert Watermark.from_json(json.loads(json.dumps(watermark.as_json()))) == watermark


@given(watermarks, st.lists(st.lists(st.none() | created_times, max_size=20), max_size=8), st.integers(0, 48 * HOUR))
def test_watermark_never_moves_back_or_past_now(before, pages, overlap):
    """``low`` is at least an overlap before now, and ``seen`` has all records from then on."""
    tracker, read = IncrementTracker(before, NOON, overlap, lambda: NOON), {}
    for page in pages:
        digests = [digest(f"{len(read)} {number}".encode()) for number in range(len(page))]
        tracker.add(PageDigests(digests, page))
        tracker.commit()
        read |= {value: created for value, created in zip(digests, page, strict=True) if created is not None}
    after = tracker.next_watermark()
    if after.low is None:
        assert before.low is None
        assert not read
        return
    if before.low is not None:
        assert after.low >= before.low
    if after.low != before.low:
        assert NOON - overlap - MAX_CLOCK_SKEW <= after.low <= NOON - overlap
    assert after.seen == {value: created for value, created in read.items() if created >= after.low}


@given(st.lists(created_times, min_size=1), st.integers(0, 48 * HOUR))
def test_rollback_discards_all_records_of_the_query(created, overlap):
    """A restarted query leaves neither a digest nor a time."""
    tracker = IncrementTracker(Watermark(), NOON, overlap, lambda: NOON)
    tracker.add(PageDigests([digest(str(at).encode()) for at in created], created, 5))
    tracker.rollback()
    tracker.commit()
    assert (tracker.next_watermark(), tracker.skipped) == (Watermark(), 0)


def test_tracker_prunes_digests_during_a_long_first_run():
    """Of half a million records over a year, at most 12,000 digests are in memory at any time."""
    tracker, peak, year = IncrementTracker(Watermark(), NOON, HOUR, lambda: NOON), 0, 365 * 24 * HOUR
    for page in range(500):
        created = [NOON - year + (page * 1000 + number) * (year // 500_000) for number in range(1000)]
        tracker.add(PageDigests([digest(str(at).encode()) for at in created], created))
        tracker.commit()
        peak = max(peak, len(tracker._created_by_digest))
    assert peak < 12_000
    assert len(tracker.next_watermark().seen) < 100


def test_start_increment_distinguishes_runs_and_tasks():
    """A retry and a cleared task instance are the same run; another map index is another task."""
    first, retry = TaskRunKey.of("d", "r", "t"), TaskRunKey.of("d", "r", "t", -1)
    assert first == retry
    assert TaskRunKey.of("d", "r", "t", 1).task != first.task
    state = start_increment(None, "fingerprint", first).next_state("file", Watermark(5, 6, {7: 8}))
    assert IncrementState.from_json(json.loads(json.dumps(state.as_json()))) == state
    assert start_increment(state, "fingerprint", first).before == Watermark()
    assert start_increment(state, "fingerprint", TaskRunKey.of("d", "r2", "t")).before == Watermark(5, 6, {7: 8})
