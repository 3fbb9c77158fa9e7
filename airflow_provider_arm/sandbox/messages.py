"""What goes in and out of the core: a call, an answer, a refusal. No socket is known here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from airflow_provider_arm.client import money

#: 5,000 documents with their lines come to some 20 MB; more than this is no honest request.
MAX_BODY_BYTES = 64 * 1024 * 1024

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason in ``errors`` or ``warnings``: the field in ARM's PascalCase, and what is wrong."""

    field: str
    message: str

    def as_json(self) -> dict[str, str]:
        """The pair as ARM writes it."""
        return {"field": self.field, "message": self.message}


@dataclass(slots=True)
class SandboxRequest:
    """One request."""

    method: str
    #: As it came, still quoted.
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    #: ``http://host:port`` under which the caller reached us.
    origin: str = ""
    #: Given by the journal, from 1.
    number: int = 0
    #: Filled in by the router: the values of ``{clientno}`` and the like.
    values: dict[str, str] = field(default_factory=dict)

    def segments(self) -> list[str]:
        """The path's segments, each unquoted by itself: a customer number may hold a quoted slash."""
        return [unquote(part) for part in self.path.strip("/").split("/")]

    def parameters(self) -> dict[str, str]:
        """The query; names are case-sensitive, a name that comes twice is refused."""
        pairs = parse_qsl(self.query, keep_blank_values=True)
        found: dict[str, str] = {}
        for name, value in pairs:
            if name in found:
                raise HttpError(
                    400, f"Query parameter {name} is given twice", [Problem(pascal_case(name), "given twice")]
                )
            found[name] = value
        return found

    def json(self) -> Any:
        """The body, decoded with every digit kept."""
        try:
            value = money.decode(self.body)
            money.encode(value)  # what cannot be written back (lone surrogates) is no text that ARM could keep
        except (ValueError, RecursionError, OverflowError) as error:
            raise HttpError(400, "The body is not valid JSON", [Problem("Body", _short(str(error)))]) from None
        return value


@dataclass(slots=True)
class SandboxResponse:
    """What the core says."""

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


class HttpError(Exception):
    """ARM says no. Nothing that the call asked for happens."""

    def __init__(self, status: int, message: str, errors: list[Problem] | None = None, **also: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors or []
        self.also = also

    def body(self) -> dict[str, Any]:
        """ARM's error envelope."""  # assumed (Q6)
        body: dict[str, Any] = {"status": "FAILED", "message": self.message, **self.also}
        if self.errors:
            body["errors"] = [problem.as_json() for problem in self.errors]
        return body


def json_response(status: int, value: Any, **headers: str) -> SandboxResponse:
    """A JSON answer."""
    return SandboxResponse(status, money.encode(value), headers=headers)


def pascal_case(name: str) -> str:
    """``postalCode`` as ARM writes it in errors and warnings: ``PostalCode``."""
    return name[:1].upper() + name[1:]


#: A decoder's message can quote what it read; this much is enough to find the place.
_MESSAGE_LIMIT = 120


def _short(text: str) -> str:
    return text[:_MESSAGE_LIMIT]
