"""Encoders: they check the records of a page and encode them for the file. They run in parser threads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import msgspec

from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.paging import split_list, split_page
from airflow_provider_arm.export.fetch.page_fetcher import FetchedPage
from airflow_provider_arm.export.files.compression import compressor, need_pyarrow
from airflow_provider_arm.export.files.sinks import BytesSink, ChecksumFile, ParquetSink, Sink
from airflow_provider_arm.export.pages.csv_dialect import CSV_DIALECTS, CsvDialect
from airflow_provider_arm.export.pages.page_body import PageBody, PageBodyParser, page_text
from airflow_provider_arm.export.pages.page_stats import PageStats, PageStatsReader
from airflow_provider_arm.export.pages.submittable import SubmittableFields
from airflow_provider_arm.export.pages.texts import csv_text, fields_of, json_lines, selected

if TYPE_CHECKING:
    from airflow_provider_arm.export.files.file_format import FileFormat
    from airflow_provider_arm.export.pages.arrow import ColumnReader
    from airflow_provider_arm.export.pages.field_selection import FieldSelection
    from airflow_provider_arm.export.pages.record_types import RecordType

#: Parquet's compression by default: half the size of snappy's in the same time.
PARQUET_COMPRESSION = "zstd"


@dataclass(frozen=True, slots=True)
class ListSpec:
    """Record type of a list, its key in the page, and the fields that go into the file."""

    record_type: RecordType
    list_key: str
    selection: FieldSelection
    #: Dates and timestamps that must be valid; in Parquet all of them must be.
    required_dates: tuple[str, ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Return the columns of a table; see :meth:`FieldSelection.columns`."""
        return self.selection.columns(self.record_type)

    def stats_reader(self, *, validate_all_fields: bool = False) -> PageStatsReader:
        """Build the reader of the stats."""
        return PageStatsReader(
            self.record_type, self.list_key, validate_all_fields=validate_all_fields, required_dates=self.required_dates
        )

    def column_reader(self, *, typed: bool) -> ColumnReader:
        """Build the reader of the columns."""
        from airflow_provider_arm.export.pages.arrow import ColumnReader

        return ColumnReader(self.record_type, self.list_key, self.columns(), self.selection, typed=typed)


class PageEncoder(Protocol):
    """Encoder of pages, in many threads at once."""

    def encode(self, response: Response) -> FetchedPage:
        """Encode a page.

        :raises ValueError: it is not a page, or a record cannot be exported.
        """

    def open_sink(self, file: ChecksumFile) -> Sink:
        """Open a sink on *file*."""


class _TextEncoder:
    """Base of the encoders of text formats: a header, and the lines of each page."""

    def __init__(self, compression: str | None, header: bytes = b"") -> None:
        self._compress = compressor(compression)
        self._header = self._compress(header) if header else b""

    def _read(self, response: Response) -> tuple[PageBody, PageStats, bytes]:
        raise NotImplementedError

    def encode(self, response: Response) -> FetchedPage:
        """Check the records and encode them as lines."""
        body, stats, lines = self._read(response)
        return FetchedPage(body.summary, stats.rows, stats, self._compress(lines) if lines else lines)

    def open_sink(self, file: ChecksumFile) -> Sink:
        """Write the header and open a sink."""
        return BytesSink(file, self._header)


class JsonLinesEncoder(_TextEncoder):
    """One line per record: ARM's own text, unless fields are selected or masked."""

    def __init__(self, list_spec: ListSpec, compression: str | None, *, validate_all_fields: bool = False) -> None:
        super().__init__(compression)
        self._stats = list_spec.stats_reader(validate_all_fields=validate_all_fields)
        self._selection = list_spec.selection
        self._parser = PageBodyParser(list_spec.list_key)

    def _read(self, response: Response) -> tuple[PageBody, PageStats, bytes]:
        body = self._parser.split(response)
        stats, records = self._stats.read(body.text), body.records
        if not self._selection.is_all:
            columns, masked = self._selection.chosen, self._selection.masked
            records = [selected(record, columns, masked) for record in fields_of(records)]
        return body, stats, json_lines(records, body.text)


