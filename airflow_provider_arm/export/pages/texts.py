"""JSON lines and CSV from a page's own text, without Arrow. JSON lines are lossless."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: JSON text of each field of a record.
Fields = dict[str, msgspec.Raw]

_NULL = msgspec.Raw(b"null")
_text = msgspec.json.Decoder(str)
_fields = msgspec.json.Decoder(Fields)


def fields_of(records: Iterable[msgspec.Raw]) -> Iterator[Fields]:
    """Split records into their fields.

    :raises ValueError: one is not an object.
    """
    return map(_fields.decode, records)


def json_lines(records: Sequence[msgspec.Raw], text: bytes) -> bytes:
    """Return one line per record of a page.

    :param text: the page.
    """
    if not records:
        return b""
    if b"\n" in text or b"\r" in text:
        # A line break is only between JSON tokens: inside text it is escaped.
        return b"".join(bytes(record).replace(b"\r", b"").replace(b"\n", b"") + b"\n" for record in records)
    return b"\n".join((*records, b""))


def selected(record: Fields, columns: Sequence[str] | None, masked: frozenset[str]) -> msgspec.Raw:
    """Return a record with the selected fields, as ARM wrote them, and null for masked ones.

    :param columns: the selected fields; ``None`` for all.
    """
    names = record if columns is None else [name for name in columns if name in record]
    kept = {name: _NULL if name in masked else record[name] for name in names}
    return msgspec.Raw(msgspec.json.encode(kept))


def csv_text(rows: Iterable[Sequence[str | None]], separator: str = ",") -> bytes:
    """Return rows of cells as CSV in UTF-8; ``None`` is an empty cell."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n", delimiter=separator).writerows(rows)
    return out.getvalue().encode()


def cell(raw: msgspec.Raw | None) -> str | None:
    """Return the cell of a field: text without its quotes, ``None`` for null, any other value as ARM wrote it.

    :raises ValueError: text with half a surrogate pair.
    """
    if raw is None:
        return None
    text = bytes(raw)
    if text[:1] == b'"':
        return _text.decode(text)
    return None if text == b"null" else text.decode()
