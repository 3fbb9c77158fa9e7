"""Invoices that the sandbox accepts."""

from __future__ import annotations


def documents(prefix, count=50):
    """Return invoices whose numbers begin with *prefix*."""
    return [
        {
            "documentType": "IN",
            "customerNo": "543210",
            "documentNo": f"{prefix}{number:03}",
            "documentDate": "2026-01-31",
            "dueDate": "2026-02-28",
            "currency": "NOK",
            "currencyAmounts": {"exclVat": 100, "vat": 25, "inclVat": 125},
        }
        for number in range(count)
    ]
