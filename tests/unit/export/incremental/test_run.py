"""Incremental exports: every record once, whatever comes late, changes, crashes or is begun again."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmIncompleteListError
from airflow_provider_arm.client.http.messages import InvalidResponseError
from airflow_provider_arm.export import DateWindow, check_export
from airflow_provider_arm.export.fetch import page_fetcher
from airflow_provider_arm.export.fetch.partition import read_split_by
from airflow_provider_arm.export.fetch.time_range import CLOCK_SKEW
from airflow_provider_arm.export.incremental.errors import ArmWatermarkError, ArmWatermarkUnavailableError
from airflow_provider_arm.export.incremental.stores import FileWatermarkStore
from airflow_provider_arm.export.pages.record_types import CUSTOMERS
from airflow_provider_arm.export.pages.timestamps import instant_text
from airflow_provider_arm.export.run import run_export
from tests.unit.export.incremental.growing_list import HOUR, NOON, Killed, Ledger, Memory, increment, plan_for

MINUTE = HOUR // 60


def found(path: Any) -> list[str]:
    """List the keys of a file of any format."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if ".parquet" in path.name:
        return pq.read_table(io.BytesIO(data))["arItemId"].to_pylist()
    if ".csv" in path.name:
        return [row["arItemId"] for row in csv.DictReader(io.StringIO(data.decode(), newline=""))]
    return [json.loads(line)["arItemId"] for line in data.splitlines()]


@pytest.fixture
def ledger():
    """Give a ledger with ten items, a minute apart, the last of them now."""
    made = Ledger()
    for minute in range(9, -1, -1):
        made.add(NOON - minute * MINUTE)
    return made


@pytest.fixture
def store():
    """Give an empty store."""
    return Memory()


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz", "a.csv.gz", "a.gz.parquet"])
@pytest.mark.parametrize("columns", [None, ("arItemId", "currencyAmount")])
def test_each_run_has_only_what_is_new_in_every_format(ledger, store, tmp_path, name, columns):
    """All, then nothing, then the one that came: and each file agrees with its manifest."""
    files, more = [], {}
    if columns:
        from airflow_provider_arm.export.pages.record_types import AR_ITEMS, select

        more["selection"] = select(AR_ITEMS, columns)
    for run in "123":
        (tmp_path / run).mkdir()
        files.append(tmp_path / run / name)
        ledger.now += MINUTE
        if run == "3":
            new = ledger.add()
        manifest = increment(ledger, store, files[-1], run, **more)
        assert check_export(str(files[-1]) + ".manifest.json") == manifest
    assert [sorted(found(file)) for file in files] == [sorted(set(ledger.items) - {new}), [], [new]]


def test_the_manifest_says_from_when_to_when(ledger, store, tmp_path):
    """From the mark to the latest created time, how many were left out, and which increment of which run it is."""
    first = increment(ledger, store, tmp_path / "1.jsonl", "r1")
    ledger.now += 30 * MINUTE
    second = increment(ledger, store, tmp_path / "2.jsonl", "r2")
    assert first["increment"] == {"from": None, "to": instant_text(NOON), "skipped": 0, "number": 1}
    assert second["increment"] == {
        "from": instant_text(NOON - HOUR),
        "to": instant_text(NOON),
        "skipped": 10,
        "number": 2,
    }
    assert (first["run"], second["run"]) == ("d/r1/t/-1", "d/r2/t/-1")
    assert [window["window"] for window in first["windows"] + second["windows"]] == [
        "createdtime the beginning to now",
        f"createdtime {instant_text(NOON - HOUR)} to now",
    ]
    trial = {"fromcreatedtime": "9999-12-31T23:59:59.999+00:00"}  # whether the list goes by the filter at all
    assert ledger.asked == [trial, {}, {"fromcreatedtime": instant_text(NOON - HOUR)}]


def test_a_full_export_says_nothing_of_increments(ledger, tmp_path):
    """Its manifest is as it was."""
    import datetime as dt

    manifest = run_export(plan_for(tmp_path / "a.jsonl"), ledger.source(), lambda: dt.datetime.now(tz=dt.UTC))
    assert "increment" not in manifest
    assert "run" not in manifest


