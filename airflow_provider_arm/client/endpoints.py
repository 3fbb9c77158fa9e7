"""From a method call to a request and back: what both clients share of the operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_arm import __version__
from airflow_provider_arm.client import money
from airflow_provider_arm.client.batch_state import BatchState, BatchStatus, classify_batch
from airflow_provider_arm.client.errors import ArmConfigurationError, FieldIssue, InvalidRecordError
from airflow_provider_arm.client.http.failures import describe_batch_rejections, field_issues
from airflow_provider_arm.client.http.messages import InvalidResponseError, RejectedResponseError, Request, Response
from airflow_provider_arm.client.http.redaction import mask
from airflow_provider_arm.client.http.urls import BaseUrl, fill_path
from airflow_provider_arm.client.models import ArmModel, AutoPostingsResponse, Batch, BatchReceipt, WriteResponse
from airflow_provider_arm.client.operations import OPERATIONS, Operation, Replay

if TYPE_CHECKING:
    from airflow_provider_arm.client.assumptions import Assumptions

_HEADERS = {"Accept": "application/json", "User-Agent": f"airflow-provider-arm/{__version__}"}

M = TypeVar("M", bound=ArmModel)
#: A record as the caller has it: a model, or a mapping by wire or Python names.
Record = ArmModel | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Builds requests for one base URL, client number and user."""

    base: BaseUrl
    client_no: int | None = None
    user_id: str | None = None

    def for_client(self, client_no: int | None) -> Endpoints:
        """Give the same for another ARM client; ``None`` leaves it."""
        return self if client_no is None else replace(self, client_no=client_no)

    def operation(self, name: str) -> Operation:
        """Look an operation up.

        :raises ArmConfigurationError: there is none of that name; the message lists them.
        """
        try:
            return OPERATIONS[name]
        except KeyError:
            msg = f"there is no operation {name!r}; there are {', '.join(sorted(OPERATIONS))}"
            raise ArmConfigurationError(msg) from None

    def read_request(
        self,
        operation: Operation,
        path: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        language: str | None = None,
    ) -> Request:
        """Build a GET or DELETE.

        :param language: sent as ``Accept-Language`` (documented on single reads).
        """
        headers = dict(_HEADERS)
        if language:
            headers["Accept-Language"] = language
        return Request(operation, self.base.join(self.path(operation, path), params), headers)

    def page_request(self, operation: Operation, params: Mapping[str, Any] | None, url: str | None) -> Request:
        """Build the call for one page: by query under the list's own path, or ARM's own address."""
        if url is not None:
            return Request(operation, url, dict(_HEADERS))
        return self.read_request(operation, params=params)

    def write_request(
        self, operation: Operation, record: Any, path: Mapping[str, Any] | None = None, *, user_id: str | None = None
    ) -> Request:
        """Build a POST or PUT: the record or records under the operation's key, with the user beside them.

        :raises InvalidRecordError: an amount is a float or not finite.
        """
        body: dict[str, Any] = {}
        user = user_id or self.user_id
        if user:
            body["metadata"] = {"userId": user}
        body[operation.key or "record"] = record
        return self.raw_request(operation, self.path(operation, path), None, body)

    def encoded_request(self, operation: Operation, records: bytes) -> Request:
        """Build a POST or PUT of records that are JSON text already: the same bytes as :meth:`write_request`."""
        text = self.write_request(operation, []).body or b""
        return Request(
            operation,
            self.base.join(self.path(operation, None), None),
            {**_HEADERS, "Content-Type": "application/json"},
            text.removesuffix(b"[]}") + records + b"}",
            record=records,
        )

    def raw_request(self, operation: Operation, path: str, params: Mapping[str, Any] | None, body: Any) -> Request:
        """Build any call with a ready body."""
        headers = dict(_HEADERS)
        data = None
        if body is not None:
            try:
                data = money.encode(body)
            except money.InexactNumberError as error:
                raise InvalidRecordError([FieldIssue("", str(error))]) from None
            headers["Content-Type"] = "application/json"
        return Request(operation, self.base.join(path, params), headers, data, record=body)

    def path(self, operation: Operation, values: Mapping[str, Any] | None = None) -> str:
        """Fill an operation's path, the client's number among the values.

        :raises ArmConfigurationError: the path needs a client number and there is none.
        """
        if "{clientno}" in operation.path and self.client_no is None:
            msg = "client_no is missing: set it in the connection's extra or as an argument"
            raise ArmConfigurationError(msg)
        return fill_path(operation.path, {"clientno": self.client_no, **(values or {})})


def ad_hoc_operation(method: str, path: str, replay: Replay | None) -> Operation:
    """Make a row for a call that the table does not have.

    :param replay: left out, a GET is safe and anything else is never repeated.
    """
    method = method.upper()
    chosen = replay if replay is not None else Replay.SAFE if method == "GET" else Replay.NEVER
    return Operation("request", method, path, chosen, documented=False)


