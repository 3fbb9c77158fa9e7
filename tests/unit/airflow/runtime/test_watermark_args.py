"""Incremental exports as operators: watermark stores, invalid arguments, and real DAG runs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias, BaseOperator

from airflow_provider_arm.client.errors import ArmConfigurationError
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
    """Stand-in for ``context["asset_state_store"][asset]``: JSON values by key, which outlive the run."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        #: Number of writes that succeed before the next one fails; ``None``: all succeed.
        self.writes_left: int | None = None
        self.is_unavailable = False

    def get(self, key: str, default: Any = None) -> Any:
        if self.is_unavailable:
            raise ConnectionError("canary")
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any) -> None:
        assert value is not None
        assert len(json.dumps(value)) <= 64 * 1024
        if self.writes_left is not None:
            if not self.writes_left:
                raise ConnectionError("canary")
            self.writes_left -= 1
        self.values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


class AssetStates(dict):
    """Stand-in for ``context["asset_state_store"]``: the state of each outlet."""

    def __getitem__(self, asset: Any) -> AssetState:
        return super().__getitem__(asset.name)


@pytest.fixture
def state():
    """Return an empty asset state."""
    return AssetState()


@pytest.fixture
def make_run(a_try, state):
    """Return a function that builds the context of a run, on an Airflow with asset state."""

    def make(run_id="r1", **names):
        context = a_try(run_id=run_id, task_id="export", **names)
        context["asset_state_store"] = AssetStates(arm_items=state)
        return context

    return make


def export(path, context, operator_class=ArItemExportOperator, **arguments):
    """Run an incremental export and return its result."""
    arguments = {"outlets": [AssetAlias("other"), ITEMS], "incremental": True, **arguments}
    return operator_class(task_id="export", path=str(path), **arguments).execute(context)


def book_invoice():
    """Submit an invoice, which ARM books now, and return the key of its item."""
    client = ArmHook().client
    # Reading the batch makes the sandbox process it.
    client.get_batch(client.submit_batch("create_document_batch", documents(1, 70001)).batch_uuid)
    (item,) = [item for page in client.list_ar_items({"documentno": "70001"}).pages() for item in page.items]
    return item.ar_item_id


