"""A live Airflow closes three months: one whose ledgers agree, one on a person's word, one that a person refuses."""

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

DAG_ID = "arm_month_end"
END_SECONDS = 180
ENDED = ("success", "failed", "upstream_failed", "skipped")


def test_month_closes_when_ledgers_match_or_after_approval(tmp_path, monkeypatch):
    """The example DAG: nobody is asked where all is well; else the differences are shown, and the answer decides."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path / "out"))
    examples = Path(__file__).parents[2] / "example_dags"
    with ArmSandbox() as box, LocalDeployment(tmp_path, [examples], box.connection()) as airflow:

        def state(run_id, task_id):
            return airflow.task(DAG_ID, run_id, task_id)["state"]

        def ask(month):
            """Close a month against an account that the general ledger has not; gives the run that asks a person."""
            conf = {"month": month, "receivables": "1501"}
            body = {"logical_date": None, "conf": conf}
            run_id = airflow.call("POST", f"/api/v2/dags/{DAG_ID}/dagRuns", body)["dag_run_id"]
            waits = ("awaiting_input", "deferred")
            airflow.until(lambda: state(run_id, "approve") in (*waits, *ENDED), END_SECONDS, "nobody is asked")
            assert state(run_id, "approve") in waits
            airflow.until(lambda: airflow.let_go(DAG_ID, run_id, "approve"), END_SECONDS, "approve keeps its process")
            return run_id

        def answer(run_id, word):
            """Answer; gives the question and how publishing ended."""
            detail = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
            asked = airflow.call("GET", detail)
            airflow.call("PATCH", detail, {"chosen_options": [word], "params_input": {"why": "another account"}})
            airflow.until(lambda: state(run_id, "publish") in ENDED, END_SECONDS, "publish does not end")
            return asked["body"], state(run_id, "publish")

        agreed = airflow.run(DAG_ID)
        airflow.until(lambda: state(agreed, "publish") in ENDED, END_SECONDS, "publish does not end")
        assert (state(agreed, "publish"), state(agreed, "approve")) == ("success", "skipped")
        question, ended = answer(ask("2025-03"), "Approve")
        assert ended == "success"
        assert "**AR items and GL items do not match**" in question
        assert "| 2025-03 | NOK |" in question
        assert "/out/2025-03/reconciliation.md" in question
        assert answer(ask("2025-04"), "Reject")[1] == "skipped"
    closed = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in (tmp_path / "out").glob("*/closed.json")
    }
    assert sorted(closed) == ["2025-02", "2025-03"]
    assert (closed["2025-02"]["agrees"], closed["2025-02"]["approved"]) == (True, None)
    assert (closed["2025-03"]["agrees"], closed["2025-03"]["approved"]["why"]) == (False, "another account")
    assert closed["2025-03"]["approved"]["by"]
