from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.submission.errors import PlanChangedError
from airflow_provider_arm.submission.results.outcome import (
    OutcomeCounts,
    Reject,
    count_outcomes,
    describe_counts,
    find_invalid,
    find_rejects,
    find_rejects_without_source,
)
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.records import (
    CANARY,
    CUSTOMERS,
    customer,
    document,
    failed_answer,
    file_source,
    finished_batch,
    write_answer,
)

SUCCEEDED, PARTIAL, REJECTED = BatchState.SUCCEEDED, BatchState.PARTIAL, BatchState.REJECTED


def status(state: BatchState, total: int | None = None, bad: int | None = None) -> BatchStatus:
    """Build the status of a batch without responses to its records."""
    return BatchStatus(state, "rejected as a whole" if state is REJECTED else "", total=total, failed=bad)


# ---- counts


@pytest.mark.parametrize(
    ("batches", "totals"),
    [
        ([], (0, 0)),
        ([(SUCCEEDED, 3, 0)], (3, 0)),
        ([(SUCCEEDED, 3, 0), (PARTIAL, 4, 1), (REJECTED, 2, 2)], (9, 3)),
        ([(SUCCEEDED, None, 0), (PARTIAL, 4, 1)], (None, 1)),
        ([(SUCCEEDED, 3, 0), (PARTIAL, 4, None)], (7, None)),
        ([(REJECTED, None, None)], (None, None)),
    ],
)
def test_counts_are_summed_and_unknown_counts_stay_unknown(batches, totals):
    """A missing count makes the sum unknown, which is never a success."""
    counts = count_outcomes([status(*batch) for batch in batches])
    assert counts == OutcomeCounts(*totals)
    assert counts.accepted == (None if None in totals else totals[0] - totals[1])


@pytest.mark.parametrize(
    ("submitted", "rejected", "invalid", "sentence"),
    [
        (1200, 7, 0, "1193 of 1200 customers accepted, 7 rejected (0.6 %, limit 1 %)"),
        (12_345, 1, 0, "12,344 of 12,345 customers accepted, 1 rejected (<0.1 %, limit 1 %)"),
        (1, 0, 0, "1 of 1 customer accepted, 0 rejected"),
        (3, 1, 1, "2 of 3 customers accepted, 1 rejected, 1 invalid row not sent (50 %, limit 1 %)"),
        (0, 0, 0, "0 of 0 customers accepted, 0 rejected"),
        (3, None, 0, "3 customers submitted, an unknown number rejected (limit 1 %)"),
        (None, 1, 0, "an unknown number of customers submitted, 1 rejected (limit 1 %)"),
        (None, 0, 2, "an unknown number of customers accepted, 0 rejected, 2 invalid rows not sent (limit 1 %)"),
    ],
)
def test_describe_counts(submitted, rejected, invalid, sentence):
    """The counts are a sentence for users in finance."""
    assert describe_counts("customer", OutcomeCounts(submitted, rejected), "1 %", invalid) == sentence


# ---- rejects

FIVE = [customer(number) for number in range(1, 6)]


def rejects_of(records: list[Any], *batches: BatchStatus, size: int = 3, key: str = "customerNo") -> list[Reject]:
    """Return the rejects of batches U1, U2, ..."""
    named = [(f"U{number}", batch) for number, batch in enumerate(batches, 1)]
    return list(find_rejects(ListSource(records), size, named, key))


def test_rejects_have_row_key_reasons_and_batch_uuid():
    """Rejects of all chunks are in the order of the source, by their positions in the batches."""
    first = finished_batch(write_answer(), failed_answer(("Name", "too long"), ("", "odd")), write_answer())
    second = finished_batch(failed_answer(), write_answer())
    assert rejects_of(FIVE, first, second) == [
        Reject(2, "2", ("Name: too long", "odd"), "U1", FIVE[1]),
        Reject(4, "4", ("ARM gave no reason",), "U2", FIVE[3]),
    ]


def test_record_no_overrides_the_position_of_a_response():
    """Responses in another order belong to the record whose number they have."""
    batch = finished_batch(
        failed_answer(recordNo=3, customerNo="3"), write_answer(recordNo=1), failed_answer(recordNo=2, customerNo="2")
    )
    assert [(r.row, r.key) for r in rejects_of(FIVE, batch)] == [(3, "3"), (2, "2")]


def test_message_is_the_reason_if_there_are_no_errors():
    """Without errors, the message of the response is the reason."""
    assert rejects_of(FIVE, finished_batch(write_answer("FAILED", message="not today")))[0].reasons == ("not today",)