def to_wire(model: type[ArmModel] | None, record: Record) -> dict[str, Any]:
    """Check one record against its model and give what goes on the wire.

    :raises InvalidRecordError: with every field that is wrong.
    """
    if model is None:
        return record.to_wire() if isinstance(record, ArmModel) else dict(record)
    if isinstance(record, ArmModel):
        record = record.to_wire()
    return model.from_wire(dict(record)).to_wire()


def to_wire_list(model: type[ArmModel] | None, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Check the records of a batch.

    :raises InvalidRecordError: with every field that is wrong in every record, as ``[3].name``.
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


def read_json(answer: Response) -> Any:
    """Decode exactly; ``None`` for 204."""
    return None if answer.status == HTTPStatus.NO_CONTENT else money.decode(answer.body)


def read_model(model: type[M]) -> Callable[[Response], M]:
    """Make a reader for one object."""

    def read(answer: Response) -> M:
        return model.from_wire(money.decode(answer.body))

    return read


def write_reader(record: Any, assumptions: Assumptions) -> Callable[[Response], WriteResponse]:
    """Make a reader for the answer to one written record: only a known success word is success."""

    def read(answer: Response) -> WriteResponse:
        body = money.decode(answer.body)
        written = WriteResponse.from_wire(body)
        word = (written.status or "").upper()
        if word in assumptions.success_statuses:
            return written
        issues = field_issues(body, record)
        said = "; ".join(str(issue) for issue in issues) or mask(written.message or "", record)
        reason = f"status {mask(word, record) or 'missing'}" + (f": {said}" if said else "")
        if word in assumptions.failure_statuses:
            raise RejectedResponseError(reason, issues)
        raise InvalidResponseError(reason, retryable=False)

    return read


def postings_reader(record: Any, assumptions: Assumptions) -> Callable[[Response], AutoPostingsResponse]:
    """Make a reader for the answer to a set of auto postings.

    ARM takes it as a whole or not at all (documented), so every status word in it must say the same; an answer that
    contradicts itself, or says nothing, is neither success nor refusal.
    """

    def read(answer: Response) -> AutoPostingsResponse:
        body = money.decode(answer.body)
        written = AutoPostingsResponse.from_wire(body)
        words = written.words()
        if words and words <= assumptions.success_statuses:
            return written
        issues = field_issues(body, record)
        said = [mask(written.message or "", record), describe_batch_rejections(body), *map(str, issues)]
        named = ", ".join(mask(word, record) for word in sorted(words)) or "missing"
        reason = "; ".join([f"status {named}", *filter(None, said)])
        if words and words <= assumptions.failure_statuses:
            raise RejectedResponseError(reason, issues)
        raise InvalidResponseError(reason, retryable=False)

    return read


def receipt_reader(record: Any, _: Assumptions) -> Callable[[Response], BatchReceipt]:
    """Make a reader for the answer to a submitted batch; one without a batchUuid cannot be followed: no success (Q1).

    :param record: what was sent, of which the answer may quote.
    """

    def read(answer: Response) -> BatchReceipt:
        receipt = BatchReceipt.from_wire(money.decode(answer.body))
        if not receipt.batch_uuid:
            said = mask(answer.body.decode(errors="replace"), record)
            reason = f"no batchUuid, so the batch cannot be followed: {said}"
            raise InvalidResponseError(reason, retryable=False)
        return receipt

    return read


def batch_reader(_: Any, assumptions: Assumptions) -> Callable[[Response], BatchStatus]:
    """Make a reader for a batch's state."""

    def read(answer: Response) -> BatchStatus:
        try:
            body = money.decode(answer.body)
        except ValueError:
            status = classify_batch(answer.status, None, assumptions)
            # A rejection without a word may be ARM's; with a page of HTML it is a proxy's.
            if status.state is BatchState.PENDING or (status.state.finished and not answer.body.strip()):
                return status
            raise
        return classify_batch(answer.status, body, assumptions)

    return read


#: How a response is read whose model is more than a plain object.
_READERS: dict[type[ArmModel] | None, Callable[[Any, Assumptions], Callable[[Response], Any]]] = {
    AutoPostingsResponse: postings_reader,
    Batch: batch_reader,
    BatchReceipt: receipt_reader,
    WriteResponse: write_reader,
}


def response_reader(operation: Operation, record: Any, assumptions: Assumptions) -> Callable[[Response], Any]:
    """Return the function that reads the responses of *operation*, chosen by its row in the operations table.

    :param record: what was sent: an error must not repeat a person's data from it.
    """
    if operation.answer is None:
        return read_json
    build = _READERS.get(operation.answer)
    return read_model(operation.answer) if build is None else build(record, assumptions)
