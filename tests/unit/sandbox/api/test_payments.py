from decimal import Decimal

import pytest

ITEM = "2218-500002-35078-0"


def _ties_out(box):
    return all(one["currencyAmount"] == one["currencyBalance"] for one in box.totals()["currencies"].values())


def test_payments_reduce_the_balance(box, caller):
    """Two payments of one set on one item, identified by two of its keys, are booked."""
    postings = [
        {"arItemId": ITEM, "currencyAmount": Decimal("24.37")},
        {"kid": "500221850000200350786", "currencyAmount": 50},
    ]
    response = caller.write("POST", "autopostings/payment", "autoPostings", postings)
    assert [line["resultType"] for line in response.json()["autoPostings"]] == ["CREATED", "CREATED"]
    assert caller.item(ITEM)["currencyBalance"] == 50
    assert box.ledger()["payments"][ITEM]["effects"] == 2
    assert _ties_out(box)


def test_overpayment_remains_as_balance_of_the_payment(box, caller):
    """The item's balance is 0."""
    response = caller.write("POST", "autopostings/payment", "autoPostings", [{"arItemId": ITEM, "currencyAmount": 200}])
    payment = caller.item(response.json()["autoPostings"][0]["arItemId"])
    assert caller.item(ITEM)["currencyBalance"] == 0
    assert (payment["currencyAmount"], payment["currencyBalance"]) == (-200, Decimal("-75.63"))
    assert _ties_out(box)


def test_one_invalid_posting_rejects_the_set(box, caller):
    """The valid one has the documented status BATCH-REJECTED."""
    postings = [{"arItemId": ITEM, "currencyAmount": 1}, {"arItemId": "nope", "currencyAmount": 1}]
    response = caller.write("POST", "autopostings/payment", "autoPostings", postings)
    assert response.status_code == 422
    assert [line["resultType"] for line in response.json()["autoPostings"]] == ["BATCH-REJECTED", "REJECTED"]
    assert box.ledger()["payments"] == {}


def test_validate_only_on_one_posting_books_none(box, caller):
    """The option turns the whole set into a check, as documented."""
    postings = [
        {"arItemId": ITEM, "currencyAmount": 1},
        {"arItemId": ITEM, "currencyAmount": 1, "options": ["validateOnly"]},
    ]
    response = caller.write("POST", "autopostings/payment", "autoPostings", postings)
    assert [line["resultType"] for line in response.json()["autoPostings"]] == ["VALIDATED", "VALIDATED"]
    assert box.ledger()["payments"] == {}


@pytest.mark.parametrize(
    ("method", "postings"),
    [
        ("nope", [{"arItemId": ITEM, "currencyAmount": 1}]),
        ("payment", []),
        ("payment", {}),
        ("payment", [{"arItemId": ITEM}]),
        ("payment", [{"arItemId": ITEM, "currencyAmount": -1}]),
        ("payment", [{"arItemId": ITEM, "currencyAmount": 1, "currency": "SEK"}]),
        ("payment", [{"currencyAmount": 1}]),
        ("payment", [None]),
    ],
)
def test_invalid_set_returns_422(box, caller, method, postings):
    """Nothing is booked."""
    assert caller.write("POST", f"autopostings/{method}", "autoPostings", postings).status_code == 422
    assert box.ledger()["payments"] == {}


def test_payment_id_is_accepted_once(box, caller):
    """A second reservation with it is refused."""
    reservation = {"paymentId": "P-1", "documentNo": "88776655", "currencyAmount": 10}
    assert caller.write("POST", "paymentreservations", "paymentReservation", reservation).status_code == 201
    assert caller.item(ITEM)["reservedStatus"] == "RESERVED"
    assert caller.write("POST", "paymentreservations", "paymentReservation", reservation).status_code == 422
    assert box.ledger()["payments"]["P-1"]["effects"] == 1


@pytest.mark.parametrize("change", [{"paymentId": None}, {"documentNo": "nope"}, {"currencyAmount": "10"}])
def test_invalid_reservation_returns_422(box, caller, change):
    """Nothing is reserved."""
    reservation = {"paymentId": "P-1", "documentNo": "88776655", "currencyAmount": 10} | change
    assert caller.write("POST", "paymentreservations", "paymentReservation", reservation).status_code == 422
    assert box.ledger()["payments"] == {}


def test_reservation_can_name_a_customer(box, caller):
    """It needs no item."""
    reservation = {"paymentId": "P-2", "customerNo": "543210", "currencyAmount": 10}
    assert caller.write("POST", "paymentreservations", "paymentReservation", reservation).status_code == 201
