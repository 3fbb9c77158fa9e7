"""AR items: read, list, change details, credit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import lists
from airflow_provider_arm.sandbox.api.booking import CREDIT_NOTE, Posting, book, settle, write_item
from airflow_provider_arm.sandbox.api.customers import only_parameters
from airflow_provider_arm.sandbox.api.validation import validate
from airflow_provider_arm.sandbox.api.writing import WriteResult, envelope, natural_key, rejected
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.record_fields import AR_ITEM_UPDATE
from airflow_provider_arm.sandbox.state.context import SandboxContext

LISTING = lists.ListDefinition(
    "ar_item",
    "arItems",  # assumed (Q8)
    {  # assumed (Q7)
        "customerno": lists.ListFilter("customer_no = ?", lists.text),
        "documentno": lists.ListFilter("document_no = ?", lists.text),
        "kid": lists.ListFilter("kid = ?", lists.text),
        "fromvoucherdate": lists.ListFilter("voucher_day >= ?", lists.date),
        "tovoucherdate": lists.ListFilter("voucher_day <= ?", lists.date),
        "fromduedate": lists.ListFilter("due_day >= ?", lists.date),
        "toduedate": lists.ListFilter("due_day <= ?", lists.date),
        "fromcreatedtime": lists.ListFilter("created_ms >= ?", lists.time_from),
        "tocreatedtime": lists.ListFilter("created_ms <= ?", lists.time_to),
        "onlyopen": lists.ListFilter("open >= ?", lists.flag),
    },
)

#: What PUT changes directly.
_DETAILS = ("dueDate", "transactionText", "externalId1", "reservedStatus")


def get_ar_item(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """GET one AR item."""
    only_parameters(call, {"userid", "expand"})
    found = find_item(context, call.values["aritemid"])
    if found is None:
        raise HttpError(404, "AR item not found", [Problem("ArItemId", "not found")])
    return SandboxResponse(200, found)


def list_ar_items(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """GET a list of AR items."""
    return lists.serve(context, call, LISTING)


def put_ar_item(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """PUT details of one AR item; can also create a credit note (documented, its fields are assumed)."""
    written = _update(context, envelope(call, "arItem"), call.number)
    return json_response(written.status if written.failed else 200, written.as_json(context.switches))


def _update(context: SandboxContext, record: Any, request: int) -> WriteResult:
    checked = validate(AR_ITEM_UPDATE, record, creating=False, strict=context.switches["strict"])
    item_id = natural_key(record, "arItemId")
    keys: dict[str, Any] = {"clientNo": context.client_no}
    if item_id is None:
        return rejected("AR item not updated", [*checked.errors, Problem("ArItemId", "required")], keys)
    keys["arItemId"] = item_id
    found = find_item(context, item_id)
    if found is None:
        return rejected("AR item not found", [Problem("ArItemId", "not found")], keys, status=404)
    item = money.decode(found)
    keys |= {"accountNo": item["accountNo"], "customerNo": item["customerNo"]}
    credit = checked.record.get("creditNote")
    if credit is not None and not checked.errors:
        checked.errors += _credit_problems(item, credit)
    if checked.errors:
        return rejected("AR item not updated", checked.errors, keys)
    changes = {name: checked.record[name] for name in _DETAILS if name in checked.record}
    if changes:
        item |= changes
        write_item(context, item)
    if credit is not None:
        keys["creditNoteArItemId"] = _credit(context, item, credit)
    context.ledger.record("arItems", item_id, "credited" if credit is not None else "updated", request)
    return WriteResult("UPDATED", "AR item updated", keys, checked.warnings)


def _credit_problems(item: dict[str, Any], credit: dict[str, Any]) -> list[Problem]:
    amount = credit.get("currencyAmount")
    if amount is None:
        return [Problem("CurrencyAmount", "required")]
    if amount <= 0 or Decimal(amount) > Decimal(item["currencyBalance"]):
        return [Problem("CurrencyAmount", "must be above 0 and at most the item's balance")]
    return []


def _credit(context: SandboxContext, item: dict[str, Any], credit: dict[str, Any]) -> str:
    posting = Posting(
        voucher_type=CREDIT_NOTE,
        customer_no=item["customerNo"],
        account_no=item["accountNo"],
        amount=-credit["currencyAmount"],
        currency=item["currency"],
        voucher_date=context.now().date().isoformat(),
        document_no=credit.get("documentNo"),
        kid=item["kid"],
        reference_no=item["referenceNo"],
    )
    note = book(context, posting)
    settle(context, note, item)
    return str(note["arItemId"])


def find_item(context: SandboxContext, item_id: str) -> bytes | None:
    """The text of a living item."""
    row = context.store.fetch_one("SELECT body FROM ar_item WHERE ar_item_id = ? AND live = 1", (item_id,))
    return None if row is None else bytes(row[0])
