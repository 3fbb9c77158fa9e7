"""A batch as ``GET /clients/{clientno}/batches/{batchuuid}`` gives it. The body is not published (Q2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from airflow_provider_arm.client.models.base import ArmModel, only_list
from airflow_provider_arm.client.models.write import FieldMessage, WriteAnswer

#: Lists in the body that are not the batch's records.
_NOT_RECORDS = frozenset({"errors", "warnings"})

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

    @classmethod
    def read(cls, body: Any) -> Self | None:
        """Read a decoded body leniently; ``None`` where it is not an object at all."""
        if not isinstance(body, Mapping):
            return None
        return _read_what_fits(cls, body)

    def records(self) -> list[WriteAnswer] | None:
        """Give the write answers in submit order, or ``None`` where the body has no list of objects.

        They stand under the plural of what was submitted; whatever its name, it is the one list beside ``errors``.
        """
        found = only_list(self.model_extra or {}, _NOT_RECORDS)
        if found is None or not all(isinstance(record, dict) for record in found[1]):
            return None
        return [_read_what_fits(WriteAnswer, record) for record in found[1]]


def _read_what_fits(model: type[_Model], body: Mapping[str, Any]) -> _Model:
    """Read *body* without the keys whose values do not fit; a lost status must not read as success, nor stop a wait."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        misfits = {issue["loc"][0] for issue in error.errors(include_url=False, include_input=False) if issue["loc"]}
    return model.model_validate({key: value for key, value in body.items() if key not in misfits})
