import json
from decimal import Decimal

import pytest

from airflow_provider_arm.client import money


def test_the_documented_customer_comes_back_as_documented(caller, example):
    """The seeded customer has the reference's keys, values and digits, and nothing else."""
    assert money.decode(caller.get("customers/543210").content) == money.decode(example("customer_get_200.json"))


def test_the_documented_write_is_accepted(caller, example):
    """The reference's own request body passes every check."""
    answer = caller.call("POST", "customers", example("customer_post_request.json"))
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "PROCESSED",
        "result": "UPDATED",
        "message": "Customer updated",
        "clientNo": 2218,
        "accountNo": 500002,
        "customerNo": "543210",
    }


def test_a_new_customer_is_created_with_201(caller, customer):
    """POST of an unknown number creates the customer and gives it the next account."""
    answer = caller.write("POST", "customers", "customer", customer)
    assert (answer.status_code, answer.json()["result"]) == (201, "CREATED")
    shown = caller.get("customers/700001").json()
    assert shown["accountNo"] == answer.json()["accountNo"]
    assert shown["postalAddress"]["addressLine2"] == ""


def test_a_missing_or_null_key_keeps_the_stored_value(caller, customer):
    """An update changes only what it gives."""
    caller.write("POST", "customers", "customer", customer)
    caller.write("PUT", "customers", "customer", {"customerNo": "700001", "name": None, "phoneNo": "00012345"})
    shown = caller.get("customers/700001").json()
    assert (shown["name"], shown["phoneNo"], shown["dueDays"]) == ("Kari Syntetisk", "00012345", 14)


def test_a_partial_postal_address_blanks_the_rest(caller, customer):
    """The postal address is one group: giving one field of it rewrites all."""
    caller.write("POST", "customers", "customer", customer)
    caller.write("PUT", "customers", "customer", {"customerNo": "700001", "postalAddress": {"cityName": "Bergen"}})
    address = caller.get("customers/700001").json()["postalAddress"]
    assert address.pop("cityName") == "Bergen"
    assert set(address.values()) == {""}


def test_put_of_an_unknown_customer_changes_nothing(box, caller, customer):
    """PUT updates; it never creates."""
    answer = caller.write("PUT", "customers", "customer", customer)
    assert answer.status_code == 404
    assert caller.get("customers/700001").status_code == 404
    assert box.ledger()["customers"] == {}


def test_amounts_keep_their_digits(caller, customer):
    """What is written as 1000.10 is served as 1000.10."""
    customer |= {"limitAmount": Decimal("1000.10"), "discountRate": Decimal("5.5")}
    caller.write("POST", "customers", "customer", customer)
    text = caller.get("customers/700001").text
    assert '"limitAmount":1000.10,' in text
    assert '"discountRate":5.5,' in text


def test_values_are_compared_without_regard_to_case(caller, customer):
    """A customer number that differs in case only is the same customer: documented."""
    caller.write("POST", "customers", "customer", customer | {"customerNo": "Ab1"})
    assert caller.write("POST", "customers", "customer", customer | {"customerNo": "aB1"}).json()["result"] == "UPDATED"
    assert caller.get("customers/AB1").json()["customerNo"] == "Ab1"


def test_a_customer_number_may_hold_a_slash(caller, customer):
    """Path segments are unquoted one by one."""
    caller.write("POST", "customers", "customer", customer | {"customerNo": "A/1 ø"})
    assert caller.get("customers/A%2F1%20%C3%B8").json()["customerNo"] == "A/1 ø"


