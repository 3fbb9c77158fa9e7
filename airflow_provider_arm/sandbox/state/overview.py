"""Data of the web page at ``/``, in one response."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.state.context import SandboxContext
from airflow_provider_arm.sandbox.state.identity import CLIENT_ID, CLIENT_SECRET, airflow_connection

#: The whole page: one file, no build step, nothing loaded from other hosts.
HTML = files("airflow_provider_arm.sandbox.web").joinpath("page.html").read_bytes()

#: Rows of each table on the page, and of the table of requests.
MAX_ROWS = 12
MAX_REQUESTS = 25

#: Summing more items than this would block other requests for too long; the page then shows no sums.
MAX_SUMMED_ITEMS = 200_000

_SUM_FIELDS = ("items", "currencyAmount", "currencyBalance", "invoiced")


def compute_totals(context: SandboxContext) -> dict[str, Any]:
    """Return the counts of records, and the sums of amounts and balances per currency."""
    currencies: dict[str, dict[str, Any]] = {}
    item_count = 0
    for (body,) in context.store.fetch_all("SELECT body FROM ar_item WHERE live = 1"):
        item = money.decode(body)
        item_count += 1
        sums = currencies.setdefault(item["currency"], dict.fromkeys(_SUM_FIELDS, 0))
        sums["items"] += 1
        sums["currencyAmount"] += item["currencyAmount"]
        sums["currencyBalance"] += item["currencyBalance"]
        sums["invoiced"] += max(item["currencyAmount"], 0)
    return {
        "customers": context.store.count("customer", "live = 1"),
        "arItems": item_count,
        "documents": context.store.count("document", "live = 1"),
        "batches": context.store.count("batch"),
        "currencies": currencies,
    }


def build_overview(
    context: SandboxContext, base_url: str, auth_url: str, batch_uuid: str | None = None
) -> dict[str, Any]:
    """Return the data of the page, without requests and faults, which the core adds.

    :param batch_uuid: the only batch to show; default: the newest ones.
    """
    return {
        "now": context.timestamp(),
        "stopped": context.clock.stopped,
        "client_no": context.client_no,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "connection": json.dumps(airflow_connection(context.client_no, base_url, auth_url)),
        "totals": _totals_rows(context),
        "batches": _batch_rows(context, batch_uuid),
        "customers": _customer_rows(context),
        "non_default": [f"{name} = {_format(value)}" for name, value in context.switches.non_default().items()],
    }


def _format(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _totals_rows(context: SandboxContext) -> list[dict[str, Any]]:
    if context.store.count("ar_item", "live = 1") > MAX_SUMMED_ITEMS:
        return []
    currencies = compute_totals(context)["currencies"]
    return [
        {
            "currency": currency,
            "items": sums["items"],
            "invoiced": f"{sums['invoiced']:,.2f}",
            "settled": f"{sums['invoiced'] - sums['currencyBalance']:,.2f}",
            "open": f"{sums['currencyBalance']:,.2f}",
        }
        for currency, sums in sorted(currencies.items())
    ]


def _batch_rows(context: SandboxContext, batch_uuid: str | None) -> list[dict[str, Any]]:
    columns = ("uuid", "resource", "state", "total", "processed", "failed")
    where, values = ("", ()) if batch_uuid is None else (" WHERE uuid = ?", (batch_uuid,))
    sql = f"SELECT {', '.join(columns)} FROM batch{where} ORDER BY number DESC LIMIT {MAX_ROWS}"  # noqa: S608 - our own names
    return [dict(zip(columns, row, strict=True)) for row in context.store.fetch_all(sql, values)]


def _customer_rows(context: SandboxContext) -> list[dict[str, Any]]:
    sql = f"SELECT customer_no, name, account_no FROM customer WHERE live = 1 ORDER BY pos DESC LIMIT {MAX_ROWS}"  # noqa: S608 - our own number
    rows = []
    for customer_no, name, account_no in context.store.fetch_all(sql):
        count = context.store.count("ar_item", "customer_no = ? AND live = 1 AND open = 1", (customer_no,))
        masked = " ".join(f"{part[:1]}…" for part in str(name).split()[:4])
        rows.append({"customerNo": customer_no, "name": masked, "accountNo": account_no, "open": count})
    return rows
