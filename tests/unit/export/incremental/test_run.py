"""Incremental exports: each record once, whatever becomes visible late, changes, fails or is restarted."""

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
from airflow_provider_arm.export.fetch.partition import parse_split_by
from airflow_provider_arm.export.fetch.time_range import MAX_CLOCK_SKEW
from airflow_provider_arm.export.incremental.errors import ArmWatermarkError, ArmWatermarkUnavailableError
from airflow_provider_arm.export.incremental.stores import FileWatermarkStore
from airflow_provider_arm.export.pages.record_types import CUSTOMERS
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

MINUTE = HOUR // 60


def keys_in(path: Any) -> list[str]:
    """Return the keys in a file of any format."""
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
    """Return a ledger with ten items, a minute apart, the last one created now."""
    growing = GrowingLedger()
    for minute in range(9, -1, -1):
        growing.add(NOON - minute * MINUTE)
    return growing


@pytest.fixture
def store():
    """Return an empty store."""
    return InMemoryStore()


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz", "a.csv.gz", "a.gz.parquet"])
@pytest.mark.parametrize("columns", [None, ("arItemId", "currencyAmount")])
def test_each_run_exports_only_what_is_new_in_every_format(ledger, store, tmp_path, name, columns):
    """All items, then none, then the new one; each file matches its manifest."""
    files, options = [], {}
    if columns:
        from airflow_provider_arm.export.pages.field_selection import select_fields
        from airflow_provider_arm.export.pages.record_types import AR_ITEMS

        options["selection"] = select_fields(AR_ITEMS, columns)
    for run in "123":
        (tmp_path / run).mkdir()
        files.append(tmp_path / run / name)
        ledger.now += MINUTE
        if run == "3":
            new = ledger.add()
        manifest = export_new(ledger, store, files[-1], run, **options)
        assert check_export(str(files[-1]) + ".manifest.json") == manifest
    assert [sorted(keys_in(file)) for file in files] == [sorted(set(ledger.items) - {new}), [], [new]]


def test_manifest_describes_the_increment(ledger, store, tmp_path):
    """Start, latest created time, number of skipped records, number of the increment, and the run."""
    first = export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    ledger.now += 30 * MINUTE
    second = export_new(ledger, store, tmp_path / "2.jsonl", "r2")
    assert first["increment"] == {"from": None, "to": format_milliseconds(NOON), "skipped": 0, "number": 1}
    assert second["increment"] == {
        "from": format_milliseconds(NOON - HOUR),
        "to": format_milliseconds(NOON),
        "skipped": 10,
        "number": 2,
    }
    assert (first["run"], second["run"]) == ("d/r1/t/-1", "d/r2/t/-1")
    assert [window["window"] for window in first["windows"] + second["windows"]] == [
        "createdtime the beginning to now",
        f"createdtime {format_milliseconds(NOON - HOUR)} to now",
    ]
    probe = {"fromcreatedtime": "9999-12-31T23:59:59.999+00:00"}  # checks that the list applies the filter
    assert ledger.requested == [probe, {}, {"fromcreatedtime": format_milliseconds(NOON - HOUR)}]


def test_manifest_of_a_full_export_has_no_increment(ledger, tmp_path):
    """It has neither ``increment`` nor ``run``."""
    import datetime as dt

    manifest = run_export(make_plan(tmp_path / "a.jsonl"), ledger.source(), lambda: dt.datetime.now(tz=dt.UTC))
    assert "increment" not in manifest
    assert "run" not in manifest


def test_empty_increment_succeeds(ledger, store, tmp_path, caplog):
    """If nothing is new, and if the list is empty, in which case the watermark stays at the beginning."""
    caplog.set_level(logging.INFO, "airflow_provider_arm.export")
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    assert export_new(ledger, store, tmp_path / "2.jsonl", "r2")["rows"] == 0
    assert f"no new AR items since {format_milliseconds(NOON - HOUR)}" in caplog.text
    empty = InMemoryStore()
    for run in ("r1", "r2"):
        manifest = export_new(GrowingLedger(), empty, tmp_path / f"empty-{run}.jsonl", run)
        assert manifest["increment"] | {"number": 0} == {"from": None, "to": None, "skipped": 0, "number": 0}
        assert empty.state["after"] == {"low": None, "latest": None, "seen": {}}
    assert "no new AR items since the beginning" in caplog.text