def test_an_email_address_with_a_blank_is_sanitised_with_the_documented_warning(caller, example):
    """The documented request with the documented flaw gets the documented warning, cut where ARM cuts it."""
    body = money.decode(example("customer_post_request.json"))
    body["customer"]["emailAddressDocument"] = ["owea@ testarmrest.no"]
    documented = json.loads(example("customer_post_200.json"))
    answer = caller.write("POST", "customers", "customer", body["customer"])
    assert answer.json()["warnings"] == documented["warnings"]
    assert caller.get("customers/543210").json()["emailAddressDocument"] == ["owea@testarmrest.no"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "Name"),
        ({"name": ""}, "Name"),
        ({"name": 5}, "Name"),
        ({"nmae": "x"}, "Nmae"),
        ({"organizationNo": "984842253"}, "OrganizationNo"),
        ({"organizationNo": "98484225"}, "OrganizationNo"),
        ({"currency": "KRONER"}, "Currency"),
        ({"emailAddressDocument": ["no-at-sign"]}, "EmailAddressDocument"),
        ({"emailAddressDocument": "a@example.com"}, "EmailAddressDocument"),
        ({"emailAddressDocument": [1]}, "EmailAddressDocument"),
        ({"dateOfBirth": "1999-02-30"}, "DateOfBirth"),
        ({"dateOfBirth": "19990228"}, "DateOfBirth"),
        ({"dueDays": "14"}, "DueDays"),
        ({"dueDays": True}, "DueDays"),
        ({"dueDays": -1}, "DueDays"),
        ({"dueDays": 2**70}, "DueDays"),
        ({"limitAmount": "100"}, "LimitAmount"),
        ({"limitAmount": 10**15}, "LimitAmount"),
        ({"limitAmount": Decimal("0.00001")}, "LimitAmount"),
        ({"vatLiable": "yes"}, "VatLiable"),
        ({"ssn": "123"}, "Ssn"),
        ({"postalAddress": {"postalCode": "015", "countryCode": "NO"}}, "PostalCode"),
        ({"postalAddress": {"street": "x"}}, "Street"),
        ({"postalAddress": "Storgata 1"}, "PostalAddress"),
        ({"postalAddress": {"countryCode": "NOR"}}, "CountryCode"),
        ({"customerMessage": "x" * 5000}, "CustomerMessage"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_happens(box, caller, customer, change, field):
    """A record with one flaw is refused with 422 and the field in PascalCase."""
    answer = caller.write("POST", "customers", "customer", customer | change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert box.ledger()["customers"] == {}


def test_every_flaw_is_named(caller):
    """All errors of a record come in one answer."""
    answer = caller.write("POST", "customers", "customer", {"dueDays": "x"})
    assert {error["field"] for error in answer.json()["errors"]} == {"CustomerNo", "Name", "DueDays"}


def test_a_read_only_field_is_ignored_with_a_warning(caller, customer):
    """What GET alone shows cannot be written."""
    answer = caller.write("POST", "customers", "customer", customer | {"accountNo": 1})
    assert answer.json()["warnings"] == [{"field": "AccountNo", "message": "read-only field ignored"}]
    assert answer.json()["accountNo"] != 1


def test_lenient_takes_unknown_fields_and_wrong_check_digits(box, caller, customer):
    """Without ``strict`` an unknown field is a warning and a check digit is not looked at."""
    box.behave(strict=False)
    answer = caller.write("POST", "customers", "customer", customer | {"nmae": 1, "organizationNo": "984842253"})
    assert answer.status_code == 201
    assert answer.json()["warnings"] == [{"field": "Nmae", "message": "unknown field"}]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"", 400),
        (b"\xff", 400),
        (b'{"metadata": {}}', 422),
        (b'{"metadata": 1, "customer": {}}', 422),
        (b'{"metadata": {"userId": 1}, "customer": {}}', 422),
        (b'{"metadata": {"who": "x"}, "customer": {}}', 422),
        (b'{"customer": []}', 422),
        (b'{"customer": {}, "extra": 1}', 422),
        (b'{"customer": null}', 422),
    ],
)
def test_a_body_that_is_no_write_is_refused(caller, body, status):
    """Malformed JSON is 400, a wrong envelope 422."""
    answer = caller.call("POST", "customers", body)
    assert (answer.status_code, answer.json()["status"]) == (status, "FAILED")


def test_a_customer_with_items_cannot_be_deleted(caller):
    """DELETE is refused while the customer has AR items."""
    answer = caller.call("DELETE", "customers/543210")
    assert (answer.status_code, answer.json()["result"]) == (422, "REJECTED")
    assert caller.get("customers/543210").status_code == 200


def test_a_customer_without_items_is_deleted_once(caller, customer, example):
    """The answer is the documented one; a second DELETE finds nothing."""
    number = caller.write("POST", "customers", "customer", customer).json()["accountNo"]
    answer = caller.call("DELETE", "customers/700001")
    documented = json.loads(example("customer_delete_200.json"))
    assert answer.json() == documented | {"accountNo": number, "customerNo": "700001"}
    assert list(answer.json()) == list(documented)
    assert caller.call("DELETE", "customers/700001").status_code == 404


def test_the_ledger_counts_every_effect_by_request(box, caller, customer):
    """One create and one update are two effects, each with its request."""
    caller.write("POST", "customers", "customer", customer)
    caller.write("POST", "customers", "customer", customer)
    entry = box.ledger()["customers"]["700001"]
    assert (entry["effects"], entry["what"]) == (2, ["created", "updated"])
    journal = {line["n"]: line for line in box.requests(method="POST", template="/arm/v1/clients/{clientno}/customers")}
    assert sorted(journal) == entry["requests"]
