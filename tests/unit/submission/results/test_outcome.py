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
    """Make a batch that names no records."""
    return BatchStatus(state, "rejected as a whole" if state is REJECTED else "", total=total, failed=bad)


# ---- counts


@pytest.mark.parametrize(
    ("batches", "submitted", "totals"),
    [
        ([], None, (0, 0)),
        ([(SUCCEEDED, 3, 0)], None, (3, 0)),
        ([(SUCCEEDED, 3, 0), (PARTIAL, 4, 1), (REJECTED, 2, 2)], None, (9, 3)),
        ([(SUCCEEDED, 3, 0), (PARTIAL, 4, 1), (REJECTED, 2, 2)], 9, (9, 3)),
        # ARM does not say how many there were
        ([(SUCCEEDED, None, 0)], None, (None, 0)),
        ([(SUCCEEDED, None, 0)], 3, (3, 0)),
        ([(SUCCEEDED, None, 0), (PARTIAL, 4, 1)], None, (None, 1)),
        # ... or how many failed
        ([(PARTIAL, 4, None)], 4, (4, None)),
        ([(SUCCEEDED, 3, 0), (PARTIAL, 4, None)], None, (7, None)),
        # rejected as a whole, and the size follows
        ([(REJECTED, None, None)], 3, (3, 3)),
        ([(REJECTED, None, None)], None, (None, None)),
        ([(SUCCEEDED, 2, 0), (REJECTED, None, None), (PARTIAL, 4, 1)], 9, (9, 4)),
        ([(SUCCEEDED, 2, 0), (REJECTED, None, None), (REJECTED, None, None)], 9, (9, None)),
        ([(SUCCEEDED, None, 0), (REJECTED, None, None)], 9, (9, None)),
        ([(REJECTED, None, None), (PARTIAL, 4, None)], 9, (9, None)),
        # ARM counts other records than were sent
        ([(SUCCEEDED, 2, 0)], 3, (3, None)),
        ([(SUCCEEDED, 4, 0)], 3, (3, None)),
        ([(SUCCEEDED, 2, 0), (REJECTED, 2, 2)], 9, (9, None)),
    ],
)
def test_batches_are_added_up_and_no_count_is_guessed(batches, submitted, totals):
    """What ARM says is added; what it does not say, or contradicts, is unknown, which no policy takes for success."""
    found = count_outcomes([status(*batch) for batch in batches], submitted)
    assert found == OutcomeCounts(*totals)
    assert found.accepted == (None if None in totals else totals[0] - totals[1])


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=8))
def test_nothing_is_lost_between_taken_and_refused(counts):
    """Where all is said, taken and refused records are all that were sent."""
    statuses = [status(PARTIAL, good + bad, bad) for good, bad in counts]
    totals = count_outcomes(statuses, sum(map(sum, counts)))
    assert (totals.submitted, totals.rejected) == (sum(map(sum, counts)), sum(bad for _, bad in counts))
    assert totals.accepted == sum(good for good, _ in counts)


@pytest.mark.parametrize(
    ("submitted", "rejected", "sentence"),
    [
        (3, 0, "ARM took all 3 customers"),
        (3, 1, "ARM refused 1 of 3 customers"),
        (3, None, "ARM refused an unknown number of 3 customers"),
        (None, 1, "ARM refused 1 of an unknown number of customers"),
        (None, None, "ARM refused an unknown number of an unknown number of customers"),
        (None, 0, "ARM took all an unknown number of customers"),
    ],
)
def test_the_outcome_is_a_sentence(submitted, rejected, sentence):
    """A finance person reads what happened."""
    assert describe_counts("customers", submitted, rejected) == sentence


# ---- refused records

FIVE = [customer(number) for number in range(1, 6)]


def rejects_of(records: list[Any], *batches: BatchStatus, size: int = 3, key: str = "customerNo") -> list[Reject]:
    """Find the refused records of batches U1, U2, ..."""
    named = [(f"U{number}", batch) for number, batch in enumerate(batches, 1)]
    return list(find_rejects(ListSource(records), size, named, key))


def test_refused_records_come_with_row_key_reasons_and_batch():
    """In the order of the source, over chunks, by the place in the batch."""
    first = finished_batch(write_answer(), failed_answer(("Name", "too long"), ("", "odd")), write_answer())
    second = finished_batch(failed_answer(), write_answer())
    assert rejects_of(FIVE, first, second) == [
        Reject(2, "2", ("Name: too long", "odd"), "U1", FIVE[1]),
        Reject(4, "4", ("ARM gave no reason",), "U2", FIVE[3]),
    ]


def test_the_record_number_says_the_place_outright():
    """Answers that come out of order belong to the record they name."""
    batch = finished_batch(
        failed_answer(recordNo=3, customerNo="3"), write_answer(recordNo=1), failed_answer(recordNo=2, customerNo="2")
    )
    assert [(r.row, r.key) for r in rejects_of(FIVE, batch)] == [(3, "3"), (2, "2")]


def test_a_message_is_the_reason_where_there_are_no_errors():
    """The second best reason is better than none."""
    assert rejects_of(FIVE, finished_batch(write_answer("FAILED", message="not today")))[0].reasons == ("not today",)


