"""From a page's answer to what goes into the file, in a thread that only reads; and the sink that takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_provider_arm.client.http.messages import InvalidResponseError, Response
from airflow_provider_arm.export.fetch.page_fetcher import FetchedPage
from airflow_provider_arm.export.files.compression import compressor, need_pyarrow
from airflow_provider_arm.export.files.sinks import BytesSink, ChecksumFile, ParquetSink, Sink
from airflow_provider_arm.export.pages.page_body import PageBody, PageBodyParser
from airflow_provider_arm.export.pages.page_stats import PageStats, PageStatsReader
from airflow_provider_arm.export.pages.texts import csv_rows, csv_text, fields_of, json_lines, selected

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.export.files.file_format import FileFormat
    from airflow_provider_arm.export.pages.record_types import FieldSelection, RecordType

#: Parquet's own compression where the path asks for none: half the size of snappy's for the same time.
PARQUET_COMPRESSION = "zstd"

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class ListSpec:
    """What a list holds, under which key, and which of it goes into the file."""

    record_type: RecordType
    list_key: str
    selection: FieldSelection


@dataclass(frozen=True, slots=True)
class PageChunk(Generic[P]):
    """A page's facts, and what goes into the file."""

    stats: PageStats
    data: P


class PageEncoder(Protocol):
    """Reads pages (in many threads at once) and opens the sink for them."""

    def encode(self, response: Response) -> FetchedPage[PageChunk[Any]]:
        """Read a page.

        :raises ValueError: it is no page, or a record cannot be exported.
        """

    def open_sink(self, file: ChecksumFile) -> Sink:
        """Open a sink on a file."""


class JsonLinesEncoder:
    """One line per record; ARM's own text unless fields are chosen or masked."""

    def __init__(self, list_spec: ListSpec, compression: str | None, *, validate_all_fields: bool) -> None:
        self._stats = PageStatsReader(
            list_spec.record_type, list_spec.list_key, validate_all_fields=validate_all_fields
        )
        self._selection = list_spec.selection
        self._splitter = PageBodyParser(list_spec.list_key)
        self._compress = compressor(compression)

    def encode(self, response: Response) -> FetchedPage[PageChunk[bytes]]:
        """Check the records and make their lines."""
        body = self._splitter.split(response)
        stats, records = self._stats.read(body.text), body.records
        if not self._selection.is_all:
            records = [selected(record, self._selection) for record in fields_of(records)]
        lines = json_lines(records, body.text)
        return _page(body, stats, self._compress(lines) if lines else lines)

    def open_sink(self, file: ChecksumFile) -> Sink:
        """Open a sink."""
        return BytesSink(file, b"")


class CsvEncoder:
    """A header and one row per record; see :class:`ArrowCsvEncoder`, which is faster and gives the same bytes."""

    def __init__(self, list_spec: ListSpec, compression: str | None) -> None:
        self._columns = list_spec.selection.columns(list_spec.record_type)
        self._masked = list_spec.selection.masked
        self._stats = PageStatsReader(list_spec.record_type, list_spec.list_key)
        self._splitter = PageBodyParser(list_spec.list_key)
        self._compress = compressor(compression)

    def encode(self, response: Response) -> FetchedPage[PageChunk[bytes]]:
        """Check the records and make their rows."""
        body = self._splitter.split(response)
        stats = self._stats.read(body.text)
        rows = csv_rows(fields_of(body.records), self._columns, self._masked)
        return _page(body, stats, self._compress(rows) if rows else rows)

    def open_sink(self, file: ChecksumFile) -> Sink:
        """Write the header and open a sink."""
        return BytesSink(file, self._compress(csv_text([self._columns])))


class ArrowCsvEncoder:
    """CSV by way of Arrow's columns."""

    def __init__(self, list_spec: ListSpec, compression: str | None) -> None:
        from airflow_provider_arm.export.pages.arrow import ColumnReader, csv_from_batch

        self._columns = list_spec.selection.columns(list_spec.record_type)
        self._reader = ColumnReader(
            list_spec.record_type, list_spec.list_key, self._columns, list_spec.selection.masked, typed=False
        )
        self._csv_of = csv_from_batch
        self._compress = compressor(compression)

    def encode(self, response: Response) -> FetchedPage[PageChunk[bytes]]:
        """Check the records and make their rows."""
        body, batch, stats = self._reader.read(response)
        rows = self._csv_of(batch)
        return _page(body, stats, self._compress(rows) if rows else rows)

    def open_sink(self, file: ChecksumFile) -> Sink:
        """Write the header and open a sink."""
        return BytesSink(file, self._compress(csv_text([self._columns])))


class ParquetEncoder:
    """Typed columns."""

    def __init__(self, list_spec: ListSpec, compression: str | None) -> None:
        need_pyarrow("Parquet")
        from airflow_provider_arm.export.pages.arrow import ColumnReader

        columns = list_spec.selection.columns(list_spec.record_type)
        self._reader = ColumnReader(
            list_spec.record_type, list_spec.list_key, columns, list_spec.selection.masked, typed=True
        )
        self._compression = compression or PARQUET_COMPRESSION
        self._dictionary = [name for name in columns if name in list_spec.record_type.low_cardinality]

    def encode(self, response: Response) -> FetchedPage[PageChunk[Any]]:
        """Check the records and make their columns."""
        body, batch, stats = self._reader.read(response)
        return _page(body, stats, batch)

    def open_sink(self, file: ChecksumFile) -> Sink:
        """Open a sink."""
        return ParquetSink(file, self._reader.schema, self._compression, self._dictionary)


def _page(body: PageBody, stats: PageStats, content: Any) -> FetchedPage[PageChunk[Any]]:
    return FetchedPage(body.summary, stats.rows, PageChunk(stats, content))


def choose_encoder(list_spec: ListSpec, file_format: FileFormat, *, validate_all_fields: bool = False) -> PageEncoder:
    """Make the format of a file.

    :param validate_all_fields: of JSON lines: check the type of every known field.
    :raises ArmConfigurationError: it needs pyarrow, or columns that nobody named.
    """
    if file_format.format == "jsonl":
        return JsonLinesEncoder(list_spec, file_format.compression, validate_all_fields=validate_all_fields)
    if file_format.format == "parquet":
        return ParquetEncoder(list_spec, file_format.compression)
    try:
        return ArrowCsvEncoder(list_spec, file_format.compression)
    except ImportError:
        return CsvEncoder(list_spec, file_format.compression)


def reject_deep_nesting(format_: PageEncoder) -> Callable[[Response], FetchedPage[PageChunk[Any]]]:
    """Give the format's ``read``, which asks for a page again only where the page itself is broken."""

    def read(response: Response) -> FetchedPage[PageChunk[Any]]:
        try:
            return format_.encode(response)
        except RecursionError:
            msg = "JSON that is nested too deeply"
            raise InvalidResponseError(msg, retryable=False) from None

    return read