def test_items_of_one_millisecond_are_each_exported_once(ledger, store, tmp_path):
    """The watermark is at that millisecond, and further items become visible later."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1", overlap=0)
    late = [ledger.add(NOON) for _ in range(4)]
    assert export_new(ledger, store, tmp_path / "2.jsonl", "r2", overlap=0)["increment"]["skipped"] == 1
    assert keys_in(tmp_path / "2.jsonl") == late


@pytest.mark.parametrize("skew", [-20 * HOUR, -10 * MINUTE, 10 * MINUTE, 20 * HOUR])
def test_clock_skew_loses_no_item(store, tmp_path, skew):
    """ARM's clock is up to a day ahead or behind, and items become visible up to an hour late."""
    ledger, exported = GrowingLedger(), []
    for number in range(40):
        ledger.now += 7 * MINUTE
        ledger.add(ledger.now + skew, ledger.now + (number % 5) * 14 * MINUTE)
        if number % 3 == 0:
            export_new(ledger, store, tmp_path / f"{number}.jsonl", f"r{number}")
            exported += keys_in(tmp_path / f"{number}.jsonl")
    ledger.now += 2 * HOUR
    export_new(ledger, store, tmp_path / "last.jsonl", "last")
    exported += keys_in(tmp_path / "last.jsonl")
    assert sorted(exported) == sorted(ledger.items)


@pytest.mark.parametrize("skew", [0, -10 * MINUTE])
def test_created_time_in_the_future_does_not_move_the_watermark(store, tmp_path, skew):
    """The item is exported once, and items created now are still exported, also if ARM's clock is behind."""
    ledger = GrowingLedger()
    future = ledger.add(NOON + 400 * 24 * HOUR)
    exported = []
    for number in range(30):
        ledger.now += 20 * MINUTE
        ledger.add(ledger.now + skew, ledger.now + 50 * MINUTE)
        export_new(ledger, store, tmp_path / f"{number}.jsonl", f"r{number}")
        exported += keys_in(tmp_path / f"{number}.jsonl")
        assert store.state["after"]["low"] <= ledger.now - HOUR
    assert exported.count(future) == 1
    assert len(set(exported)) == len(exported) == 29 - 1


def test_watermark_advances_without_new_items(ledger, store, tmp_path):
    """After a week without a new item, only a day and the overlap are read again."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    ledger.now += 7 * 24 * HOUR
    export_new(ledger, store, tmp_path / "2.jsonl", "r2")
    assert store.state["after"] == {"low": ledger.now - HOUR - MAX_CLOCK_SKEW, "latest": NOON, "seen": {}}


def test_watermark_ahead_of_the_clock_raises(ledger, store, tmp_path):
    """Items created before the watermark's time would be missing."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    ledger.now -= 3 * HOUR
    with pytest.raises(ArmWatermarkUnavailableError, match="one of the clocks is wrong"):
        export_new(ledger, store, tmp_path / "2.jsonl", "r2")


def test_item_changed_within_the_overlap_is_exported_again(ledger, store, tmp_path):
    """With its new text, and once more when it changes back."""
    key = list(ledger.items)[-2]
    files = [tmp_path / f"{number}.jsonl" for number in range(4)]
    for number, version in enumerate((0, 1, 0, 0)):
        ledger.items[key].version = version
        export_new(ledger, store, files[number], f"r{number}")
    assert [keys_in(file) for file in files[1:]] == [[key], [key], []]
    assert json.loads(files[1].read_bytes())["currencyAmount"] == 1


def test_item_without_a_created_time_is_never_skipped(ledger, store, tmp_path):
    """It is exported whenever ARM returns it, because its digest could never be removed from the watermark."""
    ledger.items.clear()
    key = ledger.add()
    ledger.items[key].created = None
    for run in ("r1", "r2"):
        export_new(ledger, store, tmp_path / f"{run}.jsonl", run)
        assert keys_in(tmp_path / f"{run}.jsonl") == [key]


