"""Encoder around an encoder: only the new records of each page are written to the file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.paging import split_list, split_page
from airflow_provider_arm.export.fetch.page_fetcher import FetchedPage
from airflow_provider_arm.export.incremental.watermark import IncrementTracker, PageDigests, digest
from airflow_provider_arm.export.pages.page_body import page_text
from airflow_provider_arm.export.pages.page_stats import invalid_records_error, type_fault
from airflow_provider_arm.export.pages.timestamps import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.export.files.encoders import ListSpec, PageEncoder
    from airflow_provider_arm.export.files.sinks import ChecksumFile, Sink


@dataclass(frozen=True, slots=True)
class FilteredPage:
    """Encoded new records of a page, and the digests of all its records."""

    data: Any
    digests: PageDigests


class IncrementEncoder:
    """Encoder that skips the records that the watermark contains, and reports all records to a tracker.

    A record without a created time is never skipped: its digest could never be removed from the watermark.

    :param inner: encodes the other records.
    :param before_publish: called when the file is finished, before it gets its final name; raises an error to prevent
        that.
    """

    def __init__(
        self, inner: PageEncoder, list_spec: ListSpec, tracker: IncrementTracker, before_publish: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._record_type, self._list_key = list_spec.record_type, list_spec.list_key
        self._tracker = tracker
        self._before_publish = before_publish
        fields = [("created", str | None, msgspec.field(name=self._record_type.timestamps[0], default=None))]
        if self._record_type.key is not None:
            fields.append(("key", str | int, msgspec.field(name=self._record_type.key)))
        struct = msgspec.defstruct("KeyAndTime", fields, kw_only=True, gc=False)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]

    def encode(self, response: Response) -> FetchedPage:
        """Check the records and encode those that are new.

        The page's row count and keys are those of all records that ARM returned, so that a record that is on two pages
        is detected.
        """
        summary, text = split_page(response, self._list_key)
        fields, created = self._decode_fields(text)
        records = split_list(text)
        page = PageDigests([digest(record) for record in records], created)
        seen = self._tracker.before.seen
        is_known = [at is not None and seen.get(value) == at for value, at in zip(page.digests, created, strict=True)]
        if any(is_known):
            page = PageDigests(page.digests, created, sum(is_known))
            new = [record for record, known in zip(records, is_known, strict=True) if not known]
            response = Response(response.status, response.headers, page_text(self._list_key, b"[%b]" % b",".join(new)))
        encoded = self._inner.encode(response)
        if self._record_type.key is not None:
            encoded.stats.keys = [*encoded.stats.keys, *(record.key for record in compress(fields, is_known))]
        return FetchedPage(summary, len(records), encoded.stats, FilteredPage(encoded.data, page))

    def open_sink(self, file: ChecksumFile) -> Sink:
        """Open a sink on *file*."""
        return IncrementSink(self._inner.open_sink(file), self._tracker, self._before_publish)

    def _decode_fields(self, text: bytes) -> tuple[list[Any], list[int | None]]:
        """Return key and created time of each record as ARM wrote them, and the created times in milliseconds."""
        try:
            fields = self._decoder.decode(text)
            return fields, [to_milliseconds(record.created) if record.created else None for record in fields]
        except msgspec.DecodeError as error:
            fault = type_fault(self._record_type, error)
        except ValueError:
            fault = f"a {self._record_type.timestamps[0]} that is not a date"
        raise invalid_records_error(self._record_type, fault)


class IncrementSink:
    """Sink that passes pages on, and reports the records of each complete query to a tracker."""

    def __init__(self, inner: Sink, tracker: IncrementTracker, before_publish: Callable[[], None]) -> None:
        self._inner = inner
        self._tracker = tracker
        self._before_publish = before_publish

    def write(self, page: FilteredPage) -> None:
        """Write a page."""
        self._inner.write(page.data)
        self._tracker.add(page.digests)

    def commit(self) -> None:
        """Keep the pages of the current query, because it is complete."""
        self._inner.commit()
        self._tracker.commit()

    def rollback(self) -> bool:
        """Discard the pages of the current query; ``False`` if that is no longer possible."""
        if not self._inner.rollback():
            return False
        self._tracker.rollback()
        return True

    def finish(self) -> None:
        """Write what is still buffered, then check whether the file may get its final name."""
        self._inner.finish()
        self._before_publish()

    def close(self) -> None:
        """Close the inner sink."""
        self._inner.close()