@pytest.mark.parametrize("failure_status", ["FAILED", "failed", "Rejected"])
def test_failure_status_is_not_case_sensitive(failure_status):
    """A status in upper, lower or mixed case is a reject."""
    batch = BatchStatus(PARTIAL, "", total=1, failed=1, records=[write_answer(failure_status)])
    assert len(rejects_of(FIVE, batch)) == 1


def test_batch_rejected_as_a_whole_yields_all_its_records():
    """The batches before and after it yield their own rejects."""
    batches = [
        finished_batch(write_answer(), write_answer(), failed_answer()),
        BatchStatus(REJECTED, "rejected as a whole: too many", total=2),
    ]
    found = rejects_of(FIVE, *batches)
    assert [(r.row, r.batch_uuid) for r in found] == [(3, "U1"), (4, "U2"), (5, "U2")]
    assert found[1].reasons == ("batch rejected as a whole: too many",)


def test_batch_without_responses_yields_no_rejects():
    """Counts do not show which records failed, so none is reported."""
    assert rejects_of(FIVE, status(PARTIAL, 3, 1), finished_batch(failed_answer(), write_answer()))[0].row == 4


def test_row_numbers_are_those_of_the_file(tmp_path):
    """Empty lines count: the row number is the one that an editor shows."""
    source = file_source(tmp_path / "a.jsonl", '\n{"customerNo":"1"}\n\n{"customerNo":"2"}\n')
    found = list(find_rejects(source, 2, [("U", finished_batch(write_answer(), failed_answer()))], "customerNo"))
    assert [(r.row, r.key) for r in found] == [(4, "2")]


@pytest.mark.parametrize(
    ("records", "batch"),
    [
        (FIVE[1:], finished_batch(failed_answer(customerNo="1"))),
        (FIVE, finished_batch(failed_answer(customerNo="2"))),
        (FIVE[:2], finished_batch(write_answer(), write_answer(), failed_answer())),
        ([], finished_batch(failed_answer())),
        (FIVE, finished_batch(failed_answer(recordNo=4, customerNo="4"))),
        (FIVE[:2], status(REJECTED, 3, 3)),
        ([], status(REJECTED, None, None)),
    ],
)
def test_changed_source_raises_instead_of_misattributing_rejects(records, batch):
    """If the source no longer has the record that ARM refused, no other record is reported instead."""
    with pytest.raises(PlanChangedError, match="the source no longer has"):
        rejects_of(records, batch)


@pytest.mark.parametrize("arm_key", ["inv-7a", "INV-7A"])
def test_key_in_other_case_is_the_same_key(arm_key):
    """ARM does not distinguish upper and lower case, so the source does not count as changed."""
    records = [{**document(1), "documentNo": "INV-7a"}]
    assert rejects_of(records, finished_batch(failed_answer(documentNo=arm_key)), key="documentNo")[0].key == "INV-7a"


def test_records_with_python_field_names_are_found():
    """Records in a list may have Python's field names; the key is read from those."""
    records = [{"customer_no": "1"}, {"customer_no": "2", "name": CANARY}]
    [reject] = rejects_of(
        records,
        finished_batch(write_answer(customerNo="1"), failed_answer(("Name", f"{CANARY} is odd"), customerNo="2")),
    )
    assert (reject.row, reject.key, reject.reasons) == (2, "2", ("Name: [name] is odd",))


# ---- personal data

PERSON = {
    "customerNo": "700001",
    "name": f"{CANARY} Hansen",
    "ssn": "01018012345",
    "phoneNo": "+47 40 00 00 01",
    "emailAddressDocument": ["kari@example.com"],
    "postalAddress": {"addressLine1": "Hemmeligveien 3", "cityName": "Lillevik"},
}
SECRETS = [CANARY, "Hansen", "01018012345", "40 00 00 01", "kari@example.com", "Hemmeligveien", "Lillevik"]
QUOTING = (
    "Name KANARIFUGL HANSEN (01018012345, phone +47 40 00 00 01) of hemmeligveien 3, Lillevik, kari@example.com is odd"
)