@pytest.mark.parametrize("zone", [-11, 0, 5, 14])
def test_time_zone_of_created_times_makes_no_difference(tmp_path, zone):
    """The watermark is a point in time, not a day, also around midnight."""
    import datetime as dt

    ledger, store, exported = GrowingLedger(), InMemoryStore(), []
    ledger.zone = dt.timezone(dt.timedelta(hours=zone))
    for number in range(30):
        ledger.now += HOUR
        ledger.add()
        export_new(ledger, store, tmp_path / f"{number}.jsonl", f"r{number}", overlap=0)
        exported += keys_in(tmp_path / f"{number}.jsonl")
    assert exported == list(ledger.items)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_restarted_query_leaves_no_digest(ledger, store, tmp_path, name):
    """An item that was only in the discarded pages is new when it is visible again."""
    key = ledger.add()
    removed = []

    def vanish(number: int) -> None:
        if number == 4 and not removed:
            removed.append(ledger.items.pop(key))
            raise ArmIncompleteListError("the list broke off", status_code=410)

    ledger.before_page = vanish
    manifest = export_new(ledger, store, tmp_path / name, "r1")
    assert (manifest["restarts"], key in keys_in(tmp_path / name)) == (1, False)
    ledger.items[key] = removed[0]
    export_new(ledger, store, tmp_path / f"2{name}", "r2")
    assert keys_in(tmp_path / f"2{name}") == [key]


def test_duplicate_item_fails_the_export_although_it_is_skipped(ledger, store, tmp_path):
    """A list that shifts between pages fails an increment like any export."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    original_text = ledger.text
    duplicate, replaced = list(ledger.items)[1], list(ledger.items)[8]
    ledger.text = lambda key: original_text(duplicate if key == replaced else key)
    with pytest.raises(ArmIncompleteListError, match="a duplicate arItemId in"):
        export_new(ledger, store, tmp_path / "2.jsonl", "r2")
    assert not (tmp_path / "2.jsonl").exists()


@pytest.mark.parametrize("cap", [2, 3, 5, 11])
def test_increment_above_the_cap_is_split_by_milliseconds(tmp_path, cap):
    """First run, empty run and a later run export each item once, and their manifests name the windows."""
    ledger, store, exported = GrowingLedger(cap), InMemoryStore(), []
    old = ledger.add(NOON - 40 * 365 * 24 * HOUR)
    for milliseconds in range(20):
        ledger.add(NOON - milliseconds)
    for run in ("r1", "r2", "r3"):
        if run == "r3":
            ledger.now += MINUTE
            for milliseconds in range(20):
                ledger.add(ledger.now - milliseconds)
        manifest = export_new(ledger, store, tmp_path / f"{run}.jsonl", run)
        assert len(manifest["windows"]) > 1
        assert check_export(str(tmp_path / f"{run}.jsonl.manifest.json")) == manifest
        exported.append(keys_in(tmp_path / f"{run}.jsonl"))
    assert [len(keys) for keys in exported] == [21, 0, 20]
    assert sorted(exported[0] + exported[2]) == sorted(ledger.items)
    assert old in exported[0]


def test_list_that_ignores_the_filter_fails_before_the_first_export(ledger, store, tmp_path):
    """Otherwise the first run would export everything, and no later run could request what is new."""
    ledger._select = lambda _: [ledger.text(key) for key in ledger.items]
    with pytest.raises(ArmConfigurationError, match="ignores the filter fromcreatedtime"):
        export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    assert (list(tmp_path.iterdir()), store.state) == ([], None)


def test_records_outside_the_requested_times_fail_the_run(ledger, store, tmp_path):
    """A server that ignores the filter is also detected after the first run."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    ledger.add(NOON - 2 * HOUR)
    ledger._select = lambda _: [ledger.text(key) for key in ledger.items]
    with pytest.raises(ArmConfigurationError, match="ignores the filters of created times"):
        export_new(ledger, store, tmp_path / "2.jsonl", "r2")


