from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field, field_validator

from airflow_provider_arm.client import money
from airflow_provider_arm.client.models import Amount, ArmModel, CustomerWrite, Document
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.submission.planning.quick_check import quick_check
from airflow_provider_arm.submission.planning.validate import validate_with_model
from tests.unit.submission.records import CUSTOMERS, DOCUMENTS
from tests.unit.submission.strategies import (
    as_json,
    corrupted_records,
    invalid_json_values,
    non_json_values,
    valid_records,
)

BATCHES = [CUSTOMERS, DOCUMENTS]
texts = st.sampled_from(BATCHES).flatmap(
    lambda operation: st.tuples(
        st.just(operation), corrupted_records(operation.record, invalid_json_values).map(as_json).map(_bytes)
    )
)
in_memory = st.sampled_from(BATCHES).flatmap(
    lambda operation: st.tuples(st.just(operation), corrupted_records(operation.record, non_json_values))
)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def assert_never_wider(operation: Any, content: Any) -> None:
    """Fail if the quick check accepts what the model rejects, or writes other bytes."""
    quick = quick_check(operation.record)(content)
    if quick is not None:
        assert money.encode(quick) == money.encode(validate_with_model(operation, content))


@settings(max_examples=400, deadline=None)
@given(texts)
@example((CUSTOMERS, b'{"customerNo":"1","limitAmount":0e-999}'))
@example((CUSTOMERS, b'{"customerNo":"1","limitAmount":"NaN"}'))
@example((CUSTOMERS, b'{"customerNo":"1","limitAmount":-0}'))
@example((CUSTOMERS, b'{"customerNo":"1","limitAmount":" -0 "}'))
@example((CUSTOMERS, b'{"customerNo":"1","limitAmount":null,"postalAddress":null,"dueDays":99999999999999999999999}'))
@example((CUSTOMERS, b'{"customerNo":"1","customerNo":7,"customerNo":"2"}'))
@example((CUSTOMERS, b'{"customerNo":"1","postalAddress":{"cityName":"x"}}'))
@example((CUSTOMERS, b'{"customerNo":"1"} '))
@example((CUSTOMERS, b'\xef\xbb\xbf{"customerNo":"1"}'))
@example((DOCUMENTS, b'{"customerNo":"1","documentNo":"2","attachmentFiles":[1e999]}'))
@example((DOCUMENTS, b'{"customerNo":"1","documentNo":"2","documentLines":[{"price":1e31}]}'))
def test_model_accepts_json_text_that_the_quick_check_accepts(case):
    """For any corruption of a line; both write the same bytes."""
    assert_never_wider(*case)


@settings(max_examples=400, deadline=None)
@given(in_memory)
@example((CUSTOMERS, {"customerNo": "1", "limitAmount": 0.5}))
@example((CUSTOMERS, {"customerNo": "\ud800"}))
def test_model_accepts_record_in_memory_that_the_quick_check_accepts(case):
    """For any Python value anywhere in a record, including floats; both write the same bytes."""
    assert_never_wider(*case)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(BATCHES).flatmap(lambda operation: st.tuples(st.just(operation), valid_records(operation.record)))
)
def test_quick_check_accepts_valid_records(case):
    """With all fields of both models; otherwise the two tests above would test nothing."""
    operation, record = case
    check = quick_check(operation.record)
    wire = money.encode(validate_with_model(operation, record))
    for content in (record, money.encode(record), _bytes(as_json(record))):
        assert money.encode(check(content)) == wire


lines = st.sampled_from(BATCHES).flatmap(
    lambda operation: st.tuples(
        st.just(operation),
        st.lists(valid_records(operation.record, loose=True).map(as_json), min_size=1, max_size=4).map("\n".join),
        st.lists(
            st.tuples(st.integers(0, 400), st.sampled_from(["\n", "}\n{", "}\n", "\n{", "},{", "}{", " ", "", "\r\n"]))
        ),
        st.sampled_from(["", "\n", "\r\n", "\n\n", " "]),
    )
)
WHOLE = '{"customerNo":"1","documentNo":"2"}'


