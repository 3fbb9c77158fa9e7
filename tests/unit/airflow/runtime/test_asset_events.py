"""What a DAG that waits for an export's asset finds in its event."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG, Asset, AssetAlias

from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.runtime.export.asset_events import asset_uri, emit_asset_events


def events_of(run):
    """Give the asset events that a DAG run left in Airflow's database: address and extra."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = select(AssetModel.uri, AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        found = session.execute(
            rows.where(AssetEvent.source_run_id == run.run_id, AssetEvent.source_dag_id == run.dag_id)
        )
        return sorted(map(tuple, found), key=lambda event: event[0])


def test_the_event_says_how_much_there_is_and_where(run_dag, arm_sandbox, arm_connection, tmp_path):
    """In Airflow's database: rows, totals, checksum, addresses; for an alias the file is the asset."""
    ledger = Asset("arm_ledger", extra={"not": "the event's"})
    with DAG("arm_asset_events", schedule=None) as dag:
        ArItemExportOperator(
            task_id="export", path=str(tmp_path / "a.jsonl"), outlets=[ledger, AssetAlias("arm_exports")]
        )
    run = run_dag(dag)
    assert str(run.state) == "success"
    (ti,) = run.get_task_instances()
    result = ti.xcom_pull(task_ids="export")
    extra = {name: result[name] for name in ("uri", "manifest_uri", "rows", "totals", "sha256")}
    # An event names the machinery that made it beside what the task says.
    found = [(uri, {name: said.get(name) for name in extra}) for uri, said in events_of(run)]
    assert found == [("arm_ledger", extra), (f"file://{tmp_path}/a.jsonl", extra)]
    assert extra["totals"]["NOK"]


def test_an_export_that_fails_leaves_no_event(run_dag, arm_sandbox, arm_connection, tmp_path):
    """Nothing that waits for the ledger starts."""
    with DAG("arm_no_asset_event", schedule=None) as dag:
        ArItemExportOperator(
            task_id="export", path=str(tmp_path / "a.jsonl"), filters={"nosuch": "1"}, outlets=[Asset("arm_ledger")]
        )
    run = run_dag(dag)
    assert str(run.state) == "failed"
    assert events_of(run) == []


def test_a_context_without_events_is_no_error():
    """A test of execute() has none."""
    emit_asset_events({}, [Asset("arm_ledger")], {"rows": 1})


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("s3://bucket/a/b.parquet", "s3://bucket/a/b.parquet"),
        ("s3://aws_default@bucket/a/b.parquet", "s3://bucket/a/b.parquet"),
        ("file:///srv/a b.jsonl", "file:///srv/a b.jsonl"),
        ("/srv/a.jsonl", "file:///srv/a.jsonl"),
        ("gs://bucket/a@b.csv", "gs://bucket/a@b.csv"),
    ],
)
def test_the_asset_of_a_file_is_named_alike_by_everybody(address, uri):
    """With a scheme, and without the connection that opens it."""
    assert asset_uri(address) == uri
