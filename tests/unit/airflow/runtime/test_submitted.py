"""What the argument ``batch_uuid`` of a sensor may be."""

from __future__ import annotations

import pytest

from airflow_provider_arm.client import ArmConfigurationError
from airflow_provider_arm.runtime.submitted import Submitted, read_submitted
from airflow_provider_arm.submission.sending.recovered import RecoveredChunk

ONE = {"batch_uuids": ["u1"], "submitted": 1}
TWO = {"batch_uuids": ["u2", "u3"], "batch_records": {"u2": 500, "u3": 20}, "submitted": 520}


def test_result_survives_its_json_form():
    """A deferral stores it, and a sensor reads it from XCom."""
    origin = {"resource": "customers", "action": "create", "source": "a.csv", "chunk_size": 5, "on_invalid": "fail"}
    submitted = Submitted(["u1"], {"u1": 5}, [RecoveredChunk(2, 1)], 6, 1, origin)
    restored = Submitted.from_result(submitted.as_json())
    assert restored.as_json() == submitted.as_json()


@pytest.mark.parametrize("value", ["u1", ["u1"], ("u1", "u1"), ONE, [ONE, ONE]])
def test_one_batch_in_each_form(value):
    """Duplicates are removed."""
    (submitted,) = read_submitted(value)
    assert submitted.batch_uuids == ["u1"]


def test_results_of_a_mapped_task_are_one_wait():
    """The number of records of each batch is kept."""
    submissions = read_submitted([ONE, TWO])
    assert [each.batch_uuids for each in submissions] == [["u1"], ["u2", "u3"]]
    assert [each.batch_records for each in submissions] == [{"u1": 1}, {"u2": 500, "u3": 20}]


def test_submissions_without_records_need_no_batch():
    """Each of several nightly files may be empty."""
    empty = {"batch_uuids": [], "submitted": 0}
    assert [each.batch_uuids for each in read_submitted([empty, empty, ONE])] == [[], [], ["u1"]]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "do_xcom_push"),
        ("None", "do_xcom_push"),
        ([ONE, None], "not a list with other values"),
        ("", "is empty.*do_xcom_push"),
        (" ", "is empty.*do_xcom_push"),
        (["u1", "None"], "do_xcom_push"),
        ("null", "do_xcom_push"),
        ("u1,u2", "as a list"),
        ("u1 u2", "as a list"),
        ("('u1', 'u2')", "task.output"),
        ("'u1'", "task.output"),
        ("{{ ti.xcom_pull('s') }}", "not rendered"),
        ([], "not an empty list"),
        ({}, "do_xcom_push"),
        (5, "type int"),
        ([1], "other values"),
        ([["u1"]], "other values"),
        ({"batch_uuids": []}, "not an empty list"),
        ("['u1', 'u2']", "task.output"),
        ("{'batch_uuids': ['u1']}", "task.output"),
    ],
)
def test_value_without_a_batch_raises_and_names_the_next_step(value, words):
    """Neither an endless nor an empty wait."""
    with pytest.raises(ArmConfigurationError, match=rf"batch_uuid .*{words}"):
        read_submitted(value)
