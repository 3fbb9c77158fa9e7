"""Invoices that the sandbox takes, and its word on them, for the tests of what submits documents."""

from __future__ import annotations

from typing import Any


def invoice(number: int) -> dict[str, Any]:
    """Make one invoice to a customer that the sandbox has."""
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
    """Make so many invoices, numbered on from the first."""
    return [invoice(first + number) for number in range(count)]


def effects(box: Any, kind: str = "documents") -> dict[str, int]:
    """Ask the sandbox's ledger how often each key took effect."""
    return {key: entry["effects"] for key, entry in box.ledger()[kind].items()}
