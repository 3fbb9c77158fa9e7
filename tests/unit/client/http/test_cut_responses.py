"""Responses that end early, in every framing: never taken as whole, and a write is never repeated because of one."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.endpoints import Endpoints, write_reader
from airflow_provider_arm.client.errors import ArmError, ArmUnknownOutcomeError, Phase
from airflow_provider_arm.client.http.retry import RetryPolicy
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.client.readings import DEFAULT_READINGS
from tests.unit.client.scripted_server import RawReply

PAGE = {
    "summary": {"totalCount": 2},
    "customers": [{"customerNo": "1", "balance": 124}, {"customerNo": "2", "name": "Ø"}],
}
WRITTEN = {"status": "PROCESSED", "result": "UPDATED"}
FRAMINGS = ("length of the whole", "length of the part", "chunked", "chunked, last chunk missing", "until closed")


def respond(body: bytes, part: int, framing: str, headers: str = "") -> bytes:
    """Return a response of the first *part* bytes of *body*."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}"
    cut = body[:part]
    if framing.startswith("chunked"):
        first, second = cut[: part // 2], cut[part // 2 :]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (first, second) if chunk)
        end = b"" if framing.endswith("missing") else b"0\r\n\r\n"
        return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + end
    if framing == "until closed":
        return f"{head}\r\n".encode() + cut
    length = len(body) if framing == "length of the whole" else part
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + cut


def cut_response(share: float, framing: str, body: Any, *, compressed: bool) -> tuple[bytes, bool]:
    """Return a response that is cut after this share of its bytes, and whether it is whole."""
    data = json.dumps(body, ensure_ascii=False).encode()
    data = gzip.compress(data, mtime=0) if compressed else data
    part = round(share * len(data))
    is_whole = part == len(data) and not framing.endswith("missing")
    return respond(data, part, framing, "Content-Encoding: gzip\r\n" if compressed else ""), is_whole


CUTS = given(share=st.floats(0, 1), framing=st.sampled_from(FRAMINGS), compressed=st.booleans())
LIMITS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LIMITS
@CUTS
@example(share=1.0, framing="until closed", compressed=False)
@example(share=1.0, framing="chunked", compressed=True)
@example(share=1.0, framing="chunked, last chunk missing", compressed=False)
def test_cut_page_is_an_error_or_whole(share, framing, compressed, start_server, make_driver) -> None:
    """It never lacks a record or a field; after more attempts it is an error that a retry may cure."""
    reply, is_whole = cut_response(share, framing, PAGE, compressed=compressed)
    server = start_server([RawReply(reply)])
    driver = make_driver(server.url, retry=RetryPolicy(max_attempts=2, uniform=lambda: 0.0))
    error = None
    try:
        assert driver.call("list_customers") == PAGE
    except ArmError as raised:
        error = raised
    server.close()
    if error is None:
        assert is_whole or compressed  # a gzip stream without its checksum has all of the JSON
    else:
        assert (is_whole, error.permanent, server.attempts) == (False, False, 2)


@LIMITS
@CUTS
def test_cut_response_to_a_write_is_an_unknown_outcome(share, framing, compressed, start_server, make_driver) -> None:
    """ARM has accepted it perhaps, so it is sent once."""
    reply, is_whole = cut_response(share, framing, WRITTEN, compressed=compressed)
    server = start_server([RawReply(reply)])
    driver = make_driver(server.url)
    request = Endpoints(BaseUrl.parse(server.url), 1).write_request(OPERATIONS["update_ar_item"], {"arItemId": "1"})
    error = None
    try:
        assert driver.send(request, write_reader(None, DEFAULT_READINGS)).result == "UPDATED"
    except ArmUnknownOutcomeError as raised:
        error = raised
    server.close()
    assert server.attempts == 1
    if error is None:
        assert is_whole or compressed
    else:
        assert (is_whole, error.permanent) == (False, True)
        assert error.phase is not Phase.NOT_SENT


@pytest.mark.parametrize(
    "body", ['{"a": NaN}', '{"a": 1}{"b": 2}', '{"a": 1} x', '{"a": Infinity}', '{"a": 01}', '{"a": 1,}', "{'a': 1}"]
)
def test_body_that_is_not_exactly_one_json_value_is_an_error(body: str, start_server, make_driver) -> None:
    """Python's own parser would accept some of these."""
    server = start_server([RawReply(respond(body.encode(), len(body), "length of the part"))])
    with pytest.raises(ArmError, match="not complete JSON"):
        make_driver(server.url).call("list_customers")
