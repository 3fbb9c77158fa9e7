"""Table of ARM's operations: method, path, replay class, models of request and response.

Whether a call may be repeated does not follow from its HTTP method but from :attr:`Operation.replay`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
    answer: type[ArmModel] | None = None
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

_TABLE = (
    Operation("get_customer", "GET", f"{_CLIENT}/customers/{{customerno}}", _SAFE, answer=Customer),
    Operation(
        "list_customers", "GET", f"{_CLIENT}/customers", _SAFE, answer=Customer, key="customers", item_key="customerNo"
    ),
    Operation(
        "upsert_customer",
        "POST",
        f"{_CLIENT}/customers",
        _SAFE,
        record=CustomerWrite,
        answer=WriteResponse,
        key="customer",
    ),
    Operation(
        "update_customer",
        "PUT",
        f"{_CLIENT}/customers",
        _SAFE,
        record=CustomerWrite,
        answer=WriteResponse,
        key="customer",
    ),
    Operation("delete_customer", "DELETE", f"{_CLIENT}/customers/{{customerno}}", _SAFE, answer=WriteResponse),
    Operation(
        "create_customer_batch",
        "POST",
        f"{_CLIENT}/customers/batches",
        _SAFE,
        record=CustomerWrite,
        answer=BatchReceipt,
        key="customers",
    ),
    Operation(
        "update_customer_batch",
        "PUT",
        f"{_CLIENT}/customers/batches",
        _SAFE,
        record=CustomerWrite,
        answer=BatchReceipt,
        key="customers",
    ),
    Operation(
        "get_batch", "GET", f"{_CLIENT}/batches/{{batchuuid}}", _SAFE, answer=Batch, also_results=frozenset({406})
    ),
    Operation("get_ar_item", "GET", f"{_CLIENT}/aritems/{{aritemid}}", _SAFE, answer=ArItem),
    Operation(
        "list_ar_items", "GET", f"{_CLIENT}/aritems", _SAFE, answer=ArItem, key="arItems", item_key="arItemId"
    ),  # key assumed (Q8)
    # Can create a credit note, so it is never repeated. The key of the record is assumed.
    Operation(
        "update_ar_item",
        "PUT",
        f"{_CLIENT}/aritems",
        _NEVER,
        record=ArItemUpdate,
        answer=WriteResponse,
        key="arItem",
    ),
    Operation(
        "create_document_batch",
        "POST",
        f"{_CLIENT}/documents/batches",
        _BY_KEY,
        record=Document,
        answer=BatchReceipt,
        key="documents",
    ),
    Operation(
        "create_document",
        "POST",
        f"{_CLIENT}/documents",  # assumed: only the title is documented
        _BY_KEY,
        record=Document,
        answer=WriteResponse,
        key="document",
        documented=False,
    ),
    Operation("get_document", "GET", f"{_CLIENT}/documents/{{documentno}}", _SAFE, answer=Document),
    Operation(
        "list_documents",
        "GET",
        f"{_CLIENT}/documents",  # assumed: only the title is documented
        _SAFE,
        answer=Document,
        key="documents",
        item_key="documentNo",
        documented=False,
    ),
    # ARM accepts all postings or none. The keys of the next three bodies are assumed.
    Operation(
        "create_auto_postings",
        "POST",
        f"{_CLIENT}/autopostings/{{autopostingmethod}}",
        _NEVER,
        record=AutoPosting,
        answer=AutoPostingsResponse,
        key="autoPostings",
    ),
    Operation(
        "create_payment_reservation",
        "POST",
        f"{_CLIENT}/paymentreservations",
        _BY_KEY,
        record=PaymentReservation,
        answer=WriteResponse,
        key="paymentReservation",
    ),
    Operation("upload_files", "POST", f"{_CLIENT}/files", _NEVER, key="files"),
    Operation(
        "list_gl_items", "GET", f"{_CLIENT}/glitems", _SAFE, answer=GlItem, key="glItems", item_key="glItemId"
    ),  # keys and fields assumed (Q8)
    Operation("get_gl_item", "GET", f"{_CLIENT}/glitems/{{glitemid}}", _SAFE, answer=GlItem),
)

#: Every operation by name.
OPERATIONS = {operation.name: operation for operation in _TABLE}
