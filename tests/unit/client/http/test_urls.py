from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.http.urls import (
    BaseUrl,
    check_url,
    encode_query,
    fill_path,
    is_loopback,
    raise_for_remote_sandbox,
)

BASE = BaseUrl.parse("https://api.staging.amili.no/arm/v1/")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.amili.no/arm/v1",
        "https://api.amili.no:8443",
        "http://127.0.0.1:8080/arm/v1",
        "http://localhost:8080",
        "http://LOCALHOST",
        "http://[::1]:8080/arm/v1",
        "http://127.9.9.9",
        "  https://api.amili.no/arm/v1\n",
    ],
)
def test_https_and_loopback_urls_are_accepted(url: str) -> None:
    """Https is protected by certificates; plain http does not leave this machine."""
    assert check_url(url, "host").hostname


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://api.amili.no/arm/v1", "must be https"),
        ("http://127.0.0.1.evil.example", "must be https"),
        ("http://localhost.evil.example", "must be https"),
        ("http://0.0.0.0", "must be https"),
        ("http://10.0.0.1", "must be https"),
        ("https://me:canary@api.amili.no", "must not contain credentials"),
        ("https://canary@api.amili.no", "must not contain credentials"),
        ("https://:canary@api.amili.no", "must not contain credentials"),
        ("https://@api.amili.no", "must not contain credentials"),
        ("https://canary.example\\@api.amili.no", "must"),
        ("http://canary.example\\@127.0.0.1", "must"),
        ("api.amili.no/canary", "must be a full URL"),
        ("ftp://canary.example", "must be a full URL"),
        ("file:///canary", "must be a full URL"),
        ("https://", "must be a full URL"),
        ("", "must be a full URL"),
        ("https://api.amili.no:canary", "is not a valid URL"),
        ("https://[canary", "is not a valid URL"),
    ],
)
def test_any_other_url_raises_without_showing_it(url: str, message: str) -> None:
    """The error has the setting and the reason, but nothing of the URL, which may contain a password."""
    with pytest.raises(ArmConfigurationError, match=f"^auth_url.*{message}") as caught:
        check_url(url, "auth_url")
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("tail", ["?a=b", "#top", "/arm/v1?x"])
def test_base_url_with_query_or_fragment_raises(tail: str) -> None:
    """Paths that are appended to it would become part of the query or fragment."""
    with pytest.raises(ArmConfigurationError, match="must end with the path"):
        BaseUrl.parse(f"https://api.amili.no{tail}")


@pytest.mark.parametrize("slashes", ["", "/", "///"])
def test_slashes_at_the_end_of_base_url_are_ignored(slashes: str) -> None:
    """With or without them, the joined URLs are the same."""
    base = BaseUrl.parse(f"https://Api.amili.no/arm/v1{slashes}")
    assert base.join("/clients/1/customers") == "https://Api.amili.no/arm/v1/clients/1/customers"
    assert base.hostname == "api.amili.no"


