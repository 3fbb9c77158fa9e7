"""Asking ARM for pages: windows, partitions, several pages at the same time."""
