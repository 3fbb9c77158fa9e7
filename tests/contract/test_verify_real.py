"""``make verify-real``, checked against sandboxes whose readings are known."""

from __future__ import annotations

from typing import Any

import pytest
import verify_real
import verify_real_wire
from verify_real_readings import Kind, Readings
from verify_real_wire import Numbers, Wire, target_of
from verify_real_writes import Writes

from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sandbox.state.switches import SWITCHES

#: Switches that the script does not observe, and why.
NOT_OBSERVED = {
    "strict": "belongs to no row: ARM's own errors show how strict it is",
    "batch_delay": "belongs to no row: ARM promises no time",
    "pending_polls": "belongs to no row: a tool for tests",
    "token_life": "belongs to no row: the token contains it",
    "query_life": "row 11 is observed by the status after the wait; the time until expiry is not measured",
}

#: Values for the switches that allow any.
VALUES: dict[str, list[Any]] = {
    "q02_records_key": ["results"],
    "q03_unknown_status": ["ARCHIVED"],
    "q04_grace_seconds": [30],
    "q04_grace_polls": [1, 3],
    "q08_plural_key": ["rows"],
    "q11_expire_after_pages": [1, 3],
    "q13_page_host": ["elsewhere.example"],
    "q16_max_records": [100, 5000],
}

#: Switches whose variants the contract lists and the client can only refuse.
CLIENT_REFUSES = {"q01_no_uuid", "q03_unknown_status", "q03_reject_batches"}

FLIPS = [
    (switch.name, value)
    for switch in SWITCHES
    if switch.name not in NOT_OBSERVED
    for value in (switch.allowed if isinstance(switch.allowed, tuple) else VALUES.get(switch.name, ["add values"]))
    if value != switch.default
]


@pytest.fixture(scope="module")
def running():
    """Yield one server for the tests of this module."""
    with ArmSandbox(seed=7, ar_items=60, switches={"batch_delay": 20}) as box:
        yield box


@pytest.fixture
def box(running):
    """Return the server after a reset, with a stopped clock."""
    running.reset()
    running.set_time(running.now())
    return running


@pytest.fixture
def environ(box):
    """Return the variables that name the sandbox as the real ARM; its batches are finished at once."""
    box.behave(batch_delay=0)
    return {
        "ARM_REAL_BASE_URL": box.base_url,
        "ARM_REAL_AUTH_URL": box.auth_url,
        "ARM_REAL_CLIENT_ID": box.client_id,
        "ARM_REAL_CLIENT_SECRET": box.client_secret,
        "ARM_REAL_CLIENT_NO": str(box.client_no),
    }


def observe(box):
    """Return the readings of a sandbox by name."""
    readings, target = Readings(), target_of(box)
    with Wire(target, box.advance) as wire:
        writes = Writes(wire, readings, Numbers(target.prefix), batch_timeout=300)
        verify_real.observe(wire, readings, writes, wait_for_expiry=660)
    return {reading.name: reading for reading in readings}


# -- readings ---------------------------------------------------------------------------------------------------------


def test_default_readings_are_observed(box):
    """All rows show the contract's default; only faults are not observed."""
    found = observe(box)
    assert {name for name, reading in found.items() if reading.kind is not Kind.DEFAULT} == {"q14 faults"}
    assert {reading.row for reading in found.values()} == set(range(1, 18))
    assert all(reading.how for reading in found.values() if reading.kind is Kind.DEFAULT)


@pytest.mark.parametrize(("switch", "value"), FLIPS, ids=str)
def test_variant_is_observed(box, switch, value):
    """Exactly the variant that was switched on is observed; all other readings are unchanged."""
    box.behave(**{switch: value})
    found = observe(box)
    reading = found.pop(switch)
    assert (reading.kind, reading.value) == (Kind.VARIANT, value)
    assert {other.name for other in found.values() if other.kind not in {Kind.DEFAULT, Kind.NOT_OBSERVED}} == set()
    assert reading.supported is (switch not in CLIENT_REFUSES)
    assert reading.next_step if switch in CLIENT_REFUSES else True


def test_each_switch_is_observed_or_has_a_reason():
    """Only switches that belong to no row may have a reason instead."""
    rows = {switch.name: switch.row for switch in SWITCHES}
    assert {name for name, _ in FLIPS} | set(NOT_OBSERVED) == set(rows)
    assert all(rows[name] == 0 for name in NOT_OBSERVED)


def test_several_variants_are_observed_together(box):
    """A real ARM may differ in more than one row."""
    box.behave(q02_counts="absent", q17_upsert_response="created_200", q12_empty_list=404)
    found = observe(box)
    variants = {name: reading.value for name, reading in found.items() if reading.kind is Kind.VARIANT}
    assert variants == {"q02_counts": "absent", "q17_upsert_response": "created_200", "q12_empty_list": 404}


