import re

import pytest

from airflow_provider_arm.sandbox import ArmSandbox


def test_batch_of_valid_records_returns_200(caller, customer):
    """It contains one write response per record, in the order of the submit."""
    response = caller.batch("customers", [customer | {"customerNo": str(number)} for number in (3, 1, 2)])
    body = response.json()
    assert (response.status_code, body["status"]) == (200, "PROCESSED")
    assert (body["totalCount"], body["processedCount"], body["failedCount"]) == (3, 3, 0)
    assert [(one["recordNo"], one["customerNo"]) for one in body["customers"]] == [(1, "3"), (2, "1"), (3, "2")]


def test_batch_with_an_invalid_record_returns_206(caller, customer):
    """Only the invalid record is rejected, with its reason."""
    response = caller.batch("customers", [customer, {"customerNo": "2"}, 5])
    body = response.json()
    assert (response.status_code, body["status"]) == (206, "PARTIAL")
    assert (body["processedCount"], body["failedCount"]) == (1, 2)
    assert body["customers"][1]["errors"] == [{"field": "Name", "message": "required"}]
    assert body["customers"][2]["status"] == "FAILED"


def test_batch_of_invalid_records_returns_406(caller):
    """The batch is rejected, and each record has its reason."""
    response = caller.batch("customers", [{"customerNo": "1"}])
    assert (response.status_code, response.json()["status"]) == (406, "REJECTED")
    assert response.json()["errors"]
    assert response.json()["customers"][0]["errors"]


def test_batch_is_processed_after_its_delay_on_the_sandbox_clock(box, caller, customer):
    """It is RECEIVED, then PROCESSING, then finished; nothing takes effect before."""
    box.behave(batch_delay=60)
    uuid = caller.write("POST", "customers/batches", "customers", [customer]).json()["batchUuid"]
    first = caller.get(f"batches/{uuid}")
    assert (first.status_code, first.json()["status"], first.json()["processedTime"]) == (202, "RECEIVED", None)
    box.advance(45)
    assert caller.get(f"batches/{uuid}").json()["status"] == "PROCESSING"
    assert box.ledger()["customers"] == {}
    box.advance(15)
    assert caller.get(f"batches/{uuid}").status_code == 200
    assert box.ledger()["customers"]["700001"]["effects"] == 1


def test_batch_is_not_finished_at_once_by_default(caller_of, customer):
    """A caller that does not wait finds no result, as at ARM."""
    with ArmSandbox(ar_items=1) as box:
        box.set_time(box.now())
        caller = caller_of(box)
        uuid = caller.write("POST", "customers/batches", "customers", [customer]).json()["batchUuid"]
        assert caller.get(f"batches/{uuid}").status_code == 202
        assert box.ledger()["customers"] == {}
        box.advance(1)
        assert caller.get(f"batches/{uuid}").status_code == 200


def test_update_batch_creates_no_customer(box, caller, customer):
    """PUT of an unknown customer fails in the record."""
    response = caller.batch("customers", [customer], method="PUT")
    assert response.json()["customers"][0]["errors"] == [{"field": "CustomerNo", "message": "not found"}]
    assert box.ledger()["customers"] == {}


def test_effect_has_the_number_of_the_submit(box, caller, customer):
    """The effect log contains the request that submitted the batch, not the one that polled it."""
    caller.batch("customers", [customer])
    submit = box.requests(method="POST", template="/arm/v1/clients/{clientno}/customers/batches")[0]
    assert box.ledger()["customers"]["700001"]["requests"] == [submit["n"]]


def test_same_content_is_one_entry_with_two_submits(box, caller, customer):
    """The effect log identifies a batch by its content, whatever the order of keys."""
    caller.batch("customers", [customer])
    caller.batch("customers", [dict(reversed(customer.items()))])
    (entry,) = box.ledger()["batches"].values()
    assert (entry["submits"], len(set(entry["batch_uuids"])), entry["effects"]) == (2, 2, 2)


def test_batch_uuid_is_case_sensitive(caller, customer):
    """ARM documents that a batchUuid in another case is not found."""
    uuid = caller.batch("customers", [customer]).json()["batchUuid"]
    assert re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", uuid)
    assert caller.get(f"batches/{uuid.swapcase()}").status_code == 404


def test_batch_above_the_limit_is_refused(box, caller):
    """1,001 records return 422, and nothing is stored."""
    response = caller.write("POST", "customers/batches", "customers", [{"customerNo": "1"}] * 1001)
    assert response.status_code == 422
    assert box.ledger()["batches"] == {}


@pytest.mark.parametrize("records", [[], {}, "x"])
def test_body_without_a_list_of_records_returns_422(caller, records):
    """An empty list is refused, too."""
    assert caller.write("POST", "customers/batches", "customers", records).status_code == 422


def test_unknown_batch_returns_404(caller):
    """The batchUuid was never returned by a submit."""
    assert caller.get("batches/00000000-0000-4000-a000-000000000000").status_code == 404


def test_batch_of_a_thousand_records_is_processed(box, caller, customer):
    """It is the largest batch of the default contract."""
    response = caller.batch("customers", [customer | {"customerNo": str(number)} for number in range(1000)])
    assert response.json()["processedCount"] == 1000
    assert {entry["effects"] for entry in box.ledger()["customers"].values()} == {1}
