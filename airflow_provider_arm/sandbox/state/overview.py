"""What the page at ``/`` shows, gathered in one answer."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.state.context import SandboxContext
from airflow_provider_arm.sandbox.state.identity import CLIENT_ID, CLIENT_SECRET

#: The whole page: one file, no build step, nothing loaded from elsewhere.
HTML = files("airflow_provider_arm.sandbox.web").joinpath("page.html").read_bytes()

#: Rows of each table on the page.
ROWS = 12
REQUESTS = 25

#: Adding up more items than this would hold up every caller; the page then shows no sums.
MOST_ITEMS_ADDED_UP = 200_000

_SUMS = ("items", "currencyAmount", "currencyBalance", "invoiced")


def totals(context: SandboxContext) -> dict[str, Any]:
    """Counts, and the sums of amounts and balances per currency."""
    sums: dict[str, dict[str, Any]] = {}
    items = 0
    for (body,) in context.store.fetch_all("SELECT body FROM ar_item WHERE live = 1"):
        item = money.decode(body)
        items += 1
        entry = sums.setdefault(item["currency"], dict.fromkeys(_SUMS, 0))
        entry["items"] += 1
        entry["currencyAmount"] += item["currencyAmount"]
        entry["currencyBalance"] += item["currencyBalance"]
        entry["invoiced"] += max(item["currencyAmount"], 0)
    return {
        "customers": context.store.count("customer", "live = 1"),
        "arItems": items,
        "documents": context.store.count("document", "live = 1"),
        "batches": context.store.count("batch"),
        "currencies": sums,
    }


def gather(context: SandboxContext, origin: str, base: str, token: str) -> dict[str, Any]:
    """Everything but requests and faults, which the core knows."""
    connection = {
        "conn_type": "arm",
        "host": origin + base,
        "login": CLIENT_ID,
        "password": CLIENT_SECRET,
        "extra": {"client_no": context.client_no, "auth_url": origin + token, "user_id": "sandbox"},
    }
    return {
        "now": context.stamp(),
        "stopped": context.clock.stopped,
        "client_no": context.client_no,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "connection": json.dumps(connection),
        "totals": _sums(context),
        "batches": _batches(context),
        "customers": _customers(context),
        "unusual": [f"{name} = {_short(value)}" for name, value in context.switches.non_default().items()],
    }


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sums(context: SandboxContext) -> list[dict[str, Any]]:
    if context.store.count("ar_item", "live = 1") > MOST_ITEMS_ADDED_UP:
        return []
    currencies = totals(context)["currencies"]
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


def _batches(context: SandboxContext) -> list[dict[str, Any]]:
    names = ("uuid", "resource", "state", "total", "processed", "failed")
    rows = context.store.fetch_all(f"SELECT {', '.join(names)} FROM batch ORDER BY number DESC LIMIT {ROWS}")  # noqa: S608
    return [dict(zip(names, row, strict=True)) for row in rows]


def _customers(context: SandboxContext) -> list[dict[str, Any]]:
    rows = context.store.fetch_all(
        f"SELECT customer_no, name, account_no FROM customer WHERE live = 1 ORDER BY pos DESC LIMIT {ROWS}"  # noqa: S608
    )
    shown = []
    for customer_no, name, account_no in rows:
        found = context.store.fetch_one(
            "SELECT count(*) FROM ar_item WHERE customer_no = ? AND live = 1 AND open = 1", (customer_no,)
        )
        masked = " ".join(f"{part[:1]}…" for part in str(name).split()[:4])
        shown.append({"customerNo": customer_no, "name": masked, "accountNo": account_no, "open": (found or (0,))[0]})
    return shown
