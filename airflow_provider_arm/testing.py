"""Fixtures for tests of DAGs that use this provider: a sandbox of ARM, and a connection to it.

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
    """Yield a new sandbox of ARM on a free port of this machine; it stops with the test.

    A batch is finished at once, because a waiting task of a DAG under test polls at its ``poll_interval`` in real time
    (30 seconds by default). ``arm_sandbox.behave(batch_delay=1)`` sets a delay, as ARM has one.
    """
    from airflow_provider_arm.sandbox import ArmSandbox

    with ArmSandbox(batch_delay=0) as sandbox:
        yield sandbox


@pytest.fixture
def arm_connection(arm_sandbox: ArmSandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set the connection ``arm_default`` to the sandbox and return its id."""
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(arm_sandbox.connection()))
    return "arm_default"
