"""Any history of a ledger and its increments: together they are the full export, and nothing comes twice in vain."""

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
from airflow_provider_arm.export.fetch.time_range import CLOCK_SKEW
from airflow_provider_arm.export.incremental.state import IncrementState, TaskRunKey, start_increment
from airflow_provider_arm.export.incremental.watermark import IncrementTracker, PageDigests, Watermark, digest
from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX
from airflow_provider_arm.export.pages.timestamps import instant_text
from airflow_provider_arm.export.run import run_export
from tests.unit.export.incremental.growing_list import HOUR, NOON, Killed, Ledger, Memory, increment, plan_for

#: What may happen between two looks. Numbers choose how much, or which.
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
#: Where a run may die: before its first page, in the middle of a query (twice, so that it is not begun again), and
#: when its file stands but its manifest does not, and when both stand but the mark did not move.
DEATHS = ["first page", "middle", "manifest", "mark"]


class History:
    """Plays events, and keeps for each run that came to its end what its file says."""

    def __init__(self, folder: Path, skew: int, cap: int, pace: int) -> None:
        self.folder = folder
        self.ledger = Ledger(cap)
        self.pace = pace
        self.ledger.before_page = self._page
        self.store = Memory()
        self.skew = skew
        self.runs = 0
        #: What the files of whole runs hold, by run, in the order in which the runs came first.
        self.whole: dict[str, list[bytes]] = {}

    def play(self, event: str, much: int, which: int) -> None:
        """Let one thing happen."""
        getattr(self, event.replace(" ", "_"))(much, which)

    def create(self, much: int, which: int) -> None:
        """An item is created; every other one shows only later, within the overlap."""
        late = HOUR * (which % 101) // 100 if which % 2 else 0
        self.ledger.add(self.ledger.now + self.skew, self.ledger.now + late)
        # Two may share a millisecond; more of them could not be split where the cap is smallest.
        self.ledger.now += max(much % 3, len(self.ledger.items) % 2)

    def change(self, much: int, which: int) -> None:
        """An item that was created within the overlap changes; some change back."""
        made = [item for item in self.ledger.items.values() if item.created + HOUR >= self.ledger.now + self.skew]
        if made:
            made[which % len(made)].version = much % 3

    def wait(self, much: int, which: int) -> None:
        """Time goes by: seconds, or days."""
        self.ledger.now += 60_000 * much * (30 if which % 4 == 0 else 1)

    def run(self, _much: int, _which: int) -> None:
        """The next run comes to its end."""
        self.runs += 1
        self._export(f"r{self.runs}")

    def crash(self, much: int, which: int) -> None:
        """The next run dies; half of them are retried, the others given up."""
        self.runs += 1
        name, death = f"r{self.runs}", DEATHS[which % len(DEATHS)]
        plain = Path.replace

        def before_page(number: int) -> None:
            if death == "first page":
                raise ArmIncompleteListError(death)
            if number > 1:
                raise ArmNotFoundError(death, status_code=410)

        def before_save() -> None:
            raise Killed

        def replace(part: Path, target: Path) -> None:
            if target.name.endswith(MANIFEST_SUFFIX):
                raise Killed
            plain(part, target)

        if death == "mark":
            self.store.before_save = before_save
        elif death != "manifest":
            self.ledger.before_page = before_page
        with (
            contextlib.suppress(ArmIncompleteListError, Killed),
            mock.patch.object(Path, "replace", replace) if death == "manifest" else contextlib.nullcontext(),
        ):
            self._export(name)
        self.ledger.before_page, self.store.before_save = self._page, lambda: None
        if name not in self.whole and much % 2:
            self.ledger.now += 60_000 * much
            self._export(name)

    def clear(self, much: int, _which: int) -> None:
        """The latest run that came to its end is cleared: it makes its increment again."""
        if self.store.state is not None:
            self.ledger.now += 1000 * much
            self._export(self.store.state["run"].split("/")[1])

    def clear_older(self, _much: int, which: int) -> None:
        """An older run is cleared: it is refused, and its file stands."""
        latest = self.store.state and self.store.state["run"].split("/")[1]
        older = [name for name in self.whole if name != latest]
        if older:
            path = self.folder / f"{older[which % len(older)]}.jsonl"
            before = path.read_bytes()
            with pytest.raises(ArmConfigurationError):
                increment(self.ledger, self.store, path, path.stem)
            assert path.read_bytes() == before

    def _page(self, _number: int) -> None:
        """A page takes its time: what shows meanwhile is on the queries that are yet to come."""
        self.ledger.now += self.pace

    def _export(self, name: str) -> None:
        path = self.folder / f"{name}.jsonl"
        increment(self.ledger, self.store, path, name)
        self.whole[name] = path.read_bytes().splitlines()

    def union(self) -> dict[str, bytes]:
        """Give all increments by key, the last one wins."""
        return {json.loads(line)["arItemId"]: line for lines in self.whole.values() for line in lines}


