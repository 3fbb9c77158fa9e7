"""AR items: read, list, change details, credit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import lists
from airflow_provider_arm.sandbox.api.booking import CREDIT_NOTE, Posting, book, settle, write_item
from airflow_provider_arm.sandbox.api.customers import only_parameters
from airflow_provider_arm.sandbox.api.validation import check
from airflow_provider_arm.sandbox.api.writing import Written, envelope, natural_key, rejected
from airflow_provider_arm.sandbox.messages import Call, Problem, Refusal, SandboxResponse, answer
from airflow_provider_arm.sandbox.record_fields import AR_ITEM_UPDATE
from airflow_provider_arm.sandbox.state.context import SandboxContext

LISTING = lists.Listing(
    "ar_item",
    "arItems",  # assumed (Q8)
    {  # assumed (Q7)
        "customerno": lists.Filter("customer_no = ?", lists.text),
        "documentno": lists.Filter("document_no = ?", lists.text),
        "kid": lists.Filter("kid = ?", lists.text),
        "fromvoucherdate": lists.Filter("voucher_day >= ?", lists.date),
        "tovoucherdate": lists.Filter("voucher_day <= ?", lists.date),
        "fromduedate": lists.Filter("due_day >= ?", lists.date),
        "toduedate": lists.Filter("due_day <= ?", lists.date),
        "fromcreatedtime": lists.Filter("created_ms >= ?", lists.time_from),
        "tocreatedtime": lists.Filter("created_ms <= ?", lists.time_to),
        "onlyopen": lists.Filter("open >= ?", lists.flag),
    },
)

#: What PUT changes directly.
_DETAILS = ("dueDate", "transactionText", "externalId1", "reservedStatus")


def get_ar_item(books: SandboxContext, call: Call) -> SandboxResponse:
    """GET one AR item."""
    only_parameters(call, {"userid", "expand"})
    found = find_item(books, call.values["aritemid"])
    if found is None:
        raise Refusal(404, "AR item not found", [Problem("ArItemId", "not found")])
    return SandboxResponse(200, found)


def list_ar_items(books: SandboxContext, call: Call) -> SandboxResponse:
    """GET a list of AR items."""
    return lists.serve(books, call, LISTING)


def put_ar_item(books: SandboxContext, call: Call) -> SandboxResponse:
    """PUT details of one AR item; can also create a credit note (documented, its fields are assumed)."""
    written = _update(books, envelope(call, "arItem"), call.number)
    return answer(written.status if written.failed else 200, written.as_json(books.behaviour))


def _update(books: SandboxContext, record: Any, request: int) -> Written:
    checked = check(AR_ITEM_UPDATE, record, creating=False, strict=books.behaviour["strict"])
    item_id = natural_key(record, "arItemId")
    keys: dict[str, Any] = {"clientNo": books.client_no}
    if item_id is None:
        return rejected("AR item not updated", [*checked.errors, Problem("ArItemId", "required")], keys)
    keys["arItemId"] = item_id
    found = find_item(books, item_id)
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
        write_item(books, item)
    if credit is not None:
        keys["creditNoteArItemId"] = _credit(books, item, credit)
    books.ledger.record("arItems", item_id, "credited" if credit is not None else "updated", request)
    return Written("UPDATED", "AR item updated", keys, checked.warnings)


def _credit_problems(item: dict[str, Any], credit: dict[str, Any]) -> list[Problem]:
    amount = credit.get("currencyAmount")
    if amount is None:
        return [Problem("CurrencyAmount", "required")]
    if amount <= 0 or Decimal(amount) > Decimal(item["currencyBalance"]):
        return [Problem("CurrencyAmount", "must be above 0 and at most the item's balance")]
    return []


def _credit(books: SandboxContext, item: dict[str, Any], credit: dict[str, Any]) -> str:
    posting = Posting(
        voucher_type=CREDIT_NOTE,
        customer_no=item["customerNo"],
        account_no=item["accountNo"],
        amount=-credit["currencyAmount"],
        currency=item["currency"],
        voucher_date=books.now().date().isoformat(),
        document_no=credit.get("documentNo"),
        kid=item["kid"],
        reference_no=item["referenceNo"],
    )
    note = book(books, posting)
    settle(books, note, item)
    return str(note["arItemId"])


def find_item(books: SandboxContext, item_id: str) -> bytes | None:
    """The text of a living item."""
    row = books.store.row("SELECT body FROM ar_item WHERE ar_item_id = ? AND live = 1", (item_id,))
    return None if row is None else bytes(row[0])
