"""From a page's answer to what goes into the file, in a thread that only reads; and the sink that takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_provider_arm.client.http.messages import InvalidResponseError, Response
from airflow_provider_arm.export.fetch.page_fetcher import ReadPage
from airflow_provider_arm.export.files.compression import compressor, need_pyarrow
from airflow_provider_arm.export.files.sinks import BytesSink, CountedFile, ParquetSink, Sink
from airflow_provider_arm.export.pages.page_body import Body, BodySplitter
from airflow_provider_arm.export.pages.page_stats import PageStats, PageStatsReader
from airflow_provider_arm.export.pages.texts import csv_rows, csv_text, fields_of, json_lines, selected

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.export.files.file_format import Shape
    from airflow_provider_arm.export.pages.record_types import RecordType, Selection

#: Parquet's own compression where the path asks for none: half the size of snappy's for the same time.
PARQUET_COMPRESSION = "zstd"

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class ListShape:
    """What a list holds, under which key, and which of it goes into the file."""

    kind: RecordType
    key: str
    selection: Selection


@dataclass(frozen=True, slots=True)
class PageChunk(Generic[P]):
    """A page's facts, and what goes into the file."""

    facts: PageStats
    content: P


class Format(Protocol):
    """Reads pages (in many threads at once) and opens the sink for them."""

    def read(self, answer: Response) -> ReadPage[PageChunk[Any]]:
        """Read a page.

        :raises ValueError: it is no page, or a record cannot be exported.
        """

    def sink(self, file: CountedFile) -> Sink:
        """Open a sink on a file."""


class JsonLines:
    """One line per record; ARM's own text unless fields are chosen or masked."""

    def __init__(self, list_: ListShape, compression: str | None, *, validate_all_fields: bool) -> None:
        self._facts = PageStatsReader(list_.kind, list_.key, validate_all_fields=validate_all_fields)
        self._selection = list_.selection
        self._splitter = BodySplitter(list_.key)
        self._compress = compressor(compression)

    def read(self, answer: Response) -> ReadPage[PageChunk[bytes]]:
        """Check the records and make their lines."""
        body = self._splitter.split(answer)
        facts, records = self._facts.read(body.text), body.records
        if not self._selection.is_all:
            records = [selected(record, self._selection) for record in fields_of(records)]
        lines = json_lines(records, body.text)
        return _page(body, facts, self._compress(lines) if lines else lines)

    def sink(self, file: CountedFile) -> Sink:
        """Open a sink."""
        return BytesSink(file, b"")


class Csv:
    """A header and one row per record; see :class:`ArrowCsv`, which is faster and gives the same bytes."""

    def __init__(self, list_: ListShape, compression: str | None) -> None:
        self._columns = list_.selection.columns(list_.kind)
        self._masked = list_.selection.masked
        self._facts = PageStatsReader(list_.kind, list_.key)
        self._splitter = BodySplitter(list_.key)
        self._compress = compressor(compression)

    def read(self, answer: Response) -> ReadPage[PageChunk[bytes]]:
        """Check the records and make their rows."""
        body = self._splitter.split(answer)
        facts = self._facts.read(body.text)
        rows = csv_rows(fields_of(body.records), self._columns, self._masked)
        return _page(body, facts, self._compress(rows) if rows else rows)

    def sink(self, file: CountedFile) -> Sink:
        """Write the header and open a sink."""
        return BytesSink(file, self._compress(csv_text([self._columns])))


class ArrowCsv:
    """CSV by way of Arrow's columns."""

    def __init__(self, list_: ListShape, compression: str | None) -> None:
        from airflow_provider_arm.export.pages.arrow import ColumnReader, csv_of

        self._columns = list_.selection.columns(list_.kind)
        self._reader = ColumnReader(list_.kind, list_.key, self._columns, list_.selection.masked, typed=False)
        self._csv_of = csv_of
        self._compress = compressor(compression)

    def read(self, answer: Response) -> ReadPage[PageChunk[bytes]]:
        """Check the records and make their rows."""
        body, batch, facts = self._reader.read(answer)
        rows = self._csv_of(batch)
        return _page(body, facts, self._compress(rows) if rows else rows)

    def sink(self, file: CountedFile) -> Sink:
        """Write the header and open a sink."""
        return BytesSink(file, self._compress(csv_text([self._columns])))


class Parquet:
    """Typed columns."""

    def __init__(self, list_: ListShape, compression: str | None) -> None:
        need_pyarrow("Parquet")
        from airflow_provider_arm.export.pages.arrow import ColumnReader

        columns = list_.selection.columns(list_.kind)
        self._reader = ColumnReader(list_.kind, list_.key, columns, list_.selection.masked, typed=True)
        self._compression = compression or PARQUET_COMPRESSION
        self._dictionary = [name for name in columns if name in list_.kind.repeating]

    def read(self, answer: Response) -> ReadPage[PageChunk[Any]]:
        """Check the records and make their columns."""
        body, batch, facts = self._reader.read(answer)
        return _page(body, facts, batch)

    def sink(self, file: CountedFile) -> Sink:
        """Open a sink."""
        return ParquetSink(file, self._reader.schema, self._compression, self._dictionary)


def _page(body: Body, facts: PageStats, content: Any) -> ReadPage[PageChunk[Any]]:
    return ReadPage(body.summary, facts.rows, PageChunk(facts, content))


def choose_format(list_: ListShape, shape: Shape, *, validate_all_fields: bool = False) -> Format:
    """Make the format of a file.

    :param validate_all_fields: of JSON lines: check the type of every known field.
    :raises ArmConfigurationError: it needs pyarrow, or columns that nobody named.
    """
    if shape.format == "jsonl":
        return JsonLines(list_, shape.compression, validate_all_fields=validate_all_fields)
    if shape.format == "parquet":
        return Parquet(list_, shape.compression)
    try:
        return ArrowCsv(list_, shape.compression)
    except ImportError:
        return Csv(list_, shape.compression)


def guarded(format_: Format) -> Callable[[Response], ReadPage[PageChunk[Any]]]:
    """Give the format's ``read``, which asks for a page again only where the page itself is broken."""

    def read(answer: Response) -> ReadPage[PageChunk[Any]]:
        try:
            return format_.read(answer)
        except RecursionError:
            msg = "JSON that is nested too deeply"
            raise InvalidResponseError(msg, retryable=False) from None

    return read
