"""The table of ARM's operations: method, path, what a repeat does, what goes in and comes out.

The verb does not tell whether a call may be repeated; :attr:`Operation.replay` does.
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
    """What a second, identical call does."""

    #: Nothing that the first did not do.
    SAFE = "safe"
    #: Unknown, but a natural key tells afterwards whether the first call took effect.
    BY_KEY = "by key"
    #: It may book twice: never repeat without proof that the first call did nothing.
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table."""

    name: str
    method: str
    #: Under the base URL; ``{clientno}`` and others are filled in, quoted.
    path: str
    replay: Replay
    #: Model of one record in the request body.
    record: type[ArmModel] | None = None
    #: Model of the response, of one record of it for a list. It decides how the response is read.
    answer: type[ArmModel] | None = None
    #: The key under which the record or records stand in a write body or a list.
    key: str | None = None
    #: For a list: the field that no two of its records share.
    item_key: str | None = None
    #: Answers that are results, not errors, beyond 2xx.
    also_results: frozenset[int] = frozenset()
    #: Whether method and path stand in the reference.
    documented: bool = True

    @property
    def label(self) -> str:
        """Method and path template: safe to show anywhere."""
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
    # Can create a credit note: never repeat blindly. The key of the record is assumed.
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
    # All or nothing. The keys of the next three bodies are assumed.
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
