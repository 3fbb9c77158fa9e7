"""Runs that share a submission registry: each document reaches ARM once."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from tests.unit.airflow.invoices import effects, invoice


def invoices(*numbers):
    """Return invoices with these numbers."""
    return [invoice(50000 + number) for number in numbers]


@pytest.fixture
def submit(arm_sandbox, arm_connection, a_try, tmp_path):
    """Return a function that submits documents in a DAG run, two per batch; the sandbox accepts duplicates."""
    arm_sandbox.behave(q15_duplicate_document="accept")

    def run(records, run_id="r", number=1, **arguments):
        operator = BatchSubmitOperator(
            task_id="submit",
            resource="documents",
            records=records,
            chunk_size=2,
            poll_interval=0.01,
            journal_path=str(tmp_path / "journal"),
            registry_path=str(tmp_path / "registry"),
            **arguments,
        )
        return operator.execute(a_try(number, run_id=run_id))

    return run


def test_second_run_with_the_same_documents_returns_the_first_runs_batches(arm_sandbox, submit, caplog):
    """Nothing is sent, and the log names the first run."""
    caplog.set_level(logging.INFO)
    first = submit(invoices(1, 2, 3), wait_for_completion=True)
    for run_id in ("again", "backfill"):
        assert submit(invoices(1, 2, 3), run_id, wait_for_completion=True) == first
    assert submit(invoices(1, 2, 3), number=2, wait_for_completion=True) == first
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1, "50003": 1}
    assert "DAG d, run r, task submit has already submitted the same records" in caplog.text


def test_run_with_some_documents_of_another_run_fails_and_names_them(arm_sandbox, submit):
    """Nothing is sent; a run without them succeeds."""
    submit(invoices(1, 2))
    with pytest.raises(ArmFailException, match=r"1 of these 2 records .* run r, task submit \(documentNo 50002\)"):
        submit(invoices(2, 3), "later")
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1}
    submit(invoices(3), "corrected")
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1, "50003": 1}


def test_corrected_rejects_can_be_submitted_by_another_run(arm_sandbox, submit, tmp_path):
    """The corrected rejects file is the source of a new run with the same registry."""
    records = invoices(1, 2, 3)
    records[1]["customerNo"] = "999999999"
    rejects = tmp_path / "rejects.jsonl"
    submit(records, wait_for_completion=True, max_rejected=1, rejects_path=str(rejects))
    fixed = json.loads(rejects.read_text(encoding="utf-8")) | {"customerNo": "543210"}
    assert submit([fixed], "corrected", wait_for_completion=True)["accepted"] == 1
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1, "50003": 1}


def test_run_waits_for_another_run_whose_outcome_is_open(arm_sandbox, submit):
    """While the outcome is unknown or the batch is pending, another run with the same documents fails for a retry."""
    arm_sandbox.behave(batch_delay=3600)
    arm_sandbox.fault({"match": {"method": "POST", "path": "*/batches"}, "do": "close", "when": "after_accept"})
    with pytest.raises(ArmTransientException, match="chunk 1"):
        submit(invoices(1, 2))
    for run_id in ("again", "and again"):
        with pytest.raises(ArmTransientException, match=r"another run .DAG d, run r, task submit."):
            submit(invoices(1, 2), run_id)
    arm_sandbox.advance(3600)
    first = submit(invoices(1, 2), number=2)
    assert first["recovered"] == [{"chunk": 1, "records": 2, "missing": []}]
    assert submit(invoices(1, 2), "again", number=2) == first
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1}


def test_run_can_send_what_arm_refused_from_another_run(arm_sandbox, submit):
    """After a 4xx nothing has taken effect."""
    arm_sandbox.fault({"match": {"method": "POST", "path": "*/batches"}, "do": "status", "status": 422})
    with pytest.raises(ArmFailException, match="422"):
        submit(invoices(1))
    submit(invoices(1, 2), "later")
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1}


def test_registry_path_is_refused_for_customers(arm_sandbox, arm_connection, a_try, tmp_path):
    """Customers may be submitted repeatedly; also if the resource is rendered."""
    operator = BatchSubmitOperator(
        task_id="submit", resource="{{ 'customers' }}", records=[{"customerNo": "1"}], registry_path=str(tmp_path)
    )
    operator.resource = "customers"
    with pytest.raises(ArmFailException, match="registry_path is only for documents"):
        operator.execute(a_try(1))


def test_relative_registry_path_is_refused():
    """Each run may start in another folder."""
    with pytest.raises(ArmConfigurationError, match="registry_path must be absolute"):
        BatchSubmitOperator(task_id="submit", resource="documents", records=invoices(1), registry_path="registry")
