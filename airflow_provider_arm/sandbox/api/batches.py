"""Batches: stored at once, processed later, asked for by UUID."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api.customers import only_parameters, write_customer
from airflow_provider_arm.sandbox.api.documents import write_document
from airflow_provider_arm.sandbox.api.writing import WriteResult, envelope, natural_key
from airflow_provider_arm.sandbox.messages import (
    HttpError,
    Problem,
    SandboxRequest,
    SandboxResponse,
    json_response,
    pascal_case,
)
from airflow_provider_arm.sandbox.state.clock import from_epoch_ms, stamp
from airflow_provider_arm.sandbox.state.context import SandboxContext

log = logging.getLogger(__name__)

#: Resource -> the field that names one record.
_KEYS = {"customers": "customerNo", "documents": "documentNo"}

_COLUMNS = (
    "uuid, resource, method, request, received_ms, due_ms, processed_ms, state, total, processed, failed, "
    "rejected, looks, payload, pending, answers"
)

#: The same records in another order of keys are the same batch.
_CANONICAL = msgspec.json.Encoder(decimal_format="number", order="sorted")

#: Between its stages a batch is RECEIVED for the first half of its delay, then PROCESSING.
RECEIVED, PROCESSING = "RECEIVED", "PROCESSING"


def submit_customers(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """POST or PUT a batch of customers."""
    return _submit(context, call, "customers")


def submit_documents(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """POST a batch of documents."""
    return _submit(context, call, "documents")


def _submit(context: SandboxContext, call: SandboxRequest, resource: str) -> SandboxResponse:
    records = envelope(call, resource)
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
        context.store.number("batch_number"),
        resource,
        call.method,
        content_hash(call.method, resource, records),
        call.number,
        now,
        now + int(float(context.switches["batch_delay"]) * 1000),
        len(records),
        context.switches["q03_reject_batches"],
        money.encode(records),
        money.encode([_pending(number, record, resource) for number, record in enumerate(records, 1)]),
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
    """Name a batch by what it asks for: sha256 of method, resource and the records with sorted keys."""
    return hashlib.sha256(f"{method} {resource}\n".encode() + _CANONICAL.encode(records)).hexdigest()


def _pending(number: int, record: Any, resource: str) -> dict[str, Any]:
    name = _KEYS[resource]
    key = natural_key(record, name)
    return {"recordNo": number, "status": RECEIVED, **({name: key} if key else {})}


def process_due(context: SandboxContext) -> None:
    """Process every batch whose time has come, oldest first."""
    rows = context.store.fetch_all(
        f"SELECT uuid FROM batch WHERE state = '{RECEIVED}' AND due_ms <= ? ORDER BY due_ms, number",  # noqa: S608
        (context.now_ms(),),
    )
    for (uuid,) in rows:
        try:
            with context.store.attempt():
                _process(context, uuid)
        except Exception:  # else one batch that we cannot process would stop every call after it
            log.exception("The sandbox failed on batch %s", uuid)
            _finish(context, uuid, context.now_ms(), "REJECTED", (0, 0, None))


def _process(context: SandboxContext, uuid: str) -> None:
    row = context.store.fetch_one(
        "SELECT resource, method, request, rejected, payload, due_ms, total FROM batch WHERE uuid = ?", (uuid,)
    )
    if row is None:  # pragma: no cover - the caller has just seen it
        return
    resource, method, request, refused, payload, due_ms, total = row
    if refused:
        _finish(context, uuid, due_ms, "REJECTED", (0, total, None))
        return
    write: Callable[[Any], WriteResult]
    if resource == "customers":

        def write(record: Any) -> WriteResult:
            return write_customer(context, record, request, may_create=method == "POST")
    else:
        lot = context.store.number("gl_lot")

        def write(record: Any) -> WriteResult:
            return write_document(context, record, request, lot)

    written = [write(record) for record in money.decode(payload)]
    failed = sum(one.failed for one in written)
    answers = [{"recordNo": number, **one.as_json(context.switches)} for number, one in enumerate(written, 1)]
    state = "PROCESSED" if not failed else ("REJECTED" if failed == total else "PARTIAL")
    _finish(context, uuid, due_ms, state, (total - failed, failed, money.encode(answers)))


def _finish(
    context: SandboxContext, uuid: str, due_ms: int, state: str, outcome: tuple[int, int, bytes | None]
) -> None:
    context.store.execute(
        "UPDATE batch SET state = ?, processed = ?, failed = ?, answers = ?, processed_ms = ? WHERE uuid = ?",
        (state, *outcome, due_ms, uuid),
    )


def get_batch(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """GET one batch. UUIDs are compared exactly: documented."""
    only_parameters(call, {"userid"})
    uuid = call.values["batchuuid"]
    look = context.store.fetch_one(
        "UPDATE batch SET looks = looks + 1 WHERE uuid = ? RETURNING looks, received_ms, due_ms", (uuid,)
    )
    if look is None:
        raise HttpError(404, "Batch not found", [Problem("BatchUuid", "not found")])
    looks, received_ms, due_ms = look
    now = context.now_ms()
    in_grace = now - received_ms < float(context.switches["q04_grace_seconds"]) * 1000
    if in_grace or looks <= context.switches["q04_grace_polls"]:  # assumed (Q4)
        raise HttpError(404, "Batch not found", [Problem("BatchUuid", "not found")])
    if now >= due_ms and looks > context.switches["pending_polls"]:
        return _finished(context, uuid)
    return _unfinished(context, uuid, now)


def _read(context: SandboxContext, uuid: str) -> dict[str, Any]:
    row = context.store.fetch_one(f"SELECT {_COLUMNS} FROM batch WHERE uuid = ?", (uuid,))  # noqa: S608
    return dict(zip(_COLUMNS.replace(" ", "").split(","), row or (), strict=True))


def _unfinished(context: SandboxContext, uuid: str, now: int) -> SandboxResponse:  # assumed (Q3)
    batch = _read(context, uuid)
    if context.switches["q03_206_in_progress"]:
        if batch["state"] == RECEIVED:
            _process(context, uuid)
            batch = _read(context, uuid)
        half = batch["total"] // 2
        pending, answers = money.decode(batch["pending"]), money.decode(batch["answers"] or b"[]")
        shown = answers[:half] + [{**record, "status": PROCESSING} for record in pending[half:]]
        done = [record for record in answers[:half] if record["status"] == "PROCESSED"]
        look = _Shown(206, PROCESSING, len(done), half - len(done), money.encode(shown), finished=False)
        return _body(context, batch, look)
    state = RECEIVED if 2 * (now - batch["received_ms"]) < batch["due_ms"] - batch["received_ms"] else PROCESSING
    records = None if context.switches["q02_records_while_202"] == "absent" else batch["pending"]
    return _body(context, batch, _Shown(202, state, 0, 0, records, finished=False))


def _finished(context: SandboxContext, uuid: str) -> SandboxResponse:  # assumed (Q3)
    batch = _read(context, uuid)
    state = batch["state"]
    status = {"PROCESSED": 200, "PARTIAL": 206, "REJECTED": 406}[state]
    errors = None
    if state == "REJECTED":
        if batch["answers"] is not None and context.switches["q03_all_failed"] == 206:  # noqa: PLR2004 - an HTTP status
            status, state = 206, "PARTIAL"
        else:
            errors = [Problem(pascal_case(batch["resource"]), "no record could be processed").as_json()]
    if state == "PARTIAL" and context.switches["q03_failed_inside_200"]:
        status, state = 200, "PROCESSED"
    if context.switches["q03_unknown_status"]:
        status, state, errors = 200, context.switches["q03_unknown_status"], None
    look = _Shown(status, state, batch["processed"], batch["failed"], batch["answers"], errors)
    return _body(context, batch, look)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What one look shows of a batch."""

    status: int
    word: str
    processed: int
    failed: int
    records: bytes | None
    errors: list[dict[str, str]] | None = None
    finished: bool = True


def _body(context: SandboxContext, batch: dict[str, Any], shown: _Shown) -> SandboxResponse:  # assumed (Q2)
    head: dict[str, Any] = {
        "batchUuid": batch["uuid"],
        "clientNo": context.client_no,
        "status": shown.word,
        "createdTime": stamp(from_epoch_ms(batch["received_ms"])),
        "processedTime": stamp(from_epoch_ms(batch["processed_ms"])) if shown.finished else None,
    }
    if context.switches["q02_counts"] == "present":
        head |= {"totalCount": batch["total"], "processedCount": shown.processed, "failedCount": shown.failed}
    if shown.errors:
        head["errors"] = shown.errors
    text = money.encode(head)
    if shown.records is None:
        return SandboxResponse(shown.status, text)
    key = money.encode(context.switches["q02_records_key"] or batch["resource"])
    return SandboxResponse(shown.status, b"".join([text[:-1], b",", key, b":", shown.records, b"}"]))
