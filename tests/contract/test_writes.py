"""Documented behaviour of writes, checked on the sandbox and, if the environment allows it, on a real ARM."""

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
    """Send a POST of one customer."""
    return arm.wire.write(
        "POST", "customers", "upsert_customer", {"customerNo": number, "name": "Contract Test", **fields}
    )


def submit(arm, *customers):
    """Send a POST of a batch and return the response."""
    return arm.wire.write("POST", "customers/batches", "create_customer_batch", list(customers))


# -- one customer -----------------------------------------------------------------------------------------------------


def test_write_response_has_documented_structure(arm):
    """It has status, result, message and the three numbers; each warning has field and message."""
    number = arm.numbers.new()
    arm.customers.append(number)
    response = upsert(arm, number)
    body = response.object
    assert response.status in (200, 201)
    assert (body["status"], body["result"]) == ("PROCESSED", "CREATED")
    assert (body["clientNo"], body["customerNo"]) == (arm.wire.target.client_no, number)
    assert isinstance(body["accountNo"], int)
    assert isinstance(body["message"], str)
    assert all(set(warning) == {"field", "message"} for warning in body.get("warnings", []))


def test_second_post_updates_the_same_account(arm):
    """The account number stays the same and the new value is stored."""
    number = arm.new_customer(phoneNo="90000001")
    before = arm.client.get_customer(number)
    receipt = arm.client.upsert_customer({"customerNo": number, "name": "Contract Test", "phoneNo": "90000002"})
    after = arm.client.get_customer(number)
    assert receipt.account_no == before.account_no == after.account_no
    assert after.phone_no == "90000002"


@pytest.mark.parametrize("fields", [{}, {"phoneNo": None}], ids=["missing", "null"])
def test_update_keeps_value_when_key_is_missing_or_null(arm, fields):
    """Only the fields with a value are changed."""
    number = arm.new_customer(phoneNo="90000001", informalName="Before")
    response = arm.wire.write(
        "PUT", "customers", "update_customer", {"customerNo": number, "informalName": "After", **fields}
    )
    found = arm.wire.get("customers", number).object
    assert response.object["status"] == "PROCESSED"
    assert (found["phoneNo"], found["informalName"]) == ("90000001", "After")


def test_partial_address_empties_its_other_fields(arm):
    """ARM replaces the postal address as a whole."""
    number = arm.new_customer(postalAddress=ADDRESS)
    arm.wire.write(
        "PUT", "customers", "update_customer", {"customerNo": number, "postalAddress": {"postalCode": "5003"}}
    )
    found = arm.wire.get("customers", number).object["postalAddress"]
    assert found["postalCode"] == "5003"
    assert not found.get("addressLine1")
    assert not found.get("cityName")


def test_update_without_address_keeps_the_address(arm):
    """An update without ``postalAddress`` changes no field of it."""
    number = arm.new_customer(postalAddress=ADDRESS)
    arm.client.update_customer({"customerNo": number, "informalName": "After"})
    found = arm.wire.get("customers", number).object["postalAddress"]
    assert {name: found.get(name) or "" for name in ADDRESS} == ADDRESS


def test_memos_are_not_returned(arm):
    """GET returns the date of a stop but not its memo, which only write bodies have."""
    number = arm.new_customer(stopReminderUntil="2099-12-31", stopReminderMemo="a test")
    found = arm.wire.get("customers", number).object
    assert found["stopReminderUntil"] == "2099-12-31"
    assert "stopReminderMemo" not in found


def test_customer_number_is_not_case_sensitive(arm):
    """GET finds a customer by its number in either case."""
    number = arm.new_customer()
    if number.swapcase() == number:
        pytest.skip("the prefix has no letters")
    assert arm.wire.get("customers", number.swapcase()).object["customerNo"] == number


# -- delete -----------------------------------------------------------------------------------------------------------


def test_deleted_customer_returns_404_for_get_and_second_delete(arm):
    """DELETE returns DELETED once."""
    number = arm.new_customer()
    receipt = arm.client.delete_customer(number)
    assert receipt.status in arm.client.readings.write.success_words
    assert receipt.result == "DELETED"
    assert arm.wire.get("customers", number).status == 404
    with pytest.raises(ArmNotFoundError):
        arm.client.delete_customer(number)


@pytest.mark.changes_arm("documents")
def test_customer_with_a_document_cannot_be_deleted(arm):
    """DELETE is refused and the customer still exists."""
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


def good_customer(arm):
    """Return a valid customer, to be deleted after the test."""
    arm.customers.append(arm.numbers.new())
    return {"customerNo": arm.customers[-1], "name": "Contract Test"}


def nameless_customer(arm):
    """Return a customer without a name, which ARM rejects."""
    return {"customerNo": arm.numbers.new()}


def test_batch_is_accepted_and_processed_later(arm):
    """The response has a batchUuid; polls return the status of a pending batch (202), then that of success (200)."""
    customer = good_customer(arm)
    response = submit(arm, customer)
    uuid = response.object["batchUuid"]
    first = arm.wire.get("batches", uuid).status
    assert response.status in (200, 201, 202)
    codes = arm.client.readings.batch
    assert first in {*codes.pending_codes, *codes.success_codes}
    assert arm.finished(uuid).state is BatchState.SUCCEEDED
    assert arm.wire.get("batches", uuid).status in codes.success_codes
    assert arm.client.get_customer(customer["customerNo"]).name == "Contract Test"


def test_batch_with_an_invalid_record_is_partial(arm):
    """Polls return the status for it (206); the valid record exists and the invalid one does not."""
    customer, invalid = good_customer(arm), nameless_customer(arm)
    uuid = submit(arm, customer, invalid).object["batchUuid"]
    status = arm.finished(uuid)
    assert (status.state, status.failed) == (BatchState.PARTIAL, 1)
    assert arm.wire.get("batches", uuid).status in arm.client.readings.batch.finished_codes
    assert arm.client.get_customer(customer["customerNo"]).name == "Contract Test"
    assert arm.wire.get("customers", invalid["customerNo"]).status == 404


def test_batch_uuid_is_case_sensitive(arm):
    """The batchUuid is the only value for which the case matters."""
    uuid = submit(arm, good_customer(arm)).object["batchUuid"]
    arm.finished(uuid)
    if uuid.swapcase() == uuid:
        pytest.skip("this UUID has no letters")
    assert arm.wire.get("batches", uuid.swapcase()).status == 404


def test_batch_update_keeps_fields_that_it_does_not_contain(arm):
    """PUT changes only the fields that the record contains."""
    number = arm.new_customer(phoneNo="90000001")
    receipt = arm.client.submit_batch("update_customer_batch", [{"customerNo": number, "informalName": "After"}])
    assert arm.finished(receipt.batch_uuid).state is BatchState.SUCCEEDED
    found = arm.client.get_customer(number)
    assert (found.phone_no, found.informal_name) == ("90000001", "After")
