from decimal import Decimal

import pytest

from airflow_provider_arm.client import money


def _sums(box):
    return {
        currency: (one["currencyAmount"], one["currencyBalance"])
        for currency, one in box.totals()["currencies"].items()
    }


def _items(caller, **filters):
    return money.decode(caller.get("aritems", params=filters).content)["arItems"]


def test_documented_batch_is_accepted(caller, example):
    """The document of the reference passes every check and creates one AR item."""
    receipt = caller.call("POST", "documents/batches", example("documents_batch_post_request.json")).json()
    assert caller.get(f"batches/{receipt['batchUuid']}").json()["status"] == "PROCESSED"
    shown = money.decode(caller.get("documents/88776655").content)
    sent = money.decode(example("documents_batch_post_request.json"))["documents"][0]
    assert {key: shown[key] for key in sent} == sent


def test_invoice_creates_an_open_item(box, caller, document):
    """The item has the document's amount, dates and number."""
    document["currencyAmounts"]["inclVat"] = Decimal("1000.50")
    response = caller.write("POST", "documents", "document", document)
    assert (response.status_code, response.json()["documentNo"]) == (201, "77000001")
    (item,) = _items(caller, documentno="77000001")
    assert (item["currencyAmount"], item["currencyBalance"], item["voucherType"]) == (Decimal("1000.50"),) * 2 + (3,)
    assert (item["voucherDate"], item["dueDate"]) == ("2025-11-03", "2025-11-17")
    assert box.ledger()["documents"]["77000001"]["effects"] == 1


def test_document_number_is_accepted_once(box, caller, document):
    """A second document with the number is refused, and the effect log has one effect."""
    caller.write("POST", "documents", "document", document)
    response = caller.write("POST", "documents", "document", document)
    assert (response.status_code, response.json()["status"]) == (422, "FAILED")
    assert box.ledger()["documents"]["77000001"]["effects"] == 1


def test_credit_note_settles_the_invoice_with_its_kid(box, caller, document):
    """Both balances change by the same amount, so that sums stay equal."""
    caller.write("POST", "documents", "document", document)
    (invoice,) = _items(caller, documentno="77000001")
    note = document | {"documentType": "CN", "documentNo": "77000002", "kid": invoice["kid"]}
    note["currencyAmounts"] = {"inclVat": Decimal("300.25")}
    assert caller.write("POST", "documents", "document", note).status_code == 201
    assert caller.item(invoice["arItemId"])["currencyBalance"] == Decimal("699.75")
    (credit,) = _items(caller, documentno="77000002")
    assert (credit["currencyAmount"], credit["currencyBalance"]) == (Decimal("-300.25"), 0)
    assert all(amount == balance for amount, balance in _sums(box).values())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"customerNo": "999999"}, "CustomerNo"),
        ({"documentType": "XX"}, "DocumentType"),
        ({"kid": "123456789"}, "Kid"),
        ({"kid": "12a"}, "Kid"),
        ({"currencyAmounts": {"vat": 1}}, "InclVat"),
        ({"currencyAmounts": None}, "CurrencyAmounts"),
        ({"documentDate": None}, "DocumentDate"),
        ({"documentLines": [{"price": "1"}]}, "Price"),
        ({"documentLines": {}}, "DocumentLines"),
    ],
)
def test_invalid_document_is_refused_with_its_field(box, caller, document, change, field):
    """A document with one error books nothing."""
    response = caller.write("POST", "documents", "document", document | change)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert box.ledger()["documents"] == {}


@pytest.mark.parametrize("kid", ["1234567897", "12345678903"])
def test_kid_with_either_check_digit_is_accepted(caller, document, kid):
    """Both mod 10 and mod 11 are in use."""
    assert caller.write("POST", "documents", "document", document | {"kid": kid}).status_code == 201


def test_sums_of_amounts_and_balances_are_equal(box):
    """This holds for the seeded items of each currency."""
    assert all(amount == balance for amount, balance in _sums(box).values())


def test_each_ar_item_has_one_gl_item(caller):
    """The amounts are the same."""
    ar = money.decode(caller.get("aritems", params={"pagesize": "1000"}).content)["arItems"]
    gl = money.decode(caller.get("glitems", params={"pagesize": "1000"}).content)["glItems"]
    assert [(one["arItemId"], one["glAmount"]) for one in gl] == [(one["arItemId"], one["glAmount"]) for one in ar]
    assert caller.get(f"glitems/{gl[0]['glItemId']}").json() == gl[0]


def test_put_changes_the_details_of_an_item(box, caller):
    """The due date changes and the original due date does not."""
    change = {"arItemId": "2218-500002-35078-0", "dueDate": "2025-05-01"}
    response = caller.write("PUT", "aritems", "arItem", change)
    assert (response.status_code, response.json()["result"]) == (200, "UPDATED")
    item = caller.item("2218-500002-35078-0")
    assert (item["dueDate"], item["originalDueDate"]) == ("2025-05-01", "2025-03-13")
    assert box.ledger()["arItems"]["2218-500002-35078-0"]["effects"] == 1


def test_put_can_credit_an_item(box, caller):
    """The credit note has the item's reference and reduces its balance."""
    change = {"arItemId": "2218-500002-35078-0", "creditNote": {"currencyAmount": Decimal("24.37")}}
    response = caller.write("PUT", "aritems", "arItem", change)
    assert response.json()["creditNoteArItemId"] == "2218-500002-35078-2"
    assert caller.item("2218-500002-35078-0")["currencyBalance"] == 100
    assert all(amount == balance for amount, balance in _sums(box).values())


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"arItemId": "2218-1-1-0", "dueDate": "2025-05-01"}, 404),
        ({"dueDate": "2025-05-01"}, 422),
        ({"arItemId": "2218-500002-35078-0", "dueDate": "soon"}, 422),
        ({"arItemId": "2218-500002-35078-0", "creditNote": {}}, 422),
        ({"arItemId": "2218-500002-35078-0", "creditNote": {"currencyAmount": 1000}}, 422),
    ],
)
def test_invalid_change_of_an_item_is_refused(box, caller, change, status):
    """Nothing is booked."""
    assert caller.write("PUT", "aritems", "arItem", change).status_code == status
    assert box.ledger()["arItems"] == {}