@pytest.mark.parametrize(
    "batch",
    [
        finished_batch(failed_answer(("Name", QUOTING))),
        finished_batch(write_answer("FAILED", message=QUOTING)),
        BatchStatus(REJECTED, f"rejected as a whole: {QUOTING}", total=1, failed=1),
        finished_batch(failed_answer(("Name", QUOTING), ("Ssn", QUOTING), customerNo="700001")),
    ],
)
def test_reasons_contain_no_personal_data(batch):
    """ARM may quote the person; the reason has the field and the number, and repr shows no record."""
    [reject] = rejects_of([PERSON], batch)
    shown = " ".join(reject.reasons) + repr(reject)
    assert [secret for secret in SECRETS if secret.casefold() in shown.casefold()] == []
    assert "is odd" in reject.reasons[0]
    assert reject.record == PERSON


def test_reason_of_a_whole_batch_is_masked_by_all_its_records():
    """The reason may quote any record, so values of all records are masked."""
    batch = BatchStatus(REJECTED, f"rejected as a whole: {CANARY} Hansen is odd", total=2, failed=2)
    assert {r.reasons for r in rejects_of([customer(1), PERSON], batch)} == {
        ("batch rejected as a whole: [name] is odd",)
    }


# ---- without the source


def test_rejects_without_source_have_the_keys_that_arm_names():
    """They have the position in the batch and the keys in the response."""
    batches = [
        ("U1", finished_batch(write_answer(), failed_answer(("Name", "no"), customerNo="2"))),
        ("U2", finished_batch(failed_answer(customerNo="1", documentNo="77", recordNo=9))),
        ("U3", status(REJECTED, 5, 5)),
        ("U4", finished_batch(failed_answer())),
    ]
    assert list(find_rejects_without_source(batches)) == [
        Reject(2, "2", ("Name: no",), "U1", {"customerNo": "2"}),
        Reject(9, "1 77", ("ARM gave no reason",), "U2", {"customerNo": "1", "documentNo": "77"}),
        Reject(1, "", ("ARM gave no reason",), "U4", {}),
    ]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(1, 20), size=st.integers(1, 7))
def test_find_rejects_yields_exactly_the_refused_records(data, count, size):
    """For any refusals in any chunks: the rejects are the refused records, each once, in order."""
    records = [customer(number) for number in range(count)]
    bad = data.draw(st.sets(st.integers(0, count - 1)))
    whole = data.draw(st.sets(st.integers(0, count // size)))
    batches = []
    for index, start in enumerate(range(0, count, size)):
        numbers = range(start, min(start + size, count))
        if index in whole:
            bad |= set(numbers)
            batches.append(status(REJECTED, len(numbers), len(numbers)))
        else:
            batches.append(
                finished_batch(
                    *(
                        failed_answer() if n in bad else write_answer(customerNo=str(n), recordNo=n - start + 1)
                        for n in numbers
                    )
                )
            )
    assert [reject.record for reject in rejects_of(records, *batches, size=size)] == [records[n] for n in sorted(bad)]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(1, 20), size=st.integers(1, 7))
def test_find_rejects_yields_invalid_rows_too(data, count, size):
    """For any invalid rows and any refusals: exactly these, each once, by its row; chunks contain only valid rows."""
    records = [customer(number) for number in range(count)]
    invalid = data.draw(st.sets(st.integers(0, count - 1), max_size=count - 1))
    for number in invalid:
        del records[number]["customerNo"]
    valid = [number for number in range(count) if number not in invalid]
    bad = data.draw(st.sets(st.sampled_from(valid)))
    batches = []
    for index, start in enumerate(range(0, len(valid), size)):
        chunk = valid[start : start + size]
        answers = [failed_answer(("Name", "no")) if n in bad else write_answer(customerNo=str(n)) for n in chunk]
        batches.append((f"U{index}", finished_batch(*answers)))
    rejects = list(find_rejects(ListSource(records), size, batches, "customerNo", CUSTOMERS))
    assert sorted(reject.row for reject in rejects) == sorted(number + 1 for number in invalid | bad)
    for reject in rejects:
        assert reject.record == records[reject.row - 1]
        assert (reject.batch_uuid is None) == (reject.row - 1 in invalid)
        assert reject.reasons == (("customerNo: is required",) if reject.row - 1 in invalid else ("Name: no",))
    assert [reject.row - 1 for reject in find_invalid(ListSource(records), CUSTOMERS, "customerNo")] == sorted(invalid)


def test_source_with_more_valid_rows_than_were_sent_raises():
    """Rows that were corrected since cannot be distinguished from those that were sent."""
    with pytest.raises(PlanChangedError, match="more records than were sent"):
        list(
            find_rejects(
                ListSource([customer(1), customer(2)]),
                1,
                [("U", finished_batch(write_answer()))],
                "customerNo",
                CUSTOMERS,
            )
        )
