"""The sandbox's clock: runs like the wall clock until a test moves or stops it."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: ARM writes times with the offset of Norway. A machine without time zone data gets winter time all year.
try:
    ARM_ZONE: dt.tzinfo = ZoneInfo("Europe/Oslo")
except ZoneInfoNotFoundError:  # pragma: no cover - only on a machine without time zone data
    ARM_ZONE = dt.timezone(dt.timedelta(hours=1))


class SandboxClock:
    """Tells the sandbox's time. Token life, batch processing and query life all follow it."""

    def __init__(self) -> None:
        self._offset = dt.timedelta(0)
        self._stopped_at: dt.datetime | None = None

    def now(self) -> dt.datetime:
        """The time now, with Norway's offset."""
        if self._stopped_at is not None:
            return self._stopped_at.astimezone(ARM_ZONE)
        return (dt.datetime.now(dt.UTC) + self._offset).astimezone(ARM_ZONE)

    @property
    def stopped(self) -> bool:
        """Whether the clock stands still between two moves."""
        return self._stopped_at is not None

    def advance(self, seconds: float) -> None:
        """Move the clock; a stopped clock stays stopped."""
        step = dt.timedelta(seconds=seconds)
        if self._stopped_at is None:
            self._offset += step
        else:
            self._stopped_at += step

    def set(self, moment: dt.datetime) -> None:
        """Set the clock to *moment* and stop it there, so that two runs can write the same bytes."""
        self._stopped_at = moment if moment.tzinfo else moment.replace(tzinfo=ARM_ZONE)

    def run(self) -> None:
        """Let a stopped clock go on from where it stands."""
        if self._stopped_at is not None:
            self._offset = self._stopped_at - dt.datetime.now(dt.UTC)
            self._stopped_at = None

    def reset(self) -> None:
        """Back to the wall clock."""
        self.__init__()  # type: ignore[misc]


def stamp(moment: dt.datetime) -> str:
    """Write a time as ARM does: ``2025-02-27T17:03:36.176+01:00``."""
    return moment.astimezone(ARM_ZONE).isoformat(timespec="milliseconds")


def epoch_ms(moment: dt.datetime) -> int:
    """Milliseconds since 1970, exact."""
    return (moment - _EPOCH) // _MILLISECOND


def from_epoch_ms(milliseconds: int) -> dt.datetime:
    """The inverse of :func:`epoch_ms`."""
    return _EPOCH + milliseconds * _MILLISECOND


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
