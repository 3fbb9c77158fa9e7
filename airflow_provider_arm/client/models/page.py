"""The summary that stands beside every list."""

from __future__ import annotations

from airflow_provider_arm.client.models.base import ArmModel


class PageSummary(ArmModel):
    """Where a page stands in its list."""

    #: From 1.
    page_no: int | None = None
    current_page_size: int | None = None
    page_size_limit: int | None = None
    total_pages: int | None = None
    #: Records that match, at most ``maximum_count`` (whether it may exceed the cap is not documented).
    total_count: int | None = None
    #: The most records that one query can return.
    maximum_count: int | None = None
    #: Absolute address of the next page; absent, null or empty on the last page (assumed).
    next_page: str | None = None
    last_page: str | None = None
    #: Name of the query that the server keeps: pages 2..n are asked for by it.
    query_id: str | None = None