@pytest.mark.parametrize(
    ("host", "expected"),
    [(None, False), ("localhost", True), ("::1", True), ("127.0.0.1", True), ("128.0.0.1", False), ("amili.no", False)],
)
def test_only_localhost_and_loopback_addresses_are_loopback(host: str | None, *, expected: bool) -> None:
    """No other name is loopback, whatever it resolves to."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "url",
    [
        "https://api.staging.amili.no/arm/v1/clients/1/customers?query=8NlwdOIM1YLVFApvQFONTw&pageno=2",
        "https://api.staging.amili.no:443/elsewhere",
        "HTTPS://API.STAGING.AMILI.NO/arm",
        "https://api.staging.amili.no?query=a%2Fb",
    ],
)
def test_same_scheme_host_and_port_is_same_origin(url: str) -> None:
    """Case and an explicit default port make no difference."""
    assert BASE.is_same_origin(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.staging.amili.no/arm/v1",
        "https://api.staging.amili.no:8443/arm/v1",
        "https://api.amili.no/arm/v1",
        "https://api.staging.amili.no.evil.example/",
        "https://evil.example/api.staging.amili.no",
        "https://evil.example#@api.staging.amili.no/",
        "https://api.staging.amili.no@evil.example/",
        "//api.staging.amili.no/arm/v1",
        "/arm/v1/clients",
        "",
        "https://[api",
        "https://api.staging.amili.no:port/",
        # The parsers of Python (for the check) and of urllib3 (for the call) find different hosts here.
        "https://evil.example\\@api.staging.amili.no/",
        "https://evil.example:443\\@api.staging.amili.no/",
        "https://user:password@api.staging.amili.no/",
        "https://api.staging.amili.no\\.evil.example/",
        "https://api.staging.amili.no/a b",
        "https://api.staging.amili.no/\x00",
        "https://api.staging.amili.no\t.evil.example/",
        " https://api.staging.amili.no/arm/v1",
        "https://api.staging.amili.no/ø",
    ],
)
def test_any_other_url_is_not_same_origin(url: str) -> None:
    """Another scheme, host or port, or a URL that two parsers could read differently, never gets the token."""
    assert not BASE.is_same_origin(url)


@settings(deadline=None)
@given(TEXT)
def test_path_value_stays_one_segment(value: str) -> None:
    """Any value is one path segment that decodes to the value, or it raises."""
    try:
        path = fill_path("/clients/{clientno}/customers/{customerno}", {"clientno": 1, "customerno": value})
    except ArmConfigurationError:
        assert not value.strip() or value in {".", ".."}
        return
    url = BASE.join(path)
    segments = urlsplit(url).path.split("/")
    assert segments[:-1] == ["", "arm", "v1", "clients", "1", "customers"]
    assert unquote(segments[-1]) == value
    assert urlsplit(url).query == ""
    assert url.isascii()


@pytest.mark.parametrize(
    ("value", "segment"), [("../x", "..%2Fx"), ("a/b", "a%2Fb"), ("ø?", "%C3%B8%3F"), ("a b#c", "a%20b%23c"), (0, "0")]
)
def test_path_value_is_quoted(value, segment: str) -> None:
    """Documented values as well as malicious ones."""
    assert fill_path("/x/{no}", {"no": value}) == f"/x/{segment}"


@pytest.mark.parametrize("value", [None, "", "  ", ".", ".."])
def test_path_value_that_addresses_another_resource_raises(value) -> None:
    """With an empty or dotted segment, the path of one customer would become that of the list or of a parent."""
    with pytest.raises(ArmConfigurationError, match="customerno is required"):
        fill_path("/customers/{customerno}", {"customerno": value})


def test_missing_path_value_raises_with_its_name() -> None:
    """The error has the name and the path."""
    with pytest.raises(ArmConfigurationError, match=r"batchuuid is missing \(/batches/\{batchuuid\}\)"):
        fill_path("/batches/{batchuuid}", {"clientno": 1})


@settings(deadline=None)
@given(st.dictionaries(TEXT, TEXT | st.lists(TEXT, max_size=3), max_size=4))
def test_query_parameters_decode_to_the_given_ones(params: dict) -> None:
    """Names and values of any characters are kept, and a list is repeated."""
    expected = [
        (name, item) for name, value in params.items() for item in (value if isinstance(value, list) else [value])
    ]
    text = encode_query(params)
    assert parse_qsl(text, keep_blank_values=True) == expected
    assert text.isascii()


def test_query_values_have_arms_format() -> None:
    """None is omitted, booleans are in lower case, dates are ISO."""
    params = {"a": None, "b": True, "c": False, "d": dt.date(2025, 2, 27), "e": [1, None, 2], "f": ""}
    assert encode_query(params) == "b=true&c=false&d=2025-02-27&e=1&e=2&f="
    assert BASE.join("/x", {"a": None}) == f"{BASE.url}/x"


@pytest.mark.parametrize("url", ["https://api.amili.no/arm", "https://sandbox.example/arm", "https://10.1.2.3/"])
def test_response_of_remote_sandbox_raises(url: str) -> None:
    """A sandbox must not be mistaken for ARM: its header from any other machine ends the call."""
    with pytest.raises(ArmConfigurationError, match="an ARM sandbox on another machine"):
        raise_for_remote_sandbox(url, {"x-arm-sandbox": "1"})


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:1", {"x-arm-sandbox": "1"}),
        ("http://[::1]:1", {"x-arm-sandbox": ""}),
        ("http://localhost", {"x-arm-sandbox": "1"}),
        ("https://api.amili.no/arm", {}),
    ],
)
def test_local_sandbox_and_remote_arm_are_accepted(url: str, headers: dict) -> None:
    """Neither the header alone nor another machine alone raises."""
    assert raise_for_remote_sandbox(url, headers) is None