@pytest.mark.parametrize("created", ["soon", "2026-03-01T12:00:00.000", 5])
def test_invalid_created_time_raises_without_a_value(ledger, store, tmp_path, created):
    """Whether such a record is new is unknown; the message contains no value of it."""
    ledger.text = lambda key: json.dumps({"arItemId": key, "createdTime": created}).encode()
    with pytest.raises(InvalidResponseError, match="createdTime") as caught:
        export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    assert "arItemId 2218-1-0-0 (record 1 of page 1) has a createdTime" in str(caught.value)
    assert not any(value in str(caught.value) for value in ("soon", "12:00"))
    assert store.state is None


# ---- crashes, retries, cleared tasks


def test_retry_after_a_crash_before_the_watermark_loses_no_row(ledger, store, tmp_path):
    """The run exports the same increment again, with later items, and overwrites its file."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    first = ledger.add()

    def kill() -> None:
        raise ProcessKilled

    store.before_save = kill
    with pytest.raises(ProcessKilled):
        export_new(ledger, store, tmp_path / "2.jsonl", "r2")
    assert keys_in(tmp_path / "2.jsonl") == [first]
    store.before_save = lambda: None
    ledger.now += MINUTE
    second = ledger.add()
    manifest = export_new(ledger, store, tmp_path / "2.jsonl", "r2")
    assert keys_in(tmp_path / "2.jsonl") == [first, second]
    assert check_export(str(tmp_path / "2.jsonl.manifest.json")) == manifest


def test_cleared_latest_run_exports_its_increment_again(ledger, store, tmp_path):
    """It always starts from the same watermark, and the next run continues after it."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    keys = []
    for _ in range(3):
        ledger.now += 3 * HOUR
        keys.append(ledger.add())
        export_new(ledger, store, tmp_path / "2.jsonl", "r2")
        assert keys_in(tmp_path / "2.jsonl") == keys
    assert store.state["number"] == 2
    export_new(ledger, store, tmp_path / "3.jsonl", "r3")
    assert keys_in(tmp_path / "3.jsonl") == []


def test_cleared_older_run_fails_and_keeps_its_file(ledger, store, tmp_path):
    """It cannot be exported again, so its file must not be overwritten, even if nothing was new since."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    export_new(ledger, store, tmp_path / "2.jsonl", "r2")
    before, state = (tmp_path / "1.jsonl").read_bytes(), store.state
    with pytest.raises(ArmConfigurationError, match=r"path of its own, for example with \{\{ ts_nodash \}\}"):
        export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    assert ((tmp_path / "1.jsonl").read_bytes(), store.state) == (before, state)


def test_cleared_failed_run_keeps_its_file_when_another_run_followed(ledger, store, tmp_path):
    """It was killed before the watermark moved, and another run exported the same items."""

    def kill() -> None:
        raise ProcessKilled

    store.before_save = kill
    with pytest.raises(ProcessKilled):
        export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    store.before_save = lambda: None
    export_new(ledger, store, tmp_path / "2.jsonl", "r2")
    assert sorted(keys_in(tmp_path / "2.jsonl")) == sorted(ledger.items)
    with pytest.raises(ArmConfigurationError, match="path of its own"):
        export_new(ledger, store, tmp_path / "1.jsonl", "r1")


@pytest.mark.parametrize("manifest", [b'{"rows": 5}', b"[]", b"no JSON", b'{"run": "d/r1/t/-1"}'])
def test_run_never_overwrites_another_export(ledger, store, tmp_path, manifest):
    """A full export, or any other file with a manifest, is left untouched."""
    (tmp_path / "1.jsonl.manifest.json").write_bytes(manifest)
    with pytest.raises(ArmConfigurationError, match="already a complete export"):
        export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    assert ledger.requested == []


def test_second_run_on_the_same_path_fails(ledger, store, tmp_path):
    """It would overwrite the rows of the first run."""
    export_new(ledger, store, tmp_path / "a.jsonl", "r1")
    with pytest.raises(ArmConfigurationError, match="path of its own"):
        export_new(ledger, store, tmp_path / "a.jsonl", "r2")
    assert sorted(keys_in(tmp_path / "a.jsonl")) == sorted(ledger.items)


def test_run_fails_when_another_run_moved_the_watermark(ledger, store, tmp_path):
    """It fails before the file gets its final name; a retry starts from the new watermark."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    new = ledger.add()
    calls = []

    def run_other(number: int) -> None:
        if not calls:
            calls.append(number)
            ledger._lock.release()
            export_new(ledger, store, tmp_path / "2.jsonl", "r2")
            ledger._lock.acquire()

    ledger.before_page = run_other
    with pytest.raises(ArmWatermarkUnavailableError, match="max_active_runs=1") as caught:
        export_new(ledger, store, tmp_path / "3.jsonl", "r3")
    assert not caught.value.permanent
    assert not list(tmp_path.glob("*3.jsonl*"))
    assert keys_in(tmp_path / "2.jsonl") == [new]
    assert export_new(ledger, store, tmp_path / "3.jsonl", "r3")["rows"] == 0


