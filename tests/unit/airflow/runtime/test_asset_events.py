"""Asset events of an export, which DAGs scheduled on the asset receive."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG, Asset, AssetAlias

from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.runtime.export.asset_events import asset_uri, emit_asset_events


def events_of(run):
    """Return the asset events of a DAG run in Airflow's database: URI and extra."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = select(AssetModel.uri, AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        events = session.execute(
            rows.where(AssetEvent.source_run_id == run.run_id, AssetEvent.source_dag_id == run.dag_id)
        )
        return sorted(map(tuple, events), key=lambda event: event[0])


def test_asset_event_has_counts_totals_and_addresses(run_dag, arm_sandbox, arm_connection, tmp_path):
    """Airflow's database has rows, totals, checksum and addresses; the file is the asset of an alias."""
    ledger = Asset("arm_ledger", extra={"owner": "finance"})
    with DAG("arm_asset_events", schedule=None) as dag:
        ArItemExportOperator(
            task_id="export", path=str(tmp_path / "a.jsonl"), outlets=[ledger, AssetAlias("arm_exports")]
        )
    run = run_dag(dag)
    assert str(run.state) == "success"
    (ti,) = run.get_task_instances()
    result = ti.xcom_pull(task_ids="export")
    extra = {name: result[name] for name in ("uri", "manifest_uri", "rows", "totals", "sha256")}
    # Airflow adds entries of its own to the extra of an event.
    events = [(uri, {name: event.get(name) for name in extra}) for uri, event in events_of(run)]
    assert events == [("arm_ledger", extra), (f"file://{tmp_path}/a.jsonl", extra)]
    assert extra["totals"]["NOK"]


def test_failed_export_emits_no_asset_event(run_dag, arm_sandbox, arm_connection, tmp_path):
    """DAGs scheduled on the asset do not start."""
    with DAG("arm_no_asset_event", schedule=None) as dag:
        ArItemExportOperator(
            task_id="export", path=str(tmp_path / "a.jsonl"), filters={"nosuch": "1"}, outlets=[Asset("arm_ledger")]
        )
    run = run_dag(dag)
    assert str(run.state) == "failed"
    assert events_of(run) == []


def test_emit_asset_events_does_nothing_without_events_in_the_context():
    """A test that calls execute() may have no events."""
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
def test_asset_uri_has_a_scheme_and_no_connection(address, uri):
    """Every DAG gets the same asset for a file, whatever connection opens it."""
    assert asset_uri(address) == uri
