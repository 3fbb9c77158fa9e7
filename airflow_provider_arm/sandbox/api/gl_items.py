"""GL items: the general ledger entry of every AR item, derived from it, so that both always agree."""

from __future__ import annotations

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import lists
from airflow_provider_arm.sandbox.messages import SandboxRequest, SandboxResponse
from airflow_provider_arm.sandbox.state.context import SandboxContext

#: Accounts receivable in the Norwegian standard chart of accounts (NS 4102).
RECEIVABLES_ACCOUNT = "1500"

#: Fields that a GL item copies from its AR item. The reference gives the paths, not the fields. # assumed
COPIED_FIELDS = """
    arItemId customerNo documentNo voucherDate currency currencyAmount glAmount voucherType voucherTypeDescription
    voucherNo transactionText glCaseNo glLotNo glYear glPeriod createdTime
    """.split()  # noqa: SIM905 - shorter than a list


def _build_gl_item(context: SandboxContext, ar_item: bytes) -> bytes:
    """Return the GL item of an AR item."""
    item = money.decode(ar_item)
    gl_item = {"clientNo": context.client_no, "glItemId": f"GL-{item['arItemId']}", "glAccountNo": RECEIVABLES_ACCOUNT}
    return money.encode(gl_item | {name: item[name] for name in COPIED_FIELDS})


GL_ITEM_LIST = lists.ListDefinition(
    "ar_item",
    "glItems",  # assumed (Q8)
    {  # assumed (Q7)
        "glyear": lists.ListFilter("gl_month / 100 = ?", lists.parse_integer),
        "glperiod": lists.ListFilter("gl_month % 100 = ?", lists.parse_integer),
        "fromvoucherdate": lists.ListFilter("voucher_day >= ?", lists.parse_date),
        "tovoucherdate": lists.ListFilter("voucher_day <= ?", lists.parse_date),
    },
    _build_gl_item,
)


def get_gl_item(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return one GL item."""
    prefix, _, ar_item_id = request.path_parameters["glitemid"].partition("GL-")
    ar_item = None if prefix else context.store.find_body("ar_item", "ar_item_id", ar_item_id)
    body = None if ar_item is None else _build_gl_item(context, ar_item)
    return lists.record_response(request, body, "GL item", "GlItemId")


def list_gl_items(context: SandboxContext, request: SandboxRequest) -> SandboxResponse:
    """Return a list of GL items."""
    return lists.list_response(context, request, GL_ITEM_LIST)
