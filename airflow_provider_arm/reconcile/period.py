"""Periods of a reconciliation: the period of a record, and the labels of periods."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Label of the period of records without a date. They are compared like all others.
NO_PERIOD = ""
#: Label of the only period of :attr:`Period.NONE`.
ALL = "all"
#: Fields with the ledger's own year and period. Their names in a GL item are assumed, as those of all its fields.
LEDGER_FIELDS = ("glYear", "glPeriod")
#: Length of ``2025-02-27``; a timestamp is longer.
_DATE_LENGTH = 10
#: More days than a ledger spans, so that each is parsed once.
_CACHED_DAYS = 20_000
_MONTHS_PER_QUARTER = 3
#: A year of a ledger has four digits and a period two: 01 to 12, and further ones for the closing of the year.
_YEAR_DIGITS, _PERIOD_DIGITS = 4, 2


class Period(StrEnum):
    """Length of the periods."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    #: ``glYear`` and ``glPeriod``: the period in which the item is booked, whatever its date.
    LEDGER = "ledger"
    #: One period for all records.
    NONE = "none"

    @classmethod
    def parse(cls, value: Any) -> Period:
        """Return the member of this value.

        :raises ArmConfigurationError: there is no such period.
        """
        if isinstance(value, str) and value in set(cls):
            return cls(value)
        raise ArmConfigurationError(f"period must be one of {', '.join(cls)}, not {value!r}")

    def fields(self, by: str) -> tuple[str, ...]:
        """Return the fields that determine a record's period.

        :param by: the date field.
        """
        if self is Period.NONE:
            return ()
        return LEDGER_FIELDS if self is Period.LEDGER else (by,)

    def labels(self, rows: int, columns: Sequence[Sequence[Any]]) -> Sequence[str]:
        """Return the label of each record's period.

        :param rows: the number of records.
        :param columns: the values of the fields that :meth:`fields` returns.
        :raises ValueError: a value is not a date, or not a period of a ledger; the message continues a sentence that
            begins with "a record's ...".
        """
        if self is Period.NONE:
            return [ALL] * rows
        if self is Period.LEDGER:
            return list(map(_format_ledger_period, *columns))
        return list(map(_FORMATTERS[self], columns[0]))

    def check_label(self, label: Any, place: str) -> str:
        """Check a label from a DAG or a file, and return it as text.

        :param place: the place of the label, for the message.
        :raises ArmConfigurationError: it is not written as labels of this period are.
        """
        pattern, example = _LABEL_PATTERNS[self]
        text = str(label).strip() if isinstance(label, str | int) else ""
        if pattern.fullmatch(text):
            return text
        raise ArmConfigurationError(f'{place}: a period must be written as "{example}" (period is {self})')


_LABEL_PATTERNS = {
    Period.MONTH: (re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII), "2026-10"),
    Period.QUARTER: (re.compile(r"\d{4}-Q[1-4]", re.ASCII), "2026-Q4"),
    Period.YEAR: (re.compile(r"\d{4}", re.ASCII), "2026"),
    Period.LEDGER: (re.compile(r"\d{4}-\d{2}", re.ASCII), "2026-10"),
    Period.NONE: (re.compile(ALL), ALL),
}


def _date_formatter(label_of: Callable[[dt.date], str]) -> Callable[[Any], str]:
    @lru_cache(_CACHED_DAYS)
    def format_date(text: str) -> str:
        try:
            if len(text) == _DATE_LENGTH:
                return label_of(dt.date.fromisoformat(text))
        except ValueError:
            pass
        raise ValueError("is not a date written as YYYY-MM-DD: choose a date field (by)")

    return lambda value: NO_PERIOD if value is None or value == "" else format_date(str(value))


_FORMATTERS = {
    Period.MONTH: _date_formatter(lambda day: f"{day.year:04}-{day.month:02}"),
    Period.QUARTER: _date_formatter(lambda day: f"{day.year:04}-Q{-(-day.month // _MONTHS_PER_QUARTER)}"),
    Period.YEAR: _date_formatter(lambda day: f"{day.year:04}"),
}


def _format_ledger_period(year: Any, period: Any) -> str:
    texts = ["" if value is None else str(value) for value in (year, period)]
    if not all(texts):
        return NO_PERIOD
    if all(text.isascii() and text.isdigit() for text in texts):
        label = f"{texts[0]:0>{_YEAR_DIGITS}}-{texts[1].lstrip('0'):0>{_PERIOD_DIGITS}}"
        if _LABEL_PATTERNS[Period.LEDGER][0].fullmatch(label):
            return label
    raise ValueError("is not a year or a period of a ledger")