@pytest.mark.parametrize("word", ["FAILED", "failed", "Rejected"])
def test_a_refusal_is_one_in_any_case(word):
    """Values are not case-sensitive."""
    batch = BatchStatus(PARTIAL, "", total=1, failed=1, records=[write_answer(word)])
    assert len(rejects_of(FIVE, batch)) == 1


def test_a_batch_rejected_as_a_whole_gives_all_its_records():
    """And those before and after it keep their own."""
    batches = [
        finished_batch(write_answer(), write_answer(), failed_answer()),
        BatchStatus(REJECTED, "rejected as a whole: too many", total=2),
    ]
    found = rejects_of(FIVE, *batches)
    assert [(r.row, r.batch_uuid) for r in found] == [(3, "U1"), (4, "U2"), (5, "U2")]
    assert found[1].reasons == ("batch rejected as a whole: too many",)


def test_a_batch_that_names_no_records_gives_none():
    """Counts alone do not say which; no record is accused."""
    assert rejects_of(FIVE, status(PARTIAL, 3, 1), finished_batch(failed_answer(), write_answer()))[0].row == 4


def test_rows_that_the_file_numbers_otherwise_keep_their_numbers(tmp_path):
    """The row is the one that an editor shows."""
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
def test_a_source_that_changed_accuses_nobody(records, batch):
    """Where the source no longer has the record that ARM refused, the wrong record is not written down instead."""
    with pytest.raises(PlanChangedError, match="the source no longer has"):
        rejects_of(records, batch)


@pytest.mark.parametrize("said", ["inv-7a", "INV-7A"])
def test_a_key_that_arm_writes_otherwise_is_the_same_key(said):
    """ARM tells no capital letters apart, so neither is the source taken for changed."""
    records = [{**document(1), "documentNo": "INV-7a"}]
    assert rejects_of(records, finished_batch(failed_answer(documentNo=said)), key="documentNo")[0].key == "INV-7a"


def test_records_with_pythons_names_are_found_too():
    """A list may name fields as Python does; the key is found all the same."""
    records = [{"customer_no": "1"}, {"customer_no": "2", "name": CANARY}]
    [found] = rejects_of(
        records,
        finished_batch(write_answer(customerNo="1"), failed_answer(("Name", f"{CANARY} is odd"), customerNo="2")),
    )
    assert (found.row, found.key, found.reasons) == (2, "2", ("Name: [name] is odd",))


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
def test_reasons_hold_nothing_of_the_record(batch):
    """ARM may quote the person; the reason says which field, the number is kept, and repr shows no record."""
    [reject] = rejects_of([PERSON], batch)
    shown = " ".join(reject.reasons) + repr(reject)
    assert [secret for secret in SECRETS if secret.casefold() in shown.casefold()] == []
    assert "is odd" in reject.reasons[0]
    assert reject.record == PERSON


def test_a_whole_batchs_reason_may_quote_any_of_its_records():
    """It is masked by all of them: the reason of one record does not tell of another."""
    batch = BatchStatus(REJECTED, f"rejected as a whole: {CANARY} Hansen is odd", total=2, failed=2)
    assert {r.reasons for r in rejects_of([customer(1), PERSON], batch)} == {
        ("batch rejected as a whole: [name] is odd",)
    }


# ---- for somebody who has the batches only


def test_without_the_source_records_are_named_as_far_as_arm_names_them():
    """Place in the batch, and the numbers that ARM gave back."""
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
def test_exactly_the_refused_records_are_found(data, count, size):
    """For any refusals over any chunks: the rejects are the refused records, each once, in order."""
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
def test_rows_that_were_left_out_are_given_beside_the_refused_ones(data, count, size):
    """For any invalid rows and any refusals: exactly these, each once, by its row; chunks are of the sound rows."""
    records = [customer(number) for number in range(count)]
    invalid = data.draw(st.sets(st.integers(0, count - 1), max_size=count - 1))
    for number in invalid:
        del records[number]["customerNo"]
    sound = [number for number in range(count) if number not in invalid]
    bad = data.draw(st.sets(st.sampled_from(sound)))
    batches = []
    for index, start in enumerate(range(0, len(sound), size)):
        chunk = sound[start : start + size]
        answers = [failed_answer(("Name", "no")) if n in bad else write_answer(customerNo=str(n)) for n in chunk]
        batches.append((f"U{index}", finished_batch(*answers)))
    found = list(find_rejects(ListSource(records), size, batches, "customerNo", CUSTOMERS))
    assert sorted(reject.row for reject in found) == sorted(number + 1 for number in invalid | bad)
    for reject in found:
        assert reject.record == records[reject.row - 1]
        assert (reject.batch_uuid is None) == (reject.row - 1 in invalid)
        assert reject.reasons == (("customerNo: is required",) if reject.row - 1 in invalid else ("Name: no",))
    assert [reject.row - 1 for reject in find_invalid(ListSource(records), CUSTOMERS, "customerNo")] == sorted(invalid)


def test_a_source_with_more_sound_rows_than_were_sent_is_another():
    """Rows that were mended since cannot be told from those that were sent."""
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
