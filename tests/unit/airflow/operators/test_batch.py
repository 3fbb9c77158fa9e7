"""``BatchSubmitOperator`` against the sandbox."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred

from airflow_provider_arm.client import ArmClient
from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.exceptions import ArmBatchFailedException, ArmFailException, ArmTransientException
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.sensors.batch import BatchSensor
from tests.unit.airflow.invoices import documents, effects

POSTS = {"method": "POST", "path": "*/batches"}


def customers(count, first=80001):
    """Return this many customers."""
    return [{"customerNo": str(first + n), "name": f"Canary {n}"} for n in range(count)]


def submit(**arguments):
    """Return the operator; its resource is customers by default."""
    arguments.setdefault("resource", "customers")
    return BatchSubmitOperator(task_id="submit", poll_interval=0.01, **arguments)


def sent(box):
    """Return the batch submissions that the sandbox has received."""
    return [call for call in box.requests() if call["method"] in ("POST", "PUT") and "batches" in call["path"]]


def test_records_are_sent_in_chunks_and_take_effect_once(arm_sandbox, arm_connection, first_try):
    """Each chunk has chunk_size records."""
    result = submit(records=customers(25), chunk_size=10, wait_for_completion=True).execute(first_try)
    assert (len(result["batch_uuids"]), result["submitted"], result["accepted"], result["rejected"]) == (3, 25, 25, 0)
    assert effects(arm_sandbox, "customers") == {str(80001 + n): 1 for n in range(25)}


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv"])
def test_source_in_each_format(arm_sandbox, arm_connection, first_try, tmp_path, ending):
    """JSON lines, JSON and CSV have the same customers."""
    rows = customers(3)
    text = {
        "jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "json": json.dumps({"customers": rows}),
        "csv": "customerNo,name\n" + "".join(f"{row['customerNo']},{row['name']}\n" for row in rows),
    }[ending]
    (tmp_path / f"in.{ending}").write_text(text, encoding="utf-8")
    result = submit(source=f"file://{tmp_path}/in.{ending}", wait_for_completion=True).execute(first_try)
    assert (result["submitted"], result["accepted"]) == (3, 3)
    assert effects(arm_sandbox, "customers") == {row["customerNo"]: 1 for row in rows}


def test_update_is_sent_as_put(arm_sandbox, arm_connection, first_try):
    """Only customers can be updated."""
    submit(records=[{"customerNo": "543210", "informalName": "Oa"}], action="update").execute(first_try)
    assert [call["method"] for call in sent(arm_sandbox)] == ["PUT"]


def test_rejects_fail_the_task_by_default(arm_sandbox, arm_connection, first_try, tmp_path):
    """The other records take effect, and the rejects file has row, reason and record."""
    rows = [*customers(4), {"customerNo": "80099", "name": "Canary X", "organizationNo": "312345678"}]
    path = tmp_path / "out" / "rejects.jsonl"
    with pytest.raises(ArmBatchFailedException, match="4 of 5 customers accepted, 1 rejected") as caught:
        submit(records=rows, wait_for_completion=True, rejects_path=f"file://{path}").execute(first_try)
    (reject,) = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert (reject["_row"], reject["customerNo"], reject["name"]) == (5, "80099", "Canary X")
    assert "OrganizationNo" in reject["_reasons"][0]
    assert "312345678" not in " ".join(reject["_reasons"])
    assert "Canary" not in str(caught.value)
    assert sum(effects(arm_sandbox, "customers").values()) == 4


@pytest.mark.parametrize(
    ("policy", "passes"),
    [
        ({"on_rejected": "warn"}, True),
        ({"max_rejected": 1}, True),
        ({"max_rejected": "20%"}, True),
        ({"max_rejected": "19%"}, False),
        ({"max_rejected": 0}, False),
    ],
)
def test_reject_policy_decides_task_outcome(arm_sandbox, arm_connection, first_try, policy, passes):
    """For one reject of five records."""
    rows = [*customers(4), {"customerNo": "80099", "name": "X", "organizationNo": "312345678"}]
    operator = submit(records=rows, wait_for_completion=True, **policy)
    if passes:
        assert operator.execute(first_try)["rejected"] == 1
    else:
        with pytest.raises(ArmBatchFailedException):
            operator.execute(first_try)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_warnings_are_counted_logged_by_field_and_written_with_their_text(
    arm_sandbox, arm_connection, first_try, tmp_path, caplog, suffix
):
    """The log has row, key and field, and nothing that ARM quotes."""
    caplog.set_level(logging.INFO)
    source, path = tmp_path / "in.jsonl", tmp_path / f"warnings.{suffix}"
    rows = [{**row, "emailAddressDocument": ["canary @example.no"]} for row in customers(3)]
    del rows[0]["emailAddressDocument"]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    arguments = {"records": None, "source": str(source), "chunk_size": 2, "wait_for_completion": True}
    result = submit(**arguments, warnings_path=str(path)).execute(first_try)
    assert (result["accepted"], result["warnings"], result["warnings_uri"]) == (3, 2, str(path))
    assert result["summary"] == (f"3 of 3 customers accepted, 0 rejected: success; 2 records with warnings ({path})")
    key = rows[2]["customerNo"]
    assert f"Row 3, {key}: warning about emailAddressDocument" in caplog.text
    assert "canary" not in caplog.text
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == (3 if suffix == "csv" else 2)
    assert all(word in lines[-1] for word in ("3", key, "emailAddressDocument", result["batch_uuids"][1]))


def test_batch_rejected_as_a_whole_fails_the_task(arm_sandbox, arm_connection, first_try):
    """ARM answers 406."""
    arm_sandbox.behave(q03_reject_batches=True)
    with pytest.raises(ArmBatchFailedException, match=r"accepted, 3 rejected .*; ARM: rejected as a whole"):
        submit(records=customers(3), wait_for_completion=True).execute(first_try)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"customerNo;name\r\n"),
        ("a.csv", b""),
        ("a.jsonl", b""),
        ("a.jsonl", b"\n"),
        ("a.json", b"[]"),
        ("a.json", b'{"customers": []}'),
        ("a.json", b""),
        ("a.parquet", b""),
        (None, b""),
    ],
)
@pytest.mark.parametrize("arguments", [{}, {"wait_for_completion": True}, {"plan_only": True}])
def test_source_without_records_fails_skips_or_succeeds(
    arm_sandbox, arm_connection, make_context, store, tmp_path, name, content, arguments
):
    """As ``on_empty`` requires; nothing is sent, and a sensor does not wait."""
    if name:
        (tmp_path / name).write_bytes(content)
    source: dict[str, Any] = {"records": None, "source": str(tmp_path / name)} if name else {"records": []}
    with pytest.raises(ArmFailException, match="has no records, so there is nothing to submit"):
        submit(**source, **arguments).execute(make_context(store))
    with pytest.raises(AirflowSkipException, match="no customers to send"):
        submit(**source, **arguments, on_empty="skip").execute(make_context(store))
    result = submit(**source, **arguments, on_empty="succeed").execute(make_context(store))
    assert sent(arm_sandbox) == []
    if "plan_only" in arguments:
        assert (result["chunks"], result["records"]) == (0, 0)
        return
    assert (result["batch_uuids"], result["submitted"], result["accepted"], result["rejected"]) == ([], 0, 0, 0)
    assert result["summary"] == "no customers to submit: success; on_empty: succeed"
    assert BatchSensor(task_id="w", batch_uuid=result).execute(make_context(store))["accepted"] == 0


@pytest.mark.parametrize("on_empty", ["skip", "succeed"])
def test_source_that_became_empty_or_is_missing_fails(
    arm_sandbox, arm_connection, store, make_context, tmp_path, on_empty
):
    """Otherwise a retry would report success and forget its batches."""
    source = tmp_path / "in.jsonl"
    operator = submit(records=None, source=str(source), on_empty=on_empty)
    with pytest.raises(ArmFailException, match="file not found"):
        operator.execute(make_context(store))
    source.write_text(json.dumps(customers(1)[0]), encoding="utf-8")
    operator.execute(make_context(store))
    source.write_bytes(b"")
    with pytest.raises(ArmFailException, match="an earlier try of this task has planned or sent some"):
        operator.execute(make_context(store, try_number=2, max_tries=1))


def test_retry_returns_the_same_batches_and_sends_nothing(arm_sandbox, arm_connection, store, make_context):
    """The journal has the batchUuids of the first try."""
    operator = submit(resource="documents", records=documents(20), chunk_size=10)
    first = operator.execute(make_context(store, try_number=1, max_tries=2))
    second = operator.execute(make_context(store, try_number=2, max_tries=2))
    assert second == first
    assert len(sent(arm_sandbox)) == 2


def test_batch_uuids_are_in_xcom_when_the_task_fails(arm_sandbox, arm_connection, first_try):
    """They are pushed before the wait."""
    arm_sandbox.behave(q03_reject_batches=True)
    with pytest.raises(ArmBatchFailedException):
        submit(records=customers(3), wait_for_completion=True).execute(first_try)
    assert len(first_try["ti"].xcoms["batch_uuids"]) == 1


@pytest.mark.parametrize("kind", ["close", "reset", "half_header", "half_body", "html", "empty", "status"])
def test_documents_with_a_lost_response_are_not_sent_again(arm_sandbox, arm_connection, store, make_context, kind):
    """Tries fail until a lookup finds the documents, however the response was lost."""
    arm_sandbox.behave(batch_delay=50)
    arm_sandbox.fault({"match": POSTS, "do": kind, "when": "after_accept", "nth": 2})
    operator = submit(resource="documents", records=documents(30), chunk_size=10, wait_for_completion=True)
    operator.poll_interval = 0.01
    for number in (1, 2):
        context = make_context(store, try_number=number, max_tries=2)
        with pytest.raises(
            ArmTransientException, match=r"chunk 2 .rows 11 to 20., documentNo 50011, .* may or may not"
        ):
            operator.execute(context)
        (unresolved,) = context["ti"].xcoms["unresolved_chunks"]
        assert unresolved["records"] == "documentNo 50011, 50012, 50013, 50014, 50015 and 5 more"
    arm_sandbox.advance(60)
    result = operator.execute(make_context(store, try_number=3, max_tries=2))
    assert result["recovered"] == [{"chunk": 2, "records": 10, "missing": []}]
    assert (result["submitted"], result["accepted"], len(result["batch_uuids"])) == (30, 30, 2)
    assert len(sent(arm_sandbox)) == 3
    assert effects(arm_sandbox, "documents") == {str(50001 + n): 1 for n in range(30)}


def test_rejects_of_a_recovered_chunk_are_in_the_rejects_file(
    arm_sandbox, arm_connection, store, make_context, tmp_path
):
    """Documents that ARM does not have count as rejects after assume_absent_after."""
    arm_sandbox.behave(batch_delay=50)
    arm_sandbox.fault({"match": POSTS, "do": "close", "when": "after_accept", "nth": 2})
    records = documents(6)
    records[3]["customerNo"] = "999999999"
    rejects = tmp_path / "rejects.jsonl"
    operator = submit(
        resource="documents", records=records, chunk_size=2, wait_for_completion=True,
        rejects_path=str(rejects), max_rejected=1, assume_absent_after=0,
    )  # fmt: skip
    with pytest.raises(ArmTransientException, match="chunk 2"):
        operator.execute(make_context(store, try_number=1, max_tries=2))
    arm_sandbox.advance(60)
    arm_sandbox.behave(batch_delay=0)
    result = operator.execute(make_context(store, try_number=2, max_tries=2))
    assert (result["accepted"], result["rejected"], result["recovered"]) == (
        5,
        1,
        [{"chunk": 2, "records": 2, "missing": [2]}],
    )
    (line,) = map(json.loads, rejects.read_text(encoding="utf-8").splitlines())
    assert (line["_row"], line["_batch_uuid"], line["documentNo"]) == (4, None, records[3]["documentNo"])
    assert "the response with the reason is lost" in line["_reasons"][0]
    sensor = BatchSensor(task_id="wait", batch_uuid=result, max_rejected=1)
    result = sensor.execute(make_context(store))
    assert (result["submitted"], result["accepted"], result["rejected"]) == (6, 5, 1)


@pytest.mark.parametrize(("verdict", "posts"), [("accepted", 2), ("absent", 3)])
def test_resolution_decides_an_unresolved_chunk(arm_sandbox, arm_connection, store, make_context, verdict, posts):
    """An accepted chunk is polled, an absent one is sent; the journal keeps the resolution."""
    arm_sandbox.behave(batch_delay=50)
    when = "after_accept" if verdict == "accepted" else "before_accept"
    arm_sandbox.fault({"match": POSTS, "do": "close", "when": when, "nth": 2})
    operator = submit(resource="documents", records=documents(4), chunk_size=2)
    context = make_context(store, try_number=1, max_tries=0)
    with pytest.raises(ArmTransientException, match="chunk 2") as caught:
        operator.execute(context)
    (unresolved,) = context["ti"].xcoms["unresolved_chunks"]
    assert unresolved["chunk_id"] in str(caught.value)
    resolution = {"chunk_id": unresolved["chunk_id"], "verdict": verdict, "by": "Controller", "why": "checked in ARM"}
    operator.resolutions = [resolution, {**resolution, "chunk_id": "of another task"}]
    result = operator.execute(make_context(store, try_number=2, max_tries=1))
    assert len(sent(arm_sandbox)) == posts
    assert [chunk["chunk"] for chunk in result["recovered"]] == ([2] if verdict == "accepted" else [])
    entry = json.loads(store.values["arm.chunk.1"])
    (stored,) = entry["resolutions"]
    assert stored.items() >= resolution.items()
    assert stored["at"] > 1_700_000_000
    arm_sandbox.advance(60)
    # The resolution is in the journal already, so it changes nothing now.
    assert operator.execute(make_context(store, try_number=3, max_tries=1))["submitted"] == 4
    assert len(sent(arm_sandbox)) == posts


@pytest.mark.parametrize(
    ("resolutions", "words"),
    [
        ("no json", "resolutions is text but not JSON"),
        ([{"chunk_id": "x"}], "verdict"),
        ([{"chunk_id": "x", "verdict": "maybe", "by": "a", "why": "b"}], "verdict"),
        ([7], "each of resolutions"),
    ],
)
def test_invalid_resolution_fails_before_anything_is_sent(arm_sandbox, arm_connection, first_try, resolutions, words):
    """The message names the argument."""
    with pytest.raises((ArmFailException, ArmConfigurationError), match=words):
        submit(resource="documents", records=documents(1), resolutions=resolutions).execute(first_try)
    assert sent(arm_sandbox) == []


def test_resend_sends_only_the_unknown_chunk_again(arm_sandbox, arm_connection, store, make_context):
    """ARM has not received it, so each document takes effect once."""
    arm_sandbox.fault({"match": POSTS, "do": "close", "when": "before_accept", "nth": 2})
    operator = submit(resource="documents", records=documents(30), chunk_size=10)
    with pytest.raises(ArmTransientException):
        operator.execute(make_context(store, try_number=1, max_tries=2))
    operator.on_unknown_outcome = "resend"
    result = operator.execute(make_context(store, try_number=2, max_tries=2))
    assert len(result["batch_uuids"]) == 3
    assert effects(arm_sandbox, "documents") == {str(50001 + n): 1 for n in range(30)}


def test_customers_with_a_lost_response_are_sent_again(arm_sandbox, arm_connection, store, make_context):
    """By the client itself, within the try, because a repeat changes nothing."""
    arm_sandbox.fault({"match": POSTS, "do": "close", "when": "after_accept"})
    result = submit(records=customers(3), wait_for_completion=True).execute(make_context(store))
    assert result["accepted"] == 3


def test_retry_of_documents_without_a_journal_fails(arm_sandbox, arm_connection, make_context):
    """It cannot find out what the first try sent."""
    operator = submit(resource="documents", records=documents(1))
    with pytest.raises(ArmFailException, match="kept no journal"):
        operator.execute(make_context(None, try_number=2, max_tries=2))
    assert sent(arm_sandbox) == []


def test_nothing_is_sent_when_the_journal_cannot_be_written(arm_sandbox, arm_connection, first_try, store):
    """The entry is written before the request."""

    def refuse(key, value, *, retention=None):
        raise OSError(28, "No space left")

    store.set = refuse
    with pytest.raises(ArmTransientException, match="cannot be written"):
        submit(resource="documents", records=documents(1)).execute(first_try)
    assert sent(arm_sandbox) == []


def test_clear_continues_a_pending_batch(arm_sandbox, arm_connection, store, make_context):
    """After its end, a clear sends the customers again."""
    arm_sandbox.behave(batch_delay=60)
    operator = submit(records=customers(3))
    first = operator.execute(make_context(store, try_number=1, max_tries=0))
    cleared = operator.execute(make_context(store, try_number=2, max_tries=1))
    assert cleared["batch_uuids"] == first["batch_uuids"]
    arm_sandbox.advance(120)
    again = operator.execute(make_context(store, try_number=3, max_tries=2))
    assert again["batch_uuids"] != first["batch_uuids"]
    assert len(sent(arm_sandbox)) == 2


def test_retry_with_a_changed_source_fails(arm_sandbox, arm_connection, store, make_context):
    """Its records differ from the plan in the journal."""
    submit(records=customers(3)).execute(make_context(store, try_number=1, max_tries=1))
    with pytest.raises(ArmFailException, match="differ from what this task has already planned"):
        submit(records=customers(4)).execute(make_context(store, try_number=2, max_tries=1))
    assert len(sent(arm_sandbox)) == 1


def test_invalid_rows_are_skipped_and_reported_with_on_invalid_reject(
    arm_sandbox, arm_connection, store, make_context, tmp_path
):
    """The valid rows are sent; invalid rows count as rejects and are in the rejects file with the reasons."""
    records = customers(9)
    del records[2]["customerNo"]
    records[7]["organizationNo"] = "312345678"  # ARM refuses it
    source = tmp_path / "customers.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records) + "no json\n", encoding="utf-8")
    arguments = {"source": str(source), "chunk_size": 3, "on_invalid": "reject"}
    for name in ("one", "two"):
        rejects = tmp_path / f"{name}.jsonl"
        operator = submit(rejects_path=str(rejects), max_rejected=3, **arguments)
        if name == "one":
            operator.wait_for_completion = True
            result = operator.execute(make_context(store))
        else:
            submitted = operator.execute(make_context(None))
            assert (submitted["submitted"], submitted["invalid"]) == (8, 2)
            assert len(rejects.read_text(encoding="utf-8").splitlines()) == 2
            sensor = BatchSensor(task_id="wait", batch_uuid=submitted, max_rejected=3, rejects_path=str(rejects))
            result = sensor.execute(make_context(None))
        assert (result["submitted"], result["accepted"], result["rejected"]) == (8, 7, 1)
        lines = [json.loads(line) for line in rejects.read_text(encoding="utf-8").splitlines()]
        assert sorted(line["_row"] for line in lines) == [3, 8, 10]
        assert {line["_row"]: line.get("_line") for line in lines}[10] == "no json"
    assert len(effects(arm_sandbox, "customers")) == 7


def test_skipped_rows_fail_the_task_unless_the_policy_allows_them(arm_sandbox, arm_connection, first_try, tmp_path):
    """The valid rows are sent all the same."""
    records = [*customers(3), {"name": "without a number"}]
    with pytest.raises(ArmBatchFailedException, match=r"0 rejected, 1 invalid row not sent \(25 %, limit 0\): failed"):
        submit(
            records=records, on_invalid="reject", rejects_path=str(tmp_path / "r.csv"), wait_for_completion=True
        ).execute(first_try)
    assert "customerNo: is required" in (tmp_path / "r.csv").read_text(encoding="utf-8")
    assert len(effects(arm_sandbox, "customers")) == 3


def test_plan_only_returns_exact_totals(arm_sandbox, arm_connection, first_try):
    """By currency, as text."""
    records = documents(3)
    records[2] |= {"currency": "EUR", "currencyAmounts": {"exclVat": "0.10", "vat": "0.025", "inclVat": "0.125"}}
    plan = submit(resource="documents", records=records, plan_only=True).execute(first_try)
    assert plan["totals"] == {
        "EUR": {"records": 1, "exclVat": "0.10", "vat": "0.025", "inclVat": "0.125"},
        "NOK": {"records": 2, "exclVat": "200", "vat": "50", "inclVat": "250"},
    }
    assert [call for call in arm_sandbox.requests() if call["method"] != "GET"] == []


def test_plan_only_sends_no_request(arm_sandbox, arm_connection, first_try):
    """Not even for a token."""
    plan = submit(records=customers(25), chunk_size=10, plan_only=True).execute(first_try)
    assert (plan["plan_only"], plan["chunks"], plan["records"], len(plan["plan_sha256"])) == (True, 3, 25, 64)
    assert arm_sandbox.requests() == []


@pytest.mark.parametrize("is_plan", [True, False])
def test_doubled_customers_and_blank_rows_are_counted(
    arm_sandbox, arm_connection, first_try, tmp_path, caplog, is_plan
):
    """In the plan and in the result; a warning names the first customers, of which the last row wins."""
    source = tmp_path / "a.csv"
    source.write_text("customerNo;name\nA-1;Kari\n;\n2;Ola\na-1;Per\n", encoding="utf-8")
    result = submit(source=str(source), plan_only=is_plan).execute(first_try)
    assert (result["blank_rows"], result["doubled_keys"]) == (1, 1)
    assert "customerNo A-1 twice or more often in a.csv: the last record of each wins" in caplog.text
    assert "Kari" not in caplog.text


def test_receipt_without_batch_uuid_is_an_unknown_outcome(arm_sandbox, arm_connection, first_try):
    """For documents."""
    arm_sandbox.behave(q01_no_uuid=True, batch_delay=50)
    with pytest.raises(ArmTransientException, match="no batchUuid"):
        submit(resource="documents", records=documents(1)).execute(first_try)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"records": [], "on_invalid": "skip"}, ["on_invalid", "fail", "reject"]),
        ({"records": [], "on_invalid": "reject"}, ["on_invalid", "needs rejects_path"]),
        ({"records": [], "max_in_flight": 0}, ["max_in_flight", "between 1 and 32"]),
        ({"records": [], "assume_absent_after": -1}, ["assume_absent_after", "-1"]),
        ({"resource": "invoices", "records": []}, ["resource", "customers, documents", "invoices"]),
        ({"resource": "documents", "action": "update", "records": []}, ["action", "create", "update"]),
        ({"records": []}, ["no records"]),
        ({}, ["either records or source"]),
        ({"records": customers(1), "source": "x.csv"}, ["either records or source"]),
        ({"records": "not json"}, ["records", "not JSON"]),
        ({"records": "None"}, ["records", "not JSON"]),
        ({"records": "[{'customerNo': '1'}]"}, ["records", "not JSON", "task's output itself"]),
        ({"records": [1]}, ["records must be a list of mappings"]),
        ({"records": customers(1), "chunk_size": 0}, ["chunk_size", "between 1 and 1000"]),
        ({"records": customers(1), "chunk_size": 1001}, ["chunk_size"]),
        ({"records": customers(1), "on_rejected": "maybe"}, ["on_rejected", "warn"]),
        ({"records": customers(1), "max_rejected": "few"}, ["max_rejected", "2%"]),
        ({"records": customers(1), "rejects_path": "x.xlsx"}, ["rejects_path", ".jsonl"]),
        ({"records": customers(1), "on_unknown_outcome": "retry"}, ["on_unknown_outcome", "resend"]),
        ({"source": "/no/such.csv"}, ["such.csv", "file not found"]),
        ({"source": "/no/such.xls"}, ["such.xls", ".jsonl"]),
        ({"resource": "documents", "records": [*documents(1), *documents(1)]}, ["row 2", "documentNo", "row 1"]),
        ({"records": [{"customerNo": "1", "limitAmount": 0.1}]}, ["row 1", "limitAmount", "float"]),
    ],
)
def test_invalid_argument_fails_before_anything_is_sent(arm_sandbox, arm_connection, first_try, arguments, words):
    """The message names the argument and what it may be."""
    with pytest.raises((ArmFailException, ArmConfigurationError)) as caught:
        submit(**arguments).execute(first_try)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert sent(arm_sandbox) == []


def test_invalid_cell_is_named_by_file_row_and_column(arm_sandbox, arm_connection, first_try, tmp_path):
    """Without its value."""
    (tmp_path / "in.csv").write_text("customerNo,name,dueDays\n1,A,10\n2,B,canary\n", encoding="utf-8")
    with pytest.raises(ArmFailException) as caught:
        submit(source=f"{tmp_path}/in.csv").execute(first_try)
    assert "in.csv" in str(caught.value)
    assert "row 2, column dueDays" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_refused_batch_fails_without_retry(arm_sandbox, arm_connection, store, make_context):
    """Nothing took effect, so a later clear may send it."""
    arm_sandbox.behave(q16_max_records=2)
    operator = submit(resource="documents", records=documents(3))
    with pytest.raises(ArmFailException, match="422"):
        operator.execute(make_context(store, try_number=1, max_tries=0))
    arm_sandbox.behave(q16_max_records=1000)
    assert len(operator.execute(make_context(store, try_number=2, max_tries=1))["batch_uuids"]) == 1


def test_retry_sends_what_was_certainly_not_sent(arm_sandbox, arm_connection, store, make_context, monkeypatch):
    """The first try got no token."""
    from airflow_provider_arm.client.http import retry

    monkeypatch.setattr(retry.SystemClock, "sleep", lambda *_: None)
    arm_sandbox.fault({"match": {"method": "POST", "path": "*/token"}, "do": "status", "status": 503, "times": 5})
    operator = submit(resource="documents", records=documents(3))
    with pytest.raises(ArmTransientException, match="503"):
        operator.execute(make_context(store, try_number=1, max_tries=1))
    again = submit(resource="documents", records=documents(3))
    assert len(again.execute(make_context(store, try_number=2, max_tries=1))["batch_uuids"]) == 1
    assert set(effects(arm_sandbox, "documents").values()) == {1}


def test_resend_happens_in_the_next_try(arm_sandbox, arm_connection, store, make_context):
    """With on_unknown_outcome="resend" the first try fails for a retry."""
    arm_sandbox.fault({"match": POSTS, "do": "close", "when": "before_accept"})
    operator = submit(resource="documents", records=documents(3), on_unknown_outcome="resend")
    with pytest.raises(ArmTransientException, match="next try sends it again"):
        operator.execute(make_context(store, try_number=1, max_tries=1))
    assert len(operator.execute(make_context(store, try_number=2, max_tries=1))["batch_uuids"]) == 1
    assert set(effects(arm_sandbox, "documents").values()) == {1}


def test_clear_of_finished_documents_sends_nothing(arm_sandbox, arm_connection, store, make_context):
    """It returns the same batches."""
    operator = submit(resource="documents", records=documents(20), chunk_size=10, wait_for_completion=True)
    first = operator.execute(make_context(store, try_number=1, max_tries=0))
    assert first["accepted"] == 20
    for clears in (1, 2):
        again = operator.execute(make_context(store, try_number=1 + clears, max_tries=clears))
        assert again == first
    assert len(sent(arm_sandbox)) == 2
    assert set(effects(arm_sandbox, "documents").values()) == {1}


@pytest.mark.parametrize("why", ["503", "pending"])
def test_execute_complete_defers_again_when_a_batch_is_not_finished(
    arm_sandbox, arm_connection, store, make_context, monkeypatch, why
):
    """Or if ARM is not available; the deadline stays the same."""
    operator = submit(records=customers(3), wait_for_completion=True, deferrable=True, on_rejected="warn", timeout=600)
    context = make_context(store)
    with pytest.raises(TaskDeferred) as first:
        operator.execute(context)
    with monkeypatch.context() as patch:
        if why == "503":
            patch.setattr(SystemClock, "sleep", lambda *_: None)
            rule = {"match": {"path": "*/batches/*"}, "do": "status", "status": 503}
            arm_sandbox.fault({**rule, "times": 5})
        else:
            pending = BatchStatus(BatchState.PENDING, "pending", total=3)
            patch.setattr(ArmClient, "get_batch", lambda *_, **__: pending)
        with pytest.raises(TaskDeferred) as again:
            operator.execute_complete(context, {"status": "finished"}, **first.value.kwargs)
    assert again.value.kwargs == first.value.kwargs
    assert again.value.trigger.deadline == first.value.trigger.deadline
    assert operator.execute_complete(context, {"status": "finished"}, **again.value.kwargs)["accepted"] == 3
