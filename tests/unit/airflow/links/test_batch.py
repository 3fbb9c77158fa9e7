"""``BatchLink`` of sensors and submissions."""

from __future__ import annotations

import json
import os
from importlib import import_module
from urllib.parse import urlsplit

import pytest
import requests
from airflow.providers.common.compat.sdk import XCom

from airflow_provider_arm.get_provider_info import get_provider_info
from airflow_provider_arm.links.batch import BATCH_LINKS, MAX_LINKS, BatchLink, batch_address
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.sensors.batch import BatchSensor

UUID = "9f2c-AA/bb"
SUBMITTED = {"batch_uuids": [UUID, "other"], "submitted": 2}


def links(operator):
    """Return the links, as the worker evaluates them; without those that Airflow hides."""
    return [address for one in BATCH_LINKS if (address := one.get_link(operator, ti_key=None))]


@pytest.mark.parametrize(
    ("batches", "count"), [(UUID, 1), ([UUID, "other"], 2), (SUBMITTED, 2), ([SUBMITTED, {"batch_uuids": ["x"]}], 3)]
)
@pytest.mark.parametrize(("client_no", "number"), [(None, 2218), ("77", 77)])
def test_each_batch_has_a_link_with_client_number(arm_sandbox, arm_connection, batches, count, client_no, number):
    """Client number is that of the task; the batchUuid is quoted."""
    sensor = BatchSensor(task_id="w", batch_uuid=batches, client_no=client_no)
    parts = urlsplit(arm_sandbox.base_url)
    found = links(sensor)
    assert found[0] == f"{parts.scheme}://{parts.netloc}/?client_no={number}&batch=9f2c-AA%2Fbb"
    assert len(set(found)) == count


def test_link_opens_the_page_of_the_batch_without_a_token(arm_sandbox, arm_connection):
    """The page reads its data with the same parameters, and shows this batch alone."""
    sensor = BatchSensor(task_id="w", batch_uuid="u")
    uuids = [
        sensor.hook.client.submit_batch("create_customer_batch", [{"customerNo": str(n), "name": "A"}]).batch_uuid
        for n in (1, 2)
    ]
    sensor.batch_uuid = uuids[0]
    (address,) = links(sensor)
    page = requests.get(address, timeout=10)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "location.search" in page.text
    data = requests.get(address.replace("/?", "/__sandbox__/overview?"), timeout=10).json()
    assert [batch["uuid"] for batch in data["batches"]] == [uuids[0]]


def test_real_arm_has_addresses_instead_of_links(monkeypatch):
    """A browser has no token, so a link would be dead. Neither contains credentials."""
    connection = {"conn_type": "arm", "host": "https://arm.example.com/arm/v1", "login": "id", "password": "secret"}
    extra = {"client_no": 2218, "auth_url": "https://auth.example.com/token"}
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(connection | {"extra": extra}))
    sensor = BatchSensor(task_id="w", batch_uuid=UUID)
    assert links(sensor) == []
    assert batch_address(sensor, UUID) == "https://arm.example.com/arm/v1/clients/2218/batches/9f2c-AA%2Fbb"


def test_submission_logs_and_pushes_the_address_of_each_batch(arm_sandbox, arm_connection, first_try, caplog):
    """In the order of the chunks."""
    caplog.set_level("INFO")
    records = [{"customerNo": str(n), "name": "A"} for n in range(3)]
    operator = BatchSubmitOperator(task_id="s", resource="customers", records=records, chunk_size=1)
    uuids = operator.execute(first_try)["batch_uuids"]
    addresses = first_try["ti"].xcoms["batch_addresses"]
    assert addresses == [batch_address(operator, uuid) for uuid in uuids]
    assert requests.get(addresses[0], timeout=10).status_code == 401


def test_link_of_submission_is_read_from_its_xcom(arm_connection, monkeypatch):
    """The XCom is pushed as soon as ARM has the batches, so a submission that fails later has a link, too."""
    operator = BatchSubmitOperator(task_id="s", resource="customers", records=[])
    monkeypatch.setattr(XCom, "get_value", lambda *, ti_key, key: {"batch_uuids": ["u1", "u2"]}.get(key))
    assert [address.rpartition("=")[2] for address in links(operator)] == ["u1", "u2"]
    monkeypatch.setattr(XCom, "get_value", lambda *, ti_key, key: None)
    assert links(operator) == []


@pytest.mark.parametrize("batches", [None, [], {}, 5])
def test_link_is_empty_without_a_batch(arm_connection, batches):
    """An argument that names no batch is no error."""
    assert links(BatchSensor(task_id="w", batch_uuid=batches)) == []


def test_link_is_empty_when_the_connection_is_missing():
    """The task does not fail."""
    assert links(BatchSensor(task_id="w", batch_uuid=UUID, arm_conn_id="not_there")) == []


def test_link_contains_no_credentials(arm_sandbox, arm_connection):
    """Neither the id nor the secret of the connection is in the link."""
    (shown,) = links(BatchSensor(task_id="w", batch_uuid=UUID))
    password = json.loads(os.environ["AIRFLOW_CONN_ARM_DEFAULT"])["password"]
    assert password
    assert password not in shown
    assert arm_sandbox.client_id not in shown


def test_links_are_registered_with_airflow_under_different_keys():
    """Airflow stores each link under its key, and shows it under its name."""
    for operator in (BatchSensor, BatchSubmitOperator):
        assert {type(one) for one in operator.operator_extra_links} == {BatchLink}
    assert f"{BatchLink.__module__}.{BatchLink.__qualname__}" in get_provider_info()["extra-links"]
    assert len({one.xcom_key for one in BATCH_LINKS}) == len({one.name for one in BATCH_LINKS}) == MAX_LINKS


def test_links_survive_the_serialization_of_the_dag():
    """The API server knows only name and key of a link."""
    from airflow.sdk import DAG

    module = import_module("airflow.serialization.serialized_objects")
    serialization = getattr(module, "DagSerialization", None) or module.SerializedDAG
    with DAG("arm_links", schedule=None) as dag:
        BatchSensor(task_id="w", batch_uuid=UUID)
    restored = serialization.from_dict(serialization.to_dict(dag)).get_task("w")
    assert {one.name: one.xcom_key for one in restored.operator_extra_links} == {
        one.name: one.xcom_key for one in BATCH_LINKS
    }
