"""Booking of AR items, and settlement of one item with another. The sums of amounts and of balances always agree."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api.numbers import mod10
from airflow_provider_arm.sandbox.api.validation import parse_day
from airflow_provider_arm.sandbox.state.clock import epoch_ms
from airflow_provider_arm.sandbox.state.context import SandboxContext

#: 3 is documented for an invoice; the others are assumed.
PAYMENT, INVOICE, CREDIT_NOTE = 1, 3, 4
DESCRIPTIONS = {PAYMENT: "Payment", INVOICE: "Invoice", CREDIT_NOTE: "Credit note"}

#: Days from invoice date to due date if the document has no due date.
DEFAULT_DUE_DAYS = 14

#: The client's own currency, and fixed exchange rates into it.
GL_CURRENCY = "NOK"
RATES = {
    "NOK": Decimal(1),
    "EUR": Decimal("11.5"),
    "SEK": Decimal("1.05"),
    "DKK": Decimal("1.54"),
    "USD": Decimal("10.5"),
}
OTHER_RATE = Decimal(10)

_CENT = Decimal("0.01")

#: Numbers of the documented item; new items get the numbers that follow.
FIRST_REFERENCE_NO = 35_078
FIRST_VOUCHER_NO = 57_869
FIRST_GL_CASE_NO = 1_165_723
FIRST_GL_LOT_NO = 6_852_398
LEDGER_PERIOD_REPORT_NO = 2564


@dataclass(frozen=True, slots=True)
class Posting:
    """Amount to book on an account, with its details."""

    voucher_type: int
    customer_no: str
    account_no: int
    amount: int | Decimal
    currency: str
    voucher_date: str
    due_date: str | None = None
    document_no: str | None = None
    kid: str | None = None
    lot_no: int = 0
    #: Reference that this posting belongs to; ``None``: a new one.
    reference_no: int | None = None
    text: str | None = None
    external_id: str | None = None


def to_gl_amount(amount: int | Decimal, currency: str) -> int | Decimal:
    """Return the amount in the client's own currency."""
    if currency == GL_CURRENCY:
        return amount
    return (Decimal(amount) * RATES.get(currency, OTHER_RATE)).quantize(_CENT, ROUND_HALF_EVEN)


def build_kid(client_no: int, account_no: int, reference_no: int) -> str:
    """Return a payment reference in the format of the documented one, but with a valid mod 10 check digit."""
    digits = f"5{client_no:06d}{account_no:06d}{reference_no:07d}"
    return digits + mod10(digits)


def book(context: SandboxContext, posting: Posting) -> dict[str, Any]:
    """Write the AR item of *posting*, and return the item."""
    store = context.store
    reference = posting.reference_no or store.next_number("reference", FIRST_REFERENCE_NO + 1)
    sequence = _next_sequence(context, posting.account_no, reference) if posting.reference_no else 0
    voucher_day = parse_day(posting.voucher_date) or context.now().date()
    due = posting.due_date or (voucher_day + dt.timedelta(days=DEFAULT_DUE_DAYS)).isoformat()
    gl_amount = to_gl_amount(posting.amount, posting.currency)
    item: dict[str, Any] = {
        "clientNo": context.client_no,
        "accountNo": posting.account_no,
        "referenceNo": reference,
        "referenceSequenceNo": sequence,
        "arItemId": f"{context.client_no}-{posting.account_no}-{reference}-{sequence}",
        "customerNo": posting.customer_no,
        "documentNo": posting.document_no or "",
        "voucherDate": posting.voucher_date,
        "dueDate": due,
        "originalDueDate": due,
        "currency": posting.currency,
        "currencyAmount": posting.amount,
        "currencyBalance": posting.amount,
        "glAmount": gl_amount,
        "glBalance": gl_amount,
        "kid": posting.kid or build_kid(context.client_no, posting.account_no, reference),
        "voucherType": posting.voucher_type,
        "voucherTypeDescription": DESCRIPTIONS[posting.voucher_type],
        "voucherNo": store.next_number("voucher", FIRST_VOUCHER_NO + 1),
        "transactionText": posting.text or DESCRIPTIONS[posting.voucher_type],
        "glCaseNo": store.next_number("gl_case", FIRST_GL_CASE_NO + 1),
        "glLotNo": FIRST_GL_LOT_NO + posting.lot_no,
        "glYear": voucher_day.year,
        "glPeriod": voucher_day.month,
        "externalId1": posting.external_id or context.short_id("external"),
        "ledgerPeriodReportNo": LEDGER_PERIOD_REPORT_NO,
        "reservedStatus": "",
        "createdTime": context.timestamp(),
    }
    write_item(context, item)
    return item


