"""Documents: invoices and credit notes. Each one books an AR item."""

from __future__ import annotations

from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import lists
from airflow_provider_arm.sandbox.api.booking import CREDIT_NOTE, INVOICE, Posting, book, settle_by_kid
from airflow_provider_arm.sandbox.api.customers import account_no_of, only_parameters
from airflow_provider_arm.sandbox.api.validation import day, validate
from airflow_provider_arm.sandbox.api.writing import WriteResult, envelope, natural_key, rejected
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.record_fields import DOCUMENT
from airflow_provider_arm.sandbox.state.context import SandboxContext

LISTING = lists.ListDefinition(
    "document",
    "documents",  # assumed (Q8)
    {  # assumed (Q7)
        "customerno": lists.ListFilter("customer_no = ?", lists.text),
        "fromdocumentdate": lists.ListFilter("document_day >= ?", lists.date),
        "todocumentdate": lists.ListFilter("document_day <= ?", lists.date),
    },
)

#: ``IN`` is documented; ``CN`` for a credit note is assumed.
VOUCHER_TYPES = {"IN": INVOICE, "CN": CREDIT_NOTE}

_ORDER = [f.name for f in DOCUMENT]


def get_document(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """GET one document."""
    only_parameters(call, {"userid", "expand"})
    found = _find(context, call.values["documentno"])
    if found is None:
        raise HttpError(404, "Document not found", [Problem("DocumentNo", "not found")])
    return SandboxResponse(200, found)


def list_documents(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """GET a list of documents."""
    return lists.serve(context, call, LISTING)


def post_document(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """POST one document."""
    written = write_document(context, envelope(call, "document"), call.number, context.store.number("gl_lot"))
    return json_response(written.status if written.failed else 201, written.as_json(context.switches))


def write_document(context: SandboxContext, record: Any, request: int, lot: int) -> WriteResult:
    """Book one document, as the single call and the batches both do."""
    checked = validate(DOCUMENT, record, strict=context.switches["strict"])
    document_no, customer_no = natural_key(record, "documentNo"), natural_key(record, "customerNo")
    keys: dict[str, Any] = {"clientNo": context.client_no}
    account = account_no_of(context, customer_no) if customer_no else None
    if account:
        keys["accountNo"] = account[0]
    if customer_no:
        keys["customerNo"] = account[1] if account else customer_no
    if document_no:
        keys["documentNo"] = document_no
    errors = checked.errors
    if customer_no and account is None:
        errors.append(Problem("CustomerNo", "no such customer"))
    kind = str(checked.record.get("documentType") or "").upper()
    if kind and kind not in VOUCHER_TYPES:
        errors.append(Problem("DocumentType", f"must be one of {', '.join(VOUCHER_TYPES)}"))
    if document_no and context.switches["q15_duplicate_document"] == "refuse" and _find(context, document_no):
        errors.append(Problem("DocumentNo", "a document with this number exists already"))  # assumed (Q15)
    if errors or account is None or document_no is None:
        return rejected("Document not processed", errors, keys)
    body = {**checked.record, "clientNo": context.client_no, "accountNo": account[0], "customerNo": account[1]}
    body["documentType"] = kind
    body["currency"] = str(body.get("currency") or "NOK").upper()
    _book(context, body, lot)
    body = {name: body[name] for name in _ORDER if name in body}
    values = (document_no, account[1], _day_number(body["documentDate"]))
    context.store.add("document", money.encode(body), values)
    context.ledger.record("documents", document_no, "created", request)
    return WriteResult("CREATED", "Document created", keys, checked.warnings)


def _book(context: SandboxContext, body: dict[str, Any], lot: int) -> None:
    voucher_type = VOUCHER_TYPES[body["documentType"]]
    amount = body["currencyAmounts"]["inclVat"]
    posting = Posting(
        voucher_type=voucher_type,
        customer_no=body["customerNo"],
        account_no=body["accountNo"],
        amount=-abs(amount) if voucher_type == CREDIT_NOTE else amount,
        currency=body["currency"],
        voucher_date=body["documentDate"],
        due_date=body.get("dueDate"),
        document_no=body["documentNo"],
        kid=body.get("kid") or None,
        lot=lot,
    )
    item = book(context, posting)
    body.setdefault("kid", item["kid"])
    if voucher_type == CREDIT_NOTE and body.get("kid"):
        settle_by_kid(context, item, body["kid"])


def _find(context: SandboxContext, document_no: str) -> bytes | None:
    row = context.store.fetch_one(
        "SELECT body FROM document WHERE document_no = ? AND live = 1 ORDER BY pos", (document_no,)
    )
    return None if row is None else bytes(row[0])


def _day_number(text: str) -> int:
    found = day(text)
    return found.toordinal() if found else 0
