"""Incremental exports as operators: where the watermark is kept, what is refused, and real DAG runs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias, BaseOperator

from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.export import DateWindow, check_export
from airflow_provider_arm.export.incremental.errors import ArmWatermarkError, ArmWatermarkUnavailableError
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.export import CustomerExportOperator, GlItemExportOperator, ListExportOperator
from airflow_provider_arm.operators.reconcile import LedgerReconcileOperator
from airflow_provider_arm.runtime.export import asset_watermark
from airflow_provider_arm.runtime.export.asset_watermark import AssetWatermarkStore, watermark_key
from airflow_provider_arm.sandbox.api import lists
from tests.unit.airflow.invoices import documents

ITEMS = Asset("arm_items")
CUSTOMER_NO = "543210"


class AssetState:
    """What ``context["asset_state_store"][asset]`` does: JSON values by key, outliving the run."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        #: How many more writes go well; ``None``: all.
        self.writes: int | None = None
        self.is_away = False

    def get(self, key: str, default: Any = None) -> Any:
        if self.is_away:
            raise ConnectionError("canary")
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any) -> None:
        assert value is not None
        assert len(json.dumps(value)) <= 64 * 1024
        if self.writes is not None:
            if not self.writes:
                raise ConnectionError("canary")
            self.writes -= 1
        self.values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


class AssetStates(dict):
    """What ``context["asset_state_store"]`` does: the state of each outlet."""

    def __getitem__(self, asset: Any) -> AssetState:
        return super().__getitem__(asset.name)


@pytest.fixture
def state():
    """Give an empty asset state."""
    return AssetState()


@pytest.fixture
def a_run(a_try, state):
    """Give a function that makes the context of a run, on an Airflow that keeps asset state."""

    def make(run_id="r1", **names):
        context = a_try(run_id=run_id, task_id="export", **names)
        context["asset_state_store"] = AssetStates(arm_items=state)
        return context

    return make


def export(path, context, kind=ArItemExportOperator, **arguments):
    """Make the operator and run it."""
    arguments = {"outlets": [AssetAlias("other"), ITEMS], "incremental": True, **arguments}
    return kind(task_id="export", path=str(path), **arguments).execute(context)


def new_item():
    """Let ARM book an invoice now; gives its item's key."""
    client = ArmHook().client
    # The look lets the sandbox process it now.
    client.get_batch(client.submit_batch("create_document_batch", documents(1, 70001)).batch_uuid)
    (item,) = [one for page in client.list_ar_items({"documentno": "70001"}).pages() for one in page.items]
    return item.ar_item_id


