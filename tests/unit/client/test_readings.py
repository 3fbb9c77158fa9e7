"""``client.readings``: the profile, its checks, and what the client does with it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.batch_state import BatchState, classify_batch
from airflow_provider_arm.client.endpoints import Endpoints, postings_reader
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.http.auth import ClientCredentials
from airflow_provider_arm.client.http.messages import InvalidResponseError, RejectedResponseError, Response
from airflow_provider_arm.client.http.urls import BaseUrl
from airflow_provider_arm.client.operations import operations_of
from airflow_provider_arm.client.readings import DEFAULT_READINGS, ENTRIES, Readings

_WORD = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_-", min_size=1, max_size=12)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_has_a_description_and_an_origin(name: str) -> None:
    """The table in the docs is made of them."""
    field = ENTRIES[name]
    assert (field.description or "").endswith(".")
    assert isinstance(field.json_schema_extra, dict)
    assert set(field.json_schema_extra) == {"question", "documented", "if_wrong"}


def test_profile_of_nothing_is_the_default() -> None:
    """Its changes are empty, and it is equal to the default and has its hash."""
    profile = Readings.parse({})
    assert profile == DEFAULT_READINGS
    assert hash(profile) == hash(DEFAULT_READINGS)
    assert profile.changes() == {}


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"batch": {"succes_words": ["X"]}}, "unknown entry batch.succes_words (did you mean batch.success_words?)"),
        ({"batches": {}}, "unknown entry batches"),
        ({"batch": {"success_words": ["failed"]}}, "batch.success_words and batch.failure_words both contain FAILED"),
        ({"write": {"success_words": ["REJECTED"]}}, "both contain REJECTED"),
        ({"batch": {"pending_codes": [200]}}, "batch.pending_codes and batch.finished_codes both contain 200"),
        (
            {"batch": {"pending_words": ["PROCESSED"], "success_words": ["DONE"]}},
            "batch.pending_words and batch.success",
        ),
        ({"batch": {"rejected_codes": [404]}}, "batch.rejected_codes contains 404"),
        ({"batch": {"pending_codes": [404]}}, "batch.pending_codes.0"),
        ({"batch": {"success_codes": [202]}}, "batch.success_codes must be among batch.finished_codes"),
        ({"batch": {"success_words": "COMPLETED"}}, "batch.success_words: must be a list of words"),
        ({"batch": {"success_words": [""]}}, "batch.success_words.0"),
        ({"batch": {"pending_codes": ["202"]}}, "batch.pending_codes.0: must be a whole number"),
        ({"batch": {"not_found_grace": -1}}, "batch.not_found_grace"),
        ({"paths": {"list_documents": "documents"}}, "paths.list_documents: must be a path that starts with /"),
        ({"filters": {"created_window": "x"}}, "filters.created_window: filters.windows has no entry x"),
        ({"filters": {"windows": {"x": {"first": "a"}}}}, "filters.windows.x.last: is required"),
        ({"calls": {"token_auth": "form"}}, "calls.token_auth"),
        ({"batch": {"total_key": "status"}}, "batch.status_key and batch.total_key are both status"),
        (
            {"lists": {"summary_key": "arItems"}},
            "lists.summary_key and lists.record_keys.list_ar_items are both arItems",
        ),
        (
            {"filters": {"windows": {"x": {"first": "pageno", "last": "tox"}}}},
            "lists.parameters.page_number and filters.windows.x.first are both pageno",
        ),
        ([], "must be an object"),
        (None, "must be an object"),
    ],
)
def test_invalid_profile_is_refused_by_the_name_of_its_entry(profile: object, message: str) -> None:
    """The message names the place of the profile, the entry and what is wrong."""
    with pytest.raises(ArmConfigurationError) as caught:
        Readings.parse(profile, "readings of connection 'arm_default'")
    assert str(caught.value).startswith("readings of connection 'arm_default'")
    assert message in str(caught.value)


@given(st.lists(_WORD, min_size=1, max_size=3, unique=True), st.sampled_from(["success", "partial", "failure"]))
@settings(max_examples=200, deadline=None)
def test_words_of_a_profile_decide_and_others_never_succeed(words: list[str], meaning: str) -> None:
    """A word has the meaning that the profile gives it; without the profile it is no success."""
    taken = {
        word
        for group in ("pending", "success", "partial", "failure")
        if group != meaning
        for word in getattr(DEFAULT_READINGS.batch, f"{group}_words")
    } | {*DEFAULT_READINGS.write.success_words, *DEFAULT_READINGS.write.failure_words}
    words = [word for word in words if word not in taken]
    if not words:
        return
    profile = Readings.parse({"batch": {f"{meaning}_words": words}})
    state = {"success": BatchState.SUCCEEDED, "partial": BatchState.PARTIAL, "failure": BatchState.REJECTED}[meaning]
    for word in words:
        body = {"status": word.lower(), "totalCount": 2} | ({"failedCount": 0} if meaning == "success" else {})
        assert classify_batch(200, body, profile).state is state
        if word not in getattr(DEFAULT_READINGS.batch, f"{meaning}_words"):
            assert classify_batch(200, body).state is BatchState.INVALID_RESPONSE


def test_keys_of_a_batch_are_those_of_the_profile() -> None:
    """A key under its default name does not count where the profile has another name."""
    names = {"status_key": "state", "total_key": "n", "failed_key": "bad", "records_key": "rows"}
    profile = Readings.parse({"batch": names | {"record_number_key": "no"}, "write": {"status_key": "outcome"}})
    rows = [{"outcome": "PROCESSED", "no": 1}, {"outcome": "FAILED", "no": 2, "status": "PROCESSED"}]
    body = {"state": "PARTIAL", "status": "PROCESSED", "n": 2, "bad": 1, "rows": rows, "links": [{"href": "x"}]}
    status = classify_batch(206, body, profile)
    assert (status.state, status.total, status.failed) == (BatchState.PARTIAL, 2, 1)
    assert [status.is_rejected(record) for record in status.records] == [False, True]
    assert [record.record_no for record in status.records] == [1, 2]


def test_operations_have_keys_and_paths_of_the_profile() -> None:
    """The table of the defaults is left as it is."""
    profile = Readings.parse(
        {
            "record_keys": {"create_document": "invoice"},
            "paths": {"create_document": "/clients/{clientno}/invoices"},
            "lists": {"record_keys": {"list_ar_items": "items"}},
            "gl_items": {"gl_item_id": "id", "currency_amount": "amount"},
        }
    )
    table = operations_of(profile)
    assert (table["create_document"].key, table["create_document"].path) == ("invoice", "/clients/{clientno}/invoices")
    assert (table["list_ar_items"].key, table["list_gl_items"].item_key) == ("items", "id")
    item = table["get_gl_item"].response
    assert item is not None
    assert item.from_wire({"id": "7", "amount": 5}).to_wire() == {"id": "7", "amount": 5}
    assert operations_of(DEFAULT_READINGS)["create_document"].key == "document"
    assert operations_of(DEFAULT_READINGS)["list_gl_items"].item_key == "glItemId"


@pytest.mark.parametrize(
    ("profile", "user", "expected"),
    [
        ({}, None, {"customers": []}),
        ({}, "anna", {"metadata": {"userId": "anna"}, "customers": []}),
        ({"write": {"metadata_without_user": True}}, None, {"metadata": {}, "customers": []}),
        ({"write": {"metadata_key": "meta", "user_key": "user"}}, "anna", {"meta": {"user": "anna"}, "customers": []}),
        ({"record_keys": {"create_customer_batch": "people"}}, None, {"people": []}),
        ({"record_keys": {"create_customer_batch": None}}, "anna", []),
    ],
)
def test_envelope_of_a_write_is_that_of_the_profile(profile: dict, user: str | None, expected: object) -> None:
    """Encoded records have the same envelope as records."""
    endpoints = Endpoints(BaseUrl.parse("https://arm.test/v1"), 2218, user, Readings.parse(profile))
    operation = endpoints.operation("create_customer_batch")
    body = endpoints.write_request(operation, []).body
    assert json.loads(body or b"") == expected
    assert endpoints.encoded_request(operation, b"[]").body == body
    filled = endpoints.encoded_request(operation, b'[{"customerNo":"[]"}]').body
    assert filled == endpoints.write_request(operation, [{"customerNo": "[]"}]).body


def test_token_call_with_basic_authentication_has_no_secret_in_its_body() -> None:
    """ID and secret are encoded before they are joined (RFC 6749)."""
    readings = Readings.parse({"calls": {"token_auth": "basic", "token_scope": "arm"}}).calls
    request = ClientCredentials("https://auth.test/token", "id:1", "s æ").request(readings)
    assert request.body == b"grant_type=client_credentials&scope=arm"
    assert request.headers["Authorization"] == "Basic aWQlM0ExOnMrJUMzJUE2"


@pytest.mark.parametrize(("word", "state"), [("DONE", "ok"), ("BAD", "rejected"), ("PROCESSED", "invalid")])
def test_statuses_of_auto_postings_are_those_of_the_profile(word: str, state: str) -> None:
    """Of the set and of each posting in it."""
    write = {"status_key": "outcome", "success_words": ["DONE"], "failure_words": ["BAD"]}
    body = {"outcome": word, "autoPostings": [{"outcome": word, "status": "PROCESSED"}]}
    read = postings_reader([], Readings.parse({"write": write}))
    try:
        result = "ok" if read(Response(200, {}, json.dumps(body).encode())) else ""
    except RejectedResponseError:
        result = "rejected"
    except InvalidResponseError:
        result = "invalid"
    assert result == state
