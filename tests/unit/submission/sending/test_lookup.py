"""What a lookup proves about a chunk whose response was lost, and what it does not prove."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client import ArmClient, ClientCredentials
from airflow_provider_arm.client.errors import ArmError, ArmNotFoundError, ArmPermissionError, ArmUnavailableError
from airflow_provider_arm.client.http.retry import RetryPolicy
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.submission.sending.lookup import (
    LookupDecision,
    LookupResult,
    decide,
    document_finder,
    is_same_document,
    look_up,
)
from tests.unit.submission.records import document

ACCEPTED, ABSENT, UNDECIDED, CONFLICT = LookupDecision

#: Possible results of a lookup: the kind of each record.
kind_lists = st.lists(st.sampled_from(["matching", "absent", "conflicting"]), min_size=1, max_size=9)


def result_of(kinds: list[str]) -> LookupResult:
    """Build the result of a lookup from the kind of each record."""
    positions = {kind: tuple(n for n, each in enumerate(kinds, 1) if each == kind) for kind in set(kinds)}
    return LookupResult(**positions)


# ---- the decision


@given(kinds=kind_lists, assume_absent=st.booleans())
def test_chunk_is_accepted_only_if_a_record_matches_and_none_conflicts(kinds, assume_absent):
    """ACCEPTED needs a match and no conflict, and that no record is absent or assume_absent_after has passed."""
    decision = decide(result_of(kinds), assume_absent=assume_absent)
    assert (decision is ACCEPTED) == (
        "matching" in kinds and "conflicting" not in kinds and (assume_absent or "absent" not in kinds)
    )


@given(kinds=kind_lists, assume_absent=st.booleans())
def test_chunk_found_before_is_never_absent(kinds, assume_absent):
    """If all records of an earlier lookup have disappeared, it is a conflict, however much time has passed."""
    decision = decide(result_of(kinds), assume_absent=assume_absent, found_before=True)
    assert decision is not ABSENT
    assert (decision is CONFLICT) == ("conflicting" in kinds or "matching" not in kinds)
    if "matching" in kinds:
        assert decision is decide(result_of(kinds), assume_absent=assume_absent)


@given(kinds=kind_lists, assume_absent=st.booleans())
def test_chunk_is_absent_only_if_all_records_are_absent_after_assume_absent_after(kinds, assume_absent):
    """ABSENT, after which it is sent again, needs that no record was found and that the time has passed."""
    assert (decide(result_of(kinds), assume_absent=assume_absent) is ABSENT) == (
        assume_absent and set(kinds) == {"absent"}
    )


@given(kinds=kind_lists, assume_absent=st.booleans())
def test_conflict_if_and_only_if_a_record_conflicts(kinds, assume_absent):
    """One record that differs from what was sent is a conflict, whatever the others are."""
    assert (decide(result_of(kinds), assume_absent=assume_absent) is CONFLICT) == ("conflicting" in kinds)


@given(kinds=kind_lists)
def test_passed_time_changes_only_undecided_chunks(kinds):
    """A decision from before assume_absent_after stays the same after it."""
    early = decide(result_of(kinds), assume_absent=False)
    assert early in (UNDECIDED, decide(result_of(kinds), assume_absent=True))


# ---- look_up


@given(kinds=kind_lists)
def test_each_record_is_looked_up_once_and_keeps_its_position(kinds):
    """Positions count from 1 in the order of the chunk, whatever is found."""
    records = [invoice(documentNo=str(number)) for number in range(len(kinds))]
    requested: list[str] = []

    def find(key: str) -> dict[str, Any] | None:
        requested.append(key)
        kind = kinds[int(key)]
        return None if kind == "absent" else invoice(documentNo=key, customerNo="543210" if kind == "matching" else "1")

    assert look_up(records, "documentNo", find) == result_of(kinds)
    assert requested == [record["documentNo"] for record in records]


def test_look_up_raises_when_one_request_fails():
    """An incomplete lookup has no result: the error is raised."""

    def find(key: str) -> None:
        if key == "2":
            raise ArmUnavailableError("down")

    with pytest.raises(ArmUnavailableError):
        look_up([invoice(documentNo=str(number)) for number in (1, 2, 3)], "documentNo", find)


# ---- is_same_document


def invoice(**more: Any) -> dict[str, Any]:
    """Build a document as it is sent."""
    sent = {
        "documentType": "IN",
        "documentDate": "2026-01-31",
        "currency": "NOK",
        "currencyAmounts": {"exclVat": Decimal(100), "vat": Decimal(25), "inclVat": Decimal("125.00")},
    }
    return document(7, **sent) | more


amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=2)


@given(amount=amounts, zeros=st.integers(0, 4), as_text=st.booleans(), customer=st.text("aBcÆ190-T", min_size=1))
def test_document_is_the_same_in_any_notation_of_arm(amount, zeros, as_text, customer):
    """Trailing zeros, upper case, a time after the date and more fields do not matter."""
    total: Any = Decimal(f"{amount:f}{'0' * zeros}")
    total = str(total) if as_text else total
    sent = invoice(customerNo=customer, currencyAmounts={"inclVat": amount})
    found = {
        "documentType": "in",
        "documentDate": "2026-01-31T00:00:00",
        "currency": "nok",
        "customerNo": customer.upper(),
        "currencyAmounts": {"inclVat": total, "vat": Decimal(0)},
        "kid": "1234",
    }
    assert is_same_document(sent, found)


@pytest.mark.parametrize("name", ["documentType", "documentDate", "currency"])
def test_field_that_one_document_lacks_is_not_compared(name):
    """ARM may complete a document, and a response may lack fields."""
    without = {key: value for key, value in invoice().items() if key != name}
    assert is_same_document(invoice(), without)
    assert is_same_document(without, invoice())
    assert is_same_document(invoice(), {**invoice(), name: None})


@pytest.mark.parametrize(
    "change",
    [
        {"customerNo": "1"},
        {"documentType": "CN"},
        {"documentDate": "2026-01-30"},
        {"currency": "SEK"},
        {"currencyAmounts": {"inclVat": Decimal("125.01")}},
        {"currencyAmounts": {"inclVat": Decimal("-125.00")}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_document_with_a_different_field_is_not_the_same(change):
    """A different customer, amount, type, date or currency means another document, whichever of the two was sent."""
    assert not is_same_document(invoice(), invoice(**change))
    assert not is_same_document(invoice(**change), invoice())


@pytest.mark.parametrize(("sent", "found"), [("2026-T1", "2026-T2"), ("1234-5T6", "1234-5"), ("2026-01T", "2026-01TX")])
def test_customer_numbers_are_compared_completely(sent, found):
    """A number that resembles a date with a time is not cut like a date."""
    assert not is_same_document(invoice(customerNo=sent), invoice(customerNo=found))


@pytest.mark.parametrize("amounts", [None, {}, {"vat": 1}, {"inclVat": None}, {"inclVat": "much"}, [], "125.00"])
def test_document_without_amount_is_not_the_same(amounts):
    """Without a comparable amount on either side or on both, nothing is proved."""
    assert not is_same_document(invoice(), invoice(currencyAmounts=amounts))
    assert not is_same_document(invoice(currencyAmounts=amounts), invoice())
    assert not is_same_document(invoice(currencyAmounts=amounts), invoice(currencyAmounts=amounts))


@pytest.mark.parametrize("customer_no", [None, ""])
def test_document_without_customer_is_not_the_same(customer_no):
    """Without a customer number on either side or on both, nothing is proved."""
    assert not is_same_document(invoice(), invoice(customerNo=customer_no))
    assert not is_same_document(invoice(customerNo=customer_no), invoice(customerNo=customer_no))


def test_date_is_compared_as_text_and_as_date():
    """A source may have either."""
    assert is_same_document(invoice(documentDate=date(2026, 1, 31)), invoice())


# ---- against the sandbox


@pytest.fixture(scope="module")
def box():
    """Run one server for the tests of this module."""
    with ArmSandbox(ar_items=1) as box:
        yield box


@pytest.fixture
def client(box):
    """Return a client that attempts each call once."""
    box.reset()
    credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
    with ArmClient(box.base_url, credentials, client_no=box.client_no, retry=RetryPolicy(max_attempts=1)) as client:
        yield client


def test_posted_document_is_found_and_matches(client):
    """A document that was posted matches, one that was not is absent, one with another amount conflicts."""
    client.create_document(invoice(documentNo="7001", dueDate="2026-02-28"))
    find = document_finder(client)
    assert is_same_document(invoice(), find("7001"))
    assert find("7002") is None
    records = [invoice(documentNo=number) for number in ("7002", "7001")]
    assert look_up(records, "documentNo", find) == LookupResult(matching=(2,), absent=(1,))
    others = [invoice(documentNo="7001", currencyAmounts={"inclVat": Decimal("125.01")})]
    assert look_up(others, "documentNo", find) == LookupResult(conflicting=(1,))


@pytest.mark.parametrize(
    ("status", "error_type"), [(403, ArmPermissionError), (500, ArmError), (503, ArmUnavailableError)]
)
def test_only_not_found_means_absent(box, client, status, error_type):
    """Any other status says nothing about the document."""
    box.fault({"match": {"method": "GET", "path": "*/documents/*"}, "do": "status", "status": status})
    with pytest.raises(error_type) as caught:
        document_finder(client)("7001")
    assert not isinstance(caught.value, ArmNotFoundError)


@pytest.mark.parametrize(("body", "is_proof"), [("json", True), ("empty", True), ("html", False), ("text", False)])
def test_404_of_a_proxy_is_no_proof_of_absence(box, client, body, is_proof):
    """An HTML page or other text may come from a proxy: taken for absence, the document would be sent a second time."""
    box.behave(q06_error_body=body)
    find = document_finder(client)
    if is_proof:
        assert find("7001") is None
    else:
        with pytest.raises(ArmNotFoundError, match="404"):
            find("7001")
