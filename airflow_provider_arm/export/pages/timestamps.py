"""Moments as whole milliseconds since 1970 in UTC, as exact as ARM writes them, and back to text. Pure."""

from __future__ import annotations

import datetime as dt

from airflow_provider_arm.export.pages.ranges import parse_timestamp

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


def to_milliseconds(moment: str | dt.datetime) -> int:
    """Give the milliseconds of a moment, or of its text; a part of a millisecond is left out.

    :raises ValueError: the text is no moment with an offset.
    """
    if isinstance(moment, str):
        moment = parse_timestamp(moment)
    return (moment - _EPOCH) // _MILLISECOND


def format_milliseconds(milliseconds: int) -> str:
    """Write a moment as ARM's lists write it and take it in their filters."""
    # assumed (Q7): the filters take a moment with its offset, as ARM writes one, and not only a day
    return (_EPOCH + milliseconds * _MILLISECOND).isoformat(timespec="milliseconds")
