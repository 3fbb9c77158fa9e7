"""The real client with every variant of the working contract and every fault of row 14.

The assertions use the sandbox's effect log and request log rather than what the client returned.
"""

from __future__ import annotations

import contextlib
import time

import pytest

from airflow_provider_arm.client import (
    ArmAuthenticationError,
    ArmClient,
    ArmConfigurationError,
    ArmError,
    ArmIncompleteListError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmRateLimitError,
    ArmResultLimitError,
    ArmUnavailableError,
    ArmUnknownOutcomeError,
    ArmValidationError,
    BatchState,
    ClientCredentials,
)
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sandbox.state.switches import SWITCHES

GOOD = {"customerNo": "700001", "name": "Kari Syntetisk"}
BAD = {"customerNo": "700002", "name": "Ola Syntetisk", "organizationNo": "984842253"}
DOCUMENT = {
    "documentType": "IN",
    "customerNo": "543210",
    "documentNo": "77000001",
    "documentDate": "2025-11-03",
    "currencyAmounts": {"inclVat": 1000},
}
ITEMS = 60


class FastClock:
    """Clock that returns from sleep at once and counts the seconds."""

    def __init__(self):
        self.slept = []

    def time(self):
        """Return Unix seconds."""
        return time.time()

    def monotonic(self):
        """Return seconds, including those that were slept."""
        return time.monotonic() + sum(self.slept)

    def sleep(self, seconds):
        """Add the seconds to the clock."""
        self.slept.append(seconds)

    async def asleep(self, seconds):
        """Await nothing; see :meth:`sleep`."""
        self.sleep(seconds)


@pytest.fixture
def clock():
    """Return the client's clock."""
    return FastClock()


@pytest.fixture
def client(box, clock):
    """Yield the real client, connected to the sandbox."""
    credentials = ClientCredentials(auth_url=box.auth_url, client_id=box.client_id, client_secret=box.client_secret)
    with ArmClient(box.base_url, credentials, client_no=box.client_no, user_id="tester", clock=clock) as arm:
        yield arm


def _submit(client, *records):
    return client.submit_batch("create_customer_batch", list(records) or [GOOD])


def _poll(client, *records):
    return client.get_batch(_submit(client, *records).batch_uuid)


def _items(client, **filters):
    return [item.ar_item_id for item in client.list_ar_items(filters, page_size=25).items()]


def _assert_complete(box, client):
    found = _items(client)
    assert len(found) == len(set(found)) == box.totals()["arItems"]


# -- batches --------------------------------------------------------------------------------------------------------


def submit_is_understood(box, client):
    """Assert that the batch is stored once, with the batchUuid that the client returns."""
    receipt = _submit(client)
    (entry,) = box.ledger()["batches"].values()
    assert entry["batch_uuids"] == [receipt.batch_uuid]
    assert client.get_batch(receipt.batch_uuid).state is BatchState.SUCCEEDED


def submit_without_uuid_is_an_error(box, client):
    """Assert that the client raises, sends nothing again and shows the response."""
    with pytest.raises(ArmInvalidResponseError, match="batchUuid"):
        _submit(client)
    (entry,) = box.ledger()["batches"].values()
    assert entry["submits"] == 1


def records_are_counted(box, client):
    """Assert that a valid and an invalid record are a partial batch with one failure."""
    status = _poll(client, GOOD, BAD)
    assert (status.state, status.failed) == (BatchState.PARTIAL, 1)


def pending_is_pending(box, client):
    """Assert that a pending batch has neither succeeded nor failed, and then finishes."""
    box.behave(batch_delay=60)
    uuid = _submit(client, GOOD, {**GOOD, "customerNo": "700003"}).batch_uuid
    assert client.get_batch(uuid).state is BatchState.PENDING
    box.advance(61)
    assert client.get_batch(uuid).state is BatchState.SUCCEEDED


def unknown_word_is_never_success(box, client):
    """Assert that the batch is neither finished nor successful."""
    assert _poll(client).state is BatchState.INVALID_RESPONSE


def whole_batch_is_rejected(box, client):
    """Assert that the batch is rejected without effect."""
    assert _poll(client).state is BatchState.REJECTED
    assert box.ledger()["customers"] == {}


def all_failed_is_rejected(box, client):
    """Assert that a batch whose records all failed is rejected, with either status."""
    assert _poll(client, BAD).state is BatchState.REJECTED


def grace_is_not_found_then_found(box, client):
    """Assert that polls return not found at first and find the batch later."""
    uuid = _submit(client).batch_uuid
    with pytest.raises(ArmNotFoundError):
        client.get_batch(uuid)
    box.advance(31)
    assert client.get_batch(uuid).state is BatchState.SUCCEEDED


