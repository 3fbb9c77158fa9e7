"""The observer of ``make verify-real``, observed: the sandbox is the ARM of which we know what is true."""

from __future__ import annotations

from typing import Any

import pytest
import verify_real
import verify_real_wire
from verify_real_readings import Kind, Notes
from verify_real_wire import Numbers, Wire, target_of
from verify_real_writes import Writes

from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sandbox.state.switches import SWITCHES

#: Switches that no observer can tell, and why.
NOT_OBSERVED = {
    "strict": "belongs to no row: how strict ARM is shows in its own errors",
    "batch_delay": "belongs to no row: no time is promised",
    "pending_polls": "belongs to no row: a tool for tests",
    "token_life": "belongs to no row: the token says it itself",
    "query_life": "row 11 is observed by the status after the wait; how long a query lives is not searched for",
}

#: Values for the switches that take any.
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

#: Variants that the contract lists and the client can only refuse.
STOPS = {"q01_no_uuid", "q03_unknown_status", "q03_reject_batches"}

FLIPS = [
    (switch.name, value)
    for switch in SWITCHES
    if switch.name not in NOT_OBSERVED
    for value in (switch.allowed if isinstance(switch.allowed, tuple) else VALUES.get(switch.name, ["no value to try"]))
    if value != switch.default
]


@pytest.fixture(scope="module")
def running():
    """One server for the tests of this module."""
    with ArmSandbox(seed=7, ar_items=60, switches={"batch_delay": 20}) as box:
        yield box


@pytest.fixture
def box(running):
    """The server, as freshly started, with a clock that only moves when it is moved."""
    running.reset()
    running.set_time(running.now())
    return running


@pytest.fixture
def environ(box):
    """The variables that name the sandbox as the real ARM; its batches are finished at once, so that nobody waits."""
    box.behave(batch_delay=0)
    return {
        "ARM_REAL_BASE_URL": box.base_url,
        "ARM_REAL_AUTH_URL": box.auth_url,
        "ARM_REAL_CLIENT_ID": box.client_id,
        "ARM_REAL_CLIENT_SECRET": box.client_secret,
        "ARM_REAL_CLIENT_NO": str(box.client_no),
    }


def observed(box):
    """Let the observer look at everything; gives its readings by name."""
    notes, target = Notes(), target_of(box)
    with Wire(target, box.advance) as wire:
        writes = Writes(wire, notes, Numbers(target.prefix), patience=300)
        verify_real.observe(wire, notes, writes, wait_for_expiry=660)
    return {reading.name: reading for reading in notes}


# -- what it sees -----------------------------------------------------------------------------------------------------


def test_the_defaults_are_named(box):
    """Every row that can be observed shows the contract's default; only faults stay open."""
    found = observed(box)
    assert {name for name, reading in found.items() if reading.kind is not Kind.DEFAULT} == {"q14 faults"}
    assert {reading.row for reading in found.values()} == set(range(1, 18))
    assert all(reading.how for reading in found.values() if reading.kind is Kind.DEFAULT)


@pytest.mark.parametrize(("switch", "value"), FLIPS, ids=str)
def test_a_variant_is_named(box, switch, value):
    """With one switch flipped, exactly that variant is seen and nothing else departs from the default."""
    box.behave(**{switch: value})
    found = observed(box)
    reading = found.pop(switch)
    assert (reading.kind, reading.value) == (Kind.VARIANT, value)
    assert {other.name for other in found.values() if other.kind not in {Kind.DEFAULT, Kind.UNSEEN}} == set()
    assert reading.good is (switch not in STOPS)
    assert reading.step if switch in STOPS else True


def test_no_switch_is_forgotten():
    """A new switch is observed or has its reason; the reasons are for switches that exist and belong to no row."""
    rows = {switch.name: switch.row for switch in SWITCHES}
    assert {name for name, _ in FLIPS} | set(NOT_OBSERVED) == set(rows)
    assert all(rows[name] == 0 for name in NOT_OBSERVED)


def test_two_variants_at_once_are_both_named(box):
    """A real ARM may differ in more than one row."""
    box.behave(q02_counts="absent", q17_upsert_response="created_200", q12_empty_list=404)
    found = observed(box)
    variants = {name: reading.value for name, reading in found.items() if reading.kind is Kind.VARIANT}
    assert variants == {"q02_counts": "absent", "q17_upsert_response": "created_200", "q12_empty_list": 404}


