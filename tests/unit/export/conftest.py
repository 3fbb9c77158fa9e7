"""What the tests of exports share."""

from __future__ import annotations

import pytest

from airflow_provider_arm.client import ArmClient, ClientCredentials
from airflow_provider_arm.sandbox import ArmSandbox


@pytest.fixture(scope="module")
def client():
    """Give a client of one sandbox that nobody changes."""
    with ArmSandbox(ar_items=120) as box:
        credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
        with ArmClient(box.base_url, credentials, client_no=box.client_no) as made:
            yield made
