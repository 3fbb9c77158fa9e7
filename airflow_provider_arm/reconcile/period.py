"""The periods of a reconciliation: which one a record falls into, and how each is written."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Of records without a date. Such records are compared like any others.
NO_PERIOD = ""
#: The one period where nothing is told apart by time.
ALL = "all"
#: The ledger's own year and period. Their place in a GL item is assumed, as all its fields are.
LEDGER_FIELDS = ("glYear", "glPeriod")
#: Length of ``2025-02-27``; a moment is longer.
_DAY_LENGTH = 10
#: More days than a ledger spans; each is read once.
_CACHED_DAYS = 20_000
_MONTHS_IN_QUARTER = 3
#: A ledger's year has four digits and its period two: 01 to 12, and what is booked at the close of the year.
_YEAR_DIGITS, _PERIOD_DIGITS = 4, 2


class Period(StrEnum):
    """What a period is."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    #: ``glYear`` and ``glPeriod``: the period that the item is booked in, whatever its date.
    LEDGER = "ledger"
    #: Everything together.
    NONE = "none"

    @classmethod
    def parse(cls, name: Any) -> Period:
        """Read an author's word.

        :raises ArmConfigurationError: there is no such period.
        """
        if isinstance(name, str) and name in set(cls):
            return cls(name)
        msg = f"period must be one of {', '.join(cls)}, not {name!r}"
        raise ArmConfigurationError(msg)

    def fields(self, by: str) -> tuple[str, ...]:
        """Name the fields that decide a record's period; *by* is the field of a day."""
        if self is Period.NONE:
            return ()
        return LEDGER_FIELDS if self is Period.LEDGER else (by,)

    def labels(self, rows: int, columns: Sequence[Sequence[Any]]) -> Sequence[str]:
        """Name the period of each of *rows* records, from the columns of :meth:`fields`.

        :raises ValueError: a value is no day, or no period of a ledger; the message goes on after "a record's ...".
        """
        if self is Period.NONE:
            return [ALL] * rows
        if self is Period.LEDGER:
            return list(map(_ledger_period, *columns))
        return list(map(_FORMATTERS[self], columns[0]))

    def parse_label(self, name: Any, where: str) -> str:
        """Check a period that somebody wrote, and give it.

        :param where: as a message names the place.
        :raises ArmConfigurationError: it is not written as this kind of period is.
        """
        form, example = _PATTERNS[self]
        text = str(name).strip() if isinstance(name, str | int) else ""
        if form.fullmatch(text):
            return text
        msg = f'{where}: a period must be written as "{example}" (period is {self})'
        raise ArmConfigurationError(msg)


_PATTERNS = {
    Period.MONTH: (re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII), "2026-10"),
    Period.QUARTER: (re.compile(r"\d{4}-Q[1-4]", re.ASCII), "2026-Q4"),
    Period.YEAR: (re.compile(r"\d{4}", re.ASCII), "2026"),
    Period.LEDGER: (re.compile(r"\d{4}-\d{2}", re.ASCII), "2026-10"),
    Period.NONE: (re.compile(ALL), ALL),
}


def _day_formatter(name: Callable[[dt.date], str]) -> Callable[[Any], str]:
    @lru_cache(_CACHED_DAYS)
    def of_day(text: str) -> str:
        try:
            if len(text) == _DAY_LENGTH:
                return name(dt.date.fromisoformat(text))
        except ValueError:
            pass
        msg = "is no day written YYYY-MM-DD: name a field of days (by)"
        raise ValueError(msg)

    return lambda value: NO_PERIOD if value is None or value == "" else of_day(str(value))


_FORMATTERS = {
    Period.MONTH: _day_formatter(lambda day: f"{day.year:04}-{day.month:02}"),
    Period.QUARTER: _day_formatter(lambda day: f"{day.year:04}-Q{-(-day.month // _MONTHS_IN_QUARTER)}"),
    Period.YEAR: _day_formatter(lambda day: f"{day.year:04}"),
}


def _ledger_period(year: Any, period: Any) -> str:
    texts = ["" if value is None else str(value) for value in (year, period)]
    if not all(texts):
        return NO_PERIOD
    if all(text.isascii() and text.isdigit() for text in texts):
        written = f"{texts[0]:0>{_YEAR_DIGITS}}-{texts[1].lstrip('0'):0>{_PERIOD_DIGITS}}"
        if _PATTERNS[Period.LEDGER][0].fullmatch(written):
            return written
    msg = "is no year or no period of a ledger"
    raise ValueError(msg)
