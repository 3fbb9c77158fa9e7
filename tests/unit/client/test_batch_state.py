from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.batch_state import BatchState, classify_batch
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings

UUID = "9f2c1d34-AAAA-bbbb-2222-333344445555"
OK = {"recordNo": 1, "status": "PROCESSED", "result": "CREATED", "customerNo": "1"}
BAD: dict[str, Any] = {
    "recordNo": 2,
    "status": "FAILED",
    "result": "REJECTED",
    "message": "no",
    "customerNo": "2",
    "errors": [{"field": "PostalCode", "message": "must be four digits"}],
}
WAITING = {"recordNo": 3, "status": "PROCESSING"}
PENDING, SUCCEEDED, PARTIAL, REJECTED, INVALID_RESPONSE = BatchState


def body(status: str | None = "PROCESSED", records: list | None = None, key: str = "customers", **more: Any) -> dict:
    """Return the body of a batch, with the given keys only."""
    content: dict[str, Any] = {"batchUuid": UUID, "clientNo": 2218}
    if status is not None:
        content["status"] = status
    if records is not None:
        content[key] = records
    return content | more


def counts(total: int, processed: int, failed: int) -> dict[str, int]:
    """Return the three counts."""
    return {"totalCount": total, "processedCount": processed, "failedCount": failed}