def test_an_empty_run_is_a_success_that_says_since_when(ledger, store, tmp_path, caplog):
    """Nothing new is a result; so is an empty list, whose mark stays at the beginning."""
    caplog.set_level(logging.INFO, "airflow_provider_arm.export")
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    assert increment(ledger, store, tmp_path / "2.jsonl", "r2")["rows"] == 0
    assert f"nothing is new among the AR items since {instant_text(NOON - HOUR)}" in caplog.text
    empty = Memory()
    for run in ("r1", "r2"):
        manifest = increment(Ledger(), empty, tmp_path / f"empty-{run}.jsonl", run)
        assert manifest["increment"] | {"number": 0} == {"from": None, "to": None, "skipped": 0, "number": 0}
        assert empty.state["after"] == {"low": None, "latest": None, "seen": {}}
    assert "nothing is new among the AR items since the beginning" in caplog.text


def test_items_of_the_very_moment_of_the_mark_are_told_apart(ledger, store, tmp_path):
    """Of one millisecond some were taken and others come later: each once."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1", overlap=0)
    late = [ledger.add(NOON) for _ in range(4)]
    assert increment(ledger, store, tmp_path / "2.jsonl", "r2", overlap=0)["increment"]["skipped"] == 1
    assert found(tmp_path / "2.jsonl") == late


@pytest.mark.parametrize("skew", [-20 * HOUR, -10 * MINUTE, 10 * MINUTE, 20 * HOUR])
def test_clocks_that_differ_lose_nothing(store, tmp_path, skew):
    """ARM's clock goes before or after ours by less than a day, and items show up to an hour late."""
    ledger, taken = Ledger(), []
    for number in range(40):
        ledger.now += 7 * MINUTE
        ledger.add(ledger.now + skew, ledger.now + (number % 5) * 14 * MINUTE)
        if number % 3 == 0:
            increment(ledger, store, tmp_path / f"{number}.jsonl", f"r{number}")
            taken += found(tmp_path / f"{number}.jsonl")
    ledger.now += 2 * HOUR
    increment(ledger, store, tmp_path / "last.jsonl", "last")
    taken += found(tmp_path / "last.jsonl")
    assert sorted(taken) == sorted(ledger.items)


@pytest.mark.parametrize("skew", [0, -10 * MINUTE])
def test_a_created_time_in_the_future_pushes_the_mark_nowhere(store, tmp_path, skew):
    """It is taken once and remembered; what is created now is still found, with an ARM whose clock goes after ours."""
    ledger = Ledger()
    future = ledger.add(NOON + 400 * 24 * HOUR)
    taken = []
    for number in range(30):
        ledger.now += 20 * MINUTE
        ledger.add(ledger.now + skew, ledger.now + 50 * MINUTE)
        increment(ledger, store, tmp_path / f"{number}.jsonl", f"r{number}")
        taken += found(tmp_path / f"{number}.jsonl")
        assert store.state["after"]["low"] <= ledger.now - HOUR
    assert taken.count(future) == 1
    assert len(set(taken)) == len(taken) == 29 - 1


def test_a_quiet_list_does_not_hold_the_mark_back(ledger, store, tmp_path):
    """After a week without a new item a day and the overlap are looked at again, and no more is remembered."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    ledger.now += 7 * 24 * HOUR
    increment(ledger, store, tmp_path / "2.jsonl", "r2")
    assert store.state["after"] == {"low": ledger.now - HOUR - CLOCK_SKEW, "latest": NOON, "seen": {}}


def test_a_clock_that_was_put_back_is_told(ledger, store, tmp_path):
    """A mark that lies ahead of our clock would leave out what is created until then."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    ledger.now -= 3 * HOUR
    with pytest.raises(ArmWatermarkUnavailableError, match="one of the clocks is wrong"):
        increment(ledger, store, tmp_path / "2.jsonl", "r2")


def test_what_changes_within_the_overlap_is_taken_once_more(ledger, store, tmp_path):
    """With its new text; and once more when it changes back."""
    key = list(ledger.items)[-2]
    files = [tmp_path / f"{number}.jsonl" for number in range(4)]
    for number, version in enumerate((0, 1, 0, 0)):
        ledger.items[key].version = version
        increment(ledger, store, files[number], f"r{number}")
    assert [found(file) for file in files[1:]] == [[key], [key], []]
    assert json.loads(files[1].read_bytes())["currencyAmount"] == 1