def write_item(context: SandboxContext, item: dict[str, Any]) -> None:
    """Write an AR item; an earlier version is replaced, at its position in the list."""
    sql = "SELECT id, pos FROM ar_item WHERE ar_item_id = ? AND live = 1"
    earlier = context.store.fetch_one(sql, (item["arItemId"],))
    if earlier:
        context.store.deactivate("ar_item", earlier[0])
    context.store.add("ar_item", money.encode(item), filter_columns(item), earlier[1] if earlier else None)


def filter_columns(item: dict[str, Any]) -> tuple[Any, ...]:
    """Return the values that the store keeps in columns of their own, for filters."""
    voucher_day, due_day = parse_day(item["voucherDate"]), parse_day(item["dueDate"])
    return (
        item["arItemId"],
        item["customerNo"],
        item["documentNo"],
        item["kid"],
        voucher_day.toordinal() if voucher_day else None,
        due_day.toordinal() if due_day else None,
        epoch_ms(dt.datetime.fromisoformat(item["createdTime"])),
        item["glYear"] * 100 + item["glPeriod"],
        int(item["currencyBalance"] != 0),
    )


def settle(context: SandboxContext, payment: dict[str, Any], invoice: dict[str, Any]) -> None:
    """Book a payment or credit note (negative) against an open item (positive), up to the smaller balance."""
    amount = min(Decimal(invoice["currencyBalance"]), -Decimal(payment["currencyBalance"]))
    if amount <= 0 or payment["currency"] != invoice["currency"]:
        return
    # The item that is fully settled uses its whole GL balance, so that rounding loses no cent.
    settles_invoice = amount == invoice["currencyBalance"]
    gl_amount = Decimal(invoice["glBalance"]) if settles_invoice else -Decimal(payment["glBalance"])
    for item, sign in ((invoice, -1), (payment, 1)):
        item["currencyBalance"] = _normalize(item["currencyBalance"] + sign * amount)
        item["glBalance"] = _normalize(item["glBalance"] + sign * gl_amount)
        write_item(context, item)


def settle_by_kid(context: SandboxContext, payment: dict[str, Any], kid: str) -> None:
    """Book the settlement of the open items that have this payment reference with *payment*, oldest first."""
    sql = "SELECT body FROM ar_item WHERE kid = ? AND live = 1 AND open = 1 ORDER BY pos"
    for (body,) in context.store.fetch_all(sql, (kid,)):
        item = money.decode(body)
        if item["arItemId"] != payment["arItemId"]:
            settle(context, payment, item)


def _normalize(amount: int | Decimal) -> int | Decimal:
    """Return a computed amount as ARM writes it: 625, not 625.00."""
    exact = Decimal(amount)
    return int(exact) if exact == exact.to_integral_value() else exact


def _next_sequence(context: SandboxContext, account_no: int, reference_no: int) -> int:
    prefix = f"{context.client_no}-{account_no}-{reference_no}-"
    rows = context.store.fetch_all(
        "SELECT ar_item_id FROM ar_item WHERE ar_item_id >= ? AND ar_item_id < ? AND live = 1",
        (prefix, prefix + ":"),  # the colon is the character after 9
    )
    return 1 + max((int(row[0].rpartition("-")[2]) for row in rows), default=-1)
