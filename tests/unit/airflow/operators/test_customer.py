"""``CustomerUpsertOperator`` and ``CustomerDeleteOperator`` against the sandbox."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from airflow_provider_arm.client.errors import ArmConfigurationError
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
    """Return the operator."""
    return CustomerUpsertOperator(task_id="upsert", customer=customer, **arguments)


def test_customer_is_created_then_updated(arm_sandbox, arm_connection, first_try):
    """Each call has one effect."""
    created = upsert(CUSTOMER).execute(first_try)
    updated = upsert({"customerNo": "77001", "informalName": "K"}).execute(first_try)
    assert (created["customer_no"], created["result"], created["warnings"]) == ("77001", "CREATED", [])
    assert updated == {**created, "result": "UPDATED"}
    assert arm_sandbox.ledger()["customers"]["77001"]["effects"] == 2


def test_update_fails_for_a_customer_that_arm_does_not_have(arm_sandbox, arm_connection, first_try):
    """With ``action="update"``; otherwise the customer would be created."""
    with pytest.raises(ArmFailException, match="404"):
        upsert(CUSTOMER, action="update").execute(first_try)
    assert "77001" not in arm_sandbox.ledger()["customers"]
    upsert(CUSTOMER).execute(first_try)
    assert upsert({"customerNo": "77001", "name": "K"}, action="update").execute(first_try)["result"] == "UPDATED"
    assert [call["method"] for call in arm_sandbox.requests() if call["path"].endswith("/customers")] == [
        "PUT",
        "POST",
        "PUT",
    ]


def test_amount_is_sent_exactly(arm_sandbox, arm_connection, first_try):
    """The digits of a Decimal are kept."""
    from airflow_provider_arm.hooks.arm import ArmHook

    upsert(CUSTOMER).execute(first_try)
    assert str(ArmHook().client.get_customer("77001").limit_amount) == "1000.50"


def test_customer_is_read_from_json_text_and_from_file(arm_sandbox, arm_connection, first_try, tmp_path):
    """Both are sent like a mapping."""
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
def test_invalid_customer_fails_and_is_not_sent(arm_sandbox, arm_connection, first_try, customer, words):
    """The message names the field and contains no personal data."""
    with pytest.raises((ArmFailException, ArmConfigurationError)) as caught:
        upsert(customer).execute(first_try)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "Canary" not in message
    assert not [call for call in arm_sandbox.requests() if call["method"] == "POST" and "customers" in call["path"]]


def test_refusal_names_the_field_without_personal_data(arm_sandbox, arm_connection, first_try):
    """ARM answers 422."""
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
def test_refusal_fails_without_retry(arm_sandbox, arm_connection, first_try, status, words):
    """The message has the next step."""
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
def test_invalid_response_may_be_retried(arm_sandbox, arm_connection, first_try, monkeypatch, kind, words):
    """HTML, an empty or truncated response, a closed connection and a 503 are temporary errors."""
    from airflow_provider_arm.client.http import retry

    monkeypatch.setattr(retry.SystemClock, "sleep", lambda *_: None)
    arm_sandbox.fault({"match": {"method": "POST", "path": "*/customers"}, "do": kind, "times": 0})
    with pytest.raises(ArmTransientException, match=words) as caught:
        upsert(CUSTOMER).execute(first_try)
    assert "Canary" not in str(caught.value)


def test_missing_client_number_fails_before_any_request(arm_sandbox, first_try, monkeypatch):
    """The message names client_no."""
    conn = arm_sandbox.connection()
    del conn["extra"]["client_no"]
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(conn))
    with pytest.raises(ArmFailException, match="client_no is missing"):
        upsert(CUSTOMER).execute(first_try)
    assert arm_sandbox.requests() == []


def test_second_delete_fails_unless_ignore_if_missing(arm_sandbox, arm_connection, first_try):
    """Then its result is MISSING."""
    upsert(CUSTOMER).execute(first_try)
    assert CustomerDeleteOperator(task_id="d", customer_no="77001").execute(first_try)["result"] == "DELETED"
    with pytest.raises(ArmFailException, match="404"):
        CustomerDeleteOperator(task_id="d", customer_no="77001").execute(first_try)
    again = CustomerDeleteOperator(task_id="d", customer_no="77001", ignore_if_missing=True).execute(first_try)
    assert again == {"customer_no": "77001", "account_no": None, "result": "MISSING", "warnings": []}


@pytest.mark.parametrize("fault", ["close", "reset", "half_body"])
def test_delete_whose_response_was_lost_succeeds(fault, arm_sandbox, arm_connection, first_try):
    """The second attempt of the same try finds nothing, and the result has the reason."""
    upsert(CUSTOMER).execute(first_try)
    arm_sandbox.fault({"match": {"method": "DELETE"}, "nth": 1, "when": "after_accept", "do": fault})
    result = CustomerDeleteOperator(task_id="d", customer_no="77001").execute(first_try)
    assert (result["customer_no"], result["result"]) == ("77001", "DELETED")
    assert "response was lost" in result["warnings"][0]["message"]


def test_ignore_if_missing_ignores_no_page_of_a_proxy(arm_sandbox, arm_connection, first_try):
    """With a wrong address in the connection every customer would count as missing."""
    arm_sandbox.behave(q06_error_body="html")
    with pytest.raises(ArmFailException, match=r"HTML page.*check the path in host"):
        CustomerDeleteOperator(task_id="d", customer_no="77001", ignore_if_missing=True).execute(first_try)


def test_delete_of_customer_with_items_fails(arm_sandbox, arm_connection, first_try):
    """ARM refuses it."""
    with pytest.raises(ArmFailException, match="422"):
        CustomerDeleteOperator(task_id="d", customer_no="543210").execute(first_try)


def test_rendered_customer_is_not_stored(run_dag, arm_sandbox, arm_connection):
    """After a DAG run, Airflow's database contains no personal data."""
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


def test_redacted_argument_shows_only_the_number_of_records():
    """In str() and repr()."""
    assert [str(RedactedArgument([1, 2])), repr(RedactedArgument({"a": "Canary"}))] == [
        "<2 records, not shown>",
        "<1 record, not shown>",
    ]
