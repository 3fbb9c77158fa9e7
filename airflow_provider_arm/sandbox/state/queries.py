"""The queries that the server keeps for paging, by ``queryId``."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass

#: At 8 bytes a row and 10,000 rows a query, all of them stay below 160 MB.
MAX_QUERIES = 2000


@dataclass(slots=True)
class StoredQuery:
    """A list in the middle of being paged through."""

    id: str
    listing: str
    where: str
    values: tuple[object, ...]
    #: The matching rows, at the time of the first page.
    rows: array[int]
    #: What the summary says; may be more than the rows (row 9).
    total: int
    page_size: int
    maximum: int
    expires_ms: int
    pages_given: int = 0

    def pages(self) -> int:
        """How many pages the rows fill."""
        return -(-len(self.rows) // self.page_size)


class QueryStore:
    """Remembers queries until they expire; the oldest go first when there are too many."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, StoredQuery] = OrderedDict()

    def keep(self, query: StoredQuery) -> None:
        """Remember *query*."""
        self._kept[query.id] = query
        while len(self._kept) > MAX_QUERIES:
            self._kept.popitem(last=False)

    def find(self, query_id: str) -> StoredQuery | None:
        """The query, expired or not, if it was ever opened here."""
        return self._kept.get(query_id)
