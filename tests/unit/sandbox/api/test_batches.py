import re

import pytest


def test_a_batch_of_good_records_answers_200(caller, customer):
    """Every record processed: 200, and one write answer per record in submit order."""
    answer = caller.batch("customers", [customer | {"customerNo": str(number)} for number in (3, 1, 2)])
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "PROCESSED")
    assert (body["totalCount"], body["processedCount"], body["failedCount"]) == (3, 3, 0)
    assert [(one["recordNo"], one["customerNo"]) for one in body["customers"]] == [(1, "3"), (2, "1"), (3, "2")]


def test_a_batch_with_a_bad_record_answers_206(caller, customer):
    """A bad record fails alone, with its reason; the others go through."""
    answer = caller.batch("customers", [customer, {"customerNo": "2"}, 5])
    body = answer.json()
    assert (answer.status_code, body["status"]) == (206, "PARTIAL")
    assert (body["processedCount"], body["failedCount"]) == (1, 2)
    assert body["customers"][1]["errors"] == [{"field": "Name", "message": "required"}]
    assert body["customers"][2]["status"] == "FAILED"


def test_a_batch_of_bad_records_answers_406(caller):
    """No record processed: the batch is rejected, and each record still says why."""
    answer = caller.batch("customers", [{"customerNo": "1"}])
    assert (answer.status_code, answer.json()["status"]) == (406, "REJECTED")
    assert answer.json()["errors"]
    assert answer.json()["customers"][0]["errors"]


def test_a_batch_waits_for_its_delay_on_the_sandbox_clock(box, caller, customer):
    """RECEIVED, then PROCESSING, then done: nothing takes effect before its time."""
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


def test_an_update_batch_never_creates(box, caller, customer):
    """PUT of an unknown customer fails in the record."""
    answer = caller.batch("customers", [customer], method="PUT")
    assert answer.json()["customers"][0]["errors"] == [{"field": "CustomerNo", "message": "not found"}]
    assert box.ledger()["customers"] == {}


def test_an_effect_carries_the_number_of_the_submit(box, caller, customer):
    """The ledger names the request that submitted the batch, not the one that looked."""
    caller.batch("customers", [customer])
    submit = box.requests(method="POST", template="/arm/v1/clients/{clientno}/customers/batches")[0]
    assert box.ledger()["customers"]["700001"]["requests"] == [submit["n"]]


def test_the_same_content_twice_is_one_line_with_two_submits(box, caller, customer):
    """The ledger names a batch by its content, whatever the order of keys."""
    caller.batch("customers", [customer])
    caller.batch("customers", [dict(reversed(customer.items()))])
    (entry,) = box.ledger()["batches"].values()
    assert (entry["submits"], len(set(entry["batch_uuids"])), entry["effects"]) == (2, 2, 2)


def test_a_batch_uuid_is_compared_exactly(caller, customer):
    """A UUID in another case finds nothing: documented."""
    uuid = caller.batch("customers", [customer]).json()["batchUuid"]
    assert re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", uuid)
    assert caller.get(f"batches/{uuid.swapcase()}").status_code == 404


def test_too_many_records_are_refused_as_a_whole(box, caller):
    """1,001 records: 422, and nothing is stored."""
    answer = caller.write("POST", "customers/batches", "customers", [{"customerNo": "1"}] * 1001)
    assert answer.status_code == 422
    assert box.ledger()["batches"] == {}


@pytest.mark.parametrize("records", [[], {}, "x"])
def test_what_is_no_list_of_records_is_refused(caller, records):
    """An empty or wrong list is 422."""
    assert caller.write("POST", "customers/batches", "customers", records).status_code == 422


def test_an_unknown_batch_is_404(caller):
    """A UUID that was never given out."""
    assert caller.get("batches/00000000-0000-4000-a000-000000000000").status_code == 404


def test_a_thousand_records_go_in_one_batch(box, caller, customer):
    """The largest batch of the default contract is processed whole."""
    answer = caller.batch("customers", [customer | {"customerNo": str(number)} for number in range(1000)])
    assert answer.json()["processedCount"] == 1000
    assert {entry["effects"] for entry in box.ledger()["customers"].values()} == {1}
