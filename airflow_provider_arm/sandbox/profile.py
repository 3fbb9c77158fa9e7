"""Translation between a readings profile and the defaults: the handlers know only the defaults.

A request has the names of the profile, and reaches its handler with those of the defaults. A default name that the
profile does not have is passed on as an unknown name, so that the handler refuses it. Responses go the other way.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote_plus, unquote_plus, urlencode

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings
from airflow_provider_arm.sandbox.api.routes import BASE_PATH, TOKEN_PATH, Route
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse

_DEFAULTS = DEFAULT_READINGS
#: Prefix of a default name that the profile does not have.
_UNKNOWN = "unknown-"
#: Operation in the profile, by the handler: of a batch of customers POST and PUT have one each.
_WRITES = {
    "post_customer": "upsert_customer",
    "put_customer": "update_customer",
    "submit_documents": "create_document_batch",
    "post_document": "create_document",
    "put_ar_item": "update_ar_item",
    "post_auto_postings": "create_auto_postings",
    "post_payment_reservation": "create_payment_reservation",
    "post_files": "upload_files",
    "post_action": "create_action",
    "post_report": "create_report",
}
_SINGLE_WRITES = {"post_customer", "put_customer", "delete_customer", "post_document", "put_ar_item"}
_SINGLE_WRITES |= {"post_payment_reservation", "post_auto_postings", "post_files", "post_action", "post_report"}
_SUBMITS = {"submit_customers", "submit_documents"}
_PAGE_ADDRESS = re.compile(rb"[?&](query|pageno)=")
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ProfileTranslator:
    """Translator for one profile."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._is_default = readings == _DEFAULTS
        defaults = _DEFAULTS.paths.model_dump()
        #: Method, path of the profile and default path of each operation whose path differs.
        self._paths = [
            ("POST" if name.startswith("create_") else "GET", _pattern(path), BASE_PATH + defaults[name])
            for name, path in readings.paths.model_dump().items()
            if path != defaults[name]
        ]

    # ---- requests

    def translate_path(self, method: str, path: str) -> str:
        """Return the default path for a path of the profile. A default path that the profile lacks does not exist."""
        for its_method, pattern, default in self._paths:
            if method == its_method and (match := pattern.match(path)):
                return str(default.format(**match.groupdict()))
        for its_method, _, default in self._paths:
            if method == its_method and _pattern(default.removeprefix(BASE_PATH)).match(path):
                return f"/{_UNKNOWN}path"
        return path

    def translate_request(self, request: SandboxRequest, route: Route | None) -> SandboxRequest:
        """Return a request with the default names.

        :raises HttpError: the metadata that the profile requires is missing.
        """
        if self._is_default:
            return request
        if request.path == TOKEN_PATH:
            return self._token_request(request)
        if route is None:
            return request
        name = route.handler.__name__
        operation = self._write_operation(name, request.method)
        changed = replace(request)
        if name.startswith("list_"):
            changed.query = self._query(request.query, name)
        elif operation is not None and request.body:
            changed.body = self._body(request, operation)
        return changed

    def _token_request(self, request: SandboxRequest) -> SandboxRequest:
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        calls = self._readings.calls
        if calls.token_auth == "basic":  # noqa: S105 - a name of a method
            form = {name: value for name, value in form.items() if name not in {"client_id", "client_secret"}}
            scheme, _, text = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() == "basic":
                pair = base64.b64decode(text).decode("utf-8", "replace").partition(":")
                form |= {"client_id": unquote_plus(pair[0]), "client_secret": unquote_plus(pair[2])}
        if calls.token_scope is not None and form.get("scope") != calls.token_scope:
            form.pop("client_secret", None)
        return replace(request, body=urlencode(form, quote_via=quote_plus).encode())

    def _query(self, query: str, name: str) -> str:
        lists, defaults = self._readings.lists, _DEFAULTS.lists
        names = dict(_pairs(lists.parameters.model_dump(), defaults.parameters.model_dump()))
        dates, excluded = self._window_names(name)
        names |= dates
        known = {*defaults.parameters.model_dump().values(), *_window_filters(_DEFAULTS)}
        pairs = []
        for key, given in parse_qsl(query, keep_blank_values=True):
            value = _day_before(given) if key in excluded else given
            new = names.get(key, _UNKNOWN + key if key in known else key)
            pairs.append((new, value))
        if lists.parameters.query not in dict(parse_qsl(query)):
            pairs = (
                _clamp(pairs, "maximumcount", lists.max_records) if lists.max_records < defaults.max_records else pairs
            )
        return urlencode(_clamp_given(pairs, "pagesize", lists.max_page_size))

    def _window_names(self, name: str) -> tuple[dict[str, str], set[str]]:
        """Return the default names of the filters of windows, and the filters whose bound is not included."""
        filters, defaults = self._readings.filters, _DEFAULTS.filters.windows
        names: dict[str, str] = {}
        excluded = set()
        for by, window in filters.windows.items():
            # A date that only the profile has selects by the date that every record of the list has.
            same = defaults.get(by, defaults["documentdate" if name == "list_documents" else "voucherdate"])
            if by == filters.created_window:
                same = defaults["createdtime"]
            names |= {window.first: same.first, window.last: same.last}
            if not window.last_included:
                excluded.add(window.last)
        return names, excluded

    def _body(self, request: SandboxRequest, operation: str) -> bytes:
        body = request.json()
        key: str | None = getattr(self._readings.record_keys, operation)
        default: str = getattr(_DEFAULTS.record_keys, operation)
        if key is None:
            return money.encode(self._fields({default: body}, operation, default))
        if not isinstance(body, dict):
            return request.body
        write, defaults = self._readings.write, _DEFAULTS.write
        if write.metadata_without_user and write.metadata_key not in body:
            raise HttpError(422, "The metadata is missing", [Problem("Metadata", "required")])
        body = _rename(body, {write.metadata_key: defaults.metadata_key, key: default})
        if isinstance(metadata := body.get(defaults.metadata_key), dict):
            body[defaults.metadata_key] = _rename(metadata, {write.user_key: defaults.user_key})
        return money.encode(self._fields(body, operation, default))

    def _fields(self, body: dict[str, Any], operation: str, key: str) -> dict[str, Any]:
        """Rename the fields of the record or records of a write."""
        write, files = self._readings.write, self._readings.files
        names = {
            "update_ar_item": {write.ar_item_id_key: _DEFAULTS.write.ar_item_id_key},
            "create_auto_postings": {write.options_key: _DEFAULTS.write.options_key},
            "upload_files": {files.name_key: _DEFAULTS.files.name_key, files.content_key: _DEFAULTS.files.content_key},
        }.get(operation)
        given = body.get(key)
        if names is None or given is None:
            return body
        return {
            **body,
            key: [_rename(each, names) for each in given] if isinstance(given, list) else _rename(given, names),
        }

    @staticmethod
    def _write_operation(name: str, method: str) -> str | None:
        if name == "submit_customers":
            return "create_customer_batch" if method == "POST" else "update_customer_batch"
        return _WRITES.get(name)

    # ---- responses

    def translate_response(
        self, request: SandboxRequest, route: Route | None, response: SandboxResponse
    ) -> SandboxResponse:
        """Return a response with the names, words and codes of the profile.

        :param request: as the client sent it.
        """
        if self._is_default or route is None or not response.body.startswith(b"{"):
            return response
        name = route.handler.__name__
        translate: Callable[[SandboxRequest, SandboxResponse], SandboxResponse] | None = None
        if name.startswith("list_"):
            translate = self._list_response if name != "list_gl_items" else self._gl_list_response
        elif name == "get_batch":
            translate = self._batch_response
        elif name == "get_gl_item" and response.status == HTTPStatus.OK:
            response.body = money.encode(self._gl_item(money.decode(response.body)))
        elif name in _SUBMITS:
            uuid_key = {_DEFAULTS.batch.uuid_key: self._readings.batch.uuid_key}
            response.body = money.encode(_rename(money.decode(response.body), uuid_key))
        elif name in _SINGLE_WRITES:
            response.body = money.encode(self._written(money.decode(response.body)))
        return response if translate is None else translate(request, response)

    def translate_error(self, error: HttpError) -> HttpError:
        """Return an error with the code of the profile: that of an expired query."""
        codes = self._readings.lists.expired_codes
        if error.status == HTTPStatus.GONE and HTTPStatus.GONE not in codes:
            error.status = codes[0]
        return error

    def _written(self, body: Any) -> Any:
        """Translate status and words of a write, and of the records in it."""
        if isinstance(body, list):
            return [self._written(each) for each in body]
        if not isinstance(body, dict) or "status" not in body:
            return body
        write = self._readings.write
        words = {"PROCESSED": write.success_words, "FAILED": write.failure_words}
        body = {name: self._written(value) if isinstance(value, list) else value for name, value in body.items()}
        names = dict(_pairs(_DEFAULTS.files.model_dump(), self._readings.files.model_dump()))
        return _rename(body | {"status": _word(body["status"], words)}, {**names, "status": write.status_key})

    def _batch_response(self, _: SandboxRequest, response: SandboxResponse) -> SandboxResponse:
        batch = self._readings.batch
        body = money.decode(response.body)
        if "batchUuid" not in body:  # an error
            return response
        pending = {"RECEIVED": batch.pending_words, "PROCESSING": batch.pending_words}
        words = pending | {"PROCESSED": batch.success_words, "PARTIAL": batch.partial_words}
        write = {"PROCESSED": self._record_words(), "FAILED": self._readings.write.failure_words} | pending
        for resource in ("customers", "documents"):
            if resource in body:
                names = {"status": self._readings.write.status_key, "recordNo": batch.record_number_key}
                records = [_rename(each | {"status": _word(each["status"], write)}, names) for each in body[resource]]
                body = {key: records if key == resource else value for key, value in body.items()}
                body = _rename(body, {resource: batch.records_key or resource})
        body["status"] = _word(body["status"], words | {"REJECTED": batch.failure_words})
        names = {
            "batchUuid": batch.uuid_key,
            "status": batch.status_key,
            "totalCount": batch.total_key,
            "processedCount": batch.processed_key,
            "failedCount": batch.failed_key,
            "errors": batch.errors_key,
        }
        partial = next(
            (code for code in batch.finished_codes if code not in batch.success_codes), batch.finished_codes[0]
        )
        codes = {200: batch.success_codes[0], 202: batch.pending_codes[0], 206: partial, 406: batch.rejected_codes[0]}
        status = codes.get(response.status, response.status)
        return replace(response, status=status, body=money.encode(_rename(body, names)))

    def _record_words(self) -> tuple[str, ...]:
        """Return the words of an accepted record in a batch: those of a write, unless only those of a batch differ."""
        words = self._readings.write.success_words
        return self._readings.batch.success_words if words == _DEFAULTS.write.success_words else words

    def _list_response(self, request: SandboxRequest, response: SandboxResponse) -> SandboxResponse:
        lists = self._readings.lists
        body = _raw_object.decode(response.body)
        if "summary" not in body:
            return response
        keys = dict(_pairs(_DEFAULTS.lists.record_keys.model_dump(), lists.record_keys.model_dump()))
        (key,) = (name for name in body if name != "summary")
        if (
            lists.empty_is_404
            and bytes(body[key]) == b"[]"
            and lists.parameters.query not in request.query_parameters()
        ):
            return SandboxResponse(404, b'{"status":"FAILED","message":"No records found"}')
        names = {b"query": lists.parameters.query.encode(), b"pageno": lists.parameters.page_number.encode()}
        summary = _PAGE_ADDRESS.sub(lambda match: match[0][:1] + names[match[1]] + b"=", bytes(body["summary"]))
        renamed = {lists.summary_key: msgspec.Raw(summary), keys.get(key, key): body[key]}
        return replace(response, body=msgspec.json.encode(renamed))

    def _gl_list_response(self, request: SandboxRequest, response: SandboxResponse) -> SandboxResponse:
        if response.status == HTTPStatus.OK:
            body = money.decode(response.body)
            response.body = money.encode(
                {
                    key: [self._gl_item(each) for each in value] if isinstance(value, list) else value
                    for key, value in body.items()
                }
            )
        return self._list_response(request, response)

    def _gl_item(self, item: Any) -> Any:
        return _rename(item, dict(_pairs(_DEFAULTS.gl_items.model_dump(), self._readings.gl_items.model_dump())))


