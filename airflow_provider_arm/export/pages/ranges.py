"""First and last of a page's days and moments, without making an object of each."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Length of ``2025-02-27`` and of ``+01:00``.
_DAY_LENGTH = 10
_OFFSET_LENGTH = 6
#: What may stand in each place of an offset.
_OFFSET = [set(place) for place in ("+-", "012", "0123456789", ":", "012345", "0123456789")]
#: Two moments differ by their offsets by less than two days (each is less than one), and by a part of the day more.
_DAYS_OF_OFFSETS = 3
#: Sorts after the ``T`` between day and time, so that all of the day is before it.
_AFTER_T = "U"


def date_bounds(values: Sequence[Any]) -> tuple[str, str] | None:
    """Give first and last of days, which are text or dates; ``None`` where there is none. Null and "" are no days.

    :raises ValueError: the first or the last is not written ``YYYY-MM-DD``.
    """
    days = list(filter(None, values))
    if not days:
        return None
    first, last = str(min(days)), str(max(days))
    for day in (first, last):
        if len(day) != _DAY_LENGTH:
            raise ValueError
        dt.date.fromisoformat(day)
    return first, last


def timestamp_bounds(values: Sequence[Any]) -> tuple[str, str] | None:
    """Give first and last of moments in UTC, which are text with an offset or datetimes; ``None`` where there is none.

    :raises ValueError: one that was looked at is no moment with an offset.
    """
    moments = list(filter(None, values))
    if not moments:
        return None
    if type(moments[0]) is str:
        moments = [parse_timestamp(text) for text in _outermost(moments)]
    return format_utc_timestamp(min(moments)), format_utc_timestamp(max(moments))


def _outermost(texts: Sequence[str]) -> Sequence[str]:
    """Pick the texts among which first and last must be: of equal length and offset, text sorts as time does."""
    lengths = set(map(len, texts))
    length = lengths.pop()
    if lengths or length < _DAY_LENGTH + _OFFSET_LENGTH:
        return texts
    joined = "".join(texts)
    # What stands in each place of the offsets: one slice over all texts instead of one for each.
    places = [set(joined[length - place :: length]) for place in range(_OFFSET_LENGTH, 0, -1)]
    if not all(map(set.issubset, places, _OFFSET)):
        return texts
    if all(len(place) == 1 for place in places):
        return min(texts), max(texts)
    texts = _ends(texts)
    picked: list[str] = []
    for offset in {text[-_OFFSET_LENGTH:] for text in texts}:
        alike = [text for text in texts if text.endswith(offset)]
        picked += (min(alike), max(alike))
    return picked


def _ends(texts: Sequence[str]) -> list[str]:
    """Leave out what is days away from both ends: no offset makes an end of it."""
    first, last = (dt.date.fromisoformat(text[:_DAY_LENGTH]).toordinal() for text in (min(texts), max(texts)))
    begin = dt.date.fromordinal(min(first + _DAYS_OF_OFFSETS, dt.date.max.toordinal())).isoformat() + _AFTER_T
    end = dt.date.fromordinal(max(last - _DAYS_OF_OFFSETS, dt.date.min.toordinal())).isoformat()
    return [text for text in texts if text < begin or text >= end]


def parse_timestamp(text: str) -> dt.datetime:
    """Read a moment.

    :raises ValueError: it is none, or has no offset.
    """
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment


def format_utc_timestamp(moment: dt.datetime) -> str:
    """Write a moment in UTC, always as long, so that text sorts as time does.

    :raises ValueError: in UTC it lies before the year 1 or after 9999.
    """
    try:
        return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
    except OverflowError:
        raise ValueError from None