class CsvEncoder(_TextEncoder):
    """A header and one row per record; :class:`ArrowCsvEncoder` is faster and writes the same bytes."""

    def __init__(self, list_spec: ListSpec, compression: str | None, dialect: CsvDialect = CSV_DIALECTS[None]) -> None:
        self._columns, self._masked, self._dialect = list_spec.columns(), list_spec.selection.masked, dialect
        super().__init__(compression, dialect.mark + csv_text([self._columns], dialect.separator))
        self._stats = list_spec.stats_reader()
        self._parser = PageBodyParser(list_spec.list_key)

    def _read(self, response: Response) -> tuple[PageBody, PageStats, bytes]:
        body = self._parser.split(response)
        stats, cell = self._stats.read(body.text), self._dialect.cell
        rows = (
            [None if name in self._masked else cell(record.get(name)) for name in self._columns]
            for record in fields_of(body.records)
        )
        return body, stats, csv_text(rows, self._dialect.separator)


class ArrowCsvEncoder(CsvEncoder):
    """CSV by way of Arrow's columns. A page that Arrow cannot read is read as without Arrow."""

    def __init__(self, list_spec: ListSpec, compression: str | None) -> None:
        from airflow_provider_arm.export.pages.arrow import csv_from_batch

        super().__init__(list_spec, compression)
        self._reader = list_spec.column_reader(typed=False)
        self._csv_from_batch = csv_from_batch

    def _read(self, response: Response) -> tuple[PageBody, PageStats, bytes]:
        try:
            body, batch, stats = self._reader.read(response)
        except ValueError:
            return super()._read(response)
        return body, stats, self._csv_from_batch(batch)


class ParquetEncoder:
    """Typed columns."""

    def __init__(self, list_spec: ListSpec, compression: str | None) -> None:
        need_pyarrow("Parquet")
        self._reader = list_spec.column_reader(typed=True)
        self._compression = compression or PARQUET_COMPRESSION
        self._dictionary = [name for name in list_spec.columns() if name in list_spec.record_type.low_cardinality]

    def encode(self, response: Response) -> FetchedPage:
        """Check the records and encode them as columns."""
        body, batch, stats = self._reader.read(response)
        return FetchedPage(body.summary, stats.rows, stats, batch)

    def open_sink(self, file: ChecksumFile) -> Sink:
        """Open a sink."""
        return ParquetSink(file, self._reader.schema, self._compression, self._dictionary)


class SubmittableEncoder:
    """Encoder of records that are converted to those that can be submitted again.

    :param inner: encodes the converted records.
    """

    def __init__(self, inner: PageEncoder, list_spec: ListSpec, file_format: FileFormat) -> None:
        self._inner = inner
        self._fields = SubmittableFields(list_spec.record_type)
        self._list_key = list_spec.list_key
        self._is_table, self._joins_lists = file_format.format != "jsonl", file_format.format == "csv"

    def encode(self, response: Response) -> FetchedPage:
        """Convert the records and encode them."""
        summary, text = split_page(response, self._list_key)
        records = [
            self._fields.convert(record, is_table=self._is_table, joins_lists=self._joins_lists)
            for record in fields_of(split_list(text))
        ]
        page = self._inner.encode(Response(200, {}, page_text(self._list_key, msgspec.json.encode(records))))
        return replace(page, summary=summary)

    def open_sink(self, file: ChecksumFile) -> Sink:
        """Open a sink."""
        return self._inner.open_sink(file)


def choose_encoder(list_spec: ListSpec, file_format: FileFormat, *, validate_all_fields: bool = False) -> PageEncoder:
    """Build the encoder of a file format.

    :param validate_all_fields: check the type of every known field; of JSON lines only.
    :raises ArmConfigurationError: pyarrow is missing, or the columns of the list are unknown.
    """
    encoder = _choose_format_encoder(list_spec, file_format, validate_all_fields=validate_all_fields)
    return SubmittableEncoder(encoder, list_spec, file_format) if list_spec.selection.is_submittable else encoder


def _choose_format_encoder(
    list_spec: ListSpec, file_format: FileFormat, *, validate_all_fields: bool = False
) -> PageEncoder:
    if file_format.format == "jsonl":
        return JsonLinesEncoder(list_spec, file_format.compression, validate_all_fields=validate_all_fields)
    if file_format.format == "parquet":
        return ParquetEncoder(list_spec, file_format.compression)
    if file_format.csv_dialect is not None:
        return CsvEncoder(list_spec, file_format.compression, CSV_DIALECTS[file_format.csv_dialect])
    try:
        return ArrowCsvEncoder(list_spec, file_format.compression)
    except ImportError:
        return CsvEncoder(list_spec, file_format.compression)