def test_all_failed_is_not_observed_when_failures_return_200(box):
    """A batch whose records all failed then returns 200, too."""
    box.behave(q03_failed_inside_200=True, q03_all_failed=206)
    found = observe(box)
    assert (found["q03_failed_inside_200"].value, found["q03_all_failed"].kind) == (True, Kind.NOT_OBSERVED)


@pytest.mark.parametrize(
    ("limit", "kind", "value"),
    [
        (50, Kind.UNLISTED, "2 to 99"),
        (250, Kind.UNLISTED, "101 to 999"),
        (3000, Kind.VARIANT, "1001 to 4999"),
        (6000, Kind.VARIANT, "more than 5000"),
    ],
)
def test_unlisted_batch_limit_is_bounded(box, limit, kind, value):
    """The reading has the bounds, and ``chunk_size=`` if the client's default does not fit."""
    box.behave(q16_max_records=limit)
    reading = observe(box)["q16_max_records"]
    assert (reading.kind, reading.value) == (kind, value)
    assert ("chunk_size=" in reading.next_step) is (limit < 500)


@pytest.mark.parametrize("reading", ["capped", "true"])
def test_total_is_observed_when_a_list_exceeds_the_cap(reading):
    """A list of more than 10,000 records needs no ``maximumcount``."""
    with ArmSandbox(ar_items=10_010, customers=10, switches={"q09_total": reading}) as box:
        readings = Readings()
        with Wire(target_of(box), box.advance) as wire:
            verify_real.observe(wire, readings, None, wait_for_expiry=0)
    assert readings["q09_total"].value == reading
    assert "cap 10000" in readings["q09_total"].how


# -- output and exit code ---------------------------------------------------------------------------------------------


def test_sandbox_option_observes_every_row(capsys):
    """``--sandbox`` prints what it will write and one line per question, and returns 0."""
    assert verify_real.main(["--sandbox"], {}) == 0
    out = capsys.readouterr().out
    assert out.index("This will be written") < out.index("how it was observed")
    assert "CANNOT BE DELETED" in out
    assert "0 variant, 0 not in the contract, 1 not observed" in out


def test_sandbox_option_accepts_switches(capsys):
    """The variant is printed as its switch, with the next step."""
    assert verify_real.main(["--sandbox", "--switches", "q12_empty_list=404"], {}) == 0
    out = capsys.readouterr().out
    assert "q12_empty_list=404" in out
    assert "set lists.empty_is_404 to true in the readings" in out


def test_unknown_status_returns_1_with_the_next_step(capsys):
    """The client needs another assumption for it."""
    assert verify_real.main(["--sandbox", "--switches", "q03_unknown_status=ARCHIVED"], {}) == 1
    assert "add ARCHIVED to batch.success_words in the readings" in capsys.readouterr().out


def test_unlisted_behaviour_returns_1(box, environ, capsys):
    """A submit that returns 207 is printed as not in the contract."""
    box.fault({"match": {"method": "POST", "path": "*/customers/batches"}, "do": "status", "status": 207, "times": 0})
    environ |= {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main(["--batch-timeout", "0"], environ) == 1
    assert "not in the contract: 207" in capsys.readouterr().out


def test_missing_variables_return_2_with_one_line_each(capsys):
    """No request is sent."""
    assert verify_real.main([], {"ARM_REAL_CLIENT_NO": "x"}) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("verify-real: ARM_REAL_") for line in lines)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ARM_REAL_WRITE": "yes"}, "ARM_REAL_TEST_PREFIX must be set"),
        ({"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "a/b"}, "ARM_REAL_TEST_PREFIX must be set"),
        ({"ARM_REAL_WRITE": "true"}, "ARM_REAL_WRITE must be yes"),
        (
            {
                "ARM_REAL_BASE_URL": "https://api.amili.no/arm/v1",
                "ARM_REAL_WRITE": "documents",
                "ARM_REAL_TEST_PREFIX": "T-9",
            },
            "refused for api.amili.no",
        ),
    ],
)
def test_invalid_write_permission_returns_2_before_any_request(box, environ, capsys, changes, message):
    """ARM_REAL_WRITE and the prefix are checked first."""
    assert verify_real.main([], environ | changes) == 2
    assert message in capsys.readouterr().err
    assert box.requests() == []


def test_switches_return_2_without_a_sandbox_or_when_unknown(environ, capsys):
    """A real ARM has no switches."""
    assert verify_real.main(["--switches", "q12_empty_list=404"], environ) == 2
    assert verify_real.main(["--sandbox", "--switches", "q99=1"], {}) == 2
    assert "q99" in capsys.readouterr().err


