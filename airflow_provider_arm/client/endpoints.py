"""Requests from method arguments, and results from responses: the part of the operations that both clients share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, TypeVar

from airflow_provider_arm import __version__
from airflow_provider_arm.client import money
from airflow_provider_arm.client.batch_state import BatchState, BatchStatus, classify_batch
from airflow_provider_arm.client.errors import ArmConfigurationError, FieldIssue, InvalidRecordError
from airflow_provider_arm.client.http.failures import describe_batch_rejections, field_issues
from airflow_provider_arm.client.http.messages import InvalidResponseError, RejectedResponseError, Request, Response
from airflow_provider_arm.client.http.redaction import mask
from airflow_provider_arm.client.http.urls import BaseUrl, fill_path
from airflow_provider_arm.client.models import ArmModel, AutoPostingsResponse, Batch, BatchReceipt, WriteResponse
from airflow_provider_arm.client.models.base import find_only_list, rename_keys
from airflow_provider_arm.client.models.file import FilesResponse
from airflow_provider_arm.client.operations import Operation, Replay, operations_of
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings

_HEADERS = {"Accept": "application/json", "User-Agent": f"airflow-provider-arm/{__version__}"}

M = TypeVar("M", bound=ArmModel)
#: Fields of records whose names are entries of the profile, by operation.
_FIELD_ENTRIES = {"update_ar_item": {"arItemId": "ar_item_id_key"}, "create_auto_postings": {"options": "options_key"}}
#: Entries of the profile that decide what a status of a written record means.
_STATUS_ENTRIES = "see write.status_key, success_words and failure_words in the readings"
#: A record as callers pass it: a model, or a mapping with wire names or Python names.
Record = ArmModel | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Builder of requests for one base URL, client number, user and readings profile."""

    base: BaseUrl
    client_no: int | None = None
    user_id: str | None = None
    readings: Readings = field(default=DEFAULT_READINGS, repr=False)
    #: Name of the connection, for messages.
    connection: str | None = None

    def for_client(self, client_no: int | None) -> Endpoints:
        """Return the endpoints of another client number; ``None`` keeps the current one."""
        return self if client_no is None else replace(self, client_no=client_no)

    def operation(self, name: str) -> Operation:
        """Return the row *name* of the operations table.

        :raises ArmConfigurationError: there is no such row; the message lists all names.
        """
        operations = operations_of(self.readings)
        try:
            return operations[name]
        except KeyError:
            msg = f"unknown operation {name!r}; the operations are {', '.join(sorted(operations))}"
            raise ArmConfigurationError(msg) from None

    def read_request(
        self,
        operation: Operation,
        path: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        language: str | None = None,
    ) -> Request:
        """Build a GET or DELETE.

        :param path: values for the path of the operation; the client number is added.
        :param params: query parameters.
        :param language: sent as ``Accept-Language`` (documented for reads of one resource).
        """
        headers = dict(_HEADERS)
        if language:
            headers["Accept-Language"] = language
        url = self.base.join(self.path(operation, path), params)
        return Request(operation, url, headers, connection=self.connection)

    def any_request(
        self, name: str, path: Mapping[str, Any] | None, params: Mapping[str, Any] | None, record: Any
    ) -> Request:
        """Build the request of any operation: a read if there is no *record*."""
        operation = self.operation(name)
        if record is None:
            return self.read_request(operation, path, params)
        return self.write_request(operation, record, path)

    def page_request(self, operation: Operation, params: Mapping[str, Any] | None, url: str | None) -> Request:
        """Build the request for one page of a list.

        :param params: query parameters of the list's path; ignored if there is a *url*.
        :param url: URL of the page, as ARM's ``nextPage`` names it.
        """
        if url is not None:
            return Request(operation, url, dict(_HEADERS), connection=self.connection)
        return self.read_request(operation, params=params)

    def write_request(
        self, operation: Operation, record: Any, path: Mapping[str, Any] | None = None, *, user_id: str | None = None
    ) -> Request:
        """Build a POST or PUT with the record or records under the operation's key, next to the user.

        Without a key the record is the whole body.

        :raises InvalidRecordError: an amount is a float or not finite.
        """
        writes = self.readings.write
        user = user_id or self.user_id
        body: dict[str, Any] = {}
        if user or writes.metadata_without_user:
            body[writes.metadata_key] = {writes.user_key: user} if user else {}
        if names := _FIELD_ENTRIES.get(operation.name):
            names = {field: getattr(writes, entry) for field, entry in names.items()}
            record = (
                [rename_keys(each, names) for each in record]
                if isinstance(record, list)
                else rename_keys(record, names)
            )
        content = record if operation.key is None else body | {operation.key: record}
        return self.raw_request(operation, self.path(operation, path), None, content)

    def encoded_request(self, operation: Operation, records: bytes) -> Request:
        """Build a POST or PUT of records that are already JSON text; the bytes are those of :meth:`write_request`."""
        empty = self.write_request(operation, []).body or b""
        return Request(
            operation,
            self.base.join(self.path(operation, None), None),
            {**_HEADERS, "Content-Type": "application/json"},
            _fill(empty, records),
            record=records,
            connection=self.connection,
        )

    def raw_request(self, operation: Operation, path: str, params: Mapping[str, Any] | None, body: Any) -> Request:
        """Build any request from a complete body.

        :raises InvalidRecordError: an amount is a float or not finite.
        """
        headers = dict(_HEADERS)
        data = None
        if body is not None:
            try:
                data = money.encode(body)
            except money.InexactNumberError as error:
                raise InvalidRecordError([FieldIssue("", str(error))]) from None
            headers["Content-Type"] = "application/json"
        url = self.base.join(path, params)
        return Request(operation, url, headers, data, record=body, connection=self.connection)

    def path(self, operation: Operation, values: Mapping[str, Any] | None = None) -> str:
        """Fill the path of an operation with *values* and the client number.

        :raises ArmConfigurationError: a value is missing or empty, or there is no client number.
        """
        if "{clientno}" in operation.path and self.client_no is None:
            raise ArmConfigurationError("client_no is missing: set it in the connection's extra or as an argument")
        return fill_path(operation.path, {"clientno": self.client_no, **(values or {})})


