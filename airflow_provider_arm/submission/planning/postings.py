"""Reading of auto postings, which ARM accepts in one call: all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import InvalidRecordError
from airflow_provider_arm.submission.errors import EmptySourceError
from airflow_provider_arm.submission.planning.validate import InvalidRowReport, validate_with_model

if TYPE_CHECKING:
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.sources.source import Source


def read_postings(source: Source, operation: Operation) -> list[dict[str, Any]]:
    """Return all records of a source as they are sent.

    :raises SourceError: rows are invalid (all are counted, the first are listed), or there is no record.
    """
    records: list[dict[str, Any]] = []
    report = InvalidRowReport(source.name)
    for number, content in source.raw_rows():
        try:
            records.append(validate_with_model(operation, content))
        except InvalidRecordError as error:
            report.add(number, error.errors)
    if report.count:
        raise report.error()
    if not records:
        raise EmptySourceError(f"{source.name}: has no records, so there is nothing to send (see on_empty)")
    return records
