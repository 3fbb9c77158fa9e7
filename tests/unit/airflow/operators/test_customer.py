"""``CustomerUpsertOperator`` and ``CustomerDeleteOperator`` against the sandbox."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.operators.customer import CustomerDeleteOperator, CustomerUpsertOperator
from airflow_provider_arm.runtime.base_operator import RedactedArgument

ADDRESS = {
    "addressLine1": "Storgata 1",
    "addressLine2": "",
    "addressLine3": "",
    "postalCode": "0150",
    "cityName": "Oslo",
    "countryText": "Norway",
    "countryCode": "NO",
}
CUSTOMER = {"customerNo": "77001", "name": "Kari Canary", "postalAddress": ADDRESS, "limitAmount": Decimal("1000.50")}


def upsert(customer, **arguments):
    """Make the operator."""
    return CustomerUpsertOperator(task_id="upsert", customer=customer, **arguments)


def test_a_customer_is_created_then_updated(arm_sandbox, arm_connection, first_try):
    """The operator gives number, account, ARM's word and warnings, and the ledger has both effects."""
    created = upsert(CUSTOMER).execute(first_try)
    updated = upsert({"customerNo": "77001", "informalName": "K"}).execute(first_try)
    assert (created["customer_no"], created["result"], created["warnings"]) == ("77001", "CREATED", [])
    assert updated == {**created, "result": "UPDATED"}
    assert arm_sandbox.ledger()["customers"]["77001"]["effects"] == 2


def test_an_amount_arrives_with_its_digits(arm_sandbox, arm_connection, first_try):
    """A Decimal of the DAG stands in ARM as it was written."""
    from airflow_provider_arm.hooks.arm import ArmHook

    upsert(CUSTOMER).execute(first_try)
    assert str(ArmHook().client.get_customer("77001").limit_amount) == "1000.50"


def test_the_customer_may_be_json_text_or_a_file(arm_sandbox, arm_connection, first_try, tmp_path):
    """JSON text and the address of a .json file do as well as a mapping."""
    text = '{"customerNo": "77002", "name": "A", "limitAmount": 12.30}'
    (tmp_path / "customer.json").write_text(text, encoding="utf-8")
    assert upsert(text).execute(first_try)["result"] == "CREATED"
    assert upsert(f"file://{tmp_path}/customer.json").execute(first_try)["result"] == "UPDATED"


@pytest.mark.parametrize(
    ("customer", "words"),
    [
        ("{'customerNo': '1'}", ["customer", "not JSON", "render_template_as_native_obj"]),
        ("/no/such/file.json", ["customer", "cannot be read"]),
        (["77001"], ["customer", "mapping"]),
        ({"name": "Kari Canary"}, ["customerNo", "required"]),
        ({"customerNo": 77001}, ["customerNo", "text"]),
        ({"customerNo": "77001", "limitAmount": 1000.5}, ["limitAmount", "float"]),
        ({"customerNo": "77001", "postalAddress": {"postalCode": "0150"}}, ["postalAddress", "addressLine1", "clear"]),
        ({"customerNo": "77001", "accountNo": 5}, ["accountNo", "read"]),
        ({"customerNo": "77001", "dateOfBirth": "01.02.1990"}, ["dateOfBirth", "YYYY-MM-DD"]),
    ],
)
def test_a_wrong_customer_is_told_and_not_sent(arm_sandbox, arm_connection, first_try, customer, words):
    """What is wrong is named, nothing of the person is shown, and ARM hears nothing of it."""
    with pytest.raises(ArmFailException) as caught:
        upsert(customer).execute(first_try)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "Canary" not in message
    assert not [call for call in arm_sandbox.requests() if call["method"] == "POST" and "customers" in call["path"]]


