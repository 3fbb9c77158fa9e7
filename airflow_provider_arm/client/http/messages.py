"""One request, and the two things that can come of it: an answer, or a loss whose phase is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_arm.client.errors import FieldIssue, Phase
    from airflow_provider_arm.client.operations import Operation


@dataclass(frozen=True, slots=True)
class Request:
    """What is put on the wire, and what is known of it."""

    operation: Operation
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    #: What the body was made of: only to mask in messages what an answer quotes of it.
    record: Any = field(default=None, repr=False)
    #: False for the token call itself.
    needs_token: bool = True


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransportFailure:
    """No whole answer came. ``reason`` holds no address and no data."""

    phase: Phase
    reason: str


class InvalidResponseError(ValueError):
    """A success whose body cannot be used; the text is our own and quotes nothing that is not masked.

    :param retryable: whether asking again could bring a better body.
    """

    def __init__(self, reason: str, *, retryable: bool = True) -> None:
        super().__init__(reason)
        self.retryable = retryable


class RejectedResponseError(ValueError):
    """A refusal that came with a success code: the record's status says that it failed."""

    def __init__(self, reason: str, issues: list[FieldIssue]) -> None:
        super().__init__(reason)
        self.issues = issues
