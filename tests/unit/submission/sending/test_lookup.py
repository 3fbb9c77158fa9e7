"""What records found in ARM prove of a chunk whose answer was lost, and what they do not."""

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

TAKEN, NOT_TAKEN, UNDECIDED, CONFLICT = LookupDecision

#: What a look may show of a chunk: each of its records is one of the three.
shown = st.lists(st.sampled_from(["same", "absent", "other"]), min_size=1, max_size=9)


def seen(words: list[str]) -> LookupResult:
    """Make a look from one word per record."""
    places = {word: tuple(place for place, each in enumerate(words, 1) if each == word) for word in set(words)}
    return LookupResult(**places)


# ---- the decision


@given(words=shown, settled=st.booleans())
def test_only_a_record_that_is_there_proves_a_chunk_taken(words, settled):
    """TAKEN needs a match and no other record, and all of them or the author's time; never less."""
    finding = decide(seen(words), settled=settled)
    assert (finding is TAKEN) == ("same" in words and "other" not in words and (settled or "absent" not in words))


@given(words=shown, settled=st.booleans())
def test_what_was_there_once_was_taken(words, settled):
    """When all of it has vanished since an earlier look, no time releases it: a person finds out why."""
    finding = decide(seen(words), settled=settled, was_there=True)
    assert finding is not NOT_TAKEN
    assert (finding is CONFLICT) == ("other" in words or "same" not in words)
    if "same" in words:
        assert finding is decide(seen(words), settled=settled)


@given(words=shown, settled=st.booleans())
def test_only_settled_absence_of_all_releases_a_chunk(words, settled):
    """NOT_TAKEN, after which it is sent again, needs that nothing at all was found and that the time has passed."""
    assert (decide(seen(words), settled=settled) is NOT_TAKEN) == (settled and set(words) == {"absent"})


@given(words=shown, settled=st.booleans())
def test_something_else_under_a_key_is_for_a_person(words, settled):
    """Whatever else is there: one record that was not sent is a conflict, and only that is."""
    assert (decide(seen(words), settled=settled) is CONFLICT) == ("other" in words)


@given(words=shown)
def test_time_only_decides_what_was_open(words):
    """What is decided before the author's time has passed stays so after it."""
    early = decide(seen(words), settled=False)
    assert early in (UNDECIDED, decide(seen(words), settled=True))


# ---- the look


@given(words=shown)
def test_each_record_is_looked_for_once_and_keeps_its_place(words):
    """Places count from 1 in the order of the chunk, whatever is found for each."""
    records = [invoice(documentNo=str(number)) for number in range(len(words))]
    asked: list[str] = []

    def find(key: str) -> dict[str, Any] | None:
        asked.append(key)
        word = words[int(key)]
        return None if word == "absent" else invoice(documentNo=key, customerNo="543210" if word == "same" else "1")

    assert look_up(records, "documentNo", find) == seen(words)
    assert asked == [record["documentNo"] for record in records]


def test_a_look_that_fails_half_way_shows_nothing():
    """Half a look is none: what it raises is passed on."""

    def find(key: str) -> None:
        if key == "2":
            raise ArmUnavailableError("down")

    with pytest.raises(ArmUnavailableError):
        look_up([invoice(documentNo=str(number)) for number in (1, 2, 3)], "documentNo", find)


# ---- whether it is the same


def invoice(**more: Any) -> dict[str, Any]:
    """Make a document as it is sent."""
    sent = {
        "documentType": "IN",
        "documentDate": "2026-01-31",
        "currency": "NOK",
        "currencyAmounts": {"exclVat": Decimal(100), "vat": Decimal(25), "inclVat": Decimal("125.00")},
    }
    return document(7, **sent) | more


amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=2)


