"""Errors of a reconciliation. Loads nothing heavy."""

from __future__ import annotations

from airflow_provider_arm.client.errors import ArmError


class ArmReconcileError(ArmError):
    """A side cannot be summed by period and currency: a field is missing or has an invalid value."""


class ArmLedgerDifferenceError(ArmError):
    """The two sides do not match. The report lists every difference; a retry with the same files finds the same."""
