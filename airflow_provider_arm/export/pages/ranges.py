"""First and last date or timestamp of a page, without an object for each value."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Length of ``2025-02-27`` and of ``+01:00``.
_DATE_LENGTH = 10
_OFFSET_LENGTH = 6
#: Valid characters at each position of an offset.
_OFFSET = [set(characters) for characters in ("+-", "012", "0123456789", ":", "012345", "0123456789")]
#: Days by which a timestamp must be later than another one, by its text, to be later in any case: the offsets differ by
#: less than two days, the times of day by less than one.
_DECISIVE_DAYS = 3
#: Sorts after the ``T`` between date and time, so that all timestamps of a date sort before it.
_AFTER_T = "U"


def date_bounds(values: Sequence[Any]) -> tuple[str, str] | None:
    """Return the first and the last of dates, which are text or ``date``; null and "" are ignored.

    :raises ValueError: the first or the last is not of the form ``YYYY-MM-DD``.
    """
    dates = list(filter(None, values))
    if not dates:
        return None
    first, last = str(min(dates)), str(max(dates))
    for date in (first, last):
        if len(date) != _DATE_LENGTH:
            raise ValueError
        dt.date.fromisoformat(date)
    return first, last


def timestamp_bounds(values: Sequence[Any]) -> tuple[str, str] | None:
    """Return the first and the last of timestamps in UTC, which are text or ``datetime``; null and "" are ignored.

    :raises ValueError: one of the texts that had to be parsed is not a timestamp with an offset.
    """
    timestamps = list(filter(None, values))
    if not timestamps:
        return None
    if type(timestamps[0]) is str:
        timestamps = [parse_timestamp(text) for text in _candidates(timestamps)]
    return format_utc_timestamp(min(timestamps)), format_utc_timestamp(max(timestamps))


def _candidates(texts: Sequence[str]) -> Sequence[str]:
    """Return the texts that can be first or last: texts of equal length and offset sort in the order of time."""
    lengths = set(map(len, texts))
    length = lengths.pop()
    if lengths or length < _DATE_LENGTH + _OFFSET_LENGTH:
        return texts
    joined = "".join(texts)
    # The characters at each position of the offsets, by one slice over all texts instead of one per text.
    positions = [set(joined[length - place :: length]) for place in range(_OFFSET_LENGTH, 0, -1)]
    if not all(map(set.issubset, positions, _OFFSET)):
        return texts
    if all(len(characters) == 1 for characters in positions):
        return min(texts), max(texts)
    texts = _near_bounds(texts)
    candidates: list[str] = []
    for offset in {text[-_OFFSET_LENGTH:] for text in texts}:
        same_offset = [text for text in texts if text.endswith(offset)]
        candidates += (min(same_offset), max(same_offset))
    return candidates


def _near_bounds(texts: Sequence[str]) -> list[str]:
    """Return the texts less than ``_DECISIVE_DAYS`` from the first or the last: no offset makes another one a bound."""
    first, last = (dt.date.fromisoformat(text[:_DATE_LENGTH]).toordinal() for text in (min(texts), max(texts)))
    begin = dt.date.fromordinal(min(first + _DECISIVE_DAYS, dt.date.max.toordinal())).isoformat() + _AFTER_T
    end = dt.date.fromordinal(max(last - _DECISIVE_DAYS, dt.date.min.toordinal())).isoformat()
    return [text for text in texts if text < begin or text >= end]


def parse_timestamp(text: str) -> dt.datetime:
    """Parse a timestamp.

    :raises ValueError: it is invalid, or has no offset.
    """
    timestamp = dt.datetime.fromisoformat(text)
    if timestamp.tzinfo is None:
        raise ValueError
    return timestamp


def format_utc_timestamp(timestamp: dt.datetime) -> str:
    """Return a timestamp as text in UTC, always of the same length, so that texts sort in the order of time.

    :raises ValueError: in UTC it is before the year 1 or after 9999.
    """
    try:
        return timestamp.astimezone(dt.UTC).isoformat(timespec="microseconds")
    except OverflowError:
        raise ValueError from None