def full(history: History, **more: Any) -> dict[str, bytes]:
    """Export all, with what ARM gives for one query unbounded, so that nothing need be split."""
    history.ledger.cap = 10_000
    path = history.folder / f"full{len(list(history.folder.iterdir()))}.jsonl"
    run_export(plan_for(path, **more), history.ledger.source(), lambda: dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
    return {json.loads(line)["arItemId"]: line for line in path.read_bytes().splitlines()}


@settings(max_examples=150, deadline=None)
@given(
    EVENTS,
    st.sampled_from([0, -15 * HOUR, -60_000, 60_000, 15 * HOUR]),
    st.sampled_from([4, 9, 10_000]),
    st.sampled_from([0, 200_000]),
)
def test_all_increments_together_are_the_full_export(events, skew, cap, pace):
    """However items come late, change and runs die: the union of increments is what one export of all gives."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder), skew, cap, pace)
        for event in events:
            history.play(*event)
        history.ledger.now += 2 * HOUR
        history.run(0, 0)
        everything = full(history)
        assert history.union() == everything
        assert windows_of(history) == everything
        taken = Counter(line for lines in history.whole.values() for line in lines)
        versions = Counter(json.loads(line)["arItemId"] for line in taken)
        # An unchanged item is taken by one run only; one that changed and changed back is new each time.
        assert all(times == 1 or versions[json.loads(line)["arItemId"]] > 1 for line, times in taken.items())


def windows_of(history: History) -> dict[str, bytes]:
    """Export all by windows of created days."""
    start = dt.datetime.fromisoformat(instant_text(NOON + history.skew)).date() - dt.timedelta(days=1)
    found: dict[str, bytes] = {}
    for number in range(0, 100, 25):
        first, last = start + dt.timedelta(days=number), start + dt.timedelta(days=number + 24)
        found |= full(history, window=DateWindow(first, last, by="createdtime").days())
    return found


# ---- the arithmetic alone

created_times = st.integers(NOON - 100 * 24 * HOUR, NOON + 100 * 24 * HOUR)
marks = st.builds(
    Watermark,
    st.none() | created_times,
    st.none() | created_times,
    st.dictionaries(st.integers(0, 2**64 - 1), created_times),
)


@given(marks)
def test_a_mark_survives_json(mark):
    """What is written is read back, digest by digest."""
    assert Watermark.from_json(json.loads(json.dumps(mark.as_json()))) == mark


@given(marks, st.lists(st.lists(st.none() | created_times, max_size=20), max_size=8), st.integers(0, 48 * HOUR))
def test_the_mark_only_moves_forward_and_never_past_now(before, pages, overlap):
    """Whatever is met: low does not move back, lies an overlap before now, and all from it on is remembered."""
    gathering, met = IncrementTracker(before, NOON, overlap, lambda: NOON), {}
    for page in pages:
        digests = [digest(f"{len(met)} {number}".encode()) for number in range(len(page))]
        gathering.add(PageDigests(digests, page))
        gathering.keep()
        met |= {one: created for one, created in zip(digests, page, strict=True) if created is not None}
    after = gathering.after()
    if after.low is None:
        assert before.low is None
        assert not met
        return
    if before.low is not None:
        assert after.low >= before.low
    if after.low != before.low:
        assert NOON - overlap - CLOCK_SKEW <= after.low <= NOON - overlap
    assert after.seen == {one: created for one, created in met.items() if created >= after.low}


@given(st.lists(created_times, min_size=1), st.integers(0, 48 * HOUR))
def test_what_was_forgotten_was_never_there(created, overlap):
    """A query that is begun again leaves neither a digest nor a time."""
    gathering = IncrementTracker(Watermark(), NOON, overlap, lambda: NOON)
    gathering.add(PageDigests([digest(str(one).encode()) for one in created], created, 5))
    gathering.forget()
    gathering.keep()
    assert (gathering.after(), gathering.skipped) == (Watermark(), 0)


def test_a_first_run_over_a_long_list_remembers_only_its_end():
    """Memory does not grow with the rows: of half a million over a year a few thousand are held at any time."""
    gathering, max_records, year = IncrementTracker(Watermark(), NOON, HOUR, lambda: NOON), 0, 365 * 24 * HOUR
    for page in range(500):
        created = [NOON - year + (page * 1000 + number) * (year // 500_000) for number in range(1000)]
        gathering.add(PageDigests([digest(str(one).encode()) for one in created], created))
        gathering.keep()
        max_records = max(max_records, len(gathering._met))
    assert max_records < 12_000
    assert len(gathering.after().seen) < 100


def test_a_state_is_that_of_one_run_of_one_task():
    """Retry and cleared task are the same run; another map index is another task."""
    first, again = TaskRunKey.of("d", "r", "t"), TaskRunKey.of("d", "r", "t", -1)
    assert first == again
    assert TaskRunKey.of("d", "r", "t", 1).task != first.task
    state = start_increment(None, "asks", first).left_behind("file", Watermark(5, 6, {7: 8}))
    assert IncrementState.from_json(json.loads(json.dumps(state.as_json()))) == state
    assert start_increment(state, "asks", first).before == Watermark()
    assert start_increment(state, "asks", TaskRunKey.of("d", "r2", "t")).before == Watermark(5, 6, {7: 8})