DECISIONS = [
    # Q3 default: 202 means stored or in progress, whatever the body, also without one (Q2: no records with 202)
    ("202 received", 202, body("RECEIVED", **counts(2, 0, 0)), PENDING),
    ("202 processing", 202, body("PROCESSING", [WAITING], **counts(1, 0, 0)), PENDING),
    ("202 without a body", 202, None, PENDING),
    ("202 with an unknown status", 202, body("CHEWING"), PENDING),
    ("202 although it says processed", 202, body("PROCESSED", [OK], **counts(1, 1, 0)), PENDING),
    ("200 still accepted", 200, body("ACCEPTED", **counts(2, 0, 0)), PENDING),
    # 200 finished, every record processed
    ("200 all processed", 200, body("PROCESSED", [OK, OK], **counts(2, 2, 0)), SUCCEEDED),
    ("200 in lower case", 200, body("processed", [{"status": "Processed"}], **counts(1, 1, 0)), SUCCEEDED),
    ("200 under another key", 200, body("PROCESSED", [OK], key="kunder", **counts(1, 1, 0)), SUCCEEDED),
    ("200 counts absent", 200, body("PROCESSED", [OK, OK]), SUCCEEDED),
    ("200 records absent", 200, body("PROCESSED", **counts(2, 2, 0)), SUCCEEDED),
    ("200 status only", 200, body("PROCESSED"), SUCCEEDED),
    ("200 counts only", 200, body(None, **counts(2, 2, 0)), SUCCEEDED),
    ("200 records only", 200, body(None, [OK]), SUCCEEDED),
    ("200 an empty list of records", 200, body("PROCESSED", [], **counts(2, 2, 0)), SUCCEEDED),
    ("200 with a warning in the batch", 200, body("PROCESSED", [OK], warnings=[{"message": "x"}]), SUCCEEDED),
    ("200 counts as text", 200, body("PROCESSED", [OK], totalCount="1", failedCount="0"), SUCCEEDED),
    ("200 an invalid time", 200, body("PROCESSED", [OK], createdTime=17), SUCCEEDED),
    # 206 finished, some failed
    ("206 partial", 206, body("PARTIAL", [OK, BAD], **counts(2, 1, 1)), PARTIAL),
    ("206 counts absent", 206, body("PARTIAL", [OK, BAD]), PARTIAL),
    ("206 records absent", 206, body("PARTIAL", **counts(2, 1, 1)), PARTIAL),
    ("206 status only", 206, body("PARTIAL"), PARTIAL),
    ("206 processed with failures", 206, body("PROCESSED", [OK, BAD], **counts(2, 1, 1)), PARTIAL),
    ("206 no status", 206, body(None, [OK, BAD]), PARTIAL),
    ("206 every record failed", 206, body("PARTIAL", [BAD, BAD], **counts(2, 0, 2)), REJECTED),
    ("206 no errors in the failed record", 206, body("PARTIAL", [OK, {"status": "FAILED"}]), PARTIAL),
    (
        "206 several errors in the failed record",
        206,
        body("PARTIAL", [OK, {**BAD, "errors": 3 * BAD["errors"]}]),
        PARTIAL,
    ),
    (
        "206 a failed record without number or key",
        206,
        body("PARTIAL", [OK, {"status": "FAILED", "errors": []}]),
        PARTIAL,
    ),
    # Q3 variant: 206 while still in progress
    ("206 processing", 206, body("PROCESSING", [OK, WAITING], **counts(2, 1, 0)), PENDING),
    ("206 a record that is not finished", 206, body("PARTIAL", [OK, WAITING], **counts(2, 1, 0)), PENDING),
    ("206 a record without a status", 206, body("PARTIAL", [OK, {"recordNo": 2}], **counts(2, 1, 0)), PENDING),
    ("206 fewer records than counted", 206, body("PARTIAL", [OK, BAD], **counts(3, 1, 1)), PENDING),
    ("206 counts not full", 206, body("PARTIAL", **counts(3, 1, 1)), PENDING),
    ("206 partial and nothing failed", 206, body("PARTIAL", [OK, OK], **counts(2, 2, 0)), INVALID_RESPONSE),
    # Q3 variant: 200 with failed records inside
    ("200 with failures inside", 200, body("PROCESSED", [OK, BAD], **counts(2, 1, 1)), PARTIAL),
    ("200 only failures inside", 200, body("PROCESSED", [BAD], **counts(1, 0, 1)), REJECTED),
    ("200 failures counted only", 200, body("PROCESSED", **counts(2, 1, 1)), PARTIAL),
    ("200 failures counted, no total", 200, body("PROCESSED", failedCount=3), PARTIAL),
    ("200 partial", 200, body("PARTIAL", [OK, BAD]), PARTIAL),
    # Q3 variant: an unknown status is never a success
    ("200 unknown status", 200, body("COMPLETED", [OK], **counts(1, 1, 0)), INVALID_RESPONSE),
    ("206 unknown status", 206, body("HALFWAY", [OK, BAD]), INVALID_RESPONSE),
    ("200 unknown status in a record", 200, body("PROCESSED", [OK, {"status": "SKIPPED"}]), INVALID_RESPONSE),
    ("200 a status with white space", 200, body("PROCESSED "), INVALID_RESPONSE),
    # 406 rejected as a whole
    ("406", 406, body("REJECTED", errors=[{"field": "Customers", "message": "too many"}]), REJECTED),
    ("406 with counts", 406, body("REJECTED", **counts(2, 0, 2)), REJECTED),
    ("406 with records", 406, body("REJECTED", [BAD, BAD], **counts(2, 0, 2)), REJECTED),
    ("406 in the documented error format", 406, {"status": "FAILED", "message": "bad"}, REJECTED),
    ("406 without a body", 406, None, REJECTED),
    ("406 an empty object", 406, {}, REJECTED),
    ("200 rejected", 200, body("REJECTED"), REJECTED),
    ("200 failed, all of them", 200, body("FAILED", **counts(2, 0, 2)), REJECTED),
    # After a wrong rejection all records would be sent again
    ("406 a list", 406, [], INVALID_RESPONSE),
    ("406 two lists", 406, body("REJECTED", [BAD], others=[OK]), INVALID_RESPONSE),
    ("406 processed", 406, body("PROCESSED"), INVALID_RESPONSE),
    ("406 still processing", 406, body("PROCESSING"), INVALID_RESPONSE),
    ("406 with a processed record", 406, body("REJECTED", [OK, BAD]), INVALID_RESPONSE),
    ("406 with fewer failures than records", 406, body("REJECTED", **counts(2, 1, 1)), INVALID_RESPONSE),
    ("200 failed, some of them", 200, body("FAILED", **counts(10, 8, 2)), PARTIAL),
    ("206 failed, some of them", 206, body("FAILED", **counts(10, 8, 2)), PARTIAL),
    ("200 failed, none of them", 200, body("FAILED", **counts(2, 2, 0)), INVALID_RESPONSE),
    ("200 failed although records were processed", 200, body("FAILED", processedCount=2), INVALID_RESPONSE),
    ("200 failed, every record processed", 200, body("FAILED", [OK, OK]), INVALID_RESPONSE),
    # Contradictions
    ("200 more records than counted", 200, body("PROCESSED", [OK, OK], **counts(1, 1, 0)), INVALID_RESPONSE),
    ("200 an open record beyond the count", 200, body("PROCESSED", [OK, WAITING], **counts(1, 1, 0)), PENDING),
    (
        "200 a record without a status beyond the count",
        200,
        body("PROCESSED", [OK, {"status": 5}], totalCount=1),
        PENDING,
    ),
    ("200 another count of failures", 200, body("PROCESSED", [OK, BAD], **counts(2, 2, 0)), INVALID_RESPONSE),
    ("200 errors beside success", 200, body("PROCESSED", errors=[{"field": "x", "message": "y"}]), INVALID_RESPONSE),
    ("200 errors of another type", 200, body("PROCESSED", [OK], errors=["y"]), INVALID_RESPONSE),
    ("200 a status that is no text", 200, {"status": {"code": "FAILED"}, "customers": [OK]}, INVALID_RESPONSE),
    ("200 a count that is no number", 200, body("PROCESSED", [OK], failedCount={"customers": 1}), INVALID_RESPONSE),
    ("200 two lists", 200, body("PROCESSED", [BAD], others=[OK]), INVALID_RESPONSE),
    ("200 a list of something else", 200, body("PROCESSED", [BAD, None]), INVALID_RESPONSE),
    ("200 more failures than records", 200, body("PROCESSED", **counts(1, 0, 2)), INVALID_RESPONSE),
    ("206 a negative number of failures", 206, body("PARTIAL", **counts(2, 2, -1)), INVALID_RESPONSE),
    (
        "200 failures counted beside two lists",
        200,
        body("PARTIAL", [OK], others=[OK], **counts(1, 0, 1)),
        INVALID_RESPONSE,
    ),
    ("200 no status, no counts", 200, body(None), INVALID_RESPONSE),
    ("200 an empty object", 200, {}, INVALID_RESPONSE),
    ("200 no total, no status", 200, body(None, failedCount=0), INVALID_RESPONSE),
    ("200 no body", 200, None, INVALID_RESPONSE),
    ("200 a list", 200, [OK], INVALID_RESPONSE),
    ("206 no body", 206, None, INVALID_RESPONSE),
    ("206 without counts", 206, body("PROCESSED"), INVALID_RESPONSE),
    ("201", 201, body("PROCESSED", [OK]), INVALID_RESPONSE),
    ("204", 204, None, INVALID_RESPONSE),
]


