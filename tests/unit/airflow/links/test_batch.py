"""``BatchLink`` of sensors and submissions."""

from __future__ import annotations

import json
import os

import pytest
from airflow.providers.common.compat.sdk import XCom

from airflow_provider_arm.get_provider_info import get_provider_info
from airflow_provider_arm.links.batch import BatchLink
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.sensors.batch import BatchSensor

UUID = "9f2c-AA/bb"
SUBMITTED = {"batch_uuids": [UUID, "other"], "submitted": 2}


def link(operator):
    """Return the link, as the worker evaluates it."""
    return BatchLink().get_link(operator, ti_key=None)


@pytest.mark.parametrize("batches", [UUID, [UUID, "other"], SUBMITTED])
@pytest.mark.parametrize(("client_no", "number"), [(None, 2218), ("77", 77)])
def test_link_of_sensor_has_host_client_number_and_first_batch(arm_sandbox, arm_connection, batches, client_no, number):
    """Host and client number are those of the task; the batchUuid is quoted."""
    sensor = BatchSensor(task_id="w", batch_uuid=batches, client_no=client_no)
    assert link(sensor) == f"{arm_sandbox.base_url}/clients/{number}/batches/9f2c-AA%2Fbb"


def test_link_address_needs_a_token(arm_sandbox, arm_connection):
    """ARM answers 401 to a request without one."""
    import requests

    sensor = BatchSensor(task_id="w", batch_uuid="u")
    records = [{"customerNo": "1", "name": "A"}]
    sensor.batch_uuid = sensor.hook.client.submit_batch("create_customer_batch", records).batch_uuid
    assert requests.get(link(sensor), timeout=10).status_code == 401


def test_link_of_submission_is_read_from_its_xcom(arm_connection, monkeypatch):
    """The XCom is pushed as soon as ARM has the batches, so a submission that fails later has a link, too."""
    operator = BatchSubmitOperator(task_id="s", resource="customers", records=[])
    monkeypatch.setattr(XCom, "get_value", lambda *, ti_key, key: {"batch_uuids": ["u1", "u2"]}.get(key))
    assert link(operator).endswith("/clients/2218/batches/u1")
    monkeypatch.setattr(XCom, "get_value", lambda *, ti_key, key: None)
    assert link(operator) == ""


@pytest.mark.parametrize("batches", [None, [], {}, 5])
def test_link_is_empty_without_a_batch(arm_connection, batches):
    """An argument that names no batch is no error."""
    assert link(BatchSensor(task_id="w", batch_uuid=batches)) == ""


def test_link_is_empty_when_the_connection_is_missing(monkeypatch):
    """The task does not fail."""
    assert link(BatchSensor(task_id="w", batch_uuid=UUID, arm_conn_id="not_there")) == ""


def test_link_contains_no_credentials(arm_sandbox, arm_connection):
    """Neither the id nor the secret of the connection is in the link."""
    shown = link(BatchSensor(task_id="w", batch_uuid=UUID))
    password = json.loads(os.environ["AIRFLOW_CONN_ARM_DEFAULT"])["password"]
    assert password
    assert password not in shown
    assert arm_sandbox.client_id not in shown


def test_link_is_registered_with_airflow():
    """Airflow ignores a link that the provider metadata does not name."""
    assert [type(one) for one in BatchSensor.operator_extra_links] == [BatchLink]
    assert f"{BatchLink.__module__}.{BatchLink.__qualname__}" in get_provider_info()["extra-links"]