# ---- invalid requests and broken watermarks


@pytest.mark.parametrize(
    "change", [{"filters": {"customerno": "2"}}, {"filters": {}}, {"split_by": parse_split_by({"kid": ["1"]})}], ids=str
)
def test_changed_request_does_not_use_the_watermark(ledger, store, tmp_path, change):
    """Filters and split_by must not change; neither the message nor the state contains a value."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1", filters={"customerno": "1"})
    state = store.state
    with pytest.raises(ArmWatermarkError, match=r"changed since the watermark was written.*task_id") as caught:
        export_new(ledger, store, tmp_path / "2.jsonl", "r2", **{"filters": {"customerno": "1"}, **change})
    assert caught.value.permanent
    assert store.state == state
    assert "customerno" not in json.dumps(state)


def test_watermark_of_another_task_raises(ledger, store, tmp_path):
    """If two tasks shared a watermark, each would miss records."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    with pytest.raises(ArmWatermarkError, match="belongs to the task d/t/-1"):
        export_new(ledger, store, tmp_path / "2.jsonl", "r1", task="other")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": DateWindow("2026-01-01", "2026-01-02").date_range()}, "incremental and window exclude each other"),
        ({"filters": {"fromcreatedtime": "2026-01-01"}}, "fromcreatedtime"),
        ({"filters": {"tocreatedtime": "2026-01-01"}}, "tocreatedtime"),
        ({"split_by": parse_split_by({"fromcreatedtime": ["2026-01-01"]})}, "fromcreatedtime"),
    ],
    ids=["window", "from", "to", "split_by"],
)
def test_arguments_that_exclude_incremental_raise(ledger, store, tmp_path, options, message):
    """Only the watermark determines the created times."""
    with pytest.raises(ArmConfigurationError, match=message):
        export_new(ledger, store, tmp_path / "1.jsonl", **options)
    assert ledger.requested == []


def test_list_without_a_known_created_time_raises(ledger, store, tmp_path):
    """Customers have none; the message names the alternative."""
    from dataclasses import replace

    from airflow_provider_arm.client.readings import DEFAULT_READINGS
    from airflow_provider_arm.export.incremental.run import check_incremental_plan

    with pytest.raises(ArmConfigurationError, match=r"customers have no known created time.*window"):
        check_incremental_plan(
            replace(make_plan(tmp_path / "a.jsonl"), record_type=CUSTOMERS), DEFAULT_READINGS.filters
        )


