"""Seed packs: what the sandbox is filled with."""

from __future__ import annotations

from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox import seeds
from airflow_provider_arm.sandbox.books import Books

#: Pack -> what it holds.
PACKS = {
    "standard": "the documented records and as many synthetic ones as asked for",
    "tiny": "10 customers, 30 AR items",
}


def known(pack: str) -> None:
    """Check a pack's name.

    :raises ValueError: there is no such pack.
    """
    if pack not in PACKS:
        msg = f"no pack {pack!r}; there are: {', '.join(PACKS)}"
        raise ValueError(msg)


def fill(books: Books, pack: str, ar_items: int, customers: int | None) -> None:
    """Fill the books."""
    if pack == "tiny":
        seeds.fill(books, 30, 10)
    else:
        seeds.fill(books, ar_items, customers)


def totals(books: Books) -> dict[str, Any]:
    """Counts, and the sums of amounts and balances per currency."""
    sums: dict[str, dict[str, Any]] = {}
    items = 0
    for (body,) in books.store.rows("SELECT body FROM ar_item WHERE live = 1"):
        item = money.decode(body)
        items += 1
        entry = sums.setdefault(item["currency"], {"items": 0, "currencyAmount": 0, "currencyBalance": 0})
        entry["items"] += 1
        entry["currencyAmount"] += item["currencyAmount"]
        entry["currencyBalance"] += item["currencyBalance"]
    counts = {
        table: (books.store.row(f"SELECT count(*) FROM {table}{where}") or (0,))[0]  # noqa: S608
        for table, where in (("customer", " WHERE live = 1"), ("document", " WHERE live = 1"), ("batch", ""))
    }
    return {
        "customers": counts["customer"],
        "arItems": items,
        "documents": counts["document"],
        "batches": counts["batch"],
        "currencies": sums,
    }
