"""``RejectsNotifier``: says that records were refused, how many and where; never who."""

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


def told(task=None, result=None, exception=None):
    """Call the notifier as Airflow calls it after a task; gives what was sent."""
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


def test_a_green_task_with_refused_records_is_told(arm_sandbox, arm_connection, first_try, tmp_path):
    """Counts and the address of the rejects file, and nothing of the record."""
    path = str(tmp_path / "rejects.jsonl")
    result = wait(arm_connection, first_try, GOOD, BAD, on_rejected="warn", rejects_path=path)
    (sentence,) = told(result=result)
    assert sentence == f"invoicing.wait: ARM refused 1 of 2 records; the rejects are in {result['rejects_uri']}"


def test_a_red_task_is_told_too(arm_sandbox, arm_connection, first_try):
    """The error of a batch with too many refusals is counts too."""
    with pytest.raises(ArmBatchFailedException) as caught:
        wait(arm_connection, first_try, GOOD, BAD)
    (sentence,) = told(exception=caught.value)
    assert sentence.startswith("invoicing.wait: ARM refused 1 of 2 records")
    assert "canary" not in sentence.lower()
    assert "82002" not in sentence


def test_a_clean_batch_is_no_news(arm_sandbox, arm_connection, first_try):
    """Nothing is sent when every record was taken."""
    assert told(result=wait(arm_connection, first_try, GOOD)) == []


@pytest.mark.parametrize("exception", [ArmFailException("401 for somebody"), ValueError("82002")])
def test_other_failures_are_for_other_notifiers(exception):
    """An error that is not about refused records is not told here, whatever it says."""
    assert told(exception=exception, result={"rejected": 3}) == []


@pytest.mark.parametrize("result", [None, "done", {}, {"plan_only": True}])
def test_a_result_that_is_none_of_ours_is_no_news(result):
    """A task that gave something else has nothing to tell."""
    assert told(result=result) == []


def test_a_number_that_arm_does_not_tell_is_told_as_unknown():
    """Refused records that ARM does not count are news; a submission that has not waited has none."""
    unknown = {"submitted": 5, "accepted": None, "rejected": None, "rejects_uri": None}
    (sentence,) = told(result=unknown)
    assert "ARM refused an unknown number of 5 records; set rejects_path" in sentence
    assert told(result=unknown, task=BatchSubmitOperator(task_id="wait", resource="customers", records=[])) == []


def test_without_a_way_to_send_it_is_a_warning(caplog):
    """The default writes a line that stands out in the log."""
    RejectsNotifier().send("a sentence")
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", "a sentence")]
