"""What every write shares: the envelope of the body, and ARM's answer about one record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, pascal_case
from airflow_provider_arm.sandbox.state.switches import SwitchValues


@dataclass(slots=True)
class WriteResult:
    """How one record went."""

    #: CREATED, UPDATED or DELETED (the first and last are documented), REJECTED for a failure.
    result: str
    message: str
    #: ``customerNo`` and the like, in ARM's order.
    keys: dict[str, Any]
    warnings: list[Problem] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)
    #: Status of a single call that fails.
    status: int = 422

    @property
    def failed(self) -> bool:
        """Whether the record took no effect."""
        return bool(self.errors)

    def as_json(self, switches: SwitchValues) -> dict[str, Any]:
        """ARM's write answer."""
        body: dict[str, Any] = {"status": "FAILED" if self.failed else "PROCESSED", "result": self.result}
        body |= {"message": self.message, **self.keys}
        if self.warnings:
            body["warnings"] = [problem.as_json() for problem in self.warnings]
        if self.failed:
            body |= _errors(self.errors, switches["q05_errors"])
        return body


def _errors(errors: list[Problem], choice: str) -> dict[str, Any]:  # assumed (Q5)
    if choice == "absent":
        return {}
    shown = [problem.as_json() for problem in errors]
    if choice == "several":
        shown.append({"field": "Record", "message": "the record was not processed"})
    return {"errors": shown}


def rejected(message: str, errors: list[Problem], keys: dict[str, Any], status: int = 422) -> WriteResult:
    """A record that took no effect."""
    return WriteResult("REJECTED", message, keys, errors=errors, status=status)


def envelope(call: SandboxRequest, key: str) -> Any:
    """Take the record, or the records, out of ``{"metadata": {...}, key: ...}``."""
    body = call.json()
    if not isinstance(body, dict):
        raise HttpError(400, "The body must be an object", [Problem("Body", "must be an object")])
    errors = [Problem(pascal_case(str(name)), "unknown field") for name in body if name not in {"metadata", key}]
    metadata = body.get("metadata")  # that it may be missing is assumed; every documented body has it
    if metadata is not None and not isinstance(metadata, dict):
        errors.append(Problem("Metadata", "must be an object"))
    elif metadata:
        if not isinstance(metadata.get("userId", ""), str | None):
            errors.append(Problem("UserId", "must be text"))
        errors += [Problem(pascal_case(str(name)), "unknown field") for name in metadata if name != "userId"]
    if body.get(key) is None:
        errors.append(Problem(pascal_case(key), "required"))
    if errors:
        raise HttpError(422, "The body is not what this operation takes", errors)
    return body[key]


def natural_key(record: Any, name: str) -> str | None:
    """The record's key, if it has one that can be looked up."""
    value = record.get(name) if isinstance(record, dict) else None
    return value if isinstance(value, str) and value else None
