"""Table of ARM's operations: method, path, replay class, models of request and response.

Whether a call may be repeated does not follow from its HTTP method but from :attr:`Operation.replay`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from airflow_provider_arm.client.models import (
    ArItem,
    ArItemUpdate,
    ArmModel,
    AutoPosting,
    AutoPostingsResponse,
    Batch,
    BatchReceipt,
    Customer,
    CustomerWrite,
    Document,
    GlItem,
    PaymentReservation,
    WriteResponse,
)
from airflow_provider_arm.client.models.log_item import LogItem


class Replay(StrEnum):
    """Replay class of an operation: the effect of a second, identical call."""

    #: No further effect.
    SAFE = "safe"
    #: Unknown, but a lookup by a natural key shows whether the first call took effect.
    BY_KEY = "by key"
    #: It may book twice: never repeat it without proof that the first call had no effect.
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the operations table."""

    name: str
    method: str
    #: Path under the base URL. ``{clientno}`` and other names in braces are replaced by quoted values.
    path: str
    replay: Replay
    #: Model of one record in the request body.
    record: type[ArmModel] | None = None
    #: Model of the response, of one record of it for a list. It decides how the response is read.
    response: type[ArmModel] | None = None
    #: Key of the record or records in the body of a write or in a list.
    key: str | None = None
    #: For a list: the field that identifies a record.
    item_key: str | None = None
    #: HTTP statuses other than 2xx that are results, not errors.
    also_results: frozenset[int] = frozenset()
    #: Whether method and path are documented in the reference.
    documented: bool = True

    @property
    def label(self) -> str:
        """Method and path template; contains no data, so every message may show it."""
        return f"{self.method} {self.path}"


_CLIENT = "/clients/{clientno}"
_SAFE, _BY_KEY, _NEVER = Replay.SAFE, Replay.BY_KEY, Replay.NEVER


def _read(name: str, path: str, response: type[ArmModel], **more: Any) -> Operation:
    return Operation(name, "GET", _CLIENT + path, Replay.SAFE, response=response, **more)


def _list(name: str, path: str, model: type[ArmModel], key: str, item_key: str, **more: Any) -> Operation:
    return _read(name, path, model, key=key, item_key=item_key, **more)


def _write(
    name: str,
    call: str,
    replay: Replay,
    record: type[ArmModel] | None = None,
    key: str | None = None,
    *,
    response: type[ArmModel] | None = WriteResponse,
    documented: bool = True,
) -> Operation:
    method, path = call.split(" ")
    return Operation(name, method, _CLIENT + path, replay, record, response, key, documented=documented)


_TABLE = (
    _read("get_customer", "/customers/{customerno}", Customer),
    _list("list_customers", "/customers", Customer, "customers", "customerNo"),
    _write("upsert_customer", "POST /customers", _SAFE, CustomerWrite, "customer"),
    _write("update_customer", "PUT /customers", _SAFE, CustomerWrite, "customer"),
    _write("delete_customer", "DELETE /customers/{customerno}", _SAFE),
    _write(
        "create_customer_batch", "POST /customers/batches", _SAFE, CustomerWrite, "customers", response=BatchReceipt
    ),
    _write("update_customer_batch", "PUT /customers/batches", _SAFE, CustomerWrite, "customers", response=BatchReceipt),
    _read("get_batch", "/batches/{batchuuid}", Batch, also_results=frozenset({HTTPStatus.NOT_ACCEPTABLE})),
    _read("get_ar_item", "/aritems/{aritemid}", ArItem),
    _list("list_ar_items", "/aritems", ArItem, "arItems", "arItemId"),  # key assumed (Q8)
    # Can create a credit note, so it is never repeated. The key of the record is assumed.
    _write("update_ar_item", "PUT /aritems", _NEVER, ArItemUpdate, "arItem"),
    _write("create_document_batch", "POST /documents/batches", _BY_KEY, Document, "documents", response=BatchReceipt),
    # The paths of the next two are assumed: only their titles are documented.
    _write("create_document", "POST /documents", _BY_KEY, Document, "document", documented=False),
    _list("list_documents", "/documents", Document, "documents", "documentNo", documented=False),
    _read("get_document", "/documents/{documentno}", Document),
    # ARM accepts all postings or none. The keys of the next three bodies are assumed.
    _write(
        "create_auto_postings",
        "POST /autopostings/{autopostingmethod}",
        _NEVER,
        AutoPosting,
        "autoPostings",
        response=AutoPostingsResponse,
    ),
    _write(
        "create_payment_reservation", "POST /paymentreservations", _BY_KEY, PaymentReservation, "paymentReservation"
    ),
    _write("upload_files", "POST /files", _NEVER, key="files", response=None),
    _list("list_gl_items", "/glitems", GlItem, "glItems", "glItemId"),  # keys and fields assumed (Q8)
    _read("get_gl_item", "/glitems/{glitemid}", GlItem),
    # Path, key and fields are assumed: only the title is documented.
    _list("list_log_items", "/logitems", LogItem, "logItems", "logItemId", documented=False),
)

#: Every operation by name.
OPERATIONS = {operation.name: operation for operation in _TABLE}