def test_failures_inside_200_are_told_from_a_batch_of_failures_alone(box):
    """A batch of which every record failed may answer 200 too."""
    box.behave(q03_failed_inside_200=True, q03_all_failed=206)
    found = observed(box)
    assert (found["q03_failed_inside_200"].value, found["q03_all_failed"].kind) == (True, Kind.UNSEEN)


@pytest.mark.parametrize(
    ("limit", "kind", "value"),
    [
        (50, Kind.UNLISTED, "2 to 99"),
        (250, Kind.UNLISTED, "101 to 999"),
        (3000, Kind.VARIANT, "1001 to 4999"),
        (6000, Kind.VARIANT, "more than 5000"),
    ],
)
def test_a_limit_that_no_row_names_is_bounded(box, limit, kind, value):
    """The bounds are given; where the client's usual chunk does not fit, so is the argument to set."""
    box.behave(q16_max_records=limit)
    reading = observed(box)["q16_max_records"]
    assert (reading.kind, reading.value) == (kind, value)
    assert ("chunk_size=" in reading.step) is (limit < 500)


@pytest.mark.parametrize("reading", ["capped", "true"])
def test_a_list_beyond_the_cap_shows_its_total(reading):
    """With more than 10,000 records no ``maximumcount`` is needed to see what ``totalCount`` says."""
    with ArmSandbox(ar_items=10_010, customers=10, switches={"q09_total": reading}) as box:
        notes = Notes()
        with Wire(target_of(box), box.advance) as wire:
            verify_real.observe(wire, notes, None, wait_for_expiry=0)
    assert notes["q09_total"].value == reading
    assert "cap 10000" in notes["q09_total"].how


# -- what it says -----------------------------------------------------------------------------------------------------


def test_its_own_sandbox_shows_every_row(capsys):
    """``--sandbox`` says what it will write, prints a line for every question, and ends with 0."""
    assert verify_real.main(["--sandbox"], {}) == 0
    out = capsys.readouterr().out
    assert out.index("This will be written") < out.index("how it was observed")
    assert "NEVER TO BE DELETED" in out
    assert "0 variant, 0 not in the contract, 1 not observed" in out


def test_its_own_sandbox_takes_switches(capsys):
    """The variant is printed as the switch that makes it, with what to do about it."""
    assert verify_real.main(["--sandbox", "--switches", "q12_empty_list=404"], {}) == 0
    out = capsys.readouterr().out
    assert "q12_empty_list=404" in out
    assert "Assumptions(empty_list_is_404=True)" in out


def test_an_unknown_word_is_a_1_with_the_next_step(capsys):
    """The client cannot work with it until its assumption is overridden."""
    assert verify_real.main(["--sandbox", "--switches", "q03_unknown_status=ARCHIVED"], {}) == 1
    assert "Assumptions(success_statuses=... with ARCHIVED)" in capsys.readouterr().out


