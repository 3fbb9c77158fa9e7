"""``BatchLink``: the way from a task to its batch at ARM."""

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
    """Make the link as the worker does."""
    return BatchLink().get_link(operator, ti_key=None)


@pytest.mark.parametrize("told", [UUID, [UUID, "other"], SUBMITTED])
@pytest.mark.parametrize(("client_no", "number"), [(None, 2218), ("77", 77)])
def test_a_sensors_link_leads_to_its_first_batch(arm_sandbox, arm_connection, told, client_no, number):
    """Host and client number are those of the task; the uuid is quoted."""
    sensor = BatchSensor(task_id="w", batch_uuid=told, client_no=client_no)
    assert link(sensor) == f"{arm_sandbox.base_url}/clients/{number}/batches/9f2c-AA%2Fbb"


def test_the_link_leads_to_the_batch(arm_sandbox, arm_connection):
    """What stands behind the address is the batch's state, for who has a token."""
    import requests

    sensor = BatchSensor(task_id="w", batch_uuid="u")
    records = [{"customerNo": "1", "name": "A"}]
    sensor.batch_uuid = sensor.hook.client.submit_batch("create_customer_batch", records).batch_uuid
    assert requests.get(link(sensor), timeout=10).status_code == 401


def test_a_submissions_link_comes_from_what_it_has_noted(arm_connection, monkeypatch):
    """The batches are noted as soon as ARM has them, so a submission that fails later has its link too."""
    operator = BatchSubmitOperator(task_id="s", resource="customers", records=[])
    monkeypatch.setattr(XCom, "get_value", lambda *, ti_key, key: {"batch_uuids": ["u1", "u2"]}.get(key))
    assert link(operator).endswith("/clients/2218/batches/u1")
    monkeypatch.setattr(XCom, "get_value", lambda *, ti_key, key: None)
    assert link(operator) == ""


@pytest.mark.parametrize("told", [None, [], {}, 5])
def test_no_batch_is_no_link(arm_connection, told):
    """Whatever cannot be a batch gives an empty link and no error."""
    assert link(BatchSensor(task_id="w", batch_uuid=told)) == ""


def test_a_connection_that_is_not_there_fails_no_task(monkeypatch):
    """A link that cannot be made is empty."""
    assert link(BatchSensor(task_id="w", batch_uuid=UUID, arm_conn_id="not_there")) == ""


def test_the_link_shows_no_secret(arm_sandbox, arm_connection):
    """Neither id nor secret of the connection stand in it."""
    shown = link(BatchSensor(task_id="w", batch_uuid=UUID))
    password = json.loads(os.environ["AIRFLOW_CONN_ARM_DEFAULT"])["password"]
    assert password
    assert password not in shown
    assert arm_sandbox.client_id not in shown


def test_airflow_knows_the_link():
    """The sensor carries it, and the provider's metadata names it, without which Airflow drops it."""
    assert [type(one) for one in BatchSensor.operator_extra_links] == [BatchLink]
    assert f"{BatchLink.__module__}.{BatchLink.__qualname__}" in get_provider_info()["extra-links"]
