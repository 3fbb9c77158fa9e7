"""Partitions of an export: windows of days, and values of further filters. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmIncompleteListError, ArmResultLimitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.client.reading_entries import FilterReadings
    from airflow_provider_arm.export.fetch.date_window import DateRange
    from airflow_provider_arm.export.fetch.time_range import TimeRange

#: Filters and their values: a partition whose span cannot be split any more is split by the values.
SplitBy = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(eq=False, slots=True)
class Partition:
    """The records that one query requests, or that were split because they are too many for one query."""

    span: DateRange | TimeRange | None = None
    #: Values of the filters by which it was split.
    split_values: Mapping[str, str] = field(default_factory=dict)
    #: Filters by which it can still be split.
    remaining_split_by: SplitBy = ()
    parent: Partition | None = None
    #: ARM's count of its records, if it was split.
    counted: int = 0
    #: Records read so far, and parts not yet read.
    rows: int = 0
    pending: int = 0

    def filters(self, readings: FilterReadings) -> dict[str, Any]:
        """Return its filters in addition to those of the export."""
        return {**(self.span.filters(readings) if self.span else {}), **self.split_values}

    def split(self, error: ArmResultLimitError) -> list[Partition]:
        """Split into parts that neither overlap nor leave a gap, in order: first the span in halves, then by value.

        :raises ArmResultLimitError: it cannot be split any more; the message names what to set.
        """
        halves = self.span.halves() if self.span else None
        if halves is not None:
            parts = [Partition(half, self.split_values, self.remaining_split_by, self) for half in halves]
        elif self.remaining_split_by:
            (name, values), *rest = self.remaining_split_by
            parts = [Partition(self.span, {**self.split_values, name: value}, tuple(rest), self) for value in values]
        else:
            if self.span is None and not self.split_values:
                solution = "set window=DateWindow(...)"
            else:
                solution = f'{self} cannot be split further: add a filter, or split_by={{"customerno": [...]}}'
            raise ArmResultLimitError(f"{error}; {solution}", operation=error.operation, total_count=error.total_count)
        self.counted, self.pending = error.total_count, len(parts)
        return parts

    def finished(self, rows: int) -> None:
        """Record that all of its records are read, and check the counts of the partitions that contain it.

        :raises ArmIncompleteListError: all parts of a partition are read, but contain fewer records than ARM counted:
            the filters leave a gap, or values of ``split_by`` are missing.
        """
        self.rows, parent = rows, self.parent
        if parent is None:
            return
        parent.rows += rows
        parent.pending -= 1
        if parent.pending:
            return
        if parent.rows < parent.counted:
            raise ArmIncompleteListError(
                f"the parts of {parent} contain {parent.rows} records, but ARM counted {parent.counted}: the list "
                "changed while it was read, or a value is missing in split_by"
            )
        parent.finished(parent.rows)

    def __str__(self) -> str:
        """Return text such as ``voucherdate 2026-01-01 to 2026-01-31``; of ``split_by`` only the filters' names."""
        texts = [str(self.span)] if self.span else []
        texts += [f"one {name}" for name in self.split_values]
        return ", ".join(texts) or "the whole list"


def parse_split_by(value: Mapping[str, Sequence[Any]] | None) -> SplitBy:
    """Check the argument ``split_by`` and return it as tuples of text.

    :raises ArmConfigurationError: a filter has no values, or one twice.
    """
    split_by = []
    for name, values in (value or {}).items():
        if isinstance(values, str) or not values or len(set(map(str, values))) != len(values):
            raise ArmConfigurationError(f"split_by: {name} needs a list of values without duplicates")
        split_by.append((name, tuple(map(str, values))))
    return tuple(split_by)
