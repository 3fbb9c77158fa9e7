"""GL items: the general ledger's side of every AR item. They are made from the AR items, so the two always agree."""

from __future__ import annotations

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import lists
from airflow_provider_arm.sandbox.api.customers import only_parameters
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse
from airflow_provider_arm.sandbox.state.context import SandboxContext

#: Accounts receivable in the Norwegian standard chart of accounts (NS 4102).
RECEIVABLES_ACCOUNT = "1500"

#: What a GL item takes over from its AR item. The reference gives the paths, not the fields. # assumed
TAKEN_OVER = (
    "arItemId",
    "customerNo",
    "documentNo",
    "voucherDate",
    "currency",
    "currencyAmount",
    "glAmount",
    "voucherType",
    "voucherTypeDescription",
    "voucherNo",
    "transactionText",
    "glCaseNo",
    "glLotNo",
    "glYear",
    "glPeriod",
    "createdTime",
)


def _render(context: SandboxContext, bodies: list[bytes]) -> list[bytes]:
    return [render(context, body) for body in bodies]


def render(context: SandboxContext, body: bytes) -> bytes:
    """The GL item of an AR item."""
    item = money.decode(body)
    shown = {"clientNo": context.client_no, "glItemId": f"GL-{item['arItemId']}", "glAccountNo": RECEIVABLES_ACCOUNT}
    return money.encode(shown | {name: item[name] for name in TAKEN_OVER})


LISTING = lists.ListDefinition(
    "ar_item",
    "glItems",  # assumed (Q8)
    {  # assumed (Q7)
        "glyear": lists.ListFilter("gl_month / 100 = ?", lists.whole),
        "glperiod": lists.ListFilter("gl_month % 100 = ?", lists.whole),
        "fromvoucherdate": lists.ListFilter("voucher_day >= ?", lists.date),
        "tovoucherdate": lists.ListFilter("voucher_day <= ?", lists.date),
    },
    _render,
)


def get_gl_item(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """GET one GL item."""
    only_parameters(call, {"userid", "expand"})
    item_id = call.values["glitemid"].removeprefix("GL-")
    row = context.store.fetch_one("SELECT body FROM ar_item WHERE ar_item_id = ? AND live = 1", (item_id,))
    if row is None or item_id == call.values["glitemid"]:
        raise HttpError(404, "GL item not found", [Problem("GlItemId", "not found")])
    return SandboxResponse(200, render(context, row[0]))


def list_gl_items(context: SandboxContext, call: SandboxRequest) -> SandboxResponse:
    """GET a list of GL items."""
    return lists.serve(context, call, LISTING)
