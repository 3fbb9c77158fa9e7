"""Request envelope and result of a write, shared by all write operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, pascal_case
from airflow_provider_arm.sandbox.state.switches import SwitchValues


@dataclass(slots=True)
class WriteResult:
    """Result of the write of one record."""

    #: CREATED, UPDATED or DELETED (the first and last are documented), REJECTED for a failure.
    result: str
    message: str
    #: ``customerNo`` and the like, in ARM's order.
    keys: dict[str, Any]
    warnings: list[Problem] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)
    #: HTTP status of the response when a single write fails.
    status: int = 422

    @property
    def failed(self) -> bool:
        """Return whether the record had no effect."""
        return bool(self.errors)

    def as_json(self, switches: SwitchValues) -> dict[str, Any]:
        """Return ARM's write response."""
        body: dict[str, Any] = {"status": "FAILED" if self.failed else "PROCESSED", "result": self.result}
        body |= {"message": self.message, **self.keys}
        if self.warnings:
            body["warnings"] = [problem.as_json() for problem in self.warnings]
        if self.failed:
            body |= _errors_as_json(self.errors, switches["q05_errors"])
        return body


def _errors_as_json(errors: list[Problem], variant: str) -> dict[str, Any]:  # assumed (Q5)
    if variant == "absent":
        return {}
    entries = [problem.as_json() for problem in errors]
    if variant == "several":
        entries.append({"field": "Record", "message": "the record was not processed"})
    return {"errors": entries}


def rejected_result(message: str, errors: list[Problem], keys: dict[str, Any], status: int = 422) -> WriteResult:
    """Return the result of a record that had no effect."""
    return WriteResult("REJECTED", message, keys, errors=errors, status=status)


def read_envelope(request: SandboxRequest, key: str) -> Any:
    """Return the record, or the records, of a body ``{"metadata": {...}, key: ...}``.

    :raises HttpError: 400, the body is not a JSON object; 422, the envelope is wrong.
    """
    body = request.json()
    if not isinstance(body, dict):
        raise HttpError(400, "The body must be an object", [Problem("Body", "must be an object")])
    errors = [Problem(pascal_case(str(name)), "unknown field") for name in body if name not in {"metadata", key}]
    metadata = body.get("metadata")  # optional: assumed; every documented body has it
    if metadata is not None and not isinstance(metadata, dict):
        errors.append(Problem("Metadata", "must be an object"))
    elif metadata:
        if not isinstance(metadata.get("userId", ""), str | None):
            errors.append(Problem("UserId", "must be text"))
        errors += [Problem(pascal_case(str(name)), "unknown field") for name in metadata if name != "userId"]
    if body.get(key) is None:
        errors.append(Problem(pascal_case(key), "required"))
    if errors:
        raise HttpError(422, "The body does not match this operation", errors)
    return body[key]


def natural_key(record: Any, name: str) -> str | None:
    """Return the record's natural key *name*, or ``None`` if it is missing, empty or not text."""
    value = record.get(name) if isinstance(record, dict) else None
    return value if isinstance(value, str) and value else None
