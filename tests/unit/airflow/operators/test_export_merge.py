"""``ExportMergeOperator``, alone and after a mapped export in a DAG run."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from airflow.sdk import DAG, Asset, task

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmFailException
from airflow_provider_arm.export import DateWindow, check_export, plan_windows
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.export import GlItemExportOperator
from airflow_provider_arm.operators.export_merge import ExportMergeOperator
from airflow_provider_arm.operators.reconcile import LedgerReconcileOperator
from tests.unit.airflow.runtime.test_asset_events import events_of
from tests.unit.airflow.runtime.test_openlineage import extract_lineage, make_operator, names

EXAMPLE = Path(__file__).parents[4] / "example_dags" / "arm_mapped_export.py"
YEAR = {"start": "2025-01-01", "end": "2025-12-31"}


@pytest.fixture
def parts(arm_sandbox, arm_connection, first_try, tmp_path):
    """Return the results of a year's export in three parts."""
    windows = plan_windows(*YEAR.values(), parts=3)
    return [
        ArItemExportOperator(task_id="export", path=f"{tmp_path}/{number}.csv", window=window).execute(first_try)
        for number, window in enumerate(windows)
    ]


def merge(exports, path, context, **arguments):
    """Run the operator."""
    return ExportMergeOperator(task_id="merge", exports=exports, path=str(path), **arguments).execute(context)


def test_merge_returns_what_one_export_would(parts, first_try, tmp_path):
    """For results and for paths of manifests."""
    result = merge(parts, tmp_path / "all.csv", first_try, window=DateWindow(**YEAR))
    whole = ArItemExportOperator(task_id="export", path=f"{tmp_path}/whole.csv", window=YEAR).execute(first_try)
    assert {name: result[name] for name in ("rows", "totals", "dates")} == {
        name: whole[name] for name in ("rows", "totals", "dates")
    }
    assert (result["parts"], result["manifest_uri"]) == (3, f"{tmp_path}/all.csv.manifest.json")
    assert result["bytes"] == sum(part["bytes"] for part in parts)
    assert check_export(result["manifest_uri"])["rows"] == result["rows"] > 50
    assert merge([part["manifest_uri"] for part in parts], tmp_path / "all.csv", first_try) == result
    json.dumps(result)


def test_merged_export_can_be_reconciled(parts, first_try, tmp_path):
    """If the file of a part was changed since, the comparison fails."""
    gl = GlItemExportOperator(task_id="gl", path=f"{tmp_path}/gl.csv", window=YEAR).execute(first_try)
    merged = merge(parts, tmp_path / "all.csv", first_try, window=YEAR)
    compare = LedgerReconcileOperator(
        task_id="reconcile",
        export=merged,
        against=gl,
        against_where={"glAccountNo": "1500"},
        path=str(tmp_path / "report"),
    )
    assert compare.execute(first_try)["matches"]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [file["file"] for file in report["left"]["files"]] == ["0.csv", "1.csv", "2.csv"]
    data = tmp_path / "1.csv"
    data.write_bytes(data.read_bytes() + b"\n")
    with pytest.raises(ArmFailException, match=r"1\.csv and its manifest differ in"):
        compare.execute(first_try)


def test_lineage_of_a_merge_has_parts_and_merged_export(parts, first_try, tmp_path):
    """Nothing before the merge."""
    operator = make_operator(ExportMergeOperator, exports=parts, path=str(tmp_path / "all.csv"))
    assert operator.get_openlineage_facets_on_complete(None) is None
    result = operator.execute(first_try)
    lineage = extract_lineage(operator)
    assert names(lineage.inputs) == [("file", f"{tmp_path}/{number}.csv") for number in range(3)]
    assert names(lineage.outputs) == [("file", f"{tmp_path}/all.csv")]
    assert lineage.outputs[0].outputFacets["outputStatistics"].rowCount == result["rows"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exports": []}, "exports must be the result of an export operator"),
        ({"exports": [{"uri": "a"}]}, "exports must be"),
        ({"exports": None}, "exports must be"),
        ({"window": "{{ '2025' }}"}, "window must be a DateWindow, or a mapping"),
        ({"window": {"start": "2025-01-01", "end": "2026-01-31"}}, "should cover voucherdate 2025-01-01 to 2026-01-31"),
        ({"window": {**YEAR, "by": "duedate"}}, "should cover duedate"),
    ],
)
def test_invalid_argument_fails_without_a_manifest(parts, first_try, tmp_path, arguments, message):
    """The message names the argument and what it may be."""
    with pytest.raises((ArmFailException, ArmConfigurationError)) as caught:
        merge(**{"exports": parts, "path": tmp_path / "all.csv", "context": first_try, **arguments})
    assert message in str(caught.value)
    assert not list(tmp_path.glob("all*"))


def states(run):
    """Return the state of each task, of mapped ones by map index."""
    return {(ti.task_id, ti.map_index): str(ti.state) for ti in run.get_task_instances()}


