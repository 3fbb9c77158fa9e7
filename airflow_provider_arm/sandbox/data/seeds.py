"""The synthetic ledger: the same seed writes the same bytes, whatever the day."""

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

#: The ledger runs over these days; fixed, so that filters by date give the same on every day.
FIRST_DAY = dt.date(2024, 7, 1)
LAST_DAY = dt.date(2025, 12, 31)

#: Customers where the caller does not say: one for every so many items.
ITEMS_PER_CUSTOMER = 8
FEWEST_CUSTOMERS = 10

#: Synthetic customers are numbered from here; the documented one is 543210.
FIRST_CUSTOMER_NO = 600_001

#: Beyond this many items the ledger stands for an imported one: the items have no documents.
MOST_ITEMS_WITH_DOCUMENTS = 50_000

#: Up to so many items the indexes cost nothing while they are written.
SMALL = 10_000

#: An invoice is settled within so many days.
PAYMENT_DAYS = 60

#: Hundredths of NOK for one unit, so that amounts stay whole numbers while the ledger is made.
_RATES = {currency: int(rate * 100) for currency, rate in booking.RATES.items()}

#: Of a thousand invoices: how many are in another currency, paid, paid in part, credited in part. The rest is open.
_FOREIGN, _PAID, _PART_PAID, _CREDITED = 60, 300, 180, 60

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class _Day:
    """A day of the ledger with all that is written about it."""

    iso: str
    number: int
    offset: str
    midnight_ms: int
    year: int
    month: int


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """How much to write, and over which days."""

    #: Exactly so many AR items, or as many as so many invoices come to with what settles them.
    items: int | None = None
    invoices: int | None = None
    customers: int | None = None
    first_day: dt.date = FIRST_DAY
    last_day: dt.date = LAST_DAY

    def full(self, items: int, invoices: int) -> bool:
        """Whether enough is written."""
        return items >= self.items if self.items is not None else invoices >= (self.invoices or 0)

    def progress(self, items: int, invoices: int) -> tuple[int, int]:
        """How much of how much is written."""
        return (items, self.items) if self.items is not None else (invoices, self.invoices or 1)


