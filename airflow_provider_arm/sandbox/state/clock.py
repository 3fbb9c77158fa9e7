"""Clock of the sandbox: runs like the wall clock until it is moved or stopped."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: ARM writes times with the offset of Norway. A machine without time zone data uses winter time all year.
try:
    ARM_ZONE: dt.tzinfo = ZoneInfo("Europe/Oslo")
except ZoneInfoNotFoundError:  # pragma: no cover - only on a machine without time zone data
    ARM_ZONE = dt.timezone(dt.timedelta(hours=1))


class SandboxClock:
    """Clock for token life, batch processing and query life."""

    def __init__(self) -> None:
        self._offset = dt.timedelta(0)
        self._stopped_at: dt.datetime | None = None

    def now(self) -> dt.datetime:
        """Return the current time, with Norway's offset."""
        if self._stopped_at is not None:
            return self._stopped_at.astimezone(ARM_ZONE)
        return (dt.datetime.now(dt.UTC) + self._offset).astimezone(ARM_ZONE)

    @property
    def stopped(self) -> bool:
        """Return whether the clock is stopped."""
        return self._stopped_at is not None

    def advance(self, seconds: float) -> None:
        """Move the clock by *seconds*; a stopped clock stays stopped."""
        step = dt.timedelta(seconds=seconds)
        if self._stopped_at is None:
            self._offset += step
        else:
            self._stopped_at += step

    def set(self, time: dt.datetime) -> None:
        """Set the clock to *time* (Norwegian time if it has no time zone) and stop it."""
        self._stopped_at = time if time.tzinfo else time.replace(tzinfo=ARM_ZONE)

    def run(self) -> None:
        """Start a stopped clock again, at the time where it stopped."""
        if self._stopped_at is not None:
            self._offset = self._stopped_at - dt.datetime.now(dt.UTC)
            self._stopped_at = None

    def reset(self) -> None:
        """Set the clock to the wall clock, and let it run."""
        self.__init__()  # type: ignore[misc]


def format_timestamp(time: dt.datetime) -> str:
    """Return a time as ARM writes it: ``2025-02-27T17:03:36.176+01:00``."""
    return time.astimezone(ARM_ZONE).isoformat(timespec="milliseconds")


def epoch_ms(time: dt.datetime) -> int:
    """Return the exact number of milliseconds since 1970."""
    return (time - _EPOCH) // _MILLISECOND


def from_epoch_ms(milliseconds: int) -> dt.datetime:
    """Return the time of a number of milliseconds since 1970; the inverse of :func:`epoch_ms`."""
    return _EPOCH + milliseconds * _MILLISECOND


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