def test_what_the_contract_does_not_list_is_a_1(box, environ, capsys):
    """A submit that answers 207 is named as such."""
    box.fault({"match": {"method": "POST", "path": "*/customers/batches"}, "do": "status", "status": 207, "times": 0})
    environ |= {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main(["--patience", "0"], environ) == 1
    assert "not in the contract: 207" in capsys.readouterr().out


def test_missing_variables_are_a_2_with_a_line_each(capsys):
    """Nothing is called."""
    assert verify_real.main([], {"ARM_REAL_CLIENT_NO": "x"}) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("verify-real: ARM_REAL_") for line in lines)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ARM_REAL_WRITE": "yes"}, "ARM_REAL_TEST_PREFIX must be given"),
        ({"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "a/b"}, "ARM_REAL_TEST_PREFIX must be given"),
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
def test_what_may_be_written_is_checked_first(box, environ, capsys, changes, says):
    """A wrong permission is a 2, and nothing is called."""
    assert verify_real.main([], environ | changes) == 2
    assert says in capsys.readouterr().err
    assert box.requests() == []


def test_switches_need_a_sandbox(environ, capsys):
    """The real ARM has none; and a switch that does not exist is a 2 as well."""
    assert verify_real.main(["--switches", "q12_empty_list=404"], environ) == 2
    assert verify_real.main(["--sandbox", "--switches", "q99=1"], {}) == 2
    assert "q99" in capsys.readouterr().err


def test_wrong_credentials_are_a_2(environ, capsys):
    """And the secret is not shown."""
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
def test_answers_of_any_shape_are_survived(box, environ, capsys, monkeypatch, body):
    """Whatever a read brings: a table is printed, the customers are cleaned up, and it is never a clean bill."""
    send = verify_real_wire._send

    def strange(session, method, *more, **others):
        seen = send(session, method, *more, **others)
        return verify_real_wire.Seen(200, seen.headers, body) if method == "GET" and seen.status < 300 else seen

    monkeypatch.setattr(verify_real_wire, "_send", strange)
    before = box.totals()["customers"]
    environ |= {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main(["--patience", "0"], environ) == 1
    assert "how it was observed" in capsys.readouterr().out
    assert box.totals()["customers"] == before


# -- what it does to ARM ----------------------------------------------------------------------------------------------


def test_without_permission_it_only_reads(box, environ, capsys):
    """Nothing but GETs and the token call; the rows that need writes say so."""
    assert verify_real.main([], environ) == 0
    calls = {(request["method"], request["template"]) for request in box.requests() if request["method"] != "GET"}
    assert calls == {("POST", "/identity/token")}
    out = capsys.readouterr().out
    assert "Reads only" in out
    assert "not observed: needs ARM_REAL_WRITE=yes" in out
    assert "not observed: needs ARM_REAL_WRITE=documents" in out


def test_with_permission_for_customers_nothing_stays(box, environ, capsys):
    """Only customers under the prefix are touched, all of them are gone afterwards, and no document was posted."""
    before = box.totals()
    environ |= {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main([], environ) == 0
    assert box.totals()["customers"] == before["customers"]
    ledger = box.ledger()
    assert ledger["customers"]
    assert all(number.startswith("T-9") for number in ledger["customers"])
    assert ledger["documents"] == {}
    assert "Not deleted" not in capsys.readouterr().out


def test_with_permission_for_documents_one_customer_stays(box, environ, capsys):
    """ARM keeps a customer with a document: it is named."""
    before = box.totals()
    environ |= {"ARM_REAL_WRITE": "documents", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main([], environ) == 0
    (document,) = box.ledger()["documents"].values()
    assert document["effects"] == 1
    assert box.totals()["customers"] == before["customers"] + 1
    assert "Not deleted: T-9" in capsys.readouterr().out


def test_a_number_in_use_is_left_alone(box, environ, capsys, monkeypatch):
    """Before anything is written, every number must be free."""
    monkeypatch.setattr("verify_real_wire.secrets.randbelow", lambda _: 7)
    with Wire(target_of(box)) as wire:
        wire.client.upsert_customer({"customerNo": "T-900000703", "name": "Somebody"})
    environ |= {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main([], environ) == 2
    assert "take another prefix" in capsys.readouterr().err
    assert len(box.ledger()["customers"]) == 1


def test_customers_are_deleted_after_the_last_batch(box):
    """A batch that is still in work could bring a deleted customer back, so every one is looked at until its end."""
    observed(box)
    calls = [(request["method"], request["path"], request["status"]) for request in box.requests()]
    submits = [call for call in calls if call[1].endswith("/batches") and call[2] == 202]
    looks = [number for number, call in enumerate(calls) if "/batches/" in call[1]]
    deletes = [number for number, call in enumerate(calls) if call[0] == "DELETE"]
    finished = {calls[number][1] for number in looks if calls[number][2] != 202}
    assert len(finished) == len(submits)
    assert max(looks) < min(deletes)


def test_a_lost_connection_half_way_still_cleans_up(box, environ, capsys):
    """What was seen so far is printed, the customers are deleted, and the exit code is 2."""
    before = box.totals()
    box.fault({"match": {"method": "PUT", "path": "*/customers/batches"}, "do": "reset"})
    environ |= {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}
    assert verify_real.main([], environ) == 2
    captured = capsys.readouterr()
    assert "stopped half-way" in captured.err
    assert "by_effect" in captured.out
    assert box.totals()["customers"] == before["customers"]


def test_no_secret_and_nobody_is_printed(box, environ, capsys):
    """Neither the secret, nor a token, nor the name or number of a customer that is not the observer's own."""
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
