"""Where records come from: a list, or a .jsonl, .json, .csv or .parquet file. Read row by row, as often as needed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Protocol

import msgspec

from airflow_provider_arm.client.errors import FieldIssue, InvalidRecordError
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.sources.csv import read_csv
from airflow_provider_arm.submission.sources.parquet import read_parquet
from airflow_provider_arm.submission.sources.rows import InvalidRow, RawRow, Row, format_location, parse_row

if TYPE_CHECKING:
    from airflow_provider_arm.client.models import ArmModel


#: The records of a .json file as their own text: each is decoded, checked and named by itself.
_RECORDS = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])

#: Lines of a .jsonl file that are taken at once where nobody asks for a number of them.
_LINES_AT_ONCE = 1000

#: Some rows that follow each other: their numbers, and what the source has in each.
RowBlock = tuple[Sequence[int], Sequence[RawRow]]


class Source(Protocol):
    """Records that can be read again and give the same each time."""

    #: How a message names the source.
    name: str

    @abstractmethod
    def raw_rows(self) -> Iterator[tuple[int, RawRow]]:
        """Read the rows from the start, each with its number; one that is no record does not end the reading.

        :raises SourceError: the source cannot be read on.
        """

    def row_blocks(self, size: int) -> Iterator[RowBlock]:
        """Read the same rows, up to *size* at a time and at least one.

        :raises SourceError: the source cannot be read on.
        """
        rows = self.raw_rows()
        while some := list(islice(rows, size)):
            yield [number for number, _ in some], [content for _, content in some]

    def rows(self) -> Iterator[Row]:
        """Read the records from the start.

        :raises SourceError: the source cannot be read, or a row is no record: naming row and column.
        """
        for number, content in self.raw_rows():
            try:
                record = parse_row(content)
            except InvalidRecordError as error:
                [issue] = error.errors
                msg = f"{self.name}, {format_location(number, issue)}: {issue.message}"
                raise SourceError(msg) from None
            yield Row(number, record)


class ReadablePath(Protocol):
    """A path that can be opened: ``pathlib.Path``, ``ObjectStoragePath``."""

    def open(self, mode: str = "r") -> IO[Any]:
        """Open for reading."""


class ListSource(Source):
    """Records that are already in memory."""

    def __init__(self, records: Sequence[Mapping[str, Any]], name: str = "records") -> None:
        self.name = name
        # An author's list may hold anything.
        self._records: Sequence[Any] = records

    def raw_rows(self) -> Iterator[tuple[int, RawRow]]:
        """Give the records in order."""
        for number, record in enumerate(self._records, 1):
            if isinstance(record, Mapping):
                yield number, record
            else:
                yield number, InvalidRow(FieldIssue("", "must be an object with the record's fields"), "")


class FileSource(Source):
    """Records in a file; the format is told by the name's ending.

    :param path: something with ``open(mode)``.
    :param model: types the columns of a .csv or .parquet file.
    :param key: the key under which a .json file may hold its list (``customers``).
    """

    def __init__(self, path: ReadablePath, name: str, model: type[ArmModel], key: str) -> None:
        self.name = name.rsplit("/", 1)[-1]
        self._path = path
        self._model = model
        self._key = key
        readers = {"jsonl": self._jsonl, "json": self._json, "csv": self._csv, "parquet": self._parquet}
        ending = name.rsplit(".", 1)[-1].lower()
        if ending not in readers:
            msg = f"{self.name}: the source must end in .{', .'.join(readers)}"
            raise SourceError(msg)
        self._reader = readers[ending]

    def raw_rows(self) -> Iterator[tuple[int, RawRow]]:
        """Read the file from its start."""
        with self._failing():
            yield from self._reader()

    def row_blocks(self, size: int) -> Iterator[RowBlock]:
        """Read the file from its start; lines of a .jsonl file are not touched one by one."""
        if self._reader != self._jsonl:
            yield from super().row_blocks(size)
            return
        with self._failing():
            yield from self._lines(size)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Turn what a disk or a store raises into one sentence."""
        try:
            yield
        except FileNotFoundError:
            msg = f"{self.name}: there is no such file: check source"
            raise SourceError(msg) from None
        except (OSError, UnicodeError) as error:
            msg = f"{self.name}: cannot be read ({type(error).__name__}; text files must be UTF-8)"
            raise SourceError(msg) from None

    def _jsonl(self) -> Iterator[tuple[int, bytes]]:
        for numbers, lines in self._lines(_LINES_AT_ONCE):
            yield from zip(numbers, lines, strict=True)

    def _lines(self, size: int) -> Iterator[tuple[Sequence[int], Sequence[bytes]]]:
        numbers: Sequence[int]
        with self._path.open("rb") as file:
            first = 1
            while lines := list(islice(file, size)):
                numbers = range(first, first + len(lines))
                first += len(lines)
                if any(map(bytes.isspace, lines)):
                    kept = [(number, line) for number, line in zip(numbers, lines, strict=True) if not line.isspace()]
                    numbers, lines = [number for number, _ in kept], [line for _, line in kept]
                if lines:
                    yield numbers, lines

    def _json(self) -> Iterator[tuple[int, bytes]]:
        with self._path.open("rb") as file:
            data = file.read()
        try:
            content = _RECORDS.decode(data)
            if isinstance(content, dict):
                content = _LIST.decode(content.get(self._key, b"null"))
        except msgspec.ValidationError:
            msg = f'{self.name}: must hold a list of records, or an object with the list under "{self._key}"'
            raise SourceError(msg) from None
        except (ValueError, RecursionError):
            msg = f"{self.name}: is not valid JSON"
            raise SourceError(msg) from None
        for number, record in enumerate(content, 1):
            yield number, bytes(record)

    def _csv(self) -> Iterator[tuple[int, RawRow]]:
        with self._path.open("rb") as file:
            yield from read_csv(file, self._model, self.name)

    def _parquet(self) -> Iterator[tuple[int, RawRow]]:
        with self._path.open("rb") as file:
            yield from read_parquet(file, self._model, self.name)
