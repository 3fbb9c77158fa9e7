"""AR items: read, list, update details, credit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import lists
from airflow_provider_arm.sandbox.api.booking import CREDIT_NOTE, Posting, book, settle, write_item
from airflow_provider_arm.sandbox.api.validation import validate
from airflow_provider_arm.sandbox.api.writing import WriteResult, natural_key, read_envelope, rejected_result
from airflow_provider_arm.sandbox.messages import Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.record_fields import AR_ITEM_UPDATE
from airflow_provider_arm.sandbox.state.context import SandboxContext

AR_ITEM_LIST = lists.ListDefinition(
    "ar_item",
    "arItems",  # assumed (Q8)
    {  # assumed (Q7)
        "customerno": lists.ListFilter("customer_no = ?", lists.parse_text),
        "documentno": lists.ListFilter("document_no = ?", lists.parse_text),
        "kid": lists.ListFilter("kid = ?", lists.parse_text),
        "fromvoucherdate": lists.ListFilter("voucher_day >= ?", lists.parse_date),
        "tovoucherdate": lists.ListFilter("voucher_day <= ?", lists.parse_date),
        "fromduedate": lists.ListFilter("due_day >= ?", lists.parse_date),
        "toduedate": lists.ListFilter("due_day <= ?", lists.parse_date),
        "fromcreatedtime": lists.ListFilter("created_ms >= ?", lists.parse_time_from),
        "tocreatedtime": lists.ListFilter("created_ms <= ?", lists.parse_time_to),
        "onlyopen": lists.ListFilter("open >= ?", lists.parse_boolean),
    },
)

#: Fields that PUT changes directly.
_DETAIL_FIELDS = ("dueDate", "transactionText", "externalId1", "reservedStatus")


def get_ar_item(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return one AR item."""
    body = context.store.find_body("ar_item", "ar_item_id", request.path_parameters["aritemid"])
    return lists.record_response(request, body, "AR item", "ArItemId")


def list_ar_items(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return a list of AR items."""
    return lists.list_response(context, request, AR_ITEM_LIST)


def put_ar_item(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Update details of one AR item; can also create a credit note (documented, its fields are assumed)."""
    result = _update_item(context, read_envelope(request, "arItem"), request.number)
    return json_response(result.status if result.failed else 200, result.as_json(context.switches))


def _update_item(context: SandboxContext, record: Any, request_no: int) -> WriteResult:
    validated = validate(AR_ITEM_UPDATE, record, creating=False, strict=context.switches["strict"])
    item_id = natural_key(record, "arItemId")
    keys: dict[str, Any] = {"clientNo": context.client_no}
    if item_id is None:
        return rejected_result("AR item not updated", [*validated.errors, Problem("ArItemId", "required")], keys)
    keys["arItemId"] = item_id
    body = context.store.find_body("ar_item", "ar_item_id", item_id)
    if body is None:
        return rejected_result("AR item not found", [Problem("ArItemId", "not found")], keys, status=404)
    item = money.decode(body)
    keys |= {"accountNo": item["accountNo"], "customerNo": item["customerNo"]}
    credit = validated.record.get("creditNote")
    if credit is not None and not validated.errors:
        validated.errors += _credit_problems(item, credit)
    if validated.errors:
        return rejected_result("AR item not updated", validated.errors, keys)
    changes = {name: validated.record[name] for name in _DETAIL_FIELDS if name in validated.record}
    if changes:
        item |= changes
        write_item(context, item)
    if credit is not None:
        keys["creditNoteArItemId"] = _book_credit_note(context, item, credit)
    context.effects.record("arItems", item_id, "credited" if credit is not None else "updated", request_no)
    return WriteResult("UPDATED", "AR item updated", keys, validated.warnings)


def _credit_problems(item: dict[str, Any], credit: dict[str, Any]) -> list[Problem]:
    amount = credit.get("currencyAmount")
    if amount is None:
        return [Problem("CurrencyAmount", "required")]
    if amount <= 0 or Decimal(amount) > Decimal(item["currencyBalance"]):
        return [Problem("CurrencyAmount", "must be above 0 and at most the item's balance")]
    return []


def _book_credit_note(context: SandboxContext, item: dict[str, Any], credit: dict[str, Any]) -> str:
    """Book a credit note, settle *item* with it, and return its ``arItemId``."""
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
    credit_note = book(context, posting)
    settle(context, credit_note, item)
    return str(credit_note["arItemId"])
