"""The set of postings that goes to ARM in one call: read whole, checked whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import InvalidRecordError
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.planning.validate import InvalidRowReport, validate_with_model

if TYPE_CHECKING:
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.sources.source import Source


def read_postings(source: Source, operation: Operation) -> list[dict[str, Any]]:
    """Read all records of a set as they go on the wire.

    :raises SourceError: records do not fit; all of them are counted and the first are named. Or there is none.
    """
    wires: list[dict[str, Any]] = []
    wrong = InvalidRowReport(source.name)
    for number, content in source.raw_rows():
        try:
            wires.append(validate_with_model(operation, content))
        except InvalidRecordError as error:
            wrong.add(number, error.errors)
    if wrong.count:
        raise wrong.error()
    if not wires:
        msg = f"{source.name}: has no records, so there is nothing to send"
        raise SourceError(msg)
    return wires
