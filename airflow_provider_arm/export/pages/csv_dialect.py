"""Dialects of CSV files: RFC 4180, and the one that a Norwegian Excel opens as a table. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_arm.export.pages.texts import cell

if TYPE_CHECKING:
    import msgspec

#: Text that Excel would run as a formula, or take for a number with a decimal comma.
_UNSAFE = r"(?:[=+\-@\t\r\n]|[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?\Z)"
_UNSAFE_TEXT = re.compile("'*" + _UNSAFE)
_PROTECTED_TEXT = re.compile("'+" + _UNSAFE)
_DECIMAL = re.compile(r"-?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?\Z")
_QUOTE = b'"'
_NUMBER_START = frozenset(b"-0123456789")


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """RFC 4180: commas, numbers and text as they are."""

    separator: str = ","
    #: Bytes at the beginning of the file.
    mark: bytes = b""

    def cell(self, raw: msgspec.Raw | None) -> str | None:
        """Return the cell of a field. Raises as :func:`~airflow_provider_arm.export.pages.texts.cell`."""
        return cell(raw)

    def restore(self, text: str) -> str:
        """Return the cell that RFC 4180 would have, without loss."""
        return text


class ExcelDialect(CsvDialect):
    """Semicolons, decimal commas, a byte order mark, and an apostrophe before text that is no text for Excel."""

    __slots__ = ()

    def cell(self, raw: msgspec.Raw | None) -> str | None:
        """Return the cell of a field: a number with a decimal comma, or protected text."""
        text = cell(raw)
        if raw is None or text is None:
            return None
        start = bytes(memoryview(raw)[:1])
        if start == _QUOTE:
            return f"'{text}" if _UNSAFE_TEXT.match(text) else text
        return text.replace(".", ",") if start[0] in _NUMBER_START else text

    def restore(self, text: str) -> str:
        """Remove the apostrophe of protected text, or the decimal comma of a number."""
        if text[:1] == "'":
            return text[1:] if _PROTECTED_TEXT.match(text) else text
        return text.replace(",", ".") if _DECIMAL.match(text) else text


#: By the operators' argument ``csv_dialect``.
CSV_DIALECTS = {None: CsvDialect(), "excel": ExcelDialect(";", "\ufeff".encode())}