@settings(max_examples=200, deadline=None)
@given(lines)
@example((DOCUMENTS, f"{WHOLE}\n{WHOLE}", [], ""))
@example((DOCUMENTS, f"{WHOLE}\n{WHOLE}{WHOLE}", [], ""))
@example((DOCUMENTS, f"{WHOLE}{WHOLE}\n{WHOLE[:-1]}\n}}", [], ""))
@example((DOCUMENTS, f'{WHOLE[:-1]},"attachmentFiles":[{{}}\n{{}}]}}\n{WHOLE}{WHOLE}', [], ""))
@example((DOCUMENTS, f'{WHOLE[:-1]},"attachmentFiles":[{{}}\n,{{}}]}}\n{WHOLE}{WHOLE}', [], ""))
@example((DOCUMENTS, f'{WHOLE[:-1]},"attachmentFiles":[{{}},\n{{}}]}}\n{WHOLE}{WHOLE}', [], ""))
@example((DOCUMENTS, f'{WHOLE[:-1]},"ledgerNote":"}}\n{{"}}\n{WHOLE}{WHOLE}', [], ""))
def test_check_all_returns_the_same_as_single_checks_or_none(case):
    """Wherever line breaks and brackets are misplaced.

    Lines of a .jsonl file end with a Unix or Windows line break, records of a .json file without one.
    """
    operation, text, changes, end = case
    for at, new in changes:
        place = at % (len(text) + 1)
        text = text[:place] + new + text[place + (at % 2) :]
    contents = [line + end.encode() for line in _bytes(text).splitlines() if line and not line.isspace()]
    check = quick_check(operation.record)
    at_once = check.check_all(contents)
    if at_once is not None:
        assert money.encode(at_once) == money.encode([check(content) for content in contents])
    if not changes and all(check(content) for content in contents):
        assert at_once is not None


def test_check_all_returns_none_when_an_amount_is_out_of_range():
    """Or when one of the rows is not a line."""
    lines = [b'{"customerNo":"1","limitAmount":1}\n', b'{"customerNo":"2","limitAmount":1e99}\n']
    assert quick_check(CUSTOMERS.record).check_all(lines) is None
    assert quick_check(CUSTOMERS.record).check_all([lines[0], {"customerNo": "1"}]) is None
    assert len(quick_check(CUSTOMERS.record).check_all(lines[:1])) == 1


@pytest.mark.parametrize("name", sorted(name for name, row in OPERATIONS.items() if row.record and "batch" in name))
def test_every_batch_operation_has_a_quick_check(name):
    """It fails when a new validator in a model of a batch disables the quick check."""
    assert quick_check(OPERATIONS[name].record) is not None


class _WithRule(ArmModel):
    name: str | None = None

    @field_validator("name")
    @classmethod
    def _refuse_all(cls, value: Any) -> Any:
        raise ValueError(value)


class _WithRuleInside(ArmModel):
    inner: _WithRule | None = None


class _WithLimit(ArmModel):
    name: str = Field(max_length=3)


class _WithAmounts(ArmModel):
    amounts: list[Amount] | None = None


class _WithUnion(ArmModel):
    either: int | str | None = None


class _WithDecoratedType(ArmModel):
    name: Annotated[str, Field(pattern="a")] | None = None


class _MoreThanCustomers(CustomerWrite):
    more: str | None = None


@pytest.mark.parametrize(
    "model", [_WithRule, _WithRuleInside, _WithLimit, _WithAmounts, _WithUnion, _WithDecoratedType, _MoreThanCustomers]
)
def test_model_that_a_struct_cannot_express_has_no_quick_check(model):
    """Constraints and validators without an exact counterpart are never ignored."""
    assert quick_check(model) is None


def test_operation_without_a_model_has_no_quick_check():
    """Its records are sent without validation. The quick check of a model is built once."""
    assert quick_check(None) is None
    assert quick_check(Document) is quick_check(Document)