def test_an_item_without_a_created_time_is_never_left_out(ledger, store, tmp_path):
    """Where ARM gives it, it is taken; each time, because nobody could say when to forget it."""
    ledger.items.clear()
    key = ledger.add()
    ledger.items[key].created = None
    for run in ("r1", "r2"):
        increment(ledger, store, tmp_path / f"{run}.jsonl", run)
        assert found(tmp_path / f"{run}.jsonl") == [key]


@pytest.mark.parametrize("zone", [-11, 0, 5, 14])
def test_the_zone_in_which_arm_writes_changes_nothing(tmp_path, zone):
    """Around midnight, in any zone: the mark goes by moments and not by days."""
    import datetime as dt

    ledger, store, taken = Ledger(), Memory(), []
    ledger.zone = dt.timezone(dt.timedelta(hours=zone))
    for number in range(30):
        ledger.now += HOUR
        ledger.add()
        increment(ledger, store, tmp_path / f"{number}.jsonl", f"r{number}", overlap=0)
        taken += found(tmp_path / f"{number}.jsonl")
    assert taken == list(ledger.items)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_query_that_is_begun_again_leaves_no_digest_behind(ledger, store, tmp_path, name):
    """What was read of it the first time is not remembered: an item that was only there then is new when it returns."""
    ghost = ledger.add()
    gone = []

    def vanish(number: int) -> None:
        if number == 4 and not gone:
            gone.append(ledger.items.pop(ghost))
            raise ArmIncompleteListError("it broke off", status_code=410)

    ledger.before_page = vanish
    manifest = increment(ledger, store, tmp_path / name, "r1")
    assert (manifest["restarts"], ghost in found(tmp_path / name)) == (1, False)
    ledger.items[ghost] = gone[0]
    increment(ledger, store, tmp_path / f"2{name}", "r2")
    assert found(tmp_path / f"2{name}") == [ghost]


def test_an_item_that_comes_twice_is_seen_although_it_is_left_out(ledger, store, tmp_path):
    """A list that shifts between pages fails an increment as it fails every export."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    text = ledger.text
    twice, other = list(ledger.items)[1], list(ledger.items)[8]
    ledger.text = lambda key: text(twice if key == other else key)
    with pytest.raises(ArmIncompleteListError, match="the same arItemId came twice"):
        increment(ledger, store, tmp_path / "2.jsonl", "r2")
    assert not (tmp_path / "2.jsonl").exists()


@pytest.mark.parametrize("cap", [2, 3, 5, 11])
def test_past_the_cap_the_span_is_split_by_milliseconds(tmp_path, cap):
    """Whatever the cap: first run, quiet run and a later one have every item once, and say their parts."""
    ledger, store, taken = Ledger(cap), Memory(), []
    old = ledger.add(NOON - 40 * 365 * 24 * HOUR)
    for milliseconds in range(20):
        ledger.add(NOON - milliseconds)
    for run in ("r1", "r2", "r3"):
        if run == "r3":
            ledger.now += MINUTE
            for milliseconds in range(20):
                ledger.add(ledger.now - milliseconds)
        manifest = increment(ledger, store, tmp_path / f"{run}.jsonl", run)
        assert len(manifest["windows"]) > 1
        assert check_export(str(tmp_path / f"{run}.jsonl.manifest.json")) == manifest
        taken.append(found(tmp_path / f"{run}.jsonl"))
    assert [len(keys) for keys in taken] == [21, 0, 20]
    assert sorted(taken[0] + taken[2]) == sorted(ledger.items)
    assert old in taken[0]


def test_a_list_that_passes_over_the_bound_is_told_before_the_first_export(ledger, store, tmp_path):
    """Else the first run would take everything, and no later one could ask for what is new."""
    ledger._found = lambda _: [ledger.text(key) for key in ledger.items]
    with pytest.raises(ArmConfigurationError, match="passes over the filter fromcreatedtime"):
        increment(ledger, store, tmp_path / "1.jsonl", "r1")
    assert (list(tmp_path.iterdir()), store.state) == ([], None)


def test_a_server_that_passes_over_the_bound_is_told(ledger, store, tmp_path):
    """What lies outside of what was asked for fails the run."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    ledger.add(NOON - 2 * HOUR)
    ledger._found = lambda _: [ledger.text(key) for key in ledger.items]
    with pytest.raises(ArmConfigurationError, match="does not go by the filters fromcreatedtime"):
        increment(ledger, store, tmp_path / "2.jsonl", "r2")


