"""A request and its possible results: a response, or a transport failure with its phase."""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_arm.client.errors import FieldIssue, Phase
    from airflow_provider_arm.client.operations import Operation


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, with the operation that it belongs to."""

    operation: Operation
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    #: The data that the body was encoded from. Used only to mask in messages what a response quotes of it.
    record: Any = field(default=None, repr=False)
    #: False for the call to the token service.
    needs_token: bool = True
    #: Name of the connection, for messages; ``None`` if the client was created without one.
    connection: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A complete HTTP response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Remove a byte order mark in front of JSON, which some servers write and no JSON parser reads."""
        if self.body.startswith(BOM_UTF8) and self.body[len(BOM_UTF8) :].lstrip()[:1] in (b"{", b"["):
            object.__setattr__(self, "body", self.body[len(BOM_UTF8) :])


@dataclass(frozen=True, slots=True)
class TransportFailure:
    """No complete response arrived. ``reason`` contains no URL and no data.

    ``advice`` is the next step; ``{field}`` in it stands for the field of the connection that has the address.
    """

    phase: Phase
    reason: str
    advice: str | None = None


class InvalidResponseError(ValueError):
    """A success response whose body cannot be used. The message is ours and quotes only masked text.

    :param retryable: whether another attempt could return a better body.
    """

    def __init__(self, reason: str, *, retryable: bool = True) -> None:
        super().__init__(reason)
        self.retryable = retryable


class InvalidDataError(InvalidResponseError):
    """A valid response with a record that cannot be used, which is the same in every attempt.

    :param fault: what the record has, such as ``a dueDate that is not a date``. Without a value of the record.
    """

    def __init__(self, reason: str, fault: str = "") -> None:
        super().__init__(reason, retryable=False)
        self.fault = fault


class RejectedResponseError(ValueError):
    """A success code whose body reports that the record was rejected: its status means failure."""

    def __init__(self, reason: str, issues: list[FieldIssue]) -> None:
        super().__init__(reason)
        self.issues = issues
