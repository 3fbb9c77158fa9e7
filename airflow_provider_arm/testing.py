"""Fixtures for tests of DAGs that use this provider: a sandbox of ARM, and a connection that leads to it.

In a ``conftest.py``::

    from airflow_provider_arm.testing import arm_connection, arm_sandbox  # noqa: F401

    def test_my_dag(arm_sandbox, arm_connection):
        my_dag.test()
        assert arm_sandbox.ledger()["customers"]["1001"]["effects"] == 1

Needs the extra ``sandbox`` and pytest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.sandbox import ArmSandbox

__all__ = ["arm_connection", "arm_sandbox"]


@pytest.fixture
def arm_sandbox() -> Iterator[ArmSandbox]:
    """Give a fresh sandbox of ARM on a free port of this machine; it ends with the test."""
    from airflow_provider_arm.sandbox import ArmSandbox

    with ArmSandbox() as box:
        yield box


@pytest.fixture
def arm_connection(arm_sandbox: ArmSandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the connection ``arm_default`` lead to the sandbox; gives its id."""
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(arm_sandbox.connection()))
    return "arm_default"