def keys(path):
    """Return the keys of the items in a file."""
    return [json.loads(line)["arItemId"] for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("store", ["asset state", "file"])
def test_second_run_exports_only_new_items(arm_sandbox, arm_connection, make_run, tmp_path, store):
    """With either store: everything, then the booked item, then nothing."""
    arguments = {"watermark_path": f"file://{tmp_path}/marks/items.json"} if store == "file" else {}
    first = export(tmp_path / "1.jsonl", make_run("r1"), **arguments)
    new = book_invoice()
    second = export(tmp_path / "2.jsonl", make_run("r2"), **arguments)
    third = export(tmp_path / "3.jsonl", make_run("r3"), **arguments)
    assert (first["rows"], second["rows"], third["rows"]) == (200, 1, 0)
    assert keys(tmp_path / "2.jsonl") == [new]
    assert [result["increment"]["number"] for result in (first, second, third)] == [1, 2, 3]
    assert first["increment"]["from"] is None
    assert second["increment"]["from"] < second["increment"]["to"] == third["increment"]["to"]
    for number in (1, 2, 3):
        check_export(str(tmp_path / f"{number}.jsonl.manifest.json"))
    json.dumps([first, second, third])


def test_retry_exports_the_same_increment(arm_sandbox, arm_connection, make_run, state, tmp_path):
    """If the watermark cannot be written, a retry may succeed, and no row is lost."""
    export(tmp_path / "1.jsonl", make_run("r1"))
    new = book_invoice()
    state.writes_left = 0
    with pytest.raises(ArmTransientException, match=r"watermark cannot be written .*ConnectionError") as caught:
        export(tmp_path / "2.jsonl", make_run("r2"))
    assert "canary" not in str(caught.value)
    state.writes_left = None
    assert export(tmp_path / "2.jsonl", make_run("r2", try_number=2))["rows"] == 1
    assert keys(tmp_path / "2.jsonl") == [new]
    assert export(tmp_path / "3.jsonl", make_run("r3"))["rows"] == 0


@pytest.mark.parametrize("cap", [40, 90])
@pytest.mark.parametrize("total", ["capped", "true"])
def test_first_run_above_the_cap_exports_each_item_once(
    arm_sandbox, arm_connection, make_run, tmp_path, monkeypatch, cap, total
):
    """ARM returns few records per query, so the first run and later runs are split by created time."""
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", cap)
    arm_sandbox.behave(q09_total=total)
    first = export(tmp_path / "1.jsonl", make_run("r1"), overlap=timedelta(days=3000))
    new = book_invoice()
    second = export(tmp_path / "2.jsonl", make_run("r2"), overlap=timedelta(days=3000))
    assert (first["rows"], len(set(keys(tmp_path / "1.jsonl")))) == (200, 200)
    assert keys(tmp_path / "2.jsonl") == [new]
    assert (second["increment"]["skipped"], second["pages"] > 1) == (200, True)
    for number in (1, 2):
        manifest = check_export(str(tmp_path / f"{number}.jsonl.manifest.json"))
        assert len(manifest["windows"]) > 2


def test_increment_can_be_reconciled(arm_sandbox, arm_connection, make_run, tmp_path):
    """Its manifest has all keys of a full export's manifest."""
    result = export(tmp_path / "1.parquet", make_run())
    full = ArItemExportOperator(task_id="full", path=str(tmp_path / "full.csv")).execute(make_run())
    reconciled = LedgerReconcileOperator(
        task_id="reconcile", export=result["manifest_uri"], against=full["manifest_uri"], path=str(tmp_path / "report")
    ).execute(make_run())
    assert reconciled["matches"]


def test_each_map_index_has_a_watermark_of_its_own(arm_sandbox, arm_connection, make_run, state, tmp_path):
    """One asset state stores all of them."""
    for index in (0, 1):
        result = export(tmp_path / f"{index}.jsonl", make_run(map_index=index))
        assert result["rows"] == 200
    heads = {key for key, value in state.values.items() if isinstance(json.loads(value), dict)}
    assert heads == {"arm_export.d.export.0", "arm_export.d.export.1"}


def test_watermark_contains_no_key_and_no_filter_value(arm_sandbox, arm_connection, make_run, state, tmp_path):
    """It contains only checksums and times."""
    export(tmp_path / "1.jsonl", make_run(), filters={"customerno": CUSTOMER_NO})
    assert keys(tmp_path / "1.jsonl")
    text = " ".join(state.values.values())
    assert CUSTOMER_NO not in text
    assert keys(tmp_path / "1.jsonl")[0] not in text


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ({"incremental": "yesterday"}, ["incremental", "True or False", "yesterday"]),
        ({"incremental": ""}, ["incremental", "True or False"]),
        ({"incremental": False, "watermark_path": "/x"}, ["watermark_path", "incremental=True"]),
        ({"window": DateWindow("2026-01-01", "2026-01-02")}, ["incremental and window exclude"]),
        ({"overlap": -1}, ["overlap", "0 or more"]),
        ({"overlap": timedelta(seconds=-1)}, ["overlap"]),
        ({"overlap": float("nan")}, ["overlap"]),
        ({"overlap": float("inf")}, ["overlap"]),
        ({"filters": {"fromcreatedtime": "2026-01-01"}}, ["fromcreatedtime", "incremental=True"]),
        ({"operator_class": CustomerExportOperator}, ["customers have no known created time", "window"]),
        ({"operator_class": ListExportOperator, "resource": "/clients/{clientno}/aritems"}, ["no known created time"]),
        ({"outlets": []}, ["outlets=[Asset(...)]", "watermark_path", "3.3"]),
        ({"outlets": [AssetAlias("other")]}, ["outlets=[Asset(...)]", "watermark_path"]),
        ({"watermark_path": "marks.json"}, ["watermark_path", "absolute"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_invalid_argument_fails_before_any_request(
    arm_sandbox, arm_connection, make_run, tmp_path, arguments, fragments
):
    """The message names the argument, ARM receives no request for the list, and no file appears."""
    with pytest.raises((ArmFailException, ArmConfigurationError)) as caught:
        export(tmp_path / "a.jsonl", make_run(), **arguments)
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert arm_sandbox.requests(path="/arm/v1/clients/2218/aritems") == []


def test_missing_asset_state_is_reported_with_the_alternatives(arm_sandbox, arm_connection, a_try, tmp_path):
    """On Airflow 3.1 an outlet is not enough, but a file is."""
    context = a_try(task_id="export")
    with pytest.raises(ArmFailException, match=r"outlets=\[Asset.*watermark_path"):
        export(tmp_path / "a.jsonl", context)
    assert export(tmp_path / "a.jsonl", context, watermark_path=str(tmp_path / "mark.json"))["rows"] == 200


def test_first_run_fails_when_the_list_rejects_the_filter(arm_sandbox, arm_connection, make_run, tmp_path):
    """It is not published whether GL items can be filtered by created time."""
    with pytest.raises(ArmFailException, match="fromcreatedtime"):
        export(tmp_path / "1.jsonl", make_run("r1"), operator_class=GlItemExportOperator)
    assert list(tmp_path.iterdir()) == []


def test_incremental_and_watermark_path_are_templated():
    """Both are rendered, and *overlap* accepts a timedelta."""
    operator = ArItemExportOperator(
        task_id="export",
        path="a.jsonl",
        incremental="{{ params.incremental }}",
        watermark_path="/{{ ds }}.json",
        overlap=timedelta(hours=2),
    )
    operator.render_template_fields({"ds": "2026-01-05", "params": {"incremental": True}})
    assert (operator.incremental, operator.watermark_path) == ("True", "/2026-01-05.json")


# ---- the store in the asset state

BIG = {"seen": {str(number): "x" * 50 for number in range(3000)}, "name": 'ø\\"'}
OTHER = {"seen": {str(number): "y" * 50 for number in range(1000)}}


def test_large_watermark_is_stored_in_chunks(state):
    """Each chunk is smaller than Airflow's warning limit, and the next save deletes all of them."""
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


def test_failed_save_keeps_the_previous_watermark(state):
    """Between two chunks, or between the last chunk and the head: never a mixture of two watermarks."""
    store = AssetWatermarkStore(state, "w")
    store.save(BIG)
    for writes in range(10):
        state.writes_left = writes
        try:
            store.save(OTHER)
        except ArmWatermarkUnavailableError:
            state.writes_left = None
            assert store.load() == BIG
        else:
            break
    else:
        pytest.fail("no save succeeded")
    state.writes_left = None
    assert store.load() == OTHER


def test_concurrent_saves_do_not_mix(state):
    """They write different chunks, and the head that is written last decides."""
    first, second = AssetWatermarkStore(state, "w"), AssetWatermarkStore(state, "w")
    original_set = state.set

    def interrupted_set(key, value):
        state.set = original_set
        second.save(OTHER)
        original_set(key, value)

    state.set = interrupted_set
    first.save(BIG)
    assert first.load() == second.load() == BIG


@pytest.mark.parametrize("damage", ["missing", "changed", "not text", "no head"])
def test_broken_watermark_raises_instead_of_starting_over(state, damage):
    """The message names the key to delete, and no value."""
    store = AssetWatermarkStore(state, "w")
    store.save(BIG)
    chunk = next(key for key in state.values if key.endswith(".1"))
    if damage == "missing":
        state.delete(chunk)
    elif damage == "no head":
        state.values["w"] = "5"
    else:
        state.values[chunk] = json.dumps("x" if damage == "changed" else 5)
    with pytest.raises(ArmWatermarkError, match="broken: parts of w are missing") as caught:
        store.load()
    assert caught.value.permanent


def test_watermark_replaced_while_it_is_read_is_read_again(state):
    """Its chunks are deleted because there is a new head, which is read next."""
    store = AssetWatermarkStore(state, "w")
    store.save(BIG)
    original_get, writer = state.get, AssetWatermarkStore(state, "w")

    def interrupted_get(key, default=None):
        if key.endswith(".0"):
            state.get = original_get
            writer.save(OTHER)
        return original_get(key, default)

    state.get = interrupted_get
    assert store.load() == OTHER


def test_unavailable_asset_state_is_a_temporary_error(state):
    """On reading and on the first write; the message has no text of the store's own error."""
    store = AssetWatermarkStore(state, "w")
    state.writes_left = 0
    with pytest.raises(ArmWatermarkUnavailableError, match=r"cannot be stored in the asset state \(ConnectionError\)"):
        store.load()
    state.is_unavailable = True
    with pytest.raises(ArmWatermarkUnavailableError, match="cannot be read") as caught:
        store.load()
    assert not caught.value.permanent
    assert "canary" not in str(caught.value)


def test_watermark_key_of_long_names_is_truncated_and_unique():
    """Airflow's keys have at most 512 characters."""
    long_keys = {watermark_key("d" * 250, "t" * 249 + end, index) for end in "ab" for index in (-1, 0)}
    assert len(long_keys) == 4
    assert all(len(key) < 450 for key in long_keys)


def test_watermark_above_the_limit_fails_before_the_file_appears(
    arm_sandbox, arm_connection, make_run, tmp_path, monkeypatch
):
    """The message proposes a shorter overlap or a file."""
    monkeypatch.setattr(asset_watermark.AssetWatermarkStore, "max_records", 5)
    with pytest.raises(ArmFailException, match=r"at most 5: .* shorter overlap or .* watermark_path"):
        export(tmp_path / "a.jsonl", make_run(), overlap=timedelta(days=3000))
    assert list(tmp_path.iterdir()) == []


# ---- real DAG runs


@pytest.mark.parametrize("store", ["asset state", "file"])
def test_runs_of_a_real_dag_continue_from_the_watermark(run_dag, arm_sandbox, arm_connection, tmp_path, store):
    """Of three runs of a DAG in Airflow, the second exports only the item that was booked after the first."""
    if store == "asset state" and not has_asset_state():
        pytest.skip("this Airflow has no asset state")
    arguments = {"watermark_path": f"file://{tmp_path}/mark.json"} if store == "file" else {}
    with DAG(f"arm_incremental_{store.replace(' ', '_')}", schedule=None) as dag:
        ArItemExportOperator(
            task_id="export",
            path=f"{tmp_path}/{{{{ run_id }}}}.jsonl",
            incremental=True,
            outlets=[Asset(f"arm_items_{store.replace(' ', '_')}")],
            **arguments,
        )
    rows = []
    for number in range(3):
        run = run_dag(dag)
        assert str(run.state) == "success"
        if number == 0:
            new = book_invoice()
        rows.append(keys(tmp_path / f"{run.run_id}.jsonl"))
    assert [len(exported) for exported in rows] == [200, 1, 0]
    assert rows[1] == [new]


def test_unknown_asset_raises_instead_of_starting_over(run_dag, tmp_path):
    """Airflow answers the same for an inactive asset and for a missing key."""
    if not has_asset_state():
        pytest.skip("this Airflow has no asset state")

    class LoadOperator(BaseOperator):
        def execute(self, context: Any) -> None:
            from airflow.sdk.execution_time.context import AssetStateStoreAccessor

            try:
                AssetWatermarkStore(AssetStateStoreAccessor(name="unknown_asset"), "w").load()
            except ArmWatermarkUnavailableError as error:
                (tmp_path / "error").write_text(str(error), encoding="utf-8")

    with DAG("arm_incremental_unknown_asset", schedule=None) as dag:
        LoadOperator(task_id="load")
    assert str(run_dag(dag).state) == "success"
    assert (
        (tmp_path / "error").read_text(encoding="utf-8").startswith("the watermark cannot be stored in the asset state")
    )


def has_asset_state():
    """Return whether this Airflow has asset state (3.3)."""
    from airflow.sdk.execution_time import context

    return hasattr(context, "AssetStateStoreAccessors")
