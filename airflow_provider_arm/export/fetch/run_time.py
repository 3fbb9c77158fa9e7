"""Times and time zone of a DAG run, read from a task's context. Imports nothing of Airflow."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The moments of a run, the preferred one first. A run of an asset has no data interval and no logical date.
_MOMENTS = ("data_interval_end", "logical_date", "partition_date", "run_after")


@dataclass(frozen=True, slots=True)
class RunTime:
    """Times of a DAG run.

    :param end: end of its data interval, or else its logical date, or else the time at which it was due; ``None`` if
        the context has none of them.
    :param zone: the time zone of the DAG's schedule.
    :param starts: the moments from which Airflow derives the run's day in UTC (``ds``).
    """

    end: dt.datetime | None
    zone: dt.tzinfo
    starts: tuple[dt.datetime, ...] = ()

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> RunTime:
        """Read the times from the context of a task."""
        moments = [moment for name in _MOMENTS if (moment := _find_moment(context, name)) is not None]
        names = ("data_interval_start", "data_interval_end", "logical_date")
        starts = [moment for name in names if (moment := _find_moment(context, name)) is not None]
        return cls(moments[0] if moments else None, find_time_zone(context.get("dag")), tuple(starts))

    def differs_from_utc(self, zone: dt.tzinfo) -> bool:
        """Return whether one of the moments that Airflow calls a day is another day in *zone*."""
        return any(moment.astimezone(zone).date() != moment.astimezone(dt.UTC).date() for moment in self.starts)


def find_time_zone(dag: Any) -> dt.tzinfo:
    """Return the time zone of a DAG's schedule: the one of its timetable, or else the one of its ``start_date``.

    :param dag: the DAG; without one the time zone is UTC.
    """
    timetable = getattr(dag, "timetable", None)
    timetable = getattr(timetable, "timetable", timetable)  # of a schedule with assets and times
    for several in ("timetables", "_timetables"):
        timetable = next(iter(getattr(timetable, several, ())), timetable)
    candidates = (getattr(timetable, "timezone", None), getattr(timetable, "_timezone", None))
    for zone in (*candidates, getattr(dag, "timezone", None)):
        if isinstance(zone, str):
            return zoneinfo.ZoneInfo(zone)
        if isinstance(zone, dt.tzinfo):
            return zone
    return dt.UTC


def _find_moment(context: Mapping[str, Any], name: str) -> dt.datetime | None:
    """Return a moment with a time zone from the context or its DAG run; any other value is ignored."""
    for value in (context.get(name), getattr(context.get("dag_run"), name, None)):
        if isinstance(value, dt.datetime) and value.tzinfo is not None:
            return value
    return None
