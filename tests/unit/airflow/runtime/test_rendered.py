"""``runtime.rendered``: keys that a template has made of something else, with both kinds of rendering."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmFailException
from airflow_provider_arm.operators.customer import CustomerDeleteOperator, CustomerUpsertOperator
from airflow_provider_arm.operators.document import DocumentCreateOperator
from airflow_provider_arm.operators.payment import PaymentReservationOperator
from airflow_provider_arm.runtime.rendered import check_rendered_keys, read_key, read_optional

#: What another task may have returned, or no task at all. No key can be made of it.
NO_KEYS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.tuples(st.integers()),
)


def render(value: Any, *, native: bool) -> Any:
    """Return what Airflow passes to an operator for ``{{ value }}``."""
    with DAG("d", schedule=None, render_template_as_native_obj=native):
        task = CustomerDeleteOperator(task_id="t", customer_no="{{ value }}")
    task.render_template_fields({"value": value})
    return task.customer_no


@settings(deadline=None, max_examples=200)
@given(value=NO_KEYS, native=st.booleans())
def test_value_that_is_no_key_raises_with_the_next_step(value: Any, native: bool) -> None:
    """Whatever Jinja makes of it, and however it is rendered."""
    rendered = render(value, native=native)
    if isinstance(value, bool | float) and not native and rendered != "nan":
        return  # the text of a number may be a key
    with pytest.raises(ArmConfigurationError, match=r"^customer_no .*(output|xcom_pull)"):
        read_key("customer_no", rendered)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    "key", ["543210", "00123", "A-1", "INV/7 b", "1_0x", "Æ1", 543210, "12345678-1234-4234-8234-123456789012"]
)
def test_key_is_kept(key: Any, native: bool) -> None:
    """Digits become a number and are its text again."""
    assert read_key("customer_no", render(key, native=native)) == str(key)


@pytest.mark.parametrize("text", ["", " ", "None", "none", " NULL ", "nan", "Undefined"])
def test_text_of_a_missing_value_raises(text: str) -> None:
    """The message has what to check in the task that it comes from."""
    with pytest.raises(ArmConfigurationError, match="do_xcom_push"):
        read_key("payment_id", text)


@pytest.mark.parametrize("field", ["customerNo", "customer_no", "documentNo", "arItemId"])
def test_key_in_a_record_is_checked(field: str) -> None:
    """Other fields are not: a person may have such a name."""
    with pytest.raises(ArmConfigurationError, match=f"{field} in customer is the text"):
        check_rendered_keys("customer", {field: "None"})
    check_rendered_keys("customer", {"name": "None", field: "1"})


@pytest.mark.parametrize(("value", "expected"), [(None, None), ("", None), (" None ", None), ("me", "me"), (5, "5")])
def test_optional_argument_may_be_absent(value: Any, expected: str | None) -> None:
    """A template makes the text None of an absent value."""
    assert read_optional(value) == expected


@pytest.mark.parametrize(
    "operator",
    [
        CustomerDeleteOperator(task_id="t", customer_no="None"),
        CustomerUpsertOperator(task_id="t", customer={"customerNo": "None", "name": "x"}),
        DocumentCreateOperator(task_id="t", document={"documentNo": "['1']"}, durable=False),
        PaymentReservationOperator(task_id="t", payment_id="None", reservation={}, durable=False),
    ],
    ids=lambda operator: type(operator).__name__,
)
def test_no_operator_sends_anything_for_a_rendered_none(operator, arm_sandbox, arm_connection, a_try) -> None:
    """It fails before the first request, also before that for a token."""
    with pytest.raises(ArmFailException, match=r"which a template makes of|is the text of a list"):
        operator.execute(a_try(max_tries=0))
    assert arm_sandbox.requests() == []
