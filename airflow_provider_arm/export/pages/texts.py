"""JSON lines and CSV from a page's own text, without Arrow: the one lossless, the other the same as Arrow's."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_arm.export.pages.record_types import FieldSelection

#: A record as its fields' own texts.
Fields = dict[str, msgspec.Raw]

_NULL = msgspec.Raw(b"null")
_text = msgspec.json.Decoder(str)
_fields = msgspec.json.Decoder(Fields)


def fields_of(records: Iterable[msgspec.Raw]) -> Iterator[Fields]:
    """Split records into their fields.

    :raises ValueError: one is no object.
    """
    return map(_fields.decode, records)


def json_lines(records: Sequence[msgspec.Raw], text: bytes) -> bytes:
    """Write one line per record, each as it stands in *text*."""
    if not records:
        return b""
    if b"\n" in text or b"\r" in text:
        # A record that ARM spreads over lines is still one line here; inside JSON text a line break is escaped.
        return b"".join(bytes(record).replace(b"\r", b"").replace(b"\n", b"") + b"\n" for record in records)
    return b"\n".join((*records, b""))


def selected(record: Fields, selection: FieldSelection) -> msgspec.Raw:
    """Write the chosen fields of a record, each as ARM wrote it; of a masked one there is null."""
    names = record if selection.chosen is None else [name for name in selection.chosen if name in record]
    kept = {name: _NULL if name in selection.masked else record[name] for name in names}
    return msgspec.Raw(msgspec.json.encode(kept))


def csv_rows(records: Iterable[Fields], columns: Sequence[str], masked: frozenset[str]) -> bytes:
    """Write the records' rows (RFC 4180, UTF-8); see :func:`cell`."""
    return csv_text([None if name in masked else cell(record.get(name)) for name in columns] for record in records)


def csv_text(rows: Iterable[Sequence[str | None]]) -> bytes:
    """Write rows of cells; ``None`` is an empty cell."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


def cell(raw: msgspec.Raw | None) -> str | None:
    """Write a field's JSON text as a cell: text without its quotes, null as ``None``, anything else as ARM wrote it.

    :raises ValueError: it is half a surrogate pair, which is no text.
    """
    if raw is None:
        return None
    text = bytes(raw)
    if text[:1] == b'"':
        return _text.decode(text)
    return None if text == b"null" else text.decode()
