"""What can go wrong with a watermark, beside what can go wrong with every export."""

from __future__ import annotations

from airflow_provider_arm.client.errors import ArmError


class ArmWatermarkError(ArmError):
    """The watermark cannot be read as one, or does not belong to this export. A person has to look."""


class ArmWatermarkUnavailableError(ArmError):
    """The watermark cannot be reached now, or another run changed it meanwhile: a later try may do."""

    permanent = False
