"""Customers: read, upsert, update, delete. The rules of updates are documented."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import lists
from airflow_provider_arm.sandbox.api.validation import Checked, check
from airflow_provider_arm.sandbox.api.writing import Written, envelope, natural_key, rejected
from airflow_provider_arm.sandbox.messages import Call, Problem, Refusal, SandboxResponse, answer
from airflow_provider_arm.sandbox.record_fields import CUSTOMER, POSTAL_ADDRESS
from airflow_provider_arm.sandbox.state.context import SandboxContext

LISTING = lists.Listing(
    "customer",
    "customers",  # assumed (Q8) for the other lists; documented here
    {  # assumed (Q7)
        "customerno": lists.Filter("customer_no = ?", lists.text),
        "name": lists.Filter("name LIKE ? ESCAPE '\\'", lists.part),
        "organizationno": lists.Filter("organization_no = ?", lists.text),
    },
)

#: The next number after this goes to the first customer that a caller creates; the documented one has 500002.
FIRST_ACCOUNT_NO = 500_002

_SSN = re.compile(r"\d{11}", re.ASCII)
_POSTAL_CODE = re.compile(r"\d{4}", re.ASCII)

#: Only shown by GET of what the write asked for; the rest of a write body is kept.
_WRITE_ONLY = frozenset(f.name for f in CUSTOMER if f.write_only)
_ORDER = [f.name for f in CUSTOMER if not f.write_only]


def get_customer(books: SandboxContext, call: Call) -> SandboxResponse:
    """GET one customer."""
    only_parameters(call, {"userid", "expand"})
    found = _find(books, call.values["customerno"])
    if found is None:
        raise Refusal(404, "Customer not found", [Problem("CustomerNo", "not found")])
    return SandboxResponse(200, found[2])


def list_customers(books: SandboxContext, call: Call) -> SandboxResponse:
    """GET a list of customers."""
    return lists.serve(books, call, LISTING)


def post_customer(books: SandboxContext, call: Call) -> SandboxResponse:
    """POST one customer: create it, or update it where it exists."""
    written = write_customer(books, envelope(call, "customer"), call.number, may_create=True)
    if books.behaviour["q17_upsert_answer"] == "created_200" and not written.failed:
        written.result, written.message = "CREATED", "Customer created"
        return answer(200, written.as_json(books.behaviour))
    return _answer(books, written)


def put_customer(books: SandboxContext, call: Call) -> SandboxResponse:
    """PUT one customer: update one that exists (the number stands in the body)."""
    return _answer(books, write_customer(books, envelope(call, "customer"), call.number, may_create=False))


def delete_customer(books: SandboxContext, call: Call) -> SandboxResponse:
    """DELETE a customer: documented as allowed only without documents and AR items."""
    only_parameters(call, {"options", "userid"})
    found = _find(books, call.values["customerno"])
    if found is None:
        raise Refusal(404, "Customer not found", [Problem("CustomerNo", "not found")])
    row_id, account_no, body, _ = found
    customer_no = money.decode(body)["customerNo"]
    keys = {"clientNo": books.client_no, "accountNo": account_no, "customerNo": customer_no}
    for table, what in (("ar_item", "AR items"), ("document", "documents")):
        if books.store.row(f"SELECT 1 FROM {table} WHERE customer_no = ? AND live = 1 LIMIT 1", (customer_no,)):  # noqa: S608
            problem = Problem("CustomerNo", f"the customer has {what}")
            return _answer(books, rejected("Customer not deleted", [problem], keys))
    books.store.retire("customer", row_id)
    books.ledger.record("customers", customer_no, "deleted", call.number)
    return _answer(books, Written("DELETED", "Customer deleted", keys))


def write_customer(books: SandboxContext, record: Any, request: int, *, may_create: bool) -> Written:
    """Create or update one customer, as the single calls and the batches both do."""
    customer_no = natural_key(record, "customerNo")
    found = _find(books, customer_no) if customer_no else None
    checked = check(CUSTOMER, record, creating=found is None, strict=books.behaviour["strict"])
    keys: dict[str, Any] = {"clientNo": books.client_no}
    if found:
        keys["accountNo"] = found[1]
    if customer_no:
        keys["customerNo"] = customer_no
    if customer_no and found is None and not may_create:
        return rejected("Customer not found", [Problem("CustomerNo", "not found")], keys, status=404)
    if books.behaviour["strict"]:
        checked.errors += _combinations(checked.record)
    if checked.errors or customer_no is None:
        return rejected("Customer not processed", checked.errors, keys)
    stored = money.decode(found[2]) if found else {}
    body = _merge(books, stored, checked)
    if found:
        books.store.retire("customer", found[0])
    _write(books, body, pos=found[3] if found else None)
    books.ledger.record("customers", str(body["customerNo"]), "updated" if found else "created", request)
    keys = {"clientNo": books.client_no, "accountNo": body["accountNo"], "customerNo": body["customerNo"]}
    result = "UPDATED" if found else "CREATED"
    return Written(result, f"Customer {result.lower()}", keys, checked.warnings)


def _merge(books: SandboxContext, stored: dict[str, Any], checked: Checked) -> dict[str, Any]:
    given = {name: value for name, value in checked.record.items() if name not in _WRITE_ONLY}
    merged = {**stored, **given}
    if stored:
        merged["customerNo"] = stored["customerNo"]
    else:
        merged["clientNo"] = books.client_no
        merged["accountNo"] = books.store.number("account", FIRST_ACCOUNT_NO + 1)
        merged.setdefault("language", "no")
    address = given.get("postalAddress")
    if address:  # documented: one group, so a partial address blanks the rest
        merged["postalAddress"] = {f.name: address.get(f.name) or "" for f in POSTAL_ADDRESS}
        if stored and merged["postalAddress"] != stored.get("postalAddress"):
            merged["postalAddressChanged"] = books.now().date().isoformat()
    elif "postalAddress" in given:
        merged.pop("postalAddress")
        merged |= {k: v for k, v in stored.items() if k == "postalAddress"}
    if "distribution" in given:
        merged["distribution"] = {**stored.get("distribution", {}), **given["distribution"]}
    if given.get("organizationNo"):
        merged["organizationNoScheme"] = "0192"  # the scheme of Norwegian organisation numbers, as in the example
    merged["usingLanguage"] = merged["language"]
    if "currency" in given:
        merged["currency"] = given["currency"].upper()  # documented: values are not case-sensitive
    return {name: merged[name] for name in _ORDER if name in merged}


def _combinations(record: dict[str, Any]) -> list[Problem]:
    """What is wrong between fields. Bank accounts are not checked: the reference's own example has 12 digits."""
    errors = []
    address = record.get("postalAddress") or {}
    code = address.get("postalCode")
    if code and str(address.get("countryCode", "")).upper() == "NO" and not _POSTAL_CODE.fullmatch(code):
        errors.append(Problem("PostalCode", "must be 4 digits in Norway"))
    ssn = record.get("ssn")
    if ssn and str(record.get("ssnCountry", "NO")).upper() == "NO" and not _SSN.fullmatch(ssn):
        errors.append(Problem("Ssn", "must be 11 digits in Norway"))
    if record.get("dueDays", 0) < 0:
        errors.append(Problem("DueDays", "must not be negative"))
    return errors


def _find(books: SandboxContext, customer_no: str) -> tuple[int, int, bytes, int] | None:
    found = books.store.row(
        "SELECT id, account_no, body, pos FROM customer WHERE customer_no = ? AND live = 1", (customer_no,)
    )
    return None if found is None else (found[0], found[1], found[2], found[3])


def account_no_of(books: SandboxContext, customer_no: str) -> tuple[int, str] | None:
    """The account and the exact number of a customer that exists."""
    found = _find(books, customer_no)
    return None if found is None else (found[1], str(money.decode(found[2])["customerNo"]))


def _write(books: SandboxContext, body: dict[str, Any], pos: int | None = None) -> None:
    values = (body["customerNo"], body["accountNo"], body["name"], body.get("organizationNo"))
    books.store.add("customer", money.encode(body), values, pos)


def _answer(books: SandboxContext, written: Written) -> SandboxResponse:
    status = written.status if written.failed else (201 if written.result == "CREATED" else 200)
    return answer(status, written.as_json(books.behaviour))


def only_parameters(call: Call, known: set[str]) -> None:
    """Refuse a query parameter that the operation does not have."""
    for name in call.parameters():
        if name not in known:
            raise lists.bad_parameter(name, "is not known")
