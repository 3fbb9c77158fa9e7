"""Rejects file: the rejected records with ARM's reasons, as .jsonl or .csv, to be corrected and submitted again.

Names of remarks begin with ``_``, so a later submission ignores them. In a .csv file a record is written into the
columns of its model. A record that the columns cannot represent exactly (lists of objects, unknown fields, an empty
text that is not a missing value) is written as JSON into ``_record``, and its cells are empty: such a row is not a
valid record until its cells have been filled in.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.endpoints import to_wire
from airflow_provider_arm.client.errors import InvalidRecordError
from airflow_provider_arm.submission.sources.csv import read_csv
from airflow_provider_arm.submission.sources.header import LIST_SEPARATOR, list_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_arm.client.models import ArmModel
    from airflow_provider_arm.submission.results.outcome import Reject

_ROW, _REASONS, _BATCH, _RECORD = "_row", "_reasons", "_batch_uuid", "_record"
#: Fields by which ARM names a record, for files without the records themselves.
_KEY_FIELDS = ("customerNo", "documentNo")


def reject_lines(rejects: Iterable[Reject], path: str, model: type[ArmModel] | None) -> Iterator[bytes]:
    """Yield the file's lines; of a .csv file, the header first.

    :param path: its suffix determines the format.
    :param model: of the records; ``None`` if only the fields by which ARM names them are known.
    """
    if not path.lower().endswith(".csv"):
        for reject in rejects:
            remarks = {_ROW: reject.row, _REASONS: list(reject.reasons), _BATCH: reject.batch_uuid}
            yield _encode(remarks | dict(reject.record)) + b"\n"
        return
    table = _Table(model)
    yield table.header
    for reject in rejects:
        yield table.row(reject)


class _Table:
    """Table of rejects with the columns of the records' model."""

    def __init__(self, model: type[ArmModel] | None) -> None:
        self._model = model
        self._columns = [column.header for column in list_columns(model)] if model is not None else list(_KEY_FIELDS)
        self.header = _join([_ROW, _REASONS, _BATCH, *self._columns, _RECORD])

    def row(self, reject: Reject) -> bytes:
        flat = _flatten(self._to_wire(reject.record))
        cells = [flat.get(column, "") for column in self._columns]
        record_json = ""
        if not self._represents(cells, reject.record):
            record_json, cells = _encode(reject.record).decode(), [""] * len(cells)
        batch_uuid = reject.batch_uuid or ""
        return _join([str(reject.row), f" {LIST_SEPARATOR} ".join(reject.reasons), batch_uuid, *cells, record_json])

    def _to_wire(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the record with ARM's field names; an invalid record unchanged."""
        try:
            return to_wire(self._model, record)
        except InvalidRecordError:
            return record

    def _represents(self, cells: list[str], record: Mapping[str, Any]) -> bool:
        """Return whether reading the cells back yields the record."""
        if self._model is None:
            return True
        file = io.BytesIO(_join(self._columns) + _join(cells))
        read_back = next((content for _, content in read_csv(file, self._model, "")), None)
        if not isinstance(read_back, Mapping):
            return False
        return _flatten(self._to_wire(read_back)) == _flatten(self._to_wire(record))


def _flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the text of each value's cell, by its column."""
    flat: dict[str, str] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= _flatten(value, f"{name}.")
        elif isinstance(value, list | tuple) and all(isinstance(member, str) for member in value):
            flat[name] = LIST_SEPARATOR.join(value)
        elif isinstance(value, str):
            flat[name] = value
        elif value is not None:
            flat[name] = _encode(value).decode()
    return flat


def _join(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode(errors="replace")


def _encode(value: Any) -> bytes:
    """Encode a record. One that was refused because it has no exact encoding is encoded as text, not lost."""
    try:
        return money.encode(value)
    except money.InexactNumberError:
        return money.encode(_as_text(value))


def _as_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(_as_text(key)): _as_text(member) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_text(member) for member in value]
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return value if value is None or isinstance(value, bool | int) else str(value)