def limit_is_an_error(box, client):
    """Assert that a batch above the limit is refused as a whole."""
    with pytest.raises(ArmValidationError):
        _submit(client, GOOD, {**GOOD, "customerNo": "2"}, {**GOOD, "customerNo": "3"})
    assert box.ledger()["batches"] == {}


# -- single records and errors ---------------------------------------------------------------------------------------


def failed_record_is_an_error(box, client):
    """Assert that 422 raises, whatever the errors in its body."""
    with pytest.raises(ArmValidationError):
        client.upsert_customer(BAD)
    assert _poll(client, GOOD, BAD).failed == 1


def errors_keep_their_kind(box, client):
    """Assert that 404 is not found and 422 is a validation error, with any body."""
    with pytest.raises(ArmNotFoundError):
        client.get_customer("unknown")
    with pytest.raises(ArmValidationError):
        client.upsert_customer(BAD)


def unknown_filter_goes_through(box, client):
    """Assert that the client sends a filter that it does not know; ARM ignores it here."""
    assert len(_items(client, somethingnew="1")) == ITEMS
    assert "somethingnew=1" in box.requests(template="/arm/v1/clients/{clientno}/aritems")[0]["query"]


def upsert_is_understood(box, client):
    """Assert that the response is a success with one effect."""
    assert client.upsert_customer(GOOD).result == "CREATED"
    assert box.ledger()["customers"]["700001"]["effects"] == 1


def second_invoice_is_in_the_effect_log(box, client):
    """Assert that the effect log contains a second booking, if ARM accepts it."""
    for _ in range(2):
        client.submit_batch("create_document_batch", [DOCUMENT])
    assert box.ledger()["documents"]["77000001"]["effects"] == 2


# -- lists -----------------------------------------------------------------------------------------------------------


def list_is_complete(box, client):
    """Assert that each item is returned once."""
    _assert_complete(box, client)


def true_total_is_a_cap(box, client):
    """Assert that a total above the cap is an error, not a short result."""
    box.core.reset(type(box.core.seed)(ar_items=10_050, customers=10))
    try:
        with pytest.raises(ArmResultLimitError):
            _items(client)
    finally:
        box.core.reset(type(box.core.seed)(ar_items=ITEMS))


def expiry_is_never_a_short_result(box, client):
    """Assert that a query that expires between pages is an error or restarted."""
    with contextlib.suppress(ArmIncompleteListError):
        _assert_complete(box, client)


def shifting_rows_are_never_a_short_result(box, client):
    """Assert that the list is complete without duplicates, or an error, if an invoice shifts the pages."""
    pages = client.list_ar_items(page_size=25).pages()
    found = list(next(pages).texts)
    client.submit_batch("create_document_batch", [DOCUMENT])
    try:
        for page in pages:
            found += page.texts
    except ArmIncompleteListError:
        return
    assert len(found) == len(set(found)) == box.totals()["arItems"]


def empty_list_is_empty_or_an_error(box, client):
    """Assert that 404 for an empty list returns no rows."""
    with contextlib.suppress(ArmNotFoundError):
        assert _items(client, customerno="none") == []


def token_is_not_sent_to_another_host(box, client):
    """Assert that pages are not requested from another host with the token."""
    with ArmSandbox(ar_items=1) as other:
        box.behave(q13_page_host=other.url.partition("//")[2])
        with contextlib.suppress(ArmConfigurationError):
            _assert_complete(box, client)
        assert other.requests() == []


def test_rows_that_shift_without_changing_their_number_are_never_a_wrong_result(box, client):
    """An item is created and another one settled between two pages, so the total is unchanged (row 11)."""
    box.behave(q11_live_query=True)
    listing = client.list_ar_items({"onlyopen": "true"}, page_size=5)
    *_, oldest = listing.items()
    pages = listing.pages()
    found = [item.ar_item_id for item in next(pages).items]
    client.submit_batch("create_document_batch", [DOCUMENT])
    payment = {"arItemId": oldest.ar_item_id, "currencyAmount": oldest.currency_balance}
    client.call("create_auto_postings", path={"autopostingmethod": "payment"}, record=[payment])
    with contextlib.suppress(ArmIncompleteListError):
        for page in pages:
            found += [item.ar_item_id for item in page.items]
        assert len(found) == len(set(found))


