"""What can go wrong with a submission before or beside ARM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmError

if TYPE_CHECKING:
    from collections.abc import Sequence


class SourceError(ArmError):
    """The records cannot be read or do not fit; nothing was sent. Names file, row and column, no value."""


class PlanChangedError(ArmError):
    """The source no longer gives what was planned and in part sent."""


class JournalError(ArmError):
    """What was sent before cannot be known for sure, so nothing more is sent."""

    permanent = True


class JournalUnavailableError(JournalError):
    """The journal's store cannot be read or written now, so nothing more is sent; a later try goes on where it is."""

    permanent = False


class AlreadySubmittedError(ArmError):
    """Another run has submitted some of these records, as the ledger that both share tells; nothing was sent."""


class InWorkElsewhereError(ArmError):
    """Another run is submitting some of these records, or ARM has not finished them; nothing was sent."""

    permanent = False


class SentAgainError(ArmError):
    """A chunk may or may not have reached ARM, and the author has chosen that the next try sends it again."""

    permanent = False


class UnresolvedChunksError(ArmError):
    """Chunks may or may not have reached ARM.

    :param unresolved_chunks: each as small JSON values: ``{"chunk_id", "what", "records", "reason"}``, no personal data.
    """

    def __init__(self, message: str, unresolved_chunks: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.unresolved_chunks = list(unresolved_chunks)


class UnsettledError(UnresolvedChunksError):
    """A chunk may or may not have reached ARM, and its records are not there yet: a later try looks again."""

    permanent = False


class BlockedError(UnresolvedChunksError):
    """A chunk may or may not have reached ARM and must not be sent again blindly: a person has to look."""
