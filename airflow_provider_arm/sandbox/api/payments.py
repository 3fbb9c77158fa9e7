"""Auto postings (all or nothing) and payment reservations (by ``paymentId``). Their bodies are assumed throughout."""

from __future__ import annotations

from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api.booking import CREDIT_NOTE, PAYMENT, Posting, book, settle, write_item
from airflow_provider_arm.sandbox.api.customers import account_no_of
from airflow_provider_arm.sandbox.api.validation import ValidatedRecord, validate
from airflow_provider_arm.sandbox.api.writing import WriteResult, envelope, natural_key, rejected
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.record_fields import AUTO_POSTING, PAYMENT_RESERVATION
from airflow_provider_arm.sandbox.state.context import SandboxContext

#: The path's last segment -> what is booked. The reference names none. # assumed
METHODS = {"payment": PAYMENT, "creditnote": CREDIT_NOTE}

#: Documented: on any posting it turns the whole set into a check.
VALIDATE_ONLY = "validateonly"

#: What a reserved item shows in ``reservedStatus``; the documented value of a free one is "". # assumed
RESERVED = "RESERVED"


def post_auto_postings(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """POST auto postings: documented as all or nothing."""
    kind = METHODS.get(call.values["autopostingmethod"].lower())
    if kind is None:
        raise HttpError(422, "Unknown auto posting method", [Problem("AutoPostingMethod", "unknown")])
    postings = envelope(call, "autoPostings")
    if not isinstance(postings, list) or not postings:
        raise HttpError(422, "AutoPostings must be a list", [Problem("AutoPostings", "must be a list, not empty")])
    looked_at = [_look_at(context, posting) for posting in postings]
    if any(checked.errors for checked, _ in looked_at):
        return _refused_set(looked_at)
    only_check = any(VALIDATE_ONLY in _options(checked) for checked, _ in looked_at)
    answers = []
    for number, (checked, item) in enumerate(looked_at, 1):
        line: dict[str, Any] = {"recordNo": number, "status": "PROCESSED", "resultType": "VALIDATED"}
        if not only_check and item is not None:
            line |= {"resultType": "CREATED", "arItemId": _post(context, kind, checked.record, item, call.number)}
        answers.append(line)
    message = "Auto postings validated" if only_check else "Auto postings processed"
    return json_response(200, {"status": "PROCESSED", "message": message, "autoPostings": answers})


def _look_at(context: SandboxContext, posting: Any) -> tuple[ValidatedRecord, dict[str, Any] | None]:
    checked = validate(AUTO_POSTING, posting, strict=context.switches["strict"])
    item = find_target(context, checked.record)
    if item is None and not checked.errors:
        checked.errors.append(Problem("ArItemId", "no such item: give arItemId, documentNo or kid"))
    amount = checked.record.get("currencyAmount")
    if amount is not None and amount <= 0:
        checked.errors.append(Problem("CurrencyAmount", "must be above 0"))
    if item and str(checked.record.get("currency", item["currency"])).upper() != item["currency"]:
        checked.errors.append(Problem("Currency", "is not the item's currency"))
    return checked, item


def _refused_set(looked_at: list[tuple[ValidatedRecord, dict[str, Any] | None]]) -> SandboxResponse:
    answers = []
    for number, (checked, _) in enumerate(looked_at, 1):
        line: dict[str, Any] = {"recordNo": number, "status": "FAILED", "resultType": "BATCH-REJECTED"}  # documented
        if checked.errors:
            line |= {"resultType": "REJECTED", "errors": [problem.as_json() for problem in checked.errors]}
        answers.append(line)
    body = {"status": "FAILED", "message": "No posting was processed", "autoPostings": answers}
    return json_response(422, body)


def _options(checked: ValidatedRecord) -> list[str]:
    return [option.lower() for option in checked.record.get("options", ())]


def _post(context: SandboxContext, kind: int, record: dict[str, Any], item: dict[str, Any], request: int) -> str:
    posting = Posting(
        voucher_type=kind,
        customer_no=item["customerNo"],
        account_no=item["accountNo"],
        amount=-record["currencyAmount"],
        currency=item["currency"],
        voucher_date=record.get("voucherDate") or context.now().date().isoformat(),
        kid=item["kid"],
        reference_no=item["referenceNo"],
        text=record.get("transactionText"),
        external_id=record.get("externalId1"),
    )
    booked = book(context, posting)
    # An earlier posting of this set may have changed the item: settle what stands in the store now.
    now = find_target(context, {"arItemId": item["arItemId"]})
    if now is not None:
        settle(context, booked, now)
    context.ledger.record("payments", record.get("externalId1") or item["arItemId"], "posted", request)
    return str(booked["arItemId"])


def post_payment_reservation(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """POST a payment reservation; ``paymentId`` is unique: documented."""
    written = _reserve(context, envelope(call, "paymentReservation"), call.number)
    return json_response(written.status if written.failed else 201, written.as_json(context.switches))


def _reserve(context: SandboxContext, record: Any, request: int) -> WriteResult:
    checked = validate(PAYMENT_RESERVATION, record, strict=context.switches["strict"])
    payment_id = natural_key(record, "paymentId")
    keys: dict[str, Any] = {"clientNo": context.client_no}
    if payment_id:
        keys["paymentId"] = payment_id
        taken = "SELECT 1 FROM effect WHERE kind = 'payments' AND key = ? AND what = 'reserved'"
        if context.store.fetch_one(taken, (payment_id,)):
            checked.errors.append(Problem("PaymentId", "exists already"))
    item = find_target(context, checked.record)
    customer_no = natural_key(checked.record, "customerNo")
    if item is None and (customer_no is None or account_no_of(context, customer_no) is None) and not checked.errors:
        checked.errors.append(Problem("ArItemId", "no such item or customer"))
    if checked.errors or payment_id is None:
        return rejected("Payment reservation not processed", checked.errors, keys)
    if item is not None:
        keys["arItemId"] = item["arItemId"]
        write_item(context, item | {"reservedStatus": RESERVED})
    context.ledger.record("payments", payment_id, "reserved", request)
    return WriteResult("CREATED", "Payment reservation created", keys, checked.warnings)


def find_target(context: SandboxContext, record: dict[str, Any]) -> dict[str, Any] | None:
    """The item that a posting means: by arItemId, documentNo or kid; of several, the oldest open one."""
    for name, column in (("arItemId", "ar_item_id"), ("documentNo", "document_no"), ("kid", "kid")):
        value = natural_key(record, name)
        if value is not None:
            row = context.store.fetch_one(
                f"SELECT body FROM ar_item WHERE {column} = ? AND live = 1 ORDER BY open DESC, pos LIMIT 1",  # noqa: S608
                (value,),
            )
            item: dict[str, Any] | None = money.decode(row[0]) if row else None
            return item
    return None
