"""Requests, responses and HTTP errors of the sandbox's core, independent of any socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from airflow_provider_arm.client import money

#: 5,000 documents with their lines take about 20 MB; no legitimate request is larger than this.
MAX_BODY_BYTES = 64 * 1024 * 1024

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of ``errors`` or ``warnings``: the field name in ARM's PascalCase, and what is wrong with it."""

    field: str
    message: str

    def as_json(self) -> dict[str, str]:
        """Return the entry as ARM writes it."""
        return {"field": self.field, "message": self.message}


@dataclass(slots=True)
class SandboxRequest:
    """One HTTP request."""

    method: str
    #: As received, still percent-encoded.
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    #: ``http://host:port`` that the client used to reach the sandbox.
    origin: str = ""
    #: Assigned by the request log, from 1.
    number: int = 0
    #: Values of ``{clientno}`` and the like, filled in by the router.
    path_parameters: dict[str, str] = field(default_factory=dict)

    def path_segments(self) -> list[str]:
        """Return the path's segments, each decoded separately: a customer number may contain an encoded slash."""
        return [unquote(segment) for segment in self.path.strip("/").split("/")]

    def query_parameters(self) -> dict[str, str]:
        """Return the query parameters by case-sensitive name; raise a 400 HttpError if one occurs twice."""
        pairs = parse_qsl(self.query, keep_blank_values=True)
        parameters: dict[str, str] = {}
        for name, value in pairs:
            if name in parameters:
                problem = Problem(pascal_case(name), "given twice")
                raise HttpError(400, f"Query parameter {name} is given twice", [problem])
            parameters[name] = value
        return parameters

    def json(self) -> Any:
        """Return the decoded body with exact numbers; raise a 400 HttpError if it is not valid JSON."""
        try:
            value = money.decode(self.body)
            money.encode(value)  # ARM cannot store text that cannot be encoded again (lone surrogates)
        except (ValueError, RecursionError, OverflowError) as error:
            problem = Problem("Body", str(error)[:_MAX_MESSAGE_LENGTH])
            raise HttpError(400, "The body is not valid JSON", [problem]) from None
        return value


@dataclass(slots=True)
class SandboxResponse:
    """One HTTP response."""

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


class HttpError(Exception):
    """ARM refuses the request: it has no effect, and the response is an error.

    :param status: HTTP status of the response.
    :param message: the response's ``message``.
    :param errors: the response's ``errors``.
    :param extra: more keys of the response's body.
    """

    def __init__(self, status: int, message: str, errors: list[Problem] | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors or []
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """Return ARM's error envelope."""  # assumed (Q6)
        body: dict[str, Any] = {"status": "FAILED", "message": self.message, **self.extra}
        if self.errors:
            body["errors"] = [problem.as_json() for problem in self.errors]
        return body


def json_response(status: int, value: Any, **headers: str) -> SandboxResponse:
    """Return a response with *value* as its JSON body."""
    return SandboxResponse(status, money.encode(value), headers=headers)


def pascal_case(name: str) -> str:
    """Return a field name as ARM writes it in errors and warnings: ``postalCode`` becomes ``PostalCode``."""
    return name[:1].upper() + name[1:]


#: A decoder's message can quote its input; this many characters are enough to find the place.
_MAX_MESSAGE_LENGTH = 120
