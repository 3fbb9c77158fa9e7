"""Base class of the export operators: arguments, their checks, and the export."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow_provider_arm.argument_readers import (
    Reader,
    choice,
    flag,
    mapping,
    may_be_empty,
    optional,
    seconds,
    texts,
    whole_number,
)
from airflow_provider_arm.argument_readers import path as path_reader
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.export.fetch.date_window import DateWindow
from airflow_provider_arm.export.fetch.plan_windows import parse_window, read_window
from airflow_provider_arm.export.files.file_format import FORMATS, choose_file_format
from airflow_provider_arm.export.limits import DEFAULT_WORKERS, MAX_WORKERS
from airflow_provider_arm.runtime.arguments import ON_EMPTY, check_arguments, is_rendered_later, read_arguments
from airflow_provider_arm.runtime.base_operator import ArmBaseOperator
from airflow_provider_arm.runtime.export.asset_events import emit_asset_events
from airflow_provider_arm.runtime.export.watermark_args import (
    DEFAULT_OVERLAP,
    MAX_OVERLAP,
    build_increment_options,
    check_incremental_args,
)
from airflow_provider_arm.summary import export_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta
    from typing import Literal

    import jinja2
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_arm.client import ArmClient
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.client.reading_entries import ListReadings
    from airflow_provider_arm.export.fetch.date_window import RunWindow
    from airflow_provider_arm.export.pages.record_types import RecordType
    from airflow_provider_arm.export.plan import ExportPlan

log = logging.getLogger(__name__)

#: Records per page: ARM's maximum, which needs the fewest requests.
DEFAULT_PAGE_SIZE = 1000
#: Keys of the manifest that the task's result has; ``increment`` of an incremental export only.
_RESULT_KEYS = ("rows", "pages", "totals", "dates", "sha256", "bytes", "increment")


def read_columns(name: str, value: Any) -> Any:
    """Return an argument that is a list of fields, or the name of a selection."""
    return value if value == "submittable" else texts(name, value)


class ArmExportOperator(ArmBaseOperator):
    """Base class of the operators that export a list to a file, with a manifest that proves the export.

    Pages are fetched in parallel and written in order. Every page is checked: page number, counts, unique keys, exact
    amounts. The file and its manifest appear under their names only when the export is complete; otherwise the task
    fails, and existing files are left untouched. ARM returns at most 10,000 records per query; *window* splits a list
    with more.

    :param path: where the file is written (local, ``s3://``, ``gs://``, ...); its manifest is
        ``<path>.manifest.json``. ``.gz`` or ``.zst`` after the format's extension compresses the file
        (``items.jsonl.gz``; for Parquet before it: ``items.zst.parquet``). Templated.
    :param format: ``"jsonl"`` (each record as ARM wrote it), ``"csv"`` or ``"parquet"`` (extra ``parquet``). Default:
        by the extension of *path*. Templated.
    :param csv_dialect: ``"excel"`` writes a CSV file that a Norwegian Excel opens as a table: byte order mark,
        semicolons, decimal commas, and an apostrophe before text that Excel would run as a formula. Default: RFC 4180.
    :param filters: ARM's own filters, passed on unchanged. Templated.
    :param window: the days to export: ``DateWindow.before_run(days=1)`` for those that ended before the run, a
        ``DateWindow(start, end)``, or one of ``plan_windows(...)``. It is split in halves where ARM would return only a
        part of the records. Templated.
    :param split_by: filters and their values, to split a single day that has too many records, such as
        ``{"customerno": ["1001", "1002"]}``. List all existing values: ARM cannot name them. Templated.
    :param columns: fields by ARM's names, in order. Default: all known fields; in JSON lines all that ARM returns.
        ``"submittable"``, of customers only: the fields that ``BatchSubmitOperator`` accepts, in the form in which it
        reads them; the log names the fields that are left out. Templated.
    :param mask: fields whose values are never written; they are null in the file. Templated.
    :param page_size: records per page, 1 to 1000. Default 1000.
    :param workers: pages fetched in parallel, 1 to 32. Default 8.
    :param validate_all_fields: also check the type of every known field in JSON lines. Default ``False``: only key,
        amounts and dates are checked. In Parquet every column is always checked.
    :param verify_pages: read every page twice and compare. Default ``False``. As documented, ARM keeps a query as it
        was at its start; if a list turns out to change while it is read, its later pages are read twice in any case.
    :param incremental: export only records that are new or changed since the task's last completed run, by their
        created time. Cannot be combined with *window*. Each run needs a *path* of its own. Default ``False``:
        everything. Templated.
    :param on_empty: what happens if there is no record to export: ``"succeed"`` (the default) writes an empty file,
        ``"skip"`` skips the task, and ``"fail"`` fails it. With both of these nothing is written, and the watermark of
        an incremental export stays where it was.
    :param overlap: seconds (or a ``timedelta``) after its created time in which a record may become visible or change
        and still be exported by the next run. Default 3600.
    :param watermark_path: a file for the watermark, on a disk or in an object store that all workers share. Default:
        the state of the task's first asset outlet (Airflow 3.3). Templated.
    :return: ``{"uri", "manifest_uri", "rows", "pages", "totals", "dates", "sha256", "bytes"}``; ``totals`` by currency
        and field, as text such as ``{"NOK": {"currencyBalance": "124.37"}}``. With *incremental* also ``increment``:
        ``{"from", "to", "skipped", "number"}``, timestamps as text or ``None``.
    :raises ArmFailException: invalid arguments, a request that ARM refused, more records than ARM returns, a record
        that cannot be exported exactly, a watermark that is broken or belongs to another list, or a *path* at which
        rows would be lost.
    :raises AirflowSkipException: there is no record, and *on_empty* is ``"skip"``.
    :raises ArmTransientException: ARM or the watermark could not be reached, another run moved the watermark, or the
        list changed twice while it was read. A retry starts from the beginning.
    """

    template_fields: Sequence[str] = (
        *ArmBaseOperator.template_fields,
        "path",
        "format",
        "filters",
        "window",
        "split_by",
        "columns",
        "mask",
        "incremental",
        "watermark_path",
        "page_size",
        "workers",
        "overlap",
    )
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        **ArmBaseOperator.argument_readers,
        "path": path_reader(),
        "format": may_be_empty(choice(*FORMATS)),
        "csv_dialect": may_be_empty(choice("excel")),
        "filters": optional(mapping),
        "split_by": optional(mapping),
        "columns": optional(read_columns),
        "mask": optional(texts),
        "page_size": whole_number(1, DEFAULT_PAGE_SIZE),
        "workers": whole_number(1, MAX_WORKERS),
        "validate_all_fields": flag,
        "verify_pages": flag,
        "on_empty": choice(*ON_EMPTY),
        "incremental": flag,
        "overlap": seconds(maximum=MAX_OVERLAP),
        "watermark_path": optional(path_reader(absolute=True)),
    }
    #: The manifest, once the export is complete.
    manifest: dict[str, Any] | None = None
    #: The list's row in the operations table.
    list_operation: ClassVar[str] = ""
    #: Whether the connection's readings profile can rename the list's fields.
    has_profile_fields: ClassVar[bool] = False

    def __init__(
        self,
        *,
        path: str,
        format: Literal["jsonl", "csv", "parquet"] | None = None,  # noqa: A002 - the usual name of this argument
        csv_dialect: Literal["excel"] | None = None,
        filters: Mapping[str, Any] | None = None,
        window: DateWindow | RunWindow | Mapping[str, Any] | None = None,
        split_by: Mapping[str, Sequence[Any]] | None = None,
        columns: Sequence[str] | Literal["submittable"] | None = None,
        mask: Sequence[str] = (),
        page_size: int | str = DEFAULT_PAGE_SIZE,
        workers: int | str = DEFAULT_WORKERS,
        validate_all_fields: bool = False,
        verify_pages: bool = False,
        on_empty: Literal["succeed", "skip", "fail"] = "succeed",
        incremental: bool | str = False,
        overlap: timedelta | float | str = DEFAULT_OVERLAP,
        watermark_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.format = format
        self.csv_dialect = csv_dialect
        self.filters = filters
        self.window = window if is_rendered_later(window) else read_window(window)
        self.split_by = split_by
        self.columns: Any = columns
        self.mask: Any = mask
        self.page_size: Any = page_size
        self.workers: Any = workers
        self.validate_all_fields = validate_all_fields
        self.verify_pages = verify_pages
        self.on_empty = on_empty
        self.incremental = incremental
        self.overlap: Any = overlap
        self.watermark_path = watermark_path
        self._check_literals()

    def execute(self, context: Context) -> dict[str, Any]:
        """Export the list and return the result."""
        from airflow.providers.common.compat.sdk import AirflowSkipException

        from airflow_provider_arm.export.manifest.paths import manifest_path
        from airflow_provider_arm.export.plan import ArmEmptyExportError
        from airflow_provider_arm.hooks.metrics import count_rows

        with translate_arm_errors():
            read_arguments(self)
            self._check_arguments(self.hook.settings.readings.lists)
            plan = self._build_plan(context)
            with self.hook.client as client:
                try:
                    manifest = self._export(client, plan, context)
                except ArmEmptyExportError as error:
                    if self.on_empty == "skip":
                        raise AirflowSkipException(str(error)) from None
                    raise
            operation = self._operation()
            count_rows(manifest["rows"], operation if isinstance(operation, str) else operation.name)
        values = {key: manifest[key] for key in _RESULT_KEYS if key in manifest}
        result = {"uri": str(plan.path), "manifest_uri": str(manifest_path(plan.path)), **values}
        self.manifest = manifest
        emit_asset_events(context, self.outlets, result)
        noun = plan.record_type.name.partition(" of ")[0].removesuffix("s")
        self.log.info("%s", export_line(noun, result, 1, result["uri"]))
        return result

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render as usual, and the bounds of a window with the times of the run in its time zone."""
        if isinstance(parent, DateWindow):
            context = cast("Context", parent.localize(context))
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Return the lineage from ARM's list to the file; ``None`` if the export is not complete."""
        from airflow_provider_arm.runtime.export.openlineage import build_lineage, file_dataset, list_dataset

        manifest = self.manifest
        if manifest is None:
            return None
        return build_lineage(lambda: ([list_dataset(manifest)], [file_dataset(self.path, manifest)]))

    def _export(self, client: ArmClient, plan: ExportPlan, context: Context) -> dict[str, Any]:
        """Export everything, or what is new, and return the manifest."""
        source = client.page_source(self._operation(), page_size=self.page_size)
        if not self.incremental:
            from airflow_provider_arm.export.run import run_export

            return run_export(plan, source, _now)
        from airflow_provider_arm.export.incremental.run import check_incremental_plan, export_increment

        check_incremental_plan(plan, client.readings.filters)
        options = build_increment_options(context, self.outlets, self.overlap, self.watermark_path, client.client_no)
        return export_increment(plan, source, _now, options)

    def _record_type(self) -> RecordType:
        """Return the type of the list's records."""
        from airflow_provider_arm.export.pages.record_types import record_types_of

        return record_types_of(self.hook.settings.readings)[self.list_operation]

    def _operation(self) -> Operation | str:
        """Return the list's operation, or its name in the operations table."""
        return self.list_operation

    def _build_plan(self, context: Context) -> ExportPlan:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        from airflow_provider_arm.export.fetch.partition import parse_split_by
        from airflow_provider_arm.export.pages.field_selection import select_fields
        from airflow_provider_arm.export.plan import ExportPlan

        record_type, window = self._record_type(), parse_window(self.window, context)
        file_format = choose_file_format(self.path, self.format, self.csv_dialect)
        plan = ExportPlan(
            record_type=record_type,
            path=ObjectStoragePath(self.path),
            file_format=file_format,
            selection=select_fields(record_type, self.columns, self.mask, is_table=file_format.format != "jsonl"),
            filters=self.filters or {},
            window=window,
            split_by=parse_split_by(self.split_by),
            workers=self.workers,
            validate_all_fields=self.validate_all_fields,
            may_be_empty=self.on_empty == "succeed",
            verify_pages=self.verify_pages,
        )
        plan.check_filters(self.hook.settings.readings.filters)
        if plan.selection.is_submittable:
            from airflow_provider_arm.export.pages.submittable import SubmittableFields

            log.info("columns='submittable': without %s", ", ".join(SubmittableFields(record_type).read_only))
        return plan

    def _check_arguments(self, readings: ListReadings) -> None:
        check_incremental_args(incremental=bool(self.incremental), watermark_path=self.watermark_path)
        if not 1 <= self.page_size <= readings.max_page_size:
            raise ArmConfigurationError(
                f"page_size must be between 1 and {readings.max_page_size}, not {self.page_size}"
            )
        if any(isinstance(value, float) for value in (self.filters or {}).values()):
            raise ArmConfigurationError("filters must contain text, whole numbers or dates, no floats")
        for name in readings.parameters.model_dump().values():
            if name in (self.filters or {}) or name in (self.split_by or {}):
                raise ArmConfigurationError(f"filters must not contain {name}: the export sets it to read page by page")

    def _check_literals(self) -> None:
        """Check the arguments when the DAG is parsed, as far as they are not templates.

        The models are imported only if there are fields to check.
        """
        check_arguments(self)
        if not any(map(is_rendered_later, (self.path, self.format))):
            choose_file_format(str(self.path), self.format, self.csv_dialect)
        if not is_rendered_later(self.incremental) and not is_rendered_later(self.watermark_path):
            incremental = flag("incremental", self.incremental)
            check_incremental_args(incremental=incremental, watermark_path=self.watermark_path)
        given = [value for value in (self.columns, self.mask) if value]
        if not given or self.has_profile_fields or any(map(is_rendered_later, given)):
            return
        if any(is_rendered_later(name) for names in given for name in names):
            return
        from airflow_provider_arm.export.pages.field_selection import select_fields
        from airflow_provider_arm.export.pages.record_types import RECORD_TYPES

        if self.list_operation in RECORD_TYPES:
            select_fields(RECORD_TYPES[self.list_operation], self.columns, self.mask)


def _now() -> datetime:
    return datetime.now(tz=UTC)
