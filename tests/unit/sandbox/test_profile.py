"""``sandbox.profile``: the sandbox follows a readings profile, on the wire."""

from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_arm.client.readings import DEFAULT_READINGS
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sandbox.cli import main

TIMEOUT = 5


@pytest.fixture
def start():
    """Start sandboxes with a profile; they stop with the test."""
    boxes = []

    def start_box(readings):
        boxes.append(ArmSandbox(ar_items=30, customers=5, batch_delay=0, readings=readings).start())
        return boxes[-1]

    yield start_box
    for box in boxes:
        box.stop()


def token(box, **more):
    """Get a token; return the response."""
    form = {"grant_type": "client_credentials", "client_id": box.client_id, "client_secret": box.client_secret} | more
    return requests.post(box.auth_url, data=form, timeout=TIMEOUT)


def call(box, method, path, **more):
    """Send one request with a token."""
    headers = {"Authorization": f"Bearer {token(box).json()['access_token']}"}
    url = f"{box.base_url}/clients/{box.client_no}{path}"
    return requests.request(method, url, headers=headers, timeout=TIMEOUT, **more)


def test_filters_have_the_names_of_the_profile(start):
    """A default name that the profile lacks is an unknown filter; a bound may be excluded."""
    window = {"first": "since", "last": "before", "last_included": False}
    box = start({"filters": {"windows": {"voucherdate": window, "bookingdate": {"first": "bfrom", "last": "bto"}}}})
    assert call(box, "GET", "/aritems?fromvoucherdate=2025-02-27").status_code == 400
    day = call(box, "GET", "/aritems?since=2025-02-27&before=2025-02-28").json()
    assert {item["voucherDate"] for item in day["arItems"]} == {"2025-02-27"}
    booked = call(box, "GET", "/aritems?bfrom=2025-02-27&bto=2025-02-27").json()
    assert booked["arItems"] == day["arItems"]


def test_pages_have_the_names_of_the_profile(start):
    """The addresses of further pages have them, too, and work."""
    names = {"page_size": "limit", "page_number": "page", "query": "of", "maximum_count": "most"}
    box = start({"lists": {"parameters": names, "summary_key": "head", "record_keys": {"list_ar_items": "rows"}}})
    first = call(box, "GET", "/aritems?limit=10").json()
    assert list(first) == ["head", "rows"]
    query, page = first["head"]["nextPage"].partition("?")[2].split("&")
    assert (query.partition("=")[0], page) == ("of", "page=2")
    assert len(call(box, "GET", f"/aritems?{query}&{page}").json()["rows"]) == 10
    assert call(box, "GET", "/aritems?pagesize=10").status_code == 400


def test_assumed_paths_are_those_of_the_profile(start):
    """The default path does not exist then, and pages have the path of the profile."""
    box = start({"paths": {"list_documents": "/clients/{clientno}/invoices"}})
    found = call(box, "GET", "/invoices?pagesize=5").json()
    assert found["summary"]["nextPage"].startswith(f"{box.base_url}/clients/{box.client_no}/invoices?")
    assert call(box, "GET", "/documents").status_code == 404
    assert call(box, "POST", "/documents", json={"document": {}}).status_code == 422


@pytest.mark.parametrize(
    ("calls", "request_with", "status"),
    [
        ({}, {}, 200),
        ({"token_auth": "basic"}, {}, 401),
        ({"token_auth": "basic"}, {"basic": True}, 200),
        ({"token_scope": "arm"}, {}, 401),
        ({"token_scope": "arm"}, {"scope": "arm"}, 200),
    ],
)
def test_token_call_is_that_of_the_profile(start, calls, request_with, status):
    """Credentials are in the body or in a header, and the scope may be required."""
    box = start({"calls": calls})
    if request_with.get("basic"):
        auth, form = (box.client_id, box.client_secret), {"grant_type": "client_credentials"}
        response = requests.post(box.auth_url, data=form, auth=auth, timeout=TIMEOUT)
    else:
        response = token(box, **request_with)
    assert response.status_code == status


def test_state_of_a_batch_has_the_keys_words_and_codes_of_the_profile(start):
    """Also that of each record in it."""
    batch = {
        "uuid_key": "id",
        "status_key": "state",
        "failed_key": "bad",
        "records_key": "rows",
        "record_number_key": "no",
        "partial_words": ["MIXED"],
        "finished_codes": [200, 207],
    }
    box = start({"batch": batch, "write": {"status_key": "outcome", "failure_words": ["WRONG"]}})
    people = [{"customerNo": "1", "name": "A"}, {"customerNo": "2"}]
    uuid = call(box, "POST", "/customers/batches", json={"customers": people}).json()["id"]
    response = call(box, "GET", f"/batches/{uuid}")
    body = response.json()
    assert (response.status_code, body["id"], body["state"], body["bad"]) == (207, uuid, "MIXED", 1)
    assert [(row["no"], row["outcome"]) for row in body["rows"]] == [(1, "PROCESSED"), (2, "WRONG")]


def test_default_profile_changes_no_byte(start):
    """A sandbox with the default profile, written out, responds like one without a profile."""
    plain, explicit = start({}), start(json.loads(DEFAULT_READINGS.model_dump_json()))
    for path in ("/aritems?pagesize=10", "/customers/543210", "/glitems?pagesize=5", "/aritems?nosuch=1"):
        bodies = [call(box, "GET", path).content.replace(box.url.encode(), b"") for box in (plain, explicit)]
        assert bodies[0] == bodies[1]


def test_invalid_profile_of_the_command_ends_it_with_the_entry(tmp_path, capsys):
    """Before it listens."""
    (tmp_path / "a.yaml").write_text("batch: {succes_words: [X]}")
    assert main(["--readings", str(tmp_path / "a.yaml"), "--port", "0"]) == 1
    assert "did you mean batch.success_words?" in capsys.readouterr().err
