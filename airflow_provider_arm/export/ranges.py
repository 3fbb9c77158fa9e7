"""First and last of a page's days and moments, without making an object of each."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Length of ``2025-02-27`` and of ``+01:00``.
_DAY_LENGTH = 10
_OFFSET_LENGTH = 6


def day_range(values: Sequence[Any]) -> tuple[str, str] | None:
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


def moment_range(values: Sequence[Any]) -> tuple[str, str] | None:
    """Give first and last of moments in UTC, which are text with an offset or datetimes; ``None`` where there is none.

    :raises ValueError: one that was looked at is no moment with an offset.
    """
    moments = list(filter(None, values))
    if not moments:
        return None
    if type(moments[0]) is str:
        moments = [moment_of(text) for text in _outermost(moments)]
    return moment_text(min(moments)), moment_text(max(moments))


def _outermost(texts: Sequence[str]) -> Sequence[str]:
    """Pick the texts among which first and last must be: of equal length and offset, text sorts as time does."""
    offsets = {text[-_OFFSET_LENGTH:] for text in texts}
    if len(set(map(len, texts))) > 1 or any(offset[:1] not in "+-" for offset in offsets):
        return texts
    picked: list[str] = []
    for offset in offsets:
        alike = texts if len(offsets) == 1 else [text for text in texts if text[-_OFFSET_LENGTH:] == offset]
        picked += (min(alike), max(alike))
    return picked


def moment_of(text: str) -> dt.datetime:
    """Read a moment.

    :raises ValueError: it is none, or has no offset.
    """
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment


def moment_text(moment: dt.datetime) -> str:
    """Write a moment in UTC, always as long, so that text sorts as time does."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
