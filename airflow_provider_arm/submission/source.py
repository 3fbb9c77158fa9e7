"""Where records come from: a list, or a .jsonl, .json or .csv file. Read as often as needed, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol

from airflow_provider_arm.client import money
from airflow_provider_arm.submission.csv_rows import read_csv
from airflow_provider_arm.submission.errors import SourceError

if TYPE_CHECKING:
    from airflow_provider_arm.client.models import ArmModel

#: Keys that begin so are remarks beside the record, as in a rejects file; they are never sent.
REMARK_PREFIX = "_"


@dataclass(frozen=True, slots=True)
class Row:
    """One record as the source has it."""

    #: From 1: the line of a .jsonl file, the place in a list, the record after the header of a .csv file.
    number: int
    record: dict[str, Any] = field(repr=False)


class Source(Protocol):
    """Records that can be read again and give the same each time."""

    #: How a message names the source.
    name: str

    def rows(self) -> Iterator[Row]:
        """Read the records from the start.

        :raises SourceError: the source cannot be read, naming row and column.
        """


class Readable(Protocol):
    """A path that can be opened: ``pathlib.Path``, ``ObjectStoragePath``."""

    def open(self, mode: str = "r") -> IO[Any]:
        """Open for reading."""


class ListSource:
    """Records that are already in memory."""

    def __init__(self, records: Sequence[Mapping[str, Any]], name: str = "records") -> None:
        self.name = name
        self._records = records

    def rows(self) -> Iterator[Row]:
        """Give the records in order."""
        for number, record in enumerate(self._records, 1):
            yield Row(number, _checked(record, self.name, number))


class FileSource:
    """Records in a file; the format is told by the name's ending.

    :param path: something with ``open(mode)``.
    :param model: types the columns of a .csv file.
    :param key: the key under which a .json file may hold its list (``customers``).
    """

    def __init__(self, path: Readable, name: str, model: type[ArmModel], key: str) -> None:
        self.name = name.rsplit("/", 1)[-1]
        self._path = path
        self._model = model
        self._key = key
        readers = {"jsonl": self._jsonl, "json": self._json, "csv": self._csv}
        ending = name.rsplit(".", 1)[-1].lower()
        if ending not in readers:
            msg = f"{self.name}: the source must end in .{', .'.join(readers)}"
            raise SourceError(msg)
        self._reader = readers[ending]

    def rows(self) -> Iterator[Row]:
        """Read the file from its start."""
        try:
            for number, record in self._reader():
                yield Row(number, _checked(record, self.name, number))
        except FileNotFoundError:
            msg = f"{self.name}: there is no such file: check source"
            raise SourceError(msg) from None
        except (OSError, UnicodeError) as error:
            msg = f"{self.name}: cannot be read ({type(error).__name__}; text files must be UTF-8)"
            raise SourceError(msg) from None

    def _jsonl(self) -> Iterator[tuple[int, Any]]:
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, _decode(line, f"{self.name}, row {number}")

    def _json(self) -> Iterator[tuple[int, Any]]:
        with self._path.open("rb") as file:
            content = _decode(file.read(), self.name)
        if isinstance(content, Mapping):
            content = content.get(self._key)
        if not isinstance(content, list):
            msg = f'{self.name}: must hold a list of records, or an object with the list under "{self._key}"'
            raise SourceError(msg)
        yield from enumerate(content, 1)

    def _csv(self) -> Iterator[tuple[int, Any]]:
        with self._path.open("rb") as file:
            yield from read_csv(file, self._model, self.name)


def _decode(data: bytes, where: str) -> Any:
    try:
        return money.decode(data)
    except ValueError as error:
        # The decoder wraps what its hook for numbers raises.
        why = error.__cause__ if isinstance(error.__cause__, money.InexactNumberError) else "is not valid JSON"
        msg = f"{where}: {why}"
        raise SourceError(msg) from None


def _checked(record: Any, name: str, number: int) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        msg = f"{name}, row {number}: must be an object with the record's fields"
        raise SourceError(msg)
    return {key: value for key, value in record.items() if not str(key).startswith(REMARK_PREFIX)}


def chunked(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Cut into lists of *size* rows; the last may be shorter."""
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
