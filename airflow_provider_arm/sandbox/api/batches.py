"""Batches: stored when submitted, processed later, and polled by UUID."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api.customers import write_customer
from airflow_provider_arm.sandbox.api.documents import write_document
from airflow_provider_arm.sandbox.api.lists import check_parameters
from airflow_provider_arm.sandbox.api.writing import natural_key, read_envelope
from airflow_provider_arm.sandbox.messages import (
    HttpError,
    Problem,
    SandboxRequest,
    SandboxResponse,
    json_response,
    pascal_case,
)
from airflow_provider_arm.sandbox.state.clock import format_timestamp, from_epoch_ms
from airflow_provider_arm.sandbox.state.context import SandboxContext

log = logging.getLogger(__name__)

#: Resource -> the field that is the natural key of its records.
_KEY_FIELDS = {"customers": "customerNo", "documents": "documentNo"}

_COLUMNS = (
    "uuid, resource, method, request, received_ms, due_ms, processed_ms, state, total, processed, failed, "
    "rejected, polls, payload, pending, results"
)

#: The order of a record's keys does not change the batch's content hash.
_CANONICAL_ENCODER = msgspec.json.Encoder(decimal_format="number", order="sorted")

#: A batch is RECEIVED for the first half of its delay, then PROCESSING.
RECEIVED, PROCESSING = "RECEIVED", "PROCESSING"


def submit_customers(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Submit a batch of customers, to create or to update them."""
    return _submit(context, request, "customers")


