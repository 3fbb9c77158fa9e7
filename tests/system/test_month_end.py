"""Run the month-end example DAG: the ledgers match, a difference is approved, a difference is rejected."""

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

DAG_ID = "arm_month_end"
END_SECONDS = 180
ENDED = ("success", "failed", "upstream_failed", "skipped")


def test_month_closes_when_ledgers_match_or_after_approval(tmp_path, monkeypatch):
    """Approval is requested only if the ledgers differ; it shows the differences and decides about publishing."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path / "out"))
    examples = Path(__file__).parents[2] / "example_dags"
    with ArmSandbox() as box, LocalDeployment(tmp_path, [examples], box.connection()) as airflow:

        def state(run_id, task_id):
            return airflow.task(DAG_ID, run_id, task_id)["state"]

        def start(month):
            """Close a month with an account that is not in the general ledger; return the run that waits for input."""
            conf = {"month": month, "receivables": "1501"}
            body = {"logical_date": None, "conf": conf}
            run_id = airflow.call("POST", f"/api/v2/dags/{DAG_ID}/dagRuns", body)["dag_run_id"]
            waits = ("awaiting_input", "deferred")
            airflow.until(lambda: state(run_id, "approve") in (*waits, *ENDED), END_SECONDS, "approve does not wait")
            assert state(run_id, "approve") in waits
            finished = partial(airflow.executor_finished, DAG_ID, run_id, "approve")
            airflow.until(finished, END_SECONDS, "the process of approve has not ended")
            return run_id

        def choose(run_id, option):
            """Choose an option; return the text of the request and the final state of publish."""
            detail = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
            request = airflow.call("GET", detail)
            airflow.call("PATCH", detail, {"chosen_options": [option], "params_input": {"why": "another account"}})
            airflow.until(lambda: state(run_id, "publish") in ENDED, END_SECONDS, "publish has not ended")
            return request["body"], state(run_id, "publish")

        matching = airflow.run(DAG_ID)
        airflow.until(lambda: state(matching, "publish") in ENDED, END_SECONDS, "publish has not ended")
        assert (state(matching, "publish"), state(matching, "approve")) == ("success", "skipped")
        text, ended = choose(start("2025-03"), "Approve")
        assert ended == "success"
        assert "**AR items and GL items do not match**" in text
        assert "| 2025-03 | NOK |" in text
        assert "/out/2025-03/reconciliation.md" in text
        assert choose(start("2025-04"), "Reject")[1] == "skipped"
    closed = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in (tmp_path / "out").glob("*/closed.json")
    }
    assert sorted(closed) == ["2025-02", "2025-03"]
    assert (closed["2025-02"]["agrees"], closed["2025-02"]["approved"]) == (True, None)
    assert (closed["2025-03"]["agrees"], closed["2025-03"]["approved"]["why"]) == (False, "another account")
    assert closed["2025-03"]["approved"]["by"]
