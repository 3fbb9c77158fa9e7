"""Encoder around an encoder: only the new records of each page are written to the file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client.http.messages import Response
from airflow_provider_arm.client.paging import split_list, split_page
from airflow_provider_arm.export.fetch.page_fetcher import ReadPage
from airflow_provider_arm.export.files.formats import Format, ListShape, PageChunk
from airflow_provider_arm.export.incremental.watermark import IncrementTracker, PageDigests, digest
from airflow_provider_arm.export.pages.page_body import wrap
from airflow_provider_arm.export.pages.page_stats import unusable
from airflow_provider_arm.export.pages.timestamps import milliseconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_arm.export.files.sinks import CountedFile, Sink


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
        self, inner: Format, list_spec: ListShape, tracker: IncrementTracker, before_publish: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._record_type, self._list_key = list_spec.kind, list_spec.key
        self._tracker = tracker
        self._before_publish = before_publish
        fields = [("created", str | None, msgspec.field(name=self._record_type.moments[0], default=None))]
        if self._record_type.key is not None:
            fields.append(("key", str | int, msgspec.field(name=self._record_type.key)))
        struct = msgspec.defstruct("KeyAndTime", fields, kw_only=True, gc=False)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]

    def read(self, response: Response) -> ReadPage[PageChunk[Any]]:
        """Check the records and encode those that are new.

        The page's row count and keys are those of all records that ARM returned, so that a record that is on two pages
        is detected.
        """
        summary, text = split_page(response, self._list_key)
        fields = self._decode_fields(text)
        records = split_list(text)
        created = self._parse_created(fields)
        page = PageDigests([digest(record) for record in records], created)
        seen = self._tracker.before.seen
        is_known = [at is not None and seen.get(value) == at for value, at in zip(page.digests, created, strict=True)]
        if any(is_known):
            page = PageDigests(page.digests, created, sum(is_known))
            new = [record for record, known in zip(records, is_known, strict=True) if not known]
            response = Response(response.status, response.headers, _page_body(self._list_key, new))
        chunk = self._inner.read(response).content
        if self._record_type.key is not None:
            chunk.facts.keys = [*chunk.facts.keys, *(record.key for record in compress(fields, is_known))]
        return ReadPage(summary, len(records), PageChunk(chunk.facts, FilteredPage(chunk.content, page)))

    def sink(self, file: CountedFile) -> Sink:
        """Open a sink on *file*."""
        return IncrementSink(self._inner.sink(file), self._tracker, self._before_publish)

    def _decode_fields(self, text: bytes) -> list[Any]:
        """Decode key and created time of each record."""
        try:
            fields: list[Any] = self._decoder.decode(text)
        except msgspec.DecodeError:
            what = f"no {self._record_type.key}, or a {self._record_type.moments[0]} that is no text"
            raise unusable(self._record_type, what) from None
        return fields

    def _parse_created(self, fields: Sequence[Any]) -> list[int | None]:
        try:
            return [milliseconds_of(record.created) if record.created else None for record in fields]
        except ValueError:
            what = f"{self._record_type.moments[0]} that is no date"
            raise unusable(self._record_type, what) from None


def _page_body(list_key: str, records: Sequence[msgspec.Raw]) -> bytes:
    """Build the body of a page. Its summary is empty, because it was already read."""
    return b'{"summary":{},' + wrap(list_key, b"[" + b",".join(records) + b"]")[1:]


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

    def keep(self) -> None:
        """Keep the pages of the current query, because it is complete."""
        self._inner.keep()
        self._tracker.commit()

    def take_back(self) -> bool:
        """Discard the pages of the current query; ``False`` if that is no longer possible."""
        if not self._inner.take_back():
            return False
        self._tracker.rollback()
        return True

    def finish(self) -> None:
        """Write what is still buffered, then check whether the file may get its final name."""
        self._inner.finish()
        self._before_publish()

    def let_go(self) -> None:
        """Close the inner sink."""
        self._inner.let_go()
