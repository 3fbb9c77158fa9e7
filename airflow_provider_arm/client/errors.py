"""What can go wrong with ARM, by what the caller can do about it.

No message holds a secret or a value of a person's record. Importing this module loads nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class Phase(StrEnum):
    """How far a failed call certainly got."""

    #: Nothing left this machine, or the server was never reached: a repeat is safe for every operation.
    NOT_SENT = "not sent"
    #: ARM may have taken the request: nobody here can know.
    MAYBE_SENT = "maybe sent"
    #: ARM answered.
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class FieldIssue:
    """What is wrong with one field of a record: ``field`` is the wire name, dotted; ``message`` holds no value."""

    field: str
    message: str

    def __str__(self) -> str:
        """Read as ``postalAddress.postalCode: must be text``."""
        return f"{self.field}: {self.message}" if self.field else self.message


class ArmError(Exception):
    """Base of everything that this client raises on purpose."""

    #: True where the same call will fail again until a person has changed something.
    permanent: ClassVar[bool] = True

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        status_code: int | None = None,
        errors: Sequence[FieldIssue] = (),
        request_id: str | None = None,
        phase: Phase | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        #: The message without what to do next.
        self.summary = message
        #: Method and path template, such as ``POST /clients/{clientno}/customers``.
        self.operation = operation
        self.status_code = status_code
        #: What ARM said of single fields.
        self.errors = tuple(errors)
        #: ARM's name for the request, where it gave one: quote it to Amili.
        self.request_id = request_id
        self.phase = phase
        #: Seconds that the server asked to wait, where it did.
        self.retry_after = retry_after


class ArmConfigurationError(ArmError, ValueError):
    """The connection or an argument cannot work; nothing was sent."""


class InvalidRecordError(ArmError, ValueError):
    """A record does not fit its model; :attr:`ArmError.errors` has every field that is wrong. Nothing was sent."""

    def __init__(self, issues: Sequence[FieldIssue]) -> None:
        super().__init__("; ".join(str(issue) for issue in issues), errors=issues, phase=Phase.NOT_SENT)


class ArmAuthenticationError(ArmError):
    """The credentials or the token were refused (401, or the token service said no)."""


class ArmPermissionError(ArmError):
    """The credentials are good but not for this (403)."""


class ArmNotFoundError(ArmError):
    """ARM does not know it (404)."""


class ArmValidationError(ArmError):
    """ARM refused the request (400, 422 and every other 4xx): nothing happened."""


class ArmRateLimitError(ArmError):
    """Too many requests (429), still after the retries."""

    permanent = False


class ArmUnavailableError(ArmError):
    """ARM cannot be reached or cannot answer now (network, 408, 5xx), still after the retries."""

    permanent = False


class ArmInvalidResponseError(ArmError):
    """ARM answered with something that cannot be read: HTML, nothing, half a body, a missing batchUuid."""

    permanent = False


class ArmUnknownOutcomeError(ArmError):
    """A write that must not be repeated blindly may or may not have taken effect. A person has to look."""


class ArmIncompleteListError(ArmError):
    """A list did not come whole: a page is missing, doubled or changed, or the query expired half-way."""

    permanent = False


class ArmResultLimitError(ArmIncompleteListError):
    """More records match than one query may return; ARM would cut the rest away silently.

    :param total_count: how many ARM says that match, as far as it counts.
    """

    permanent = True

    def __init__(self, message: str, *, operation: str | None = None, total_count: int = 0) -> None:
        super().__init__(message, operation=operation)
        self.total_count = total_count
