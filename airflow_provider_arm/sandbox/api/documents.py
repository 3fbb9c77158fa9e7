"""Documents: invoices and credit notes. Each document books one AR item."""

from __future__ import annotations

from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import lists
from airflow_provider_arm.sandbox.api.booking import CREDIT_NOTE, INVOICE, Posting, book, settle_by_kid
from airflow_provider_arm.sandbox.api.customers import find_account
from airflow_provider_arm.sandbox.api.validation import parse_day, validate
from airflow_provider_arm.sandbox.api.writing import WriteResult, natural_key, read_envelope, rejected_result
from airflow_provider_arm.sandbox.messages import Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.record_fields import DOCUMENT
from airflow_provider_arm.sandbox.state.context import SandboxContext

DOCUMENT_LIST = lists.ListDefinition(
    "document",
    "documents",  # assumed (Q8)
    {  # assumed (Q7)
        "customerno": lists.ListFilter("customer_no = ?", lists.parse_text),
        "fromdocumentdate": lists.ListFilter("document_day >= ?", lists.parse_date),
        "todocumentdate": lists.ListFilter("document_day <= ?", lists.parse_date),
    },
)

#: ``IN`` is documented; ``CN`` for a credit note is assumed.
VOUCHER_TYPES = {"IN": INVOICE, "CN": CREDIT_NOTE}

_FIELD_ORDER = [f.name for f in DOCUMENT]


def get_document(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return one document."""
    body = context.store.find_body("document", "document_no", request.path_parameters["documentno"])
    return lists.record_response(request, body, "Document", "DocumentNo")


def list_documents(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return a list of documents."""
    return lists.list_response(context, request, DOCUMENT_LIST)


def post_document(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Create one document."""
    record = read_envelope(request, "document")
    result = write_document(context, record, request.number, context.store.next_number("gl_lot"))
    return json_response(result.status if result.failed else 201, result.as_json(context.switches))


def write_document(context: SandboxContext, record: Any, request_no: int, lot_no: int) -> WriteResult:
    """Book one document, for single writes and for batches.

    :param request_no: number of the request that submitted the record.
    :param lot_no: GL lot of the booked item, relative to the first one.
    """
    validated = validate(DOCUMENT, record, strict=context.switches["strict"])
    document_no, customer_no = natural_key(record, "documentNo"), natural_key(record, "customerNo")
    keys: dict[str, Any] = {"clientNo": context.client_no}
    account = find_account(context, customer_no) if customer_no else None
    if account:
        keys["accountNo"] = account[0]
    if customer_no:
        keys["customerNo"] = account[1] if account else customer_no
    if document_no:
        keys["documentNo"] = document_no
    errors = validated.errors
    if customer_no and account is None:
        errors.append(Problem("CustomerNo", "no such customer"))
    document_type = str(validated.record.get("documentType") or "").upper()
    if document_type and document_type not in VOUCHER_TYPES:
        errors.append(Problem("DocumentType", f"must be one of {', '.join(VOUCHER_TYPES)}"))
    refuse_duplicate = context.switches["q15_duplicate_document"] == "refuse"  # assumed (Q15)
    if document_no and refuse_duplicate and context.store.find_body("document", "document_no", document_no):
        errors.append(Problem("DocumentNo", "a document with this number exists already"))
    if errors or account is None or document_no is None:
        return rejected_result("Document not processed", errors, keys)
    body = {**validated.record, "clientNo": context.client_no, "accountNo": account[0], "customerNo": account[1]}
    body["documentType"] = document_type
    body["currency"] = str(body.get("currency") or "NOK").upper()
    _book_document(context, body, lot_no)
    body = {name: body[name] for name in _FIELD_ORDER if name in body}
    document_day = parse_day(body["documentDate"])
    values = (document_no, account[1], document_day.toordinal() if document_day else 0)
    context.store.add("document", money.encode(body), values)
    context.effects.record("documents", document_no, "created", request_no)
    return WriteResult("CREATED", "Document created", keys, validated.warnings)


def _book_document(context: SandboxContext, body: dict[str, Any], lot_no: int) -> None:
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
        lot_no=lot_no,
    )
    item = book(context, posting)
    body.setdefault("kid", item["kid"])
    if voucher_type == CREDIT_NOTE and body.get("kid"):
        settle_by_kid(context, item, body["kid"])