def fill(context: SandboxContext, plan: SeedPlan) -> None:
    """Write the documented records and a synthetic ledger."""
    size = plan.items if plan.items is not None else (plan.invoices or 0)
    wanted = max(FEWEST_CUSTOMERS, size // ITEMS_PER_CUSTOMER) if plan.customers is None else max(1, plan.customers)
    dice = random.Random(context.seed)
    accounts = _customers(context, wanted, dice)
    store = context.store
    if size > SMALL:
        store.drop_indexes()
    store.add_many("ar_item", _items(context, plan, accounts, dice))
    store.make_indexes()
    count = store.count("ar_item")
    if count <= MOST_ITEMS_WITH_DOCUMENTS:
        store.add_many("document", _documents(context))
    _move_series(context, count)


def _customers(context: SandboxContext, count: int, dice: random.Random) -> list[tuple[int, str]]:
    rows: list[Row] = []
    accounts = []
    for number in range(count):
        if number == 0:
            body = money.decode(documented.CUSTOMER)
            body["clientNo"] = context.client_no
        else:
            customer_no = str(FIRST_CUSTOMER_NO + number - 1)
            body = people.customer(context.client_no, FIRST_ACCOUNT_NO + number, customer_no, dice)
        values = (body["customerNo"], body["accountNo"], body["name"], body.get("organizationNo"))
        rows.append((*values, number + 1, money.encode(body)))
        accounts.append((body["accountNo"], body["customerNo"]))
    context.store.add_many("customer", rows)
    context.store.move_series("customer_pos", count)
    context.store.move_series("account", FIRST_ACCOUNT_NO + count - 1)
    return accounts


def _items(
    context: SandboxContext, plan: SeedPlan, accounts: list[tuple[int, str]], dice: random.Random
) -> Iterator[Row]:
    pos = 0
    for text in (documented.AR_ITEM, documented.PAYMENT)[: plan.items]:
        pos += 1
        item = money.decode(text)
        if context.client_no != documented.CLIENT_NO:
            item |= {
                "clientNo": context.client_no,
                "arItemId": item["arItemId"].replace("2218-", f"{context.client_no}-", 1),
            }
        yield (*booking.columns(item), pos, money.encode(item))
    days = _days(plan)
    maker = _Maker(context.client_no)
    last = len(days) - PAYMENT_DAYS  # what settles an invoice comes after it
    while not plan.full(pos, maker.invoices):
        done, of = plan.progress(pos, maker.invoices)
        on = done * last // of
        paid_on = days[on + 1 + dice.randrange(PAYMENT_DAYS - 1)]
        account = accounts[dice.randrange(len(accounts))]
        for row in maker.invoice(
            account, days[on], paid_on, dice, alone=plan.items is not None and pos + 1 == plan.items
        ):
            pos += 1
            yield (*row[:-1], pos, row[-1])


class _Maker:
    """Writes invoices with what settles them. Text is put together by hand: a million items in seconds."""

    def __init__(self, client_no: int) -> None:
        self.client_no = client_no
        self.reference = booking.FIRST_REFERENCE_NO
        self.voucher = booking.FIRST_VOUCHER_NO + 1
        self.invoices = 0

    def invoice(
        self, account: tuple[int, str], on: _Day, paid_on: _Day, dice: random.Random, *, alone: bool
    ) -> Iterator[Row]:
        """One invoice, and the payment or credit note that belongs to it unless it must stay *alone*."""
        self.reference += 1
        self.invoices += 1
        chance = dice.randrange(1000)
        currency = "NOK" if dice.randrange(1000) >= _FOREIGN else ("EUR", "SEK", "USD")[dice.randrange(3)]
        amount = dice.randrange(5_000, 2_500_000)
        if dice.randrange(2):
            amount -= amount % 100  # half of all invoices are round
        settled, kind = 0, PAYMENT
        if not alone and chance < _PAID:
            settled = amount
        elif not alone and chance < _PAID + _PART_PAID + _CREDITED:
            settled = 1 + dice.randrange(amount - 1)
            kind = PAYMENT if chance < _PAID + _PART_PAID else CREDIT_NOTE
        gl_amount = _gl(amount, currency)
        gl_settled = gl_amount if settled == amount else _gl(settled, currency)
        kid = booking.kid_for(self.client_no, account[0], self.reference)
        document_no = str(90_000_000 + self.reference)
        amounts = (amount, amount - settled, gl_amount, gl_amount - gl_settled)
        common = (account, kid, currency, dice)
        yield self._row(0, INVOICE, document_no, on, amounts, common)
        if settled:
            note_no = f"C{document_no}" if kind == CREDIT_NOTE else ""
            yield self._row(1, kind, note_no, paid_on, (-settled, 0, -gl_settled, 0), common)

    def _row(  # noqa: PLR0917 - called a million times: keywords would cost a second
        self,
        sequence: int,
        kind: int,
        document_no: str,
        on: _Day,
        amounts: tuple[int, int, int, int],
        common: tuple[tuple[int, str], str, str, random.Random],
    ) -> Row:
        self.voucher += 1
        (account_no, customer_no), kid, currency, dice = common
        due_days = booking.DEFAULT_DUE_DAYS if kind == INVOICE else 0
        item_id = f"{self.client_no}-{account_no}-{self.reference}-{sequence}"
        due = dt.date.fromordinal(on.number + due_days).isoformat()
        ms = 28_800_000 + dice.randrange(32_400_000)  # between 8:00 and 17:00
        seconds, thousandths = divmod(ms, 1000)
        time = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{thousandths:03d}"
        case_no = booking.FIRST_GL_CASE_NO + self.voucher - booking.FIRST_VOUCHER_NO
        lot_no = booking.FIRST_GL_LOT_NO + self.voucher - booking.FIRST_VOUCHER_NO
        text = DESCRIPTIONS[kind]
        body = (
            f'{{"clientNo":{self.client_no},"accountNo":{account_no},"referenceNo":{self.reference},'
            f'"referenceSequenceNo":{sequence},"arItemId":"{item_id}","customerNo":"{customer_no}",'
            f'"documentNo":"{document_no}","voucherDate":"{on.iso}","dueDate":"{due}","originalDueDate":"{due}",'
            f'"currency":"{currency}","currencyAmount":{_plain(amounts[0])},"currencyBalance":{_plain(amounts[1])},'
            f'"glAmount":{_plain(amounts[2])},"glBalance":{_plain(amounts[3])},"kid":"{kid}","voucherType":{kind},'
            f'"voucherTypeDescription":"{text}","voucherNo":{self.voucher},"transactionText":"{text}",'
            f'"glCaseNo":{case_no},"glLotNo":{lot_no},"glYear":{on.year},"glPeriod":{on.month},'
            f'"externalId1":"{_external_id(dice)}","ledgerPeriodReportNo":{booking.LEDGER_PERIOD_REPORT_NO},'
            f'"reservedStatus":"","createdTime":"{on.iso}T{time}{on.offset}"}}'
        ).encode()
        values = (item_id, customer_no, document_no, kid, on.number, on.number + due_days)
        return (*values, on.midnight_ms + ms, on.year * 100 + on.month, int(amounts[1] != 0), body)


def _documents(context: SandboxContext) -> Iterator[Row]:
    """The documents of the seeded invoices and credit notes. The documented AR item has none: it was carried over."""
    rows = context.store.fetch_all(
        "SELECT body, voucher_day FROM ar_item WHERE document_no != '' AND pos > 1 ORDER BY pos"
    )
    pos = 0
    for body, day in rows:
        item = money.decode(body)
        pos += 1
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
    context.store.move_series("document_pos", pos)


def _move_series(context: SandboxContext, ar_items: int) -> None:
    """Let new numbers come after the seeded ones, however many those are."""
    store = context.store
    store.move_series("ar_item_pos", ar_items)
    store.move_series("reference", booking.FIRST_REFERENCE_NO + ar_items + 1)
    store.move_series("voucher", booking.FIRST_VOUCHER_NO + ar_items + 1)
    store.move_series("gl_case", booking.FIRST_GL_CASE_NO + ar_items + 1)
    store.move_series("gl_lot", ar_items + 1)


def _days(plan: SeedPlan) -> list[_Day]:
    days = []
    for number in range(plan.first_day.toordinal(), plan.last_day.toordinal() + 1):
        on = dt.date.fromordinal(number)
        noon = dt.datetime.combine(on, dt.time(12), ARM_ZONE)
        offset = noon.utcoffset() or dt.timedelta(0)
        midnight = (noon.timestamp() - 12 * 3600) * 1000
        days.append(_Day(on.isoformat(), number, f"+{offset.seconds // 3600:02d}:00", int(midnight), on.year, on.month))
    return days


def _gl(amount: int, currency: str) -> int:
    return amount if currency == "NOK" else (amount * _RATES[currency] + 50) // 100


def _plain(hundredths: int) -> str:
    """Hundredths as ARM writes an amount: 625, 124.37, 124.5."""
    sign, (whole, rest) = "-" if hundredths < 0 else "", divmod(abs(hundredths), 100)
    return f"{sign}{whole}.{rest:02d}".rstrip("0").rstrip(".") if rest else f"{sign}{whole}"


def _external_id(dice: random.Random) -> str:
    bits = dice.getrandbits(128)
    text = ""
    while len(text) < 22:  # noqa: PLR2004 - the length of the documented one
        bits, rest = divmod(bits, 62)
        text += _ALPHABET[rest]
    return text