#: Variant (switch and value) to assertion.
SCENARIOS = {
    ("q01_submit_status", 200): submit_is_understood,
    ("q01_submit_status", 201): submit_is_understood,
    ("q01_extra_keys", True): submit_is_understood,
    ("q01_no_uuid", True): submit_without_uuid_is_an_error,
    ("q02_records_key", "results"): records_are_counted,
    ("q02_counts", "absent"): records_are_counted,
    ("q02_records_while_202", "absent"): pending_is_pending,
    ("q03_206_in_progress", True): pending_is_pending,
    ("q03_failed_inside_200", True): records_are_counted,
    ("q03_unknown_status", "ARCHIVED"): unknown_word_is_never_success,
    ("q03_reject_batches", True): whole_batch_is_rejected,
    ("q03_all_failed", 206): all_failed_is_rejected,
    ("q04_grace_seconds", 30): grace_is_not_found_then_found,
    ("q04_grace_polls", 1): grace_is_not_found_then_found,
    ("q05_errors", "absent"): failed_record_is_an_error,
    ("q05_errors", "several"): failed_record_is_an_error,
    ("q06_error_body", "empty"): errors_keep_their_kind,
    ("q06_error_body", "html"): errors_keep_their_kind,
    ("q06_error_body", "text"): errors_keep_their_kind,
    ("q07_unknown_filter", "ignore"): unknown_filter_goes_through,
    ("q08_plural_key", "rows"): list_is_complete,
    ("q09_total", "true"): true_total_is_a_cap,
    ("q10_next_page", "absent"): list_is_complete,
    ("q10_next_page", "empty"): list_is_complete,
    ("q10_next_page", "same"): list_is_complete,
    ("q10_next_page", "extra_page"): list_is_complete,
    ("q11_expire_after_pages", 1): expiry_is_never_a_short_result,
    ("q11_expired_status", 404): expiry_is_never_a_short_result,
    ("q11_live_query", True): shifting_rows_are_never_a_short_result,
    ("q12_empty_list", 404): empty_list_is_empty_or_an_error,
    ("q13_page_host", "elsewhere.example"): token_is_not_sent_to_another_host,
    ("q14_gzip", True): list_is_complete,
    ("q15_duplicate_document", "accept"): second_invoice_is_in_the_effect_log,
    ("q16_max_records", 2): limit_is_an_error,
    ("q17_upsert_response", "created_200"): upsert_is_understood,
}

#: Other switches that a variant needs to have an effect.
_TOGETHER = {("q11_expired_status", 404): {"q11_expire_after_pages": 1}}


def test_every_row_and_variant_has_a_scenario():
    """Each row has a switch or a fault, and each variant of a switch a scenario."""
    assert {switch.row for switch in SWITCHES} - {0} == set(range(1, 18))
    tested = {name for name, _ in SCENARIOS}
    for switch in SWITCHES:
        if switch.row and isinstance(switch.allowed, tuple):
            variants = {(switch.name, value) for value in switch.allowed if value != switch.default}
            assert variants <= set(SCENARIOS)
        assert not switch.row or switch.name in tested


@pytest.mark.parametrize(("switch", "value"), SCENARIOS, ids=str)
def test_client_handles_each_variant(box, client, switch, value):
    """One variant is set at a time; its scenario must hold."""
    box.behave(**{switch: value}, **_TOGETHER.get((switch, value), {}))
    SCENARIOS[switch, value](box, client)


@pytest.mark.parametrize(
    "scenario",
    [
        submit_is_understood,
        records_are_counted,
        pending_is_pending,
        all_failed_is_rejected,
        failed_record_is_an_error,
        errors_keep_their_kind,
        upsert_is_understood,
        list_is_complete,
        empty_list_is_empty_or_an_error,
    ],
)
def test_client_handles_the_default(box, client, scenario):
    """The same scenarios hold for the default contract."""
    scenario(box, client)


# -- row 14: load and faults -----------------------------------------------------------------------------------------

LOST = ["close", "reset", "half_header", "half_body", "html", "empty"]


@pytest.mark.parametrize("do", LOST)
@pytest.mark.parametrize("when", ["before_accept", "after_accept"])
def test_document_batch_is_sent_once_when_the_response_is_lost(box, client, do, when):
    """The client raises that the outcome is unknown."""
    client.check()
    box.fault({"match": {"method": "POST"}, "when": when, "do": do, "times": 0})
    with pytest.raises((ArmUnknownOutcomeError, ArmInvalidResponseError)):
        client.submit_batch("create_document_batch", [DOCUMENT])
    assert len(box.requests(method="POST", template="/arm/v1/clients/{clientno}/documents/batches")) == 1
    assert box.ledger()["documents"].get("77000001", {"effects": 0})["effects"] == (when == "after_accept")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_document_batch_is_not_repeated_after_a_server_error(box, client, status):
    """ARM may have accepted it."""
    client.check()
    box.fault({"match": {"method": "POST"}, "when": "after_accept", "do": "status", "status": status, "times": 0})
    with pytest.raises(ArmUnknownOutcomeError):
        client.submit_batch("create_document_batch", [DOCUMENT])
    assert box.ledger()["documents"]["77000001"]["effects"] == 1


