"""Customers: read, upsert, update, delete. The rules of updates are documented."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import lists
from airflow_provider_arm.sandbox.api.validation import ValidatedRecord, validate
from airflow_provider_arm.sandbox.api.writing import WriteResult, envelope, natural_key, rejected
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.record_fields import CUSTOMER, POSTAL_ADDRESS
from airflow_provider_arm.sandbox.state.context import SandboxContext

LISTING = lists.ListDefinition(
    "customer",
    "customers",  # assumed (Q8) for the other lists; documented here
    {  # assumed (Q7)
        "customerno": lists.ListFilter("customer_no = ?", lists.text),
        "name": lists.ListFilter("name LIKE ? ESCAPE '\\'", lists.part),
        "organizationno": lists.ListFilter("organization_no = ?", lists.text),
    },
)

#: The next number after this goes to the first customer that a caller creates; the documented one has 500002.
FIRST_ACCOUNT_NO = 500_002

_SSN = re.compile(r"\d{11}", re.ASCII)
_POSTAL_CODE = re.compile(r"\d{4}", re.ASCII)

#: Only shown by GET of what the write asked for; the rest of a write body is kept.
_WRITE_ONLY = frozenset(f.name for f in CUSTOMER if f.write_only)
_ORDER = [f.name for f in CUSTOMER if not f.write_only]


def get_customer(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """GET one customer."""
    only_parameters(call, {"userid", "expand"})
    found = _find(context, call.values["customerno"])
    if found is None:
        raise HttpError(404, "Customer not found", [Problem("CustomerNo", "not found")])
    return SandboxResponse(200, found[2])


def list_customers(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """GET a list of customers."""
    return lists.serve(context, call, LISTING)


def post_customer(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """POST one customer: create it, or update it where it exists."""
    written = write_customer(context, envelope(call, "customer"), call.number, may_create=True)
    if context.switches["q17_upsert_answer"] == "created_200" and not written.failed:
        written.result, written.message = "CREATED", "Customer created"
        return json_response(200, written.as_json(context.switches))
    return _answer(context, written)


def put_customer(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """PUT one customer: update one that exists (the number stands in the body)."""
    return _answer(context, write_customer(context, envelope(call, "customer"), call.number, may_create=False))


def delete_customer(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """DELETE a customer: documented as allowed only without documents and AR items."""
    only_parameters(call, {"options", "userid"})
    found = _find(context, call.values["customerno"])
    if found is None:
        raise HttpError(404, "Customer not found", [Problem("CustomerNo", "not found")])
    row_id, account_no, body, _ = found
    customer_no = money.decode(body)["customerNo"]
    keys = {"clientNo": context.client_no, "accountNo": account_no, "customerNo": customer_no}
    for table, what in (("ar_item", "AR items"), ("document", "documents")):
        if context.store.fetch_one(f"SELECT 1 FROM {table} WHERE customer_no = ? AND live = 1 LIMIT 1", (customer_no,)):  # noqa: S608
            problem = Problem("CustomerNo", f"the customer has {what}")
            return _answer(context, rejected("Customer not deleted", [problem], keys))
    context.store.retire("customer", row_id)
    context.ledger.record("customers", customer_no, "deleted", call.number)
    return _answer(context, WriteResult("DELETED", "Customer deleted", keys))


def write_customer(context: SandboxContext, record: Any, request: int, *, may_create: bool) -> WriteResult:
    """Create or update one customer, as the single calls and the batches both do."""
    customer_no = natural_key(record, "customerNo")
    found = _find(context, customer_no) if customer_no else None
    checked = validate(CUSTOMER, record, creating=found is None, strict=context.switches["strict"])
    keys: dict[str, Any] = {"clientNo": context.client_no}
    if found:
        keys["accountNo"] = found[1]
    if customer_no:
        keys["customerNo"] = customer_no
    if customer_no and found is None and not may_create:
        return rejected("Customer not found", [Problem("CustomerNo", "not found")], keys, status=404)
    if context.switches["strict"]:
        checked.errors += _combinations(checked.record)
    if checked.errors or customer_no is None:
        return rejected("Customer not processed", checked.errors, keys)
    stored = money.decode(found[2]) if found else {}
    body = _merge(context, stored, checked)
    if found:
        context.store.retire("customer", found[0])
    _write(context, body, pos=found[3] if found else None)
    context.ledger.record("customers", str(body["customerNo"]), "updated" if found else "created", request)
    keys = {"clientNo": context.client_no, "accountNo": body["accountNo"], "customerNo": body["customerNo"]}
    result = "UPDATED" if found else "CREATED"
    return WriteResult(result, f"Customer {result.lower()}", keys, checked.warnings)


def _merge(context: SandboxContext, stored: dict[str, Any], checked: ValidatedRecord) -> dict[str, Any]:
    given = {name: value for name, value in checked.record.items() if name not in _WRITE_ONLY}
    merged = {**stored, **given}
    if stored:
        merged["customerNo"] = stored["customerNo"]
    else:
        merged["clientNo"] = context.client_no
        merged["accountNo"] = context.store.number("account", FIRST_ACCOUNT_NO + 1)
        merged.setdefault("language", "no")
    address = given.get("postalAddress")
    if address:  # documented: one group, so a partial address blanks the rest
        merged["postalAddress"] = {f.name: address.get(f.name) or "" for f in POSTAL_ADDRESS}
        if stored and merged["postalAddress"] != stored.get("postalAddress"):
            merged["postalAddressChanged"] = context.now().date().isoformat()
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


def _find(context: SandboxContext, customer_no: str) -> tuple[int, int, bytes, int] | None:
    found = context.store.fetch_one(
        "SELECT id, account_no, body, pos FROM customer WHERE customer_no = ? AND live = 1", (customer_no,)
    )
    return None if found is None else (found[0], found[1], found[2], found[3])


def account_no_of(context: SandboxContext, customer_no: str) -> tuple[int, str] | None:
    """The account and the exact number of a customer that exists."""
    found = _find(context, customer_no)
    return None if found is None else (found[1], str(money.decode(found[2])["customerNo"]))


def _write(context: SandboxContext, body: dict[str, Any], pos: int | None = None) -> None:
    values = (body["customerNo"], body["accountNo"], body["name"], body.get("organizationNo"))
    context.store.add("customer", money.encode(body), values, pos)


def _answer(context: SandboxContext, written: WriteResult) -> SandboxResponse:
    status = written.status if written.failed else (201 if written.result == "CREATED" else 200)
    return json_response(status, written.as_json(context.switches))


def only_parameters(call: SandboxRequest, known: set[str]) -> None:
    """Refuse a query parameter that the operation does not have."""
    for name in call.parameters():
        if name not in known:
            raise lists.bad_parameter(name, "is not known")
