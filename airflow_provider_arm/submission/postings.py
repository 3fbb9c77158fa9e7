"""The set of postings that goes to ARM in one call: read whole, checked whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.endpoints import to_wire
from airflow_provider_arm.client.errors import FieldIssue, InvalidRecordError
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.plan import SHOWN_ROWS

if TYPE_CHECKING:
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.source import Row, Source


def read_set(source: Source, operation: Operation) -> list[dict[str, Any]]:
    """Read all records of a set as they go on the wire.

    :raises SourceError: records do not fit; all of them are counted and the first are named. Or there is none.
    """
    wires: list[dict[str, Any]] = []
    wrong: list[list[FieldIssue]] = []
    for row in source.rows():
        try:
            wires.append(_checked(row, operation))
        except InvalidRecordError as error:
            wrong.append(
                [FieldIssue(f"row {row.number}, {one.field}".rstrip(", "), one.message) for one in error.errors]
            )
    if wrong:
        shown = [issue for issues in wrong[:SHOWN_ROWS] for issue in issues]
        more = f"; and {len(wrong) - SHOWN_ROWS} more rows" if len(wrong) > SHOWN_ROWS else ""
        listed = "; ".join(map(str, shown))
        msg = f"{source.name}: {len(wrong)} rows do not fit and nothing was sent: {listed}{more}"
        raise SourceError(msg, errors=shown)
    if not wires:
        msg = f"{source.name}: has no records, so there is nothing to send"
        raise SourceError(msg)
    return wires


def _checked(row: Row, operation: Operation) -> dict[str, Any]:
    wire = to_wire(operation.record, row.record)
    try:
        money.refuse_inexact(wire)
    except money.InexactNumberError as error:
        raise InvalidRecordError([FieldIssue("", str(error))]) from None
    return wire
