"""Auto postings (all or nothing) and payment reservations (by ``paymentId``). All of their bodies are assumed."""

from __future__ import annotations

from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api.booking import CREDIT_NOTE, PAYMENT, Posting, book, settle, write_item
from airflow_provider_arm.sandbox.api.customers import find_account
from airflow_provider_arm.sandbox.api.validation import ValidatedRecord, validate
from airflow_provider_arm.sandbox.api.writing import WriteResult, natural_key, read_envelope, rejected_result
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.record_fields import AUTO_POSTING, PAYMENT_RESERVATION
from airflow_provider_arm.sandbox.state.context import SandboxContext

#: Last segment of the path -> voucher type that is booked. The reference names no method. # assumed
METHODS = {"payment": PAYMENT, "creditnote": CREDIT_NOTE}

#: Documented: this option on any posting validates the whole set without booking it.
VALIDATE_ONLY = "validateonly"

#: ``reservedStatus`` of a reserved item; the documented value of an item that is not reserved is "". # assumed
RESERVED = "RESERVED"


def post_auto_postings(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Book auto postings; documented: all or nothing."""
    voucher_type = METHODS.get(request.path_parameters["autopostingmethod"].lower())
    if voucher_type is None:
        raise HttpError(422, "Unknown auto posting method", [Problem("AutoPostingMethod", "unknown")])
    postings = read_envelope(request, "autoPostings")
    if not isinstance(postings, list) or not postings:
        raise HttpError(422, "AutoPostings must be a list", [Problem("AutoPostings", "must be a list, not empty")])
    validated_postings = [_validate_posting(context, posting) for posting in postings]
    if any(validated.errors for validated, _ in validated_postings):
        return _rejected_set(validated_postings)
    validate_only = any(VALIDATE_ONLY in _options(validated) for validated, _ in validated_postings)
    results = []
    for number, (validated, item) in enumerate(validated_postings, 1):
        result: dict[str, Any] = {"recordNo": number, "status": "PROCESSED", "resultType": "VALIDATED"}
        if not validate_only and item is not None:
            item_id = _book_posting(context, voucher_type, validated.record, item, request.number)
            result |= {"resultType": "CREATED", "arItemId": item_id}
        results.append(result)
    message = "Auto postings validated" if validate_only else "Auto postings processed"
    return json_response(200, {"status": "PROCESSED", "message": message, "autoPostings": results})


def _validate_posting(context: SandboxContext, posting: Any) -> tuple[ValidatedRecord, dict[str, Any] | None]:
    """Validate one posting, and return it with the item that it settles."""
    validated = validate(AUTO_POSTING, posting, strict=context.switches["strict"])
    item = _find_target_item(context, validated.record)
    if item is None and not validated.errors:
        validated.errors.append(Problem("ArItemId", "no such item: give arItemId, documentNo or kid"))
    amount = validated.record.get("currencyAmount")
    if amount is not None and amount <= 0:
        validated.errors.append(Problem("CurrencyAmount", "must be above 0"))
    if item and str(validated.record.get("currency", item["currency"])).upper() != item["currency"]:
        validated.errors.append(Problem("Currency", "is not the item's currency"))
    return validated, item


def _rejected_set(validated_postings: list[tuple[ValidatedRecord, dict[str, Any] | None]]) -> SandboxResponse:
    results = []
    for number, (validated, _) in enumerate(validated_postings, 1):
        # BATCH-REJECTED for a valid posting of a rejected set: documented.
        result: dict[str, Any] = {"recordNo": number, "status": "FAILED", "resultType": "BATCH-REJECTED"}
        if validated.errors:
            result |= {"resultType": "REJECTED", "errors": [problem.as_json() for problem in validated.errors]}
        results.append(result)
    body = {"status": "FAILED", "message": "No posting was processed", "autoPostings": results}
    return json_response(422, body)


def _options(validated: ValidatedRecord) -> list[str]:
    return [option.lower() for option in validated.record.get("options", ())]


def _book_posting(
    context: SandboxContext, voucher_type: int, record: dict[str, Any], item: dict[str, Any], request_no: int
) -> str:
    """Book one posting, settle *item* with it, and return the ``arItemId`` of the posting."""
    posting = Posting(
        voucher_type=voucher_type,
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
    # An earlier posting of this set may have changed the item: settle its stored version.
    stored_item = _find_target_item(context, {"arItemId": item["arItemId"]})
    if stored_item is not None:
        settle(context, booked, stored_item)
    context.effects.record("payments", record.get("externalId1") or item["arItemId"], "posted", request_no)
    return str(booked["arItemId"])


def post_payment_reservation(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Create a payment reservation; documented: ``paymentId`` is unique."""
    result = _reserve(context, read_envelope(request, "paymentReservation"), request.number)
    return json_response(result.status if result.failed else 201, result.as_json(context.switches))


def _reserve(context: SandboxContext, record: Any, request_no: int) -> WriteResult:
    validated = validate(PAYMENT_RESERVATION, record, strict=context.switches["strict"])
    payment_id = natural_key(record, "paymentId")
    keys: dict[str, Any] = {"clientNo": context.client_no}
    if payment_id:
        keys["paymentId"] = payment_id
        sql = "SELECT 1 FROM effect WHERE kind = 'payments' AND key = ? AND what = 'reserved'"
        if context.store.fetch_one(sql, (payment_id,)):
            validated.errors.append(Problem("PaymentId", "exists already"))
    item = _find_target_item(context, validated.record)
    customer_no = natural_key(validated.record, "customerNo")
    if item is None and (customer_no is None or find_account(context, customer_no) is None) and not validated.errors:
        validated.errors.append(Problem("ArItemId", "no such item or customer"))
    if validated.errors or payment_id is None:
        return rejected_result("Payment reservation not processed", validated.errors, keys)
    if item is not None:
        keys["arItemId"] = item["arItemId"]
        write_item(context, item | {"reservedStatus": RESERVED})
    context.effects.record("payments", payment_id, "reserved", request_no)
    return WriteResult("CREATED", "Payment reservation created", keys, validated.warnings)


def _find_target_item(context: SandboxContext, record: dict[str, Any]) -> dict[str, Any] | None:
    """Return the item that a posting refers to by arItemId, documentNo or kid; of several, the oldest open one."""
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
