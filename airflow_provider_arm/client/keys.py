"""Comparison of keys: ARM does not distinguish capital letters (documented)."""

from __future__ import annotations


def fold(text: str) -> str:
    """Return *text* in the form in which two keys, or two values, that are the same to ARM are equal."""
    return text.casefold()
