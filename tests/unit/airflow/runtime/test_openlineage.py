"""What OpenLineage is told; its own manager asks, as its listener does."""

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


def told(operator, state="success"):
    """Ask for the lineage of an operator that has run, by the way of Airflow's listener."""
    from airflow.utils.state import TaskInstanceState

    run = SimpleNamespace(run_id="r", dag_id="d")
    return manager.ExtractorManager().extract_metadata(run, operator, TaskInstanceState(state), SimpleNamespace())


def names(datasets):
    """Give namespace and name of each."""
    return [(data.namespace, data.name) for data in datasets]


def in_a_dag(kind, **arguments):
    """Make an operator in a DAG, because lineage names both."""
    with DAG("arm_lineage", schedule=None):
        return kind(task_id="told", **arguments)


def test_an_export_tells_its_list_and_its_file(arm_sandbox, arm_connection, first_try, tmp_path):
    """Whose list, which file, how much of it, and the names of its columns; nothing of a record."""
    columns = ["customerNo", "name", "ssn", "dateOfBirth"]
    path = str(tmp_path / "a.csv")
    operator = in_a_dag(CustomerExportOperator, path=path, columns=columns, mask=["ssn"])
    result = operator.execute(first_try)
    found = told(operator)
    place = arm_sandbox.base_url.split("/")[2]
    assert names(found.inputs) == [(f"arm://{place}", f"clients/{arm_sandbox.client_no}/customers")]
    assert names(found.outputs) == [("file", path)]
    (output,) = found.outputs
    assert output.outputFacets["outputStatistics"].rowCount == result["rows"]
    assert output.outputFacets["outputStatistics"].size == result["bytes"]
    assert [field.name for field in output.facets["schema"].fields] == columns
    assert {field.type for field in output.facets["schema"].fields} == {"text", "day"}


def test_json_lines_have_no_schema(arm_sandbox, arm_connection, first_try, tmp_path):
    """Whatever ARM gave is in them, and nobody listed it."""
    operator = in_a_dag(ArItemExportOperator, path=str(tmp_path / "a.jsonl"))
    operator.execute(first_try)
    assert told(operator).outputs[0].facets == {}


def test_an_export_that_failed_tells_nothing(arm_sandbox, arm_connection, first_try, tmp_path):
    """No file came of it."""
    operator = in_a_dag(ArItemExportOperator, path=str(tmp_path / "a.jsonl"), filters={"nosuch": "1"})
    with pytest.raises(ArmFailException):
        operator.execute(first_try)
    assert operator.get_openlineage_facets_on_complete(None) is None
    assert told(operator, "failed").outputs == []


def test_a_reconciliation_tells_what_it_compared(arm_sandbox, arm_connection, first_try, tmp_path):
    """Both sides in, both reports out, whether they agree or not."""
    ar = ArItemExportOperator(task_id="ar", path=str(tmp_path / "ar.jsonl")).execute(first_try)
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"2025-02": {"NOK": "1"}}), encoding="utf-8")
    arguments = {"export": ar, "against": str(figures), "path": str(tmp_path / "report")}
    operator = in_a_dag(LedgerReconcileOperator, **arguments)
    assert operator.get_openlineage_facets_on_complete(None) is None
    with pytest.raises(ArmFailException):
        operator.execute(first_try)
    found = told(operator, "failed")
    assert names(found.inputs) == [("file", str(tmp_path / "ar.jsonl")), ("file", str(figures))]
    assert names(found.outputs) == [("file", str(tmp_path / f"report{end}")) for end in (".json", ".md")]


class OfMappedTasks(Sequence):
    """What mapped tasks returned, as Airflow gives it: each is fetched when it is asked for, while the task runs."""

    def __init__(self, results):
        self.results = results

    def __getitem__(self, place):
        return self.results[place]

    def __len__(self):
        return len(self.results)

    def end(self):
        """End the task: whoever asks now would wait for ever."""
        del self.results


@pytest.mark.parametrize("kind", [ExportMergeOperator, LedgerReconcileOperator])
def test_lineage_asks_airflow_for_nothing(arm_sandbox, arm_connection, first_try, tmp_path, kind):
    """It is found in a forked process that has no way to Airflow's API, where a call hangs."""
    window = {"start": "2025-01-01", "end": "2025-12-31"}
    path = str(tmp_path / "a.csv")
    given = OfMappedTasks([ArItemExportOperator(task_id="export", path=path, window=window).execute(first_try)])
    arguments = {ExportMergeOperator: {"exports": given}, LedgerReconcileOperator: {"export": given, "against": given}}
    operator = in_a_dag(kind, path=str(tmp_path / "all"), **arguments[kind])
    operator.execute(first_try)
    given.end()
    assert set(names(told(operator).inputs)) == {("file", path)}


def test_lineage_never_fails_a_task():
    """Whatever goes wrong in it, the task's work is done."""

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
def test_files_are_named_as_others_name_them(address, name):
    """The bucket is the namespace, as OpenLineage has it, so that one file is one dataset for all."""
    assert names([file_dataset(address)]) == [name]
