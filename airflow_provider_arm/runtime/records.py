"""Records and batchUuids as operators accept them: mappings, lists, JSON text, files, results. Light to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_arm.argument_readers import NOT_JSON
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.runtime.arguments import check_exactly_one
from airflow_provider_arm.runtime.rendered import check_rendered, check_rendered_keys

if TYPE_CHECKING:
    from airflow_provider_arm.client.models import ArmModel
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.sources.source import Source


def read_record(value: Any, name: str) -> Mapping[str, Any]:
    """Read one record from an operator's argument: a mapping, JSON text, or the path of a .json file.

    :param name: of the argument, for messages.
    :raises ArmConfigurationError: it is none of these, the file cannot be read, or a key is no key
        (:func:`check_rendered_keys`).
    """
    if isinstance(value, str):
        value = _decode(_read_file(value.strip(), name) if value.strip().lower().endswith(".json") else value, name)
    if not isinstance(value, Mapping):
        raise ArmConfigurationError(f"{name} must be a mapping of ARM's field names to values")
    check_rendered_keys(name, value)
    return value


def open_source(records: Any, source: str | None, operation: Operation, name: str = "records") -> Source:
    """Return the records as a source that can be read repeatedly.

    :param records: a list, or JSON text of one.
    :param source: path of a file.
    :param name: of the argument *records*, for messages.
    :raises ArmConfigurationError: both or neither of *records* and *source* are given, or *records* is no list.
    :raises SourceError: the file has an unknown suffix.
    """
    from airflow_provider_arm.submission.sources.source import FileSource, ListSource

    check_exactly_one(**{name: records, "source": source})
    if source is not None:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        # Every operation that takes several records has both.
        model, key = cast("tuple[type[ArmModel], str]", (operation.record, operation.key))
        return FileSource(ObjectStoragePath(source), source, model, key)
    if isinstance(records, str):
        records = _decode(records, name)
    if not isinstance(records, Sequence) or not all(isinstance(record, Mapping) for record in records):
        raise ArmConfigurationError(f"{name} must be a list of mappings of ARM's field names to values")
    return ListSource(records, name)


def open_postings(postings: Any, source: str | None, operation: Operation) -> Source:
    """Return the postings as a source. Raises as :func:`open_source` and :func:`check_postings_suffix`."""
    if source is not None:
        check_postings_suffix(source)
    return open_source(postings, source, operation, "postings")


def check_postings_suffix(source: str) -> None:
    """Check that a source of postings is no table.

    :raises ArmConfigurationError: it is, or has another unknown suffix.
    """
    if not source.lower().endswith((".jsonl", ".json")):
        raise ArmConfigurationError(
            "source must end in .jsonl or .json: ARM does not document the fields of a posting, so the columns of a "
            f"table cannot be read. It is {source!r}"
        )


def _read_file(path: str, name: str) -> bytes:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        return ObjectStoragePath(path).read_bytes()
    except OSError as error:
        raise ArmConfigurationError(f"{name}: the file cannot be read ({type(error).__name__})") from None


def _decode(text: str | bytes, name: str) -> Any:
    from airflow_provider_arm.client import money

    try:
        return money.decode(text)
    except ValueError:
        if isinstance(text, str):
            check_rendered(name, text)
        raise ArmConfigurationError(f"{name} {NOT_JSON}") from None