def test_what_arm_refuses_is_told_by_field_without_the_person(arm_sandbox, arm_connection, first_try):
    """A 422 names ARM's field and keeps the person's data out."""
    with pytest.raises(ArmFailException) as caught:
        upsert({**CUSTOMER, "emailAddressDocument": ["kari.canary.example.com"]}).execute(first_try)
    message = str(caught.value)
    assert "422" in message
    assert "EmailAddressDocument" in message
    assert "canary" not in message.lower()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, ["400"]),
        (401, ["401", "client secret"]),
        (403, ["403", "Amili"]),
        (404, ["404", "client_no"]),
        (406, ["406"]),
        (422, ["422"]),
    ],
)
def test_a_refusal_fails_for_good(arm_sandbox, arm_connection, first_try, status, words):
    """Answers that a retry would meet again end the task without one, each with its next step."""
    arm_sandbox.fault(
        {"match": {"method": "POST", "path": "*/customers"}, "do": "status", "status": status, "times": 0}
    )
    with pytest.raises(ArmFailException) as caught:
        upsert(CUSTOMER).execute(first_try)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("kind", "words"),
    [("html", "HTML"), ("empty", "empty"), ("half_body", "incomplete"), ("close", "lost"), ("status", "503")],
)
def test_an_answer_that_is_none_may_be_retried(arm_sandbox, arm_connection, first_try, monkeypatch, kind, words):
    """HTML, an empty and half an answer, a cut connection and a 503 are one clear error each, worth a retry."""
    from airflow_provider_arm.client.http import retry

    monkeypatch.setattr(retry.SystemClock, "sleep", lambda *_: None)
    arm_sandbox.fault({"match": {"method": "POST", "path": "*/customers"}, "do": kind, "times": 0})
    with pytest.raises(ArmTransientException, match=words) as caught:
        upsert(CUSTOMER).execute(first_try)
    assert "Canary" not in str(caught.value)


def test_a_missing_client_number_is_told(arm_sandbox, first_try, monkeypatch):
    """Without a client number nothing is sent, and the message says where it goes."""
    conn = arm_sandbox.connection()
    del conn["extra"]["client_no"]
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(conn))
    with pytest.raises(ArmFailException, match="client_no is missing"):
        upsert(CUSTOMER).execute(first_try)
    assert arm_sandbox.requests() == []


def test_a_delete_is_done_once_and_its_repeat_is_told(arm_sandbox, arm_connection, first_try):
    """A customer without items goes; a second delete fails unless the author allows it."""
    upsert(CUSTOMER).execute(first_try)
    assert CustomerDeleteOperator(task_id="d", customer_no="77001").execute(first_try)["result"] == "DELETED"
    with pytest.raises(ArmFailException, match="404"):
        CustomerDeleteOperator(task_id="d", customer_no="77001").execute(first_try)
    again = CustomerDeleteOperator(task_id="d", customer_no="77001", ignore_if_missing=True).execute(first_try)
    assert again == {"customer_no": "77001", "account_no": None, "result": "MISSING", "warnings": []}


def test_a_customer_with_items_is_not_deleted(arm_sandbox, arm_connection, first_try):
    """ARM keeps a customer that has AR items, and the task says so."""
    with pytest.raises(ArmFailException, match="422"):
        CustomerDeleteOperator(task_id="d", customer_no="543210").execute(first_try)


def test_the_rendered_customer_is_not_shown(run_dag, arm_sandbox, arm_connection):
    """After a real run Airflow's database holds no rendered value of the customer, and its XCom no personal data."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.sdk import DAG
    from airflow.utils.session import create_session

    with DAG("arm_rendered", schedule=None) as dag:
        upsert('{"customerNo": "77003", "name": "{{ \'Kari\' }} Canary", "phoneNo": "00099887"}')
    run = run_dag(dag)
    assert str(run.state) == "success"
    assert arm_sandbox.ledger()["customers"]["77003"]["effects"] == 1
    with create_session() as session:
        rows = session.query(RenderedTaskInstanceFields).filter_by(dag_id="arm_rendered").all()
        fields = [row.rendered_fields for row in rows]
    assert fields
    assert all(field["customer"] == "<1 record, not shown>" for field in fields)


def test_a_wrapped_value_never_shows_itself():
    """The wrapper of personal arguments prints only how much it holds."""
    assert [str(RedactedArgument([1, 2])), repr(RedactedArgument({"a": "Canary"}))] == [
        "<2 records, not shown>",
        "<1 record, not shown>",
    ]