@pytest.mark.parametrize(
    ("code", "content", "state"), [row[1:] for row in DECISIONS], ids=[row[0] for row in DECISIONS]
)
def test_batch_state_for_each_row_of_the_working_contract(code: int, content: Any, state: BatchState) -> None:
    """HTTP status, status words, records and counts must agree before a batch counts as finished."""
    status = classify_batch(code, content)
    assert status.state is state, status.reason
    assert status.reason


@pytest.mark.parametrize(
    ("code", "content", "total", "failed", "records"),
    [
        (200, body("PROCESSED", [OK, OK], **counts(2, 2, 0)), 2, 0, 2),
        (206, body("PARTIAL", [OK, BAD]), 2, 1, 2),
        (206, body("PARTIAL", **counts(5, 3, 2)), 5, 2, 0),
        (206, body("PARTIAL"), None, None, 0),
        (200, body("PROCESSED", failedCount=3), None, 3, 0),
        (406, body("REJECTED", **counts(4, 0, 4)), 4, 4, 0),
        (406, body("REJECTED", [BAD, BAD], **counts(2, 0, 2)), 2, 2, 2),
        (406, body("REJECTED", [BAD], **counts(2, 0, 2)), 2, 2, 0),
        (406, None, None, None, 0),
        (202, body("RECEIVED", **counts(7, 0, 0)), 7, None, 0),
        (202, None, None, None, 0),
    ],
)
def test_counts_are_those_of_the_response(code: int, content: Any, total, failed, records: int) -> None:
    """Counts are ARM's or follow from the records; otherwise they are None."""
    status = classify_batch(code, content)
    assert (status.total, status.failed, len(status.records)) == (total, failed, records)


def test_records_are_in_order_of_submission_with_their_errors() -> None:
    """The rejects file is made from them."""
    first, second = classify_batch(206, body("PARTIAL", [OK, BAD])).records
    assert (first.customer_no, second.record_no) == ("1", 2)
    assert [(error.field, error.message) for error in second.errors or []] == [("PostalCode", "must be four digits")]


