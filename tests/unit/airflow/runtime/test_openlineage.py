"""OpenLineage datasets of exports, merges and reconciliations, as OpenLineage's own manager extracts them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG

from airflow_provider_arm.exceptions import ArmFailException
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.export import CustomerExportOperator
from airflow_provider_arm.operators.export_merge import ExportMergeOperator
from airflow_provider_arm.operators.reconcile import LedgerReconcileOperator
from airflow_provider_arm.runtime.export.openlineage import build_lineage, file_dataset

manager = pytest.importorskip("airflow.providers.openlineage.extractors.manager")


def extract_lineage(operator, state="success"):
    """Return the lineage of an operator that has run, as the listener of OpenLineage extracts it."""
    from airflow.utils.state import TaskInstanceState

    run = SimpleNamespace(run_id="r", dag_id="d")
    return manager.ExtractorManager().extract_metadata(run, operator, TaskInstanceState(state), SimpleNamespace())


def names(datasets):
    """Return namespace and name of each dataset."""
    return [(dataset.namespace, dataset.name) for dataset in datasets]


def make_operator(operator_class, **arguments):
    """Return an operator in a DAG, because lineage contains the names of both."""
    with DAG("arm_lineage", schedule=None):
        return operator_class(task_id="task", **arguments)


def test_lineage_of_an_export_has_list_and_file(arm_sandbox, arm_connection, first_try, tmp_path):
    """The list with its client number, the file with rows, bytes and column names; no data of a record."""
    columns = ["customerNo", "name", "ssn", "dateOfBirth"]
    path = str(tmp_path / "a.csv")
    operator = make_operator(CustomerExportOperator, path=path, columns=columns, mask=["ssn"])
    result = operator.execute(first_try)
    lineage = extract_lineage(operator)
    host = arm_sandbox.base_url.split("/")[2]
    assert names(lineage.inputs) == [(f"arm://{host}", f"clients/{arm_sandbox.client_no}/customers")]
    assert names(lineage.outputs) == [("file", path)]
    (output,) = lineage.outputs
    assert output.outputFacets["outputStatistics"].rowCount == result["rows"]
    assert output.outputFacets["outputStatistics"].size == result["bytes"]
    assert [field.name for field in output.facets["schema"].fields] == columns
    assert {field.type for field in output.facets["schema"].fields} == {"text", "date"}


def test_lineage_of_json_lines_has_no_schema(arm_sandbox, arm_connection, first_try, tmp_path):
    """They contain whatever fields ARM returned."""
    operator = make_operator(ArItemExportOperator, path=str(tmp_path / "a.jsonl"))
    operator.execute(first_try)
    assert extract_lineage(operator).outputs[0].facets == {}


def test_lineage_of_a_failed_export_is_empty(arm_sandbox, arm_connection, first_try, tmp_path):
    """It wrote no file."""
    operator = make_operator(ArItemExportOperator, path=str(tmp_path / "a.jsonl"), filters={"nosuch": "1"})
    with pytest.raises(ArmFailException):
        operator.execute(first_try)
    assert operator.get_openlineage_facets_on_complete(None) is None
    assert extract_lineage(operator, "failed").outputs == []


def test_lineage_of_a_reconciliation_has_both_sides_and_both_reports(arm_sandbox, arm_connection, first_try, tmp_path):
    """Also if the two sides differ and the task fails."""
    ar = ArItemExportOperator(task_id="ar", path=str(tmp_path / "ar.jsonl")).execute(first_try)
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"2025-02": {"NOK": "1"}}), encoding="utf-8")
    arguments = {"export": ar, "against": str(figures), "path": str(tmp_path / "report")}
    operator = make_operator(LedgerReconcileOperator, **arguments)
    assert operator.get_openlineage_facets_on_complete(None) is None
    with pytest.raises(ArmFailException):
        operator.execute(first_try)
    lineage = extract_lineage(operator, "failed")
    assert names(lineage.inputs) == [("file", str(tmp_path / "ar.jsonl")), ("file", str(figures))]
    assert names(lineage.outputs) == [("file", str(tmp_path / f"report{end}")) for end in (".json", ".md")]


class MappedResults(Sequence):
    """Results of mapped tasks as Airflow passes them: each is fetched when it is accessed, while the task runs."""

    def __init__(self, results):
        self.results = results

    def __getitem__(self, index):
        return self.results[index]

    def __len__(self):
        return len(self.results)

    def end_task(self):
        """End the task: accessing a result now would wait for ever."""
        del self.results


@pytest.mark.parametrize("operator_class", [ExportMergeOperator, LedgerReconcileOperator])
def test_lineage_needs_no_call_to_airflow(arm_sandbox, arm_connection, first_try, tmp_path, operator_class):
    """OpenLineage extracts it in a forked process, in which a call to Airflow's API hangs."""
    window = {"start": "2025-01-01", "end": "2025-12-31"}
    path = str(tmp_path / "a.csv")
    results = MappedResults([ArItemExportOperator(task_id="export", path=path, window=window).execute(first_try)])
    arguments = {
        ExportMergeOperator: {"exports": results},
        LedgerReconcileOperator: {"export": results, "against": results},
    }
    operator = make_operator(operator_class, path=str(tmp_path / "all"), **arguments[operator_class])
    operator.execute(first_try)
    results.end_task()
    assert set(names(extract_lineage(operator).inputs)) == {("file", path)}


def test_build_lineage_returns_none_on_any_error():
    """The task's work is done, so an error in its lineage must not fail it."""

    def fail():
        raise KeyError

    assert build_lineage(fail) is None


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://aws_default@bucket/a/b.parquet", ("s3://bucket", "a/b.parquet")),
        ("gs://bucket/a#1.csv", ("gs://bucket", "a#1.csv")),
        ("/srv/a.jsonl", ("file", "/srv/a.jsonl")),
        ("file:///srv/a.jsonl", ("file", "/srv/a.jsonl")),
    ],
)
def test_file_dataset_follows_openlineages_naming(address, name):
    """The bucket is the namespace, so that other producers name the same dataset."""
    assert names([file_dataset(address)]) == [name]
