"""Customers: read, list, create or update, delete. The rules of updates are documented."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import lists
from airflow_provider_arm.sandbox.api.validation import ValidatedRecord, validate
from airflow_provider_arm.sandbox.api.writing import WriteResult, natural_key, read_envelope, rejected_result
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.record_fields import CUSTOMER, POSTAL_ADDRESS
from airflow_provider_arm.sandbox.state.context import SandboxContext
from airflow_provider_arm.sandbox.state.store import Row

CUSTOMER_LIST = lists.ListDefinition(
    "customer",
    "customers",  # documented here; assumed (Q8) for the other lists
    {  # assumed (Q7)
        "customerno": lists.ListFilter("customer_no = ?", lists.parse_text),
        "name": lists.ListFilter("name LIKE ? ESCAPE '\\'", lists.parse_substring),
        "organizationno": lists.ListFilter("organization_no = ?", lists.parse_text),
    },
)

#: Account number of the documented customer; the first created customer gets the next number.
FIRST_ACCOUNT_NO = 500_002

_SSN = re.compile(r"\d{11}", re.ASCII)
_POSTAL_CODE = re.compile(r"\d{4}", re.ASCII)

#: Fields of a write that are not stored, because GET never returns them.
_WRITE_ONLY = frozenset(f.name for f in CUSTOMER if f.write_only)
_FIELD_ORDER = [f.name for f in CUSTOMER if not f.write_only]


def get_customer(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return one customer."""
    body = context.store.find_body("customer", "customer_no", request.path_parameters["customerno"])
    return lists.record_response(request, body, "Customer", "CustomerNo")


def list_customers(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return a list of customers."""
    return lists.list_response(context, request, CUSTOMER_LIST)


def post_customer(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Create one customer, or update it if it exists."""
    result = write_customer(context, read_envelope(request, "customer"), request.number, may_create=True)
    if context.switches["q17_upsert_response"] == "created_200" and not result.failed:
        result.result, result.message = "CREATED", "Customer created"
        return json_response(200, result.as_json(context.switches))
    return _write_response(context, result)


def put_customer(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Update one existing customer (its number is in the body)."""
    result = write_customer(context, read_envelope(request, "customer"), request.number, may_create=False)
    return _write_response(context, result)


def delete_customer(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Delete one customer; documented: allowed only if it has no documents and no AR items."""
    lists.check_parameters(request, {"options", "userid"})
    row = _find_customer(context, request.path_parameters["customerno"])
    if row is None:
        raise HttpError(404, "Customer not found", [Problem("CustomerNo", "not found")])
    row_id, account_no, body, _ = row
    customer_no = money.decode(body)["customerNo"]
    keys = {"clientNo": context.client_no, "accountNo": account_no, "customerNo": customer_no}
    for table, what in (("ar_item", "AR items"), ("document", "documents")):
        sql = f"SELECT 1 FROM {table} WHERE customer_no = ? AND live = 1 LIMIT 1"  # noqa: S608 - our own table names
        if context.store.fetch_one(sql, (customer_no,)):
            problem = Problem("CustomerNo", f"the customer has {what}")
            return _write_response(context, rejected_result("Customer not deleted", [problem], keys))
    context.store.deactivate("customer", row_id)
    context.effects.record("customers", customer_no, "deleted", request.number)
    return _write_response(context, WriteResult("DELETED", "Customer deleted", keys))


def write_customer(context: SandboxContext, record: Any, request_no: int, *, may_create: bool) -> WriteResult:
    """Create or update one customer, for single writes and for batches.

    :param request_no: number of the request that submitted the record.
    :param may_create: whether a customer that does not exist is created; otherwise the result is a 404.
    """
    customer_no = natural_key(record, "customerNo")
    row = _find_customer(context, customer_no) if customer_no else None
    validated = validate(CUSTOMER, record, creating=row is None, strict=context.switches["strict"])
    keys: dict[str, Any] = {"clientNo": context.client_no}
    if row:
        keys["accountNo"] = row[1]
    if customer_no:
        keys["customerNo"] = customer_no
    if customer_no and row is None and not may_create:
        return rejected_result("Customer not found", [Problem("CustomerNo", "not found")], keys, status=404)
    if context.switches["strict"]:
        validated.errors += _cross_field_problems(validated.record)
    if validated.errors or customer_no is None:
        return rejected_result("Customer not processed", validated.errors, keys)
    stored = money.decode(row[2]) if row else {}
    body = _merge(context, stored, validated)
    if row:
        context.store.deactivate("customer", row[0])
    values = (body["customerNo"], body["accountNo"], body["name"], body.get("organizationNo"))
    context.store.add("customer", money.encode(body), values, pos=row[3] if row else None)
    context.effects.record("customers", str(body["customerNo"]), "updated" if row else "created", request_no)
    keys = {"clientNo": context.client_no, "accountNo": body["accountNo"], "customerNo": body["customerNo"]}
    result = "UPDATED" if row else "CREATED"
    return WriteResult(result, f"Customer {result.lower()}", keys, validated.warnings)


def _merge(context: SandboxContext, stored: dict[str, Any], validated: ValidatedRecord) -> dict[str, Any]:
    """Return the customer after the write: *stored*, updated with the fields of the write."""
    written = {name: value for name, value in validated.record.items() if name not in _WRITE_ONLY}
    merged = {**stored, **written}
    if stored:
        merged["customerNo"] = stored["customerNo"]
    else:
        merged["clientNo"] = context.client_no
        merged["accountNo"] = context.store.next_number("account", FIRST_ACCOUNT_NO + 1)
        merged.setdefault("language", "no")
    address = written.get("postalAddress")
    if address:  # documented: the address is one group, so a partial address blanks its other fields
        merged["postalAddress"] = {f.name: address.get(f.name) or "" for f in POSTAL_ADDRESS}
        if stored and merged["postalAddress"] != stored.get("postalAddress"):
            merged["postalAddressChanged"] = context.now().date().isoformat()
    elif "postalAddress" in written:
        merged.pop("postalAddress")
        merged |= {k: v for k, v in stored.items() if k == "postalAddress"}
    if "distribution" in written:
        merged["distribution"] = {**stored.get("distribution", {}), **written["distribution"]}
    if written.get("organizationNo"):
        merged["organizationNoScheme"] = "0192"  # the scheme of Norwegian organisation numbers, as in the example
    merged["usingLanguage"] = merged["language"]
    if "currency" in written:
        merged["currency"] = written["currency"].upper()  # documented: values are not case-sensitive
    return {name: merged[name] for name in _FIELD_ORDER if name in merged}


def _cross_field_problems(record: dict[str, Any]) -> list[Problem]:
    """Return errors that depend on several fields, or on more than a type.

    Bank accounts are not checked: the reference's own example has 12 digits.
    """
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


def _find_customer(context: SandboxContext, customer_no: str) -> Row | None:
    """Return row id, account number, body and position of a customer, or ``None`` if there is none."""
    sql = "SELECT id, account_no, body, pos FROM customer WHERE customer_no = ? AND live = 1"
    return context.store.fetch_one(sql, (customer_no,))


def find_account(context: SandboxContext, customer_no: str) -> tuple[int, str] | None:
    """Return the account number and the customer number as stored, or ``None`` if there is no such customer."""
    row = _find_customer(context, customer_no)
    return None if row is None else (row[1], str(money.decode(row[2])["customerNo"]))


def _write_response(context: SandboxContext, result: WriteResult) -> SandboxResponse:
    status = result.status if result.failed else (201 if result.result == "CREATED" else 200)
    return json_response(status, result.as_json(context.switches))
