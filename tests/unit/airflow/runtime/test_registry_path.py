"""Runs that share a ledger: the same documents reach ARM once, however many runs are started with them."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from tests.unit.airflow.invoices import effects, invoice


def invoices(*numbers):
    """Make invoices."""
    return [invoice(50000 + number) for number in numbers]


@pytest.fixture
def submit(arm_sandbox, arm_connection, a_try, tmp_path):
    """Give a function that submits documents in a DAG run, two to a batch; ARM books a number as often as it comes."""
    arm_sandbox.behave(q15_duplicate_document="accept")

    def run(records, run_id="r", number=1, **arguments):
        operator = BatchSubmitOperator(
            task_id="submit",
            resource="documents",
            records=records,
            chunk_size=2,
            poll_interval=0.01,
            journal_path=str(tmp_path / "journal"),
            registry_path=str(tmp_path / "ledger"),
            **arguments,
        )
        return operator.execute(a_try(number, run_id=run_id))

    return run


def test_a_second_run_with_the_same_file_follows_the_first(arm_sandbox, submit, caplog):
    """The same documents in another run: nothing is sent, the result is the same, and the log says why."""
    caplog.set_level(logging.INFO)
    first = submit(invoices(1, 2, 3), wait_for_completion=True)
    for run_id in ("again", "backfill"):
        assert submit(invoices(1, 2, 3), run_id, wait_for_completion=True) == first
    assert submit(invoices(1, 2, 3), number=2, wait_for_completion=True) == first
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1, "50003": 1}
    assert "DAG d, run r, task submit has already submitted the same records" in caplog.text


def test_an_overlapping_run_is_refused_and_names_the_documents(arm_sandbox, submit):
    """One document of an earlier run among new ones: nothing is sent, and the message names it and the run."""
    submit(invoices(1, 2))
    with pytest.raises(ArmFailException, match=r"1 of these 2 records .* run r, task submit \(documentNo 50002\)"):
        submit(invoices(2, 3), "later")
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1}
    submit(invoices(3), "corrected")
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1, "50003": 1}


def test_corrected_rejects_go_through_another_run(arm_sandbox, submit, tmp_path):
    """The rejects file, corrected, is a source for a new run under the same ledger."""
    records = invoices(1, 2, 3)
    records[1]["customerNo"] = "999999999"
    rejects = tmp_path / "rejects.jsonl"
    submit(records, wait_for_completion=True, max_rejected=1, rejects_path=str(rejects))
    fixed = json.loads(rejects.read_text(encoding="utf-8")) | {"customerNo": "543210"}
    assert submit([fixed], "corrected", wait_for_completion=True)["accepted"] == 1
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1, "50003": 1}


def test_a_run_that_is_not_settled_holds_the_others_up(arm_sandbox, submit):
    """While nobody knows of a batch, or ARM is at work on it, another run with its documents waits for a retry."""
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


def test_a_run_that_arm_refused_whole_holds_nobody_up(arm_sandbox, submit):
    """A 4xx: nothing happened, so another run may send."""
    arm_sandbox.fault({"match": {"method": "POST", "path": "*/batches"}, "do": "status", "status": 422})
    with pytest.raises(ArmFailException, match="422"):
        submit(invoices(1))
    submit(invoices(1, 2), "later")
    assert effects(arm_sandbox) == {"50001": 1, "50002": 1}


def test_customers_need_no_ledger(arm_sandbox, arm_connection, a_try, tmp_path):
    """They may be submitted any number of times, so the argument is a mistake."""
    operator = BatchSubmitOperator(
        task_id="submit", resource="customers", records=[{"customerNo": "1"}], registry_path=str(tmp_path)
    )
    with pytest.raises(ArmFailException, match="registry_path is only for documents"):
        operator.execute(a_try(1))


def test_a_relative_ledger_is_refused(arm_sandbox, arm_connection, a_try):
    """Each run may start in another folder."""
    operator = BatchSubmitOperator(task_id="submit", resource="documents", records=invoices(1), registry_path="ledger")
    with pytest.raises(ArmFailException, match="registry_path must be absolute"):
        operator.execute(a_try(1))
