"""Errors of watermarks. Loads nothing heavy."""

from __future__ import annotations

from airflow_provider_arm.client.errors import ArmError


class ArmWatermarkError(ArmError):
    """The watermark is broken, or does not belong to this export. A retry fails in the same way."""


class ArmWatermarkUnavailableError(ArmError):
    """The watermark cannot be read or written now, or another run changed it in the meantime. A retry may succeed."""

    permanent = False
