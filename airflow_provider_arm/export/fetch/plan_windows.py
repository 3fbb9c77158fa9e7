"""One export's days as many windows, for a mapped operator; and how an operator reads them. Loads nothing heavy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.fetch.date_window import DateRange, DateWindow

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What ``days`` may be beside a number.
MONTH = "month"
_DAY = dt.timedelta(days=1)
_KEYS = frozenset({"start", "end", "by", "end_exclusive"})


def plan_windows(
    start: str | dt.date,
    end: str | dt.date,
    *,
    by: str = "voucherdate",
    parts: int | None = None,
    days: int | str | None = None,
    end_exclusive: bool = False,
) -> list[dict[str, str]]:
    """Cut the days of an export into windows, in order, without a gap and without overlap.

    The windows are plain dicts, so they may stand in a DAG file and pass through XCom:
    ``ArItemExportOperator.partial(...).expand(window=plan_windows("2026-01-01", "2026-12-31", days="month"))``.

    :param start: first day, ``YYYY-MM-DD`` or a ``date``; included.
    :param end: last day; included.
    :param by: which date; default ``voucherdate``, see :class:`DateWindow`.
    :param parts: how many windows, as equally long as can be; where there are fewer days, one for each day.
    :param days: days in each window, the last may have fewer; or ``"month"``, a window for each calendar month.
    :param end_exclusive: *end* is the first day that is not wanted; default ``False``.
    :return: ``[{"start": "2026-01-01", "end": "2026-01-31", "by": "voucherdate"}, ...]``, bounds included.
    :raises ArmConfigurationError: the days are none, or not exactly one of *parts* and *days* is given, from 1.
    """
    whole = DateWindow(start, end, by, end_exclusive=end_exclusive).date_range()
    if (parts is None) == (days is None):
        msg = "plan_windows: give either parts or days"
        raise ArmConfigurationError(msg)
    if days == MONTH:
        firsts = _months(whole)
    elif days is not None:
        firsts = iter(range(0, _length(whole), _count("days", days)))
    else:
        firsts = _shares(_length(whole), _count("parts", parts))
    begins = [*firsts, _length(whole)]
    return [_window(whole, first, after) for first, after in pairwise(begins)]


def _length(whole: DateRange) -> int:
    return (whole.last - whole.first).days + 1


def _window(whole: DateRange, first: int, after: int) -> dict[str, str]:
    """Give a window from one day to before another, both counted from the first of the whole."""
    start, end = whole.first + first * _DAY, whole.first + (after - 1) * _DAY
    return {"start": start.isoformat(), "end": end.isoformat(), "by": whole.by}


def _shares(length: int, parts: int) -> Iterator[int]:
    parts = min(parts, length)
    return (number * length // parts for number in range(parts))


def _months(whole: DateRange) -> Iterator[int]:
    yield 0
    for offset in range(1, _length(whole)):
        if (whole.first + offset * _DAY).day == 1:
            yield offset


def _count(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    also = f' or "{MONTH}"' if name == "days" else ""
    msg = f"plan_windows: {name} must be a whole number from 1{also}, not {value!r}"
    raise ArmConfigurationError(msg)


def parse_window(value: DateWindow | Mapping[str, Any] | None, name: str = "window") -> DateRange | None:
    """Read an operator's window, as an object or as one of :func:`plan_windows`; ``None`` where there is none.

    :param name: what a message calls it.
    :raises ArmConfigurationError: it is neither, or its days are none.
    """
    if value is None:
        return None
    if isinstance(value, DateWindow):
        return value.date_range()
    if isinstance(value, Mapping) and {"start", "end"} <= set(value) <= _KEYS:
        return DateWindow(**value).date_range()
    msg = f"{name} must be a DateWindow, or a mapping of start, end and, if wanted, by and end_exclusive"
    raise ArmConfigurationError(msg)
