"""What ends a reconciliation. Loads nothing heavy."""

from __future__ import annotations

from airflow_provider_arm.client.errors import ArmError


class ArmReconcileError(ArmError):
    """A side cannot be added up by period and currency: a field is not there, or holds what it should not."""


class ArmLedgerDifferenceError(ArmError):
    """The two sides do not agree. The report has every difference; a retry with the same files finds the same."""