def test_wrong_credentials_return_2(environ, capsys):
    """The secret is not printed."""
    assert verify_real.main([], environ | {"ARM_REAL_CLIENT_SECRET": "not-the-secret"}) == 2
    captured = capsys.readouterr()
    assert "client secret" in captured.err
    assert "not-the-secret" not in captured.out + captured.err


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>",
        b'{"summary": [], "customers": {}}',
        b'{"summary": {"totalPages": "3", "totalCount": "x", "nextPage": 7, "maximumCount": null}, "rows": [1, null]}',
        b'{"summary": {"totalPages": 3, "totalCount": 30, "nextPage": "//x", "queryId": {}}, "a": [], "b": [[]]}',
        b'{"status": [], "totalCount": {}, "customers": [{"status": 1, "errors": "x"}], "message": 5}',
        b'{"status": "PROCESSED", "customers": [{"status": "FAILED", "errors": [1]}, {"status": "PROCESSED"}]}',
    ],
)
def test_unexpected_bodies_return_1_and_customers_are_deleted(box, environ, capsys, monkeypatch, body):
    """The table is printed, whatever the structure of a response to a GET."""
    send = verify_real_wire._send

    def send_changed(session, method, *args, **kwargs):
        response = send(session, method, *args, **kwargs)
        if method != "GET" or response.status >= 300:
            return response
        return verify_real_wire.RawResponse(200, response.headers, body)

    monkeypatch.setattr(verify_real_wire, "_send", send_changed)
    before = box.totals()["customers"]
    environ |= {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main(["--batch-timeout", "0"], environ) == 1
    assert "how it was observed" in capsys.readouterr().out
    assert box.totals()["customers"] == before


# -- writes -----------------------------------------------------------------------------------------------------------


def test_only_reads_without_write_permission(box, environ, capsys):
    """Only GETs and the token call are sent; the other rows are printed as not observed."""
    assert verify_real.main([], environ) == 0
    calls = {(request["method"], request["template"]) for request in box.requests() if request["method"] != "GET"}
    assert calls == {("POST", "/identity/token")}
    out = capsys.readouterr().out
    assert "Reads only" in out
    assert "not observed: needs ARM_REAL_WRITE=yes" in out
    assert "not observed: needs ARM_REAL_WRITE=documents" in out


def test_no_customer_remains_with_permission_for_customers(box, environ, capsys):
    """Only customers under the prefix are written, and no document."""
    before = box.totals()
    environ |= {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main([], environ) == 0
    assert box.totals()["customers"] == before["customers"]
    ledger = box.ledger()
    assert ledger["customers"]
    assert all(number.startswith("T-9") for number in ledger["customers"])
    assert ledger["documents"] == {}
    assert "Not deleted" not in capsys.readouterr().out


def test_one_customer_remains_with_permission_for_documents(box, environ, capsys):
    """ARM keeps a customer with a document; its number is printed."""
    before = box.totals()
    environ |= {"ARM_REAL_WRITE": "documents", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main([], environ) == 0
    (document,) = box.ledger()["documents"].values()
    assert document["effects"] == 1
    assert box.totals()["customers"] == before["customers"] + 1
    assert "Not deleted: T-9" in capsys.readouterr().out


def test_number_in_use_prevents_all_writes(box, environ, capsys, monkeypatch):
    """All numbers are checked before the first write."""
    monkeypatch.setattr("verify_real_wire.secrets.randbelow", lambda _: 7)
    with Wire(target_of(box)) as wire:
        wire.client.upsert_customer({"customerNo": "T-900000703", "name": "Existing"})
    environ |= {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main([], environ) == 2
    assert "use another prefix" in capsys.readouterr().err
    assert len(box.ledger()["customers"]) == 1


def test_customers_are_deleted_after_all_batches_have_finished(box):
    """A pending batch could create a deleted customer again."""
    observe(box)
    calls = [(request["method"], request["path"], request["status"]) for request in box.requests()]
    submits = [call for call in calls if call[1].endswith("/batches") and call[2] == 202]
    polls = [number for number, call in enumerate(calls) if "/batches/" in call[1]]
    deletes = [number for number, call in enumerate(calls) if call[0] == "DELETE"]
    finished = {calls[number][1] for number in polls if calls[number][2] != 202}
    assert len(finished) == len(submits)
    assert max(polls) < min(deletes)


def test_customers_are_deleted_when_the_connection_is_lost(box, environ, capsys):
    """The readings so far are printed and the exit code is 2."""
    before = box.totals()
    box.fault({"match": {"method": "PUT", "path": "*/customers/batches"}, "do": "reset"})
    environ |= {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main([], environ) == 2
    captured = capsys.readouterr()
    assert "not completed" in captured.err
    assert "by_effect" in captured.out
    assert box.totals()["customers"] == before["customers"]


def test_no_secret_and_no_personal_data_is_printed(box, environ, capsys):
    """Customers that the script did not create are not printed either."""
    environ |= {"ARM_REAL_WRITE": "documents", "ARM_REAL_TEST_PREFIX": "T-9"}
    with Wire(target_of(box)) as wire:
        people = list(wire.client.list_customers().items())
        verify_real.main([], environ)
        captured = capsys.readouterr()
        out = captured.out + captured.err
        assert people
        for person in people:
            assert person.name not in out
            assert person.customer_no not in out
        assert wire.token not in out
        assert box.client_secret not in out
        assert "eyJ" not in out
