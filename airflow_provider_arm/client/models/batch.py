"""A batch as ``GET /clients/{clientno}/batches/{batchuuid}`` gives it. The body is not published (Q2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import PrivateAttr, ValidationError

from airflow_provider_arm.client.models.base import ArmModel, find_only_list
from airflow_provider_arm.client.models.write import FieldMessage, WriteResponse

#: Lists in the body that are not the batch's records.
_NOT_RECORDS = frozenset({"errors", "warnings"})
#: Keys of which a value that cannot be read leaves open whether the batch succeeded.
_DECIDING = frozenset({"status", "totalCount", "processedCount", "failedCount", "errors"})

_Model = TypeVar("_Model", bound=ArmModel)


class Batch(ArmModel):
    """A batch and, once it is finished, one write answer per record.

    Every field is an assumption (Q2), so all are optional, and a field of an unexpected type reads as absent
    rather than failing the wait.
    """

    batch_uuid: str | None = None
    client_no: int | None = None
    status: str | None = None
    created_time: str | None = None
    processed_time: str | None = None
    total_count: int | None = None
    processed_count: int | None = None
    failed_count: int | None = None
    message: str | None = None
    errors: list[FieldMessage] | None = None
    _misfits: frozenset[str] = PrivateAttr(frozenset())

    @classmethod
    def read(cls, body: Any) -> Self | None:
        """Read a decoded body leniently; ``None`` where it is not an object at all."""
        if not isinstance(body, Mapping):
            return None
        batch, misfits = _read_what_fits(cls, body)
        batch._misfits = misfits  # noqa: SLF001 - its own
        return batch

    def records(self) -> list[WriteResponse] | None:
        """Give the write answers in submit order, or ``None`` where the body has no list of objects.

        They stand under the plural of what was submitted; whatever its name, it is the one list beside ``errors``.
        """
        found = find_only_list(self.model_extra or {}, _NOT_RECORDS)
        if found is None or not all(isinstance(record, dict) for record in found[1]):
            return None
        return [_read_what_fits(WriteResponse, record)[0] for record in found[1]]

    def unclear(self) -> str | None:
        """Say what speaks against taking the batch for a success although nothing names a failure, if anything does."""
        if self._misfits & _DECIDING:
            return f"{', '.join(sorted(self._misfits & _DECIDING))} of an unexpected type"
        return "errors" if self.errors else None

    def hides_records(self) -> bool:
        """Whether there are lists that may be the records and cannot be read as such."""
        extra = (self.model_extra or {}).items()
        lists = [value for key, value in extra if isinstance(value, list) and key not in _NOT_RECORDS]
        return any(lists) and self.records() is None


def _read_what_fits(model: type[_Model], body: Mapping[str, Any]) -> tuple[_Model, frozenset[str]]:
    """Read *body* without the keys whose values do not fit, and name those: they must not stop a wait."""
    try:
        return model.model_validate(body), frozenset()
    except ValidationError as error:
        issues = error.errors(include_url=False, include_input=False, include_context=False)
        misfits = frozenset(str(issue["loc"][0]) for issue in issues if issue["loc"])
    return model.model_validate({key: value for key, value in body.items() if key not in misfits}), misfits
