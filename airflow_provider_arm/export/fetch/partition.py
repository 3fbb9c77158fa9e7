"""The pieces that an export is asked for in: a window of days, and values of further filters. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmIncompleteListError, ArmResultLimitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.export.fetch.date_window import DateRange
    from airflow_provider_arm.export.fetch.time_range import TimeRange

#: A filter and the values that are asked for one by one where days cannot be split any more.
SplitBy = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(eq=False, slots=True)
class Partition:
    """What one query asks for, or what was split because one query does not give it all."""

    span: DateRange | TimeRange | None = None
    #: Values of the filters that it was split by.
    split_values: Mapping[str, str] = field(default_factory=dict)
    #: Filters that it can still be split by.
    remaining_split_by: SplitBy = ()
    parent: Partition | None = None
    #: What ARM counted, where it was split.
    counted: int = 0
    #: Records that came for it, and parts of it that are still to come.
    rows: int = 0
    pending: int = 0

    @property
    def filters(self) -> dict[str, Any]:
        """What it adds to the export's own filters."""
        return {**(self.span.filters if self.span else {}), **self.split_values}

    def split(self, error: ArmResultLimitError) -> list[Partition]:
        """Split into parts that neither overlap nor leave a gap, in order: days or moments in halves, then by value.

        :raises ArmResultLimitError: there is nothing left to split by; the message says what to do.
        """
        halves = self.span.halves() if self.span else None
        if halves is not None:
            partitions = [Partition(half, self.split_values, self.remaining_split_by, self) for half in halves]
        elif self.remaining_split_by:
            (name, values), *rest = self.remaining_split_by
            partitions = [
                Partition(self.span, {**self.split_values, name: value}, tuple(rest), self) for value in values
            ]
        else:
            raise self._too_much(error)
        self.counted, self.pending = error.total_count, len(partitions)
        return partitions

    def finished(self, rows: int) -> None:
        """Note that all of this part is there.

        :raises ArmIncompleteListError: the parts of a part are all there and hold fewer records than ARM had counted
            for it: filters whose bounds leave a gap, or values that are not all there are.
        """
        self.rows = rows
        above = self.parent
        if above is None:
            return
        above.rows += rows
        above.pending -= 1
        if above.pending:
            return
        if above.rows < above.counted:
            msg = (
                f"the parts of {above} hold {above.rows} records and ARM had counted {above.counted}: the list "
                "changed while it was read, or what it was split by does not cover it"
            )
            raise ArmIncompleteListError(msg)
        above.finished(above.rows)

    def _too_much(self, error: ArmResultLimitError) -> ArmResultLimitError:
        if self.span is None and not self.split_values:
            way_out = "give the operator a window=DateWindow(...)"
        else:
            way_out = f'{self} cannot be split further: add a filter, or split_by={{"customerno": [...]}}'
        return ArmResultLimitError(f"{error}; {way_out}", operation=error.operation, total_count=error.total_count)

    def __str__(self) -> str:
        """Read as ``voucherdate 2026-01-01 to 2026-01-31``; of a value that it was split by only the filter's name."""
        shown = [str(self.span)] if self.span else []
        shown += [f"one {name}" for name in self.split_values]
        return ", ".join(shown) or "the whole list"


def parse_split_by(value: Mapping[str, Sequence[Any]] | None) -> SplitBy:
    """Check the argument ``split_by``.

    :raises ArmConfigurationError: a filter has no values, or one twice.
    """
    found = []
    for name, values in (value or {}).items():
        if isinstance(values, str) or not values or len({str(one) for one in values}) != len(values):
            msg = f"split_by: {name} must have a list of values, none of them twice"
            raise ArmConfigurationError(msg)
        found.append((name, tuple(str(one) for one in values)))
    return tuple(found)
