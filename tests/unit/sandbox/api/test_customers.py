import json
from decimal import Decimal

import pytest

from airflow_provider_arm.client import money


def test_documented_customer_is_returned_as_documented(caller, example):
    """The seeded customer has exactly the keys, values and digits of the reference."""
    assert money.decode(caller.get("customers/543210").content) == money.decode(example("customer_get_200.json"))


def test_documented_write_is_accepted(caller, example):
    """The request body of the reference passes every check."""
    response = caller.call("POST", "customers", example("customer_post_request.json"))
    assert response.status_code == 200
    assert response.json() == {
        "status": "PROCESSED",
        "result": "UPDATED",
        "message": "Customer updated",
        "clientNo": 2218,
        "accountNo": 500002,
        "customerNo": "543210",
    }


def test_new_customer_returns_201(caller, customer):
    """POST of an unknown number creates the customer with the next account number."""
    response = caller.write("POST", "customers", "customer", customer)
    assert (response.status_code, response.json()["result"]) == (201, "CREATED")
    shown = caller.get("customers/700001").json()
    assert shown["accountNo"] == response.json()["accountNo"]
    assert shown["postalAddress"]["addressLine2"] == ""


def test_update_keeps_value_when_key_is_missing_or_null(caller, customer):
    """Only the fields with a value are changed."""
    caller.write("POST", "customers", "customer", customer)
    caller.write("PUT", "customers", "customer", {"customerNo": "700001", "name": None, "phoneNo": "00012345"})
    shown = caller.get("customers/700001").json()
    assert (shown["name"], shown["phoneNo"], shown["dueDays"]) == ("Kari Syntetisk", "00012345", 14)


def test_partial_postal_address_empties_its_other_fields(caller, customer):
    """The postal address is replaced as a whole."""
    caller.write("POST", "customers", "customer", customer)
    caller.write("PUT", "customers", "customer", {"customerNo": "700001", "postalAddress": {"cityName": "Bergen"}})
    address = caller.get("customers/700001").json()["postalAddress"]
    assert address.pop("cityName") == "Bergen"
    assert set(address.values()) == {""}


def test_put_of_unknown_customer_creates_nothing(box, caller, customer):
    """PUT only updates."""
    response = caller.write("PUT", "customers", "customer", customer)
    assert response.status_code == 404
    assert caller.get("customers/700001").status_code == 404
    assert box.ledger()["customers"] == {}


def test_amounts_keep_their_digits(caller, customer):
    """An amount written as 1000.10 is returned as 1000.10."""
    customer |= {"limitAmount": Decimal("1000.10"), "discountRate": Decimal("5.5")}
    caller.write("POST", "customers", "customer", customer)
    text = caller.get("customers/700001").text
    assert '"limitAmount":1000.10,' in text
    assert '"discountRate":5.5,' in text


def test_customer_number_is_not_case_sensitive(caller, customer):
    """ARM documents that values are not case-sensitive."""
    caller.write("POST", "customers", "customer", customer | {"customerNo": "Ab1"})
    assert caller.write("POST", "customers", "customer", customer | {"customerNo": "aB1"}).json()["result"] == "UPDATED"
    assert caller.get("customers/AB1").json()["customerNo"] == "Ab1"


def test_customer_number_may_contain_a_slash(caller, customer):
    """Each path segment is unquoted by itself."""
    caller.write("POST", "customers", "customer", customer | {"customerNo": "A/1 ø"})
    assert caller.get("customers/A%2F1%20%C3%B8").json()["customerNo"] == "A/1 ø"


