"""What can go wrong with a submission before or beside ARM."""

from __future__ import annotations

from airflow_provider_arm.client.errors import ArmError


class SourceError(ArmError):
    """The records cannot be read or do not fit; nothing was sent. Names file, row and column, no value."""


class PlanChangedError(ArmError):
    """The source no longer gives what was planned and in part sent."""


class JournalError(ArmError):
    """What was sent before cannot be known for sure, so nothing more is sent."""

    permanent = True


class SentAgainError(ArmError):
    """A chunk may or may not have reached ARM, and the author has chosen that the next try sends it again."""

    permanent = False


class BlockedError(ArmError):
    """A chunk may or may not have reached ARM and must not be sent again blindly: a person has to look."""