def test_reason_of_a_rejection_has_no_personal_data() -> None:
    """It has up to three errors, or the message, with e-mail addresses and long numbers masked."""
    errors = [{"field": f"F{number}", "message": "a@b.no 12015641779"} for number in range(4)]
    assert classify_batch(406, body("REJECTED", errors=errors)).reason == (
        "rejected as a whole: F0: [email] [number]; F1: [email] [number]; F2: [email] [number]"
    )
    assert (
        classify_batch(406, body("REJECTED", message="ssn 12015641779")).reason == "rejected as a whole: ssn [number]"
    )
    assert classify_batch(200, body("12015641779")).reason.startswith("200 with the unknown status [number] (add it")


@pytest.mark.parametrize(("state", "finished"), list(zip(BatchState, [False, True, True, True, False], strict=True)))
def test_three_states_are_finished(state: BatchState, *, finished: bool) -> None:
    """A pending batch, or one with an invalid response, is polled again."""
    assert state.finished is finished


def test_statuses_can_be_overridden() -> None:
    """If ARM turns out to use another status, one argument changes the reading."""
    assumed = Readings.parse({"batch": {"success_words": ["completed"]}})
    assert classify_batch(200, body("Completed", [OK], **counts(1, 1, 0)), assumed).state is SUCCEEDED


KNOWN = sorted(
    {
        *DEFAULT_READINGS.batch.success_words,
        *DEFAULT_READINGS.batch.failure_words,
        *DEFAULT_READINGS.batch.partial_words,
        *DEFAULT_READINGS.batch.pending_words,
    }
)
_STATUSES = st.sampled_from(
    [*KNOWN, "processed", "COMPLETED", "", "OK", None, 5, True, [], ["FAILED"], {"code": "FAILED"}]
)
_COUNTS = st.sampled_from([None, 0, 1, 2, 3, -1, "0", "2", "x", 1.5, [], {"customers": 1}])
_ERRORS = st.sampled_from([None, [], [{"field": "x", "message": "y"}], ["y"], "y", {}])
_RECORD = st.fixed_dictionaries({}, optional={"status": _STATUSES, "recordNo": _COUNTS, "errors": _ERRORS})
_LIST = st.lists(_RECORD | st.sampled_from([None, 5, "FAILED", []]), max_size=3) | st.lists(_RECORD, max_size=3)
_BODY = st.fixed_dictionaries(
    {},
    optional={
        "status": _STATUSES,
        "totalCount": _COUNTS,
        "processedCount": _COUNTS,
        "failedCount": _COUNTS,
        "errors": _ERRORS,
        "warnings": _ERRORS,
        "message": _STATUSES,
        "customers": _LIST,
        "kunder": _LIST,
    },
)
_GOOD_BODY = st.builds(
    lambda records, changes: body("PROCESSED", records, **counts(len(records), len(records), 0)) | changes,
    st.lists(st.just(OK), min_size=1, max_size=3),
    _BODY,
)
_CODES = st.sampled_from([200, 202, 206, 406]) | st.integers(100, 599)
_CONTENTS = _BODY | _GOOD_BODY | st.none() | st.lists(_BODY, max_size=1) | st.text(max_size=3)


def _lists(content: dict) -> list:
    return [content[key] for key in ("customers", "kunder") if key in content]


@settings(deadline=None, max_examples=500)
@given(_CODES, _CONTENTS)
@example(200, body("PROCESSED", [OK, BAD], **counts(1, 1, 0)))
def test_success_requires_every_status_to_be_a_known_success(code: int, content: Any) -> None:
    """SUCCEEDED results only from a 200 with known success statuses in which nothing failed."""
    status = classify_batch(code, content)
    if status.state is not SUCCEEDED:
        return
    assert code == 200
    assert content.get("status") in (None, "", "PROCESSED", "processed")
    assert content.get("failedCount") in (None, 0, "0")
    assert not content.get("errors")
    for records in _lists(content):
        assert all(isinstance(record, dict) for record in records)
        assert all(str(record.get("status")).upper() == "PROCESSED" for record in records)
        assert content.get("totalCount") in (None, len(records), str(len(records))) or not records


