"""``RejectsNotifier`` in the callbacks of tasks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_arm.exceptions import ArmBatchFailedException, ArmFailException
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.notifications.rejects import RejectsNotifier
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.sensors.batch import BatchSensor

GOOD = {"customerNo": "82001", "name": "Canary One"}
BAD = {"customerNo": "82002", "name": "Canary Two", "organizationNo": "312345678"}


def notify(task=None, result=None, exception=None):
    """Call the notifier as Airflow calls it after a task, and return what was sent."""
    sent = []
    pull = {"task_ids": "wait", "map_indexes": -1}
    ti = SimpleNamespace(dag_id="invoicing", task_id="wait", map_index=-1)
    ti.xcom_pull = lambda **arguments: result if arguments == pull else None
    context = {"ti": ti, "task": task} | ({"exception": exception} if exception else {})
    RejectsNotifier(send=sent.append)(context)
    return sent


def wait(arm_connection, first_try, *records, **policy):
    """Wait for a batch of these records with a sensor."""
    uuid = ArmHook(arm_connection).client.submit_batch("create_customer_batch", records).batch_uuid
    return BatchSensor(task_id="wait", batch_uuid=uuid, **policy).execute(first_try)


def test_notifier_sends_counts_and_file_when_a_task_succeeds_with_rejects(
    arm_sandbox, arm_connection, first_try, tmp_path
):
    """The sentence contains nothing of the record."""
    path = str(tmp_path / "rejects.jsonl")
    result = wait(arm_connection, first_try, GOOD, BAD, on_rejected="warn", rejects_path=path)
    (sentence,) = notify(result=result)
    assert sentence == (
        'invoicing.wait: 1 of 2 records accepted, 1 rejected (50 %, limit 0): success (on_rejected="warn"); '
        f"rejects: {result['rejects_uri']}"
    )


def test_notifier_sends_counts_when_rejects_fail_the_task(arm_sandbox, arm_connection, first_try):
    """The sentence contains nothing of the records."""
    with pytest.raises(ArmBatchFailedException) as caught:
        wait(arm_connection, first_try, GOOD, BAD)
    (sentence,) = notify(exception=caught.value)
    assert sentence.startswith("invoicing.wait: 1 of 2 records accepted, 1 rejected")
    assert "canary" not in sentence.lower()
    assert "82002" not in sentence


def test_notifier_sends_nothing_without_rejects(arm_sandbox, arm_connection, first_try):
    """ARM has accepted every record."""
    assert notify(result=wait(arm_connection, first_try, GOOD)) == []


@pytest.mark.parametrize("exception", [ArmFailException("401 for somebody"), ValueError("82002")])
def test_notifier_ignores_other_errors(exception):
    """Their messages may contain anything."""
    assert notify(exception=exception, result={"rejected": 3}) == []


@pytest.mark.parametrize("result", [None, "done", {}, {"plan_only": True}])
def test_notifier_ignores_results_of_other_tasks(result):
    """They have no number of rejects."""
    assert notify(result=result) == []


def test_notifier_reports_an_unknown_number_of_rejects():
    """A submission that has not waited has no outcome yet, so nothing is sent for it."""
    unknown = {"submitted": 5, "rejected": None, "summary": "5 records submitted, an unknown number rejected"}
    (sentence,) = notify(result=unknown)
    assert sentence.endswith("an unknown number rejected")
    assert notify(result=unknown, task=BatchSubmitOperator(task_id="wait", resource="customers", records=[])) == []


def test_notifier_logs_a_warning_by_default(caplog):
    """Without the argument *send*."""
    RejectsNotifier().send("a sentence")
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", "a sentence")]
