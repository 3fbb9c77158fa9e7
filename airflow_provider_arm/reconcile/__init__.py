"""Ledgers held against each other: exports summed by period and currency, and compared."""
