"""A format around a format: of each page only what is new goes on into the file."""

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
    """What goes into the file of a page, and what was met on it."""

    content: Any
    met: PageDigests


class IncrementFormat:
    """Leaves out what *gathering* knows already and tells it what comes; the rest is the inner format's business.

    A record without a created time is never left out: nobody could say when to forget it.

    :param last_check: called when the file is finished, before it gets its name; raises what is wrong.
    """

    def __init__(
        self, inner: Format, list_: ListShape, gathering: IncrementTracker, last_check: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._kind, self._key = list_.kind, list_.key
        self._gathering = gathering
        self._last_check = last_check
        fields = [("created", str | None, msgspec.field(name=list_.kind.moments[0], default=None))]
        if list_.kind.key is not None:
            fields.append(("key", str | int, msgspec.field(name=list_.kind.key)))
        struct = msgspec.defstruct("Known", fields, kw_only=True, gc=False)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]

    def read(self, answer: Response) -> ReadPage[PageChunk[Any]]:
        """Check the records, and make what goes into the file of those that are new.

        The page's rows are all that ARM gave. Its keys are, too, so that a record that comes twice is seen.
        """
        summary, text = split_page(answer, self._key)
        looked = self._look(text)
        records = split_list(text)
        created = self._created(looked)
        met = PageDigests([digest(record) for record in records], created)
        known = self._gathering.before.seen
        left = [at is not None and known.get(one) == at for one, at in zip(met.digests, created, strict=True)]
        if any(left):
            met = PageDigests(met.digests, created, sum(left))
            kept = [record for record, out in zip(records, left, strict=True) if not out]
            answer = Response(answer.status, answer.headers, _page_body(self._key, kept))
        piece = self._inner.read(answer).content
        if self._kind.key is not None:
            piece.facts.keys = [*piece.facts.keys, *(one.key for one in compress(looked, left))]
        return ReadPage(summary, len(records), PageChunk(piece.facts, FilteredPage(piece.content, met)))

    def sink(self, file: CountedFile) -> Sink:
        """Open a sink."""
        return IncrementSink(self._inner.sink(file), self._gathering, self._last_check)

    def _look(self, text: bytes) -> list[Any]:
        try:
            looked: list[Any] = self._decoder.decode(text)
        except msgspec.DecodeError:
            what = f"no {self._kind.key}, or a {self._kind.moments[0]} that is no text"
            raise unusable(self._kind, what) from None
        return looked

    def _created(self, looked: Sequence[Any]) -> list[int | None]:
        try:
            return [milliseconds_of(one.created) if one.created else None for one in looked]
        except ValueError:
            raise unusable(self._kind, f"{self._kind.moments[0]} that is no date") from None


def _page_body(key: str, records: Sequence[msgspec.Raw]) -> bytes:
    """Make the body of a page whose summary nobody reads any more."""
    return b'{"summary":{},' + wrap(key, b"[" + b",".join(records) + b"]")[1:]


class IncrementSink:
    """Passes pages on, and what was met on them once their query is whole."""

    def __init__(self, inner: Sink, gathering: IncrementTracker, last_check: Callable[[], None]) -> None:
        self._inner = inner
        self._gathering = gathering
        self._last_check = last_check

    def write(self, piece: FilteredPage) -> None:
        """Take a page."""
        self._inner.write(piece.content)
        self._gathering.add(piece.met)

    def keep(self) -> None:
        """The query is whole."""
        self._inner.keep()
        self._gathering.keep()

    def take_back(self) -> bool:
        """Take the query back; what was met of it is forgotten."""
        if not self._inner.take_back():
            return False
        self._gathering.forget()
        return True

    def finish(self) -> None:
        """Write what is still held, then look for the last time whether the file may have its name."""
        self._inner.finish()
        self._last_check()

    def let_go(self) -> None:
        """Free what the inner sink has."""
        self._inner.let_go()