@pytest.mark.parametrize("created", ["soon", "2026-03-01T12:00:00.000", 5])
def test_a_created_time_that_is_none_fails_and_quotes_nothing(ledger, store, tmp_path, created):
    """Nobody could tell whether such a record is new."""
    ledger.text = lambda key: json.dumps({"arItemId": key, "createdTime": created}).encode()
    with pytest.raises(InvalidResponseError, match="createdTime") as caught:
        increment(ledger, store, tmp_path / "1.jsonl", "r1")
    assert "2218-1" not in str(caught.value)
    assert store.state is None


# ---- crashes, retries, cleared tasks


def test_a_crash_between_file_and_mark_is_mended_by_the_retry(ledger, store, tmp_path):
    """The same run makes the same increment again, and what came meanwhile, over the same file."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    lost = ledger.add()

    def killed() -> None:
        raise Killed

    store.before_save = killed
    with pytest.raises(Killed):
        increment(ledger, store, tmp_path / "2.jsonl", "r2")
    assert found(tmp_path / "2.jsonl") == [lost]
    store.before_save = lambda: None
    ledger.now += MINUTE
    meanwhile = ledger.add()
    manifest = increment(ledger, store, tmp_path / "2.jsonl", "r2")
    assert found(tmp_path / "2.jsonl") == [lost, meanwhile]
    assert check_export(str(tmp_path / "2.jsonl.manifest.json")) == manifest


def test_the_latest_run_cleared_makes_its_increment_again(ledger, store, tmp_path):
    """It begins where it began, also the third time; the run after it goes on from there."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    keys = []
    for _ in range(3):
        ledger.now += 3 * HOUR
        keys.append(ledger.add())
        increment(ledger, store, tmp_path / "2.jsonl", "r2")
        assert found(tmp_path / "2.jsonl") == keys
    assert store.state["number"] == 2
    increment(ledger, store, tmp_path / "3.jsonl", "r3")
    assert found(tmp_path / "3.jsonl") == []


def test_an_older_run_cleared_keeps_its_rows(ledger, store, tmp_path):
    """It cannot be made again, so what it wrote is not written over; also where the mark did not move since."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    increment(ledger, store, tmp_path / "2.jsonl", "r2")
    before, state = (tmp_path / "1.jsonl").read_bytes(), store.state
    with pytest.raises(ArmConfigurationError, match=r"path of its own, such as one with \{\{ ts_nodash \}\}"):
        increment(ledger, store, tmp_path / "1.jsonl", "r1")
    assert ((tmp_path / "1.jsonl").read_bytes(), store.state) == (before, state)


def test_a_run_that_was_given_up_and_followed_keeps_its_rows(ledger, store, tmp_path):
    """It died before the mark moved, another run went on: clearing it does not write over its file."""

    def killed() -> None:
        raise Killed

    store.before_save = killed
    with pytest.raises(Killed):
        increment(ledger, store, tmp_path / "1.jsonl", "r1")
    store.before_save = lambda: None
    increment(ledger, store, tmp_path / "2.jsonl", "r2")
    assert sorted(found(tmp_path / "2.jsonl")) == sorted(ledger.items)
    with pytest.raises(ArmConfigurationError, match="path of its own"):
        increment(ledger, store, tmp_path / "1.jsonl", "r1")


@pytest.mark.parametrize("manifest", [b'{"rows": 5}', b"[]", b"no JSON", b'{"run": "d/r1/t/-1"}'])
def test_nothing_but_its_own_increment_is_written_over(ledger, store, tmp_path, manifest):
    """A full export, or whatever has a manifest, stands where it stood."""
    (tmp_path / "1.jsonl.manifest.json").write_bytes(manifest)
    with pytest.raises(ArmConfigurationError, match="whole export already"):
        increment(ledger, store, tmp_path / "1.jsonl", "r1")
    assert ledger.asked == []


def test_two_runs_on_one_path_do_not_lose_each_other(ledger, store, tmp_path):
    """A path without the run in it is refused by the second run."""
    increment(ledger, store, tmp_path / "a.jsonl", "r1")
    with pytest.raises(ArmConfigurationError, match="path of its own"):
        increment(ledger, store, tmp_path / "a.jsonl", "r2")
    assert sorted(found(tmp_path / "a.jsonl")) == sorted(ledger.items)


def test_a_mark_that_another_run_moved_meanwhile_stops_this_one(ledger, store, tmp_path):
    """Before the file has its name; a retry begins from the new mark."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    new = ledger.add()
    first = []

    def other(number: int) -> None:
        if not first:
            first.append(number)
            ledger._lock.release()
            increment(ledger, store, tmp_path / "2.jsonl", "r2")
            ledger._lock.acquire()

    ledger.before_page = other
    with pytest.raises(ArmWatermarkUnavailableError, match="max_active_runs=1") as caught:
        increment(ledger, store, tmp_path / "3.jsonl", "r3")
    assert not caught.value.permanent
    assert not list(tmp_path.glob("*3.jsonl*"))
    assert found(tmp_path / "2.jsonl") == [new]
    assert increment(ledger, store, tmp_path / "3.jsonl", "r3")["rows"] == 0