@settings(deadline=None, max_examples=500)
@given(_CODES, _CONTENTS)
@example(200, body("FAILED", **counts(10, 8, 2)))
def test_rejection_excludes_processed_records(code: int, content: Any) -> None:
    """REJECTED results only if no record was processed, because its records may be sent again."""
    status = classify_batch(code, content)
    if status.state is not REJECTED or content is None:
        return
    for records in _lists(content):
        assert all(isinstance(record, dict) for record in records)
        assert "PROCESSED" not in [str(record.get("status")).upper() for record in records]
    assert status.total == status.failed


@pytest.mark.parametrize(
    ("code", "content", "submitted", "state", "counts"),
    [
        (200, {"status": "PROCESSED", "totalCount": 2}, 2, BatchState.SUCCEEDED, (2, 0)),
        (200, {"status": "PROCESSED"}, 3, BatchState.SUCCEEDED, (3, 0)),
        (206, {"status": "PARTIAL", "failedCount": 1}, 3, BatchState.PARTIAL, (3, 1)),
        (406, {}, 3, BatchState.REJECTED, (3, 3)),
        (406, None, 3, BatchState.REJECTED, (3, 3)),
        (200, {"status": "PROCESSED", "totalCount": 2}, 3, BatchState.INVALID_RESPONSE, (2, None)),
        (200, {"status": "PROCESSED", "totalCount": 0}, 3, BatchState.INVALID_RESPONSE, (0, None)),
        (200, {"status": "PROCESSED", "totalCount": 4}, 3, BatchState.INVALID_RESPONSE, (4, None)),
        (200, {"customers": [{"status": "PROCESSED"}] * 2}, 3, BatchState.INVALID_RESPONSE, (2, None)),
        (406, {"totalCount": 4}, 3, BatchState.INVALID_RESPONSE, (4, None)),
        (202, {"status": "PROCESSING", "totalCount": 1}, 3, BatchState.PENDING, (1, None)),
    ],
)
def test_finished_batch_must_count_the_records_that_were_sent(code, content, submitted, state, counts) -> None:
    """A batch without counts gets the number that was sent; a pending one is not compared."""
    status = classify_batch(code, content, submitted=submitted)
    assert (status.state, (status.total, status.failed)) == (state, counts)


@pytest.mark.parametrize(
    ("body", "doubt"),
    [
        (None, ""),
        ({}, ""),
        ({"status": "PROCESSING"}, ""),
        ({"status": "PROCESSING", "totalCount": 0}, ""),
        ({"state": "PROCESSING"}, "202 (batch.pending_codes) with a body without a status (batch.status_key)"),
        (
            {"status": "PROCESSING", "totalCount": 3, "processedCount": 2, "failedCount": 1},
            "202 (batch.pending_codes) with counts of a finished batch",
        ),
    ],
)
def test_pending_batch_that_may_be_finished_has_a_doubt(body, doubt):
    """The code alone says pending: the doubt names the entry that would decide."""
    status = classify_batch(202, body)
    assert (status.state, status.doubt) == (BatchState.PENDING, doubt)


@pytest.mark.parametrize(
    ("code", "body", "entry"),
    [
        (200, {"status": "PROCESSED", "processedCount": 3}, "batch.processed_key"),
        (206, {"status": "PARTIAL", "failedCount": 3}, "batch.failed_key"),
        (406, {"failedCount": 3}, "batch.failed_key"),
        (406, {"status": "REJECTED", "failedCount": 1}, "batch.failed_key"),
        (200, {"status": "PROCESSED", "totalCount": 3}, "batch.total_key"),
    ],
)
def test_count_that_contradicts_the_submission_is_invalid(code, body, entry):
    """Two records were sent; without that knowledge each response is a result."""
    assert classify_batch(code, body).state.finished
    status = classify_batch(code, body, submitted=2)
    assert status.state is BatchState.INVALID_RESPONSE
    assert entry in status.reason


@pytest.mark.parametrize(
    "body",
    [
        {"status": "PARTIAL", "totalCount": 4, "processedCount": 3},
        {"status": "PROCESSED", "totalCount": 4, "customers": [{"status": "PROCESSED"}]},
    ],
)
def test_finished_status_with_unfinished_records_has_a_doubt(body):
    """Either may be wrong: the batch counts as pending, and the entries are named."""
    status = classify_batch(206, body)
    assert status.state is BatchState.PENDING
    assert "batch." in status.doubt
