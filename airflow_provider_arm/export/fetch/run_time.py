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
    """

    end: dt.datetime | None
    zone: dt.tzinfo

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> RunTime:
        """Read the times from the context of a task."""
        moments = (_find_moment(context, name) for name in _MOMENTS)
        end = next((moment for moment in moments if moment is not None), None)
        return cls(end, find_time_zone(context.get("dag")))


def localize_context(context: Mapping[str, Any], zone: dt.tzinfo) -> dict[str, Any]:
    """Return a copy of a task's context with the times of its run, and what Airflow derives from them, in *zone*.

    In Airflow they are in UTC: at midnight in Oslo, ``ds`` is the day before. A data interval of no length, which
    ``schedule="@daily"`` has in Airflow 3, becomes the last period of the cron schedule, as it would be with
    ``CronDataIntervalTimetable``.
    """
    localized = dict(context)
    end = localized.get("data_interval_end")
    if isinstance(end, dt.datetime) and end.tzinfo is not None and end == localized.get("data_interval_start"):
        localized |= _last_period(context.get("dag"), end)
    for name in ("logical_date", "data_interval_start", "data_interval_end"):
        moment = localized.get(name)
        if isinstance(moment, dt.datetime) and moment.tzinfo is not None:
            localized[name] = moment.astimezone(zone)
    logical_date = localized.get("logical_date")
    if isinstance(logical_date, dt.datetime):
        localized["ds"], localized["ts"] = str(logical_date.date()), logical_date.isoformat()
        localized["ds_nodash"] = logical_date.strftime("%Y%m%d")
        localized["ts_nodash"] = logical_date.strftime("%Y%m%dT%H%M%S")
    return localized


def _last_period(dag: Any, moment: dt.datetime) -> dict[str, dt.datetime]:
    """Return the last data interval that ended at *moment* or before; empty if the schedule is no cron expression."""
    timetable = getattr(dag, "timetable", None)
    timetable = getattr(timetable, "timetable", timetable)  # of a schedule with assets and times
    expression = getattr(timetable, "expression", None) or getattr(timetable, "_expression", None)
    if not isinstance(expression, str):
        return {}
    from croniter import croniter

    zone = find_time_zone(dag)
    # By the clock on the wall: a day is one period, also when it has 23 or 25 hours.
    local = moment.astimezone(zone).replace(tzinfo=None)
    earlier = croniter(expression, local + dt.timedelta(seconds=1), ret_type=dt.datetime)
    end, start = (earlier.get_prev().replace(tzinfo=zone) for _ in range(2))
    return {"data_interval_start": start, "data_interval_end": end}


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
