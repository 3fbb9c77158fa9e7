"""Records and batchUuids as operators take them: mappings, JSON text, files, other results. Light to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.runtime.base_operator import NOT_JSON

if TYPE_CHECKING:
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.sources.source import Source


def read_record(value: Any, what: str) -> Mapping[str, Any]:
    """Read one record from an operator's argument: a mapping, JSON text, or the address of a .json file.

    :raises ArmConfigurationError: it is none of these.
    """
    from airflow_provider_arm.client import money

    if isinstance(value, str):
        text: str | bytes = value
        if value.strip().lower().endswith(".json"):
            from airflow.providers.common.compat.sdk import ObjectStoragePath

            try:
                text = ObjectStoragePath(value.strip()).read_bytes()
            except OSError as error:
                msg = f"{what}: the file cannot be read ({type(error).__name__})"
                raise ArmConfigurationError(msg) from None
        try:
            value = money.decode(text)
        except ValueError:
            msg = f"{what} {NOT_JSON}"
            raise ArmConfigurationError(msg) from None
    if not isinstance(value, Mapping):
        msg = f"{what} must be a mapping of ARM's field names to values"
        raise ArmConfigurationError(msg)
    return value


def open_source(records: Any, source: str | None, operation: Operation, key: str) -> Source:
    """Give the records as a source that can be read again.

    :raises ArmConfigurationError: both or neither of *records* and *source*, or *records* is no list.
    :raises SourceError: the file's ending is not known.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_arm.submission.sources.source import FileSource

    if (records is None) == (source is None):
        msg = "give either records or source"
        raise ArmConfigurationError(msg)
    if source is not None:
        if operation.record is None:  # pragma: no cover - every batch operation has a model
            msg = f"{operation.name} has no model"
            raise ArmConfigurationError(msg)
        return FileSource(ObjectStoragePath(source), source, operation.record, key)
    return open_list(records, "records")


def open_set(postings: Any, source: str | None) -> Source:
    """Give the postings as a source.

    :raises ArmConfigurationError: both or neither of *postings* and *source*, or one of them cannot be.
    """
    from airflow_provider_arm.client.models import AutoPosting
    from airflow_provider_arm.submission.sources.source import FileSource

    if (postings is None) == (source is None):
        msg = "give either postings or source"
        raise ArmConfigurationError(msg)
    if source is not None:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        if source.lower().endswith((".csv", ".parquet")):
            msg = (
                "source must end in .jsonl or .json: ARM publishes no fields of a posting by which the columns of a "
                "table could be read"
            )
            raise ArmConfigurationError(msg)
        return FileSource(ObjectStoragePath(source), source, AutoPosting, "autoPostings")
    return open_list(postings, "postings")


def open_list(value: Any, what: str) -> Source:
    """Give the records of an operator's argument, a list or JSON text of one, as a source.

    :param what: the argument's name.
    :raises ArmConfigurationError: it is neither.
    """
    from airflow_provider_arm.client import money
    from airflow_provider_arm.submission.sources.source import ListSource

    if isinstance(value, str):
        try:
            value = money.decode(value)
        except ValueError:
            msg = f"{what} {NOT_JSON}"
            raise ArmConfigurationError(msg) from None
    if not isinstance(value, Sequence) or not all(isinstance(record, Mapping) for record in value):
        msg = f"{what} must be a list of mappings of ARM's field names to values"
        raise ArmConfigurationError(msg)
    return ListSource(value, what)


def as_batch_uuids(value: Any) -> list[str]:
    """Read batchUuids from an argument: one, several, or what :class:`BatchSubmitOperator` returned.

    :raises ArmConfigurationError: there is none, or a member is no text.
    """
    if isinstance(value, Mapping):
        if value.get("recovered") and not value.get("batch_uuids"):
            return []  # ARM has all of it, and there is no batch to ask for
        value = value.get("batch_uuids")
    if isinstance(value, str):
        value = [value]
    uuids = list(value) if isinstance(value, list | tuple) else []
    if not uuids or not all(isinstance(uuid, str) and uuid.strip() for uuid in uuids):
        msg = "batch_uuid must be a batchUuid, a list of them, or what BatchSubmitOperator returned"
        raise ArmConfigurationError(msg)
    return list(dict.fromkeys(uuids))
