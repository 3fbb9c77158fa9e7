"""A live Airflow asks a person about a batch of which nobody knows, and the DAG run ends well on the answer."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest

from airflow_provider_arm.sandbox import ArmSandbox
from tests.system.local_deployment import LocalDeployment

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.metadata.version("apache-airflow-core") < "3.3", reason="the REST API of 3.3 is what the test speaks"
    ),
]

DAG_ID = "arm_invoices_with_release"
END_SECONDS = 180


@pytest.fixture
def box():
    """Give a sandbox that loses the second batch before it takes it."""
    with ArmSandbox() as box:
        box.behave(q15_duplicate_document="accept")  # a second booking would show
        rule = {"match": {"method": "POST", "path": "*/documents/batches"}, "nth": 2}
        box.fault({**rule, "do": "close", "when": "before_accept"})
        yield box


def test_run_continues_after_manual_resolution(box, tmp_path, monkeypatch):
    """The example DAG: three tries look in vain, a person says absent, the chunk is sent; every invoice once."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path / "out"))
    examples = Path(__file__).parents[2] / "example_dags"
    with LocalDeployment(tmp_path, [examples], box.connection()) as airflow:
        run_id = airflow.run(DAG_ID)

        def state(task_id):
            return airflow.task(DAG_ID, run_id, task_id)["state"]

        ended = ("awaiting_input", "deferred", "failed", "upstream_failed")
        airflow.until(lambda: state("ask") in ended, END_SECONDS, "nobody is asked")
        assert (state("submit"), state("ask") in ended[:2]) == ("failed", True)
        airflow.until(lambda: airflow.let_go(DAG_ID, run_id, "ask"), END_SECONDS, "ask keeps its process")
        detail = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/ask/-1/hitlDetails"
        asked = airflow.call("GET", detail)
        assert "chunk 2 (rows 11 to 20)" in asked["body"]
        assert "documentNo 70011, 70012, 70013, 70014, 70015 and 5 more" in asked["body"]
        answer = {"chosen_options": ["absent"], "params_input": {"why": "none of them is in ARM"}}
        airflow.call("PATCH", detail, answer)
        airflow.until(lambda: state("submit_rest") in ("success", "failed"), END_SECONDS, "submit_rest does not end")
        assert state("submit_rest") == "success"
        run = airflow.call("GET", f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}")
        airflow.until(
            lambda: airflow.call("GET", f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}")["state"] == "success", 30, str(run)
        )
    effects = {key: entry["effects"] for key, entry in box.ledger()["documents"].items() if key.startswith("70")}
    assert effects == {str(70001 + number): 1 for number in range(30)}
    (line,) = (tmp_path / "out" / "journal").rglob("chunk-000001.000004-*.json")
    (word,) = json.loads(line.read_text(encoding="utf-8"))["content"]["resolutions"]
    assert (word["verdict"], word["why"]) == ("absent", "none of them is in ARM")
    assert word["by"]