def test_watermark_above_the_limit_fails_before_the_file_appears(ledger, tmp_path):
    """The message names both alternatives; exactly the limit is allowed."""
    with pytest.raises(ArmWatermarkError, match=r"10 records, .* at most 9: .* shorter overlap or .* watermark_path"):
        export_new(ledger, InMemoryStore(max_records=9), tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []
    assert export_new(ledger, InMemoryStore(max_records=10), tmp_path / "a.jsonl")["rows"] == 10


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"query_fingerprint": "x"},
        {"number": "1"},
        {"after": {"low": "5", "latest": None, "seen": {}}},
        {"after": {"low": 5, "latest": None, "seen": {"5": "tooshort"}}},
        {"after": {"low": 5, "latest": None, "seen": {"x": "AAAAAAAAAAA"}}},
        {"after": {"low": 5, "latest": None, "seen": []}},
        {"before": None},
    ],
    ids=str,
)
def test_broken_state_raises_instead_of_starting_over(ledger, store, tmp_path, broken):
    """Each invalid value is an error that names the next step."""
    export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    store.state = {**store.state, **broken} if broken and "query_fingerprint" not in broken else broken
    with pytest.raises(ArmWatermarkError, match="invalid content"):
        export_new(ledger, store, tmp_path / "2.jsonl", "r2")
    assert not (tmp_path / "2.jsonl").exists()


# ---- the store in a file


def test_file_store_keeps_the_watermark_between_runs(ledger, tmp_path):
    """The file is replaced as a whole and contains no key of a record."""
    path = tmp_path / "watermarks" / "items.json"
    for run in ("r1", "r2"):
        manifest = export_new(ledger, FileWatermarkStore(path), tmp_path / f"{run}.jsonl", run)
    assert (manifest["rows"], manifest["increment"]["skipped"]) == (0, 10)
    assert [file.name for file in path.parent.iterdir()] == ["items.json"]
    assert "2218-1" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null"])
def test_broken_file_raises_instead_of_starting_over(ledger, tmp_path, content):
    """An empty or truncated file is an error and is left untouched."""
    path = tmp_path / "items.json"
    path.write_bytes(content)
    with pytest.raises(ArmWatermarkError, match=r"items\.json is not a watermark, or a broken one"):
        export_new(ledger, FileWatermarkStore(path), tmp_path / "a.jsonl")
    assert path.read_bytes() == content
    assert not (tmp_path / "a.jsonl").exists()


def test_unavailable_file_is_a_temporary_error(ledger, tmp_path):
    """On reading and on writing; the message has no text of the store's own error."""
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(ArmWatermarkUnavailableError, match="cannot be read") as caught:
        export_new(ledger, FileWatermarkStore(path), tmp_path / "a.jsonl")
    assert not caught.value.permanent
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(ArmWatermarkUnavailableError, match="cannot be written"):
        FileWatermarkStore(path).save({})


@pytest.mark.parametrize("skew", [-10 * HOUR, -40 * MINUTE])
def test_item_that_becomes_visible_during_a_long_run_is_exported(store, tmp_path, monkeypatch, skew):
    """Its half of the span was read before it became visible, and the other half has an item half an hour newer.

    ARM's clock is behind, so the created time of the newer item is before the start of the run.
    """
    monkeypatch.setattr(page_fetcher, "PREFETCHED_QUERIES", 0)  # reads one half after the other
    ledger = GrowingLedger(cap=6)
    for minute in range(8):
        ledger.add(NOON + skew - minute * 10 * MINUTE)
    late = ledger.add(NOON + skew - 45 * MINUTE, NOON + 10 * MINUTE)
    original_select, read, newest = ledger._select, [], []

    def covers(params: dict[str, str], created: int) -> bool:
        return params.get("fromcreatedtime", "") <= format_milliseconds(created) <= params.get("tocreatedtime", "9")

    def select_and_add(params: dict[str, str]) -> list[bytes]:
        if read and not newest and covers(params, ledger.now + 30 * MINUTE + skew):
            ledger.now += 30 * MINUTE
            newest.append(ledger.add(ledger.now + skew))
        rows = original_select(params)
        if len(rows) < ledger.cap and covers(params, ledger.items[late].created):
            read.append(params)
        return rows

    ledger._select = select_and_add
    manifest = export_new(ledger, store, tmp_path / "1.jsonl", "r1")
    assert len(manifest["windows"]) > 1
    assert newest
    export_new(ledger, store, tmp_path / "2.jsonl", "r2")
    exported = keys_in(tmp_path / "1.jsonl") + keys_in(tmp_path / "2.jsonl")
    assert late in exported
    assert sorted(exported) == sorted(ledger.items)
