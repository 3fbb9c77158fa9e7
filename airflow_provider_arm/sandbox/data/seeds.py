"""Synthetic AR items, customers and documents: the same seed gives the same bytes on every day."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import booking
from airflow_provider_arm.sandbox.api.booking import CREDIT_NOTE, DESCRIPTIONS, INVOICE, PAYMENT
from airflow_provider_arm.sandbox.api.customers import FIRST_ACCOUNT_NO
from airflow_provider_arm.sandbox.data import documented, people
from airflow_provider_arm.sandbox.state.clock import ARM_ZONE
from airflow_provider_arm.sandbox.state.context import SandboxContext
from airflow_provider_arm.sandbox.state.store import Row

#: First and last voucher date. They are fixed, so that filters by date always return the same records.
FIRST_DAY = dt.date(2024, 7, 1)
LAST_DAY = dt.date(2025, 12, 31)

#: Default number of customers: one for so many items, and at least the minimum.
ITEMS_PER_CUSTOMER = 8
MIN_CUSTOMERS = 10

#: First customer number of synthetic customers; the documented one is 543210.
FIRST_CUSTOMER_NO = 600_001

#: Number of items up to which they have documents; more items represent an imported ledger without documents.
MAX_ITEMS_WITH_DOCUMENTS = 50_000

#: Up to so many items the indexes cost nothing while they are written.
SMALL = 10_000

#: Days within which an invoice is settled.
PAYMENT_DAYS = 60

#: Exchange rates in hundredths of NOK, so that amounts are integers while the data is generated.
_RATES = {currency: int(rate * 100) for currency, rate in booking.RATES.items()}

#: Of a thousand invoices, the number in another currency, paid, paid in part, credited in part. The rest is open.
_FOREIGN, _PAID, _PART_PAID, _CREDITED = 60, 300, 180, 60

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class _Day:
    """Day with all values that records contain of it."""

    iso: str
    number: int
    offset: str
    midnight_ms: int
    year: int
    month: int


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """Amount of data and its dates."""

    #: Exact number of AR items, or number of invoices, each with its payment or credit note.
    items: int | None = None
    invoices: int | None = None
    customers: int | None = None
    first_day: dt.date = FIRST_DAY
    last_day: dt.date = LAST_DAY

    def progress(self, items: int, invoices: int) -> tuple[int, int]:
        """Return the number of records generated so far, and their target."""
        return (items, self.items) if self.items is not None else (invoices, self.invoices or 0)


def fill(context: SandboxContext, plan: SeedPlan) -> None:
    """Write the documented records and synthetic ones."""
    _, size = plan.progress(0, 0)
    customers = max(MIN_CUSTOMERS, size // ITEMS_PER_CUSTOMER) if plan.customers is None else max(1, plan.customers)
    rng = random.Random(context.seed)
    accounts = _customers(context, customers, rng)
    store = context.store
    if size > SMALL:
        store.drop_indexes()
    store.add_many("ar_item", _items(context, plan, accounts, rng))
    store.create_indexes()
    count = store.count("ar_item")
    if count <= MAX_ITEMS_WITH_DOCUMENTS:
        store.add_many("document", _documents(context))
    _set_last_numbers(context, count)


def _customers(context: SandboxContext, count: int, rng: random.Random) -> list[tuple[int, str]]:
    rows: list[Row] = []
    accounts = []
    for number in range(count):
        if number == 0:
            body = money.decode(documented.CUSTOMER)
            body["clientNo"] = context.client_no
        else:
            customer_no = str(FIRST_CUSTOMER_NO + number - 1)
            body = people.build_customer(context.client_no, FIRST_ACCOUNT_NO + number, customer_no, rng)
        values = (body["customerNo"], body["accountNo"], body["name"], body.get("organizationNo"))
        rows.append((*values, number + 1, money.encode(body)))
        accounts.append((body["accountNo"], body["customerNo"]))
    context.store.add_many("customer", rows)
    context.store.set_last_number("customer_pos", count)
    context.store.set_last_number("account", FIRST_ACCOUNT_NO + count - 1)
    return accounts


def _items(
    context: SandboxContext, plan: SeedPlan, accounts: list[tuple[int, str]], rng: random.Random
) -> Iterator[Row]:
    pos = 0
    for text in (documented.AR_ITEM, documented.PAYMENT)[: plan.items]:
        pos += 1
        item = money.decode(text)
        if context.client_no != documented.CLIENT_NO:
            item_id = item["arItemId"].replace("2218-", f"{context.client_no}-", 1)
            item |= {"clientNo": context.client_no, "arItemId": item_id}
        yield (*booking.filter_columns(item), pos, money.encode(item))
    days = _days(plan)
    generator = _ItemGenerator(context.client_no)
    last = len(days) - PAYMENT_DAYS  # payments and credit notes are later than their invoice
    while True:
        done, target = plan.progress(pos, generator.invoices)
        if done >= target:
            return
        day = done * last // target
        settled_day = days[day + 1 + rng.randrange(PAYMENT_DAYS - 1)]
        account = accounts[rng.randrange(len(accounts))]
        alone = plan.items is not None and pos + 1 == plan.items
        for row in generator.invoice(account, days[day], settled_day, rng, alone=alone):
            pos += 1
            yield (*row[:-1], pos, row[-1])


class _ItemGenerator:
    """Generator of invoices with their payments or credit notes.

    It formats JSON text directly: a million items take seconds.
    """

    def __init__(self, client_no: int) -> None:
        self.client_no = client_no
        self.reference = booking.FIRST_REFERENCE_NO
        self.voucher = booking.FIRST_VOUCHER_NO + 1
        self.invoices = 0

    def invoice(
        self, account: tuple[int, str], day: _Day, settled_day: _Day, rng: random.Random, *, alone: bool
    ) -> Iterator[Row]:
        """Yield the rows of one invoice and, unless it must stay *alone*, of its payment or credit note."""
        self.reference += 1
        self.invoices += 1
        chance = rng.randrange(1000)
        currency = "NOK" if rng.randrange(1000) >= _FOREIGN else ("EUR", "SEK", "USD")[rng.randrange(3)]
        amount = rng.randrange(5_000, 2_500_000)
        if rng.randrange(2):
            amount -= amount % 100  # half of all invoices are round
        settled, kind = 0, PAYMENT
        if not alone and chance < _PAID:
            settled = amount
        elif not alone and chance < _PAID + _PART_PAID + _CREDITED:
            settled = 1 + rng.randrange(amount - 1)
            kind = PAYMENT if chance < _PAID + _PART_PAID else CREDIT_NOTE
        gl_amount = _to_gl_amount(amount, currency)
        gl_settled = gl_amount if settled == amount else _to_gl_amount(settled, currency)
        kid = booking.build_kid(self.client_no, account[0], self.reference)
        document_no = str(90_000_000 + self.reference)
        amounts = (amount, amount - settled, gl_amount, gl_amount - gl_settled)
        common = (account, kid, currency, rng)
        yield self._row(0, INVOICE, document_no, day, amounts, common)
        if settled:
            note_no = f"C{document_no}" if kind == CREDIT_NOTE else ""
            yield self._row(1, kind, note_no, settled_day, (-settled, 0, -gl_settled, 0), common)

    def _row(  # noqa: PLR0917 - called a million times: keywords would cost a second
        self,
        sequence: int,
        kind: int,
        document_no: str,
        day: _Day,
        amounts: tuple[int, int, int, int],
        common: tuple[tuple[int, str], str, str, random.Random],
    ) -> Row:
        self.voucher += 1
        (account_no, customer_no), kid, currency, rng = common
        due_days = booking.DEFAULT_DUE_DAYS if kind == INVOICE else 0
        item_id = f"{self.client_no}-{account_no}-{self.reference}-{sequence}"
        due = dt.date.fromordinal(day.number + due_days).isoformat()
        ms = 28_800_000 + rng.randrange(32_400_000)  # between 8:00 and 17:00
        seconds, thousandths = divmod(ms, 1000)
        time = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{thousandths:03d}"
        case_no = booking.FIRST_GL_CASE_NO + self.voucher - booking.FIRST_VOUCHER_NO
        lot_no = booking.FIRST_GL_LOT_NO + self.voucher - booking.FIRST_VOUCHER_NO
        text = DESCRIPTIONS[kind]
        body = (
            f'{{"clientNo":{self.client_no},"accountNo":{account_no},"referenceNo":{self.reference},'
            f'"referenceSequenceNo":{sequence},"arItemId":"{item_id}","customerNo":"{customer_no}",'
            f'"documentNo":"{document_no}","voucherDate":"{day.iso}","dueDate":"{due}","originalDueDate":"{due}",'
            f'"currency":"{currency}","currencyAmount":{_format_amount(amounts[0])},"currencyBalance":{_format_amount(amounts[1])},'
            f'"glAmount":{_format_amount(amounts[2])},"glBalance":{_format_amount(amounts[3])},"kid":"{kid}","voucherType":{kind},'
            f'"voucherTypeDescription":"{text}","voucherNo":{self.voucher},"transactionText":"{text}",'
            f'"glCaseNo":{case_no},"glLotNo":{lot_no},"glYear":{day.year},"glPeriod":{day.month},'
            f'"externalId1":"{_external_id(rng)}","ledgerPeriodReportNo":{booking.LEDGER_PERIOD_REPORT_NO},'
            f'"reservedStatus":"","createdTime":"{day.iso}T{time}{day.offset}"}}'
        ).encode()
        values = (item_id, customer_no, document_no, kid, day.number, day.number + due_days)
        return (*values, day.midnight_ms + ms, day.year * 100 + day.month, int(amounts[1] != 0), body)


def _documents(context: SandboxContext) -> Iterator[Row]:
    """Yield the documents of generated invoices and credit notes. The documented AR item has none."""
    sql = "SELECT body, voucher_day FROM ar_item WHERE document_no != '' AND pos > 1 ORDER BY pos"
    pos = 0
    for pos, (body, day) in enumerate(context.store.fetch_all(sql), 1):
        item = money.decode(body)
        document = {
            "clientNo": item["clientNo"],
            "accountNo": item["accountNo"],
            "documentType": "CN" if item["voucherType"] == CREDIT_NOTE else "IN",
            "customerNo": item["customerNo"],
            "documentNo": item["documentNo"],
            "documentDate": item["voucherDate"],
            "dueDate": item["dueDate"],
            "currency": item["currency"],
            "kid": item["kid"],
            "currencyAmounts": {"inclVat": abs(item["currencyAmount"])},
        }
        yield (item["documentNo"], item["customerNo"], day, pos, money.encode(document))
    context.store.set_last_number("document_pos", pos)


def _set_last_numbers(context: SandboxContext, ar_items: int) -> None:
    """Set the number series, so that new numbers follow the generated ones."""
    store = context.store
    store.set_last_number("ar_item_pos", ar_items)
    store.set_last_number("reference", booking.FIRST_REFERENCE_NO + ar_items + 1)
    store.set_last_number("voucher", booking.FIRST_VOUCHER_NO + ar_items + 1)
    store.set_last_number("gl_case", booking.FIRST_GL_CASE_NO + ar_items + 1)
    store.set_last_number("gl_lot", ar_items + 1)


def _days(plan: SeedPlan) -> list[_Day]:
    days = []
    for number in range(plan.first_day.toordinal(), plan.last_day.toordinal() + 1):
        day = dt.date.fromordinal(number)
        noon = dt.datetime.combine(day, dt.time(12), ARM_ZONE)
        offset = noon.utcoffset() or dt.timedelta(0)
        midnight = (noon.timestamp() - 12 * 3600) * 1000
        hours = f"+{offset.seconds // 3600:02d}:00"
        days.append(_Day(day.isoformat(), number, hours, int(midnight), day.year, day.month))
    return days


def _to_gl_amount(amount: int, currency: str) -> int:
    return amount if currency == "NOK" else (amount * _RATES[currency] + 50) // 100


def _format_amount(hundredths: int) -> str:
    """Format hundredths as ARM formats an amount: 625, 124.37, 124.5."""
    sign, (whole, rest) = "-" if hundredths < 0 else "", divmod(abs(hundredths), 100)
    return f"{sign}{whole}.{rest:02d}".rstrip("0").rstrip(".") if rest else f"{sign}{whole}"


def _external_id(rng: random.Random) -> str:
    bits = rng.getrandbits(128)
    text = ""
    while len(text) < 22:  # noqa: PLR2004 - the length of the documented one
        bits, rest = divmod(bits, 62)
        text += _ALPHABET[rest]
    return text
