"""Rejects file, and the log of rejects."""

from __future__ import annotations

import json

from airflow_provider_arm.client.models import CustomerWrite
from airflow_provider_arm.runtime.rejects import LOGGED_REJECTS, write_rejects
from airflow_provider_arm.submission.results.outcome import Reject


def rejects(count):
    """Return this many rejects."""
    return [Reject(n, str(n), ("CustomerNo: no",), "u1", {"customerNo": str(n)}) for n in range(1, count + 1)]


def test_rejects_file_has_one_line_per_reject(tmp_path):
    """ARM names as many rejects as it counts."""
    path = f"file://{tmp_path}/rejects.jsonl"
    uri, where = write_rejects(rejects(25), path, 25, CustomerWrite)
    assert uri.endswith("/rejects.jsonl")
    assert where == f"rejects: {uri}"
    lines = (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["_row"] for line in lines] == list(range(1, 26))


def test_message_has_the_number_of_named_rejects_when_arm_counts_more(tmp_path):
    """Also if ARM returns no count."""
    for expected in (3, None):
        _, where = write_rejects(rejects(2), f"file://{tmp_path}/rejects.jsonl", expected, CustomerWrite)
        assert where.endswith("/rejects.jsonl (ARM names 2 of them)")


def test_first_rejects_are_logged_without_a_path(caplog):
    """Each with row, key and reasons; no file is written."""
    uri, where = write_rejects(rejects(25), None, 25, CustomerWrite)
    assert uri is None
    assert "rejects_path" in where
    assert len([record for record in caplog.records if record.name.endswith("rejects")]) == LOGGED_REJECTS