# ---- what is refused


@pytest.mark.parametrize(
    "change",
    [{"filters": {"customerno": "2"}}, {"filters": {}}, {"split_by": read_split_by({"kid": ["1"]})}],
    ids=str,
)
def test_another_list_than_the_mark_was_made_for_is_refused(ledger, store, tmp_path, change):
    """Filters and what it is split by; the message quotes no value."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1", filters={"customerno": "1"})
    state = store.state
    with pytest.raises(ArmWatermarkError, match=r"changed since the watermark was made.*task_id") as caught:
        increment(ledger, store, tmp_path / "2.jsonl", "r2", **{"filters": {"customerno": "1"}, **change})
    assert caught.value.permanent
    assert store.state == state
    assert "customerno" not in json.dumps(state)


def test_the_mark_of_another_task_is_refused(ledger, store, tmp_path):
    """Two tasks on one watermark would each get a part."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    with pytest.raises(ArmWatermarkError, match="belongs to the task d/t/-1"):
        increment(ledger, store, tmp_path / "2.jsonl", "r1", task="other")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"window": DateWindow("2026-01-01", "2026-01-02").days()}, "incremental and window exclude each other"),
        ({"filters": {"fromcreatedtime": "2026-01-01"}}, "fromcreatedtime"),
        ({"filters": {"tocreatedtime": "2026-01-01"}}, "tocreatedtime"),
        ({"split_by": read_split_by({"fromcreatedtime": ["2026-01-01"]})}, "fromcreatedtime"),
    ],
    ids=["window", "from", "to", "split_by"],
)
def test_what_contradicts_a_watermark_is_refused(ledger, store, tmp_path, more, says):
    """The mark alone says from when."""
    with pytest.raises(ArmConfigurationError, match=says):
        increment(ledger, store, tmp_path / "1.jsonl", **more)
    assert ledger.asked == []


def test_a_list_without_a_created_time_is_refused(ledger, store, tmp_path):
    """Customers have none that is known: the error says what there is instead."""
    from dataclasses import replace

    from airflow_provider_arm.export.incremental.run import check_incremental_plan

    with pytest.raises(ArmConfigurationError, match=r"customers have no known created time.*window"):
        check_incremental_plan(replace(plan_for(tmp_path / "a.jsonl"), kind=CUSTOMERS))


