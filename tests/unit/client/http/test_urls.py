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
def test_https_and_loopback_addresses_are_taken(url: str) -> None:
    """Certificates protect the rest of the world; plain http never leaves this machine."""
    assert check_url(url, "host").hostname


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://api.amili.no/arm/v1", "must be https"),
        ("http://127.0.0.1.evil.example", "must be https"),
        ("http://localhost.evil.example", "must be https"),
        ("http://0.0.0.0", "must be https"),
        ("http://10.0.0.1", "must be https"),
        ("https://me:canary@api.amili.no", "must not hold credentials"),
        ("https://canary@api.amili.no", "must not hold credentials"),
        ("https://:canary@api.amili.no", "must not hold credentials"),
        ("https://@api.amili.no", "must not hold credentials"),
        ("https://canary.example\\@api.amili.no", "must"),
        ("http://canary.example\\@127.0.0.1", "must"),
        ("api.amili.no/canary", "must be a full address"),
        ("ftp://canary.example", "must be a full address"),
        ("file:///canary", "must be a full address"),
        ("https://", "must be a full address"),
        ("", "must be a full address"),
        ("https://api.amili.no:canary", "is not an address"),
        ("https://[canary", "is not an address"),
    ],
)
def test_any_other_address_is_refused_without_showing_it(url: str, says: str) -> None:
    """The error names the setting and the reason, and nothing of the address, which may hold a password."""
    with pytest.raises(ArmConfigurationError, match=f"^auth_url.*{says}") as caught:
        check_url(url, "auth_url")
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("tail", ["?a=b", "#top", "/arm/v1?x"])
def test_a_base_url_ends_with_its_path(tail: str) -> None:
    """A query or fragment in the base would swallow the paths that are put under it."""
    with pytest.raises(ArmConfigurationError, match="must end with the path"):
        BaseUrl.parse(f"https://api.amili.no{tail}")


@pytest.mark.parametrize("slashes", ["", "/", "///"])
def test_a_base_url_may_end_with_slashes(slashes: str) -> None:
    """A slash at the end, or none, makes no difference."""
    base = BaseUrl.parse(f"https://Api.amili.no/arm/v1{slashes}")
    assert base.join("/clients/1/customers") == "https://Api.amili.no/arm/v1/clients/1/customers"
    assert base.hostname == "api.amili.no"


@pytest.mark.parametrize(
    ("host", "here"),
    [(None, False), ("localhost", True), ("::1", True), ("127.0.0.1", True), ("128.0.0.1", False), ("amili.no", False)],
)
def test_loopback_is_this_machine_and_nothing_else(host: str | None, *, here: bool) -> None:
    """Names other than localhost are never loopback, whatever they resolve to."""
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    "url",
    [
        "https://api.staging.amili.no/arm/v1/clients/1/customers?query=8NlwdOIM1YLVFApvQFONTw&pageno=2",
        "https://api.staging.amili.no:443/elsewhere",
        "HTTPS://API.STAGING.AMILI.NO/arm",
        "https://api.staging.amili.no?query=a%2Fb",
    ],
)
def test_an_address_on_the_bases_scheme_host_and_port_is_owned(url: str) -> None:
    """Case and a written default port make no difference."""
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
        # The two parsers that read it (Python's for the check, urllib3's for the call) see different hosts here.
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
def test_any_other_address_is_not_owned(url: str) -> None:
    """Another scheme, host or port, or an address that two parsers could read differently, never gets the token."""
    assert not BASE.is_same_origin(url)


@settings(deadline=None)
@given(TEXT)
def test_a_path_value_stays_one_segment(value: str) -> None:
    """Whatever the value, it is one path segment that reads back as the value, or it is refused."""
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
def test_a_path_value_is_quoted(value, segment: str) -> None:
    """The documented values and the hostile ones."""
    assert fill_path("/x/{no}", {"no": value}) == f"/x/{segment}"


@pytest.mark.parametrize("value", [None, "", "  ", ".", ".."])
def test_a_path_value_that_would_reach_another_resource_is_refused(value) -> None:
    """An empty or dotted segment would turn one customer into the list, or into what lies above it."""
    with pytest.raises(ArmConfigurationError, match="customerno must be given"):
        fill_path("/customers/{customerno}", {"customerno": value})


def test_a_missing_path_value_is_named() -> None:
    """The error names what is missing and where."""
    with pytest.raises(ArmConfigurationError, match=r"batchuuid is missing \(/batches/\{batchuuid\}\)"):
        fill_path("/batches/{batchuuid}", {"clientno": 1})


@settings(deadline=None)
@given(st.dictionaries(TEXT, TEXT | st.lists(TEXT, max_size=3), max_size=4))
def test_query_parameters_read_back_as_given(params: dict) -> None:
    """Names and values of any characters survive, and a list is repeated."""
    expected = [
        (name, item) for name, value in params.items() for item in (value if isinstance(value, list) else [value])
    ]
    text = encode_query(params)
    assert parse_qsl(text, keep_blank_values=True) == expected
    assert text.isascii()


def test_query_values_are_written_as_arm_writes_them() -> None:
    """None is left out, booleans are lower case, days are ISO."""
    params = {"a": None, "b": True, "c": False, "d": dt.date(2025, 2, 27), "e": [1, None, 2], "f": ""}
    assert encode_query(params) == "b=true&c=false&d=2025-02-27&e=1&e=2&f="
    assert BASE.join("/x", {"a": None}) == f"{BASE.url}/x"


@pytest.mark.parametrize("url", ["https://api.amili.no/arm", "https://sandbox.example/arm", "https://10.1.2.3/"])
def test_a_sandbox_on_another_machine_is_refused(url: str) -> None:
    """Nobody takes a sandbox for ARM: its header from anywhere but this machine ends the call."""
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
def test_a_sandbox_here_and_arm_there_are_fine(url: str, headers: dict) -> None:
    """The header alone, or the other machine alone, is no reason."""
    assert raise_for_remote_sandbox(url, headers) is None
