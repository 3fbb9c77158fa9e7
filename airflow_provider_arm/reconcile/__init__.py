"""Reconciliation: sums of exports by period and currency, compared with other exports or with figures."""