def test_example_dag_exports_a_year_in_twelve_tasks_and_merges(
    run_dag, load_dags, arm_sandbox, arm_connection, tmp_path, monkeypatch
):
    """The merged manifest is valid, and the asset event contains its totals."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path))
    run = run_dag(load_dags(EXAMPLE)["arm_mapped_export"])
    assert str(run.state) == "success"
    manifest = check_export(str(tmp_path / "2025" / "aritems.jsonl.manifest.json"))
    assert [part["file"] for part in manifest["parts"]] == [f"aritems-{month}.jsonl" for month in range(12)]
    assert manifest["windows"][1]["window"] == "voucherdate 2025-02-01 to 2025-02-28"
    ((uri, extra),) = events_of(run)
    assert (uri, extra["rows"], extra["totals"], extra["parts"]) == (
        "arm_aritems",
        manifest["rows"],
        manifest["totals"],
        12,
    )
    assert extra["manifest_uri"].endswith("/2025/aritems.jsonl.manifest.json")


def lose(folder):
    """Delete the manifest of a month."""
    (folder / "aritems-5.jsonl.manifest.json").unlink()


def double(folder):
    """Replace a month by a copy of another one."""
    for ending in ("", ".manifest.json"):
        shutil.copy(folder / f"aritems-4.jsonl{ending}", folder / f"aritems-5.jsonl{ending}")
    manifest = folder / "aritems-5.jsonl.manifest.json"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("aritems-4.jsonl", "aritems-5.jsonl"), encoding="utf-8")


def change(folder):
    """Change one digit of a file."""
    data = folder / "aritems-5.jsonl"
    data.write_bytes(data.read_bytes().replace(b"1", b"2", 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose, "aritems-5.jsonl has no manifest"),
        (double, "aritems-4.jsonl and aritems-5.jsonl overlap"),
        (change, "aritems-5.jsonl and its manifest differ in sha256"),
    ],
)
def test_merge_fails_when_a_part_is_lost_doubled_or_changed(
    run_dag, load_dags, arm_sandbox, arm_connection, tmp_path, monkeypatch, capfd, damage, message
):
    """The log names the part; no manifest and no asset event appear."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path))
    dag = load_dags(EXAMPLE)["arm_mapped_export"]
    execute = ExportMergeOperator.execute

    def damaged(self, context):
        damage(tmp_path / "2025")
        return execute(self, context)

    monkeypatch.setattr(ExportMergeOperator, "execute", damaged)
    run = run_dag(dag)
    found = states(run)
    assert (str(run.state), found["merge", -1], found["export", 5]) == ("failed", "failed", "success")
    printed = capfd.readouterr()
    assert message in printed.out + printed.err
    assert not list((tmp_path / "2025").glob("aritems.jsonl*"))
    assert events_of(run) == []


@pytest.mark.parametrize(("rule", "state"), [("all_success", "upstream_failed"), ("all_done", "failed")])
def test_failed_part_leaves_no_merged_export(run_dag, arm_sandbox, arm_connection, tmp_path, capfd, rule, state):
    """The merge does not run, or fails and names the missing days if its trigger rule lets it run."""
    arm_sandbox.fault({"match": {"path": "*/aritems"}, "nth": 2, "do": "status", "status": 403})
    with DAG(f"arm_part_fails_{rule}", schedule=None) as dag:
        export = ArItemExportOperator.partial(task_id="export", path=f"{tmp_path}/{{{{ ti.map_index }}}}.jsonl").expand(
            window=plan_windows(*YEAR.values(), parts=3)
        )
        ExportMergeOperator(
            task_id="merge", exports=export.output, path=f"{tmp_path}/all.jsonl", window=YEAR, trigger_rule=rule
        )
    run = run_dag(dag)
    found = states(run)
    # Airflow decides which of them sends the second request.
    assert sorted(found["export", number] for number in range(3)) == ["failed", "success", "success"]
    assert (str(run.state), found["merge", -1]) == ("failed", state)
    assert not list(tmp_path.glob("all*"))
    printed = capfd.readouterr()
    message = re.search(
        "no part contains voucherdate 2025-|the parts cover voucherdate 2025-", printed.out + printed.err
    )
    assert bool(message) == (rule == "all_done")


def test_mapped_windows_from_dag_file_and_from_xcom(run_dag, arm_sandbox, arm_connection, tmp_path):
    """Both survive Airflow's serialization, and the path of each mapped task contains its map index."""
    windows = plan_windows(*YEAR.values(), parts=2)
    with DAG("arm_windows", schedule=None, params={"out": str(tmp_path)}) as dag:

        @task
        def plan():
            return plan_windows(*YEAR.values(), parts=2)

        for name, given in (("literal", windows), ("xcom", plan())):
            mapped = ArItemExportOperator.partial(
                task_id=name, path=f"{{{{ params.out }}}}/{name}-{{{{ ti.map_index }}}}.jsonl"
            ).expand(window=given)
            ExportMergeOperator(
                task_id=f"merge_{name}",
                exports=mapped.output if name == "literal" else mapped.output.map(lambda one: one["manifest_uri"]),
                path=f"{{{{ params.out }}}}/{name}.jsonl",
                window=DateWindow("{{ '2025-01-01' }}", "{{ '2026-01-01' }}", end_exclusive=True),
                outlets=[Asset(f"arm_{name}")],
            )
    run = run_dag(dag)
    assert str(run.state) == "success"
    made = [check_export(str(tmp_path / f"{name}.jsonl.manifest.json")) for name in ("literal", "xcom")]
    assert made[0]["totals"] == made[1]["totals"]
    assert [part["file"] for part in made[1]["parts"]] == ["xcom-0.jsonl", "xcom-1.jsonl"]


@pytest.mark.parametrize("window", ["2025", 7])
def test_window_of_wrong_type_fails_when_the_dag_is_parsed(tmp_path, window):
    """The message names the types."""
    with pytest.raises(ArmConfigurationError, match="window must be a DateWindow, or a mapping of start, end"):
        ArItemExportOperator(task_id="export", path=str(tmp_path / "a.jsonl"), window=window)
