from __future__ import annotations

import logging

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.http.redaction import MAX_MESSAGE_LENGTH, MIN_MASKED_LENGTH, UNMASKED_FIELDS, mask

PERSON = {
    "customerNo": "543210",
    "name": "Owe Armstrong",
    "ssn": "12015641779",
    "phoneNo": "99 88 77 66",
    "bankAccountNo": "8150.13.665841",
    "dateOfBirth": "1956-01-12",
    "emailAddressDocument": ["owea@testarmrest.no"],
    "postalAddress": {"addressLine1": "C/O ARMchair (industries)", "postalCode": "1234", "countryCode": "NO"},
    "distribution": {"type": "M"},
}
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F, categories=["L", "N", "P", "S"]), min_size=3)


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("Name Owe Armstrong is too short", "Name [name] is too short"),
        ("name OWE ARMSTRONG", "name [name]"),
        ("C/O ARMchair (industries), 1234", "[addressLine1], [postalCode]"),
        ("born 1956-01-12", "born [dateOfBirth]"),
        ("customer 543210 in NO by M", "customer 543210 in NO by M"),
        ("ssn 12015641779", "ssn [ssn]"),
        ("Email address owea@ testarmrest.no was sanitized", "Email address [email] was sanitized"),
    ],
)
def test_quoted_values_are_replaced_by_their_field(message: str, masked: str) -> None:
    """The numbers by which a record is found are not masked."""
    assert mask(message, PERSON) == masked


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("owe.armstrong@example.no is not valid", "[email] is not valid"),
        ("sent to <a@b.no>, c@d.no", "sent to <[email]>, [email]"),
        ("ssn 12015641779 and 120156 41779", "ssn [number] and [number]"),
        ("call +47 99 88 77 66", "call +[number]"),
        ("account 8150.13.66584", "account [number]"),
        ("IBAN NO9386011117947", "IBAN [number]"),
        ("IBAN NO93 8601 1117 947", "IBAN [number]"),
        ("kid 500221850000200350786", "kid [number]"),
    ],
)
def test_personal_data_is_masked_without_a_record(message: str, masked: str) -> None:
    """E-mail addresses and long numbers, also in Norwegian notation, are masked in every message."""
    assert mask(message) == masked


@pytest.mark.parametrize(
    "message",
    [
        "Customer 543210 not found",
        "2218-500002-35078-0 is reserved",
        "9f2c1d34-1111-2222-3333-444455556666",
        "created 2025-02-27T17:03:36.176+01:00, due 2025-03-13",
        "at most 1000 records, not 1200.50",
    ],
)
def test_identifiers_of_records_are_not_masked(message: str) -> None:
    """Customer numbers, AR item ids, batch ids, dates and amounts stay readable."""
    assert mask(message) == message


@settings(deadline=None)
@given(NAMES, st.text(max_size=30), st.text(max_size=30), st.sampled_from(["name", "ssn", "odd\\g<1>key"]))
def test_no_quoted_value_remains(value: str, before: str, after: str, field: str) -> None:
    """Whatever the value and the text around it, the masked text does not contain it."""
    assume(value.casefold() not in f"[{field}][email][number]".casefold())
    assert value not in mask(f"{before} {value} {after}", {field: value})


@settings(deadline=None)
@given(NAMES, NAMES)
def test_white_space_in_values_makes_no_difference(first: str, last: str) -> None:
    """A value is masked, too, if ARM quotes it with other white space."""
    record = {"n": f" {first} \t {last} "}
    assume(len(first) + len(last) > 6)
    assert mask(f"<{first} {last}>", record) == mask(f"<{first}\n  {last}>", record)
    assert f"{first} {last}" not in mask(f"<{first} {last}>", record)


@pytest.mark.parametrize("names", [("Owe", "Owe Armstrong"), ("Owe Armstrong", "Owe")])
def test_longest_value_is_masked_first(names: tuple[str, str]) -> None:
    """A nickname inside a name does not leave the rest of the name unmasked."""
    assert "Armstrong" not in mask("Owe Armstrong", {"a": names[0], "b": names[1]})


def test_unmasked_fields_have_no_personal_data() -> None:
    """The set of fields whose values are shown grows only deliberately."""
    assert not UNMASKED_FIELDS & {"name", "ssn", "phoneNo", "bankAccountNo", "kid", "dateOfBirth", "yearOfBirth"}


def test_short_values_are_not_masked() -> None:
    """A code of one or two letters would be replaced in half of the message."""
    assert mask("M is not a known type", {"name": "M" * (MIN_MASKED_LENGTH - 1), "x": "M"}) == "M is not a known type"


def test_message_is_masked_before_it_is_cut() -> None:
    """A long message is cut, but never inside of a value that had to be masked."""
    text = mask("x" * (MAX_MESSAGE_LENGTH - 5) + " 12015641779")
    assert len(text) == MAX_MESSAGE_LENGTH
    assert text.endswith(" [nu…")


@pytest.mark.parametrize("record", [None, 5, "ab", ("Owe Armstrong",), [{"n": ("Owe Armstrong", 7)}]])
def test_records_of_any_shape_are_searched(record) -> None:
    """Lists, tuples and nested objects; other types contain nothing to mask."""
    assert ("Owe" in mask("Owe Armstrong", record)) is not ("Owe" in repr(record))


def test_debug_log_of_urllib3_has_no_filter(arm_sandbox, caplog):
    """A list filtered by a name leaves this name in no log line of any level."""
    from airflow_provider_arm.client import ArmClient, ClientCredentials

    caplog.set_level(logging.DEBUG)
    credentials = ClientCredentials(arm_sandbox.auth_url, arm_sandbox.client_id, arm_sandbox.client_secret)
    with ArmClient(arm_sandbox.base_url, credentials, client_no=arm_sandbox.client_no) as client:
        assert list(client.list_customers({"name": "Canary Kari"})) == []
    assert "urllib3.connectionpool" in {record.name for record in caplog.records}
    assert "anary" not in "".join(record.getMessage() for record in caplog.records if record.name != "uvicorn.access")
