"""What the reference documents of writes, on the sandbox and, where that is allowed, on a real ARM."""

from __future__ import annotations

import pytest

from airflow_provider_arm.client import ArmNotFoundError, ArmValidationError, BatchState

pytestmark = pytest.mark.changes_arm("customers")

ADDRESS = {
    "addressLine1": "Prøveveien 1",
    "addressLine2": "Oppgang B",
    "addressLine3": "",
    "postalCode": "0150",
    "cityName": "Oslo",
    "countryText": "Norway",
    "countryCode": "NO",
}


def upsert(arm, number, **fields):
    """POST one customer bare."""
    return arm.wire.write("POST", "customers", "customer", {"customerNo": number, "name": "Contract Test", **fields})


def submit(arm, *customers):
    """POST a batch bare; gives the answer."""
    return arm.wire.write("POST", "customers/batches", "customers", list(customers))


# -- one customer -----------------------------------------------------------------------------------------------------


def test_a_write_answers_in_its_envelope(arm):
    """Status, result, message and the three numbers; warnings, where there are any, have field and message."""
    number = arm.numbers.new()
    arm.customers.append(number)
    seen = upsert(arm, number)
    body = seen.object
    assert seen.status in (200, 201)
    assert (body["status"], body["result"]) == ("PROCESSED", "CREATED")
    assert (body["clientNo"], body["customerNo"]) == (arm.wire.target.client_no, number)
    assert isinstance(body["accountNo"], int)
    assert isinstance(body["message"], str)
    assert all(set(warning) == {"field", "message"} for warning in body.get("warnings", []))


def test_a_post_creates_or_updates(arm):
    """The second one changes the same account."""
    number = arm.new_customer(phoneNo="90000001")
    before = arm.client.get_customer(number)
    answer = arm.client.upsert_customer({"customerNo": number, "name": "Contract Test", "phoneNo": "90000002"})
    after = arm.client.get_customer(number)
    assert answer.account_no == before.account_no == after.account_no
    assert after.phone_no == "90000002"


@pytest.mark.parametrize("fields", [{}, {"phoneNo": None}], ids=["missing", "null"])
def test_what_an_update_leaves_out_is_kept(arm, fields):
    """A key that is missing or null keeps the stored value."""
    number = arm.new_customer(phoneNo="90000001", informalName="Before")
    seen = arm.wire.write("PUT", "customers", "customer", {"customerNo": number, "informalName": "After", **fields})
    found = arm.wire.get("customers", number).object
    assert seen.object["status"] == "PROCESSED"
    assert (found["phoneNo"], found["informalName"]) == ("90000001", "After")


def test_a_partial_address_blanks_the_rest(arm):
    """The postal address is one group."""
    number = arm.new_customer(postalAddress=ADDRESS)
    arm.wire.write("PUT", "customers", "customer", {"customerNo": number, "postalAddress": {"postalCode": "5003"}})
    found = arm.wire.get("customers", number).object["postalAddress"]
    assert found["postalCode"] == "5003"
    assert not found.get("addressLine1")
    assert not found.get("cityName")


def test_an_address_that_is_left_out_is_kept(arm):
    """As any other key."""
    number = arm.new_customer(postalAddress=ADDRESS)
    arm.client.update_customer({"customerNo": number, "informalName": "After"})
    found = arm.wire.get("customers", number).object["postalAddress"]
    assert {name: found.get(name) or "" for name in ADDRESS} == ADDRESS


def test_memos_are_written_and_never_read(arm):
    """They stand in the write body only."""
    number = arm.new_customer(stopReminderUntil="2099-12-31", stopReminderMemo="a test")
    found = arm.wire.get("customers", number).object
    assert found["stopReminderUntil"] == "2099-12-31"
    assert "stopReminderMemo" not in found


def test_values_are_not_case_sensitive(arm):
    """A customer is found by its number in either case."""
    number = arm.new_customer()
    if number.swapcase() == number:
        pytest.skip("the prefix has no letters")
    assert arm.wire.get("customers", number.swapcase()).object["customerNo"] == number


# -- delete -----------------------------------------------------------------------------------------------------------


def test_a_customer_without_documents_is_deleted_once(arm):
    """DELETED; then it is not there for GET, nor for a second DELETE."""
    number = arm.new_customer()
    answer = arm.client.delete_customer(number)
    assert (answer.status, answer.result) == ("PROCESSED", "DELETED")
    assert arm.wire.get("customers", number).status == 404
    with pytest.raises(ArmNotFoundError):
        arm.client.delete_customer(number)


@pytest.mark.changes_arm("documents")
def test_a_customer_with_a_document_stays(arm):
    """DELETE is refused and the customer is still there."""
    number = arm.new_customer()
    document = {
        "documentType": "IN",
        "customerNo": number,
        "documentNo": arm.numbers.new(),
        "documentDate": "2025-11-03",
        "currencyAmounts": {"inclVat": 1},
    }
    receipt = arm.client.submit_batch("create_document_batch", [document])
    assert arm.finished(receipt.batch_uuid).state is BatchState.SUCCEEDED
    assert arm.client.get_document(document["documentNo"]).customer_no == number
    with pytest.raises(ArmValidationError):
        arm.client.delete_customer(number)
    assert arm.client.get_customer(number).customer_no == number


# -- batches ----------------------------------------------------------------------------------------------------------


def good(arm):
    """A customer that can be created, to be deleted afterwards."""
    arm.customers.append(arm.numbers.new())
    return {"customerNo": arm.customers[-1], "name": "Contract Test"}


def bad(arm):
    """A customer without a name."""
    return {"customerNo": arm.numbers.new()}


def test_a_batch_is_stored_and_processed_later(arm):
    """The answer has a batchUuid; a look answers 202 while it waits and 200 when every record is processed."""
    customer = good(arm)
    seen = submit(arm, customer)
    uuid = seen.object["batchUuid"]
    first = arm.wire.get("batches", uuid).status
    assert seen.status in (200, 201, 202)
    assert first in (200, 202)
    assert arm.finished(uuid).state is BatchState.SUCCEEDED
    assert arm.wire.get("batches", uuid).status == 200
    assert arm.client.get_customer(customer["customerNo"]).name == "Contract Test"


def test_a_batch_with_a_bad_record_is_partial(arm):
    """206: the good record is there, the bad one is not and has its own answer."""
    customer, wrong = good(arm), bad(arm)
    uuid = submit(arm, customer, wrong).object["batchUuid"]
    status = arm.finished(uuid)
    assert (status.state, status.failed) == (BatchState.PARTIAL, 1)
    assert arm.wire.get("batches", uuid).status == 206
    assert arm.client.get_customer(customer["customerNo"]).name == "Contract Test"
    assert arm.wire.get("customers", wrong["customerNo"]).status == 404


def test_a_batch_uuid_is_case_sensitive(arm):
    """Documented: the one value that is."""
    uuid = submit(arm, good(arm)).object["batchUuid"]
    arm.finished(uuid)
    if uuid.swapcase() == uuid:
        pytest.skip("this UUID has no letters")
    assert arm.wire.get("batches", uuid.swapcase()).status == 404


def test_a_batch_can_update(arm):
    """PUT changes what is there and keeps what it does not name."""
    number = arm.new_customer(phoneNo="90000001")
    receipt = arm.client.submit_batch("update_customer_batch", [{"customerNo": number, "informalName": "After"}])
    assert arm.finished(receipt.batch_uuid).state is BatchState.SUCCEEDED
    found = arm.client.get_customer(number)
    assert (found.phone_no, found.informal_name) == ("90000001", "After")
