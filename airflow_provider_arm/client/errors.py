"""The client's errors, one class for each thing that a caller can do about it.

No message contains a secret or a value of a person's record. Importing this module loads nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class Phase(StrEnum):
    """How far a failed call certainly got (the failure phase)."""

    #: Nothing left this machine, or the server was never reached: a repeat is safe for every operation.
    NOT_SENT = "not sent"
    #: ARM may have accepted the request: the outcome is unknown.
    MAYBE_SENT = "maybe sent"
    #: ARM answered.
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class FieldIssue:
    """What is wrong with one field of a record.

    ``field`` is the name in ARM's JSON, with dots for nested fields; ``message`` contains no value of the record.
    """

    field: str
    message: str

    def __str__(self) -> str:
        """Return text such as ``postalAddress.postalCode: must be text``."""
        return f"{self.field}: {self.message}" if self.field else self.message


class ArmError(Exception):
    """Base class of all errors that the client raises deliberately."""

    #: Whether the same call will fail again until someone has changed something.
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
        #: The message without the advice on what to do next.
        self.summary = message
        #: Method and path template, such as ``POST /clients/{clientno}/customers``.
        self.operation = operation
        self.status_code = status_code
        #: ARM's messages about single fields.
        self.errors = tuple(errors)
        #: ARM's identifier of the request, if the response had one: quote it to Amili.
        self.request_id = request_id
        self.phase = phase
        #: Seconds to wait before the next call, if the server asked for it (``Retry-After``).
        self.retry_after = retry_after


class ArmConfigurationError(ArmError, ValueError):
    """The connection or an argument is invalid. Nothing was sent."""


class InvalidRecordError(ArmError, ValueError):
    """A record does not fit its model. :attr:`ArmError.errors` lists every invalid field. Nothing was sent."""

    def __init__(self, issues: Sequence[FieldIssue]) -> None:
        super().__init__("; ".join(str(issue) for issue in issues), errors=issues, phase=Phase.NOT_SENT)


class ArmAuthenticationError(ArmError):
    """The credentials or the token were rejected (401, or a 4xx of the token service)."""


class ArmPermissionError(ArmError):
    """The credentials are valid but do not permit this call (403)."""


class ArmNotFoundError(ArmError):
    """ARM has no such resource (404)."""

    #: Whether the response proves that. An HTML page or other text may come from a proxy, or from a wrong address.
    proves_absence: bool = True


class ArmValidationError(ArmError):
    """ARM rejected the request (400, 422 and every other 4xx): it had no effect."""


class ArmRateLimitError(ArmError):
    """ARM received too many requests (429), also after the retries."""

    permanent = False


class ArmUnavailableError(ArmError):
    """ARM cannot be reached or is temporarily unavailable (network, 408, 425, 5xx), also after the retries."""

    permanent = False


class ArmInvalidResponseError(ArmError):
    """ARM's response is invalid: HTML, an empty or incomplete body, a missing batchUuid."""

    permanent = False


class ArmInvalidDataError(ArmInvalidResponseError):
    """A record in ARM's response cannot be used as it is. It is the same in every attempt until ARM has changed it."""

    permanent = True


class ArmUnknownOutcomeError(ArmError):
    """A write that must not simply be repeated may or may not have taken effect. Someone has to check in ARM."""


class ArmIncompleteListError(ArmError):
    """A list is incomplete: a page is missing, duplicated or changed, or the query expired before the last page."""

    permanent = False


class ArmResultLimitError(ArmIncompleteListError):
    """More records match than one query returns; ARM would silently omit the rest.

    :param total_count: number of matching records according to ARM, which may stop counting at its limit.
    """

    permanent = True

    def __init__(self, message: str, *, operation: str | None = None, total_count: int = 0) -> None:
        super().__init__(message, operation=operation)
        self.total_count = total_count
