"""The rejects file, and what a task says of it."""

from __future__ import annotations

import json

from airflow_provider_arm.client.models import CustomerWrite
from airflow_provider_arm.runtime.rejects import LOGGED_REJECTS, write_rejects
from airflow_provider_arm.submission.results.outcome import Reject


def rejects(count):
    """Make so many refused records."""
    return [Reject(n, str(n), ("CustomerNo: no",), "u1", {"customerNo": str(n)}) for n in range(1, count + 1)]


def test_all_that_arm_counted_are_in_the_file(tmp_path):
    """When as many are named as counted, the task says that they are in the file, one a line."""
    path = f"file://{tmp_path}/rejects.jsonl"
    uri, where = write_rejects(rejects(25), path, 25, CustomerWrite)
    assert uri.endswith("/rejects.jsonl")
    assert where == f"the rejects are in {uri}"
    lines = (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["_row"] for line in lines] == list(range(1, 26))


def test_fewer_names_than_counted_are_told(tmp_path):
    """When ARM counts more refused records than it names, or does not count, the task says how many it has."""
    for expected in (3, None):
        _, where = write_rejects(rejects(2), f"file://{tmp_path}/rejects.jsonl", expected, CustomerWrite)
        assert where.startswith("ARM names 2 of the rejects")


def test_without_a_path_the_first_are_logged(caplog):
    """Without rejects_path the log has the first of them, by row, key and reason, and nothing is written."""
    uri, where = write_rejects(rejects(25), None, 25, CustomerWrite)
    assert uri is None
    assert "rejects_path" in where
    assert len([record for record in caplog.records if record.name.endswith("rejects")]) == LOGGED_REJECTS
