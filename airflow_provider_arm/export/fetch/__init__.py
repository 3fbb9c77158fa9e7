"""Fetching of pages: windows, partitions, and requests in parallel."""