@pytest.mark.parametrize("retry_after", [None, 7, "date"], ids=str)
def test_client_waits_after_429_and_sends_again(box, client, clock, retry_after):
    """There is one effect, after the time in Retry-After."""
    client.check()
    rule = {"match": {"method": "POST"}, "do": "status", "status": 429, "retry_after": retry_after, "seconds": 9}
    box.fault(rule)
    client.submit_batch("create_document_batch", [DOCUMENT])
    assert box.ledger()["documents"]["77000001"]["effects"] == 1
    assert len(clock.slept) == 1
    assert retry_after is None or 6 <= clock.slept[0] <= 11


def test_client_raises_when_429_does_not_end(box, client):
    """Nothing took effect."""
    client.check()
    box.fault({"match": {"method": "POST"}, "do": "status", "status": 429, "times": 0})
    with pytest.raises(ArmRateLimitError):
        client.submit_batch("create_document_batch", [DOCUMENT])
    assert box.ledger()["documents"] == {}


@pytest.mark.parametrize("do", [*LOST, "status"])
@pytest.mark.parametrize("when", ["before_accept", "after_accept"])
def test_upsert_is_repeated_when_the_response_is_lost(box, client, do, when):
    """It succeeds, or the client raises that the response is invalid."""
    client.check()
    box.fault({"match": {"method": "POST"}, "when": when, "do": do})
    with contextlib.suppress(ArmInvalidResponseError):
        assert client.upsert_customer(GOOD).status == "PROCESSED"
        assert box.ledger()["customers"]["700001"]["effects"] >= 1


@pytest.mark.parametrize("do", LOST)
def test_list_is_complete_or_an_error_when_a_page_is_lost(box, client, do):
    """The second page is lost once."""
    box.fault({"match": {"path": "*/aritems"}, "nth": 2, "do": do})
    with contextlib.suppress(ArmInvalidResponseError, ArmIncompleteListError):
        _assert_complete(box, client)


def test_document_batch_is_accepted_after_a_refused_connection(box, client, clock):
    """The refused one was certainly not sent."""
    client.check()
    box.fault({"match": {"method": "GET"}, "do": "refuse", "seconds": 600})
    with contextlib.suppress(ArmError):
        client.get_customer("543210")
    with pytest.raises(ArmUnavailableError):
        client.submit_batch("create_document_batch", [DOCUMENT])
    box.clear_faults()
    client.submit_batch("create_document_batch", [DOCUMENT])
    assert box.ledger()["documents"]["77000001"]["effects"] == 1


def test_refused_token_is_renewed_once(box, client):
    """One 401 leads to one new token and one effect."""
    client.check()
    box.fault({"match": {"method": "POST", "path": "*/documents/batches"}, "do": "token_refused"})
    client.submit_batch("create_document_batch", [DOCUMENT])
    assert box.ledger()["documents"]["77000001"]["effects"] == 1
    assert len(box.requests(template="/identity/token")) == 2


def test_client_raises_when_new_tokens_are_refused(box, client):
    """It does not loop between 401 and new tokens."""
    box.fault({"match": {"path": "*/customers*"}, "do": "token_refused", "times": 0})
    with pytest.raises(ArmAuthenticationError):
        client.get_customer("543210")
    assert len(box.requests(template="/identity/token")) <= 3


def test_late_commit_takes_effect_once(box, client):
    """ARM commits the batch long after the connection was lost."""
    client.check()
    box.fault({"match": {"method": "POST"}, "do": "late_commit", "seconds": 60})
    with pytest.raises(ArmUnknownOutcomeError):
        client.submit_batch("create_document_batch", [DOCUMENT])
    box.advance(61)
    assert box.ledger()["documents"]["77000001"]["effects"] == 1


def test_client_waits_for_a_slow_response(box, client):
    """It is received within the timeout."""
    box.fault({"match": {"method": "GET"}, "do": "delay", "seconds": 0.05})
    assert client.get_customer("543210").name == "Owe Armstrong"
