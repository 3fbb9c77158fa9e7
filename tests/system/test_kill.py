"""Kill processes of a live Airflow while batches are pending: each batch is sent once, and the task succeeds."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from airflow_provider_arm.sandbox import ArmSandbox
from tests.system.local_deployment import LocalDeployment

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.metadata.version("apache-airflow-core") < "3.3", reason="Airflow before 3.3 has no task state store"
    ),
]

END_SECONDS = 120


@pytest.fixture(scope="module")
def box():
    """Yield a sandbox whose batches stay pending until the test advances its clock."""
    with ArmSandbox(batch_delay=3600) as box:
        yield box


@pytest.fixture(scope="module")
def airflow(box, tmp_path_factory):
    """Yield a running Airflow."""
    home = tmp_path_factory.mktemp("airflow")
    with LocalDeployment(home, [Path(__file__).parent / "dags"], box.connection()) as deployment:
        yield deployment


def submissions(box, prefix):
    """Return the number of batches that were sent, and how often each invoice with the prefix took effect."""
    documents = {key: entry["effects"] for key, entry in box.ledger()["documents"].items() if key.startswith(prefix)}
    sent = [call for call in box.requests(method="POST") if call["path"].endswith("/documents/batches")]
    return len(sent), documents


@pytest.mark.parametrize(
    ("dag_id", "prefix", "victims"),
    [("kill_held", "71", ["task"]), ("kill_held", "71", ["task", "triggerer"]), ("kill_deferred", "72", ["triggerer"])],
)
def test_killed_process_submits_nothing_twice(airflow, box, dag_id, prefix, victims):
    """SIGKILL of the task, the triggerer or both while the batches are pending: 5 batches sent, one effect each."""
    box.reset()
    pid_file = airflow.home / f"{dag_id}.pid"
    pid_file.unlink(missing_ok=True)
    run_id = airflow.run(dag_id)

    def task():
        return airflow.task(dag_id, run_id, "submit")

    waiting = "deferred" if dag_id == "kill_deferred" else "running"
    airflow.until(lambda: submissions(box, prefix)[0] == 5 and task()["state"] == waiting, END_SECONDS, "no wait")
    for victim in victims:
        if victim == "task":
            airflow.kill_task(pid_file)
        else:
            airflow.kill(victim)
    for victim in victims:
        if victim != "task":
            airflow.start(victim)
    box.advance(7200)
    airflow.until(lambda: task()["state"] in ("success", "failed"), END_SECONDS, f"not ended after {victims}")
    assert task()["state"] == "success"
    sent, documents = submissions(box, prefix)
    assert sent == 5
    assert documents == {f"{prefix}{number:03}": 1 for number in range(50)}


@pytest.mark.parametrize(("dag_id", "prefix"), [("kill_held", "71"), ("kill_deferred", "72")])
def test_retry_recovers_batch_when_task_is_killed_during_submit(airflow, box, dag_id, prefix):
    """SIGKILL after ARM accepted the third batch and before it responded: the next try finds it and sends the rest."""
    box.reset()
    box.behave(batch_delay=3600)
    rule = {"match": {"method": "POST", "path": "*/documents/batches"}, "nth": 3}
    box.fault({**rule, "do": "delay", "seconds": 300, "when": "after_accept"})
    pid_file = airflow.home / f"{dag_id}.pid"
    pid_file.unlink(missing_ok=True)
    run_id = airflow.run(dag_id)
    airflow.until(lambda: submissions(box, prefix)[0] == 3, END_SECONDS, "the third batch was not sent")
    airflow.kill_task(pid_file)
    box.advance(7200)
    box.behave(batch_delay=0)
    airflow.wait_for_success(dag_id, run_id, END_SECONDS)
    sent, documents = submissions(box, prefix)
    assert sent == 5
    assert documents == {f"{prefix}{number:03}": 1 for number in range(50)}
    assert "'chunk': 3" in str(airflow.returned(dag_id, run_id, "submit"))
