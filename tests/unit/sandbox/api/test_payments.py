from decimal import Decimal

import pytest

ITEM = "2218-500002-35078-0"


def _ties_out(box):
    return all(one["currencyAmount"] == one["currencyBalance"] for one in box.totals()["currencies"].values())


def test_payments_reduce_the_balance(box, caller):
    """Two payments of one set on one item, found by two of its keys, are both booked and settled."""
    postings = [
        {"arItemId": ITEM, "currencyAmount": Decimal("24.37")},
        {"kid": "500221850000200350786", "currencyAmount": 50},
    ]
    answer = caller.write("POST", "autopostings/payment", "autoPostings", postings)
    assert [line["resultType"] for line in answer.json()["autoPostings"]] == ["CREATED", "CREATED"]
    assert caller.item(ITEM)["currencyBalance"] == 50
    assert box.ledger()["payments"][ITEM]["effects"] == 2
    assert _ties_out(box)


def test_an_overpayment_stays_open_on_the_payment(box, caller):
    """What the item does not need remains as the payment's balance."""
    answer = caller.write("POST", "autopostings/payment", "autoPostings", [{"arItemId": ITEM, "currencyAmount": 200}])
    payment = caller.item(answer.json()["autoPostings"][0]["arItemId"])
    assert caller.item(ITEM)["currencyBalance"] == 0
    assert (payment["currencyAmount"], payment["currencyBalance"]) == (-200, Decimal("-75.63"))
    assert _ties_out(box)


def test_one_bad_posting_rejects_the_set(box, caller):
    """All or nothing: the good one says BATCH-REJECTED, as documented."""
    postings = [{"arItemId": ITEM, "currencyAmount": 1}, {"arItemId": "nope", "currencyAmount": 1}]
    answer = caller.write("POST", "autopostings/payment", "autoPostings", postings)
    assert answer.status_code == 422
    assert [line["resultType"] for line in answer.json()["autoPostings"]] == ["BATCH-REJECTED", "REJECTED"]
    assert box.ledger()["payments"] == {}


def test_validate_only_on_one_posting_books_none(box, caller):
    """Documented: the option turns the whole set into a check."""
    postings = [
        {"arItemId": ITEM, "currencyAmount": 1},
        {"arItemId": ITEM, "currencyAmount": 1, "options": ["validateOnly"]},
    ]
    answer = caller.write("POST", "autopostings/payment", "autoPostings", postings)
    assert [line["resultType"] for line in answer.json()["autoPostings"]] == ["VALIDATED", "VALIDATED"]
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
def test_a_wrong_set_is_refused(box, caller, method, postings):
    """422, and nothing is booked."""
    assert caller.write("POST", f"autopostings/{method}", "autoPostings", postings).status_code == 422
    assert box.ledger()["payments"] == {}


def test_a_payment_id_is_taken_once(box, caller):
    """The second reservation with it is refused."""
    reservation = {"paymentId": "P-1", "documentNo": "88776655", "currencyAmount": 10}
    assert caller.write("POST", "paymentreservations", "paymentReservation", reservation).status_code == 201
    assert caller.item(ITEM)["reservedStatus"] == "RESERVED"
    assert caller.write("POST", "paymentreservations", "paymentReservation", reservation).status_code == 422
    assert box.ledger()["payments"]["P-1"]["effects"] == 1


@pytest.mark.parametrize("change", [{"paymentId": None}, {"documentNo": "nope"}, {"currencyAmount": "10"}])
def test_a_wrong_reservation_is_refused(box, caller, change):
    """422, and nothing is reserved."""
    reservation = {"paymentId": "P-1", "documentNo": "88776655", "currencyAmount": 10} | change
    assert caller.write("POST", "paymentreservations", "paymentReservation", reservation).status_code == 422
    assert box.ledger()["payments"] == {}


def test_a_reservation_can_name_a_customer(box, caller):
    """Without an item."""
    reservation = {"paymentId": "P-2", "customerNo": "543210", "currencyAmount": 10}
    assert caller.write("POST", "paymentreservations", "paymentReservation", reservation).status_code == 201