def submit_documents(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Submit a batch of documents."""
    return _submit(context, request, "documents")


def _submit(context: SandboxContext, request: SandboxRequest, resource: str) -> SandboxResponse:
    records = read_envelope(request, resource)
    label = pascal_case(resource)
    if not isinstance(records, list):
        raise HttpError(422, f"{label} must be a list", [Problem(label, "must be a list")])
    if not records:
        raise HttpError(422, "The batch is empty", [Problem(label, "must not be empty")])
    limit = context.switches["q16_max_records"]  # assumed (Q16)
    if len(records) > limit:
        raise HttpError(422, f"A batch holds at most {limit} records", [Problem(label, f"{len(records)} records")])
    uuid = context.uuid("batch")
    now = context.now_ms()
    values = (
        uuid,
        context.store.next_number("batch_number"),
        resource,
        request.method,
        content_hash(request.method, resource, records),
        request.number,
        now,
        now + int(float(context.switches["batch_delay"]) * 1000),
        len(records),
        context.switches["q03_reject_batches"],
        money.encode(records),
        money.encode([_pending_record(number, record, resource) for number, record in enumerate(records, 1)]),
    )
    context.store.execute(
        "INSERT INTO batch (uuid, number, resource, method, content_hash, request, received_ms, due_ms, state, total, "
        "rejected, payload, pending) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'RECEIVED', ?, ?, ?, ?)",
        values,
    )
    return _receipt(context, uuid)


def _receipt(context: SandboxContext, uuid: str) -> SandboxResponse:  # assumed (Q1)
    body: dict[str, Any] = {"status": "ACCEPTED", "batchUuid": uuid, "message": "Batch accepted"}
    body["clientNo"] = context.client_no
    if context.switches["q01_no_uuid"]:
        del body["batchUuid"]
    if context.switches["q01_extra_keys"]:
        body |= {"queuePosition": 3, "links": [{"rel": "self"}], "uuid": None}
    return json_response(context.switches["q01_submit_status"], body)


def content_hash(method: str, resource: str, records: list[Any]) -> str:
    """Return the sha256 of a batch's content: method, resource and the records with sorted keys."""
    return hashlib.sha256(f"{method} {resource}\n".encode() + _CANONICAL_ENCODER.encode(records)).hexdigest()


def _pending_record(number: int, record: Any, resource: str) -> dict[str, Any]:
    name = _KEY_FIELDS[resource]
    key = natural_key(record, name)
    return {"recordNo": number, "status": RECEIVED, **({name: key} if key else {})}


def process_due_batches(context: SandboxContext) -> None:
    """Process every batch whose delay has passed, oldest first."""
    rows = context.store.fetch_all(
        f"SELECT uuid FROM batch WHERE state = '{RECEIVED}' AND due_ms <= ? ORDER BY due_ms, number",  # noqa: S608
        (context.now_ms(),),
    )
    for (uuid,) in rows:
        try:
            with context.store.savepoint():
                _process(context, uuid)
        except Exception:  # otherwise one batch that cannot be processed would block every later request
            log.exception("The sandbox failed to process batch %s", uuid)
            _set_processed(context, uuid, context.now_ms(), "REJECTED", (0, 0, None))


def _process(context: SandboxContext, uuid: str) -> None:
    batch = _read_batch(context, uuid)
    request_no, due_ms, total = batch["request"], batch["due_ms"], batch["total"]
    if batch["rejected"]:
        _set_processed(context, uuid, due_ms, "REJECTED", (0, total, None))
        return
    records = money.decode(batch["payload"])
    if batch["resource"] == "customers":
        may_create = batch["method"] == "POST"
        results = [write_customer(context, record, request_no, may_create=may_create) for record in records]
    else:
        lot_no = context.store.next_number("gl_lot")
        results = [write_document(context, record, request_no, lot_no) for record in records]
    failed = sum(result.failed for result in results)
    entries = [{"recordNo": number, **result.as_json(context.switches)} for number, result in enumerate(results, 1)]
    state = "PROCESSED" if not failed else ("REJECTED" if failed == total else "PARTIAL")
    _set_processed(context, uuid, due_ms, state, (total - failed, failed, money.encode(entries)))


def _set_processed(
    context: SandboxContext, uuid: str, processed_ms: int, state: str, outcome: tuple[int, int, bytes | None]
) -> None:
    """Store the end of a batch.

    :param outcome: number of processed records, number of failed records, and the JSON list of their results.
    """
    context.store.execute(
        "UPDATE batch SET state = ?, processed = ?, failed = ?, results = ?, processed_ms = ? WHERE uuid = ?",
        (state, *outcome, processed_ms, uuid),
    )


def get_batch(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return one batch. UUIDs are compared exactly: documented."""
    check_parameters(request, {"userid"})
    uuid = request.path_parameters["batchuuid"]
    row = context.store.fetch_one(
        "UPDATE batch SET polls = polls + 1 WHERE uuid = ? RETURNING polls, received_ms, due_ms", (uuid,)
    )
    if row is None:
        raise HttpError(404, "Batch not found", [Problem("BatchUuid", "not found")])
    polls, received_ms, due_ms = row
    now = context.now_ms()
    in_grace_period = now - received_ms < float(context.switches["q04_grace_seconds"]) * 1000
    if in_grace_period or polls <= context.switches["q04_grace_polls"]:  # assumed (Q4)
        raise HttpError(404, "Batch not found", [Problem("BatchUuid", "not found")])
    if now >= due_ms and polls > context.switches["pending_polls"]:
        return _finished_response(context, uuid)
    return _unfinished_response(context, uuid, now)


def _read_batch(context: SandboxContext, uuid: str) -> dict[str, Any]:
    row = context.store.fetch_one(f"SELECT {_COLUMNS} FROM batch WHERE uuid = ?", (uuid,))  # noqa: S608
    return dict(zip(_COLUMNS.replace(" ", "").split(","), row or (), strict=True))


def _unfinished_response(context: SandboxContext, uuid: str, now: int) -> SandboxResponse:  # assumed (Q3)
    batch = _read_batch(context, uuid)
    if context.switches["q03_206_in_progress"]:
        if batch["state"] == RECEIVED:
            _process(context, uuid)
            batch = _read_batch(context, uuid)
        half = batch["total"] // 2
        pending, results = money.decode(batch["pending"]), money.decode(batch["results"] or b"[]")
        records = results[:half] + [{**record, "status": PROCESSING} for record in pending[half:]]
        processed = sum(record["status"] == "PROCESSED" for record in results[:half])
        batch |= {"state": PROCESSING, "processed": processed, "failed": half - processed}
        batch |= {"processed_ms": None, "results": money.encode(records)}
        return _batch_response(context, batch, 206)
    received = 2 * (now - batch["received_ms"]) < batch["due_ms"] - batch["received_ms"]
    records = None if context.switches["q02_records_while_202"] == "absent" else batch["pending"]
    batch |= {"state": RECEIVED if received else PROCESSING, "processed": 0, "failed": 0}
    return _batch_response(context, batch | {"processed_ms": None, "results": records}, 202)


def _finished_response(context: SandboxContext, uuid: str) -> SandboxResponse:  # assumed (Q3)
    batch = _read_batch(context, uuid)
    state = batch["state"]
    status = {"PROCESSED": 200, "PARTIAL": 206, "REJECTED": 406}[state]
    errors = None
    if state == "REJECTED":
        if batch["results"] is not None and context.switches["q03_all_failed"] == 206:  # noqa: PLR2004 - an HTTP status
            status, state = 206, "PARTIAL"
        else:
            errors = [Problem(pascal_case(batch["resource"]), "no record could be processed").as_json()]
    if state == "PARTIAL" and context.switches["q03_failed_inside_200"]:
        status, state = 200, "PROCESSED"
    if context.switches["q03_unknown_status"]:
        status, state, errors = 200, context.switches["q03_unknown_status"], None
    return _batch_response(context, batch | {"state": state}, status, errors)


def _batch_response(  # assumed (Q2)
    context: SandboxContext, batch: dict[str, Any], status: int, errors: list[dict[str, str]] | None = None
) -> SandboxResponse:
    processed_ms = batch["processed_ms"]
    head: dict[str, Any] = {
        "batchUuid": batch["uuid"],
        "clientNo": context.client_no,
        "status": batch["state"],
        "createdTime": format_timestamp(from_epoch_ms(batch["received_ms"])),
        "processedTime": None if processed_ms is None else format_timestamp(from_epoch_ms(processed_ms)),
    }
    if context.switches["q02_counts"] == "present":
        head |= {"totalCount": batch["total"], "processedCount": batch["processed"], "failedCount": batch["failed"]}
    if errors:
        head["errors"] = errors
    text = money.encode(head)
    if batch["results"] is None:
        return SandboxResponse(status, text)
    key = money.encode(context.switches["q02_records_key"] or batch["resource"])
    return SandboxResponse(status, b"".join([text[:-1], b",", key, b":", batch["results"], b"}"]))
