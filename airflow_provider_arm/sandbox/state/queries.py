"""Queries stored for paging, by ``queryId``."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

#: At 8 bytes a row and 10,000 rows a query, all of them stay below 160 MB.
MAX_QUERIES = 2000


@dataclass(slots=True)
class StoredQuery:
    """A list query whose pages are being read."""

    id: str
    #: Key of the records in the response, such as ``arItems``.
    plural: str
    where: str
    values: tuple[object, ...]
    #: Ids of the matching rows, at the time of the first page.
    row_ids: array[int]
    #: ``totalCount`` of the summary; can be more than the number of rows (row 9 of the working contract).
    total: int
    page_size: int
    maximum: int
    expires_ms: int
    pages_served: int = 0

    def page_count(self) -> int:
        """Return the number of pages."""
        return -(-len(self.row_ids) // self.page_size)


class QueryStore:
    """Stored queries; when there are too many, the oldest are dropped."""

    def __init__(self) -> None:
        self._queries: dict[str, StoredQuery] = {}

    def add(self, query: StoredQuery) -> None:
        """Store *query*."""
        self._queries[query.id] = query
        if len(self._queries) > MAX_QUERIES:
            del self._queries[next(iter(self._queries))]

    def get(self, query_id: str) -> StoredQuery | None:
        """Return the query, expired or not, or ``None`` if it is not stored."""
        return self._queries.get(query_id)
