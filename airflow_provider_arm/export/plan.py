"""Plan of an export: its list, file, fields, filters and checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmError
from airflow_provider_arm.export.limits import DEFAULT_WORKERS, MAX_WORKERS
from airflow_provider_arm.export.pages.field_selection import FieldSelection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_arm.client.reading_entries import FilterReadings
    from airflow_provider_arm.export.fetch.date_window import DateRange
    from airflow_provider_arm.export.fetch.partition import SplitBy
    from airflow_provider_arm.export.fetch.time_range import TimeRange
    from airflow_provider_arm.export.files.file_format import FileFormat
    from airflow_provider_arm.export.pages.record_types import RecordType
    from airflow_provider_arm.files import WritablePath


class ArmEmptyExportError(ArmError):
    """No record matches, and the plan does not accept that. Nothing was written."""


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """Arguments of one export."""

    record_type: RecordType
    path: WritablePath
    file_format: FileFormat
    selection: FieldSelection = field(default_factory=FieldSelection)
    filters: Mapping[str, Any] = field(default_factory=dict)
    window: DateRange | TimeRange | None = None
    #: Filters by whose values a window is split that cannot be halved any more.
    split_by: SplitBy = ()
    workers: int = DEFAULT_WORKERS
    #: Check the type of every known field; of JSON lines only.
    validate_all_fields: bool = False
    #: Whether an export without a record is valid.
    may_be_empty: bool = True
    #: Read every page twice; see :class:`~airflow_provider_arm.export.fetch.page_fetcher.PageFetcher`.
    verify_pages: bool = False

    def __post_init__(self) -> None:
        """Check that the number of workers is in its range."""
        if not 1 <= self.workers <= MAX_WORKERS:
            raise ArmConfigurationError(f"workers must be between 1 and {MAX_WORKERS}, not {self.workers}")

    def check_filters(self, readings: FilterReadings) -> None:
        """Check that no filter is set twice, and that the profile has the window.

        :raises ArmConfigurationError: *filters* contains one that the window or *split_by* sets.
        """
        own = {name for name, _ in self.split_by}
        if self.window is not None:
            own |= self.window.window_filter(readings).names
        for name in sorted(own & set(self.filters)):
            raise ArmConfigurationError(f"filters must not contain {name}: window or split_by sets it")

    def limiting_fields(self) -> tuple[str, ...]:
        """Return the dates and timestamps by which the window limits the list."""
        return () if self.window is None else tuple(self.window.fields(self.record_type))

    def check_rows(self, rows: int) -> None:
        """Check the number of records before the file gets its name.

        :raises ArmEmptyExportError: there is none, and the export may not be empty.
        """
        if not rows and not self.may_be_empty:
            where = f" of {self.window}" if self.window else ""
            msg = f"there are no {self.record_type.name}{where} to export: nothing was written (on_empty)"
            raise ArmEmptyExportError(msg)
