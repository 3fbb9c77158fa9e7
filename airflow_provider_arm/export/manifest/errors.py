"""Errors of verifying and merging exports. Loads nothing heavy."""

from __future__ import annotations

from airflow_provider_arm.client.errors import ArmError


class ArmExportMismatchError(ArmError):
    """An export's file does not match its manifest: one of them was changed, truncated or replaced."""


class ArmMergeError(ArmExportMismatchError):
    """The parts cannot be merged: a part is missing, duplicate, changed, or of another export."""