def ad_hoc_operation(method: str, path: str, replay: Replay | None) -> Operation:
    """Return an operation for a call that is not in the operations table.

    :param replay: default: ``safe`` for a GET, ``never`` for any other method.
    """
    method = method.upper()
    chosen = replay if replay is not None else Replay.SAFE if method == "GET" else Replay.NEVER
    return Operation("request", method, path, chosen, documented=False)


def to_wire(model: type[ArmModel] | None, record: Record) -> dict[str, Any]:
    """Validate one record with its model and return the JSON object to send.

    :param model: ``None`` skips the validation.
    :raises InvalidRecordError: with every invalid field.
    """
    if model is None:
        return record.to_wire() if isinstance(record, ArmModel) else dict(record)
    if isinstance(record, ArmModel):
        record = record.to_wire()
    return model.from_wire(dict(record)).to_wire()


def to_wire_list(model: type[ArmModel] | None, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Validate the records of a batch and return the JSON objects to send.

    :raises InvalidRecordError: with every invalid field of every record, named such as ``[3].name``.
    """
    issues: list[FieldIssue] = []
    wires = []
    for number, record in enumerate(records):
        try:
            wires.append(to_wire(model, record))
        except InvalidRecordError as error:
            issues += [FieldIssue(f"[{number}].{issue.field}".rstrip("."), issue.message) for issue in error.errors]
    if issues:
        raise InvalidRecordError(issues)
    return wires


def _fill(empty: bytes, records: bytes) -> bytes:
    """Put *records* in place of the empty list at the end of a body."""
    before, _, after = empty.rpartition(b"[]")
    return before + records + after


def read_json(response: Response) -> Any:
    """Decode a JSON body exactly; return ``None`` for 204."""
    return None if response.status == HTTPStatus.NO_CONTENT else money.decode(response.body)


def read_model(model: type[M]) -> Callable[[Response], M]:
    """Return a reader of one object."""

    def read(response: Response) -> M:
        return model.from_wire(money.decode(response.body))

    return read


def write_reader(record: Any, readings: Readings) -> Callable[[Response], WriteResponse]:
    """Return a reader of the response to one written record. Only a known success status counts as success.

    :param record: what was sent: an error must not repeat a person's data from it.
    """

    def read(response: Response) -> WriteResponse:
        body = rename_keys(money.decode(response.body), {readings.write.status_key: "status"})
        written = WriteResponse.from_wire(body)
        status = (written.status or "").upper()
        if status in readings.write.success_words:
            return written
        issues = field_issues(body, record)
        detail = "; ".join(str(issue) for issue in issues) or mask(written.message or "", record)
        reason = f"status {mask(status, record) or 'missing'}" + (f": {detail}" if detail else "")
        if status in readings.write.failure_words:
            raise RejectedResponseError(reason, issues)
        raise InvalidResponseError(f"{reason}; {_STATUS_ENTRIES}", retryable=False)

    return read


def postings_reader(record: Any, readings: Readings) -> Callable[[Response], AutoPostingsResponse]:
    """Return a reader of the response to a set of auto postings.

    ARM accepts all postings of a set or none (documented), so all statuses in the response must agree. A response that
    contradicts itself, or has no status, counts neither as success nor as rejection.

    :param record: what was sent: an error must not repeat a person's data from it.
    """

    def read(response: Response) -> AutoPostingsResponse:
        keys = {readings.write.status_key: "status"}
        body = rename_keys(money.decode(response.body), keys)
        if isinstance(body, Mapping):
            body = {
                name: [rename_keys(each, keys) for each in value] if isinstance(value, list) else value
                for name, value in body.items()
            }
        written = AutoPostingsResponse.from_wire(body)
        statuses = written.statuses()
        if statuses and statuses <= set(readings.write.success_words):
            return written
        issues = field_issues(body, record)
        details = [mask(written.message or "", record), describe_batch_rejections(body), *map(str, issues)]
        names = ", ".join(mask(status, record) for status in sorted(statuses)) or "missing"
        reason = "; ".join([f"status {names}", *filter(None, details)])
        if statuses and statuses <= set(readings.write.failure_words):
            raise RejectedResponseError(reason, issues)
        raise InvalidResponseError(f"{reason}; {_STATUS_ENTRIES}", retryable=False)

    return read


def files_reader(record: Any, readings: Readings) -> Callable[[Response], FilesResponse]:
    """Return a reader of the response to an upload of files. Each file must have a known status.

    :param record: the body that was sent, with the files in the order of their results.
    """
    sent = record if isinstance(record, list) else next(value for value in record.values() if isinstance(value, list))
    names = {readings.write.status_key: "status", readings.files.name_key: "fileName", readings.files.id_key: "fileId"}
    known = {*readings.write.success_words, *readings.write.failure_words}

    def read(response: Response) -> FilesResponse:
        body = rename_keys(money.decode(response.body), {readings.write.status_key: "status"})
        found = find_only_list(body, frozenset({"errors", "warnings"})) if isinstance(body, Mapping) else None
        files = [rename_keys(each, names) for each in found[1]] if found else []
        result = FilesResponse.from_wire({"files": files})
        statuses = [(each.status or "").upper() for each in result.files]
        if len(statuses) != len(sent) or not known.issuperset(statuses):
            reason = f"{len(sent)} files were sent, and the response has no known status for each; {_STATUS_ENTRIES}"
            raise InvalidResponseError(reason, retryable=False)
        return result

    return read


def receipt_reader(record: Any, readings: Readings) -> Callable[[Response], BatchReceipt]:
    """Return a reader of the response to a submitted batch.

    A response without a batchUuid is no success, because the batch could not be polled (Q1).

    :param record: what was sent: an error must not repeat a person's data from it.
    """

    def read(response: Response) -> BatchReceipt:
        key = readings.batch.uuid_key
        receipt = BatchReceipt.from_wire(rename_keys(money.decode(response.body), {key: "batchUuid"}))
        if not receipt.batch_uuid:
            detail = mask(response.body.decode(errors="replace"), record)
            reason = f"no {key} (batch.uuid_key), so the batch cannot be polled: {detail}"
            raise InvalidResponseError(reason, retryable=False)
        return receipt

    return read


def batch_reader(submitted: int | None, readings: Readings) -> Callable[[Response], BatchStatus]:
    """Return a reader of the state of a batch.

    :param submitted: number of records that were sent in it, if it is known.
    """

    def read(response: Response) -> BatchStatus:
        try:
            body = money.decode(response.body)
        except ValueError:
            status = classify_batch(response.status, None, readings, submitted)
            # A rejection with an empty body may come from ARM; with an HTML page it comes from a proxy.
            if status.state is BatchState.PENDING or (status.state.finished and not response.body.strip()):
                return status
            raise
        return classify_batch(response.status, body, readings, submitted)

    return read


#: Reader of a response whose model is more than a plain object, by model.
_READERS: dict[type[ArmModel] | None, Callable[[Any, Readings], Callable[[Response], Any]]] = {
    AutoPostingsResponse: postings_reader,
    Batch: batch_reader,
    BatchReceipt: receipt_reader,
    FilesResponse: files_reader,
    WriteResponse: write_reader,
}


def response_reader(operation: Operation, record: Any, readings: Readings) -> Callable[[Response], Any]:
    """Return the reader of the responses of *operation*, chosen by its row in the operations table.

    :param record: what was sent: an error must not repeat a person's data from it.
    """
    if operation.response is None:
        return read_json
    build = _READERS.get(operation.response)
    return read_model(operation.response) if build is None else build(record, readings)
