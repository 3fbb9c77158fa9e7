"""Summary of a page of a list."""

from __future__ import annotations

from airflow_provider_arm.client.models.base import ArmModel


class PageSummary(ArmModel):
    """Position of a page in its list, and the size of the list."""

    #: Number of the page, from 1.
    page_no: int | None = None
    current_page_size: int | None = None
    page_size_limit: int | None = None
    total_pages: int | None = None
    #: Number of matching records, at most ``maximum_count`` (whether it may exceed the cap is not documented).
    total_count: int | None = None
    #: Number of records that one query returns at most.
    maximum_count: int | None = None
    #: Absolute URL of the next page; absent, null or empty on the last page (assumed).
    next_page: str | None = None
    last_page: str | None = None
    #: Identifier of the query that ARM keeps: pages 2 to n are requested by it.
    query_id: str | None = None
