"""OpenAPI document of the sandbox, built from the tables that its validation uses."""

from __future__ import annotations

from typing import Any

from airflow_provider_arm.sandbox.api import ar_items, customers, documents, gl_items, titles
from airflow_provider_arm.sandbox.api.lists import ListDefinition
from airflow_provider_arm.sandbox.api.payments import METHODS
from airflow_provider_arm.sandbox.api.routes import BASE_PATH, ROUTES, TOKEN_PATH, Route
from airflow_provider_arm.sandbox.api.validation import AMOUNT_LIMIT, MAX_INTEGER, MAX_TEXT
from airflow_provider_arm.sandbox.record_fields import (
    AR_ITEM,
    AR_ITEM_UPDATE,
    AUTO_POSTING,
    CUSTOMER,
    DOCUMENT,
    PAYMENT_RESERVATION,
    Field,
)

Schema = dict[str, Any]

_DATE_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

_TYPES: dict[str, Schema] = {
    "text": {"type": "string", "maxLength": MAX_TEXT},
    "integer": {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
    "number": {"type": "number", "exclusiveMinimum": -AMOUNT_LIMIT, "exclusiveMaximum": AMOUNT_LIMIT},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date", "pattern": _DATE_PATTERN},
    "time": {"type": "string", "format": "date-time"},
    "texts": {"type": "array", "items": {"type": "string", "maxLength": MAX_TEXT}},
    "emails": {"type": "array", "items": {"type": "string", "maxLength": MAX_TEXT}},
    "anything": {},
    "currency": {"type": "string", "pattern": "^[A-Za-z]{3}$"},
    "country": {"type": "string"},
    "language": {"type": "string", "pattern": "^[A-Za-z]{2}$"},
    "organization": {"type": "string"},
    "kid": {"type": "string"},
}

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}

#: Errors that every operation can return.
_ERRORS = {"400": "Bad request", "401": "Unauthorized", "403": "Forbidden", "404": "Not found", "405": "Wrong method"}
_WRITE_ERRORS = {**_ERRORS, "413": "Too large", "422": "Refused"}


