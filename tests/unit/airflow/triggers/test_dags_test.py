"""``airflow dags test`` with a deferred wait, in a process of its own and with the connection in Airflow's database."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

DAG = """
from airflow.sdk import DAG
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.sensors.batch import BatchSensor

with DAG("stored_connection", schedule=None):
    submit = BatchSubmitOperator(
        task_id="submit", resource="customers", records=[{"customerNo": "97001", "name": "A"}], arm_conn_id="stored"
    )
    BatchSensor(task_id="wait", batch_uuid=submit.output, deferrable=True, poke_interval=1, arm_conn_id="stored")
"""
#: Stores the connection and runs the command. In one process, because the tests' Airflow has a random key in each.
PROGRAM = """
import sys
from airflow.models import Connection
from airflow.utils.session import create_session

with create_session() as session:
    session.add(Connection.from_json(sys.stdin.read(), conn_id="stored"))

from airflow.__main__ import main

sys.argv = ["airflow", "dags", "test", "stored_connection"]
main()
"""


@pytest.mark.slow
def test_deferred_wait_reads_a_connection_from_the_database(arm_sandbox, airflow_db, tmp_path):
    """The trigger reaches it, although Airflow's asynchronous call does not."""
    arm_sandbox.behave(batch_delay=5)
    (tmp_path / "dag.py").write_text(DAG)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(arm_sandbox.connection()),
        env={**environment, "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    assert "Trigger completed" in output, output
    assert arm_sandbox.ledger()["customers"]["97001"]["effects"] == 1
