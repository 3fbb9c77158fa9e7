"""Formats of an export. Each writer takes ARM's own text of a record and writes bytes."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any, Protocol

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


class Writer(Protocol):
    """Writes records into an open file."""

    def write(self, texts: list[bytes]) -> None:
        """Write the records of a page."""

    def finish(self) -> None:
        """Write what is still held back. The file stays open."""


class JsonLinesWriter:
    """One line per record, ARM's own text: nothing is lost, also of fields that this package does not know."""

    def __init__(self, file: IO[bytes], columns: tuple[str, ...]) -> None:  # noqa: ARG002 - it writes all there is
        self._file = file

    def write(self, texts: list[bytes]) -> None:
        """Write the records of a page."""
        # A record that ARM spreads over lines is still one line here; inside JSON text a line break is escaped.
        self._file.writelines(text.replace(b"\r", b"").replace(b"\n", b"") + b"\n" for text in texts)

    def finish(self) -> None:
        """Nothing is held back."""


class CsvWriter:
    """RFC 4180 in UTF-8 with a header; amounts as ARM wrote them, objects and lists as JSON, null and absent empty."""

    def __init__(self, file: IO[bytes], columns: tuple[str, ...]) -> None:
        self._file = file
        self._columns = columns
        # Not a TextIOWrapper: left behind by an export that fails, it would still try to close the file.
        self._page = io.StringIO(newline="")
        self._csv = csv.writer(self._page, lineterminator="\r\n")
        self._csv.writerow(columns)
        self._pass_on()

    def write(self, texts: list[bytes]) -> None:
        """Write the records of a page."""
        for text in texts:
            record = money.decode(text)
            self._csv.writerow([_cell(record.get(column)) for column in self._columns])
        self._pass_on()

    def finish(self) -> None:
        """Nothing is held back."""

    def _pass_on(self) -> None:
        self._file.write(self._page.getvalue().encode())
        self._page.seek(0)
        self._page.truncate()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | Decimal):
        return str(value)
    return money.encode(value).decode()


#: By the name that an operator's ``format`` takes; the file's ending says the same.
WRITERS: dict[str, Callable[[IO[bytes], tuple[str, ...]], Writer]] = {"jsonl": JsonLinesWriter, "csv": CsvWriter}


def choose_format(path: str, name: str | None) -> str:
    """Choose the format by its name, else by the path's ending.

    :raises ArmConfigurationError: it is none of those that can be written, or name and ending contradict each other.
    """
    ending = path.rsplit("/", 1)[-1].rsplit(".", 1)[-1].lower()
    chosen = name or ending
    if chosen not in WRITERS:
        msg = f"format must be one of {', '.join(WRITERS)} (given, or as the path's ending), not {chosen!r}"
        raise ArmConfigurationError(msg)
    if ending in WRITERS and ending != chosen:
        msg = f"path ends in .{ending} but format is {chosen}: make them agree"
        raise ArmConfigurationError(msg)
    return chosen
