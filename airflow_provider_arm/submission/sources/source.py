"""Sources of records: a list, or a .jsonl, .json, .csv or .parquet file, read row by row."""

from __future__ import annotations

from abc import abstractmethod
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Protocol

import msgspec

from airflow_provider_arm.client.errors import InvalidRecordError
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.sources.csv import read_csv
from airflow_provider_arm.submission.sources.parquet import read_parquet
from airflow_provider_arm.submission.sources.rows import (
    BLANK_ROW,
    NOT_AN_OBJECT,
    RawRow,
    Row,
    describe_encoding,
    format_location,
    parse_row,
)

if TYPE_CHECKING:
    from airflow_provider_arm.client.models import ArmModel

#: Leave the text of each record in a .json file undecoded, so that one invalid record does not fail the others.
_RECORDS = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])

#: Lines of a .jsonl file that are read at once by default.
_LINES_PER_BLOCK = 1000

#: Consecutive rows: their numbers and their contents.
RowBlock = tuple[Sequence[int], Sequence[RawRow]]


class Source(Protocol):
    """Records that can be read repeatedly with the same result."""

    #: The name in messages.
    name: str
    #: Rows without any value that the last reading skipped.
    blank_rows: int = 0

    @abstractmethod
    def raw_rows(self) -> Iterator[tuple[int, RawRow]]:
        """Yield all rows with their numbers, including rows that are not records.

        :raises SourceError: the source cannot be read.
        """

    def row_blocks(self, size: int) -> Iterator[RowBlock]:
        """Yield the same rows in blocks of one to *size* rows.

        :raises SourceError: the source cannot be read.
        """
        rows = self.raw_rows()
        while block := list(islice(rows, size)):
            yield [number for number, _ in block], [content for _, content in block]

    def rows(self) -> Iterator[Row]:
        """Yield all records.

        :raises SourceError: the source cannot be read, or a row is not a record; the message names row and column.
        """
        for number, content in self.raw_rows():
            try:
                record = parse_row(content)
            except InvalidRecordError as error:
                issue = error.errors[0]
                raise SourceError(f"{self.name}, {format_location(number, issue)}: {issue.message}") from None
            yield Row(number, record)


class ReadablePath(Protocol):
    """A path that can be opened: ``pathlib.Path``, ``ObjectStoragePath``."""

    def open(self, mode: str = "r") -> IO[Any]:
        """Open for reading."""


class ListSource(Source):
    """Records in memory."""

    def __init__(self, records: Sequence[Mapping[str, Any]], name: str = "records") -> None:
        self.name = name
        self._records = records

    def raw_rows(self) -> Iterator[tuple[int, RawRow]]:
        """Yield the records with their numbers."""
        for number, record in enumerate(self._records, 1):
            yield number, record if isinstance(record, Mapping) else NOT_AN_OBJECT


class FileSource(Source):
    """Records in a file, whose format follows from the suffix of its name.

    :param model: the model of the records, for the columns of a .csv or .parquet file.
    :param key: the key of the list of records if a .json file contains an object (``customers``).
    :raises SourceError: the suffix is unknown.
    """

    def __init__(self, path: ReadablePath, name: str, model: type[ArmModel], key: str) -> None:
        self.name = name.rsplit("/", 1)[-1]
        self._path = path
        self._key = key
        readers: dict[str, Callable[[IO[bytes]], Iterator[tuple[int, RawRow]]]] = {
            "jsonl": self._read_jsonl,
            "json": self._read_json,
            "csv": partial(read_csv, model=model, name=self.name),
            "parquet": partial(read_parquet, model=model, name=self.name),
        }
        suffix = name.rsplit(".", 1)[-1].lower()
        if suffix not in readers:
            raise SourceError(f"{self.name}: the source must end in .{', .'.join(readers)}")
        self._read = readers[suffix]

    def raw_rows(self) -> Iterator[tuple[int, RawRow]]:
        """Yield all rows of the file with their numbers."""
        self.blank_rows = 0
        with self._open() as file:
            if not file.read(1):
                return  # a file of no bytes has no records, in every format
            file.seek(0)
            for number, content in self._read(file):
                if content is BLANK_ROW:
                    self.blank_rows += 1
                else:
                    yield number, content

    def row_blocks(self, size: int) -> Iterator[RowBlock]:
        """Yield the rows of the file in blocks. Lines of a .jsonl file are not copied one by one."""
        if self._read != self._read_jsonl:
            yield from super().row_blocks(size)
            return
        self.blank_rows = 0
        with self._open() as file:
            yield from self._read_lines(file, size)

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        """Open the file and raise ``SourceError`` for what a disk or an object store raises while it is read."""
        try:
            with self._path.open("rb") as file:
                yield file
        except FileNotFoundError:
            raise SourceError(f"{self.name}: file not found: check source") from None
        except UnicodeError as error:
            found = error.object if isinstance(error, UnicodeDecodeError) else b""
            raise SourceError(f"{self.name}: cannot be read{describe_encoding(found)}") from None
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be read ({type(error).__name__})") from None

    def _read_jsonl(self, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
        for numbers, lines in self._read_lines(file, _LINES_PER_BLOCK):
            yield from zip(numbers, lines, strict=True)

    def _read_json(self, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
        data = file.read().removeprefix(BOM_UTF8)
        try:
            content = _RECORDS.decode(data)
            if isinstance(content, dict):
                content = _LIST.decode(content.get(self._key, b"null"))
        except msgspec.ValidationError:
            msg = f'{self.name}: must contain a list of records, or an object with the list under "{self._key}"'
            raise SourceError(msg) from None
        except (ValueError, RecursionError):
            raise SourceError(f"{self.name}: is not valid JSON{describe_encoding(data)}") from None
        for number, record in enumerate(content, 1):
            yield number, bytes(record)

    def _read_lines(self, file: IO[bytes], size: int) -> Iterator[tuple[Sequence[int], Sequence[bytes]]]:
        """Yield blocks of lines that are not blank, with their line numbers."""
        first = 1
        while lines := list(islice(file, size)):
            if first == 1:
                lines[0] = lines[0].removeprefix(BOM_UTF8)
            numbers: Sequence[int] = range(first, first + len(lines))
            first += len(lines)
            if not lines[0] or any(map(bytes.isspace, lines)):
                kept = [(number, line) for number, line in zip(numbers, lines, strict=True) if line.strip()]
                self.blank_rows += len(lines) - len(kept)
                numbers, lines = [number for number, _ in kept], [line for _, line in kept]
            if lines:
                yield numbers, lines
