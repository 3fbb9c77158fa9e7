from __future__ import annotations

import copy
import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.planning.validate import MAX_LISTED_ROWS
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.records import CANARY, CUSTOMERS, DOCUMENTS, customer, document, file_source

if TYPE_CHECKING:
    from airflow_provider_arm.submission.planning.plan import SubmissionPlan


def plan_of(records: list[dict[str, Any]], size: int = 2, operation: Any = CUSTOMERS) -> SubmissionPlan:
    """Return the plan for records."""
    key = "documentNo" if operation is DOCUMENTS else "customerNo"
    with prepare(ListSource(records), operation, size, key) as prepared:
        return prepared.plan


# ---- boundaries and hashes


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 40), size=st.integers(1, 15))
def test_chunks_contain_all_rows_in_order(count, size):
    """For any number of rows and any chunk size; the plan has their boundaries."""
    records = [document(number) for number in range(count)]
    with prepare(ListSource(records), DOCUMENTS, size, "documentNo") as prepared:
        plan = prepared.plan
        chunks = [money.decode(chunk) for _, chunk in prepared.chunks()]
    assert [record for chunk in chunks for record in chunk] == records
    assert [len(chunk) for chunk in chunks] == [chunk.records for chunk in plan.chunks]
    assert [(chunk.first_row, chunk.last_row) for chunk in plan.chunks] == [
        (first, min(first + size - 1, count)) for first in range(1, count + 1, size)
    ]
    assert [chunk.index for chunk in plan.chunks] == list(range(len(plan.chunks)))
    assert plan.records == count


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(1, 12), size=st.integers(1, 5))
def test_plan_hash_changes_exactly_when_a_record_changes(data, count, size):
    """No record can be changed, dropped or added without a new hash."""
    records = [customer(number, limitAmount=Decimal("1.10")) for number in range(count)]
    plan = plan_of(records, size)
    assert plan_of(copy.deepcopy(records), size) == plan
    assert plan_of(copy.deepcopy(records), size).sha256 == plan.sha256
    at = data.draw(st.integers(0, count - 1))
    change = data.draw(st.sampled_from(["value", "digits", "key", "drop", "add", "repeat"]))
    changed = copy.deepcopy(records)
    match change:
        case "value":
            changed[at]["name"] += "x"
        case "digits":
            changed[at]["limitAmount"] = Decimal("1.1")
        case "key":
            changed[at]["phoneNo"] = ""
        case "drop":
            del changed[at]
        case "add":
            changed.insert(at, customer(99))
        case "repeat":
            changed.insert(at, changed[at])
    if not changed:
        return
    other = plan_of(changed, size)
    assert other.sha256 != plan.sha256
    if len(changed) == count:
        differing = [a.index for a, b in zip(plan.chunks, other.chunks, strict=True) if a.sha256 != b.sha256]
        assert differing == [at // size]


def test_plan_hash_depends_on_chunk_size():
    """The operation is part of the plan, too."""
    records = [customer(1)]
    plans = {plan_of(records, 2).sha256, plan_of(records, 3).sha256, plan_of(records, 2, CUSTOMERS).sha256}
    assert len(plans) == 2
    assert plan_of([document(1)], 2, DOCUMENTS).operation == "create_document_batch"


def test_plan_hash_does_not_change_between_releases():
    """A newer release recognizes the plan in the journal of an older one."""
    plan = plan_of([customer(1, limitAmount=Decimal("124.370")), customer(2)], 2)
    assert plan.chunks[0].sha256 == "d721ab3bf4cfa6e5499f9c6ef24c584b1e24d0606171c6b2def33a9760b7d6d5"
    assert plan.sha256 == "6e8ff2cbf72ede8252197d8615b67ed7c0e2f2841688a45bffde338f57228e1c"


def test_plan_hash_does_not_depend_on_the_file_format(tmp_path):
    """It is computed from the records as they are sent."""
    texts = {
        "a.jsonl": '{"customerNo":"1","limitAmount":1.10}\n{"limitAmount":2,"customerNo":"2"}\n',
        "a.json": '[{"customerNo":"1", "limitAmount": 1.10}, {"customerNo":"2", "limitAmount": 2}]',
        "a.csv": "limitAmount;customerNo\n1.10;1\n2;2\n",
    }
    plans = set()
    for name, text in texts.items():
        with prepare(file_source(tmp_path / name, text), CUSTOMERS, 5, "customerNo") as prepared:
            plans.add(prepared.plan.sha256)
    assert len(plans) == 1


# ---- chunk_size

LIMIT = DEFAULT_READINGS.batch.max_records


@pytest.mark.parametrize("size", [0, -1, LIMIT + 1])
def test_chunk_size_out_of_range_raises(size):
    """The message names the range."""
    message = rf"chunk_size must be between 1 and {LIMIT} \(batch.max_records in the readings\), not {size}"
    with pytest.raises(ArmConfigurationError, match=message):
        plan_of([customer(1)], size)


@pytest.mark.parametrize("size", [1, LIMIT])
def test_smallest_and_largest_chunk_size_are_accepted(size):
    """Both bounds are included."""
    assert plan_of([customer(1), customer(2)], size).records == 2


# ---- invalid rows


def test_empty_source_raises():
    """It is most often the wrong file."""
    with pytest.raises(SourceError, match=r"^records: has no records, so there is nothing to submit"):
        plan_of([])


@pytest.mark.parametrize("count", [1, MAX_LISTED_ROWS, MAX_LISTED_ROWS + 1, 57])
def test_all_invalid_rows_are_counted_and_the_first_are_listed(count):
    """The file can be corrected at once, and the message stays short."""
    records = [customer(number) for number in range(100)]
    invalid_rows = list(range(3, 3 + count))
    for row in invalid_rows:
        records[row - 1] = {"customerNo": "", "name": CANARY, "dueDays": CANARY}
    with pytest.raises(SourceError) as caught:
        plan_of(records, 7)
    message = str(caught.value)
    rows = "1 row is" if count == 1 else f"{count} rows are"
    assert message.startswith(f"records: {rows} invalid and nothing was sent: row 3, column customerNo: ")
    shown = invalid_rows[:MAX_LISTED_ROWS]
    assert {issue.field for issue in caught.value.errors} == {
        f"row {row}, column {field}" for row in shown for field in ("customerNo", "dueDays")
    }
    assert all(f"row {row}, column dueDays: must be a whole number" in message for row in shown)
    assert message.endswith(f"; and {count - MAX_LISTED_ROWS} more rows") is (count > MAX_LISTED_ROWS)
    assert CANARY not in message


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"name": CANARY}, "row 1, column customerNo: is required"),
        ({"customerNo": 7}, "row 1, column customerNo: must be text"),
        ({"customerNo": "1", "limitAmount": 1.5}, "row 1, column limitAmount: must be an exact number"),
        ({"customerNo": "1", "other": 1.5}, "row 1: other is a float, which is not exact"),
        ({"customerNo": "1", "other": Decimal("NaN")}, "row 1: other is not a finite number"),
        ({"customerNo": "1", "name": "\ud800" + CANARY}, "row 1"),
        ({"customerNo": "1", "accountNo": 5}, "row 1: accountNo is read-only in ARM"),
        ({"customerNo": "1", "postalAddress": {"cityName": CANARY}}, "row 1: postalAddress is incomplete"),
        ({"customerNo": "1", "dateOfBirth": "31.12.80"}, "row 1, column dateOfBirth: must be a date in the form"),
        ({"customerNo": "1", "emailAddressDocument": [CANARY, 5]}, "row 1, column emailAddressDocument.1: must be te"),
    ],
)
def test_invalid_record_raises_with_row_and_column_but_no_value(record, message):
    """The message shows no content of the record."""
    with pytest.raises(SourceError) as caught:
        plan_of([record])
    assert f"records: 1 row is invalid and nothing was sent: {message}" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("second", ["7A", "7a"])
