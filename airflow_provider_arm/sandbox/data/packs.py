"""Seed packs: kinds of data that fill the sandbox."""

from __future__ import annotations

import datetime as dt

from airflow_provider_arm.sandbox.data import edge_cases, seeds
from airflow_provider_arm.sandbox.state.context import SandboxContext

#: Description of each pack, by its name.
PACKS = {
    "standard": "the documented records and the requested number of synthetic ones",
    "tiny": "10 customers, 30 AR items",
    "month-end": "5,000 invoices of one month with credit notes, part payments and several currencies",
    "edge-cases": "valid names, numbers, dates and amounts that break careless programs",
    "large": "1,000,000 AR items of 20,000 customers (at least; more with ar_items)",
}

#: November, and the days until its invoices are settled.
_MONTH_END = seeds.SeedPlan(invoices=5000, customers=600, first_day=dt.date(2025, 11, 1), last_day=dt.date(2026, 1, 29))

_LARGE_ITEMS, _LARGE_CUSTOMERS = 1_000_000, 20_000


def check_pack(pack: str) -> None:
    """Raise ValueError if there is no such pack."""
    if pack not in PACKS:
        raise ValueError(f"unknown pack {pack!r}; known packs: {', '.join(PACKS)}")


def fill(context: SandboxContext, pack: str, ar_items: int, customers: int | None) -> None:
    """Write the data of *pack*."""
    if pack == "edge-cases":
        edge_cases.fill(context)
    elif pack == "month-end":
        seeds.fill(context, _MONTH_END)
    elif pack == "large":
        seeds.fill(context, seeds.SeedPlan(items=max(ar_items, _LARGE_ITEMS), customers=customers or _LARGE_CUSTOMERS))
    elif pack == "tiny":
        seeds.fill(context, seeds.SeedPlan(items=30, customers=10))
    else:
        seeds.fill(context, seeds.SeedPlan(items=ar_items, customers=customers))