@given(amount=amounts, zeros=st.integers(0, 4), as_text=st.booleans(), customer=st.text("aBcÆ190-T", min_size=1))
def test_a_document_is_known_however_arm_writes_it(amount, zeros, as_text, customer):
    """Digits after the point, capital letters, a time behind the date, more fields: it is the one that was sent."""
    written: Any = Decimal(f"{amount:f}{'0' * zeros}")
    written = str(written) if as_text else written
    sent = invoice(customerNo=customer, currencyAmounts={"inclVat": amount})
    back = {
        "documentType": "in",
        "documentDate": "2026-01-31T00:00:00",
        "currency": "nok",
        "customerNo": customer.upper(),
        "currencyAmounts": {"inclVat": written, "vat": Decimal(0)},
        "kid": "1234",
    }
    assert is_same_document(sent, back)


@pytest.mark.parametrize("name", ["documentType", "documentDate", "currency"])
def test_a_field_that_either_side_leaves_out_does_not_count(name):
    """ARM may complete a document, and an answer may be short."""
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
def test_a_document_that_differs_is_another(change):
    """Owner, amount, kind, day and currency each tell two apart, whichever of them was sent."""
    assert not is_same_document(invoice(), invoice(**change))
    assert not is_same_document(invoice(**change), invoice())


@pytest.mark.parametrize(("one", "other"), [("2026-T1", "2026-T2"), ("1234-5T6", "1234-5"), ("2026-01T", "2026-01TX")])
def test_a_customer_number_is_compared_whole(one, other):
    """A number that looks like a date with a time is a number all the same."""
    assert not is_same_document(invoice(customerNo=one), invoice(customerNo=other))


@pytest.mark.parametrize("amounts", [None, {}, {"vat": 1}, {"inclVat": None}, {"inclVat": "much"}, [], "125.00"])
def test_without_an_amount_nothing_is_proved(amounts):
    """On either side, or on both: what cannot be compared is not the same."""
    assert not is_same_document(invoice(), invoice(currencyAmounts=amounts))
    assert not is_same_document(invoice(currencyAmounts=amounts), invoice())
    assert not is_same_document(invoice(currencyAmounts=amounts), invoice(currencyAmounts=amounts))


@pytest.mark.parametrize("owner", [None, ""])
def test_without_an_owner_nothing_is_proved(owner):
    """The same for who owes."""
    assert not is_same_document(invoice(), invoice(customerNo=owner))
    assert not is_same_document(invoice(customerNo=owner), invoice(customerNo=owner))


def test_a_date_is_known_as_text_and_as_a_date():
    """A source may hold either."""
    assert is_same_document(invoice(documentDate=date(2026, 1, 31)), invoice())


# ---- against the sandbox


@pytest.fixture(scope="module")
def box():
    """One server for the tests of this module."""
    with ArmSandbox(ar_items=1) as box:
        yield box


@pytest.fixture
def client(box):
    """A client that tries once."""
    box.reset()
    credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
    with ArmClient(box.base_url, credentials, client_no=box.client_no, retry=RetryPolicy(max_attempts=1)) as client:
        yield client


def test_what_arm_has_is_found_and_is_the_same(client):
    """A document that was posted stands in ARM as it was sent; one that was not is absent."""
    client.create_document(invoice(documentNo="7001", dueDate="2026-02-28"))
    find = document_finder(client)
    assert is_same_document(invoice(), find("7001"))
    assert find("7002") is None
    records = [invoice(documentNo=number) for number in ("7002", "7001")]
    assert look_up(records, "documentNo", find) == LookupResult(same=(2,), absent=(1,))
    others = [invoice(documentNo="7001", currencyAmounts={"inclVat": Decimal("125.01")})]
    assert look_up(others, "documentNo", find) == LookupResult(other=(1,))


@pytest.mark.parametrize(("status", "kind"), [(403, ArmPermissionError), (500, ArmError), (503, ArmUnavailableError)])
def test_only_not_found_means_absent(box, client, status, kind):
    """Any other answer is no word on the document."""
    box.fault({"match": {"method": "GET", "path": "*/documents/*"}, "do": "status", "status": status})
    with pytest.raises(kind) as caught:
        document_finder(client)("7001")
    assert not isinstance(caught.value, ArmNotFoundError)