def test_too_many_to_remember_fails_before_the_file_appears(ledger, tmp_path):
    """And says the two ways out; one more than may be is too many."""
    with pytest.raises(ArmWatermarkError, match=r"10 records .* at most 9 .* shorter overlap, or .* watermark_path"):
        increment(ledger, Memory(max_records=9), tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []
    assert increment(ledger, Memory(max_records=10), tmp_path / "a.jsonl")["rows"] == 10


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"asks": "x"},
        {"number": "1"},
        {"after": {"low": "5", "latest": None, "seen": {}}},
        {"after": {"low": 5, "latest": None, "seen": {"5": "tooshort"}}},
        {"after": {"low": 5, "latest": None, "seen": {"x": "AAAAAAAAAAA"}}},
        {"after": {"low": 5, "latest": None, "seen": []}},
        {"before": None},
    ],
    ids=str,
)
def test_a_broken_state_is_never_a_fresh_start(ledger, store, tmp_path, broken):
    """Whatever of it is not as it was written: an error that says what to do."""
    increment(ledger, store, tmp_path / "1.jsonl", "r1")
    store.state = {**store.state, **broken} if broken and "asks" not in broken else broken
    with pytest.raises(ArmWatermarkError, match="cannot be read as one"):
        increment(ledger, store, tmp_path / "2.jsonl", "r2")
    assert not (tmp_path / "2.jsonl").exists()


# ---- the file


def test_a_watermark_in_a_file_is_kept_between_runs(ledger, tmp_path):
    """It is replaced as a whole; no key of a record stands in it."""
    path = tmp_path / "marks" / "items.json"
    for run in ("r1", "r2"):
        manifest = increment(ledger, FileWatermarkStore(path), tmp_path / f"{run}.jsonl", run)
    assert (manifest["rows"], manifest["increment"]["skipped"]) == (0, 10)
    assert [one.name for one in path.parent.iterdir()] == ["items.json"]
    assert "2218-1" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null"])
def test_a_broken_file_is_never_a_fresh_start(ledger, tmp_path, content):
    """An empty or cut file is an error, and is still there afterwards."""
    path = tmp_path / "items.json"
    path.write_bytes(content)
    with pytest.raises(ArmWatermarkError, match=r"items\.json is no watermark, or a broken one"):
        increment(ledger, FileWatermarkStore(path), tmp_path / "a.jsonl")
    assert path.read_bytes() == content
    assert not (tmp_path / "a.jsonl").exists()


def test_a_file_that_cannot_be_reached_may_be_tried_again(ledger, tmp_path):
    """Reading or writing: a later try may help, and nothing of the store's own words is shown."""
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(ArmWatermarkUnavailableError, match="cannot be read") as caught:
        increment(ledger, FileWatermarkStore(path), tmp_path / "a.jsonl")
    assert not caught.value.permanent
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(ArmWatermarkUnavailableError, match="cannot be written"):
        FileWatermarkStore(path).save({})


@pytest.mark.parametrize("skew", [-10 * HOUR, -40 * MINUTE])
def test_what_shows_while_a_long_run_reads_on_is_not_passed_by(store, tmp_path, monkeypatch, skew):
    """One half was read before it showed, the other half has an item that is half an hour newer.

    ARM's clock goes after ours, so that this newer item looks as if it had been there when the run began.
    """
    monkeypatch.setattr(page_fetcher, "QUERIES_AHEAD", 0)  # one half after the other, whichever thread is faster
    ledger = Ledger(cap=6)
    for minute in range(8):
        ledger.add(NOON + skew - minute * 10 * MINUTE)
    late = ledger.add(NOON + skew - 45 * MINUTE, NOON + 10 * MINUTE)
    plain, passed, newest = ledger._found, [], []

    def covers(params: dict[str, str], created: int) -> bool:
        return params.get("fromcreatedtime", "") <= instant_text(created) <= params.get("tocreatedtime", "9")

    def found_so_far(params: dict[str, str]) -> list[bytes]:
        if passed and not newest and covers(params, ledger.now + 30 * MINUTE + skew):
            ledger.now += 30 * MINUTE
            newest.append(ledger.add(ledger.now + skew))
        rows = plain(params)
        if len(rows) < ledger.cap and covers(params, ledger.items[late].created):
            passed.append(params)
        return rows

    ledger._found = found_so_far
    manifest = increment(ledger, store, tmp_path / "1.jsonl", "r1")
    assert len(manifest["windows"]) > 1
    assert newest
    increment(ledger, store, tmp_path / "2.jsonl", "r2")
    taken = found(tmp_path / "1.jsonl") + found(tmp_path / "2.jsonl")
    assert late in taken
    assert sorted(taken) == sorted(ledger.items)
