"""Fixtures of the export tests."""

from __future__ import annotations

import pytest

from airflow_provider_arm.client import ArmClient, ClientCredentials
from airflow_provider_arm.sandbox import ArmSandbox


@pytest.fixture(scope="module")
def client():
    """Yield a client of a sandbox whose data does not change."""
    with ArmSandbox(ar_items=120) as box:
        credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
        with ArmClient(box.base_url, credentials, client_no=box.client_no) as arm_client:
            yield arm_client
