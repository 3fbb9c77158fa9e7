"""``hooks.fields``: what people leave in and around the fields of a connection."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import ArmConfigurationError
from airflow_provider_arm.get_provider_info import EXTRA_FIELDS
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.hooks.fields import check_extra, read_text

SECRET = "canary-secret-7Q2"
#: A connection with all fields that are text.
FIELDS = {
    "host": "https://arm.example.com/arm/v1",
    "login": "canary-id",
    "password": SECRET,
    "auth_url": "https://auth.example.com/token",
    "client_no": "2218",
    "user_id": "me",
    "scope": "arm.read arm.write",
    "timeout": "12.5",
    "readings": '{"calls": {"checks_token_first": false}}',
}
URLS = ("host", "auth_url")
#: White space and invisible characters that an editor, a copied page or ``echo`` adds.
INVISIBLE = ["\n", "\r\n", " ", "\t", "\u00a0", "\ufeff", "\u200b", "\u2028", "\u2060", "\x00", "\u00ad", "\u3000"]


def read(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the settings of a connection with these fields."""
    conn = {"conn_type": "arm", **{name: fields[name] for name in ("host", "login", "password")}}
    extra = {name: value for name, value in fields.items() if name not in conn}
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps({**conn, "extra": extra}))
    return ArmHook().settings


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(list(FIELDS)), around=st.tuples(*[st.lists(st.sampled_from(INVISIBLE), max_size=3)] * 2))
def test_invisible_characters_around_a_field_are_removed(field: str, around: Any, monkeypatch) -> None:
    """However they came there, the settings are those of the clean connection."""
    before, after = ("".join(part) for part in around)
    assert read({**FIELDS, field: before + FIELDS[field] + after}, monkeypatch) == read(FIELDS, monkeypatch)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from([name for name in FIELDS if name not in {"client_no", "timeout", "readings"}]),
    character=st.sampled_from(["\n", "\r\n", "\t", "\ufeff", "\u200b", "\u2028", "\x00"]),
)
def test_invisible_character_inside_a_field_is_named(field: str, character: str, monkeypatch) -> None:
    """The message has the field and the connection, and nothing of the value."""
    value = FIELDS[field]
    with pytest.raises(ArmConfigurationError, match="arm_default") as caught:
        read({**FIELDS, field: f"{value[:1]}{character}{value[1:]}"}, monkeypatch)
    message = str(caught.value)
    assert field in message
    assert ("line break" if character in "\r\n\u2028" else "tab" if character == "\t" else "U+") in message
    assert not [part for part in (value, value[1:] * 2, SECRET, "canary") if part in message]


@pytest.mark.parametrize("field", [name for name in FIELDS if name not in {"timeout", "readings"}])
@pytest.mark.parametrize(
    "placeholder", ["{%s}", "{{ %s }}", "{{ var.value.%s }}", "${%s}", "<%s>", "<your %s>", "%%(%s)s", "***", "..."]
)
def test_placeholder_in_a_field_is_named(field: str, placeholder: str, monkeypatch) -> None:
    """It was never replaced: no call can succeed, so none is sent."""
    text = placeholder % field if "%s" in placeholder else placeholder
    with pytest.raises(ArmConfigurationError, match=f"{field}.*arm_default.*placeholder"):
        read({**FIELDS, field: text}, monkeypatch)


@pytest.mark.parametrize("host", ["https://{host}/arm/v1", "https://api.amili.no/<path>", "{{ host }}/arm/v1"])
def test_placeholder_inside_an_address_is_named(host: str, monkeypatch) -> None:
    """No address has braces or angle brackets."""
    with pytest.raises(ArmConfigurationError, match=r"host .*placeholder"):
        read({**FIELDS, "host": host}, monkeypatch)


@pytest.mark.parametrize("secret", ["a{b}c", "{a}b", "<x>y", "$x", "p%(q", "**", "a b", "æ+%&=ø", "{", "}{"])
def test_secret_with_special_characters_is_no_placeholder(secret: str, monkeypatch) -> None:
    """A secret may have any visible character."""
    assert read({**FIELDS, "password": secret}, monkeypatch).client_secret == secret


@pytest.mark.parametrize("value", [True, ["a"], {"a": 1}])
def test_field_that_is_no_text_is_named(value: Any) -> None:
    """Its text would be sent otherwise."""
    with pytest.raises(ArmConfigurationError, match="scope must be text"):
        read_text(value, "scope")


@pytest.mark.parametrize("text", ['{"client_no": 2218', "client_no=2218", "[1]", '"x"', "{,}", "client_no: 2218"])
def test_extra_that_is_no_json_object_is_named(text: str, monkeypatch) -> None:
    """Airflow reads broken JSON as an empty extra, and then another field would be missing."""
    conn = {"conn_type": "arm", **{name: FIELDS[name] for name in ("host", "login", "password")}, "extra": text}
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(conn))
    with pytest.raises(Exception, match="extra"):
        _ = ArmHook().settings


@pytest.mark.parametrize("text", [None, "", " ", "{}", "{ }", "\n{\n}\n"])
def test_empty_extra_is_empty(text: str | None) -> None:
    """It has no error of its own."""
    assert check_extra({}, text, "connection 'x'") == {}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("clientNo", "client_no"),
        ("client-no", "client_no"),
        (" client_no", "client_no"),
        ("client_nr", "client_no"),
        ("authUrl", "auth_url"),
        ("AUTH_URL", "auth_url"),
        ("auth_uri", "auth_url"),
        ("userid", "user_id"),
        ("accesstoken", "access_token"),
        ("timeouts", "timeout"),
        ("ca_bundel", "ca_bundle"),
        ("reading", "readings"),
    ],
)
def test_typo_of_a_name_in_the_extra_is_named(name: str, meant: str) -> None:
    """Otherwise the value would be ignored."""
    with pytest.raises(ArmConfigurationError, match=f"did you mean '{meant}'"):
        check_extra({name: "1"}, None, "connection 'x'")


def test_other_names_in_the_extra_are_ignored() -> None:
    """A connection may have fields for other programs."""
    extra = dict.fromkeys([*EXTRA_FIELDS, "token", "url", "host", "owner", "comment", "client", "no", "environment"])
    assert check_extra(extra, None, "connection 'x'") is extra
