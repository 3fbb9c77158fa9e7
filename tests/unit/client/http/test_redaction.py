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
    ("said", "shown"),
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
def test_what_a_message_quotes_of_the_record_is_replaced_by_its_field(said: str, shown: str) -> None:
    """Values of the record that was sent give way to their field's name; numbers to find it by stay."""
    assert mask(said, PERSON) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
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
def test_what_looks_personal_is_masked_without_a_record(said: str, shown: str) -> None:
    """E-mail addresses and long numbers, also as Norwegians write them, are masked in every message."""
    assert mask(said) == shown


@pytest.mark.parametrize(
    "said",
    [
        "Customer 543210 not found",
        "2218-500002-35078-0 is reserved",
        "9f2c1d34-1111-2222-3333-444455556666",
        "created 2025-02-27T17:03:36.176+01:00, due 2025-03-13",
        "at most 1000 records, not 1200.50",
    ],
)
def test_what_helps_to_find_the_record_is_kept(said: str) -> None:
    """Customer numbers, AR item ids, batch ids, dates and amounts stay readable."""
    assert mask(said) == said


@settings(deadline=None)
@given(NAMES, st.text(max_size=30), st.text(max_size=30), st.sampled_from(["name", "ssn", "odd\\g<1>key"]))
def test_no_quoted_value_survives(value: str, before: str, after: str, field: str) -> None:
    """Whatever the value and whatever stands around it, it is not in the masked text."""
    assume(value.casefold() not in f"[{field}][email][number]".casefold())
    assert value not in mask(f"{before} {value} {after}", {field: value})


@settings(deadline=None)
@given(NAMES, NAMES)
def test_white_space_makes_no_difference(first: str, last: str) -> None:
    """A value that ARM quotes with its blanks tidied is masked all the same."""
    record = {"n": f" {first} \t {last} "}
    assume(len(first) + len(last) > 6)
    assert mask(f"<{first} {last}>", record) == mask(f"<{first}\n  {last}>", record)
    assert f"{first} {last}" not in mask(f"<{first} {last}>", record)


@pytest.mark.parametrize("names", [("Owe", "Owe Armstrong"), ("Owe Armstrong", "Owe")])
def test_the_longest_value_is_masked_first(names: tuple[str, str]) -> None:
    """A nickname inside the name does not leave the rest of the name standing."""
    assert "Armstrong" not in mask("Owe Armstrong", {"a": names[0], "b": names[1]})


def test_no_shown_key_holds_a_persons_data() -> None:
    """The list of keys whose values may be shown grows only on purpose."""
    assert not UNMASKED_FIELDS & {"name", "ssn", "phoneNo", "bankAccountNo", "kid", "dateOfBirth", "yearOfBirth"}


def test_short_values_are_left_alone() -> None:
    """A code of one or two letters would blot out half the message."""
    assert mask("M is not a known type", {"name": "M" * (MIN_MASKED_LENGTH - 1), "x": "M"}) == "M is not a known type"


def test_masking_comes_before_cutting() -> None:
    """A long message is cut, and never in the middle of something that was to be masked."""
    text = mask("x" * (MAX_MESSAGE_LENGTH - 5) + " 12015641779")
    assert len(text) == MAX_MESSAGE_LENGTH
    assert text.endswith(" [nu…")


@pytest.mark.parametrize("record", [None, 5, "ab", ("Owe Armstrong",), [{"n": ("Owe Armstrong", 7)}]])
def test_any_record_will_do(record) -> None:
    """Records of any shape are looked through."""
    assert ("Owe" in mask("Owe Armstrong", record)) is not ("Owe" in repr(record))


def test_the_debug_lines_of_the_http_library_hold_no_filter(arm_sandbox, caplog):
    """A list asked for by somebody's name leaves that name in no log line, at any level."""
    from airflow_provider_arm.client import ArmClient, ClientCredentials

    caplog.set_level(logging.DEBUG)
    credentials = ClientCredentials(arm_sandbox.auth_url, arm_sandbox.client_id, arm_sandbox.client_secret)
    with ArmClient(arm_sandbox.base_url, credentials, client_no=arm_sandbox.client_no) as client:
        assert list(client.list_customers({"name": "Canary Kari"})) == []
    assert "urllib3.connectionpool" in {record.name for record in caplog.records}
    assert "anary" not in "".join(record.getMessage() for record in caplog.records if record.name != "uvicorn.access")
