"""The refused records as a file that somebody corrects and submits again: .jsonl or .csv, remarks beside the record.

A remark's name begins with ``_``, so a later submission passes over it. In a .csv file a record stands in the columns
of its model; one that columns cannot hold as it is (lists of objects, unknown fields, an empty text that is not a
missing one) stands whole in ``_record`` as JSON, with its cells empty: such a row is no record until somebody has
filled it in.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.endpoints import to_wire
from airflow_provider_arm.client.errors import ArmConfigurationError, InvalidRecordError
from airflow_provider_arm.submission.sources.csv import LIST_SEPARATOR, list_columns, read_csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_arm.client.models import ArmModel
    from airflow_provider_arm.submission.results.outcome import Reject

_ROW, _REASONS, _BATCH, _RECORD = "_row", "_reasons", "_batch_uuid", "_record"
#: What ARM names of a record where nobody has the record itself.
_NAMED = ("customerNo", "documentNo")
_ENDINGS = (".jsonl", ".csv")


def check_suffix(path: str) -> None:
    """Refuse what a rejects file cannot be, before anything is sent.

    :raises ArmConfigurationError: its name has another ending.
    """
    if not path.lower().endswith(_ENDINGS):
        msg = f"rejects_path must end in {' or '.join(_ENDINGS)}"
        raise ArmConfigurationError(msg)


def reject_lines(rejects: Iterable[Reject], path: str, model: type[ArmModel] | None) -> Iterator[bytes]:
    """Give the file's lines, the header of a .csv file first.

    :param path: its ending tells the format.
    :param model: of the records; ``None`` where only ARM's names of them are known.
    """
    if not path.lower().endswith(".csv"):
        for reject in rejects:
            remarks = {_ROW: reject.row, _REASONS: list(reject.reasons), _BATCH: reject.batch_uuid}
            yield _encode(remarks | dict(reject.record)) + b"\n"
        return
    table = _Table(model)
    yield table.header
    for reject in rejects:
        yield table.line(reject)


class _Table:
    """Puts records into the columns of their model."""

    def __init__(self, model: type[ArmModel] | None) -> None:
        self._model = model
        self._columns = [column.header for column in list_columns(model)] if model is not None else list(_NAMED)
        self.header = _join([_ROW, _REASONS, _BATCH, *self._columns, _RECORD])

    def line(self, reject: Reject) -> bytes:
        flat = _flatten(self._wire(reject.record))
        cells = [flat.get(column, "") for column in self._columns]
        whole = ""
        if not self._is_held(cells, reject.record):
            whole, cells = _encode(reject.record).decode(), [""] * len(cells)
        batch_uuid = reject.batch_uuid or ""
        return _join([str(reject.row), f" {LIST_SEPARATOR} ".join(reject.reasons), batch_uuid, *cells, whole])

    def _wire(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give the record by ARM's names; one that does not fit its model as it is."""
        try:
            return to_wire(self._model, record)
        except InvalidRecordError:
            return record

    def _is_held(self, cells: list[str], record: Mapping[str, Any]) -> bool:
        """Whether the cells, read back, are the record."""
        if self._model is None:
            return True
        file = io.BytesIO(_join(self._columns) + _join(cells))
        back = next((content for _, content in read_csv(file, self._model, "")), None)
        return isinstance(back, Mapping) and _flatten(self._wire(back)) == _flatten(self._wire(record))


def _flatten(record: Mapping[str, Any], place: str = "") -> dict[str, str]:
    """Give every value as a cell has it, by its column."""
    flat: dict[str, str] = {}
    for key, value in record.items():
        name = f"{place}{key}"
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
    """Encode a record, also one that was refused because it cannot be encoded exactly: it must not be lost."""
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
