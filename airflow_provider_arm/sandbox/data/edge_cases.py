"""Pack ``edge-cases``: valid records that break careless programs. All customers are fictitious."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import booking
from airflow_provider_arm.sandbox.api.customers import FIRST_ACCOUNT_NO
from airflow_provider_arm.sandbox.data import people, seeds
from airflow_provider_arm.sandbox.state.context import SandboxContext

#: Pairs of customerNo and name.
CUSTOMERS = (
    ("0007", "Åse Ærlig-Østgård"),
    ("Æ-Ø-Å", "Blåbærsyltetøy Brødbakeri"),
    ("A/B", "Slash / Backslash \\ AS"),
    ("100%", "Hundre % Rabatt"),
    ("a+b c", "Pluss og Mellomrom"),
    ("?x=1&y=2#z", "Spørsmål & Svar"),
    ("emoji", "Kaffe ☕ og Kake 🍰 👩‍👩‍👧"),
    ("long", "Lang" * 50),
    ("quotes", 'Ola "Den Store" O\'Hara; DROP TABLE customer;--'),
    ("lines", "Linje en\nLinje to\r\n\tInnrykk"),
    ("formula", '=HYPERLINK("http://example.com","klikk")'),
    ("commas", 'Semikolon; komma, tabulator\t, og et anførselstegn "'),
    ("null", "NULL"),
    ("nan", "NaN"),
    ("spaces", "  foran og bak  "),
    ("combining", "Re\u0301ne\u0301 \u202edetnevmo"),
    ("wide", "漢字 かな العربية עברית"),
    ("1e5", "1E5"),
)

#: Amounts with exactly the digits in which they are served.
AMOUNTS = """
    0 0.00 0.01 -0.01 0.1 0.10 0.30 -625 1.005 2.675 0.0001 33.33 66.67 99999.995 123456789012345 123456789012345.67
    -999999999999999.99 9007199254740993 4503599627370497.5 70368744177664.01
    """.split()  # noqa: SIM905 - shorter than a list

#: Leap days, ends of years, both days of a clock change, a day whose ISO year differs.
DATES = ("2024-02-29", "2024-12-31", "2025-01-01", "2025-03-30", "2025-10-26", "2021-01-03", "1999-12-31", "2099-12-31")

#: Created time of every item but the documented one: all in one millisecond.
CREATED = "2025-06-30T23:59:59.999+02:00"

_CURRENCIES = ("NOK", "EUR", "JPY", "BHD", "XAU")


def fill(context: SandboxContext) -> None:
    """Write the documented records and the edge cases."""
    seeds.fill(context, seeds.SeedPlan(items=2, customers=1))
    rng = random.Random(context.seed)
    accounts: list[tuple[int, str]] = []
    for number, (customer_no, name) in enumerate(CUSTOMERS, 1):
        account_no = FIRST_ACCOUNT_NO + number
        body = people.build_customer(context.client_no, account_no, customer_no, rng)
        body |= {"name": name, "emailAddressDocument": [f"edge-case{number}@example.com"]}
        values = (customer_no, account_no, name, body.get("organizationNo"))
        context.store.add("customer", money.encode(body), values)
        accounts.append((account_no, customer_no))
    context.store.set_last_number("account", FIRST_ACCOUNT_NO + len(CUSTOMERS))
    for number in range(len(AMOUNTS) * len(DATES)):
        booking.write_item(context, _item(context, number, accounts[number % len(accounts)]))
    context.store.set_last_number("reference", booking.FIRST_REFERENCE_NO + len(AMOUNTS) * len(DATES))


def _item(context: SandboxContext, number: int, account: tuple[int, str]) -> dict[str, Any]:
    amount = _parse_amount(AMOUNTS[number % len(AMOUNTS)])
    day = DATES[number // len(AMOUNTS)]
    reference = booking.FIRST_REFERENCE_NO + 1 + number
    account_no, customer_no = account
    return {
        "clientNo": context.client_no,
        "accountNo": account_no,
        "referenceNo": reference,
        "referenceSequenceNo": 0,
        "arItemId": f"{context.client_no}-{account_no}-{reference}-0",
        "customerNo": customer_no,
        "documentNo": f"Æ/{number} %",
        **dict.fromkeys(("voucherDate", "dueDate", "originalDueDate"), day),
        "currency": _CURRENCIES[number % len(_CURRENCIES)],
        **dict.fromkeys(("currencyAmount", "currencyBalance", "glAmount", "glBalance"), amount),
        "kid": booking.build_kid(context.client_no, account_no, reference),
        "voucherType": booking.INVOICE,
        "voucherTypeDescription": "Invoice",
        "voucherNo": booking.FIRST_VOUCHER_NO + 1 + number,
        "transactionText": CUSTOMERS[number % len(CUSTOMERS)][1],
        "glCaseNo": booking.FIRST_GL_CASE_NO + 1 + number,
        "glLotNo": booking.FIRST_GL_LOT_NO + 1 + number,
        "glYear": int(day[:4]),
        "glPeriod": int(day[5:7]),
        "externalId1": "",
        "ledgerPeriodReportNo": booking.LEDGER_PERIOD_REPORT_NO,
        "reservedStatus": "",
        "createdTime": CREATED,
    }


def _parse_amount(text: str) -> int | Decimal:
    return Decimal(text) if "." in text else int(text)