def _pattern(path: str) -> re.Pattern[str]:
    """Return the pattern of a path under the base path, with its names in braces as groups."""
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", BASE_PATH + path) + "$")


def _pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Return the values of two sections by pairs."""
    return [(value, second[name]) for name, value in first.items()]


def _rename(body: Any, names: Mapping[str, str]) -> Any:
    """Rename keys of an object; a key that another one is renamed to gets a name that nothing else has."""
    if not isinstance(body, dict):
        return body
    targets = {new for old, new in names.items() if old != new}
    return {names.get(key, _UNKNOWN + key if key in targets else key): value for key, value in body.items()}


def _window_filters(readings: Readings) -> set[str]:
    return {name for window in readings.filters.windows.values() for name in window.names}


def _word(word: str, words: Mapping[str, tuple[str, ...]]) -> str:
    """Return the word of the profile: the same one if the profile has it."""
    return word if word not in words or word in words[word] else words[word][0]


def _day_before(value: str) -> str:
    """Return the last day or millisecond before a bound that is not included."""
    try:
        return (dt.date.fromisoformat(value) - dt.timedelta(days=1)).isoformat()
    except ValueError:
        pass
    try:
        return (dt.datetime.fromisoformat(value) - dt.timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
    except ValueError:
        return value


def _clamp(pairs: list[tuple[str, str]], name: str, limit: int) -> list[tuple[str, str]]:
    """Set a limit, also if none was given."""
    given = dict(pairs).get(name, str(limit))
    value = str(min(int(given), limit)) if given.isdecimal() else given
    return [*((key, text) for key, text in pairs if key != name), (name, value)]


def _clamp_given(pairs: list[tuple[str, str]], name: str, limit: int) -> list[tuple[str, str]]:
    return _clamp(pairs, name, limit) if name in dict(pairs) else pairs
