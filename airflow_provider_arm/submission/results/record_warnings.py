"""Warnings of ARM about records that it has accepted, and the file that lists them."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import TYPE_CHECKING

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.client.http.redaction import mask
from airflow_provider_arm.client.models import CustomerWrite, Document, DocumentLine, PostalAddress, wire_names
from airflow_provider_arm.submission.results.outcome import is_same_key, key_value, valid_rows
from airflow_provider_arm.submission.sources.rows import chunk_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.client.models import WriteResponse
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.results.outcome import Batches
    from airflow_provider_arm.submission.sources.rows import Row
    from airflow_provider_arm.submission.sources.source import Source

#: Fields that a log may name, by their names in small letters. ARM writes them in PascalCase; any other text in the
#: place of a field may be a value of the record.
_FIELDS = {
    name.lower(): name for model in (CustomerWrite, Document, DocumentLine, PostalAddress) for name in wire_names(model)
}


@dataclasses.dataclass(frozen=True, slots=True)
class RecordWarning:
    """One warning about one record."""

    #: Row of the source; without the source, position of the record in its batch.
    row: int
    key: str
    #: Name in ARM's model, with dots for nested fields; empty if the model has no such field.
    field: str
    #: Text of ARM, masked: for the file, not for the log.
    message: str = dataclasses.field(repr=False)
    batch_uuid: str | None


def count_warned(batches: Batches) -> int:
    """Return the number of accepted records with warnings."""
    return sum(_is_warned(status, response) for _, status in batches for response in status.records)


def find_warnings(
    source: Source | None, chunk_size: int, batches: Batches, key: str | None, validated_for: Operation | None = None
) -> Iterator[RecordWarning]:
    """Yield each warning, in the order of the submission.

    :param source: gives the rows. Without it, and where it has changed or cannot be read, a record has the position in
        its batch.
    :param key: wire name of the natural key, if the type of the records is known.
    :param validated_for: see ``find_rejects``.
    """
    chunks = _chunks(source, chunk_size, key, validated_for)
    for batch_uuid, status in batches:
        try:
            chunk = next(chunks, [])
        except (ArmError, OSError):
            chunk, chunks = [], iter(())
        for position, response in enumerate(status.records, 1):
            number = max(1, response.record_no or position)
            keys = {"customerNo": response.customer_no, "documentNo": response.document_no}
            arm_key = keys.get(key) if key else response.document_no or response.customer_no
            row = chunk[number - 1] if key and number <= len(chunk) else None
            own_key = key_value(row, key) if row and key else ""
            if row and arm_key is not None and not is_same_key(arm_key, own_key):
                row = None  # the source has changed
            for warning in (response.warnings or []) if _is_warned(status, response) else []:
                yield RecordWarning(
                    row.number if row else number,
                    arm_key or own_key,
                    _field_name(warning.field),
                    mask(warning.message or "", row.record if row else None),
                    batch_uuid,
                )


def warning_lines(warnings: Iterable[RecordWarning], path: str) -> Iterator[bytes]:
    """Yield the lines of the file, one per warning; of a .csv file, the header first.

    The file has no records, so that accepted ones are not submitted again by mistake.

    :param path: its suffix determines the format.
    """
    if not path.lower().endswith(".csv"):
        yield from (money.encode(dataclasses.asdict(warning)) + b"\n" for warning in warnings)
        return
    yield _csv_line([column.name for column in dataclasses.fields(RecordWarning)])
    yield from (_csv_line([value or "" for value in dataclasses.asdict(warning).values()]) for warning in warnings)


def _is_warned(status: BatchStatus, response: WriteResponse) -> bool:
    return bool(response.warnings) and not status.is_rejected(response)


def _chunks(
    source: Source | None, chunk_size: int, key: str | None, validated_for: Operation | None
) -> Iterator[list[Row]]:
    if source is None or key is None:
        return iter(())
    return chunk_rows(
        source.rows() if validated_for is None else valid_rows(source, validated_for, key, []), chunk_size
    )


def _field_name(name: str | None) -> str:
    parts = [_FIELDS.get(part.partition("[")[0].lower()) for part in (name or "").split(".")]
    return ".".join(part for part in parts if part) if all(parts) else ""


def _csv_line(cells: list[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode(errors="replace")
