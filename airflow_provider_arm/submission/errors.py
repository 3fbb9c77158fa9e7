"""Errors of a submission that ARM does not raise: from the source, the journal, the registry or an unknown outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmError

if TYPE_CHECKING:
    from collections.abc import Sequence


class SourceError(ArmError):
    """The records cannot be read or are invalid; nothing was sent.

    The message names file, row and column, and no value.
    """


class EmptySourceError(SourceError):
    """The source has no records, so there is nothing to send."""


class PlanChangedError(ArmError):
    """The source no longer yields the records that were planned and partly sent."""


class JournalError(ArmError):
    """The journal cannot prove what was sent before, so nothing more is sent."""

    permanent = True


class JournalUnavailableError(JournalError):
    """The journal's store cannot be read or written at the moment, so nothing more is sent; a retry resumes there."""

    permanent = False


class AlreadySubmittedError(ArmError):
    """Another run has submitted some of these records, according to the shared registry; nothing was sent."""


class ConcurrentSubmissionError(ArmError):
    """Another run is submitting some of these records, or ARM has not finished them; nothing was sent."""

    permanent = False


class ResendOnRetryError(ArmError):
    """A chunk may or may not have reached ARM; the DAG author chose ``resend``, so the next retry sends it again."""

    permanent = False


class UnresolvedChunksError(ArmError):
    """Chunks may or may not have reached ARM.

    :param unresolved_chunks: each a dict of small JSON values, ``{"chunk_id", "what", "records", "reason"}``, without
        personal data.
    """

    def __init__(self, message: str, unresolved_chunks: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.unresolved_chunks = list(unresolved_chunks)


class OutcomePendingError(UnresolvedChunksError):
    """A chunk may or may not have reached ARM, and its records are not in ARM yet: a retry looks them up again."""

    permanent = False


class ResolutionRequiredError(UnresolvedChunksError):
    """A chunk may or may not have reached ARM and must not be resent: it needs a manual resolution."""
