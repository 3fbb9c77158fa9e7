"""Run the example DAG that requests a manual resolution of an unresolved chunk: it sends the rest and succeeds."""

from __future__ import annotations

import importlib.metadata
import json
from functools import partial
from pathlib import Path

import pytest

from airflow_provider_arm.sandbox import ArmSandbox
from tests.system.local_deployment import LocalDeployment

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.metadata.version("apache-airflow-core") < "3.3", reason="the test uses the REST API of Airflow 3.3"
    ),
]

DAG_ID = "arm_invoices_with_resolution"
END_SECONDS = 180


@pytest.fixture
def box():
    """Yield a sandbox that closes the connection of the second batch before it accepts the batch."""
    with ArmSandbox(batch_delay=0) as box:
        box.behave(q15_duplicate_document="accept")  # so that a second booking is visible
        rule = {"match": {"method": "POST", "path": "*/documents/batches"}, "nth": 2}
        box.fault({**rule, "do": "close", "when": "before_accept"})
        yield box


def test_run_continues_after_manual_resolution(box, tmp_path, monkeypatch):
    """Lookups of three tries find nothing; after the resolution 'absent' the chunk is sent, and no invoice twice."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path / "out"))
    examples = Path(__file__).parents[2] / "example_dags"
    with LocalDeployment(tmp_path, [examples], box.connection()) as airflow:
        run_id = airflow.run(DAG_ID)

        def state(task_id):
            return airflow.task(DAG_ID, run_id, task_id)["state"]

        ended = ("awaiting_input", "deferred", "failed", "upstream_failed")
        airflow.until(lambda: state("ask") in ended, END_SECONDS, "no input is requested")
        assert (state("submit"), state("ask") in ended[:2]) == ("failed", True)
        finished = partial(airflow.executor_finished, DAG_ID, run_id, "ask")
        airflow.until(finished, END_SECONDS, "the process of ask has not ended")
        detail = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/ask/-1/hitlDetails"
        request = airflow.call("GET", detail)
        assert "chunk 2 (rows 11 to 20)" in request["body"]
        assert "documentNo 70011, 70012, 70013, 70014, 70015 and 5 more" in request["body"]
        choice = {"chosen_options": ["absent"], "params_input": {"why": "none of them is in ARM"}}
        airflow.call("PATCH", detail, choice)
        airflow.until(lambda: state("submit_rest") in ("success", "failed"), END_SECONDS, "submit_rest has not ended")
        assert state("submit_rest") == "success"
        airflow.wait_for_success(DAG_ID, run_id, 30)
    effects = {key: entry["effects"] for key, entry in box.ledger()["documents"].items() if key.startswith("70")}
    assert effects == {str(70001 + number): 1 for number in range(30)}
    (line,) = (tmp_path / "out" / "journal").rglob("chunk-000001.000004-*.json")
    (resolution,) = json.loads(line.read_text(encoding="utf-8"))["content"]["resolutions"]
    assert (resolution["verdict"], resolution["why"]) == ("absent", "none of them is in ARM")
    assert resolution["by"]