def keys(path):
    """List the items of a file."""
    return [json.loads(line)["arItemId"] for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("kept", ["asset state", "file"])
def test_the_second_run_has_only_what_is_new(arm_sandbox, arm_connection, a_run, tmp_path, kept):
    """Wherever the watermark is kept: all, then what was booked, then nothing; and the result says so."""
    arguments = {"watermark_path": f"file://{tmp_path}/marks/items.json"} if kept == "file" else {}
    first = export(tmp_path / "1.jsonl", a_run("r1"), **arguments)
    new = new_item()
    second = export(tmp_path / "2.jsonl", a_run("r2"), **arguments)
    third = export(tmp_path / "3.jsonl", a_run("r3"), **arguments)
    assert (first["rows"], second["rows"], third["rows"]) == (200, 1, 0)
    assert keys(tmp_path / "2.jsonl") == [new]
    assert [result["increment"]["number"] for result in (first, second, third)] == [1, 2, 3]
    assert first["increment"]["from"] is None
    assert second["increment"]["from"] < second["increment"]["to"] == third["increment"]["to"]
    for number in (1, 2, 3):
        check_export(str(tmp_path / f"{number}.jsonl.manifest.json"))
    json.dumps([first, second, third])


def test_a_retry_makes_the_same_increment_again(arm_sandbox, arm_connection, a_run, state, tmp_path):
    """The first try dies when the watermark is written: an error that a retry can mend, and no row is lost."""
    export(tmp_path / "1.jsonl", a_run("r1"))
    new = new_item()
    state.writes = 0
    with pytest.raises(ArmTransientException, match=r"watermark cannot be written .*ConnectionError") as caught:
        export(tmp_path / "2.jsonl", a_run("r2"))
    assert "canary" not in str(caught.value)
    state.writes = None
    assert export(tmp_path / "2.jsonl", a_run("r2", try_number=2))["rows"] == 1
    assert keys(tmp_path / "2.jsonl") == [new]
    assert export(tmp_path / "3.jsonl", a_run("r3"))["rows"] == 0


@pytest.mark.parametrize("cap", [40, 90])
@pytest.mark.parametrize("total", ["capped", "true"])
def test_past_the_cap_each_item_comes_once(arm_sandbox, arm_connection, a_run, tmp_path, monkeypatch, cap, total):
    """ARM cuts at a small cap: the first run is split from the beginning of time on, the next ones as they need."""
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", cap)
    arm_sandbox.behave(q09_total=total)
    whole = export(tmp_path / "1.jsonl", a_run("r1"), overlap=timedelta(days=3000))
    new = new_item()
    more = export(tmp_path / "2.jsonl", a_run("r2"), overlap=timedelta(days=3000))
    assert (whole["rows"], len(set(keys(tmp_path / "1.jsonl")))) == (200, 200)
    assert keys(tmp_path / "2.jsonl") == [new]
    assert (more["increment"]["skipped"], more["pages"] > 1) == (200, True)
    for number in (1, 2):
        manifest = check_export(str(tmp_path / f"{number}.jsonl.manifest.json"))
        assert len(manifest["windows"]) > 2


def test_an_increment_can_be_reconciled_like_any_export(arm_sandbox, arm_connection, a_run, tmp_path):
    """Its manifest says more than a full export's, and nothing less."""
    result = export(tmp_path / "1.parquet", a_run())
    full = ArItemExportOperator(task_id="full", path=str(tmp_path / "full.csv")).execute(a_run())
    told = LedgerReconcileOperator(
        task_id="reconcile",
        export=result["manifest_uri"],
        against=full["manifest_uri"],
        path=str(tmp_path / "report"),
    ).execute(a_run())
    assert told["matches"]


def test_each_mapped_task_has_a_watermark_of_its_own(arm_sandbox, arm_connection, a_run, state, tmp_path):
    """One asset keeps them all."""
    for index in (0, 1):
        result = export(tmp_path / f"{index}.jsonl", a_run(map_index=index))
        assert result["rows"] == 200
    heads = {key for key, value in state.values.items() if isinstance(json.loads(value), dict)}
    assert heads == {"arm_export.d.export.0", "arm_export.d.export.1"}


def test_the_state_holds_no_record_and_no_filter(arm_sandbox, arm_connection, a_run, state, tmp_path):
    """Checksums and times only."""
    export(tmp_path / "1.jsonl", a_run(), filters={"customerno": CUSTOMER_NO})
    assert keys(tmp_path / "1.jsonl")
    text = " ".join(state.values.values())
    assert CUSTOMER_NO not in text
    assert keys(tmp_path / "1.jsonl")[0] not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"incremental": "yesterday"}, ["incremental", "True or False", "yesterday"]),
        ({"incremental": ""}, ["incremental", "True or False"]),
        ({"incremental": False, "watermark_path": "/x"}, ["watermark_path", "incremental=True"]),
        ({"window": DateWindow("2026-01-01", "2026-01-02")}, ["incremental and window exclude"]),
        ({"overlap": -1}, ["overlap", "between 0 and"]),
        ({"overlap": timedelta(seconds=-1)}, ["overlap"]),
        ({"overlap": float("nan")}, ["overlap"]),
        ({"overlap": float("inf")}, ["overlap"]),
        ({"overlap": "3600"}, ["overlap"]),
        ({"filters": {"fromcreatedtime": "2026-01-01"}}, ["fromcreatedtime", "incremental=True"]),
        ({"kind": CustomerExportOperator}, ["customers have no known created time", "window"]),
        ({"kind": ListExportOperator, "resource": "/clients/{clientno}/aritems"}, ["no known created time"]),
        ({"outlets": []}, ["outlets=[Asset(...)]", "watermark_path", "3.3"]),
        ({"outlets": [AssetAlias("other")]}, ["outlets=[Asset(...)]", "watermark_path"]),
        ({"watermark_path": "marks.json"}, ["watermark_path", "absolute"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_argument_is_told(arm_sandbox, arm_connection, a_run, tmp_path, arguments, words):
    """Each mistake is one sentence, nothing is asked and no file appears."""
    with pytest.raises(ArmFailException) as caught:
        export(tmp_path / "a.jsonl", a_run(), **arguments)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert arm_sandbox.requests(path="/arm/v1/clients/2218/aritems") == []


def test_before_airflow_keeps_asset_state_both_ways_out_are_told(arm_sandbox, arm_connection, a_try, tmp_path):
    """An outlet alone does not do on Airflow 3.1; a file does."""
    context = a_try(task_id="export")
    with pytest.raises(ArmFailException, match=r"outlets=\[Asset.*watermark_path"):
        export(tmp_path / "a.jsonl", context)
    assert export(tmp_path / "a.jsonl", context, watermark_path=str(tmp_path / "mark.json"))["rows"] == 200


def test_a_list_that_does_not_take_the_filter_says_so(arm_sandbox, arm_connection, a_run, tmp_path):
    """Whether GL items can be asked for by created time is not published: a refusal comes with the first run."""
    with pytest.raises(ArmFailException, match="fromcreatedtime"):
        export(tmp_path / "1.jsonl", a_run("r1"), kind=GlItemExportOperator)
    assert list(tmp_path.iterdir()) == []


def test_incremental_and_watermark_path_are_templated():
    """Both are rendered; an overlap may be a timedelta."""
    operator = ArItemExportOperator(
        task_id="export",
        path="a.jsonl",
        incremental="{{ params.incremental }}",
        watermark_path="/{{ ds }}.json",
        overlap=timedelta(hours=2),
    )
    operator.render_template_fields({"ds": "2026-01-05", "params": {"incremental": True}})
    assert (operator.incremental, operator.watermark_path) == ("True", "/2026-01-05.json")


# ---- the asset state

BIG = {"seen": {str(number): "x" * 50 for number in range(3000)}, "name": 'ø\\"'}
OTHER = {"seen": {str(number): "y" * 50 for number in range(1000)}}


def test_a_big_watermark_is_kept_in_chunks(state):
    """Each below what Airflow warns of; the next one leaves none of them behind."""
    store = AssetWatermarkStore(state, "w")
    assert store.load() is None
    store.save(BIG)
    assert store.load() == BIG
    assert len(state.values) > 5
    store.save(OTHER)
    assert store.load() == OTHER
    store.save({})
    assert store.load() == {}
    store.save({})
    assert store.load() == {}
    assert len(state.values) == 3  # the probe, the head and one chunk


def test_a_crash_at_any_write_leaves_the_old_or_the_new(state):
    """Between chunks, and between the last chunk and the head: never a mixture."""
    store = AssetWatermarkStore(state, "w")
    store.save(BIG)
    for writes in range(10):
        state.writes = writes
        try:
            store.save(OTHER)
        except ArmWatermarkUnavailableError:
            state.writes = None
            assert store.load() == BIG
        else:
            break
    else:
        pytest.fail("it never went well")
    state.writes = None
    assert store.load() == OTHER


def test_two_that_write_at_once_do_not_mix(state):
    """The chunks of one are not those of the other: whose head comes last, his content it is."""
    one, other = AssetWatermarkStore(state, "w"), AssetWatermarkStore(state, "w")
    plain = state.set

    def interrupted(key, value):
        state.set = plain
        other.save(OTHER)
        plain(key, value)

    state.set = interrupted
    one.save(BIG)
    assert one.load() == other.load() == BIG


@pytest.mark.parametrize("harm", ["missing", "changed", "no text", "no head"])
def test_a_broken_chunk_is_an_error_and_never_a_fresh_start(state, harm):
    """The message names the key to delete, and no value."""
    store = AssetWatermarkStore(state, "w")
    store.save(BIG)
    chunk = next(key for key in state.values if key.endswith(".1"))
    if harm == "missing":
        state.delete(chunk)
    elif harm == "no head":
        state.values["w"] = "5"
    else:
        state.values[chunk] = json.dumps("x" if harm == "changed" else 5)
    with pytest.raises(ArmWatermarkError, match="broken: parts of w are missing") as caught:
        store.load()
    assert caught.value.permanent


def test_a_content_that_is_replaced_while_it_is_read_is_read_again(state):
    """Its chunks are gone because a new head stands: that one is read."""
    store = AssetWatermarkStore(state, "w")
    store.save(BIG)
    plain, writer = state.get, AssetWatermarkStore(state, "w")

    def interrupted(key, default=None):
        if key.endswith(".0"):
            state.get = plain
            writer.save(OTHER)
        return plain(key, default)

    state.get = interrupted
    assert store.load() == OTHER


def test_a_state_that_is_away_may_be_tried_again(state):
    """Reading, or writing the first time: without a word of the store's own."""
    store = AssetWatermarkStore(state, "w")
    state.writes = 0
    with pytest.raises(ArmWatermarkUnavailableError, match=r"cannot be kept at the asset \(ConnectionError\)"):
        store.load()
    state.is_away = True
    with pytest.raises(ArmWatermarkUnavailableError, match="cannot be read") as caught:
        store.load()
    assert not caught.value.permanent
    assert "canary" not in str(caught.value)


def test_a_long_name_fits_airflows_database():
    """Airflow's keys have 512 characters; names that are cut stay apart."""
    names = {watermark_key("d" * 250, "t" * 249 + end, index) for end in "ab" for index in (-1, 0)}
    assert len(names) == 4
    assert all(len(name) < 450 for name in names)


def test_too_much_for_the_asset_state_is_told_before_the_file_appears(
    arm_sandbox, arm_connection, a_run, tmp_path, monkeypatch
):
    """A shorter overlap or a file are the ways out."""
    monkeypatch.setattr(asset_watermark.AssetWatermarkStore, "max_records", 5)
    with pytest.raises(ArmFailException, match=r"at most 5 .* shorter overlap, or .* watermark_path"):
        export(tmp_path / "a.jsonl", a_run(), overlap=timedelta(days=3000))
    assert list(tmp_path.iterdir()) == []


# ---- real DAG runs


@pytest.mark.parametrize("kept", ["asset state", "file"])
def test_runs_of_a_real_dag_go_on_from_each_other(run_dag, arm_sandbox, arm_connection, tmp_path, kept):
    """In Airflow itself: three runs of one DAG, and the second has only what was booked between."""
    if kept == "asset state" and not has_asset_state():
        pytest.skip("this Airflow keeps no asset state")
    arguments = {"watermark_path": f"file://{tmp_path}/mark.json"} if kept == "file" else {}
    with DAG(f"arm_since_{kept.replace(' ', '_')}", schedule=None) as dag:
        ArItemExportOperator(
            task_id="export",
            path=f"{tmp_path}/{{{{ run_id }}}}.jsonl",
            incremental=True,
            outlets=[Asset(f"arm_items_{kept.replace(' ', '_')}")],
            **arguments,
        )
    rows = []
    for number in range(3):
        run = run_dag(dag)
        assert str(run.state) == "success"
        if number == 0:
            new = new_item()
        rows.append(keys(tmp_path / f"{run.run_id}.jsonl"))
    assert [len(found) for found in rows] == [200, 1, 0]
    assert rows[1] == [new]


def test_an_asset_that_airflow_does_not_know_is_no_fresh_start(run_dag, tmp_path):
    """Airflow says the same of an asset that is not active and of a key that is not there: nothing is begun anew."""
    if not has_asset_state():
        pytest.skip("this Airflow keeps no asset state")

    class Look(BaseOperator):
        def execute(self, context: Any) -> None:
            from airflow.sdk.execution_time.context import AssetStateStoreAccessor

            try:
                AssetWatermarkStore(AssetStateStoreAccessor(name="nobody_knows_it"), "w").load()
            except ArmWatermarkUnavailableError as error:
                (tmp_path / "said").write_text(str(error), encoding="utf-8")

    with DAG("arm_since_unknown_asset", schedule=None) as dag:
        Look(task_id="look")
    assert str(run_dag(dag).state) == "success"
    assert (tmp_path / "said").read_text(encoding="utf-8").startswith("the watermark cannot be kept at the asset")


def has_asset_state():
    """Say whether Airflow keeps asset state (3.3)."""
    from airflow.sdk.execution_time import context

    return hasattr(context, "AssetStateStoreAccessors")
