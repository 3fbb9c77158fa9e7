"""A batch as ``GET /clients/{clientno}/batches/{batchuuid}`` returns it. The body is not published (Q2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import PrivateAttr, ValidationError

from airflow_provider_arm.client.models.base import ArmModel, find_only_list, rename_keys
from airflow_provider_arm.client.models.write import FieldMessage, WriteResponse

#: Keys of lists in the body that are not the records of the batch.
_NOT_RECORDS = frozenset({"errors", "warnings"})
#: Keys that decide whether the batch succeeded. If one of them has an invalid value, the batch does not count as such.
_DECIDING = frozenset({"status", "totalCount", "processedCount", "failedCount", "errors"})

_Model = TypeVar("_Model", bound=ArmModel)


class Batch(ArmModel):
    """A batch and, when it is finished, one result per record.

    Every field is an assumption (Q2), so all are optional. A field of an unexpected type is read as absent, so that it
    does not fail the wait.
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
    _invalid_keys: frozenset[str] = PrivateAttr(frozenset())

    _records_key: str | None = PrivateAttr(None)
    _record_names: Mapping[str, str] = PrivateAttr({})

    @classmethod
    def read(
        cls,
        body: Any,
        names: Mapping[str, str] | None = None,
        *,
        records_key: str | None = None,
        record_names: Mapping[str, str] | None = None,
    ) -> Self | None:
        """Read a decoded body without its invalid fields; return ``None`` if it is not an object.

        :param names: the names of this model, by the keys in the body.
        :param records_key: key of the results of the records; default: that of the only list of objects.
        :param record_names: the names of ``WriteResponse``, by the keys in a record.
        """
        if not isinstance(body, Mapping):
            return None
        batch, invalid_keys = _read_valid_fields(cls, rename_keys(body, names or {}))
        batch.__pydantic_private__ = {
            "_invalid_keys": invalid_keys,
            "_records_key": records_key,
            "_record_names": record_names or {},
        }
        return batch

    def records(self) -> list[WriteResponse] | None:
        """Return the results of the records in the order of submission, or ``None`` if the body has no list of objects.

        Their key is the plural of what was submitted. It is not published, so the only list besides ``errors`` and
        ``warnings`` is used, unless the profile names a key.
        """
        extra = self.model_extra or {}
        if self._records_key is not None:
            records = extra.get(self._records_key)
        else:
            records = (find_only_list(extra, _NOT_RECORDS) or (None, None))[1]
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            return None
        return [_read_valid_fields(WriteResponse, rename_keys(record, self._record_names))[0] for record in records]

    def success_conflict(self) -> str | None:
        """Return what contradicts a success of the batch although no failure is reported; ``None`` if nothing does."""
        if self._invalid_keys & _DECIDING:
            return f"{', '.join(sorted(self._invalid_keys & _DECIDING))} of an unexpected type"
        return "errors" if self.errors else None

    def has_unidentified_records(self) -> bool:
        """Return whether there are lists that may be the records but cannot be read as such."""
        extra = (self.model_extra or {}).items()
        lists = [value for key, value in extra if isinstance(value, list) and key not in _NOT_RECORDS]
        return any(lists) and self.records() is None


def _read_valid_fields(model: type[_Model], body: Mapping[str, Any]) -> tuple[_Model, frozenset[str]]:
    """Read *body* without the keys whose values are invalid, and return these keys, too: they must not fail a wait."""
    try:
        return model.model_validate(body), frozenset()
    except ValidationError as error:
        issues = error.errors(include_url=False, include_input=False, include_context=False)
        invalid_keys = frozenset(str(issue["loc"][0]) for issue in issues if issue["loc"])
    return model.model_validate({key: value for key, value in body.items() if key not in invalid_keys}), invalid_keys
