"""A span of created times, open at either end, and how one that holds too much is split. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_arm.client.assumptions import WINDOW_FILTERS
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.pages.timestamps import format_milliseconds, to_milliseconds

if TYPE_CHECKING:
    from airflow_provider_arm.export.pages.page_stats import PageStats
    from airflow_provider_arm.export.pages.record_types import RecordType

#: The date that an increment goes by.
BY = "createdtime"
#: 2000-01-01 in UTC. A span without a beginning has no middle: it is split here, because what is older was not created
#: in ARM but taken over from another system, and from here on halving finds any day in few steps.
EARLIEST = 946_684_800_000
#: Milliseconds that two clocks differ by at most. No two that are looked after are a day apart.
MAX_CLOCK_SKEW = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The moments from *first* to *last*, in unix milliseconds, both included.

    :param first: ``None``: no beginning.
    :param last: ``None``: no end.
    :param began: when the export began; where a span without an end is split.
    """

    first: int | None
    last: int | None
    began: int

    @property
    def filter_names(self) -> tuple[str, str]:
        """The filters that it sets."""
        return WINDOW_FILTERS[BY]

    @property
    def filters(self) -> dict[str, str]:
        """The span as ARM's filters; an open end has none."""
        bounds = zip(self.filter_names, (self.first, self.last), strict=True)
        return {name: format_milliseconds(bound) for name, bound in bounds if bound is not None}

    def halves(self) -> tuple[TimeRange, TimeRange] | None:
        """Split into two that neither overlap nor leave a gap; ``None`` for a single millisecond, or an end of time."""
        middle = self._middle()
        if middle is None or (self.last is not None and middle >= self.last):
            return None
        return replace(self, last=middle), replace(self, first=middle + 1)

    def _middle(self) -> int | None:
        """Give the last moment of the first half."""
        if self.last is not None:
            return EARLIEST if self.first is None else self.first + (self.last - self.first) // 2
        # What has no end: up to now; and what a server whose clock goes ahead of ours has created meanwhile.
        ends = (self.began, self.began + MAX_CLOCK_SKEW)
        return next((end for end in ends if self.first is None or self.first <= end), None)

    def check(self, record_type: RecordType, stats: PageStats) -> None:
        """Check that what came lies in the span, to the millisecond.

        :raises ArmConfigurationError: a record lies outside: the server passes over the filters, or reads them as days.
        """
        for name in record_type.timestamps:
            if name.lower() != BY or name not in stats.ranges:
                continue
            first, last = map(to_milliseconds, stats.ranges[name])
            if (self.first is not None and first < self.first) or (self.last is not None and last > self.last):
                msg = (
                    f"ARM gave {record_type.name} from outside of {self}: it does not go by the filters "
                    f"{' and '.join(self.filter_names)} as they are written; export with window, without incremental"
                )
                raise ArmConfigurationError(msg)

    def __str__(self) -> str:
        """Read as ``createdtime 2026-01-05T10:00:00.000+00:00 to 2026-01-05T11:00:00.000+00:00``."""
        first = "the beginning" if self.first is None else format_milliseconds(self.first)
        last = "now" if self.last is None else format_milliseconds(self.last)
        return f"{BY} {first} to {last}"
