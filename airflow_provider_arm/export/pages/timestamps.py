"""Timestamps as unix milliseconds, the precision of ARM, and as text. Pure."""

from __future__ import annotations

import datetime as dt

from airflow_provider_arm.export.pages.ranges import parse_timestamp

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


def to_milliseconds(timestamp: str | dt.datetime) -> int:
    """Return a timestamp, or its text, in unix milliseconds, rounded down.

    :raises ValueError: the text is not a timestamp with an offset.
    """
    if isinstance(timestamp, str):
        timestamp = parse_timestamp(timestamp)
    return (timestamp - _EPOCH) // _MILLISECOND


def format_milliseconds(milliseconds: int) -> str:
    """Return the text of a timestamp as ARM's lists contain it and their filters accept it."""
    # assumed (Q7): the filters accept a timestamp with its offset, as ARM writes it, and not only a date
    return (_EPOCH + milliseconds * _MILLISECOND).isoformat(timespec="milliseconds")
