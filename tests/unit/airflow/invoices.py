"""Invoices that the sandbox accepts, and their effects, for tests that submit documents."""

from __future__ import annotations

from typing import Any


def invoice(number: int) -> dict[str, Any]:
    """Return one invoice to a customer that the sandbox has."""
    return {
        "documentType": "IN",
        "customerNo": "543210",
        "documentNo": str(number),
        "documentDate": "2026-01-31",
        "dueDate": "2026-02-28",
        "currency": "NOK",
        "currencyAmounts": {"exclVat": 100, "vat": 25, "inclVat": 125},
    }


def documents(count: int, first: int = 50001) -> list[dict[str, Any]]:
    """Return this many invoices, numbered from *first*."""
    return [invoice(first + number) for number in range(count)]


def effects(box: Any, kind: str = "documents") -> dict[str, int]:
    """Return how often each key took effect in the sandbox."""
    return {key: entry["effects"] for key, entry in box.ledger()[kind].items()}
