"""Division of an export's days into windows for a mapped operator, and parser of an operator's window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.fetch.date_window import DateRange, DateWindow, RunWindow
from airflow_provider_arm.export.fetch.run_time import RunTime

#: The value of ``days`` that is not a number.
MONTH = "month"
_DAY = dt.timedelta(days=1)
_KEYS = frozenset({"start", "end", "by", "end_exclusive", "timezone"})
_RUN_KEYS = frozenset({"days", "months", "by", "timezone"})


def plan_windows(
    start: str | dt.date,
    end: str | dt.date,
    *,
    by: str = "voucherdate",
    parts: int | None = None,
    days: int | str | None = None,
    end_exclusive: bool = False,
) -> list[dict[str, str]]:
    """Divide the days of an export into adjoining windows, in order.

    The windows are plain dicts, which can be in a DAG file and in XCom:
    ``ArItemExportOperator.partial(...).expand(window=plan_windows("2026-01-01", "2026-12-31", days="month"))``.

    :param start: first day, ``YYYY-MM-DD`` or a ``date``; included.
    :param end: last day; included.
    :param by: which date; default ``voucherdate``, see :class:`DateWindow`.
    :param parts: number of windows, of lengths as equal as possible; never more than there are days.
    :param days: days per window (the last may have fewer), or ``"month"``: one window per calendar month.
    :param end_exclusive: *end* is the day after the last one; default ``False``.
    :return: ``[{"start": "2026-01-01", "end": "2026-01-31", "by": "voucherdate"}, ...]``, bounds included.
    :raises ArmConfigurationError: there is no day, or not exactly one of *parts* and *days* is set, to 1 or more.
    """
    whole = DateWindow(start, end, by, end_exclusive=end_exclusive).date_range()
    length = (whole.last - whole.first).days + 1
    if (parts is None) == (days is None):
        raise ArmConfigurationError("plan_windows: set either parts or days")
    if days == MONTH:
        offsets = [0, *(offset for offset in range(1, length) if (whole.first + offset * _DAY).day == 1)]
    elif days is not None:
        offsets = list(range(0, length, _check_count("days", days)))
    else:
        count = min(_check_count("parts", parts), length)
        offsets = [number * length // count for number in range(count)]
    return [
        {"start": str(whole.first + first * _DAY), "end": str(whole.first + (following - 1) * _DAY), "by": whole.by}
        for first, following in pairwise([*offsets, length])
    ]


def _check_count(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    also = f' or "{MONTH}"' if name == "days" else ""
    raise ArmConfigurationError(f"plan_windows: {name} must be a whole number of at least 1{also}, not {value!r}")


def read_window(value: Any, name: str = "window") -> Any:
    """Return an operator's window as an object, if it is an object or a mapping of its arguments.

    :param name: the argument, for messages.
    :return: an object with the method ``date_range``; ``None`` unchanged.
    :raises ArmConfigurationError: it is none of these, or an argument of it is invalid.
    """
    if value is None or isinstance(value, DateWindow | RunWindow):
        return value
    if isinstance(value, Mapping) and {"start", "end"} <= set(value) <= _KEYS:
        return DateWindow(**value)
    if isinstance(value, Mapping) and value and set(value) <= _RUN_KEYS:
        return RunWindow(**value)
    msg = f"{name} must be a DateWindow, or a mapping of start, end and optionally by, end_exclusive and timezone"
    raise ArmConfigurationError(msg)


def parse_window(value: Any, context: Mapping[str, Any] | None = None) -> DateRange | None:
    """Return the days of an operator's window. Raises as :func:`read_window`.

    :param context: the context of the task, from which the window takes times and time zone.
    """
    window = read_window(value)
    return None if window is None else window.date_range(None if context is None else RunTime.from_context(context))