def document(origin: str) -> dict[str, Any]:
    """Build the document of a sandbox at *origin*."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    paths[TOKEN_PATH] = {"post": _token()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ARM sandbox",
            "version": "1",
            "description": "Stand-in for Amili's ARM API with synthetic data. Amili publishes no such document: "
            "where the reference is silent, the sandbox makes assumptions.",
        },
        "servers": [{"url": origin}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": _schemas(),
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    summary = (route.handler.__doc__ or "").strip().splitlines()[0] if route.handler.__doc__ else "Health"
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__.strip("_") + ("_update" if _is_batch_update(route) else ""),
        "summary": summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route),
    }
    if not route.needs_token:
        operation["security"] = []
    name = _BODIES.get(_key(route))
    if name is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(name)}}}
    return operation


def _is_batch_update(route: Route) -> bool:
    return route.method == "PUT" and route.template.endswith("/batches")


def _key(route: Route) -> str:
    return f"{route.method} {route.template.removeprefix(BASE_PATH).removeprefix('/clients/{clientno}')}"


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in route.template.split("/") if part.startswith("{")]
    schemas: dict[str, Schema] = {"clientno": _WHOLE, "autopostingmethod": {"type": "string", "enum": list(METHODS)}}
    default = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": schemas.get(name, default)} for name in names]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    definition = _LISTS.get(_key(route))
    if definition is None:
        names = {"DELETE": ("options", "userid"), "GET": ("userid",)}.get(route.method, ())
        return [_query(name, _TEXT) for name in names if route.needs_token]
    numbers = ("maximumcount", "pagesize", "pageno")
    found = [_query(name, {"type": "integer", "minimum": 1}) for name in numbers]
    found += [_query(name, _FILTERS.get(name, _TEXT)) for name in definition.filters]
    return [*found, _query("query", _TEXT), _query("userid", _TEXT), _query("expand", _TEXT)]


#: Schemas of filters whose values are not free text.
_FILTERS: dict[str, Schema] = {
    **{
        f"{bound}{what}date": {"type": "string", "format": "date"}
        for bound in ("from", "to")
        for what in ("voucher", "due", "document")
    },
    "fromcreatedtime": {"type": "string", "format": "date-time"},
    "tocreatedtime": {"type": "string", "format": "date-time"},
    "onlyopen": {"type": "boolean"},
    "glyear": _WHOLE,
    "glperiod": _WHOLE,
}


def _query(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _responses(route: Route) -> dict[str, Any]:
    responses = {status: _content(name) for status, name in _RESPONSES[_key(route)].items()}
    errors = _ERRORS if route.method in ("GET", "DELETE") else _WRITE_ERRORS
    for status, text in errors.items():
        responses.setdefault(status, _content("Error", text))
    if _key(route) in _LISTS:
        responses.setdefault("410", _content("Error", "The query has expired"))
    return responses


def _content(name: str, description: str = "") -> dict[str, Any]:
    return {"description": description or name, "content": {"application/json": {"schema": _ref(name)}}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_LISTS: dict[str, ListDefinition] = {
    "GET /customers": customers.CUSTOMER_LIST,
    "GET /aritems": ar_items.AR_ITEM_LIST,
    "GET /documents": documents.DOCUMENT_LIST,
    "GET /glitems": gl_items.GL_ITEM_LIST,
}

#: Schema of the request body, by operation.
_BODIES = {
    "POST /customers": "CustomerRequest",
    "PUT /customers": "CustomerRequest",
    "POST /customers/batches": "CustomerBatchRequest",
    "PUT /customers/batches": "CustomerBatchRequest",
    "PUT /aritems": "ArItemRequest",
    "POST /documents": "DocumentRequest",
    "POST /documents/batches": "DocumentBatchRequest",
    "POST /autopostings/{autopostingmethod}": "AutoPostingsRequest",
    "POST /paymentreservations": "PaymentReservationRequest",
    "POST /files": "FilesRequest",
    "POST /actions": "ActionRequest",
    "POST /actions/reports": "ReportRequest",
}

#: Schema of the responses, by operation and status. The common errors are added to each.
_RESPONSES = {
    "GET /health": {"200": "Health"},
    "GET /customers": {"200": "CustomerList"},
    "POST /customers": {"200": "WriteResponse", "201": "WriteResponse", "422": "WriteFailure"},
    "PUT /customers": {"200": "WriteResponse", "404": "WriteFailure", "422": "WriteFailure"},
    "POST /customers/batches": {"202": "BatchReceipt"},
    "PUT /customers/batches": {"202": "BatchReceipt"},
    "GET /customers/{customerno}": {"200": "Customer"},
    "DELETE /customers/{customerno}": {"200": "WriteResponse", "422": "WriteFailure"},
    "GET /batches/{batchuuid}": {"200": "Batch", "202": "Batch", "206": "Batch", "406": "Batch"},
    "GET /aritems": {"200": "ArItemList"},
    "PUT /aritems": {"200": "WriteResponse", "404": "WriteFailure", "422": "WriteFailure"},
    "GET /aritems/{aritemid}": {"200": "ArItem"},
    "GET /documents": {"200": "DocumentList"},
    "POST /documents": {"201": "WriteResponse", "422": "WriteFailure"},
    "POST /documents/batches": {"202": "BatchReceipt"},
    "GET /documents/{documentno}": {"200": "Document"},
    "POST /autopostings/{autopostingmethod}": {"200": "AutoPostingsResponse", "422": "AutoPostingsFailure"},
    "POST /paymentreservations": {"201": "WriteResponse", "422": "WriteFailure"},
    "POST /files": {"200": "FilesResponse", "207": "FilesResponse", "422": "FilesFailure"},
    "GET /glitems": {"200": "GlItemList"},
    "GET /glitems/{glitemid}": {"200": "GlItem"},
    **{f"GET /{path}": {"200": "TitledList"} for path in titles.HANDLERS},
    **{f"GET /{path}": {"200": "TitledRecord"} for path in titles.RECORD_HANDLERS},
    "POST /actions": {"201": "TitledRecord"},
    "POST /actions/reports": {"201": "TitledRecord"},
}


def _schemas() -> dict[str, Schema]:
    lists = {"Customer": "customers", "ArItem": "arItems", "Document": "documents", "GlItem": "glItems"}
    return {
        "Customer": _read(CUSTOMER),
        "Document": _read(DOCUMENT),
        "ArItem": _read(AR_ITEM),
        "GlItem": _gl_item(),
        **{f"{name}List": _list_of(name, plural) for name, plural in lists.items()},
        "CustomerRequest": _wrapped("customer", _write(CUSTOMER)),
        "CustomerBatchRequest": _wrapped("customers", _batch_of(CUSTOMER)),
        "DocumentRequest": _wrapped("document", _write(DOCUMENT)),
        "DocumentBatchRequest": _wrapped("documents", _batch_of(DOCUMENT)),
        "ArItemRequest": _wrapped("arItem", _write(AR_ITEM_UPDATE)),
        "AutoPostingsRequest": _wrapped("autoPostings", _batch_of(AUTO_POSTING)),
        "PaymentReservationRequest": _wrapped("paymentReservation", _write(PAYMENT_RESERVATION)),
        "FilesRequest": _wrapped("files", {"type": "array", "minItems": 1, "items": {"type": "object"}}),
        "ActionRequest": _wrapped("action", {"type": "object"}),
        "ReportRequest": _wrapped("report", {"type": "object"}),
        **_response_schemas(),
    }


def _response_schemas() -> dict[str, Schema]:
    problems = {"type": "array", "items": _closed({"field": _TEXT, "message": _TEXT})}
    keys = {"clientNo": _WHOLE, "accountNo": _WHOLE}
    keys |= dict.fromkeys(("customerNo", "documentNo", "arItemId", "creditNoteArItemId", "paymentId"), _TEXT)
    written = {"status": _enum("PROCESSED"), "result": _enum("CREATED", "UPDATED", "DELETED"), "message": _TEXT}
    failed = {"status": _enum("FAILED"), "result": _enum("REJECTED"), "message": _TEXT}
    error = _closed({"status": _enum("FAILED"), "message": _TEXT, "errors": problems}, "errors")
    failure = _closed({**failed, **keys, "errors": problems}, *keys, "errors")
    posting = {"recordNo": _WHOLE, "status": _TEXT, "resultType": _TEXT, "arItemId": _TEXT, "errors": problems}
    postings = {"type": "array", "items": _closed(posting, "arItemId", "errors")}
    posted = {"status": _TEXT, "message": _TEXT, "autoPostings": postings}
    file = {"fileName": _TEXT, "fileId": _TEXT, "status": _TEXT, "message": _TEXT, "errors": problems}
    files = _closed({"status": _TEXT, "files": {"type": "array", "items": _closed(file, "fileId", "errors")}})
    token = dict.fromkeys(("access_token", "token_type"), _TEXT)
    token |= dict.fromkeys(("not_before", "expires_in", "expires_on"), _WHOLE)
    return {
        "Health": _closed({"status": _TEXT}),
        "Error": error,
        "WriteResponse": _closed({**written, **keys, "warnings": problems}, *keys, "warnings"),
        "WriteFailure": {"anyOf": [failure, error]},
        "BatchReceipt": _closed({"status": _TEXT, "batchUuid": _TEXT, "message": _TEXT, "clientNo": _WHOLE}),
        "Batch": _batch(keys, problems),
        "FilesResponse": files,
        "FilesFailure": {"anyOf": [files, error]},
        "PageSummary": _page_summary(),
        "TitledRecord": {"type": "object"},
        "TitledList": {"type": "object", "required": ["summary"]},
        "AutoPostingsResponse": _closed(posted),
        "AutoPostingsFailure": {"anyOf": [_closed(posted), error]},
        "Token": _closed({**token, "resource": _TEXT}),
        "TokenError": _closed({"error": _TEXT, "error_description": _TEXT}),
    }


def _batch(keys: dict[str, Schema], problems: Schema) -> Schema:
    record = {"recordNo": _WHOLE, "status": _TEXT, "result": _TEXT, "message": _TEXT, **keys}
    record |= {"warnings": problems, "errors": problems}
    optional = [name for name in record if name not in {"recordNo", "status"}]
    records = {"type": "array", "items": _closed(record, *optional)}
    head = {"batchUuid": _TEXT, "clientNo": _WHOLE, "status": _TEXT, "createdTime": _TEXT, "processedTime": _MAYBE_TEXT}
    counts = dict.fromkeys(("totalCount", "processedCount", "failedCount"), _WHOLE)
    both = {"errors": problems, "customers": records, "documents": records}
    return _closed({**head, **counts, **both}, *both)


def _page_summary() -> Schema:
    whole = ("pageNo", "currentPageSize", "pageSizeLimit", "totalPages", "totalCount", "maximumCount")
    text = {"nextPage": _MAYBE_TEXT, "lastPage": _TEXT, "queryId": _TEXT}
    return _closed({**dict.fromkeys(whole, _WHOLE), **text})


def _token() -> dict[str, Any]:
    form = dict.fromkeys(("grant_type", "client_id", "client_secret"), _TEXT)
    schema = {"type": "object", "properties": form, "required": list(form)}
    responses = {"200": _content("Token"), "400": _content("TokenError"), "401": _content("TokenError")}
    responses |= {"405": _content("Error", "Wrong method"), "413": _content("Error", "Too large")}
    return {
        "operationId": "token",
        "summary": "Get a token",
        "security": [],
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}},
        "responses": responses,
    }


def _enum(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _closed(properties: dict[str, Schema], *optional: str) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _object(fields: tuple[Field, ...], *, writing: bool) -> Schema:
    accepted = [f for f in fields if not (f.read_only if writing else f.write_only)]
    properties = {f.name: _of(f, writing=writing) for f in accepted}
    return _closed(properties, *(f.name for f in accepted if not f.required))


def _read(fields: tuple[Field, ...]) -> Schema:
    return _object(fields, writing=False)


def _write(fields: tuple[Field, ...]) -> Schema:
    return _object(fields, writing=True)


def _of(f: Field, *, writing: bool) -> Schema:
    if f.kind == "object":
        schema = _object(f.fields, writing=writing)
    elif f.kind == "objects":
        schema = {"type": "array", "items": _object(f.fields, writing=writing)}
    else:
        schema = _TYPES[f.kind]
    if f.required and f.kind == "text":
        return {**schema, "minLength": 1}
    return schema


def _gl_item() -> Schema:
    known = {f.name: _of(f, writing=False) for f in AR_ITEM}
    own = {"clientNo": _WHOLE, "glItemId": _TEXT, "glAccountNo": _TEXT}
    return _closed(own | {name: known[name] for name in gl_items.COPIED_FIELDS})


def _list_of(name: str, plural: str) -> Schema:
    return _closed({"summary": _ref("PageSummary"), plural: {"type": "array", "items": _ref(name)}})


def _batch_of(fields: tuple[Field, ...]) -> Schema:
    return {"type": "array", "minItems": 1, "maxItems": 1000, "items": _write(fields)}


def _wrapped(key: str, schema: Schema) -> Schema:
    metadata = {"type": "object", "properties": {"userId": _TEXT}, "additionalProperties": False}
    return _closed({"metadata": metadata, key: schema}, "metadata")