def test_second_document_with_the_same_number_raises(second):
    """In another chunk, too, and regardless of upper and lower case."""
    records = [document(1), {**document(0), "documentNo": "7A"}, document(2), {**document(0), "documentNo": second}]
    with pytest.raises(
        SourceError, match=r"1 row is invalid .*: row 4, column documentNo: is the same as in row 2: ARM would book"
    ):
        plan_of(records, 2, DOCUMENTS)


def test_second_customer_with_the_same_number_is_accepted():
    """It updates the first; nothing is booked twice."""
    assert plan_of([customer(1), customer(1, phoneNo="12")]).records == 2


def test_python_names_and_wire_names_give_the_same_plan():
    """A duplicate is found across both."""
    wire, python = document(5, dueDate="2026-01-31"), {"customer_no": "543210", "document_no": "5"}
    assert plan_of([{**python, "due_date": "2026-01-31"}], 1, DOCUMENTS) == plan_of([wire], 1, DOCUMENTS)
    with pytest.raises(SourceError, match="is the same as in row 1"):
        plan_of([wire, python], 1, DOCUMENTS)


# ---- read once


def test_chunks_do_not_change_when_the_source_changes(tmp_path):
    """What is sent is what was planned, even if the file is gone."""
    source = file_source(tmp_path / "a.csv", "customerNo\n1\n2\n3\n")
    with prepare(source, CUSTOMERS, 2, "customerNo") as prepared:
        (tmp_path / "a.csv").unlink()
        for _ in range(2):
            chunks = list(prepared.chunks())
            assert [text for _, text in chunks] == [b'[{"customerNo":"1"},{"customerNo":"2"}]', b'[{"customerNo":"3"}]']
            assert [hashlib.sha256(text).hexdigest() for _, text in chunks] == [chunk.sha256 for chunk, _ in chunks]
            assert [chunk for chunk, _ in chunks] == list(prepared.plan.chunks)
