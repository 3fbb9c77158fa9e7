"""The observation of ``make verify-real``, checked against sandboxes whose readings are known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sandbox.state.switches import SWITCHES
from tests.contract.observer import wire as wire_module
from tests.contract.observer.findings import SWITCH_ENTRIES, Findings, Kind, next_steps, table
from tests.contract.observer.run import observe
from tests.contract.observer.target import Numbers, Target, VariablesError, read_target, target_of
from tests.contract.observer.wire import RawResponse, Wire, WireError
from tests.contract.observer.writes import Writes
from tests.contract.played_profiles import PLAYED
from tests.readings.profiles import is_success, run_round

#: Seconds on the sandbox's clock.
DELAY = 3
#: Switches that are not observed, and why.
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
#: Values of entries that switches set, where they differ from the value of the switch: the only list needs no key, of
#: the grace period twice what was seen is written, and 404 is among the default codes.
ENTRY_VALUES: dict[str, Any] = {
    "q02_records_key": None,
    "q03_unknown_status": ["ARCHIVED"],
    "q04_grace_seconds": 60.0,
    "q11_expired_status": [404, 410],
    "q12_empty_list": True,
}
#: What a switch changes beside its own reading.
SIDE_EFFECTS = {
    "q03_unknown_status": "q03_failed_inside_200",
    "q04_grace_polls": "batch.not_found_grace",
    "q08_plural_key": "lists.record_keys.",
}
#: Switches whose variants the contract lists and the client can only refuse.
CLIENT_REFUSES = {"q01_no_uuid", "q03_reject_batches"}
FLIPS = [
    (switch.name, value)
    for switch in SWITCHES
    if switch.name not in NOT_OBSERVED
    for value in (switch.allowed if isinstance(switch.allowed, tuple) else VALUES.get(switch.name, ["add values"]))
    if value != switch.default
]
#: Switches that reads show.
READ_SWITCHES = {each.name for each in SWITCHES if each.row in range(6, 15) and each.name != "q11_live_query"}
VARIABLES = {"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "T-9"}


@pytest.fixture(scope="module")
def running():
    """Yield one server for the tests of this module."""
    with ArmSandbox(seed=7, ar_items=60, customers=10, switches={"batch_delay": DELAY}) as box:
        yield box


@pytest.fixture
def box(running):
    """Return the server after a reset, with a stopped clock."""
    running.reset()
    running.set_time(running.now())
    return running


def environ_of(box: ArmSandbox, **more: str) -> dict[str, str]:
    """Return the variables that name a sandbox as the real ARM."""
    return {
        "ARM_REAL_BASE_URL": box.base_url,
        "ARM_REAL_AUTH_URL": box.auth_url,
        "ARM_REAL_CLIENT_ID": box.client_id,
        "ARM_REAL_CLIENT_SECRET": box.client_secret,
        "ARM_REAL_CLIENT_NO": str(box.client_no),
        **more,
    }


def findings_of(
    box: ArmSandbox, target: Target | None = None, base: Readings = DEFAULT_READINGS, timeout: float = 60
) -> Findings:
    """Observe a sandbox."""
    target = target or target_of(box)
    findings = Findings(base)
    with Wire(target, box.advance, base) as wire:
        writes = Writes(wire, findings, Numbers(target.prefix), timeout) if target.write else None
        observe(wire, findings, writes, wait_for_expiry=660)
    return findings


def variants(findings: Findings) -> dict[str, Any]:
    """Return what differs from the default, by name."""
    return {each.name: each.value for each in findings if each.kind not in {Kind.DEFAULT, Kind.NOT_OBSERVED}}


# -- profiles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAYED)
def test_observed_profile_makes_a_round_succeed(name):
    """What is observed of a sandbox that plays a profile is enough for a whole round with it."""
    played = PLAYED[name]
    with ArmSandbox(seed=7, ar_items=60, customers=10, batch_delay=DELAY, readings=played) as box:
        box.set_time(box.now())
        findings = findings_of(box, target_of(box, Readings.parse(played).calls.token_scope))
    assert [each for each in findings if not each.supported] == []
    with (
        ArmSandbox(ar_items=60, customers=10, batch_delay=0, readings=played) as box,
        tempfile.TemporaryDirectory() as folder,
    ):
        box.behave(q04_grace_seconds=0)  # the round polls a batch at once
        result = run_round(box, Readings.parse(findings.profile()), Path(folder))
    assert is_success(result)


def test_at_least_twenty_profiles_are_played():
    """The observation is tried against that many."""
    assert len(PLAYED) >= 20


def test_entries_that_are_not_seen_are_listed_and_left_at_the_starting_profile(box):
    """Without writes nothing about writes and batches is known; the starting profile stays."""
    base = Readings.parse({"batch": {"success_words": ["DONE"]}})
    findings = findings_of(box, read_target(environ_of(box)), base)
    names = {each.name for each in findings.not_observed()}
    assert {"batch.success_words", "write.success_words", "record_keys.upsert_customer"} <= names
    assert "lists.max_page_size" not in names
    assert Readings.parse(findings.profile()).changes() == base.changes()


def test_filter_with_an_unlikely_name_is_found_in_the_starting_profile():
    """Its name is listed as not observed; with the name in the starting profile it is observed."""
    names = {"filters": {"windows": {"duedate": {"first": "forfallfra", "last": "forfalltil"}}}}
    with ArmSandbox(seed=7, ar_items=60, batch_delay=DELAY, readings=names) as box:
        target = read_target(environ_of(box))
        without = findings_of(box, target)
        found = findings_of(box, target, Readings.parse(names))
    assert without["filters.windows.duedate"].kind is Kind.NOT_OBSERVED
    assert found["filters.windows.duedate"].kind is Kind.VARIANT


# -- behaviour --------------------------------------------------------------------------------------------------------


def test_default_is_observed(box):
    """All rows show the default, and what is not observed has a reason."""
    findings = findings_of(box)
    assert variants(findings) == {}
    assert {each.row for each in findings} - {0} == set(range(1, 18))
    assert all(each.how for each in findings if each.kind is Kind.DEFAULT)
    assert all(each.value != "no observation" for each in findings)


@pytest.mark.parametrize(("switch", "value"), FLIPS, ids=str)
def test_variant_is_observed(box, switch, value):
    """Exactly the variant that was switched on is observed; all other readings are unchanged."""
    box.behave(**{switch: value})
    findings = findings_of(box, read_target(environ_of(box)) if switch in READ_SWITCHES else None)
    name = SWITCH_ENTRIES.get(switch, switch)
    found = findings[name]
    expected = ENTRY_VALUES.get(switch, value)
    assert found.value == expected
    others = set(variants(findings)) - {name}
    assert {other for other in others if not other.startswith(SIDE_EFFECTS.get(switch, "-"))} == set()
    assert found.supported is (switch not in CLIENT_REFUSES)
    assert found.next_step if switch in CLIENT_REFUSES else True


def test_each_switch_is_observed_or_has_a_reason():
    """Only switches that belong to no row may have a reason instead."""
    rows = {switch.name: switch.row for switch in SWITCHES}
    assert {name for name, _ in FLIPS} | set(NOT_OBSERVED) == set(rows)
    assert all(rows[name] == 0 for name in NOT_OBSERVED)


def test_all_failed_is_not_observed_when_failures_return_200(box):
    """A batch whose records all failed then returns 200, too."""
    box.behave(q03_failed_inside_200=True, q03_all_failed=206)
    findings = findings_of(box)
    assert (findings["q03_failed_inside_200"].value, findings["q03_all_failed"].kind) == (True, Kind.NOT_OBSERVED)


def test_limit_above_the_largest_batch_is_not_observed(box):
    """The entry stays at its default, and the reason says how many were accepted."""
    box.behave(q16_max_records=6000)
    found = findings_of(box)["batch.max_records"]
    assert (found.kind, "5001 accepted" in found.value) == (Kind.NOT_OBSERVED, True)


@pytest.mark.parametrize("reading", ["capped", "true"])
def test_total_is_observed_when_a_list_exceeds_the_cap(reading):
    """A list of more than 10,000 records needs no ``maximumcount``."""
    with ArmSandbox(ar_items=10_010, customers=10, switches={"q09_total": reading}) as box:
        findings = findings_of(box, read_target(environ_of(box)))
    assert findings["q09_total"].value == reading
    assert "cap 10000" in findings["q09_total"].how


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
def test_unexpected_bodies_are_findings_and_customers_are_deleted(box, monkeypatch, body):
    """Whatever the structure of a response to a GET, there is a table, and nothing is left."""
    send = wire_module._send

    def send_changed(session, method, *args, **kwargs):
        response = send(session, method, *args, **kwargs)
        if method != "GET" or response.status >= 300:
            return response
        return RawResponse(200, response.headers, body, response.readings)

    monkeypatch.setattr(wire_module, "_send", send_changed)
    before = box.totals()["customers"]
    findings = findings_of(box, read_target(environ_of(box, **VARIABLES)), timeout=0)
    assert "how it was observed" in table(findings)
    Readings.parse(findings.profile())
    assert box.totals()["customers"] == before


# -- writes -----------------------------------------------------------------------------------------------------------


def test_only_reads_without_write_permission(box):
    """Only GETs and the token call are sent; the other rows are not observed."""
    findings = findings_of(box, read_target(environ_of(box)))
    calls = {(request["method"], request["template"]) for request in box.requests() if request["method"] != "GET"}
    assert calls == {("POST", "/identity/token")}
    reasons = {each.value for each in findings if each.kind is Kind.NOT_OBSERVED}
    assert {"needs ARM_REAL_WRITE=yes", "needs ARM_REAL_WRITE=documents"} <= reasons


def test_no_customer_remains_with_permission_for_customers(box):
    """Only customers under the prefix are written, and no document."""
    before = box.totals()
    findings_of(box, read_target(environ_of(box, **VARIABLES)))
    assert box.totals()["customers"] == before["customers"]
    ledger = box.ledger()
    assert ledger["customers"]
    assert all(number.startswith("T-9") for number in ledger["customers"])
    assert ledger["documents"] == {}


def test_number_in_use_prevents_all_writes(box, monkeypatch):
    """All numbers are checked before the first write."""
    monkeypatch.setattr("tests.contract.observer.target.secrets.randbelow", lambda _: 7)
    target = read_target(environ_of(box, **VARIABLES))
    with Wire(target) as wire:
        wire.client.upsert_customer({"customerNo": "T-900000703", "name": "Existing"})
    with pytest.raises(WireError, match="use another prefix"):
        findings_of(box, target)
    assert len(box.ledger()["customers"]) == 1


def test_customers_are_deleted_after_all_batches_have_finished(box):
    """A pending batch could create a deleted customer again."""
    findings_of(box)
    calls = [(request["method"], request["path"], request["status"]) for request in box.requests()]
    submits = [call for call in calls if call[1].endswith("/batches") and call[2] == 202]
    polls = [number for number, call in enumerate(calls) if "/batches/" in call[1]]
    deletes = [number for number, call in enumerate(calls) if call[0] == "DELETE"]
    finished = {calls[number][1] for number in polls if calls[number][2] != 202}
    assert len(finished) == len(submits)
    assert min(deletes) > max(polls)


# -- the run of make verify-real --------------------------------------------------------------------------------------


def test_missing_variables_are_all_named():
    """One line for each."""
    with pytest.raises(VariablesError) as caught:
        read_target({"ARM_REAL_CLIENT_NO": "x"})
    assert len(caught.value.lines) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ARM_REAL_WRITE": "yes"}, "ARM_REAL_TEST_PREFIX must be set"),
        ({"ARM_REAL_WRITE": "yes", "ARM_REAL_TEST_PREFIX": "a/b"}, "ARM_REAL_TEST_PREFIX must be set"),
        ({"ARM_REAL_WRITE": "true"}, "ARM_REAL_WRITE must be yes"),
        (
            {"ARM_REAL_BASE_URL": "https://api.amili.no/arm/v1", **VARIABLES, "ARM_REAL_WRITE": "documents"},
            "refused for api.amili.no",
        ),
    ],
)
def test_invalid_write_permission_is_refused(box, changes, message):
    """ARM_REAL_WRITE and the prefix are checked before any request."""
    with pytest.raises(VariablesError, match=message):
        read_target(environ_of(box) | changes)


def test_wrong_credentials_name_what_to_check(box):
    """The secret is not in the message."""
    with pytest.raises(WireError, match="check auth URL, client ID and client secret") as caught:
        findings_of(box, read_target(environ_of(box, ARM_REAL_CLIENT_SECRET="not-the-secret")))
    assert "not-the-secret" not in str(caught.value)


def verify(tmp_path: Path, environ: dict[str, str], *options: str, tests: str = "tests/contract/test_round.py") -> Any:
    """Run pytest as ``make verify-real`` does."""
    root = Path(__file__).resolve().parents[2]
    file = tmp_path / "readings.observed.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    command += [f"--observe-readings={file}", *options]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ARM_REAL_", "COV_", "PYTEST_"))}
    return subprocess.run(
        command, cwd=root, env=clean | environ, capture_output=True, text=True, timeout=100, check=False
    )


def test_run_writes_a_profile_that_can_be_set_on_a_connection(tmp_path):
    """It prints the plan, the table and the difference to the default; the sandbox plays what was written."""
    played = tmp_path / "played.json"
    played.write_text(json.dumps({"batch": {"success_words": ["COMPLETED"]}}), encoding="utf-8")
    result = verify(tmp_path, {}, "--arm=sandbox", f"--play={played}")
    assert result.returncode == 0, result.stdout
    out = result.stdout
    assert out.index("This will be written") < out.index("CANNOT BE DELETED") < out.index("how it was observed")
    assert 'Difference to the default:\n  batch.success_words: ["COMPLETED"]\n' in out
    profile = json.loads((tmp_path / "readings.observed.json").read_text())
    assert "files.max_bytes" in profile["$comment"]["not_observed"]
    assert Readings.parse(profile).changes() == {"batch.success_words": ["COMPLETED"]}
    with ArmSandbox(readings=profile) as box:
        assert box.base_url


def test_run_prints_no_secret_and_no_personal_data(box, tmp_path):
    """Customers that the run did not create are not printed, even if a test fails on them."""
    box.behave(batch_delay=0)
    with Wire(target_of(box)) as wire:
        people = list(wire.client.list_customers().items())
    environ = environ_of(box, ARM_REAL_WRITE="documents", ARM_REAL_TEST_PREFIX="T-9")
    failing = "tests/contract/failing_on_purpose.py"
    result = verify(tmp_path, environ, "--arm=real", "-rA", "-o", "python_files=failing_on_purpose.py", tests=failing)
    out = result.stdout + result.stderr
    assert result.returncode == 1
    assert "AssertionError in line" in out
    assert "assert people == arm.wire.token" in out
    assert people
    for person in people:
        assert person.name not in out
        assert person.customer_no not in out
    assert box.client_secret not in out
    assert "eyJ" not in out


@pytest.mark.parametrize(
    ("environ", "options", "code", "message"),
    [
        ({}, ("--arm=real",), 2, "verify-real: ARM_REAL_BASE_URL is missing"),
        ({}, ("--arm=real", "--switches", "q12_empty_list=404"), 2, "need --arm=sandbox"),
        ({}, ("--arm=sandbox", "--switches", "q01_no_uuid=true"), 1, "To do:"),
    ],
    ids=["variables are missing", "switches of a real ARM", "not supported"],
)
def test_exit_code_of_a_run(tmp_path, environ, options, code, message):
    """2 if nothing was observed, 1 if the client does not support what was."""
    result = verify(tmp_path, environ, *options, "-k", "window")
    assert (result.returncode, message in result.stdout + result.stderr) == (code, True), result.stdout


def test_next_step_is_printed_for_what_the_client_refuses(box):
    """It names what to ask or to set."""
    box.behave(q01_no_uuid=True)
    assert "ask Amili where the batchUuid is (batch.uuid_key)" in next_steps(findings_of(box))
