"""Uploads of files, and operations that the reference names by title only. Paths, keys and fields are invented."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from airflow_provider_arm.sandbox.api.lists import MAXIMUM_COUNT, check_parameters, parameter_error, parse_integer
from airflow_provider_arm.sandbox.api.writing import natural_key, read_envelope
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.state.context import SandboxContext

#: Bytes of one file. # assumed
MAX_FILE_BYTES = 10_000_000

_CREATED = "2025-02-27T17:03:36.176+01:00"

#: Name of the list, key of its records, and the records, by the end of its path.
_LISTS: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "logitems": (
        "log_items",
        "logItems",
        [
            {"logItemId": "1", "createdTime": _CREATED, "text": "Invoice booked", "documentNo": "88776655"},
            {"logItemId": "2", "createdTime": "2025-03-10T09:12:05.250+01:00", "text": "Payment booked"},
        ],
    ),
    "documentbundles": (
        "document_bundles",
        "documentBundles",
        [{"documentBundleId": "B-1", "documentNos": ["88776655"]}],
    ),
    "clientconfigs": ("client_configs", "clientConfigs", [{"name": "currency", "value": "NOK"}]),
    "codes": (
        "codes",
        "codes",
        [
            {"codeType": "customerCategory", "code": "CONS", "description": "Consumer"},
            {"codeType": "customerCategory", "code": "BUS", "description": "Business"},
        ],
    ),
    "glmovements": (
        "gl_movements",
        "glMovements",
        [{"glAccountNo": "1500", "glYear": 2025, "glPeriod": 2, "currency": "NOK", "currencyAmount": 625}],
    ),
    "insights/adbintervals": (
        "adb_intervals",
        "adbIntervals",
        [{"fromDays": 0, "toDays": 30}, {"fromDays": 31, "toDays": 60}],
    ),
}
_PARAMETERS = {"maximumcount", "pagesize", "pageno", "userid", "expand", "query"}


def _respond_with_list(
    context: SandboxContext, request: SandboxRequest, key: str, records: list[dict[str, Any]]
) -> SandboxResponse:
    check_parameters(request, _PARAMETERS)
    parameters = request.query_parameters()
    if parse_integer("pageno", parameters.get("pageno", "1")) != 1:
        raise parameter_error("pageno", "must be 1: the list has one page")
    summary: dict[str, Any] = {
        "pageNo": 1,
        "currentPageSize": len(records),
        "totalPages": 1,
        "totalCount": len(records),
    }
    summary |= {"maximumCount": MAXIMUM_COUNT, "nextPage": None, "queryId": context.short_id("query")}
    return json_response(200, {"summary": summary, key: records})


def _build_handler(
    name: str, key: str, records: list[dict[str, Any]]
) -> Callable[[SandboxContext, SandboxRequest], SandboxResponse]:
    def respond(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
        return _respond_with_list(context, request, key, records)

    respond.__name__ = f"list_{name}"
    respond.__doc__ = f"Return a list of {name.replace('_', ' ')}."
    return respond


#: Handler of each list, by the end of its path.
HANDLERS = {path: _build_handler(*definition) for path, definition in _LISTS.items()}


def list_files(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return a list of the uploaded files, without their content."""
    files = [{name: value for name, value in file.items() if name != "content"} for file in context.files]
    return _respond_with_list(context, request, "files", files)


HANDLERS["files"] = list_files


def _get_record(records: list[dict[str, Any]], request: SandboxRequest) -> SandboxResponse:
    """Return the record whose first field is the last part of the path."""
    identifier = request.path_segments()[-1]
    for record in records:
        if next(iter(record.values())) == identifier:
            return json_response(200, record)
    raise HttpError(404, "Not found")


def get_log_item(_: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return one log item."""
    return _get_record(_LISTS["logitems"][2], request)


def get_document_bundle(_: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return one document bundle."""
    return _get_record(_LISTS["documentbundles"][2], request)


def get_client_config(_: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return one client configuration."""
    return _get_record(_LISTS["clientconfigs"][2], request)


def get_gl_balance(_: SandboxContext, __: SandboxRequest) -> SandboxResponse:
    """Return the movement of the latest closed GL period."""
    return json_response(200, _LISTS["glmovements"][2][-1])


def get_file(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return one uploaded file with its content."""
    return _get_record(context.files, request)


def check_health(_: SandboxContext, __: SandboxRequest) -> SandboxResponse:
    """Return that the sandbox runs."""
    return json_response(200, {"status": "Healthy"})


def post_action(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Accept an action, without an effect on the ledger."""
    return _accept(context, request, "action")


def post_report(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Accept a report to generate; none is generated."""
    return _accept(context, request, "report")


def _accept(context: SandboxContext, request: SandboxRequest, key: str) -> SandboxResponse:
    if not isinstance(read_envelope(request, key), dict):
        raise HttpError(422, "Refused", [Problem(key.capitalize(), "must be an object")])
    identifier = context.uuid(key)
    context.effects.record(f"{key}s", identifier, "created", request.number)
    return json_response(201, {"status": "PROCESSED", "result": "CREATED", f"{key}Id": identifier})


#: Handler of each operation for one record, by the end of its path.
RECORD_HANDLERS = {
    "logitems/{logitemid}": get_log_item,
    "documentbundles/{documentbundleid}": get_document_bundle,
    "clientconfigs/{configkey}": get_client_config,
    "glmovements/latest": get_gl_balance,
    "files/{fileid}": get_file,
}


def post_files(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Store files; documented: 207 if their statuses differ. They are kept in memory only."""
    files = read_envelope(request, "files")
    if not isinstance(files, list) or not files:
        raise HttpError(422, "Files must be a list", [Problem("Files", "must be a list that is not empty")])
    results = [_store_file(context, file, request.number) for file in files]
    failed = sum(result["status"] == "FAILED" for result in results)
    status = 422 if failed == len(results) and len(results) == 1 else 207 if failed else 200
    return json_response(status, {"status": "FAILED" if failed == len(results) else "PROCESSED", "files": results})


def _store_file(context: SandboxContext, file: Any, request_no: int) -> dict[str, Any]:
    name = natural_key(file, "fileName")
    content = file.get("content") if isinstance(file, dict) else None
    try:
        size = len(base64.b64decode(content, validate=True)) if isinstance(content, str) else 0
    except ValueError:
        size = 0
    if name is None or not size or size > MAX_FILE_BYTES:
        reason = "must be base64 of 1 to 10,000,000 bytes" if name else "required"
        problem = {"field": "Content" if name else "FileName", "message": reason}
        return {"fileName": name or "", "status": "FAILED", "message": "File not stored", "errors": [problem]}
    file_id = context.uuid("file")
    context.files.append({"fileId": file_id, "fileName": name, "size": size, "content": content})
    context.effects.record("files", name, "created", request_no)
    return {"fileName": name, "fileId": file_id, "status": "PROCESSED", "message": "File stored"}