def test_email_address_with_a_blank_returns_the_documented_warning(caller, example):
    """The address is truncated where ARM truncates it."""
    body = money.decode(example("customer_post_request.json"))
    body["customer"]["emailAddressDocument"] = ["owea@ testarmrest.no"]
    documented = json.loads(example("customer_post_200.json"))
    response = caller.write("POST", "customers", "customer", body["customer"])
    assert response.json()["warnings"] == documented["warnings"]
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
def test_invalid_field_returns_422_with_its_name(box, caller, customer, change, field):
    """The name is in PascalCase, and nothing is stored."""
    response = caller.write("POST", "customers", "customer", customer | change)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert box.ledger()["customers"] == {}


def test_all_errors_of_a_record_are_returned(caller):
    """One response contains all errors."""
    response = caller.write("POST", "customers", "customer", {"dueDays": "x"})
    assert {error["field"] for error in response.json()["errors"]} == {"CustomerNo", "Name", "DueDays"}


def test_read_only_field_is_ignored_with_a_warning(caller, customer):
    """Fields that only GET returns cannot be written."""
    response = caller.write("POST", "customers", "customer", customer | {"accountNo": 1})
    assert response.json()["warnings"] == [{"field": "AccountNo", "message": "read-only field ignored"}]
    assert response.json()["accountNo"] != 1


def test_unknown_field_and_wrong_check_digit_are_accepted_when_not_strict(box, caller, customer):
    """Without ``strict`` an unknown field is a warning and check digits are not checked."""
    box.behave(strict=False)
    response = caller.write("POST", "customers", "customer", customer | {"nmae": 1, "organizationNo": "984842253"})
    assert response.status_code == 201
    assert response.json()["warnings"] == [{"field": "Nmae", "message": "unknown field"}]


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
def test_invalid_body_returns_400_or_422(caller, body, status):
    """Malformed JSON returns 400, a wrong envelope 422."""
    response = caller.call("POST", "customers", body)
    assert (response.status_code, response.json()["status"]) == (status, "FAILED")


def test_customer_with_items_cannot_be_deleted(caller):
    """DELETE is refused while the customer has AR items."""
    response = caller.call("DELETE", "customers/543210")
    assert (response.status_code, response.json()["result"]) == (422, "REJECTED")
    assert caller.get("customers/543210").status_code == 200


def test_customer_without_items_is_deleted_once(caller, customer, example):
    """The response is the documented one; a second DELETE returns 404."""
    number = caller.write("POST", "customers", "customer", customer).json()["accountNo"]
    response = caller.call("DELETE", "customers/700001")
    documented = json.loads(example("customer_delete_200.json"))
    assert response.json() == documented | {"accountNo": number, "customerNo": "700001"}
    assert list(response.json()) == list(documented)
    assert caller.call("DELETE", "customers/700001").status_code == 404


def test_effect_log_has_each_effect_with_its_request(box, caller, customer):
    """A create and an update are two effects."""
    caller.write("POST", "customers", "customer", customer)
    caller.write("POST", "customers", "customer", customer)
    entry = box.ledger()["customers"]["700001"]
    assert (entry["effects"], entry["what"]) == (2, ["created", "updated"])
    log = {line["n"]: line for line in box.requests(method="POST", template="/arm/v1/clients/{clientno}/customers")}
    assert sorted(log) == entry["requests"]


def test_partial_distribution_keeps_its_other_fields(caller, customer):
    """Unlike the postal address, it is merged: assumed."""
    caller.write("POST", "customers", "customer", {**customer, "distribution": {"type": "M", "einvoiceCode": 1}})
    caller.write("PUT", "customers", "customer", {**customer, "distribution": {"type": "E"}})
    found = caller.get(f"customers/{customer['customerNo']}").json()
    assert found["distribution"] == {"type": "E", "einvoiceCode": 1}


def test_new_customer_has_language_and_scheme(caller, customer):
    """Both have a default: assumed."""
    caller.write("POST", "customers", "customer", {**customer, "organizationNo": "984842252"})
    found = caller.get(f"customers/{customer['customerNo']}").json()
    assert (found["language"], found["usingLanguage"], found["organizationNoScheme"]) == ("no", "no", "0192")
